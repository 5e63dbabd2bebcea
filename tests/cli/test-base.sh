#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Base backups of a real server: made, verified, copied, and restored by hand, with tar, zstd and
# age alone; with WAL in the archive and with WAL taken along.

# shellcheck source=scene-base.sh
. "$(dirname "$0")/scene-base.sh"

# with PROGRAM ARGUMENT… - run the server's own program; those of some versions come without it, which is told
with()
{
    local program

    program=$(dirname "$(readlink -f "/proc/$("$pg" pid)/exe")")/$1
    shift
    if [ -x "$program" ]; then
        run_expect 0 "$program" "$@"
    else
        echo "    not tried: there is no '$program'"
    fi
}

test_a_backup_is_whole_verified_and_listed()
{
    local id

    scene whole
    base_config
    run_expect 0 pgcask backup
    expect_silent
    id=$(latest_id)
    run_expect 0 pgcask list
    expect_out "$id"
    expect_out "base  all"
    run_expect 0 pgcask show "$id"
    expect_out 'kind:        base, full'
    expect_out "taken along"
    expect_out 'tablespace:  '
    expect_out 'base.tar.zst.age'
    expect_out 'backup_manifest.zst.age'
    manifest_says .system_identifier "$system"
    manifest_says '.base.standby, .base.bad_pages, .base.timeline, .base.wal' $'false\n0\n1\ninclude'
    manifest_says '.base.segment_size' 16777216
    manifest_says '[.members[].role] | sort | join(" ")' 'backup_manifest base tablespace'
    equal "$(cat "$dir/one/main/backup/$id"/verdict-*-good.json | jq -r .depth)" plain 'depth of the verdict'
    run_expect 0 pgcask verify --deep "$id"
    expect_out "$id one good (plain bytes)"
    run_expect 0 pgcask -v verify --deep "$id"
    expect_err "each file as PostgreSQL's list says"
}

test_tar_zstd_and_age_are_enough()
{
    local place=$tmp/by-hand

    requires tar
    scene by-hand-keys
    base_config
    run_expect 0 pgcask backup
    contents >"$dir/before"
    unpack "$place"
    with pg_verifybackup "$place/data"
    adopt "$place"
    wake "$place"
    contents "$place" >"$dir/after"
    same "$dir/before" "$dir/after"
    equal "$(sql_of "$place" shop -c 'SELECT count(*) FROM bottle')" 20000 'bottles'
    equal "$(sql_of "$place" postgres -c "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'bottles'")" \
        "$(echo "$place"/ts-*)" 'where the tablespace lies'
    with pg_amcheck -h "$place/sock" -p "$(cat "$place/port")" -U postgres --install-missing shop
}

test_members_come_out_as_they_are()
{
    scene members
    base_config
    run_expect 0 pgcask backup
    run_expect 0 pgcask restore latest --member backup_manifest --output "$dir/list"
    jq -e '.Files | length > 500' "$dir/list" >/dev/null
    pgcask restore latest --member base.tar --output - | tar t >"$dir/names"
    grep -qx backup_label "$dir/names"
    grep -qx tablespace_map "$dir/names"
    grep -q '^pg_wal/0000000' "$dir/names"
}

# ---- the WAL it needs ----

test_it_waits_for_the_archive()
{
    local pid

    scene waits
    base_config "wal = archive"
    rm -f "$spool"/*
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 grep -q 'waiting for the WAL from' "$dir/said"
    is_running "$pid"
    equal "$(count_backups)" 0 'backups before the WAL is there'
    wait_until 60 [ "$(find "$spool" -type f ! -name '*.new' | wc -l)" -ge 1 ]
    while is_running "$pid"; do
        push_spool
        sleep 0.2
    done
    ended "$pid"
    equal "$code" 0 'exit code'
    equal "$(count_backups)" 1 'backups'
    manifest_says .base.wal archive
    pgcask restore latest --member base.tar --output - | tar t >"$dir/names"
    never grep -q '^pg_wal/0000000' "$dir/names"
}

test_wal_that_never_comes_is_named_and_nothing_stays()
{
    scene never
    base_config "wal = archive" "wal_timeout = 1s"
    run_expect 1 pgcask backup
    expect_err "WAL that the backup needs is missing: segment 0000000100000000000000"
    expect_err "HINT: "
    expect_err "archive_command = 'pgcask wal push %p'"
    expect_err "wal = include"
    nothing_but_the_label
}

test_wal_in_one_store_of_two_is_a_degraded_backup()
{
    local pid

    scene half
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section base "kind = base" "stores = one two" "wal_timeout = 20s")
END
    configure "$dir/push.ini" <<END
$(pgcask_section)
$(cluster_section "wal_stores = one")
$(store_section one)
$(store_section two)
END
    rm -f "$spool"/*
    start_bg pgcask -v backup 2>"$dir/said"
    pid=$bg_pid
    wait_until 60 grep -q 'waiting for the WAL from' "$dir/said"
    wait_until 60 [ "$(find "$spool" -type f ! -name '*.new' | wc -l)" -ge 1 ]
    while is_running "$pid"; do
        push_spool "$dir/push.ini"
        sleep 0.5
    done
    ended "$pid"
    equal "$code" 3 "exit code, $(cat "$dir/said")"
    grep -q "store 'two': WAL that the backup needs is missing" "$dir/said"
    equal "$(count_backups)" 1 'backups'
}

test_without_any_archive_it_is_told_before()
{
    scene no-archive
    base_config "wal = archive"
    sql postgres -c "ALTER SYSTEM SET archive_mode = off"
    "$pg" stop && "$pg" start
    cleanup_fn "$pg" start
    cleanup_fn "$pg" stop
    cleanup_fn sql postgres -c "ALTER SYSTEM RESET archive_mode"
    run_expect 1 pgcask backup
    expect_err 'the server archives no WAL (archive_mode = off)'
    expect_err 'wal = include'
    run_expect 1 pgcask check
    expect_out 'the server archives no WAL (archive_mode = off)'
    nothing_but_the_label
    base_config
    run_expect 0 pgcask check
    expect_out 'can be read as a base backup'
}

# ---- damage ----

test_bad_pages_fail_the_backup_or_are_recorded()
{
    local file

    scene damage
    sql shop -c 'CREATE TABLE victim AS SELECT g FROM generate_series(1, 5000) g' -c CHECKPOINT
    file=$main_base/data/$(sql shop -c "SELECT pg_relation_filepath('victim')")
    "$pg" stop && "$pg" start
    flip "$file" 4000
    flip "$file" 20000
    base_config
    run_expect 1 pgcask backup
    expect_err 'PostgreSQL found 2 pages with a wrong checksum'
    expect_err "$(basename "$file")"
    expect_err 'checksum_failures = record'
    nothing_but_the_label
    base_config "checksum_failures = record"
    run_expect 0 pgcask backup
    expect_err 'WARN: PostgreSQL found 2 pages with a wrong checksum'
    manifest_says .base.bad_pages 2
    run_expect 0 pgcask show latest
    expect_out 'BAD PAGES:   2'
    run_expect 0 pgcask verify --deep latest
    flip "$file" 4000
    flip "$file" 20000
    sql shop -c 'DROP TABLE victim'
}

# A stored file that is not what PostgreSQL's list says: no digest of ours is wrong, so only the list can tell.
test_a_file_that_is_not_as_the_list_says_is_found()
{
    local from name

    scene list
    base_config
    configure <<END
$(pgcask_section "encrypt = none" "recipient_file =" "identity_file =" | grep -v '_file =')
$(cluster_section)
$(store_section one)
$(base_job "wal = include")
END
    run_expect 0 pgcask backup
    from=$(backup_dir)
    zstd -dq "$from/base.tar.zst" -o "$dir/base.tar"
    name=$(tar tf "$dir/base.tar" | grep -E '^base/1/[0-9]+$' | head -n 1)
    flip "$dir/base.tar" $(($(tar tRf "$dir/base.tar" | sed -n "s|^block \([0-9]*\): $name\$|\1|p") * 512 + 600))
    rm "$from/base.tar.zst"
    seekable "$dir/base.tar" "$from/base.tar.zst"
    resign "$from/manifest.json" "$dir/base.tar" "$from/base.tar.zst"
    rm -rf "$dir/state"
    run_expect 1 pgcask verify --deep latest
    expect_out 'one bad'
    expect_err "$name"
}

# seekable FILE OUT - as one zstd frame with a table behind it
seekable()
{
    python3 - "$@" <<'END'
import struct, subprocess, sys
plain = open(sys.argv[1], 'rb').read()
size = 4 << 20
frames = []
for i in range(0, len(plain), size):
    piece = plain[i:i + size]
    frames.append((len(piece), subprocess.run(['zstd', '-q', '-c', '--check', '--stream-size=%d' % len(piece)], input=piece,
                                              stdout=subprocess.PIPE, check=True).stdout))
with open(sys.argv[2], 'wb') as out:
    for _, frame in frames:
        out.write(frame)
    out.write(struct.pack('<II', 0x184D2A5E, 8 * len(frames) + 9))
    for plain_len, frame in frames:
        out.write(struct.pack('<II', len(frame), plain_len))
    out.write(struct.pack('<IBI', len(frames), 0, 0x8F92EAB1))
END
}

# resign MANIFEST PLAIN STORED - its member base.tar is these files now
resign()
{
    local digest

    requires xxhsum
    jq --arg plain "xxh3-128:$(xxhsum -H2 <"$2" | cut -d ' ' -f 1)" --arg stored "sha256:$(sha256sum <"$3" | cut -d ' ' -f 1)" \
        --argjson size "$(stat -c %s "$3")" 'del(.digest) | .members |= map(if .name == "base.tar" then
            .plain_digest = $plain | .stored_digest = $stored | .stored_size = $size else . end)' "$1" >"$dir/unsigned"
    digest=$(jq -cjS . "$dir/unsigned" | sha256sum | cut -d ' ' -f 1)
    rm "$1"
    jq --arg digest "sha256:$digest" '.digest = $digest' "$dir/unsigned" >"$1"
}

# ---- rights ----

test_a_role_that_may_not_replicate_hears_the_cure()
{
    scene role
    sql postgres -c 'CREATE ROLE reader LOGIN'
    base_config
    sed -i 's/user=postgres/user=reader/' "$dir/pgcask.ini"
    run_expect 1 pgcask backup
    expect_err 'could not connect to PostgreSQL'
    expect_err 'ALTER ROLE … REPLICATION'
    sql postgres -c 'ALTER ROLE reader REPLICATION'
    run_expect 0 pgcask backup # more it does not need
    expect_silent
}

test_taken_wal_senders_are_told()
{
    local i fd

    scene senders
    base_config
    mkfifo "$dir/hold"
    for ((i = 0; i < 10; i++)); do
        # shellcheck disable=SC2016 # the inner shell's
        start_bg sh -c 'exec psql -XAtq "replication=yes dbname=postgres" <"$1" >"$1.said" 2>&1' sh "$dir/hold"
    done
    exec {fd}>"$dir/hold"
    wait_until 20 senders_are 10
    run_expect 1 pgcask backup
    expect_err 'max_wal_senders'
    expect_err 'HINT: all WAL senders are taken'
    exec {fd}>&-
    wait_until 20 senders_are 0
    run_expect 0 pgcask backup
}

test_without_a_free_slot_it_goes_on_and_says_so()
{
    scene slots
    base_config
    sql postgres -c "SELECT pg_create_physical_replication_slot('taken_' || n) FROM generate_series(1, 10) n" >"$dir/made"
    run_expect 0 pgcask backup
    expect_err 'all replication slots are in use, going on without a slot'
    sql postgres -c 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots' >"$dir/dropped"
}

senders_are() # COUNT
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_stat_replication")" = "$1" ]
}

test_options_of_dumps_are_refused()
{
    scene options
    base_config
    run_expect 2 pgcask backup --database shop
    expect_err "job 'base' is a base backup, which is always of the whole cluster"
    run_expect 2 pgcask backup --schema-only
    base_config "databases = shop"
    run_expect 2 pgcask backup
    expect_err 'databases: this goes with kind = dump only'
    base_config "max_rate = 1KiB"
    run_expect 2 pgcask backup
    expect_err 'max_rate: the server cannot go that slow'
}

# ---- the wire, and other stores ----

test_what_the_server_compresses_is_stored_as_ever()
{
    local kind

    for kind in zstd lz4; do
        scene "wire-$kind"
        base_config "wire_compress = $kind" "max_rate = 512MiB" "checkpoint = spread"
        run_expect 0 pgcask backup
        expect_silent
        plain_object "$(role_object base)" | tar t | grep -qx global/pg_control
        run_expect 0 pgcask verify --deep latest
    done
}

test_it_can_be_copied_from_store_to_store()
{
    local id

    scene copied
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(base_job "wal = include")
END
    run_expect 0 pgcask backup
    id=$(latest_id)
    run_expect 0 pgcask copy "$id" --to two
    run_expect 0 pgcask verify --deep --store two "$id"
    expect_out "$id two good (plain bytes)"
}

test_the_latest_dump_is_not_a_base_backup()
{
    scene both
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section dump "databases = shop" "settings_files = no")
$(base_job "wal = include")
END
    run_expect 0 pgcask backup dump
    next_second
    run_expect 0 pgcask backup base
    run_expect 0 pgcask restore latest --database shop --into shop_again
    equal "$(sql shop_again -c 'SELECT count(*) FROM stock')" 60000 'rows'
    dropdb shop_again
}

test_another_server_begins_a_new_history()
{
    local place=$tmp/other

    scene other-server
    base_config
    run_expect 0 pgcask backup
    PG_BASE=$place "$pg" start
    cleanup_fn env PG_BASE="$place" "$pg" wipe
    sed -i "s|^conninfo = .*|conninfo = host=$place/sock port=$(cat "$place/port") user=postgres|" "$dir/pgcask.ini"
    next_second
    run_expect 0 pgcask backup
    expect_err 'the server is another one than that of backup'
    expect_err 'A new history begins'
}

start_archiving_postgres
load_shop

run_tests "$@"
