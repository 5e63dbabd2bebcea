#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Backups in cold storage: what cannot be read is asked for before anything is touched, and the same command finishes the
# work later, or waits. The store is tests/cold/cold.c, a directory with a cold side.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"
requires "${CC:-cc}"

# The plugin, where only we may write.
build_cold()
{
    mkdir -m 755 "$tmp/plugins"
    : >"$tmp/config.h"
    # shellcheck disable=SC2086 # CC may have options
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O1 -g -DPACKAGE_VERSION='"test"' -I"$tmp" -I"$top/core/include" -I"$top/plugins/local" \
        -fPIC -shared -o "$tmp/plugins/pgcask-cold-storage.so" "$top/tests/cold/cold.c" "$top"/plugins/local/local-*.c
    chmod 755 "$tmp/plugins/pgcask-cold-storage.so"
}

# vault [LINE…] - the section of the cold store
vault()
{
    section "store vault" "plugin = $tmp/plugins/pgcask-cold-storage.so" "path = $dir/vault" "create = yes" -- "$@"
}

# cold_config STORES [LINE-OF-THE-VAULT…]
cold_config()
{
    local stores=$1

    shift
    configure <<END
$(pgcask_section "jobs = 2")
$(cluster_section)
$(case $stores in *one*) store_section one ;; esac)
$(vault "$@")
$(job_section daily "databases = shop" "stores = $stores" "table_size = 20KiB" "settings_files = no")
END
}

# asked - what the vault was asked for, sorted
asked()
{
    (cd "$dir/vault.cold" && grep -Lx 0 -- * | sed 's/.*+//' | sort)
}

# asked_any - the vault was asked for something
asked_any()
{
    [ -n "$(asked)" ]
}

# arrive - what the vault was asked for is there
arrive()
{
    : >"$dir/vault.arrived"
}

# freeze - all is cold again
freeze()
{
    local mark

    rm -f "$dir/vault.arrived"
    for mark in "$dir"/vault.cold/*; do
        echo 0 >"$mark"
    done
}

# members ROLE… - the objects with these roles of the newest backup, sorted
members()
{
    pgcask show "$(latest_id)" --json | jq -r --arg roles " $* " '.members[] | select(.role as $role | $roles | contains(" \($role) ")).object' | sort
}

# verdicts - how many the vault holds
verdicts()
{
    find "$dir/vault" -name 'verdict-*' | wc -l
}

# shop_is NAME - restored as it was
shop_is()
{
    "$top/tests/compare-db.sh" shop "$1"
    dropdb "$1"
}

test_prepare()
{
    scene alone
    cold_config vault
    run_expect 0 pgcask -v backup
    expect_err "INFO: store 'vault': backup '$(latest_id)' is in cold storage and cannot be read back: its sizes are as its manifest says"
    jq -e '.good and .depth == "confirmed"' "$(find "$dir/vault" -name 'verdict-*-good.json')" >"$dir/jq"
    scene two
    cold_config "one vault"
    run_expect 0 pgcask backup
    expect_silent
    jq -e '.good and .depth == "plain"' "$(find "$dir/one" -name 'verdict-*-good.json')" >"$dir/jq"
    jq -e '.good and .depth == "confirmed"' "$(find "$dir/vault" -name 'verdict-*-good.json')" >"$dir/jq"
}

# A copy that cannot be read back leaves the depths to the next one.
test_the_first_copy_that_can_be_read_is_read_in_depth()
{
    scene first
    cold_config "vault one"
    run_expect 0 pgcask backup
    expect_silent
    jq -e '.depth == "confirmed"' "$(find "$dir/vault" -name 'verdict-*-good.json')" >"$dir/jq"
    jq -e '.depth == "plain"' "$(find "$dir/one" -name 'verdict-*-good.json')" >"$dir/jq"
}

test_it_is_shown()
{
    of_scene alone
    run_expect 0 pgcask list
    grep -Eq "^$(latest_id) .* good  +vault\\[cold\\]  +shop$" "$tmp/out" || fail "$(cat "$tmp/out")"
    equal "$(pgcask list --json | jq -c '.[0].stores')" '[{"store":"vault","state":"good","tier":"cold"}]'
    run_expect 0 pgcask show latest
    grep -Eq '^store:       vault, good on [0-9TZ:-]+, cold$' "$tmp/out" || fail "$(cat "$tmp/out")"
    of_scene two
    run_expect 0 pgcask list
    grep -Eq " good  +one vault\\[cold\\]  +shop$" "$tmp/out" || fail "$(cat "$tmp/out")"
    equal "$(pgcask list --json | jq -r '.[0].stores[0].tier')" hot
}

test_a_database_comes_back_with_the_second_try()
{
    of_scene alone
    freeze
    databases >"$dir/databases"
    run_expect 75 pgcask restore latest --into shop2
    expect_err "ERROR: backup '$(latest_id)': store 'vault': 'main/backup/$(latest_id)/"
    expect_err "is on its way out of the cellar (standard), which takes until the test says so (and "
    expect_err "HINT: run the same command again later, or with --wait"
    unchanged "$dir/databases"
    equal "$(asked)" "$(members main properties table)" "what was asked for"
    run_expect 75 pgcask restore latest --into shop2 # still on its way
    unchanged "$dir/databases"
    run_expect 0 pgcask list
    expect_out "vault[cold]" # globals are
    arrive
    run_expect 0 pgcask restore latest --into shop2
    expect_no_err WARN
    shop_is shop2
    run_expect 75 pgcask restore latest --into shop2 --globals
    equal "$(asked)" "$(members globals main properties table)" "what was asked for"
}

test_what_gets_cold_before_the_second_try_is_asked_for_again()
{
    local mark

    of_scene alone
    freeze
    run_expect 75 pgcask restore latest --into shop2 --tier bulk --thaw-days 3
    expect_err "(bulk)"
    arrive
    mark=$(find "$dir/vault.cold" -name '*shop.dump*')
    [ "$(cat "$mark")" -gt "$(date -d '+2 days' +%s)" ] && [ "$(cat "$mark")" -lt "$(date -d '+4 days' +%s)" ]
    echo 0 >"$mark"
    rm "$dir/vault.arrived"
    run_expect 75 pgcask restore latest --into shop2
    [ "$(cat "$mark")" != 0 ]
    arrive
    run_expect 0 pgcask restore latest --into shop2
    shop_is shop2
}

test_a_file_and_a_table_need_no_more_than_they_are()
{
    of_scene alone
    freeze
    run_expect 75 pgcask restore latest --member globals.sql --output "$dir/globals.sql"
    equal "$(asked)" globals.sql.zst.age "what was asked for"
    [ ! -e "$dir/globals.sql" ]
    arrive
    run_expect 0 pgcask restore latest --member globals.sql --output "$dir/globals.sql"
    freeze
    run_expect 75 pgcask restore latest --table public.item --output "$dir/item.sql"
    equal "$(asked)" "$(printf '%s\n' shop.dump.zst.age shop.public.item.dump.zst.age)" "what was asked for"
    [ ! -e "$dir/item.sql" ]
    arrive
    run_expect 0 pgcask restore latest --table public.item --output "$dir/item.sql"
    grep -q '^COPY .*item' "$dir/item.sql"
}

# Which partitions there are, the main member tells: a second round, before anything is touched.
test_partitions_are_asked_for_when_they_are_known()
{
    of_scene alone
    freeze
    databases >"$dir/databases"
    run_expect 75 pgcask restore latest --table public.visit --into shop
    equal "$(asked)" shop.dump.zst.age "what was asked for"
    arrive
    run_expect 75 pgcask restore latest --table public.visit --into shop
    equal "$(asked)" "$(printf '%s\n' shop.dump.zst.age shop.public.visit_old.dump.zst.age)" "what was asked for"
}

test_waiting_ends_when_all_is_there()
{
    of_scene alone
    freeze
    start_bg pgcask restore latest --into shop2 --wait --poll 20ms >"$dir/out" 2>"$dir/err"
    wait_until 60 asked_any
    arrive
    ended "$bg_pid"
    equal "$code" 0 "exit code"
    grep -q "^WARN: store 'vault': .* (and [0-9]* more), waiting for it$" "$dir/err" || fail "$(cat "$dir/err")"
    equal "$(grep -c 'on its way' "$dir/err")" 1 "how often it was said"
    equal "$(cat "$dir/out")" shop2
    shop_is shop2
}

test_waiting_can_be_interrupted()
{
    of_scene alone
    freeze
    databases >"$dir/databases"
    start_bg pgcask restore latest --into shop2 --wait --poll 1h >"$dir/out" 2>"$dir/err"
    wait_until 60 asked_any
    kill -TERM "$bg_pid"
    ended "$bg_pid"
    equal "$code" 1 "exit code"
    unchanged "$dir/databases"
}

test_a_hot_copy_is_read_instead()
{
    of_scene two
    freeze
    run_expect 0 pgcask restore latest --into shop2
    expect_no_err WARN
    equal "$(asked)" "" "what was asked for"
    dropdb shop2
    find "$dir/one" -name 'verdict-*' -delete # not verified, and at hand
    run_expect 0 pgcask restore latest --into shop2
    expect_no_err WARN
    equal "$(asked)" "" "what was asked for"
    dropdb shop2
    run_expect 75 pgcask restore latest --into shop2 --store vault
    freeze
    run_expect 0 pgcask verify latest --store one
}

test_only_what_no_hot_copy_has_is_asked_for()
{
    local file

    of_scene two
    freeze
    file=$(backup_dir)/shop.public.item.dump.zst.age
    mv "$file" "$dir/kept"
    run_expect 75 pgcask restore latest --into shop2
    equal "$(asked)" shop.public.item.dump.zst.age "what was asked for"
    arrive
    run_expect 0 pgcask restore latest --into shop2
    shop_is shop2
    mv "$dir/kept" "$file"
    freeze
}

# Damage shows when it is read; the other copy is cold then, and was not asked for.
test_a_hot_copy_that_turns_out_bad_names_the_cold_one()
{
    of_scene two
    freeze
    flip "$(backup_dir)/shop.public.item.dump.zst.age" 5000
    run_expect 1 pgcask restore latest --into shop2
    grep -q "^ERROR: .*store 'one': .*does not authenticate" "$tmp/err" || fail "$(cat "$tmp/err")"
    grep -q "^ERROR: .*store 'vault': .*is in cold storage" "$tmp/err" || fail "$(cat "$tmp/err")"
    expect_err "HINT: 'pgcask thaw' brings what is in cold storage"
    run_expect 75 pgcask thaw latest --store vault
    arrive
    run_expect 0 pgcask restore latest --into shop2
    expect_err "going on with store 'vault'"
    shop_is shop2
    flip "$(backup_dir)/shop.public.item.dump.zst.age" 5000
    freeze
}

test_a_store_whose_listings_do_not_tell()
{
    scene silent
    cold_config vault "tells = no"
    run_expect 0 pgcask backup
    equal "$(pgcask list --json | jq -r '.[0].stores[0].tier')" hot # as far as it is known
    run_expect 0 pgcask show latest
    grep -Eq '^store:       vault, good on [0-9TZ:-]+, cold$' "$tmp/out" || fail "$(cat "$tmp/out")"
    databases >"$dir/databases"
    run_expect 75 pgcask restore latest --into shop2
    unchanged "$dir/databases"
    equal "$(asked)" "$(members main properties table)" "what was asked for"
    arrive
    run_expect 0 pgcask restore latest --into shop2
    shop_is shop2
}

# ---- verify ----

test_a_cold_copy_cannot_be_verified_by_name()
{
    local count

    of_scene alone
    freeze
    count=$(verdicts)
    next_second
    run_expect 75 pgcask verify latest --store vault
    expect_err "ERROR: backup '$(latest_id)' is in cold storage in store 'vault': only its sizes were compared"
    expect_err "HINT: 'pgcask thaw $(latest_id) --store vault' makes it readable for some days"
    equal "$(cat "$tmp/out")" "$(latest_id) vault good (sizes: cold)"
    run_expect 75 pgcask verify
    equal "$(verdicts)" "$count" "verdicts"
}

test_all_of_them_are_as_good_as_can_be_told()
{
    local count

    of_scene two
    freeze
    next_second
    count=$(verdicts)
    run_expect 0 pgcask -v verify --all
    equal "$(cat "$tmp/out")" "$(printf '%s one good (stored bytes)\n%s vault good (sizes: cold)' "$(latest_id)" "$(latest_id)")"
    expect_err "INFO: store 'vault': backup '$(latest_id)' is in cold storage and cannot be read back"
    equal "$(verdicts)" "$count" "verdicts" # it was good before, and nothing is new
    find "$dir/vault" -name 'verdict-*' -delete
    run_expect 0 pgcask verify # the newest, in all stores: one of them was read
    equal "$(verdicts)" 1 "verdicts"
    jq -e '.good and .depth == "confirmed"' "$(find "$dir/vault" -name 'verdict-*-good.json')" >"$dir/jq"
}

test_a_cold_copy_that_lacks_something_is_bad()
{
    local file

    of_scene two
    freeze
    file=$(backup_dir vault)/shop.public.item.dump.zst.age
    cp "$file" "$dir/kept"
    truncate -s -1 "$file"
    next_second
    run_expect 1 pgcask verify --all
    expect_out "$(latest_id) vault bad"
    expect_err "the manifest says"
    run_expect 0 pgcask list
    expect_out "vault(bad)[cold]"
    cp "$dir/kept" "$file"
    next_second
    run_expect 1 pgcask verify --all # the right size proves nothing
    expect_out "$(latest_id) vault bad"
    expect_err "was bad when it was last read, and is in cold storage now"
    run_expect 75 pgcask thaw "$(latest_id)" --store vault
    arrive
    next_second
    run_expect 0 pgcask verify --all
    freeze
    run_expect 0 pgcask list
    expect_out "one vault[cold]"
}

# What was found while it could be read counts when it cannot any more; and sync does not take its sizes for a proof, either.
test_a_copy_that_was_read_and_bad_stays_bad_when_it_is_cold_again()
{
    local count file

    of_scene two
    freeze
    file=$(backup_dir vault)/shop.public.item.dump.zst.age
    flip "$file" 5000
    run_expect 75 pgcask thaw "$(latest_id)" --store vault
    arrive
    next_second
    run_expect 1 pgcask verify --all
    expect_out "$(latest_id) vault bad"
    freeze
    count=$(verdicts)
    next_second
    run_expect 1 pgcask verify --all
    expect_out "$(latest_id) vault bad"
    expect_err "HINT: 'pgcask sync' replaces it from another store"
    equal "$(verdicts)" "$count" "verdicts" # nothing is new
    run_expect 0 pgcask sync
    same "$file" "$(backup_dir)/shop.public.item.dump.zst.age"
    next_second
    run_expect 0 pgcask verify --all
    expect_out "$(latest_id) vault good (sizes: cold)"
}

test_what_was_read_while_it_was_thawed_stays_good()
{
    local count

    of_scene alone
    freeze
    run_expect 75 pgcask thaw latest
    arrive
    next_second
    run_expect 0 pgcask verify latest --deep
    equal "$(cat "$tmp/out")" "$(latest_id) vault good (plain bytes)"
    freeze
    count=$(verdicts)
    run_expect 0 pgcask verify --all
    equal "$(cat "$tmp/out")" "$(latest_id) vault good (sizes: cold)"
    equal "$(verdicts)" "$count" "verdicts"
    jq -e '.depth == "plain"' "$(find "$dir/vault" -name 'verdict-*' | sort | tail -n 1)" >"$dir/jq"
}

# ---- thaw ----

test_thaw_brings_all_members()
{
    of_scene alone
    freeze
    run_expect 75 pgcask thaw latest --tier expedited --days 1
    equal "$(cat "$tmp/out")" "$(latest_id) vault thawing"
    expect_err "WARN: store 'vault': "
    expect_err "(expedited), which takes until the test says so (and "
    expect_err ", come back later"
    never grep -q '^ERROR' "$tmp/err"
    equal "$(asked)" "$(members globals main properties table)" "what was asked for"
    run_expect 0 pgcask list
    expect_out "vault[thawing]"
    arrive
    run_expect 0 pgcask thaw latest
    grep -Eq "^$(latest_id) vault thawed until [0-9TZ:-]+$" "$tmp/out" || fail "$(cat "$tmp/out")"
    [ ! -s "$tmp/err" ]
    run_expect 0 pgcask list
    expect_out "vault[thawed until $(sed 's/.* until //' <(pgcask thaw latest))]"
    equal "$(pgcask list --json | jq -r '.[0].stores[0] | [.tier, (.until | length)] | @text')" '["thawed",20]'
    run_expect 0 pgcask show latest
    expect_out ", thawed until "
}

test_thaw_waits()
{
    of_scene alone
    freeze
    start_bg pgcask thaw latest --wait --poll 20ms >"$dir/out" 2>"$dir/err"
    wait_until 60 asked_any
    arrive
    ended "$bg_pid"
    equal "$code" 0 "exit code"
    grep -Eq "^$(latest_id) vault thawed until [0-9TZ:-]+$" "$dir/out" || fail "$(cat "$dir/out")"
}

test_thaw_takes_the_first_cold_copy()
{
    of_scene two
    freeze
    run_expect 75 pgcask thaw latest
    equal "$(cat "$tmp/out")" "$(printf '%s one hot\n%s vault thawing' "$(latest_id)" "$(latest_id)")"
    run_expect 0 pgcask thaw latest --store one
    equal "$(cat "$tmp/out")" "$(latest_id) one hot"
    freeze
}

test_options_are_checked_first()
{
    of_scene alone
    freeze
    run_expect 2 pgcask thaw latest --tier quick
    expect_err "ERROR: --tier: 'quick' is no tier (wanted: expedited, standard or bulk)"
    run_expect 2 pgcask thaw latest --days 0
    expect_err "ERROR: --days: '0' is out of range (wanted: 1 to 365 days)"
    run_expect 2 pgcask restore latest --into shop2 --thaw-days 400
    expect_err "ERROR: --thaw-days: '400' is out of range"
    run_expect 2 pgcask restore latest --into shop2 --poll soon
    expect_err "ERROR: --poll: "
    run_expect 2 pgcask restore latest --into shop2 --tier Bulk
    expect_err "did you mean 'bulk'?"
    run_expect 2 pgcask thaw
    run_expect 2 pgcask restore latest --into shop # a name that exists is refused before anything is asked for
    equal "$(asked)" "" "what was asked for"
}

build_cold
start_postgres
createdb shop
sql shop <<'END'
CREATE TABLE item (id int PRIMARY KEY, name text);
INSERT INTO item SELECT n, md5(n::text) || md5((-n)::text) FROM generate_series(1, 3000) n;
CREATE TABLE shelf (id int PRIMARY KEY, item int REFERENCES item);
INSERT INTO shelf SELECT n, n FROM generate_series(1, 10) n;
CREATE TABLE visit (at date NOT NULL, who text) PARTITION BY RANGE (at);
CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE visit_new PARTITION OF visit FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
INSERT INTO visit SELECT date '2020-01-01' + n % 300, md5(n::text) FROM generate_series(1, 3000) n;
INSERT INTO visit VALUES ('2021-05-05', 'one');
END
run_tests
