#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# A throw-away Ceph with its S3 gateway, for tests. Ceph 16.2 of Debian 12, or newer (ceph-new.sh).
#
#   tests/servers/ceph.sh start           make the cluster when there is none, start what is down
#   tests/servers/ceph.sh stop            clean shut-down of everything, what is stored stays
#   tests/servers/ceph.sh kill            kill -9 of everything, as a power cut
#   tests/servers/ceph.sh restart         the gateway only; its ports stay
#   tests/servers/ceph.sh status          one line for each process
#   tests/servers/ceph.sh env             shell lines that say where it is: eval "$(tests/servers/ceph.sh env)"
#   tests/servers/ceph.sh wipe            kill, and remove everything
#   tests/servers/ceph.sh quota BYTES     what each bucket of `main` may hold, or `off`; more is 403 QuotaExceeded
#   tests/servers/ceph.sh kill-gateway    kill -9; connections are refused from then on
#   tests/servers/ceph.sh start-gateway   at its old ports
#   tests/servers/ceph.sh kill-osd N      kill -9 of one disk's process, 0 is the first
#   tests/servers/ceph.sh start-osd N     bring it back
#   tests/servers/ceph.sh admin ARGS…     radosgw-admin of this cluster
#
# Environment: CEPH_BASE says where it lives (default: pgcask-ceph-<uid> in $TMPDIR or /tmp). The others
# are read when the cluster is made:
#   CEPH_STORE      memstore (default: fast, empty again after a kill) or bluestore (files)
#   CEPH_OSDS       how many disks; 3 copies from 3 on (default: 1, one copy)
#   LC_DEBUG        seconds that count as a day in lifecycle rules and thaws (default: real days)
#   CLOUD_TIER      self, or "URL KEY SECRET" of another server: objects that a lifecycle rule moves to GLACIER or
#                   DEEP_ARCHIVE go there and must be thawed to be read. From Ceph 20 on.
#   RESTORE_PERIOD  a thaw stays ongoing for up to so many seconds (default: 1; with LC_DEBUG)
#   DEBUG_RGW       how much $CEPH_BASE/log/client.rgw.a.log tells (default: 1, a line for each request)
#
# It listens on 127.0.0.1 only, at free ports. Processes are ended by the pids they wrote, after a look at whether
# it is still them. Users: `main`, who owns what tests make, and `reader` and `stranger`, who have no rights until
# a bucket policy gives them some.
set -eu

base=${CEPH_BASE:-${TMPDIR:-/tmp}/pgcask-ceph-$(id -u)}
conf=$base/ceph.conf
classes='STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER_IR'
cold='GLACIER DEEP_ARCHIVE'
main_key=MAINKEY0000000000000
main_secret='cooper/stave+hoop/000000000000000000main' # secrets of real servers have / and +, too
reader_key=READERKEY00000000000
reader_secret='cooper/stave+hoop/0000000000000000reader'
stranger_key=STRANGERKEY000000000
stranger_secret='cooper/stave+hoop/00000000000000stranger'
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8 CEPH_CONF=$conf
mark=$conf # stands in the command line of all our processes
# shellcheck source=lib-server.sh
. "$(dirname "$0")/lib-server.sh"

# names - of all processes, gateway first and monitor last
names()
{
    local i

    echo rgw
    for ((i = 0; i < osds; i++)); do
        echo "osd.$i"
    done
    echo mon
}

end_all()
{
    local name

    for name in $(names); do
        end "$name" "${1:-0}"
    done
}

choose_ports()
{
    echo "$(free_port) $(free_port) $(free_port)" >"$base/ports"
}

# Two things the monitor and the gateway need to agree without keys: auth none, and crc in place of secure.
# Nothing here waits for ceph-mgr. With its cache on, a gateway waits 30 s for the one killed before it, whenever a
# bucket is made. A cluster without real disks must not judge how full the machine is.
write_conf()
{
    local copies=1 fast=true

    [ "$osds" -lt 3 ] || copies=3
    [ "$store" != memstore ] || fast=false # it has to write what it holds
    cat >"$conf" <<END
[global]
fsid = $(uuid)
mon_initial_members = a
mon_host = [v2:127.0.0.1:$port_mon]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_client_mode = crc
ms_service_mode = crc
ms_cluster_mode = crc
run_dir = $base/run
admin_socket =
log_file = $base/log/\$name.log
crash_dir = $base/crash
mon_warn_on_insecure_global_id_reclaim = false
mon_warn_on_insecure_global_id_reclaim_allowed = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_osd_nearfull_ratio = .97
mon_osd_backfillfull_ratio = .98
mon_osd_full_ratio = .99
osd_failsafe_full_ratio = .995
mon_data_avail_warn = 1
mon_data_avail_crit = 1
mon_cluster_log_file = $base/log/cluster.log
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_crush_chooseleaf_type = 0
osd_pool_default_size = $copies
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
rgw_cache_enabled = false
[mon.a]
mon_data = $base/mon.a
[osd]
osd_data = $base/osd.\$id
osd_objectstore = $store
memstore_device_bytes = 17179869184
osd_fast_shutdown = $fast
bluestore_block_size = 17179869184
bluestore_block_db_create = false
bluestore_block_wal_create = false
bluestore_cache_size = 268435456
osd_memory_target = 939524096
osd_max_object_name_len = 2048
osd_max_object_namespace_len = 256
osd_op_num_shards = 2
osd_class_dir = $(dirname "$(find /usr/lib -name libcls_rgw.so -print -quit)")
osd_class_load_list = *
osd_class_default_list = *
[client.rgw.a]
rgw_data = $base/rgw.a
rgw_frontends = beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$port_tls ssl_certificate=$base/tls/server.pem
rgw_dns_name = s3.localhost
rgw_enable_usage_log = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_bucket_quota_ttl = 0
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 30
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = testkey-1=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
debug_rgw = ${DEBUG_RGW:-1}
END
    if [ "${LC_DEBUG:-0}" -gt 0 ]; then
        cat >>"$conf" <<END
rgw_lc_debug_interval = $LC_DEBUG
rgw_restore_debug_interval = $LC_DEBUG
rgw_restore_processor_period = ${RESTORE_PERIOD:-1}
END
    fi
}

write_env()
{
    printf 'export %s=%q\n' S3_ENDPOINT "http://127.0.0.1:$port" S3_PORT "$port" \
        S3_ENDPOINT_TLS "https://127.0.0.1:$port_tls" S3_PORT_TLS "$port_tls" S3_CA "$base/tls/ca.crt" \
        S3_DOMAIN s3.localhost S3_REGION us-east-1 S3_KEY "$main_key" S3_SECRET "$main_secret" \
        S3_READER_KEY "$reader_key" S3_READER_SECRET "$reader_secret" \
        S3_STRANGER_KEY "$stranger_key" S3_STRANGER_SECRET "$stranger_secret" S3_KMS_KEY testkey-1 >"$base/env"
}

# daemon NAME COMMAND… - start what puts itself in the background, unless it runs
daemon()
{
    local name=$1

    shift
    alive "$name" && return
    if ! "$@" -c "$conf" --pid-file "$base/run/$name.pid" >>"$base/log/$name.out" 2>&1; then
        tail -n 20 "$base/log/$name.out" >&2
        return 1
    fi
}

start_mon()
{
    daemon mon ceph-mon -i a
}

# start_osd N
start_osd()
{
    daemon "osd.$1" ceph-osd -i "$1"
}

answers()
{
    (
        exec 3<>"/dev/tcp/127.0.0.1/$port"
        printf 'GET / HTTP/1.0\r\n\r\n' >&3
        read -r -t 10 line <&3
        [ -n "$line" ]
    ) 2>/dev/null
}

# The gateway would write its pid some time after it went to the background by itself: it is put there instead.
# Returns 2 when another program has taken a port meanwhile.
start_gateway()
{
    local turn log=$base/log/client.rgw.a.log

    if ! alive rgw; then
        setsid radosgw -f -n client.rgw.a -c "$conf" >>"$base/log/rgw.out" 2>&1 </dev/null &
        echo $! >"$base/run/rgw.pid"
    fi
    for ((turn = 0; turn < 1200; turn++)); do
        answers && return
        is_there rgw || break
        sleep 0.05
    done
    tail -n 20 "$log" >&2
    ! grep -q 'failed to bind\|Address already in use' "$log" || return 2
    return 1
}

admin()
{
    radosgw-admin -c "$conf" "$@" 2>>"$base/log/admin.log"
}

add_user()
{
    admin user create --uid "$1" --display-name "$1" --access-key "$2" --secret-key "$3" >/dev/null
}

# Storage classes are names for the same pool. Zone and zone group are read and written as a whole, because each call
# of radosgw-admin takes most of a second.
add_classes()
{
    local all="$classes $cold"

    [ -z "$tier" ] || all=$classes
    admin zone get --rgw-zone default >"$base/zone.json"
    admin zonegroup get --rgw-zonegroup default >"$base/zonegroup.json"
    python3 - "$base" "$all" <<'END'
import json
import sys

base, classes = sys.argv[1], sys.argv[2].split()
zone = json.load(open(base + '/zone.json'))
group = json.load(open(base + '/zonegroup.json'))
pools = zone['placement_pools'][0]['val']['storage_classes']
for name in classes:
    pools[name] = {'data_pool': pools['STANDARD']['data_pool']}
target = group['placement_targets'][0]
target['storage_classes'] = sorted({'STANDARD', *target.get('storage_classes', []), *classes})
json.dump(zone, open(base + '/zone.json', 'w'))
json.dump(group, open(base + '/zonegroup.json', 'w'))
END
    admin zone set --rgw-zone default --infile "$base/zone.json" >/dev/null
    admin zonegroup set --rgw-zonegroup default --infile "$base/zonegroup.json" >/dev/null
    [ -z "$tier" ] || add_tier
}

add_tier()
{
    local class url key secret

    read -r url key secret <<<"$tier"
    for class in $cold; do
        admin zonegroup placement add --rgw-zonegroup default --placement-id default-placement \
            --storage-class "$class" --tier-type=cloud-s3 --tier-config="endpoint=$url,access_key=$key,secret=$secret,\
host_style=path,target_path=cold-$(echo "$class" | tr 'A-Z_' 'a-z-'),retain_head_object=true,\
restore_storage_class=STANDARD" >/dev/null
    done
}

add_disk()
{
    local id

    id=$(uuid)
    ceph osd new "$id" >/dev/null 2>>"$base/log/admin.log"
    mkdir -p "$base/osd.$1"
    ceph-osd -c "$conf" -i "$1" --mkfs --osd-uuid "$id" >>"$base/log/mkfs.out" 2>&1
    start_osd "$1"
}

# The first call of radosgw-admin makes the zone and its pools, hence the order. The gateway has to see the classes.
create_cluster()
{
    local i

    mkdir -p "$base"/{run,log,crash,mon.a,rgw.a}
    [ -s "$base/tls/server.pem" ] || make_tls
    tier=${CLOUD_TIER:-}
    [ "$tier" != self ] || tier="http://127.0.0.1:$port $main_key $main_secret"
    write_conf
    write_env
    monmaptool --create --clobber --addv a "[v2:127.0.0.1:$port_mon]" --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
        "$base/monmap" >/dev/null
    ceph-mon -c "$conf" -i a --mkfs --monmap "$base/monmap" >>"$base/log/mkfs.out" 2>&1 ||
        { cat "$base/log/mkfs.out" >&2; return 1; }
    start_mon
    for ((i = 0; i < osds; i++)); do
        add_disk "$i"
    done
    add_user main "$main_key" "$main_secret"
    add_classes
    add_user reader "$reader_key" "$reader_secret" &
    add_user stranger "$stranger_key" "$stranger_secret"
    wait $!
    start_gateway
}

forget_cluster()
{
    end_all
    rm -rf "$base"/{run,log,crash,mon.a,rgw.a,monmap,zone.json,zonegroup.json,env,made,stopped} "$base"/osd.* "$conf"
}

# Between choosing a port and listening on it somebody else may take it: choose again, twice.
make_cluster()
{
    local turn code

    for turn in 1 2 3; do
        forget_cluster
        [ -s "$base/ports" ] || choose_ports
        read -r port_mon port port_tls <"$base/ports"
        set +e
        (set -e; create_cluster)
        code=$?
        set -e
        if [ "$code" = 0 ]; then
            echo "$store $osds" >"$base/made"
            return
        fi
        [ "$code" = 2 ] || grep -qs 'unable to bind\|Address already in use' "$base"/log/*.log || break
        rm -f "$base/ports"
    done
    die "the cluster did not start; its logs are in '$base/log'"
}

# What memstore holds is written at a clean shut-down only: after a kill there is nothing to come back to.
is_lost()
{
    local i

    [ "$store" = memstore ] && [ ! -e "$base/stopped" ] || return 1
    for ((i = 0; i < osds; i++)); do
        alive "osd.$i" || return 0
    done
    return 1
}

cmd_start()
{
    local i

    mkdir -p "$base"
    if [ ! -e "$base/made" ] || is_lost; then
        make_cluster
        return
    fi
    start_mon
    for ((i = 0; i < osds; i++)); do
        start_osd "$i"
    done
    rm -f "$base/stopped"
    start_gateway
}

# A gateway keeps nothing, and the newer one takes half a minute to end when asked.
cmd_stop()
{
    [ -e "$base/made" ] || return 0
    end rgw 60
    end_all 600
    : >"$base/stopped"
}

cmd_status()
{
    local name

    for name in $(names); do
        if alive "$name"; then
            printf '%s pid %s, %d MiB\n' "$name" "$(cat "$base/run/$name.pid")" \
                "$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(cat "$base/run/$name.pid")/status")"
        else
            echo "$name is down"
        fi
    done
}

cmd_wipe()
{
    [ -e "$base" ] || return 0
    [ -e "$base/ports" ] || [ -z "$(ls -A "$base")" ] || die "'$base' is not a cluster of this script"
    end_all
    rm -rf "$base"
}

# The limit is that of a bucket: what a user holds in all of them, the gateway counts with a long delay.
cmd_quota()
{
    case ${1:-} in
        off) admin quota disable --quota-scope=bucket --uid main ;;
        *[!0-9]* | '') die "quota wants a number of bytes or off, not '${1:-}'" ;;
        *)
            admin quota set --quota-scope=bucket --uid main --max-size="$1"
            admin quota enable --quota-scope=bucket --uid main
            ;;
    esac
}

store=${CEPH_STORE:-memstore}
osds=${CEPH_OSDS:-1}
case $store in memstore | bluestore) ;; *) die "CEPH_STORE is memstore or bluestore, not '$store'" ;; esac
[ ! -e "$base/made" ] || read -r store osds <"$base/made"
[ ! -e "$base/ports" ] || read -r port_mon port port_tls <"$base/ports"

case ${1:-} in
    start) cmd_start ;;
    stop) cmd_stop ;;
    kill) end_all ;;
    restart) end rgw 60; start_gateway ;;
    status) cmd_status ;;
    env) cat "$base/env" ;;
    wipe) cmd_wipe ;;
    quota) cmd_quota "${2:-}" ;;
    kill-gateway) end rgw ;;
    start-gateway) start_gateway ;;
    kill-osd) end "osd.${2:?which one}" ;;
    start-osd) start_osd "${2:?which one}" ;;
    admin) shift; radosgw-admin -c "$conf" "$@" ;;
    *)
        sed -n '/^#   tests/,/^#   tests.*admin/s/^#   \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
