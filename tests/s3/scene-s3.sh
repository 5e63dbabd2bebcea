# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# The scene of the S3 tests: that of tests/cli, and a bucket as the store `off`.

# shellcheck source=../cli/scene.sh
. "$(dirname "$0")/../cli/scene.sh"
# shellcheck source=../servers/lib-s3.sh
. "$top/tests/servers/lib-s3.sh"

unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
export AWS_EC2_METADATA_DISABLED=true

# s3_section NAME LINE… - a store in $bucket
s3_section()
{
    local name=$1

    shift
    section "store $name" "plugin = s3" "bucket = $bucket" "endpoint = $S3_ENDPOINT" "prefix = some/where" \
        "access_key = $S3_KEY" "secret_key = $S3_SECRET" "retry_max = 1s" -- "$@"
}

# s3_scene NAME [LINE-OF-THE-STORE…] - keys, a bucket, a config with the job daily into the store off
s3_scene()
{
    scene "$1"
    shift
    s3_bucket
    s3_config "$@"
}

# s3_config [LINE-OF-THE-STORE…] - further lines of the job are in $job_lines
job_lines=()
s3_config()
{
    configure <<END
$(pgcask_section)
$(cluster_section)
$(s3_section off "$@")
$(job_section daily "databases = shop" "stores = off" "${job_lines[@]}")
END
}

# keys_of ID - the keys below a backup, in the bucket
keys_of()
{
    s3 ls "$bucket" "some/where/main/backup/$1/"
}

# only_the_label - the bucket holds the repository's label, and neither objects nor uploads beside it
only_the_label()
{
    equal "$(s3 ls "$bucket")" some/where/pgcask.json "what the bucket holds"
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
}

# key_of ID MEMBER - the key of one member
key_of()
{
    keys_of "$1" | grep "/$2\.zst\.age$"
}

# load_shop - the database shop
load_shop()
{
    createdb shop
    psql -Xq -v ON_ERROR_STOP=1 -d shop -f "$top/tests/data/shop.sql" >"$tmp/load" 2>&1 ||
        fail "the shop does not load: $(cat "$tmp/load")"
}
