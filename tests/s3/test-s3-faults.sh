#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# A bucket in trouble: servers killed in the middle, one request of ten failing, lines that stall, cut and flip, a quota that
# is used up, keys that expire, a bucket or an object that is gone or altered. Nothing half-visible, nothing lost, and exit
# codes as documented.

# shellcheck source=scene-s3.sh
. "$(dirname "$0")/scene-s3.sh"

# proven - the newest backup is whole, and its rows are those of the database
proven()
{
    run_expect 0 pgcask verify latest
    run_expect 0 pgcask restore latest --into proof
    "$top/tests/compare-db.sh" shop proof >"$tmp/out" || fail "they differ: $(head -n 20 "$tmp/out")"
    dropdb proof
}

# through ENDPOINT [LINE…] - the store off, by that way
through()
{
    local endpoint=$1

    shift
    s3_config "endpoint = $endpoint" "part_size = 5MiB" "$@"
}

test_one_request_of_ten_fails()
{
    s3_scene tenth
    double_start
    double_rules '{"every": 10, "status": 503, "headers": {"Content-Type": "application/xml"},
        "body": "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"}'
    through "$double_endpoint"
    run_expect 0 pgcask backup daily
    proven
    [ "$(double_count '.status == 503')" -gt 5 ] || fail "hardly a request failed"
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
}

test_one_connection_of_ten_is_reset_without_an_answer()
{
    s3_scene reset
    double_start
    double_rules '{"every": 10, "forward": true, "close_after_bytes": -1}'
    through "$double_endpoint"
    run_expect 0 pgcask backup daily
    proven
    # an upload whose beginning was never answered stays until it is old enough to be swept
}

test_an_answer_that_is_lost_after_the_work_was_done()
{
    s3_scene lost
    double_start
    # the first answer to every kind of writing is lost: put, begin, part, completion
    double_rules '{"method": "PUT", "query": "^$", "times": 2, "forward": true, "close_after_bytes": -1}' \
        '{"method": "PUT", "query": "partNumber", "times": 1, "forward": true, "close_after_bytes": -1}' \
        '{"method": "POST", "query": "^uploads", "times": 1, "forward": true, "close_after_bytes": -1}' \
        '{"method": "POST", "query": "^uploadId", "times": 1, "forward": true, "close_after_bytes": -1}'
    through "$double_endpoint"
    run_expect 0 pgcask backup daily
    proven
}

test_an_error_inside_a_good_status_is_no_completion()
{
    s3_scene inside
    double_start
    double_rules '{"method": "POST", "query": "^uploadId", "times": 1, "status": 200,
        "body": "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"}'
    through "$double_endpoint"
    run_expect 0 pgcask backup daily
    equal "$(double_count '.method == "POST" and (.query | startswith("uploadId"))')" 2 "completions"
    proven
}

test_a_completion_that_always_fails_leaves_nothing()
{
    s3_scene always
    double_start
    double_rules '{"method": "POST", "query": "^uploadId", "status": 200,
        "body": "<Error><Code>InternalError</Code></Error>"}'
    through "$double_endpoint" "retries = 1"
    run_expect 1 pgcask backup daily
    expect_err "completing"
    only_the_label
}

test_bytes_flipped_on_their_way_are_sent_again()
{
    s3_scene flipped
    chaos_start
    through "$chaos_endpoint"
    chaos flip_up=3000000 times=1
    run_expect 0 pgcask backup daily
    proven
}

test_a_line_that_is_cut_again_and_again()
{
    s3_scene cut
    chaos_start
    through "$chaos_endpoint" "retries = 20"
    chaos cut_up=2000000 times=3
    run_expect 0 pgcask backup daily
    chaos cut_down=300000 times=3
    proven
}

test_a_line_that_stalls_is_given_up_and_tried_again()
{
    s3_scene stall
    chaos_start
    through "$chaos_endpoint" "stall_timeout = 1s"
    chaos stall_up=1000000 times=1
    run_expect 0 pgcask backup daily
    chaos stall_down=100000 times=1
    proven
}

test_a_server_killed_in_the_middle_of_a_backup_comes_back()
{
    s3_scene killed
    through "$S3_ENDPOINT" "retries = 30" "bandwidth = 8MiB"
    start_bg pgcask backup daily
    backup=$bg_pid
    wait_until 60 upload_began
    "$ceph" kill-gateway
    sleep 1
    "$ceph" start-gateway
    ended "$backup"
    equal "$code" 0 "exit code of the backup"
    proven
}

upload_began()
{
    [ -n "$(s3 uploads "$bucket")" ]
}

test_a_server_that_stays_away_fails_the_backup_and_the_next_sweeps()
{
    s3_scene away
    through "$S3_ENDPOINT" "retries = 1" "bandwidth = 8MiB"
    start_bg pgcask backup daily
    backup=$bg_pid
    wait_until 60 upload_began
    "$ceph" kill-gateway
    ended "$backup"
    "$ceph" start-gateway
    equal "$code" 1 "exit code of the backup"
    equal "$(count_backups)" 0 "backups that are listed"
    next_second
    through "$S3_ENDPOINT"
    run_expect 0 pgcask backup daily
    equal "$(count_backups)" 1 "backups that are listed"
    proven
}

test_a_quota_that_is_used_up()
{
    s3_scene quota
    run_expect 0 pgcask backup daily
    cp "$PGCASK_CONFIG" "$dir/keep"
    "$ceph" quota 3000000
    cleanup_fn "$ceph" quota off
    through "$S3_ENDPOINT"
    next_second
    run_expect 1 pgcask backup daily
    expect_err "the quota of the bucket or user is used up"
    "$ceph" quota off
    equal "$(count_backups)" 1 "backups that are listed"
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
    proven
}

test_a_store_that_cannot_be_listed_is_left_out()
{
    s3_scene unlisted
    double_start
    double_rules
    configure <<END
$(pgcask_section)
$(cluster_section)
$(s3_section off "endpoint = $double_endpoint" "retries = 0")
$(store_section one)
$(job_section daily "databases = shop" "stores = off one")
END
    run_expect 0 pgcask backup
    double_rules '{"method": "GET", "query": "list-type=2", "status": 503}'
    run_expect 3 pgcask list
    expect_err "WARN: store 'off': "
    expect_err "going on without that store"
    expect_out " one "
    expect_no_out "not in off"
    run_expect 0 pgcask restore latest --into shop_unlisted
    dropdb shop_unlisted
    run_expect 1 pgcask list --store off
}

test_a_bucket_that_was_removed_is_told()
{
    s3_scene gone
    run_expect 0 pgcask backup daily
    s3 rb "$bucket"
    run_expect 1 pgcask list
    expect_err "there is no such bucket"
    run_expect 1 pgcask backup daily
    expect_err "there is no such bucket"
    s3 mb "$bucket"
    run_expect 1 pgcask backup daily
    expect_err "is empty, but backups were stored in it before"
}

test_objects_altered_behind_our_back_are_found()
{
    s3_scene altered
    run_expect 0 pgcask backup daily
    id=$(latest_id)
    key=$(key_of "$id" shop.dump)
    s3 flip "$bucket" "$key" 20000
    run_expect 1 pgcask verify "$id"
    expect_err "$(basename "$key")"
    run_expect 1 pgcask restore "$id" --into never
    never db_exists never
    s3 cut "$bucket" "$key" 1000
    run_expect 1 pgcask verify "$id"
    expect_err "bytes, the manifest says"
    s3 rm "$bucket" "$key"
    run_expect 1 pgcask verify "$id"
    expect_err "is missing"
}

test_keys_that_expire_midway_are_fetched_again()
{
    s3_scene expire
    double_start
    double_rules '{"method": "PUT", "query": "partNumber", "times": 1, "status": 400,
            "body": "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"}'
    cat >"$dir/fetch" <<END
#!/bin/sh
echo x >>'$dir/fetches'
printf '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s", "Expiration": "%s"}' '$S3_KEY' '$S3_SECRET' \
    "\$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
END
    chmod 700 "$dir/fetch"
    mkdir -m 700 "$dir/.aws"
    printf '[profile fetched]\ncredential_process = %s\n' "$dir/fetch" >"$dir/.aws/config"
    through "$double_endpoint" "profile = fetched"
    sed -i '/^access_key\|^secret_key/d' "$PGCASK_CONFIG"
    run_expect 0 pgcask backup daily
    equal "$(wc -l <"$dir/fetches")" 2 "times that keys were fetched"
    proven
}

test_an_interrupted_backup_leaves_nothing()
{
    s3_scene interrupted
    through "$S3_ENDPOINT" "bandwidth = 4MiB"
    start_bg pgcask backup daily
    wait_until 60 upload_began
    kill -INT "$bg_pid"
    ended "$bg_pid"
    equal "$code" 1 "exit code of the backup"
    only_the_label
}

test_two_hosts_write_to_one_prefix()
{
    s3_scene hosts
    configure "$dir/other.ini" <"$PGCASK_CONFIG"
    sed -i "s|^state_dir = .*|state_dir = $dir/other-state|" "$dir/other.ini"
    run_expect 0 pgcask backup daily # the repository is there
    next_second
    start_bg pgcask backup daily
    one=$bg_pid
    start_bg pgcask --config "$dir/other.ini" backup daily
    ended "$bg_pid"
    equal "$code" 0 "exit code of the second"
    ended "$one"
    equal "$code" 0 "exit code of the first"
    equal "$(count_backups)" 3 "backups that are listed"
    run_expect 0 pgcask verify --all
}

test_killed_at_any_moment_nothing_half_is_visible()
{
    local turn pause

    s3_scene killed-us
    through "$S3_ENDPOINT" "bandwidth = 20MiB"
    for turn in 1 2 3 4 5 6 7 8; do
        start_bg pgcask backup daily
        pause=0.$(((turn * 37) % 90 + 5))
        sleep "$pause"
        kill -KILL "$bg_pid" 2>/dev/null || :
        ended "$bg_pid"
        pgcask list --json >"$tmp/list"
        jq -r '.[].id' "$tmp/list" >"$tmp/ids"
        while read -r id; do
            run_expect 0 pgcask verify "$id"
        done <"$tmp/ids"
        next_second
    done
    through "$S3_ENDPOINT"
    run_expect 0 pgcask backup daily
    proven
    s3 ls "$bucket" some/where/main/lease/ >"$tmp/leases"
    equal "$(cat "$tmp/leases")" "" "leases of the dead"
}

start_postgres
load_shop
# about 8 MiB that nothing compresses: a member in two parts
sql shop -c "CREATE TABLE bulky AS SELECT g, decode(md5(g::text) || md5((g * 7)::text) || md5((g * 11)::text) || md5((g * 13)::text),
             'hex') AS r FROM generate_series(1, 100000) g"
s3_start
run_tests "$@"
