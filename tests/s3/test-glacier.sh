#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Cold storage as far as the Ceph of Debian 12 has it: storage classes at upload and by lifecycle rules, in which a day is
# two seconds. It keeps what is cold readable; the refusal and the thaw are tried by tests/extended.

# shellcheck source=scene-s3.sh
. "$(dirname "$0")/scene-s3.sh"

# glacier_scene NAME [LINE-OF-THE-STORE…]
glacier_scene()
{
    s3_scene "$1" "plugin = glacier" "${@:2}"
}

# classes ID - storage class and file name of each object of a backup, verdicts left out
classes()
{
    s3 ll "$bucket" "some/where/main/backup/$1/" | awk -F'\t' '{ sub(".*/", "", $4); print $2, $4 }' | grep -v verdict- || :
}

members_are_in()
{
    classes "$1" >"$tmp/classes"
    never_hot=$(grep '\.zst\.age$' "$tmp/classes" | grep -vc "^$2 ")
    [ "$never_hot" = 0 ]
}

test_members_go_to_the_cold_class_at_once_and_manifests_do_not()
{
    glacier_scene once
    run_expect 0 pgcask backup daily
    id=$(latest_id)
    members_are_in "$id" GLACIER || fail "$(cat "$tmp/classes")"
    grep -q '^STANDARD manifest.json$' "$tmp/classes" || fail "the manifest is not hot: $(cat "$tmp/classes")"
    run_expect 0 pgcask verify latest
    run_expect 0 pgcask restore latest --into once_back
    "$top/tests/compare-db.sh" shop once_back
    dropdb once_back
}

test_the_deep_class()
{
    glacier_scene deep "cold_class = deep"
    run_expect 0 pgcask backup daily
    members_are_in "$(latest_id)" DEEP_ARCHIVE || fail "$(cat "$tmp/classes")"
}

test_check_tells_that_the_rule_is_missing_and_fixes_it()
{
    glacier_scene rule "transition = after 3d"
    run_expect 1 pgcask check
    expect_out "there is no lifecycle rule 'pgcask-cold-some/where/'"
    run_expect 0 pgcask check --fix
    expect_out "fixed"
    run_expect 0 pgcask check
    expect_out "moves members to GLACIER after 3 days"
}

test_other_rules_of_the_bucket_stay()
{
    glacier_scene others "transition = after 3d"
    s3 lifecycle "$bucket" = - <<'END'
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>theirs &amp; old</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>700</Days></Expiration></Rule><Rule><ID>uploads</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>500</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>
END
    run_expect 0 pgcask check --fix
    s3 lifecycle "$bucket" >"$tmp/rules"
    for words in 'theirs &amp; old' '<Days>700</Days>' 'uploads' '500</DaysAfterInitiation>' 'pgcask-cold-some/where/'; do
        grep -qF "$words" "$tmp/rules" || fail "the rules lack '$words': $(cat "$tmp/rules")"
    done
    # another number of days replaces our rule, and ours alone
    s3_config "plugin = glacier" "transition = after 5d"
    run_expect 1 pgcask check
    expect_out "does not say what transition says"
    run_expect 0 pgcask check --fix
    s3 lifecycle "$bucket" >"$tmp/rules"
    equal "$(grep -o '<ID>' "$tmp/rules" | wc -l)" 3 "rules"
    grep -qF '<Days>5</Days>' "$tmp/rules" || fail "our rule is the old one: $(cat "$tmp/rules")"
}

test_the_rule_moves_members_and_nothing_else()
{
    # one of them is written in parts
    sql shop -c "CREATE TABLE bulky AS SELECT g, decode(md5(g::text) || md5((g * 7)::text) || md5((g * 11)::text) ||
                 md5((g * 13)::text), 'hex') AS r FROM generate_series(1, 100000) g"
    cleanup_fn psql -XAtqc 'DROP TABLE bulky' -d shop
    glacier_scene moved "transition = after 1d" "part_size = 5MiB"
    run_expect 0 pgcask check --fix
    run_expect 0 pgcask backup daily
    id=$(latest_id)
    members_are_in "$id" STANDARD || fail "$(cat "$tmp/classes")"
    wait_until 120 members_are_in "$id" GLACIER
    grep -q '^STANDARD manifest.json$' "$tmp/classes" || fail "the manifest was moved: $(cat "$tmp/classes")"
    run_expect 0 pgcask verify latest
    run_expect 0 pgcask restore latest --into moved_back
    "$top/tests/compare-db.sh" shop moved_back
    dropdb moved_back
}

test_days_that_are_paid_for_and_not_used_are_told()
{
    local row words

    while IFS='|' read -r row keep words; do
        job_lines=("keep = $keep")
        glacier_scene paid "transition = $row"
        pgcask check --fix >"$tmp/out" 2>"$tmp/err" || :
        if [ -n "$words" ]; then
            expect_out "$words"
        else
            expect_no_out "days"
        fi
    done <<'END'
after 30d|90d|in GLACIER for 60 days only, and 90 days are charged at least
after 30d|20d|none of them ever gets to GLACIER
at once|60d|in GLACIER for 60 days only
at once|365d|
END
}

test_a_wrong_transition_is_refused()
{
    glacier_scene wrong "transition = sometimes"
    run_expect 2 pgcask list
    expect_err "'at once' or 'after Nd'"
}

# the example as it is shipped, with this server and these databases in it
test_the_three_jobs_of_the_example()
{
    scene jobs
    s3_bucket
    mkdir "$dir/backups"
    configure <"$top/conf/examples/daily-weekly-monthly.ini"
    sed -i -e "s|^recipient_file = .*|recipient_file = $dir/recipient.txt\nidentity_file = $dir/identity.txt\nstate_dir = $dir/state|" \
        -e "s|^conninfo = .*|conninfo = host=$PGHOST port=$PGPORT user=postgres dbname=postgres|" \
        -e "s|^path = .*|path = $dir/backups|" -e "s|^bucket = .*|bucket = $bucket|" \
        -e "s|^region = .*|endpoint = $S3_ENDPOINT\naccess_key = $S3_KEY\nsecret_key = $S3_SECRET|" \
        -e 's/^databases = .*/databases = shop/; s/^database = .*/database = shop/; s/FROM users/FROM customer/' \
        -e 's/^transition = after 30d/transition = after 1d/' "$PGCASK_CONFIG"
    chmod 600 "$PGCASK_CONFIG"
    run_expect 0 pgcask check --fix
    for job in daily weekly monthly; do
        run_expect 0 pgcask backup "$job"
    done
    equal "$(count_backups)" 3 "backups that are listed"
    pgcask list --json | jq -r '.[] | "\(.job) \([.stores[].store] | sort | join(" "))"' | sort >"$tmp/stores"
    equal "$(cat "$tmp/stores")" "daily local offsite
monthly vault
weekly archive" "where they are"
    wait_until 120 weekly_is_cold
    for job in daily weekly monthly; do
        run_expect 0 pgcask restore latest --job "$job" --into "back_$job"
        "$top/tests/compare-db.sh" shop "back_$job"
        dropdb "back_$job"
    done
    run_expect 0 pgcask restore latest --job daily --store offsite --into back_offsite
    dropdb back_offsite
}

weekly_is_cold()
{
    s3 ll "$bucket" weekly/chain/backup/ | awk -F'\t' '$4 ~ /\.zst\.age$/ && $2 != "GLACIER" { left = 1 } END { exit left }'
}

start_postgres
load_shop
LC_DEBUG=2 s3_start
run_tests "$@"
