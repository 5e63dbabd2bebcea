#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Base backups of every version of PostgreSQL there is to test with: the two protocols, and what each
# version says in its own way. The tests are those of tests/cli/test-base.sh.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires psql

base_tests() # MAJOR
{
    local postgres=$top/tests/servers/postgres.sh code=0

    "$postgres" setup "$1" 2>"$tmp/setup.err" || code=$?
    [ "$code" != 77 ] || skip "$(cat "$tmp/setup.err")"
    [ "$code" = 0 ] || fail "$(cat "$tmp/setup.err")"
    PG_BINDIR=$("$postgres" bindir "$1") run_expect 0 "$top/tests/cli/test-base.sh" test_a_backup_is_whole_verified_and_listed \
        test_tar_zstd_and_age_are_enough test_it_waits_for_the_archive test_bad_pages_fail_the_backup_or_are_recorded
    expect_out '4 passed, 0 failed, 0 skipped'
}

test_postgresql_13() { base_tests 13; }
test_postgresql_14() { base_tests 14; }
test_postgresql_16() { base_tests 16; }
test_postgresql_17() { base_tests 17; }
test_postgresql_18() { base_tests 18; }

run_tests
