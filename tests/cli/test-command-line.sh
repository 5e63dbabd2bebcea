#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# What all commands have in common: options that cannot be, help and version in both spellings.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

# option_rows: command line | what is said | the cure
option_rows="
list --stroe=x|there is no option '--stroe'|did you mean '--store'? usage: pgcask list [
list --json=yes|option '--json' takes no value|usage: pgcask list [
restore --s x|option '--s' is not unique: '--swap', '--swap-back', '--schema', '--store'|usage: pgcask restore ID|latest
list --store|option '--store' needs a value|usage: pgcask list [
list -q|there is no option '-q'|usage: pgcask list [
--verbos=3 list|option '--verbose' takes no value|usage: pgcask [-c FILE] [-v] COMMAND
help lisst|there is no command 'lisst'|did you mean 'pgcask list'?
"

test_a_bad_option_is_told_why()
{
    local words said cure

    while IFS='|' read -r words said cure; do
        [ -n "$words" ] || continue
        # shellcheck disable=SC2086 # words of a command line
        run_expect 2 pgcask $words
        expect_err "ERROR: $said"
        expect_err "HINT: $cure"
        ok "pgcask $words"
    done <<<"$option_rows"
}

test_help_and_version_are_words_too()
{
    local words

    for words in "" list restore; do
        # shellcheck disable=SC2086 # none, or one word
        run_expect 0 pgcask $words --help
        cp "$tmp/out" "$tmp/help"
        run_expect 0 pgcask help ${words:+"$words"}
        same "$tmp/out" "$tmp/help"
    done
    run_expect 0 pgcask --version
    cp "$tmp/out" "$tmp/version"
    run_expect 0 pgcask version
    same "$tmp/out" "$tmp/version"
}

run_tests
