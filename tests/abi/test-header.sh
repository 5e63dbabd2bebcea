#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# The public header stands alone: strict C99 and C11, C++ from 11 on, no other header of ours, and no name that does not
# begin with pgcask. Its layout is still that of the frozen copy.
set -eu
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
CC=${CC:-cc}
CXX=${CXX:-c++}
here=$top_srcdir/tests/abi
header=$top_srcdir/core/include
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-header.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
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

skip()
{
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# A header directory that holds nothing else, as after installation.
mkdir "$tmp/include"
cp "$header/pgcask-plugin.h" "$tmp/include/"
cat >"$tmp/alone.c" <<'EOF'
#include <pgcask-plugin.h>
#include <pgcask-plugin.h>
/* names that the header must leave to its user */
int bool, true, put, event, listing, limits, handle;
int alone(void);
int
alone(void)
{
    return bool + true + put + event + listing + limits + handle + PGCASK_OK;
}
EOF
printf '#include <pgcask-plugin.h>\nint alone() { return PGCASK_OK; }\n' >"$tmp/alone.cc"
strict='-pedantic -Wall -Wextra -Wundef -Wshadow -Werror'
for std in c99 c11; do
    # shellcheck disable=SC2086 # words on purpose
    check "alone as $std" $CC -std=$std $strict -Wstrict-prototypes -I"$tmp/include" -c "$tmp/alone.c" -o "$tmp/alone.o"
done
if command -v "${CXX%% *}" >"$tmp/said" 2>&1; then
    for std in c++11 c++17 c++20; do
        # shellcheck disable=SC2086
        check "alone as $std" $CXX -std=$std $strict -I"$tmp/include" -c "$tmp/alone.cc" -o "$tmp/alone.o"
    done
    # shellcheck disable=SC2086
    check 'a plugin in C++' $CXX -std=c++20 $strict -fPIC -shared -I"$tmp/include" "$here/abi-cxx.cc" -o "$tmp/cxx.so"
    check 'its entry has a C name' sh -c "nm -D --defined-only '$tmp/cxx.so' | grep -q ' T pgcask_notifier_plugin_v1\$'"
else
    skip 'C++' "there is no $CXX"
fi

# own_names - macros and declarations that the header adds, without those of the headers it includes
own_names()
{
    printf '#include <stddef.h>\n#include <stdint.h>\n' >"$tmp/base.c"
    printf '#include <stddef.h>\n#include <stdint.h>\n#include <pgcask-plugin.h>\n' >"$tmp/with.c"
    $CC -std=c99 -I"$tmp/include" -E -dM "$tmp/base.c" | sort >"$tmp/base.macros"
    $CC -std=c99 -I"$tmp/include" -E -dM "$tmp/with.c" | sort >"$tmp/with.macros"
    comm -13 "$tmp/base.macros" "$tmp/with.macros" | awk '{ print $2 }' | sed 's/(.*//' | grep -v '^PGCASK_' && return 1
    return 0
}
check 'every macro begins with PGCASK_' own_names

same_layout()
{
    $CC -I"$here/v1" "$here/abi-layout.c" -o "$tmp/frozen" && "$tmp/frozen" >"$tmp/frozen.txt" || return 1
    $CC -I"$header" "$here/abi-layout.c" -o "$tmp/today" && "$tmp/today" >"$tmp/today.txt" || return 1
    diff "$tmp/frozen.txt" "$tmp/today.txt"
}
check 'nothing of version 1 has moved' same_layout

# Every function that the header declares is exported by the program, and nothing else of the program is.
declared()
{
    sed -n 's/^[a-z].*[ *]\(pgcask_[a-z_]*\)(.*/\1/p' "$header/pgcask-plugin.h" | sort >"$tmp/declared"
    sed -n 's/^ *\(pgcask_[a-z_]*\);$/\1/p' "$top_srcdir/core/plugin/pgcask.syms" | sort >"$tmp/listed"
    diff "$tmp/declared" "$tmp/listed"
}
check 'pgcask.syms lists the services of the header' declared

echo "1..$number"
[ "$failed" = 0 ]
