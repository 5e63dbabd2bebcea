#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The S3 server, the faulty line and the scripted server that other tests rely on: do they do what they are there for?

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lib-s3.sh
. "$top/tests/servers/lib-s3.sh"
requires jq curl

# via ENDPOINT COMMAND… - the client, on a detour
via()
{
    "$servers/s3.py" --endpoint "$@"
}

test_what_is_put_is_listed_and_read()
{
    s3_bucket
    s3 put "$bucket" 'a key/ü+%.dump' "$tmp/data" 'x-amz-storage-class: GLACIER' 'x-amz-meta-job: daily'
    equal "$(s3 ls "$bucket" 'a key/')" 'a key/ü+%.dump'
    run_expect 0 s3 --tls head "$bucket" 'a key/ü+%.dump'
    expect_out "x-amz-storage-class: GLACIER"
    expect_out "x-amz-meta-job: daily"
    s3 --tls get "$bucket" 'a key/ü+%.dump' "$tmp/got"
    same "$tmp/got" "$tmp/data"
}

test_the_certificate_is_checked()
{
    s3_bucket
    run_expect 0 curl -sS --cacert "$S3_CA" "https://$bucket.$S3_DOMAIN:$S3_PORT_TLS/"
    expect_out AccessDenied
    run_expect 60 curl -sS "$S3_ENDPOINT_TLS/"
}

test_rights_are_those_of_the_user()
{
    s3_bucket
    s3 put "$bucket" one "$tmp/data"
    run_expect 1 s3 --user reader get "$bucket" one
    expect_err "403 AccessDenied"
    s3 allow "$bucket" reader s3:GetObject
    run_expect 0 s3 --user reader get "$bucket" one "$tmp/got"
    run_expect 1 s3 --user reader put "$bucket" two "$tmp/data"
    expect_err "403 AccessDenied"
    run_expect 1 s3 --user stranger get "$bucket" one
    expect_err "403 AccessDenied"
    run_expect 1 env S3_SECRET=wrong "$servers/s3.py" ls "$bucket"
    expect_err "403 SignatureDoesNotMatch"
    run_expect 1 env S3_KEY=UNKNOWN0000000000000 "$servers/s3.py" ls "$bucket"
    expect_err "403 InvalidAccessKeyId"
}

test_versions_and_locks_hold()
{
    local version

    s3_bucket lock
    s3 put "$bucket" one "$tmp/data" 'x-amz-object-lock-mode: GOVERNANCE' \
        "x-amz-object-lock-retain-until-date: $(date -u -d +1hour +%FT%TZ)"
    s3 rm "$bucket" one
    equal "$(s3 versions "$bucket" | cut -f 2 | xargs)" 'marker old'
    version=$(s3 versions "$bucket" | awk '$2 == "old" { print $1 }')
    run_expect 1 s3 rm "$bucket" one "$version"
    expect_err "403 AccessDenied"
}

test_uploads_are_seen_and_aborted()
{
    local upload

    s3_bucket
    upload=$(s3 begin "$bucket" big)
    s3 part "$bucket" big "$upload" 1 "$tmp/data"
    equal "$(s3 uploads "$bucket")" "$upload"$'\t'big
    equal "$(s3 parts "$bucket" big "$upload" | cut -f 1,2)" $'1\t1000000'
    s3 abort "$bucket" big "$upload"
    equal "$(s3 uploads "$bucket")" ''
}

test_settings_of_a_bucket_are_kept()
{
    s3_bucket
    s3 put "$bucket" one "$tmp/data"
    s3 lifecycle "$bucket" = - <<<'<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status>
        <Filter><Prefix>x/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>'
    run_expect 0 s3 lifecycle "$bucket"
    expect_out "<Days>3</Days>"
    s3 tag "$bucket" one = - <<<'<Tagging><TagSet><Tag><Key>keep</Key><Value>weekly</Value></Tag></TagSet></Tagging>'
    run_expect 0 s3 tag "$bucket" one
    expect_out "<Value>weekly</Value>"
}

test_damage_is_done_behind_the_back()
{
    s3_bucket
    echo hello >"$tmp/hello"
    s3 put "$bucket" one "$tmp/hello"
    s3 flip "$bucket" one 0
    equal "$(s3 get "$bucket" one)" iello
    s3 cut "$bucket" one 3
    equal "$(s3 get "$bucket" one)" iel
}

test_a_gateway_that_was_killed_comes_back_at_its_port()
{
    s3_bucket
    s3 put "$bucket" one "$tmp/data"
    "$ceph" kill-gateway
    run_expect 1 s3 ls "$bucket"
    expect_err "Connection refused"
    "$ceph" start-gateway
    equal "$(s3 ls "$bucket")" one
}

test_a_clean_stop_loses_nothing()
{
    s3_bucket
    s3 put "$bucket" one "$tmp/data"
    "$ceph" stop
    run_expect 0 "$ceph" status
    expect_out "rgw is down"
    expect_out "osd.0 is down"
    expect_out "mon is down"
    "$ceph" start
    s3 get "$bucket" one "$tmp/got"
    same "$tmp/got" "$tmp/data"
}

test_a_full_server_says_so()
{
    s3_bucket
    "$ceph" quota 1500000
    cleanup_fn "$ceph" quota off
    s3 put "$bucket" one "$tmp/data"
    run_expect 1 s3 put "$bucket" two "$tmp/data"
    expect_err "403 QuotaExceeded"
    "$ceph" quota off
    s3 put "$bucket" two "$tmp/data"
}

test_the_aws_program_agrees()
{
    requires aws
    s3_bucket
    s3 put "$bucket" 'dir/one' "$tmp/data"
    run_expect 0 s3_aws s3 ls --recursive "s3://$bucket/"
    expect_out "1000000 dir/one"
    s3_aws s3 cp --quiet "s3://$bucket/dir/one" "$tmp/got"
    same "$tmp/got" "$tmp/data"
}

# fault of the line | exit code of a put through it | of a get | what the line's log says of them
chaos_rows='
|0|0|closed closed
refuse=1|1|1|refused refused
refuse=1 times=1|1|0|refused closed
refuse_every=2|0|1|closed refused
cut_up=500000|1|0|cut closed
cut_down=500000|0|1|closed cut
flip_up=500000|1|0|flipped closed
rate=9000000 latency=0.001|0|0|closed closed
'

test_the_faulty_line_does_what_it_is_told()
{
    local faults put get fate

    s3_bucket
    chaos_start
    s3 put "$bucket" one "$tmp/data"
    while IFS='|' read -r faults put get fate; do
        [ -n "$fate" ] || continue
        # shellcheck disable=SC2086 # words
        chaos $faults
        : >"$chaos_dir/log"
        run_expect "$put" via "$chaos_endpoint" put "$bucket" two "$tmp/data"
        run_expect "$get" via "$chaos_endpoint" get "$bucket" one "$tmp/got"
        wait_until 10 awk 'END { exit NR < 2 }' "$chaos_dir/log"
        equal "$(cut -d ' ' -f 4 "$chaos_dir/log" | xargs)" "$fate" "fate with '$faults'"
        ok "chaos.py: ${faults:-no fault}"
    done <<<"$chaos_rows"
}

test_a_bit_flipped_on_the_way_down_arrives_wrong()
{
    s3_bucket
    chaos_start
    s3 put "$bucket" one "$tmp/data"
    chaos flip_down=500000
    via "$chaos_endpoint" get "$bucket" one "$tmp/got"
    equal "$(cmp -l "$tmp/got" "$tmp/data" | wc -l)" 1 "number of wrong bytes"
}

test_a_stalled_line_passes_nothing_more()
{
    local fault

    s3_bucket
    chaos_start
    s3 put "$bucket" one "$tmp/data"
    for fault in stall_up=100 stall_down=100; do
        chaos "$fault"
        : >"$chaos_dir/log"
        start_bg curl -s "$chaos_endpoint/$bucket/one?and-so-on-until-there-are-a-hundred-bytes-of-it=01234567890"
        wait_until 20 grep -q stalled "$chaos_dir/log"
        is_running "$bg_pid"
    done
}

# what a rule says | exit code of a put, of a get | text of the refusal | whether the server has the object
double_table='
{"method": "PUT", "status": 503, "body": "<Error><Code>SlowDown</Code></Error>"}|1|1|503 SlowDown|no
{"method": "PUT", "times": 1, "status": 403, "body": "<Error><Code>ExpiredToken</Code></Error>"}|1|1|403 ExpiredToken|no
{"method": "PUT", "skip": 1, "status": 500}|0|0||yes
{"method": "PUT", "forward": true, "close_after_bytes": -1}|1|0|reset by peer|yes
{"method": "PUT", "close_after_bytes": -1}|1|1|reset by peer|no
{"method": "PUT", "status": 200, "body": "<Error><Code>InternalError</Code></Error>"}|1|1|200 InternalError|no
{"method": "PUT", "path": "elsewhere", "status": 500}|0|0||yes
{"method": "GET", "forward": true, "close_after_bytes": 10}|0|1|reset by peer|yes
{"method": "GET", "with": {"authorization": "MAINKEY"}, "status": 418}|0|1|418|yes
{"method": "GET", "without": ["authorization"], "status": 418}|0|0||yes
{"contains": "^\\\\x00", "status": 418}|0|0||yes
'

test_the_scripted_server_does_what_it_is_told()
{
    local rule put get said has

    s3_bucket
    double_start
    while IFS='|' read -r rule put get said has; do
        [ -n "$rule" ] || continue
        double_rules "$rule"
        run_expect "$put" via "$double_endpoint" put "$bucket" one "$tmp/data"
        cp "$tmp/err" "$tmp/said"
        run_expect "$get" via "$double_endpoint" get "$bucket" one "$tmp/got"
        cat "$tmp/said" >>"$tmp/err"
        [ -z "$said" ] || expect_err "$said"
        equal "$(s3 ls "$bucket" | grep -c one || :)" "$([ "$has" = yes ] && echo 1 || echo 0)" "objects after $rule"
        equal "$(double_count '.path | endswith("/one")')" 2 "requests logged"
        s3 rm "$bucket" one
        ok "http-double.py: $rule"
    done <<<"$double_table"
}

test_the_scripted_server_damages_answers()
{
    s3_bucket
    double_start
    s3 put "$bucket" one "$tmp/data"
    double_rules '{"forward": true, "flip_at": 5}'
    via "$double_endpoint" get "$bucket" one "$tmp/got"
    equal "$(cmp -l "$tmp/got" "$tmp/data" | wc -l)" 1 "number of wrong bytes"
    double_rules '{"forward": true, "truncate_to": 5, "headers": {"ETag": "\"wrong\"", "Last-Modified": null}}'
    run_expect 0 via "$double_endpoint" raw GET "/$bucket/one"
    expect_out 'etag: "wrong"'
    expect_out 'content-length: 5'
    expect_no_out last-modified
}

test_the_scripted_server_keeps_a_log()
{
    double_start --tls "$CEPH_BASE/tls/server.crt" "$CEPH_BASE/tls/server.key"
    double_script <<<'{"rules": [{"name": "half", "every": 2, "status": 204}]}'
    run_expect 0 curl -sS --cacert "$S3_CA" -d body -w '%{http_code} ' "$double_endpoint/a?b=c" "$double_endpoint/d"
    equal "$(cat "$tmp/out")" "404 204 "
    equal "$(jq -c '[.method, .path, .query, .body, .rule, .status, .connection]' "$double_dir/log" | xargs)" \
        '[POST,/a,b=c,body,null,404,1] [POST,/d,,body,half,204,1]'
    equal "$(double_count '.status == 204')" 1
}

test_credentials_of_clouds_are_handed_out()
{
    local url token header

    double_start
    double_script <<<'{"use": ["imds", "container", "sts"], "credentials": {"key": "A1", "secret": "b2", "seconds": 9}}'
    url=$double_endpoint/latest/meta-data/iam/security-credentials/
    equal "$(curl -s -o "$tmp/out" -w '%{http_code}' "$url")" 401
    token=$(curl -s -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 60' "$double_endpoint/latest/api/token")
    header="x-aws-ec2-metadata-token: $token"
    equal "$(curl -s -H "$header" "$url$(curl -s -H "$header" "$url")" | jq -r '.AccessKeyId + .SecretAccessKey')" A1b2
    equal "$(curl -s -H 'Authorization: double-token' "$double_endpoint/v2/credentials/x" | jq -r .AccessKeyId)" A1
    equal "$(curl -s "$double_endpoint/v2/credentials/x" | jq -r .code)" Unauthorized
    run_expect 0 curl -s -d 'Action=AssumeRoleWithWebIdentity&WebIdentityToken=double-web-token' "$double_endpoint/"
    expect_out "<AccessKeyId>A1</AccessKeyId>"
    run_expect 0 curl -s -d 'Action=AssumeRoleWithWebIdentity&WebIdentityToken=other' "$double_endpoint/"
    expect_out "<Code>InvalidIdentityToken</Code>"
}

# The last one: the server of this file is gone after it.
test_wipe_leaves_nothing()
{
    local pids

    mapfile -t pids < <(cat "$CEPH_BASE"/run/*.pid)
    equal ${#pids[@]} 3 "number of processes"
    "$ceph" wipe
    for pid in "${pids[@]}"; do
        lib_gone "$pid"
    done
    [ ! -e "$CEPH_BASE" ]
}

head -c 1000000 /dev/urandom >"$tmp/data"
s3_start
run_tests
