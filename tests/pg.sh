#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# A throw-away PostgreSQL server for tests and for quickstart.sh.
#
#   tests/pg.sh start          make the cluster when there is none, start the server when it is down
#   tests/pg.sh stop [MODE]    shut down: fast (default), smart, immediate
#   tests/pg.sh crash          kill -9 all processes of this server
#   tests/pg.sh wipe           stop, and remove everything
#   tests/pg.sh env            shell lines that point libpq at it: eval "$(tests/pg.sh env)"
#   tests/pg.sh psql ARGS…     psql as superuser, errors stop it
#   tests/pg.sh pid            of the server's first process
#
# Environment, read by `start` when it makes the cluster except for PG_BASE and PG_BINDIR:
#   PG_BASE     where it lives (default: pgcask-pg-<uid> in $TMPDIR or /tmp); sock/, data/, server.log
#   PG_BINDIR   PostgreSQL's programs (default: Debian's 15, else its newest, else pg_config --bindir);
#               other versions: tests/servers/postgres.sh. Without a psql there, the one in PATH is taken
#   PG_PORT     default: a free one, kept over restarts
#   PG_FSYNC    on or off (default: off; a crash of the machine, not of the server, may ruin the cluster)
#   PG_CONF     more lines for postgresql.conf
#   PG_USER     who runs it when root calls (default: postgres, else nobody; PostgreSQL refuses root)
#
# Superuser `postgres`: trusted on the socket, password `cooper` on TCP (127.0.0.1, scram).
# Role `backup`, password `stave`: may replicate and read all settings and statistics, nothing else.
set -eu

base=${PG_BASE:-${TMPDIR:-/tmp}/pgcask-pg-$(id -u)}
data=$base/data
sock=$base/sock

find_bindir()
{
    local dir

    if [ -n "${PG_BINDIR:-}" ]; then
        echo "$PG_BINDIR"
        return
    fi
    for dir in /usr/lib/postgresql/15/bin $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$dir/initdb" ]; then
            echo "$dir"
            return
        fi
    done
    pg_config --bindir
}

die()
{
    echo "pg.sh: $*" >&2
    exit 1
}

# as_server COMMAND… - as the user the server runs as, with a small environment
as_server()
{
    local to=()

    [ -z "$user" ] || to=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
    (cd / && exec "${to[@]}" env -i PATH="$bindir:$PATH" HOME="$base" LC_ALL=C.UTF-8 TZ=UTC "$@")
}

server_psql()
{
    local program=$bindir/psql

    [ -x "$program" ] || program=psql
    PGHOST=$sock PGPORT=$(cat "$base/port") PGUSER=postgres PGDATABASE=${PGDATABASE:-postgres} \
        "$program" -X -v ON_ERROR_STOP=1 "$@"
}

server_pid()
{
    head -n 1 "$data/postmaster.pid" 2>/dev/null
}

# An ended process whose parent has not collected it is in state Z: gone, for us.
alive()
{
    [ -r "/proc/$1/stat" ] && ! grep -q '^[0-9]* (.*) Z' "/proc/$1/stat" 2>/dev/null
}

free_port()
{
    local port

    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

write_settings()
{
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = '$sock'
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off
wal_level = replica
max_wal_senders = 10
max_replication_slots = 10
max_wal_size = '4GB'
fsync = ${PG_FSYNC:-off}
${PG_CONF:-}
END
    cat >"$data/pg_hba.conf" <<'END'
local   all,replication   all                  trust
host    all               all   127.0.0.1/32   scram-sha-256
host    replication       all   127.0.0.1/32   scram-sha-256
END
}

create_cluster()
{
    mkdir -p "$sock" "$data"
    chmod 711 "$base"
    chmod 755 "$sock"
    chmod 700 "$data"
    [ -z "$user" ] || chown "$user" "$base" "$sock" "$data"
    as_server test -x "$base/." || die "user '${user:-you}' cannot reach '$base': its parents must be open to it (0711)"
    as_server test -x "$bindir/postgres" || die "user '${user:-you}' cannot run '$bindir/postgres'"
    [ ${#sock} -lt 90 ] || die "the path of the socket directory is ${#sock} bytes long, at most 89 work: '$sock'"
    echo "${PG_PORT:-$(free_port)}" >"$base/port"
    if ! as_server "$bindir/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --data-checksums -N \
        >"$base/initdb.log" 2>&1; then
        cat "$base/initdb.log" >&2
        die "initdb failed"
    fi
    write_settings
}

run_server()
{
    as_server "$bindir/pg_ctl" -D "$data" -l "$base/server.log" -o "-p $(cat "$base/port")" -w -t 120 start \
        >"$base/pg_ctl.log" 2>&1
}

# Between choosing a port and listening on it somebody else may take it: choose again, twice.
start_server()
{
    local turn

    for turn in 1 2 3; do
        run_server && return
        if [ "$turn" = 3 ] || [ -n "${PG_PORT:-}" ] || ! grep -q 'could not bind' "$base/server.log"; then
            break
        fi
        free_port >"$base/port"
        : >"$base/server.log"
    done
    tail -n 20 "$base/server.log" >&2
    die "the server did not start; its log is '$base/server.log'"
}

create_roles()
{
    server_psql -q <<'END'
SET client_min_messages = warning;
ALTER ROLE postgres PASSWORD 'cooper';
CREATE ROLE backup LOGIN REPLICATION PASSWORD 'stave';
GRANT pg_read_all_settings, pg_read_all_stats TO backup;
END
}

cmd_start()
{
    local pid new=

    if [ ! -s "$data/PG_VERSION" ]; then
        create_cluster
        new=1
    fi
    pid=$(server_pid || :)
    if [ -n "$pid" ] && alive "$pid" && as_server "$bindir/pg_ctl" -D "$data" status >/dev/null; then
        return
    fi
    start_server
    [ -z "$new" ] || create_roles
}

cmd_stop()
{
    local pid

    pid=$(server_pid || :)
    if [ -n "$pid" ] && alive "$pid"; then
        as_server "$bindir/pg_ctl" -D "$data" -m "${1:-fast}" -w -t 120 stop >/dev/null
    fi
}

children_of()
{
    local status

    for status in /proc/[0-9]*/status; do
        awk -v parent="$1" '/^Pid:/ { pid = $2 } /^PPid:/ && $2 == parent { print pid }' "$status" 2>/dev/null || :
    done
}

# wait_ended PID… - up to 10 s each; a process nobody collects counts as ended
wait_ended()
{
    local pid turn

    for pid; do
        for ((turn = 0; turn < 200; turn++)); do
            alive "$pid" || break
            sleep 0.05
        done
    done
}

# The first process is stopped before its children are listed, so that it starts no further ones.
# PostgreSQL takes an ended process that nobody collects (a container without an init) for a running
# server: then, all of them being dead, its pid file is removed.
cmd_crash()
{
    local pid turn all

    pid=$(server_pid) || die "no server runs in '$base'"
    kill -STOP "$pid" || die "no server runs in '$base'"
    all="$pid $(children_of "$pid")"
    # shellcheck disable=SC2086 # a list of pids
    {
        kill -KILL $all 2>/dev/null || :
        wait_ended $all
    }
    for ((turn = 0; turn < 40; turn++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    rm -f "$data/postmaster.pid"
}

cmd_wipe()
{
    [ -e "$base" ] || return 0
    [ -e "$base/port" ] || [ -e "$data" ] || die "'$base' is not a cluster of this script"
    cmd_stop immediate
    rm -rf "$base"
}

cmd_env()
{
    printf 'export PGHOST=%q PGPORT=%q PGUSER=postgres PGDATABASE=postgres\n' "$sock" "$(cat "$base/port")"
}

bindir=$(find_bindir)
user=
if [ "$(id -u)" = 0 ]; then
    user=${PG_USER:-$(id -un postgres 2>/dev/null || echo nobody)}
fi

case ${1:-} in
    start) cmd_start ;;
    stop) cmd_stop "${2:-fast}" ;;
    crash) cmd_crash ;;
    wipe) cmd_wipe ;;
    env) cmd_env ;;
    psql) shift; server_psql "$@" ;;
    pid) server_pid ;;
    *)
        sed -n '/^#   tests/,/^#   tests\/pg.sh pid/s/^#   \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
