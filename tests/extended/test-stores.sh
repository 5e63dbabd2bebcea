#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The s3 and glacier plugins against the servers that Debian 12 does not have: a newer Ceph whose cold objects must be
# thawed and whose checksums are checked, OpenStack Swift, which is strict where Ceph is lax; and a Ceph of three disks
# that loses one in the middle of a backup.

# shellcheck source=../s3/scene-s3.sh
. "$(dirname "$0")/../s3/scene-s3.sh"

# a chroot needs root, and is made by run.sh --extended
needs_root()
{
    [ "$(id -u)" = 0 ] || skip "a chroot needs root"
    "$servers/$1" setup
}

# new_ceph - with a cold tier; a day is three seconds, a thaw is looked after every six
new_ceph()
{
    needs_root ceph-new.sh
    export CEPH_BASE=$tmp/ceph-new LC_DEBUG=3 RESTORE_PERIOD=6 CLOUD_TIER=self
    cleanup_fn env CEPH_BASE="$CEPH_BASE" "$servers/ceph-new.sh" wipe
    "$servers/ceph-new.sh" start
    eval "$("$servers/ceph-new.sh" env)"
}

swift()
{
    needs_root swift.sh
    export SWIFT_BASE=$tmp/swift
    cleanup_fn env SWIFT_BASE="$SWIFT_BASE" "$servers/swift.sh" wipe
    "$servers/swift.sh" start
    eval "$("$servers/swift.sh" env)"
}

# conforms PLUGIN OPTION…
conforms()
{
    local plugin=$1 options=() option

    shift
    for option in "bucket=$bucket" "access_key=$S3_KEY" secret_key_env=S3_SECRET "endpoint=$S3_ENDPOINT" "$@"; do
        options+=(--set "$option")
    done
    run_expect 0 pgcask plugin check "$plugin" "${options[@]}" --keys 1100 --cold 90s
    grep -F '# SKIP' "$tmp/out" || :
}

# round NAME - the newest backup comes back
round()
{
    run_expect 0 pgcask restore latest --into "$1"
    "$top/tests/compare-db.sh" shop "$1"
    dropdb "$1"
}

test_s3_and_glacier_conform_to_the_newer_ceph()
{
    new_ceph
    s3_bucket
    conforms glacier "transition=after 1d"
    grep -qx 'ok .* - a cold object is refused and can be asked for' "$tmp/out" || fail "nothing was cold"
    plain_conforms s3
}

# the s3 plugin on the same server: its objects do not turn cold
plain_conforms()
{
    s3_bucket
    run_expect 0 pgcask plugin check "$1" --set "bucket=$bucket" --set "access_key=$S3_KEY" --set secret_key_env=S3_SECRET \
        --set "endpoint=$S3_ENDPOINT" --keys 1100
}

test_a_cold_backup_is_thawed_and_restored()
{
    new_ceph
    s3_scene cold "plugin = glacier" "transition = after 1d"
    run_expect 0 pgcask check --fix
    run_expect 0 pgcask backup daily
    id=$(latest_id)
    wait_until 120 is_tier cold
    run_expect 75 pgcask verify "$id" --deep
    run_expect 75 pgcask restore latest --into cold_back
    expect_err "3 to 5 hours"
    never db_exists cold_back
    wait_until 120 pgcask restore latest --into cold_back # called again, it carries on
    "$top/tests/compare-db.sh" shop cold_back
    dropdb cold_back
    # after its days it is cold again; this time the command waits
    wait_until 120 is_tier cold
    run_expect 0 pgcask restore latest --into waited --wait --poll 2s
    "$top/tests/compare-db.sh" shop waited
    dropdb waited
}

# is_tier WORD - the newest backup's copy is shown as that
is_tier()
{
    pgcask show "$(latest_id)" >"$tmp/show" 2>&1
    grep -q "$1" "$tmp/show"
}

test_the_newer_ceph_checks_and_keeps_checksums()
{
    new_ceph
    sql shop -c "CREATE TABLE bulky AS SELECT g, decode(md5(g::text) || md5((g * 7)::text) || md5((g * 11)::text) ||
                 md5((g * 13)::text), 'hex') AS r FROM generate_series(1, 100000) g"
    cleanup_fn psql -XAtqc 'DROP TABLE bulky' -d shop
    s3_scene sums "part_size = 5MiB"
    run_expect 0 pgcask backup daily
    key=$(key_of "$(latest_id)" shop.public.bulky.dump)
    s3 raw HEAD "/$bucket/$key" /dev/null "x-amz-checksum-mode: ENABLED" >"$tmp/head"
    grep -qi '^x-amz-checksum-crc32:' "$tmp/head" || fail "no checksum is kept: $(cat "$tmp/head")"
    round sums_back
}

test_swift_takes_backups_and_gives_them_back()
{
    swift
    plain_conforms s3
    s3_scene on-swift
    run_expect 0 pgcask backup daily
    run_expect 0 pgcask verify --all
    round swift_back
    s3_config "region = eu-north-7"
    run_expect 1 pgcask list
    expect_err "region is 'eu-north-7' here"
    # storage classes and locks it has not
    s3_config "storage_class = GLACIER"
    next_second
    run_expect 1 pgcask backup daily
    expect_err "storage class"
    s3_config "object_lock = governance" "object_lock_time = 1d"
    run_expect 1 pgcask backup daily
    expect_err "has no object lock"
}

test_a_ceph_of_three_disks_loses_one_in_the_middle_of_a_backup()
{
    export CEPH_STORE=bluestore CEPH_OSDS=3 CEPH_BASE=$tmp/three
    unset LC_DEBUG RESTORE_PERIOD CLOUD_TIER
    cleanup_fn "$servers/ceph.sh" wipe
    "$servers/ceph.sh" start
    eval "$("$servers/ceph.sh" env)"
    s3_scene on-three "bandwidth = 256KiB" "retries = 20" "stall_timeout = 20s"
    start_bg pgcask backup daily
    backup=$bg_pid
    wait_until 60 something_arrived
    "$servers/ceph.sh" kill-osd 1
    ended "$backup"
    equal "$code" 0 "exit code of the backup"
    s3_config "retries = 20"
    run_expect 0 pgcask verify --all
    round three_back
}

something_arrived()
{
    s3 ls "$bucket" some/where/main/backup/ | grep -q .
}

start_postgres
load_shop
run_tests "$@"
