# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of `pgcask wal` share, on top of scene.sh: data directories that only look like
# some, and servers that archive into the scene's store.
#
#     . "$(dirname "$0")/scene-wal.sh"
#     wal_scene work               $dir with a config for the store one, and $data, a data directory of system $system
#     segment 1 5                  $data/pg_wal/000000010000000000000005, ready to be archived
#     run_expect 0 push 000000010000000000000005

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

system=7301234567890123456

# wal_scene NAME [CONFIG-LINE-OF-PGCASK…] - segments are of 1 MiB here
wal_scene()
{
    scene "$1"
    shift
    data=$dir/data
    mkdir -p "$data/pg_wal/archive_status" "$data/global"
    control "$system"
    wal_config "$@"
}

# wal_config [LINE…] - one cluster, the store one
wal_config()
{
    configure <<END
$(pgcask_section "jobs = 2" "$@")
[cluster main]
conninfo = host=/nowhere
$(store_section one)
END
}

# control SYSTEM - the pg_control of $data
control()
{
    python3 - "$data/global/pg_control" "$1" <<'END'
import struct, sys

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff

body = struct.pack('<QII', int(sys.argv[2]), 1300, 202209061)
body += bytes((i * 7) % 251 for i in range(288 - len(body)))
with open(sys.argv[1], 'wb') as f:
    f.write((body + struct.pack('<I', crc32c(body))).ljust(8192, b'\0'))
END
}

# wal_name TIMELINE NUMBER - of a segment of 1 MiB
wal_name()
{
    printf '%08X%08X%08X' "$1" $(($2 / 4096)) $(($2 % 4096))
}

# make_segment FILE TIMELINE NUMBER [SEED [SYSTEM [PAGES]]] - PAGES of them are written, zeros follow
make_segment()
{
    python3 - "$1" "$2" "$3" "${4:-1}" "${5:-$system}" "${6:-128}" <<'END'
import random, struct, sys

name, timeline, number, seed, system, pages = sys.argv[1], *map(int, sys.argv[2:])
noise = random.Random(number * 1000 + seed)
start = number << 20
with open(name, 'wb') as f:
    for page in range(128):
        if page >= pages:
            f.write(bytes(8192))
            continue
        header = struct.pack('<HHIQII', 0xd110, 2 if page == 0 else 0, timeline, start + page * 8192, 0, 0)
        if page == 0:
            header += struct.pack('<QII', system, 1 << 20, 8192)
        words = noise.randbytes(1024) + bytes([seed % 255 + 1]) * 6000
        f.write((header + words)[:8192].ljust(8192, b'\x55'))
END
}

# segment TIMELINE NUMBER [SEED [SYSTEM [PAGES]]] - in $data, and PostgreSQL wants it to be archived
segment()
{
    local name

    name=$(wal_name "$1" "$2")
    make_segment "$data/pg_wal/$name" "$@"
    touch "$data/pg_wal/archive_status/$name.ready"
}

# push NAME [OPTION…] - as PostgreSQL calls archive_command: in the data directory
push()
{
    local name=$1

    shift
    (cd "$data" && exec pgcask wal push "pg_wal/$name" "$@")
}

# fetch NAME DEST [OPTION…] - as restore_command
fetch()
{
    (cd "$data" && exec pgcask wal fetch "$@")
}

# archived [STORE] - the names that a store has, without digest and suffix, sorted
archived()
{
    (cd "$dir/${1:-one}" && find . -path './main/wal/*' -type f) | sed 's|.*/||; s|-[0-9a-f]*\.zst.*||' | sort
}

# object NAME [STORE] - the file of that object, wherever it is
object()
{
    find "$dir/${2:-one}" -type f -name "$1-*"
}

# records - the names of files that were sent ahead
records()
{
    find "$dir/state/wal" -path '*/sent-*' -type f ! -name ahead.lock 2>/dev/null | sed 's|.*/||' | sort
}

# archived_is NAME FILE [STORE] - what is decrypted and decompressed by others is the file
archived_is()
{
    age -d -i "$dir/identity.txt" "$(object "$1" "${3:-one}")" | zstd -dq >"$tmp/plain" || fail "'$1' cannot be read"
    same "$tmp/plain" "$2"
}

# ---- real servers ----

# as_server COMMAND… - as the user that pg.sh runs servers as
as_server()
{
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" --clear-groups env "$@"
    else
        "$@"
    fi
}

# server_scene NAME [CONFIG-LINE…] - a scene whose config, keys and stores belong to the server's user; $archive and $restore are commands
server_scene()
{
    server_user=$(id -un)
    if [ "$(id -u)" = 0 ]; then
        server_user=$(id -un postgres 2>/dev/null || echo nobody)
    fi
    scene "$1"
    shift
    mkdir -p "$dir/state" "$dir/one"
    wal_config "$@"
    chmod 755 "$tmp" "$dir"
    chown -R "$server_user" "$dir"
    as_server test -x "$build/pgcask" || skip "user '$server_user' cannot run '$build/pgcask'"
    # shellcheck disable=SC2034 # for those who source this
    archive="$build/pgcask -v --config $PGCASK_CONFIG wal push %p"
    restore="$build/pgcask -v --config $PGCASK_CONFIG wal fetch %f %p"
}

# start_server NAME CONF - a server of that name with those lines in its config; like start_postgres
start_server()
{
    export PG_CONF=$2
    start_postgres "$1"
    unset PG_CONF
}

# copy_server NAME - a running server's data directory, copied while it runs, without WAL: $tmp/NAME, not started
copy_server()
{
    local start='pg_backup_start' stop='pg_backup_stop()'

    if [ "$(sql postgres -c 'SHOW server_version_num')" -lt 150000 ]; then
        start='pg_start_backup' stop='pg_stop_backup(false)'
    fi
    mkdir -m 711 "$tmp/$1"
    mkdir -m 755 "$tmp/$1/sock"
    free_port >"$tmp/$1/port"
    sql postgres >"$tmp/out" 2>&1 <<END || fail "$(cat "$tmp/out")"
SELECT $start('copy', true$([ "$start" = pg_backup_start ] || echo ', false'));
\! cp -a '$PG_BASE/data' '$tmp/$1/data' 2>/dev/null
\o '$tmp/label'
SELECT labelfile FROM $stop;
END
    rm -f "$tmp/$1/data/postmaster.pid" "$tmp/$1/data/postmaster.opts"
    find "$tmp/$1/data/pg_wal/" -type f -delete
    cp "$tmp/label" "$tmp/$1/data/backup_label"
    chown -R "$server_user" "$tmp/$1"
    cat >>"$tmp/$1/data/postgresql.auto.conf" <<END
unix_socket_directories = '$tmp/$1/sock'
restore_command = '$restore'
archive_mode = off
END
    touch "$tmp/$1/data/recovery.signal"
    chown "$server_user" "$tmp/$1/data/recovery.signal"
}

# recover NAME - start that copy, wait for the end of its recovery; PGHOST and PGPORT are its own then
recover()
{
    export PG_BASE=$tmp/$1
    cleanup_fn env PG_BASE="$PG_BASE" "$pg" wipe
    "$pg" start 2>"$tmp/err" || fail "the copy did not start: $(tail -n 30 "$tmp/$1/server.log")"
    eval "$("$pg" env)"
    wait_until 120 promoted
}

promoted()
{
    [ "$(sql postgres -c 'SELECT pg_is_in_recovery()')" = f ]
}

# all_archived - PostgreSQL has nothing left that is ready
all_archived()
{
    [ "$(sql postgres -c "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")" = 0 ]
}

# switch_wal - end the segment, so that all up to now is to be archived
switch_wal()
{
    sql postgres -c 'SELECT pg_switch_wal()' >/dev/null
}
