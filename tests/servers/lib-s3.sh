# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# S3 servers for shell tests; sourced after lib.sh:
#
#     . "$(dirname "$0")/../lib.sh"
#     . "$top/tests/servers/lib-s3.sh"
#
#     test_a_backup_arrives()
#     {
#         s3_bucket                          # $bucket, gone with the test
#         s3 ls "$bucket" pgcask/
#     }
#
#     s3_start                               # one Ceph for the file
#     run_tests
#
# s3_start sets S3_ENDPOINT, S3_ENDPOINT_TLS, S3_CA, S3_KEY … (see ceph.sh env); never AWS_*, which pgcask looks for.
# What the faulty line and the scripted server can do is written in chaos.py and http-double.py.

# shellcheck disable=SC2034 # the tests read what is set here
# shellcheck disable=SC2154 # lib.sh has set $top and $tmp
true

servers=$top/tests/servers

# s3 COMMAND… - a client that is not ours: s3.py
s3()
{
    "$servers/s3.py" "$@"
}

# s3_start [NAME] - a Ceph for this file; settings such as LC_DEBUG=2 stand before it. Its script is in $ceph.
s3_start()
{
    requires ceph-mon ceph-osd radosgw radosgw-admin openssl python3
    export CEPH_BASE=$tmp/${1:-ceph}
    ceph=$servers/ceph.sh
    cleanup_fn env CEPH_BASE="$CEPH_BASE" "$ceph" wipe
    "$ceph" start || fail "Ceph did not start"
    eval "$("$ceph" env)"
}

# s3_bucket [lock] [versions] - a new bucket, its name in $bucket; removed at the end of the test
s3_bucket()
{
    bucket=bucket-$BASHPID-$RANDOM
    s3 mb "$bucket" "$@"
    cleanup_fn s3 rb "$bucket"
}

# s3_aws ARGUMENT… - the aws program against this server
s3_aws()
{
    AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_DEFAULT_REGION=$S3_REGION AWS_CONFIG_FILE=/dev/null \
        AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true \
        aws --endpoint-url "$S3_ENDPOINT" "$@"
}

# chaos_start [HOST:PORT] - a faulty line to the server (default: the gateway), address in $chaos_endpoint
chaos_start()
{
    chaos_dir=$(mktemp -d "$tmp/chaos.XXXXXX")
    : >"$chaos_dir/port"
    start_bg "$servers/chaos.py" "${1:-127.0.0.1:$S3_PORT}" "$chaos_dir/control" --log "$chaos_dir/log" \
        >"$chaos_dir/port"
    wait_until 20 test -s "$chaos_dir/port"
    chaos_endpoint=http://127.0.0.1:$(cat "$chaos_dir/port")
}

# chaos NAME=VALUE… - the faults from the next connection on; none without arguments
chaos()
{
    printf '%s\n' "$@" >"$chaos_dir/control.new"
    mv "$chaos_dir/control.new" "$chaos_dir/control"
}

# double_start [OPTION…] - a scripted server, address in $double_endpoint; it answers 404 until double_script
double_start()
{
    double_dir=$(mktemp -d "$tmp/double.XXXXXX")
    echo '{}' >"$double_dir/script"
    : >"$double_dir/port"
    start_bg "$servers/http-double.py" "$double_dir/script" --log "$double_dir/log" "$@" >"$double_dir/port"
    wait_until 20 test -s "$double_dir/port"
    double_endpoint=http://127.0.0.1:$(cat "$double_dir/port")
    [[ " $* " != *" --tls "* ]] || double_endpoint=${double_endpoint/http:/https:}
}

# double_script <<END - what it says from now on, JSON on stdin; clears the log
double_script()
{
    cat >"$double_dir/new"
    : >"$double_dir/log"
    mv "$double_dir/new" "$double_dir/script"
}

# double_rules RULE… - in front of the gateway: what no rule (JSON) answers, the gateway does
double_rules()
{
    printf '%s\n' "$@" | jq -cs --arg forward "$S3_ENDPOINT" '{forward: $forward, rules: .}' | double_script
}

# double_count [FILTER] - how many of the logged requests fit the jq filter: double_count '.method == "PUT"'
double_count()
{
    jq -s "map(select(${1:-true})) | length" "$double_dir/log"
}
