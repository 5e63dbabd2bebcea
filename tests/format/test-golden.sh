#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Stores that older programs wrote (tests/format/v1 …) stay readable for ever: listed, verified, extracted, with
# pgcask and without it. No server is needed. Works on a copy: the fixtures are never written to.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
PGCASK=${PGCASK:-$build/pgcask}
golden=$top/tests/format/v1

# A config over the copy of each store: with the key, without it, and not encrypted at all.
write_config()
{
    (umask 077 && cat >"$tmp/$1.ini") <<END
[pgcask]
state_dir = "$tmp/state-$1"
$2

[cluster chain]
conninfo = dbname=postgres

[store here]
plugin = local
path = "$tmp/$3"
END
}

(umask 077 && cp -R "$golden/repo" "$golden/repo-plain" "$golden/repo-base" "$golden/identity.txt" "$tmp")
recipient=$(sed -n 's/^# public key: //p' "$golden/identity.txt")
write_config key "recipient = $recipient
identity_file = \"$tmp/identity.txt\"" repo
write_config base "recipient = $recipient
identity_file = \"$tmp/identity.txt\"" repo-base
write_config host "recipient = $recipient" repo
write_config plain 'encrypt = none' repo-plain

# digest OBJECT - what its plain bytes must be
digest()
{
    sed -n "s|^\([0-9a-f]*\)  $1\$|\1|p" "$golden/plain.sha256"
}

test_backups_are_listed()
{
    run_expect 0 "$PGCASK" -c "$tmp/host.ini" list
    expect_out "20261122T152414Z-daily"
    expect_out "20261122T152415Z-kinds"
    expect_no_err 'WARN'
    equal "$(grep -c ' good ' "$tmp/out")" 2 'good backups'
    run_expect 0 "$PGCASK" -c "$tmp/plain.ini" list
    expect_out "20261122T152430Z-kinds"
}

test_latest_is_the_full_one()
{
    run_expect 0 "$PGCASK" -c "$tmp/host.ini" show latest
    expect_out '20261122T152414Z-daily'
    expect_out 'shop.public.Barrel.dump.zst.age'
    expect_out 'PostgreSQL 15.20'
    expect_out 'Esche – ü 漢'
}

test_stored_bytes_are_good_without_a_key()
{
    run_expect 0 "$PGCASK" -c "$tmp/host.ini" verify --all
    expect_out '20261122T152414Z-daily here good (stored bytes)'
    expect_out '20261122T152415Z-kinds here good (stored bytes)'
}

test_plain_bytes_are_good()
{
    run_expect 0 "$PGCASK" -c "$tmp/key.ini" verify --all --deep
    expect_out '20261122T152414Z-daily here good (plain bytes)'
    expect_out '20261122T152415Z-kinds here good (plain bytes)'
    run_expect 0 "$PGCASK" -c "$tmp/plain.ini" verify --all --deep
    expect_out '20261122T152430Z-kinds here good (plain bytes)'
    run_expect 0 "$PGCASK" -v -c "$tmp/base.ini" verify --all --deep
    expect_out '20261123T020000Z-weekly here good (plain bytes)'
    expect_err "each file as PostgreSQL's list says"
}

test_a_base_backup_is_shown()
{
    run_expect 0 "$PGCASK" -c "$tmp/base.ini" list
    expect_out '20261123T020000Z-weekly'
    expect_out 'all at 1:0/3000028'
    run_expect 0 "$PGCASK" -c "$tmp/base.ini" show latest
    expect_out 'needs WAL:   0/3000028 to 0/3000100 on timeline 1, taken along'
    expect_out 'tablespace:  16385 (/srv/fast disk on the server)'
}

# extract CONFIG STORE - every member comes out as it went in
extract()
{
    local wanted path id

    while read -r wanted path; do
        [ "${path%%/*}" = "$2" ] || continue
        id=$(basename "$(dirname "$path")")
        "$PGCASK" -c "$tmp/$1.ini" restore "$id" --member "$(basename "$path")" --output - >"$tmp/plain" || fail "$path"
        equal "$(sha256sum <"$tmp/plain" | cut -d ' ' -f 1)" "$wanted" "digest of $path"
        seen=$((seen + 1))
    done <"$golden/plain.sha256"
}

test_every_member_comes_out()
{
    local seen=0

    extract key repo
    equal "$seen" 10 'members'
    extract plain repo-plain
    equal "$seen" 12 'members'
    extract base repo-base
    equal "$seen" 15 'members'
}

test_an_object_fetched_by_hand_comes_out()
{
    local object=repo/chain/backup/20261122T152414Z-daily/globals.sql.zst.age

    run_expect 0 "$PGCASK" restore --file "$golden/$object" --identity "$tmp/identity.txt" --output "$tmp/globals.sql"
    equal "$(sha256sum <"$tmp/globals.sql" | cut -d ' ' -f 1)" "$(digest "$object")" 'its digest'
    grep -q '^CREATE ROLE keeper;$' "$tmp/globals.sql"
}

test_a_spoilt_copy_is_found()
{
    local object=$tmp/spoilt/chain/backup/20261122T152414Z-daily/shop.dump.zst.age

    (umask 077 && cp -R "$golden/repo" "$tmp/spoilt")
    write_config spoilt "recipient = $recipient" spoilt
    printf 'X' | dd of="$object" bs=1 seek=1000 conv=notrunc status=none
    run_expect 1 "$PGCASK" -c "$tmp/spoilt.ini" verify --all
    expect_out '20261122T152414Z-daily here bad'
    expect_out '20261122T152415Z-kinds here good'
    expect_err 'shop.dump.zst.age'
}

test_age_and_zstd_are_enough()
{
    local wanted path plain

    requires age zstd
    while read -r wanted path; do
        case $path in
            *.age) plain=$(age -d -i "$tmp/identity.txt" "$golden/$path" | zstd -d -q | sha256sum) ;;
            *) plain=$(zstd -d -q -c "$golden/$path" | sha256sum) ;;
        esac
        equal "${plain%% *}" "$wanted" "digest of $path"
    done <"$golden/plain.sha256"
}

# The digest of a manifest can be had with jq.
test_manifests_are_digested_in_canonical_form()
{
    local manifest digest

    requires jq
    for manifest in "$golden"/manifest.json "$golden"/repo*/chain/backup/*/manifest.json; do
        digest=$(jq -cSj 'del(.digest)' "$manifest" | sha256sum)
        equal "sha256:${digest%% *}" "$(jq -r .digest "$manifest")" "digest of $manifest"
    done
}

run_tests
