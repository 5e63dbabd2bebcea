#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The s3 plugin against a real Ceph: it conforms, over TLS and with the bucket in the host name, too; backups go there and
# come back; stock programs read what is stored; each kind of refusal has its own words and cure.

# shellcheck source=scene-s3.sh
. "$(dirname "$0")/scene-s3.sh"

# conforms PLUGIN OPTION… - the suite has no `not ok`, and nothing stays in the bucket
conforms()
{
    local plugin=$1 options=(--keys "${keys:-30}") option

    shift
    for option in "bucket=$bucket" "access_key=$S3_KEY" "secret_key_env=S3_SECRET" "$@"; do
        options+=(--set "$option")
    done
    run_expect 0 pgcask plugin check "$plugin" "${options[@]}"
    equal "$(sed -n 's/^1\.\.//p' "$tmp/out")" "$(grep -c '^ok' "$tmp/out")" "checks that ran"
    equal "$(s3 ls "$bucket")$(s3 uploads "$bucket")" "" "what is left in the bucket"
}

test_it_conforms()
{
    s3_bucket
    keys=1100 # more than one page
    conforms s3 "endpoint=$S3_ENDPOINT" prefix=a/b
}

test_it_conforms_over_tls_with_the_bucket_in_the_host_name()
{
    s3_bucket
    conforms s3 "endpoint=https://s3.localhost:$S3_PORT_TLS" "ca_file=$S3_CA" addressing=virtual prefix=v
}

test_it_conforms_where_removed_objects_live_on_as_versions()
{
    s3_bucket versions
    conforms s3 "endpoint=$S3_ENDPOINT" prefix=v
}

test_glacier_conforms_on_a_server_that_keeps_cold_objects_readable()
{
    s3_bucket
    conforms glacier "endpoint=$S3_ENDPOINT" "transition=after 30d"
    grep -q 'SKIP' "$tmp/out" || fail "that nothing is cold here is not told"
}

test_a_backup_goes_there_and_comes_back()
{
    s3_scene round "storage_class = STANDARD_IA" "tags = made-by=pgcask team=db%team" "parallel = 4"
    run_expect 0 pgcask backup daily
    expect_silent
    id=$(latest_id)
    run_expect 0 pgcask verify --all
    run_expect 0 pgcask restore latest --into shop_back
    "$top/tests/compare-db.sh" shop shop_back
    dropdb shop_back
    s3 ll "$bucket" "some/where/main/backup/$id/" >"$tmp/ll"
    grep 'shop.dump' "$tmp/ll" | grep -q STANDARD_IA || fail "a member is not in the storage class"
    if grep 'manifest.json' "$tmp/ll" | grep -q STANDARD_IA; then
        fail "the manifest is in the storage class of members"
    fi
    s3 tag "$bucket" "$(key_of "$id" shop.dump)" >"$tmp/tags"
    grep -q made-by "$tmp/tags" || fail "the tags are not there: $(cat "$tmp/tags")"
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
}

test_large_members_go_in_parts()
{
    s3_scene parts "part_size = 5MiB" "parallel = 4"
    sql shop -c "CREATE TABLE bulky AS SELECT g, gen_random_bytes(1000) FROM generate_series(1, 15000) g" 2>/dev/null ||
        sql shop -c "CREATE TABLE bulky AS SELECT g, decode(repeat(md5(g::text), 2) || md5((g * 7)::text), 'hex') AS r,
                     md5((g + 1)::text) || md5((g + 2)::text) || md5((g + 3)::text) || md5((g * 3)::text) AS s
                     FROM generate_series(1, 120000) g"
    cleanup_fn psql -XAtqc 'DROP TABLE IF EXISTS bulky' -d shop
    run_expect 0 pgcask backup daily -v
    expect_err "requests"
    id=$(latest_id)
    s3 ll "$bucket" "some/where/main/backup/$id/" | tee "$tmp/ll" | grep -qP -- '-[0-9]+\t' ||
        fail "nothing was written in parts: $(cat "$tmp/ll")"
    run_expect 0 pgcask restore latest --into parts_back
    "$top/tests/compare-db.sh" shop parts_back
    dropdb parts_back
}

test_stock_programs_read_what_is_stored()
{
    requires aws
    job_lines=("table_size = 1GiB") # one dump with all that is in it
    s3_scene stock
    run_expect 0 pgcask backup daily
    id=$(latest_id)
    s3_aws s3 ls "s3://$bucket/some/where/main/backup/$id/" >"$tmp/ls"
    grep -q ' manifest.json$' "$tmp/ls" || fail "aws does not list the manifest: $(cat "$tmp/ls")"
    s3_aws s3 cp --quiet "s3://$bucket/some/where/main/backup/$id/shop.dump.zst.age" "$dir/fetched"
    age -d -i "$dir/identity.txt" "$dir/fetched" | zstd -dq >"$dir/plain"
    createdb stock_back
    pg_restore -d stock_back --exit-on-error "$dir/plain" >"$tmp/out"
    "$top/tests/compare-db.sh" shop stock_back >"$tmp/out" || fail "they differ: $(head -n 20 "$tmp/out")"
    dropdb stock_back
}

test_server_side_encryption_is_asked_for_and_confirmed()
{
    s3_scene sse "sse = kms" "sse_kms_key = $S3_KMS_KEY"
    # Ceph encrypts with KMS over TLS only, unless told otherwise
    s3_config "sse = kms" "sse_kms_key = $S3_KMS_KEY" "endpoint = $S3_ENDPOINT_TLS" "ca_file = $S3_CA"
    run_expect 0 pgcask backup daily
    s3 head "$bucket" "$(key_of "$(latest_id)" shop.dump)" >"$tmp/head"
    grep -qi 'server-side-encryption: aws:kms' "$tmp/head" || fail "the object is not encrypted: $(cat "$tmp/head")"
}

test_encryption_that_the_server_ignores_is_an_error()
{
    s3_scene sse-lost "sse = aes256"
    run_expect 1 pgcask backup daily
    expect_err "does not confirm the encryption"
    expect_err "HINT:"
}

test_locked_objects_cannot_be_removed()
{
    scene lock
    s3_bucket lock
    s3_config "object_lock = governance" "object_lock_time = 1d"
    run_expect 0 pgcask backup daily
    key=$(key_of "$(latest_id)" shop.dump)
    version=$(s3 versions "$bucket" "$key" | awk '{ print $1; exit }')
    never s3 rm "$bucket" "$key" "$version" 2>"$tmp/err"
    run_expect 0 pgcask verify latest
}

test_a_bucket_without_object_lock_is_refused()
{
    s3_scene no-lock "object_lock = compliance" "object_lock_time = 1d"
    run_expect 1 pgcask backup daily
    expect_err "has no object lock"
    equal "$(s3 ls "$bucket")" "" "what was written"
}

# ---- each refusal in its own words ----

test_an_unknown_access_key_is_named()
{
    s3_scene unknown "access_key = NOSUCHKEY"
    run_expect 1 pgcask backup daily
    expect_err "the server does not know the access key"
    expect_err "'NOSUCHKEY', from the config"
    expect_no_err "$S3_SECRET"
}

test_a_wrong_secret_key_is_told()
{
    s3_scene secret "secret_key = wrong/secret"
    run_expect 1 pgcask backup daily
    expect_err "the secret key does not fit the access key"
    expect_no_err "wrong/secret"
}

test_a_missing_bucket_is_told()
{
    s3_scene missing "bucket = no-such-bucket-here"
    run_expect 1 pgcask backup daily
    expect_err "bucket 'no-such-bucket-here'"
    expect_err "there is no such bucket"
    run_expect 1 pgcask list
    expect_err "there is no such bucket"
}

test_a_denied_action_is_told()
{
    s3_scene denied "access_key = $S3_STRANGER_KEY" "secret_key = $S3_STRANGER_SECRET"
    run_expect 1 pgcask backup daily
    expect_err "access denied"
    expect_err "s3:PutObject"
}

test_a_host_that_may_only_read_lists_and_restores()
{
    s3_scene reader
    run_expect 0 pgcask backup daily
    s3 allow "$bucket" reader s3:ListBucket s3:GetObject
    s3_config "access_key = $S3_READER_KEY" "secret_key = $S3_READER_SECRET"
    run_expect 0 pgcask list
    expect_out daily
    run_expect 0 pgcask restore latest --into reader_back
    dropdb reader_back
    run_expect 1 pgcask backup daily
    expect_err "access denied"
}

test_a_clock_that_is_wrong_is_told()
{
    requires faketime
    s3_scene clock
    # its library is loaded before a sanitizer's
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:detect_leaks=0
    run_expect 1 faketime -f '+45m' pgcask list
    expect_err "the clocks of this host and of the server differ too much"
    expect_err "NTP"
}

test_an_unknown_authority_is_told()
{
    s3_scene ca "endpoint = $S3_ENDPOINT_TLS"
    run_expect 1 pgcask list
    expect_err "ca_file"
}

test_a_server_that_is_not_there_is_told()
{
    s3_scene nobody "endpoint = http://127.0.0.1:$(free_port)" "retries = 1"
    run_expect 1 pgcask list
    expect_err "is the server running"
}

test_settings_that_cannot_work_are_refused_before_anything()
{
    local row

    s3_bucket
    while IFS='|' read -r row words; do
        scene refused
        s3_config "$row"
        run_expect 2 pgcask list
        expect_err "$words"
    done <<'END'
bucket = s3://mine|a name, not a URL
bucket = a|3 to 63
endpoint = minio.example.com|a URL
endpoint = https://minio.example.com/bucket|nothing behind it
prefix = /absolute|single '/'
sse_kms_key = some-key|wanted kms
object_lock = governance|says not how long
tags = lonely|key=value
part_size = 1MiB|part_size
ca_file = /no/such/file|cannot be read
END
}

start_postgres
load_shop
s3_start
run_tests "$@"
