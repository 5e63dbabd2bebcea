#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Every S3 server there is to test with starts, takes an object, survives a kill of its gateway, stops, comes back with
# what it had, and goes without a trace.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../servers/lib-s3.sh
. "$top/tests/servers/lib-s3.sh"

# count_of TEXT - how many processes have it in their command line, whoever wrote down their pids
count_of()
{
    local file count=0

    for file in /proc/[0-9]*/cmdline; do
        [[ $(tr '\0' ' ' 2>/dev/null <"$file") != *"$1"* ]] || count=$((count + 1))
    done
    echo "$count"
} 2>/dev/null

# walk SCRIPT DIRECTORY - the life of a server
walk()
{
    local script=$servers/$1 base=$2

    cleanup_fn "$script" wipe
    "$script" start
    eval "$("$script" env)"
    s3 mb cellar
    s3 put cellar 'one/object' "$tmp/data"
    s3 get cellar 'one/object' "$tmp/got"
    same "$tmp/got" "$tmp/data"
    "$script" kill-gateway
    run_expect 1 s3 ls cellar
    expect_err "Connection refused"
    "$script" start-gateway
    equal "$(s3 ls cellar)" one/object
    "$script" stop
    equal "$(count_of "$base/")" 0 "processes after a stop"
    "$script" start
    equal "$(s3 ls cellar)" one/object
    run_expect 0 "$script" status
    expect_no_out "is down"
    "$script" wipe
    equal "$(count_of "$base/")" 0 "processes after a wipe"
    [ ! -e "$base" ]
}

# needs_root SCRIPT - and the chroot, which run.sh --extended makes
needs_root()
{
    [ "$(id -u)" = 0 ] || skip "a chroot needs root"
    "$servers/$1" setup
}

test_ceph_in_memory()
{
    export CEPH_BASE=$tmp/memory
    walk ceph.sh "$CEPH_BASE"
}

test_ceph_with_three_copies_bears_the_loss_of_a_disk()
{
    export CEPH_BASE=$tmp/disks CEPH_STORE=bluestore CEPH_OSDS=3
    walk ceph.sh "$CEPH_BASE"
    cleanup_fn "$servers/ceph.sh" wipe
    "$servers/ceph.sh" start
    eval "$("$servers/ceph.sh" env)"
    s3 mb cellar
    "$servers/ceph.sh" kill-osd 1
    s3 put cellar one "$tmp/data"
    "$servers/ceph.sh" kill
    "$servers/ceph.sh" start
    s3 get cellar one "$tmp/got"
    same "$tmp/got" "$tmp/data"
}

test_newer_ceph()
{
    needs_root ceph-new.sh
    export CEPH_BASE=$tmp/new
    walk ceph-new.sh "$CEPH_BASE"
}

is_cold()
{
    s3 ll cellar | grep -q GLACIER
}

test_newer_ceph_thaws()
{
    local rule='<Rule><ID>cold</ID><Status>Enabled</Status><Filter><Prefix/></Filter>
        <Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>'

    needs_root ceph-new.sh
    export CEPH_BASE=$tmp/cold CLOUD_TIER=self LC_DEBUG=3 RESTORE_PERIOD=6
    cleanup_fn "$servers/ceph-new.sh" wipe
    "$servers/ceph-new.sh" start
    eval "$("$servers/ceph-new.sh" env)"
    s3 mb cellar
    s3 put cellar one "$tmp/data"
    s3 lifecycle cellar = - <<<"<LifecycleConfiguration>$rule</LifecycleConfiguration>"
    wait_until 60 is_cold
    run_expect 1 s3 get cellar one
    expect_err "403 InvalidObjectState"
    s3 thaw cellar one 100
    run_expect 0 s3 head cellar one
    expect_out "x-amz-restore: ongoing-request="
    wait_until 60 s3 get cellar one "$tmp/got"
    same "$tmp/got" "$tmp/data"
}

test_swift()
{
    needs_root swift.sh
    export SWIFT_BASE=$tmp/swift
    walk swift.sh "$SWIFT_BASE"
}

test_swift_is_strict()
{
    needs_root swift.sh
    export SWIFT_BASE=$tmp/swift
    cleanup_fn "$servers/swift.sh" wipe
    "$servers/swift.sh" start
    eval "$("$servers/swift.sh" env)"
    s3 mb cellar
    run_expect 1 env S3_REGION=eu-1 "$servers/s3.py" ls cellar
    expect_err "400 AuthorizationHeaderMalformed"
    run_expect 1 s3 --user reader ls cellar
    expect_err "403 AccessDenied"
    "$servers/swift.sh" quota 100
    run_expect 1 s3 put cellar one "$tmp/data"
    expect_err "400 EntityTooLarge"
    "$servers/swift.sh" quota off
    s3 put cellar one "$tmp/data"
}

head -c 1000000 /dev/urandom >"$tmp/data"
run_tests
