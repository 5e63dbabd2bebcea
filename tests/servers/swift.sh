#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# OpenStack Swift with its S3 interface, for tests: a second engine, strict where Ceph is lax (regions, order of parts,
# ids of uploads) and without much that Ceph has (policies, lifecycle, locks, storage classes, conditional writes:
# 400, 501 or silence). In a chroot of Debian 13; needs root.
#
#   tests/servers/swift.sh setup           make the chroot when there is none: about a minute
#   tests/servers/swift.sh start           make the server when there is none, start what is down
#   tests/servers/swift.sh stop            ask all processes to end; what is stored stays
#   tests/servers/swift.sh kill            kill -9 of everything, as a power cut
#   tests/servers/swift.sh restart         the gateway (Swift's proxy) only; its port stays
#   tests/servers/swift.sh status          one line for each process
#   tests/servers/swift.sh env             shell lines that say where it is: eval "$(tests/servers/swift.sh env)"
#   tests/servers/swift.sh wipe            kill, and remove everything
#   tests/servers/swift.sh quota BYTES     each bucket there is may hold so many; `off` ends it
#   tests/servers/swift.sh kill-gateway    kill -9; connections are refused from then on
#   tests/servers/swift.sh start-gateway   at its old port
#   tests/servers/swift.sh kill-osd 0      kill -9 of what keeps the objects
#   tests/servers/swift.sh start-osd 0     bring it back
#
# SWIFT_BASE says where it lives (default: pgcask-swift-<uid> in $TMPDIR or /tmp). It listens on 127.0.0.1 only, at
# free ports, http only: http-double.py can put https in front of it. Users: `main` owns the account, `reader` has no
# rights in it, `stranger` owns another one.
set -eu

suite=trixie
base=${SWIFT_BASE:-${TMPDIR:-/tmp}/pgcask-swift-$(id -u)}
servers='memcached account container object proxy' # in the order of their ports, and of starting
mark=pgcask-swift=$base
export LC_ALL=C.UTF-8
# shellcheck source=lib-server.sh
. "$(dirname "$0")/lib-server.sh"
# shellcheck source=lib-root.sh
. "$(dirname "$0")/lib-root.sh"

# port_of SERVER
port_of()
{
    awk -v name="$1" '$1 == name { print $2 }' "$base/ports"
}

write_common()
{
    cat >"$base/etc/swift.conf" <<END
[swift-hash]
swift_hash_path_suffix = pgcask
swift_hash_path_prefix = pgcask
[storage-policy:0]
name = default
default = yes
[swift-constraints]
max_header_size = 16384
END
}

# write_server account|container|object
write_server()
{
    cat >"$base/etc/$1.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $(port_of "$1")
swift_dir = $base/etc
devices = $base/disks
mount_check = false
user = root
workers = 0
log_name = $1
log_address = $base/run/no-log
recon_cache_path = $base/cache
fallocate_reserve = 0
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
END
}

write_proxy()
{
    local filter first='catch_errors gatekeeper cache listing_formats bulk'
    local then='copy container_quotas slo dlo versioned_writes symlink'

    cat >"$base/etc/proxy.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $(port_of proxy)
swift_dir = $base/etc
user = root
workers = 0
log_name = proxy
log_address = $base/run/no-log
[pipeline:main]
pipeline = $first s3api tempauth $then proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
recheck_container_existence = 0
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$(port_of memcached)
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
check_bucket_owner = true
location = us-east-1
dns_compliant_bucket_names = true
storage_domain = s3.localhost
allow_multipart_uploads = true
min_segment_size = 5242880
allowable_clock_skew = 900
[filter:tempauth]
use = egg:swift#tempauth
user_main_main = cooper/stave+hoop/main .admin
user_main_reader = cooper/stave+hoop/reader
user_stranger_stranger = cooper/stave+hoop/stranger .admin
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
END
    for filter in catch_errors gatekeeper listing_formats bulk copy container_quotas slo dlo symlink; do
        printf '[filter:%s]\nuse = egg:swift#%s\n' $filter $filter >>"$base/etc/proxy.conf"
    done
}

write_env()
{
    local port

    port=$(port_of proxy)
    printf 'export %s=%q\n' S3_ENDPOINT "http://127.0.0.1:$port" S3_PORT "$port" S3_DOMAIN s3.localhost \
        S3_REGION us-east-1 S3_KEY main:main S3_SECRET 'cooper/stave+hoop/main' \
        S3_READER_KEY main:reader S3_READER_SECRET 'cooper/stave+hoop/reader' \
        S3_STRANGER_KEY stranger:stranger S3_STRANGER_SECRET 'cooper/stave+hoop/stranger' >"$base/env"
}

# A ring says on which disk of which server an object is: there is one of each. Balancing it "fails" for that reason.
make_ring()
{
    cd "$base/etc"
    {
        swift-ring-builder "$1.builder" create 4 1 1
        swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$(port_of "$1")/disk" 1
        swift-ring-builder "$1.builder" rebalance || [ $? = 1 ]
    } >>"$base/log/ring.log"
}

make_server()
{
    local name

    mkdir -p "$base"/{etc,disks/disk,cache}
    for name in $servers; do
        echo "$name $(free_port)"
    done >"$base/ports"
    write_common
    write_proxy
    for name in account container object; do
        write_server $name
        make_ring $name &
    done
    wait
    write_env
    : >"$base/made"
}

# run_server NAME COMMAND… - in the background, unless it runs
run_server()
{
    local name=$1

    shift
    alive "$name" && return
    setsid "$@" >>"$base/log/$name.log" 2>&1 </dev/null &
    echo $! >"$base/run/$name.pid"
}

# Swift's programs look for swift.conf in /etc only, unless they are told before they begin.
start_swift()
{
    run_server "$1" python3 -c '
import runpy
import sys

import swift.common.utils

name, base = sys.argv[1:3]
swift.common.utils.SWIFT_CONF_FILE = base + "/etc/swift.conf"
swift.common.utils.validate_hash_conf()
program = f"/usr/bin/swift-{name}-server"
sys.argv = [program, f"{base}/etc/{name}.conf", "-v"]
runpy.run_path(program, run_name="__main__")
' "$1" "$base" "$mark"
}

start_server()
{
    if [ "$1" = memcached ]; then
        # shellcheck disable=SC2016 # expanded by the inner shell
        run_server memcached bash -c 'exec -a "$@"' bash "$mark" \
            memcached -l 127.0.0.1 -p "$(port_of memcached)" -U 0 -m 32 -u root
    else
        start_swift "$1"
    fi
}

# answers PORT
answers()
{
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

wait_for()
{
    local turn port

    port=$(port_of "$1")
    for ((turn = 0; turn < 600; turn++)); do
        answers "$port" && return
        is_there "$1" || break
        sleep 0.1
    done
    tail -n 20 "$base/log/$1.log" >&2
    die "Swift's $1 did not start; its log is '$base/log/$1.log'"
}

# in the chroot
cmd_start()
{
    local name

    mkdir -p "$base"/{log,run}
    [ -e "$base/made" ] || make_server
    for name in ${1:-$servers}; do
        start_server "$name"
    done
    for name in ${1:-$servers}; do
        wait_for "$name"
    done
}

end_all()
{
    local name

    for name in proxy object container account memcached; do
        end $name "${1:-0}"
    done
}

cmd_status()
{
    local name

    for name in $servers; do
        if alive "$name"; then
            echo "$name pid $(cat "$base/run/$name.pid")"
        else
            echo "$name is down"
        fi
    done
}

cmd_wipe()
{
    [ -e "$base" ] || return 0
    [ -e "$base/ports" ] || [ -z "$(ls -A "$base")" ] || die "'$base' is not a server of this script"
    end_all
    rm -rf "$base"
    root_forget $suite "$base"
}

cmd_quota()
{
    local bytes=$1

    case $1 in
        off) bytes= ;;
        *[!0-9]* | '') die "quota wants a number of bytes or off, not '$1'" ;;
    esac
    python3 - "$(port_of proxy)" "$bytes" <<'END'
import sys
import urllib.request

port, size = sys.argv[1:3]


def ask(url, headers, method='GET'):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method))


login = ask(f'http://127.0.0.1:{port}/auth/v1.0', {'X-Auth-User': 'main:main', 'X-Auth-Key': 'cooper/stave+hoop/main'})
url, token = login.headers['X-Storage-Url'], login.headers['X-Auth-Token']
for name in ask(url, {'X-Auth-Token': token}).read().decode().split():
    ask(f'{url}/{name}', {'X-Auth-Token': token, 'X-Container-Meta-Quota-Bytes': size}, 'POST')
END
}

# inside COMMAND… - this script, in the chroot
inside()
{
    root_run $suite "$base" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root SWIFT_BASE="$base" \
        /servers/swift.sh "$@"
}

case ${1:-} in
    setup) root_make $suite swift-proxy swift-account swift-container swift-object memcached libisal2 python3 ;;
    start) inside inside-start ;;
    start-gateway) inside inside-start proxy ;;
    start-osd) inside inside-start object ;;
    restart) end proxy 200; inside inside-start proxy ;;
    inside-start) cmd_start "${2:-}" ;;
    stop) end_all 200 ;;
    kill) end_all ;;
    status) cmd_status ;;
    env) cat "$base/env" ;;
    wipe) cmd_wipe ;;
    quota) cmd_quota "${2:-}" ;;
    kill-gateway) end proxy ;;
    kill-osd) end object ;;
    *)
        sed -n '/^#   tests/,/^#   tests.*start-osd/s/^#   \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
