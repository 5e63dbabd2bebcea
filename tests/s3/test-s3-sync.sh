#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Sync with a bucket: what it missed comes later, from disk and from another bucket, over a bad line and after kill -9;
# and what a list of many backups costs.

# shellcheck source=scene-s3.sh
. "$(dirname "$0")/scene-s3.sh"

# pair_scene NAME [LINE-OF-THE-BUCKET…] - the job writes to the directory near and to the bucket off
pair_scene()
{
    scene "$1"
    shift
    s3_bucket
    pair_config "$@"
}

pair_config()
{
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section near)
$(s3_section off "$@")
$(job_section daily "databases = shop" "stores = near off" "table_size = 512KiB")
END
}

# near_only - the same config, but its job writes only to the directory; its name
near_only()
{
    sed "s/^stores = .*/stores = near/" "$PGCASK_CONFIG" | configure "$dir/near.ini"
    echo "$dir/near.ini"
}

where_is()
{
    pgcask list --json | jq -c 'map([.stores[] | .store + ":" + .state])'
}

# same_bytes - the bucket holds what the directory holds, and nothing else but its own verdicts (and the lease of a run that
# was killed behind its last step: the next backup takes it away)
same_bytes()
{
    local key

    s3 ls "$bucket" some/where/ | sed 's,^some/where/,,' | grep -v '/verdict-\|/lease/' | sort >"$dir/keys.off"
    (cd "$dir/near" && find . -type f ! -name 'verdict-*' -printf '%P\n' | sort) >"$dir/keys.near"
    same "$dir/keys.near" "$dir/keys.off"
    while read -r key; do
        s3 get "$bucket" "some/where/$key" "$dir/got"
        same "$dir/near/$key" "$dir/got"
    done <"$dir/keys.near"
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
}

# requests_of COMMAND… - how many requests for the bucket the server gets meanwhile; the methods are in $dir/requests
requests_of()
{
    local log=$CEPH_BASE/log/client.rgw.a.log before begin end

    before=$(wc -l <"$log")
    begin=${EPOCHREALTIME/[.,]/}
    "$@" >"$tmp/out" 2>"$tmp/err" || fail "$*: $(cat "$tmp/err")"
    end=${EPOCHREALTIME/[.,]/}
    echo "    $(((end - begin) / 1000)) ms: $*" >&2
    sleep 0.2 # the server writes its log behind the answer
    tail -n "+$((before + 1))" "$log" | grep -oE "\"[A-Z]+ /${bucket}[^ ]*" | tr -d '"' >"$dir/requests"
    wc -l <"$dir/requests"
}

test_what_the_bucket_missed_comes_later()
{
    pair_scene away "retries = 0"
    "$ceph" kill-gateway
    run_expect 3 pgcask backup
    run_expect 3 pgcask sync
    "$ceph" start-gateway
    run_expect 0 pgcask list
    expect_out "near (not in off)"
    run_expect 0 pgcask sync
    expect_silent
    same_bytes
    equal "$(where_is)" '[["near:good","off:good"]]'
    run_expect 0 pgcask verify --deep --store off
    run_expect 0 pgcask restore latest --store off --into back
    "$top/tests/compare-db.sh" shop back
    dropdb back
    rm -rf "$dir/near/main"
    run_expect 0 pgcask sync # and the other way
    same_bytes
    run_expect 0 pgcask verify --deep --store near
}

test_from_bucket_to_bucket_in_parts()
{
    pair_scene buckets "part_size = 5MiB" "parallel = 3"
    head -c 23000000 /dev/urandom | base64 >"$dir/noise"
    createdb noise
    sql noise -c 'CREATE TABLE noise (line text)' -c "\\copy noise FROM '$dir/noise'"
    sed -i 's/^databases = .*/databases = noise/; s/^stores = .*/stores = off/' "$PGCASK_CONFIG"
    s3_section far "prefix = else/where" "part_size = 5MiB" "parallel = 3" >>"$PGCASK_CONFIG"
    run_expect 0 pgcask backup
    dropdb noise
    run_expect 0 pgcask copy latest --from off --to far
    expect_silent
    [ "$(s3 ll "$bucket" else/where/ | awk '{ print $1 }' | sort -n | tail -n 1)" -gt 20000000 ] || fail "nothing large was copied"
    run_expect 0 pgcask verify --store far --deep
    equal "$(s3 uploads "$bucket")" "" "uploads left over"
}

test_a_flipped_bit_in_the_bucket_is_healed()
{
    pair_scene heal
    run_expect 0 pgcask backup
    s3 flip "$bucket" "$(key_of "$(latest_id)" shop.dump)" 4000
    next_second
    run_expect 1 pgcask verify
    run_expect 0 pgcask sync
    expect_err "it is replaced"
    same_bytes
    equal "$(where_is)" '[["near:good","off:good"]]'
}

test_over_a_bad_line()
{
    local round

    pair_scene line
    run_expect 0 pgcask -c "$(near_only)" backup
    chaos_start
    pair_config "endpoint = $chaos_endpoint" "retries = 20" "stall_timeout = 2s"
    for round in "refuse_every=4" "cut_up=1000000 times=3" "cut_down=300 times=5" "flip_up=700000 times=1" "latency=0.01"; do
        s3 clear "$bucket"
        rm -f "$dir/state/store-off"
        # shellcheck disable=SC2086 # words
        chaos $round
        run_expect 0 pgcask sync
        chaos
        same_bytes
        run_expect 0 pgcask verify --store off
    done
}

test_killed_at_16_moments()
{
    local i pid killed=0 half=0

    pair_scene moments "part_size = 5MiB" "bandwidth = 4MiB"
    run_expect 0 pgcask -c "$(near_only)" backup
    for ((i = 0; killed < 16 && i < 60; i++)); do
        s3 clear "$bucket"
        rm -f "$dir/state/store-off"
        pgcask sync >"$dir/out" 2>&1 &
        pid=$!
        sleep "0.$((i % 16 + 2 < 10 ? 0 : 1))$(((i % 16 + 2) % 10))"
        if kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        fi
        ended "$pid" 2>/dev/null
        s3 ls "$bucket" >"$dir/ls"
        if grep -q '\.age$' "$dir/ls" && ! grep -q manifest.json "$dir/ls"; then
            half=$((half + 1))
        fi
        if grep -q pgcask.json "$dir/ls"; then
            run_expect 0 pgcask list --store off --json
            [ "$(jq length "$tmp/out")" = 0 ] || run_expect 0 pgcask verify --store off
        fi
        run_expect 0 pgcask sync
        s3 uploads "$bucket" | while read -r upload key; do
            s3 abort "$bucket" "$key" "$upload" # pgcask does that when a day has passed
        done
        same_bytes
    done
    echo "    killed $killed times, $half times something was half there"
    [ "$killed" = 16 ] || fail "only $killed of them were killed"
}

test_a_bucket_that_takes_nothing_more()
{
    pair_scene quota "retries = 0"
    run_expect 0 pgcask -c "$(near_only)" backup
    cleanup_fn "$ceph" quota off
    "$ceph" quota 500000
    run_expect 1 pgcask sync
    expect_err "it is not copied"
    "$ceph" quota off
    run_expect 0 pgcask sync
    same_bytes
}

# many COUNT - as many backups in the directory, from the one that is there: with manifests of their own
many()
{
    python3 - "$dir/near/main/backup" "$1" <<'END'
import hashlib, json, os, shutil, sys
top, count = sys.argv[1], int(sys.argv[2])
first = sorted(os.listdir(top))[-1]
with open(f'{top}/{first}/manifest.json') as file:
    manifest = json.load(file)
del manifest['digest']
for number in range(count):
    ident = f'2020{number // 28 // 60 % 12 + 1:02}{number % 28 + 1:02}T00{number // 28 % 60:02}00Z-daily'
    shutil.copytree(f'{top}/{first}', f'{top}/{ident}')
    row = dict(manifest, id=ident)
    row['digest'] = 'sha256:' + hashlib.sha256(
        json.dumps(row, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()).hexdigest()
    with open(f'{top}/{ident}/manifest.json', 'w') as file:
        json.dump(row, file, indent=2, ensure_ascii=False)
END
}

# The first list fetches each manifest, the next one only asks what there is.
test_what_a_list_of_many_backups_costs()
{
    local count=${MANY_BACKUPS:-120} pages

    pair_scene many
    createdb tiny
    sed -i 's/^databases = .*/databases = tiny/' "$PGCASK_CONFIG"
    run_expect 0 pgcask -c "$(near_only)" backup
    many $((count - 1))
    run_expect 0 pgcask sync
    expect_silent
    dropdb tiny
    pages=$((($(s3 ls "$bucket" some/where/main/backup/ | wc -l) + 999) / 1000))
    rm -rf "$dir/state/cache"
    equal "$(requests_of pgcask list --store off --json)" $((1 + pages + count)) "requests of the first list"
    equal "$(jq length "$tmp/out")" "$count" "backups"
    equal "$(requests_of pgcask list --store off --json)" $((1 + pages)) "requests of the next list"
    equal "$(jq length "$tmp/out")" "$count" "backups"
    equal "$(sed 's/?.*//; s/ .*pgcask.json/ pgcask.json/' "$dir/requests" | sort -u | head -n 2 | xargs)" \
        "GET /$bucket GET pgcask.json" "what the next list asks for"
}

s3_start
start_postgres
load_shop
run_tests "$@"
