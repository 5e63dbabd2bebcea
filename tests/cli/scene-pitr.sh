# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of point-in-time recovery share, on top of scene.sh: a server that archives by
# `pgcask wal push`, and copies of it that fetch by `pgcask wal fetch`. PostgreSQL runs both as its own
# user, who cannot look into the build tree of everybody: the program is copied to where he can.
#
#     start_archiving_postgres ; scene_pitr work ; on_server backup base ; restore_copy NAME OPTION…

# shellcheck source=scene.sh
. "$(dirname "${BASH_SOURCE[0]}")/scene.sh"

# as_server COMMAND… - as the user the server runs as
as_server()
{
    "${as_server[@]}" "$@"
}

# on_server ARGUMENT… - pgcask there
on_server()
{
    as_server "$tmp/bin/pgcask" --config "$dir/pgcask.ini" "$@"
}

# start_archiving_postgres - as start_postgres; sets $main_base and $server_bin
start_archiving_postgres()
{
    main_base=$tmp/pg
    export PG_CONF="archive_mode = on
wal_keep_size = 0
autovacuum = off"
    start_postgres
    unset PG_CONF
    as_server=(env "HOME=$tmp")
    [ "$(id -u)" != 0 ] || as_server=(setpriv --reuid "$(stat -c %u "$main_base/data")"
        --regid "$(stat -c %g "$main_base/data")" --clear-groups "${as_server[@]}")
    server_bin=$(dirname "$(readlink -f "/proc/$("$pg" pid)/exe")")
    mkdir -m 755 "$tmp/bin" "$tmp/bin/plugins"
    install -m 755 "$build/core/pgcask" "$tmp/bin/pgcask"
    install -m 644 "$build"/plugins/.libs/pgcask-local-storage.so "$tmp/bin/plugins/"
}

# scene_pitr NAME - as scene, with the config of cluster, stores one and (unless it is asked for, unused) two, job base; the
# server archives into it from now on
scene_pitr()
{
    scene "$1"
    cat >"$dir/pgcask.ini" <<END
$(pgcask_section "plugin_dir = $tmp/bin/plugins" "jobs = 2")
$(cluster_section)
$(store_section one)
$(job_section base "kind = base")
END
    chmod -R go-rwx "$dir"
    chown -R --reference="$main_base/data" "$dir"
    sql postgres -c "ALTER SYSTEM SET archive_command = '$tmp/bin/pgcask --config $dir/pgcask.ini wal push %p'" \
        -c 'SELECT pg_reload_conf()' >/dev/null
    archive_now
}

is_archived() # SEGMENT
{
    [ "$(sql postgres -c "SELECT last_archived_wal >= '$1' FROM pg_stat_archiver")" = t ]
}

# archive_now - all that was written up to now is in the stores
archive_now()
{
    local segment

    segment=$(sql postgres -c "SELECT pg_create_restore_point('end'), pg_walfile_name(pg_current_wal_lsn())" | cut -d'|' -f2)
    sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
    wait_until 60 is_archived "$segment"
}

# load COUNT - so many transactions more, each a row
load()
{
    sql postgres -c "DO \$\$ BEGIN FOR i IN 1..$1 LOOP
        INSERT INTO ledger SELECT coalesce(max(n), 0) + 1 FROM ledger; COMMIT; END LOOP; END \$\$"
}

time_now()
{
    sql postgres -c "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'"
}

lsn_now()
{
    sql postgres -c 'SELECT pg_current_wal_insert_lsn()'
}

# later_second - the clock goes on, so that a time lies between two transactions, and between two files of WAL
later_second()
{
    sleep 1.1
}

# ---- copies ----

copy_data() # NAME
{
    echo "$tmp/copy-$1/data"
}

# new_place NAME - a directory for a copy, which belongs to the server's user
new_place()
{
    mkdir -p "$tmp/copy-$1/sock"
    chmod 711 "$tmp/copy-$1"
    chown --reference="$main_base/data" "$tmp/copy-$1" "$tmp/copy-$1/sock"
}

# restore_copy NAME OPTION… - the newest backup that serves (or $id)
restore_copy()
{
    local name=$1

    shift
    new_place "$name"
    run_expect 0 on_server restore "${id:-latest}" --data-dir "$(copy_data "$name")" "$@"
    equal "$(cat "$tmp/out")" "$(copy_data "$name")" "what restore prints"
}

copy_sql() # NAME ARGUMENT…
{
    local name=$1

    shift
    PGHOST=$tmp/copy-$name/sock PGPORT=$(cat "$tmp/copy-$name/port") sql postgres "$@"
}

copy_has_arrived() # NAME
{
    [ "$(copy_sql "$1" -c "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE true END")" = t ]
}

# start_copy NAME - its log shows a clean recovery
start_copy()
{
    local place=$tmp/copy-$1

    [ -e "$place/port" ] || free_port >"$place/port"
    grep -q "^unix_socket_directories = '$place/sock'" "$place/data/postgresql.conf" ||
        echo "unix_socket_directories = '$place/sock'" >>"$place/data/postgresql.conf"
    cleanup_fn env PG_BASE="$place" "$pg" wipe
    PG_BASE=$place "$pg" start
    never grep -E 'PANIC|FATAL|ERROR' "$place/server.log"
}

# wake_copy NAME - start it, and wait until it has reached its target
wake_copy()
{
    start_copy "$1"
    wait_until 60 copy_has_arrived "$1"
}

stop_copy() # NAME
{
    PG_BASE=$tmp/copy-$1 "$pg" stop
}

# copy_rows NAME WANTED - the ledger, without a hole
copy_rows()
{
    equal "$(copy_sql "$1" -c 'SELECT count(*), min(n), max(n) FROM ledger')" "$2|1|$2" "the ledger of copy '$1'"
}

# copy_state NAME in_recovery|promoted
copy_state()
{
    local want=t

    [ "$2" = in_recovery ] || want=f
    equal "$(copy_sql "$1" -c 'SELECT pg_is_in_recovery()')" "$want" "recovery of copy '$1'"
}

verify_files() # NAME - PostgreSQL's own look at it, where that program came with the server
{
    [ -x "$server_bin/pg_verifybackup" ] || return 0
    as_server "$server_bin/pg_verifybackup" -q -n "$(copy_data "$1")"
}
