# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of sync share, on top of scene.sh: three stores, and looks into them.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# three_stores [LINE-OF-THREE…] - the job writes to one, two and three
three_stores()
{
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(store_section one)
$(store_section two)
$(store_section three "$@")
$(job_section daily "databases = bulk" "stores = one two three" "table_size = 512KiB" "settings_files = no")
END
}

# only_to STORE… - the same config, but its jobs write only there; its name
only_to()
{
    sed "s/^stores = .*/stores = $*/" "$PGCASK_CONFIG" | configure "$dir/only.ini"
    echo "$dir/only.ini"
}

# where_is - for each backup, oldest first, the stores that have it and their states
where_is()
{
    pgcask list --json | jq -c 'map([.stores[] | .store + ":" + .state])'
}
# shellcheck disable=SC2034 # for those who source this
everywhere='["one:good","two:good","three:good"]'

# rubbish STORE - files that belong to no finished backup
rubbish()
{
    local object

    find "$dir/$1/main/lease" -type f 2>/dev/null || :
    find "$dir/$1/main/backup" -mindepth 1 -type d 2>/dev/null | while read -r object; do
        [ -e "$object/manifest.json" ] || find "$object" -type f
    done
}

checksums()
{
    (cd "$dir/$1" && find . -type f ! -name 'verdict-*' ! -name '.pgcask-*' ! -path '*/lease/*' -exec cksum {} + | sort -k 3)
}

# same_copies STORE STORE - the same objects with the same bytes; verdicts and leases are each store's own
same_copies()
{
    checksums "$1" >"$dir/copies.1"
    checksums "$2" >"$dir/copies.2"
    same "$dir/copies.1" "$dir/copies.2"
}

# in_sync - nothing is left to be done
in_sync()
{
    run_expect 0 pgcask sync --dry-run
    expect_silent
}

# largest STORE - the largest member there
largest()
{
    find "$dir/$1/main/backup" -name '*.zst*' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-
}

# forget STORE - its backups are gone, and that it was used
forget()
{
    rm -rf "${dir:?}/$1" "$dir/state/store-$1"
}

# sync_databases - bulk, and a small one
sync_databases()
{
    createdb bulk
    createdb small
    psql -Xq -v mib=8 -d bulk -f "$top/tests/data/bulk.sql"
    sql small -c 'CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n'
}
