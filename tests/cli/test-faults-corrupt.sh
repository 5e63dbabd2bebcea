#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Stored bytes that are not what was written: cut, flipped, exchanged, missing, from elsewhere.
# Verify and restore refuse, name the object, and nothing is made of it.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# a scene with two backups, $old and $new, kept as they are in $dir/good
fresh_scene()
{
    scene "$1"
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section daily "databases = bulk" "table_size = 256KiB" "settings_files = no")
END
    run_expect 0 pgcask backup
    old=$(latest_id)
    run_expect 0 pgcask backup
    new=$(latest_id)
    cp -a "$dir/one" "$dir/good"
}

# the store as it was written, and nothing known of it here
heal()
{
    rm -rf "$dir/one" "$dir/state/cache"
    cp -a "$dir/good" "$dir/one"
}

# refused OBJECT - verify, verify --deep and restore of $new refuse and name the object; the verdict is remembered; latest is
# the older one then; nothing is made in the server
refused()
{
    local object=main/backup/$new/$1 deep

    for deep in '' --deep; do
        rm -rf "$dir/state/cache" # what is known here must not be what saves us
        # shellcheck disable=SC2086 # no word, or one
        run_expect 1 pgcask verify $deep "$new"
        expect_err "'$object'"
        expect_out "$new "
        expect_out " bad"
    done
    rm -rf "$dir/state/cache"
    run_expect 1 pgcask restore "$new" --into never
    expect_err "'$object'"
    grep -q '^ERROR: ' "$tmp/err"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname LIKE 'never%'")" 0 "databases"
}

# bad_is_remembered - list says so, and latest is $old
bad_is_remembered()
{
    equal "$(pgcask list --json | jq -r 'last.state')" bad
    run_expect 0 pgcask verify latest
    expect_out "$old one good"
    expect_err "WARN: backup '$new' is passed over: its verification failed"
}

# how members are spoilt: what is said of it | command, with $file and $other
# shellcheck disable=SC2016 # expanded when it is their turn
member_rows='
truncated by a byte|truncate -s -1 "$file"
truncated to half|truncate -s $(($(stat -c %s "$file") / 2)) "$file"
truncated to nothing|truncate -s 0 "$file"
a byte longer|echo -n x >>"$file"
flipped in the age header|flip "$file" 80
flipped in the first chunk|flip "$file" 400
flipped in the middle|flip "$file" $(($(stat -c %s "$file") / 2))
flipped in the last byte|flip "$file" 999999999
exchanged for the older backup of the same|cp "$dir/one/main/backup/$old/${file##*/}" "$file"
missing|rm "$file"
a directory|rm "$file" && mkdir "$file"
'

test_spoilt_members()
{
    local name what command file

    fresh_scene members
    for name in bulk.dump bulk.public.event_log.dump; do
        while IFS='|' read -r what command; do
            [ -n "$what" ] || continue
            heal
            file=$dir/one/main/backup/$new/$name.zst.age
            eval "$command"
            refused "$name.zst.age"
            bad_is_remembered
            ok "$name $what"
        done <<<"$member_rows"
    done
}

test_a_member_that_is_a_symbolic_link()
{
    local file

    fresh_scene link
    file=$dir/one/main/backup/$new/bulk.dump.zst.age
    mv "$file" "$dir/moved" && ln -s "$dir/moved" "$file"
    run_expect 1 pgcask verify "$new"
    expect_err "'main/backup/$new/bulk.dump.zst.age': Too many levels of symbolic links"
    expect_err "HINT: symbolic links below '$dir/one' are not followed"
    run_expect 1 pgcask restore "$new" --into never
    expect_err "'main/backup/$new/bulk.dump.zst.age'"
    rm "$file" && mv "$dir/moved" "$file" # it says nothing of the bytes
    run_expect 0 pgcask verify "$new"
}

test_two_members_exchanged()
{
    local a b

    fresh_scene exchanged
    a=$dir/one/main/backup/$new/bulk.dump.zst.age
    b=$dir/one/main/backup/$new/bulk.public.event_log.dump.zst.age
    mv "$a" "$dir/x" && mv "$b" "$a" && mv "$dir/x" "$b"
    run_expect 1 pgcask verify "$new"
    expect_err "'main/backup/$new/bulk."
    run_expect 1 pgcask restore "$new" --into never
    expect_err "'main/backup/$new/bulk."
}

# how manifests are spoilt: what | command with $file | what must be said
# shellcheck disable=SC2016 # expanded when it is their turn
manifest_rows='
edited|sed -i "s/\"job\": \"daily\"/\"job\": \"weekl\"/" "$file"|it was changed after it was written
with another digest in it|sed -i "s/\(\"stored_digest\": \"xxh3[^:]*:\)..../\1beef/" "$file"|it was changed after it was written
truncated|truncate -s 300 "$file"|is not valid JSON
empty|: >"$file"|manifest.json
of the older backup|cp "$dir/one/main/backup/$old/manifest.json" "$file"|the manifest is that of
of another repository|sign_manifest repository 00112233445566778899aabbccddeeff|the manifest belongs to another repository
of another cluster|sign_manifest cluster other|the manifest is that of
of a later format|sed -i "s/\"format\": 1/\"format\": 2/" "$file"|has format 2, this pgcask knows 1
without its members|jq "del(.members)" "$file" >"$dir/m" && cp "$dir/m" "$file"|it was changed after it was written
'

# sign_manifest KEY VALUE - changed by one who knows how its digest is made
sign_manifest()
{
    local digest

    jq --arg v "$2" ".$1 = \$v | del(.digest)" "$file" >"$dir/m"
    digest=$(jq -cSj . "$dir/m" | sha256sum | cut -d' ' -f1)
    jq --arg d "sha256:$digest" '.digest = $d' "$dir/m" >"$file"
}

test_spoilt_manifests()
{
    local what command said file

    fresh_scene manifests
    while IFS='|' read -r what command said; do
        [ -n "$what" ] || continue
        heal
        file=$dir/one/main/backup/$new/manifest.json
        eval "$command"
        refused manifest.json
        expect_err "$said"
        rm -rf "$dir/state/cache"
        run_expect 0 pgcask verify latest
        expect_out "$old one good"
        run_expect 3 pgcask list
        expect_err "'main/backup/$new/manifest.json'"
        expect_out "$old"
        expect_no_out "$new"
        ok "manifest $what"
    done <<<"$manifest_rows"
    heal
    run_expect 0 pgcask verify --all --deep
}

test_a_manifest_that_changed_since_it_was_seen()
{
    local file

    fresh_scene seen
    run_expect 0 pgcask list
    file=$dir/one/main/backup/$new/manifest.json
    sign_manifest job daily2
    run_expect 1 pgcask verify "$new"
    expect_err "'main/backup/$new/manifest.json'"
}

test_a_lost_manifest_makes_it_no_backup()
{
    fresh_scene lost
    rm "$dir/one/main/backup/$new/manifest.json"
    run_expect 0 pgcask list
    expect_no_out "$new"
    run_expect 2 pgcask restore "$new" --into never
    expect_err "has no backup '$new'"
    run_expect 0 pgcask verify latest
    expect_out "$old one good"
}

test_foreign_files_in_a_store_do_no_harm()
{
    fresh_scene foreign
    echo hello >"$dir/one/README"
    echo hello >"$dir/one/main/backup/$new/notes.txt"
    mkdir "$dir/one/main/backup/not-an-id" "$dir/one/main/backup/$new/sub"
    echo hello >"$dir/one/main/backup/not-an-id/x"
    run_expect 0 pgcask list
    expect_out "$new"
    run_expect 0 pgcask verify --all --deep
    run_expect 0 pgcask backup
    [ -e "$dir/one/README" ]
    [ -e "$dir/one/main/backup/not-an-id/x" ]
}

test_the_wrong_identity_is_no_verdict()
{
    fresh_scene wrong
    run_expect 0 pgcask key new --output "$dir/other.txt"
    sed -i "s#^identity_file.*#identity_file = $dir/other.txt#" "$dir/pgcask.ini"
    run_expect 2 pgcask verify --deep
    expect_err "ERROR: backup '$new' cannot be decrypted with the keys of this host"
    run_expect 2 pgcask restore latest --into never
    expect_err "none of our keys opens"
    expect_err "HINT: "
    run_expect 2 pgcask restore latest --output "$dir/got.dump"
    [ ! -e "$dir/got.dump" ]
    run_expect 0 pgcask verify
    equal "$(pgcask list --json | jq -r 'last.state')" good
    run_expect 0 pgcask restore latest --identity "$dir/identity.txt" --output "$dir/got.dump"
    equal "$(sql postgres -c "SELECT count(*) FROM pg_database WHERE datname LIKE 'never%'")" 0
}

test_unencrypted_members_are_checked_by_sha256()
{
    scene plain
    configure <<END
$(section pgcask "state_dir = $dir/state" "encrypt = none" --)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = bulk" "settings_files = no")
END
    run_expect 0 pgcask backup
    equal "$(jq -r '.members[] | select(.role == "main") | .stored_digest' "$(backup_dir)/manifest.json")" \
        "sha256:$(sha256sum <"$(backup_dir)/bulk.dump.zst" | cut -d' ' -f1)"
    flip "$(backup_dir)/bulk.dump.zst" 5000
    run_expect 1 pgcask verify
    expect_err "bulk.dump.zst"
    run_expect 1 pgcask restore "$(latest_id)" --into never
    expect_err "bulk.dump.zst"
}

start_postgres
createdb bulk
psql -Xq -v mib=3 -d bulk -f "$top/tests/data/bulk.sql"
run_tests
