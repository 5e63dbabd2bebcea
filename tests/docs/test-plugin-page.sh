#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# pgcask-plugin(3) tells the truth: its opening plugin builds without a warning and works, every callback, service and
# field of the header has a place in the page, and the page names none that is not in the header.
# $PGCASK: the program; $CC: the compiler.
set -eu
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir}" && pwd)
CC=${CC:-cc}
PGCASK=${PGCASK:-$top_builddir/pgcask}
page=$top_srcdir/docs/man/pgcask-plugin.3.pod
header=$top_srcdir/core/include/pgcask-plugin.h
umask 022
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-page.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
number=0 failed=0

# check TITLE COMMAND… - one TAP line; what the command said only when it fails
check()
{
    title=$1
    shift
    number=$((number + 1))
    if "$@" >"$tmp/said" 2>&1; then
        echo "ok $number - $title"
    else
        echo "not ok $number - $title"
        sed 's/^/#   /' "$tmp/said"
        failed=$((failed + 1))
    fi
}

# The first indented block of SYNOPSIS.
awk '/^=head1 SYNOPSIS/ { on = 1; next } on && /^[^ ]/ { exit } on { sub(/^    /, ""); print }' "$page" >"$tmp/say.c"
# shellcheck disable=SC2086 # CC may have options
check 'the opening plugin builds without a warning' $CC -std=c99 -pedantic -Wall -Wextra -Werror -I"${header%/*}" -fPIC \
    -shared -o "$tmp/pgcask-say-notifier.so" "$tmp/say.c"
check 'it works' "$PGCASK" plugin check "$tmp/pgcask-say-notifier.so"
cp "$tmp/said" "$tmp/told"
check 'it tells the outcome' grep -qx 'pgcask: success' "$tmp/told"

sed -n 's/^    [a-z]* (\*\([a-z_]*\))(.*/\1/p; s/^[a-z].*[ *]\(pgcask_[a-z_]*\)(.*/\1/p' "$header" | sort -u >"$tmp/in-header"
# Headings that are nothing but names.
sed -nE 's/^=head2 ([a-z_]+(, [a-z_]+)*)$/\1/p' "$page" | tr -d ',' | tr ' ' '\n' | sort -u >"$tmp/in-page"
check 'header and page have the same callbacks and services' diff "$tmp/in-header" "$tmp/in-page"

prototypes()
{
    sed -n 's/^    \([a-z]* (\*[a-z_]*)(.*;\).*/\1/p; s/^\([a-z].*[ *]pgcask_[a-z_]*(.*)\).*;.*/\1/p' "$header" |
        sed 's/ PGCASK_PRINTF.*//; s/;$//' >"$tmp/prototypes"
    wrong=0
    while read -r prototype; do
        grep -qF -- "    $prototype;" "$page" || {
            echo "not in the page: $prototype"
            wrong=1
        }
    done <"$tmp/prototypes"
    [ -s "$tmp/prototypes" ] && [ "$wrong" = 0 ]
}
check 'the prototypes are the same' prototypes

echo "1..$number"
[ "$failed" = 0 ]
