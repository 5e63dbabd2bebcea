#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask verify reads what a store has, not what this host remembers of it.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# two_stores_with_a_backup - the scene all tests begin with
two_stores_with_a_backup()
{
    scene "$1"
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(store_section two)
$(job_section daily "databases = postgres" "stores = one two")
END
    run_expect 0 pgcask backup
    run_expect 0 pgcask verify
    expect_out "one good"
    expect_out "two good"
}

# change_manifest STORE - one word of it, as a disk or somebody might
change_manifest()
{
    sed -i 's/"job": "daily"/"job": "dailz"/' "$(backup_dir "$1")/manifest.json"
}

test_changed_manifest_is_found_although_a_copy_is_cached()
{
    two_stores_with_a_backup cached
    change_manifest one
    run_expect 1 pgcask verify
    expect_out "one bad"
    expect_out "two good"
    expect_err "it was changed after it was written"
}

test_changed_manifest_is_found_in_the_second_store()
{
    two_stores_with_a_backup second
    rm -r "$dir/state/cache"
    change_manifest two
    run_expect 1 pgcask verify
    expect_out "one good"
    expect_out "two bad"
}

test_manifest_of_another_content_is_found()
{
    local id

    two_stores_with_a_backup other
    id=$(latest_id)
    # whole in itself, with a right digest, but not what the first store has
    jq -c '.finished = "2030-01-01T00:00:00Z" | del(.digest)' "$dir/two/main/backup/$id/manifest.json" >"$tmp/changed"
    jq --arg digest "sha256:$(jq -cjS . "$tmp/changed" | sha256sum | cut -d ' ' -f 1)" '.digest = $digest' "$tmp/changed" \
        >"$dir/two/main/backup/$id/manifest.json"
    run_expect 1 pgcask verify
    expect_out "two bad"
    expect_err "another manifest than the one known of this backup"
}

start_postgres
run_tests
