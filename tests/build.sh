#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Builds the project outside of the source tree; what is built already is kept.
#
#   tests/build.sh DIR [CONFIGURE OPTION…]
#
# Runs autoreconf when configure is missing or old, configure when the options or configure itself have
# changed, then make. Says one line for each step; what the tools say is kept in DIR/*.log and shown
# when they fail. `make install` in DIR goes below DIR/installed.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)

if [ $# = 0 ]; then
    sed -n 's/^#   tests/tests/p' "$0" >&2
    exit 2
fi
if [ -e "$top/config.status" ]; then
    echo "build.sh: '$top' itself is configured: run 'make distclean' there first" >&2
    exit 1
fi
mkdir -p "$1" || exit 1
build=$(cd "$1" && pwd)
shift

# quietly LOG COMMAND… - show what it said only when it fails
quietly()
{
    local log=$build/$1

    shift
    "$@" >"$log" 2>&1 && return
    tail -n 60 "$log" >&2
    echo "build.sh: failed: $*; all it said is in '$log'" >&2
    exit 1
}

configure_is_old()
{
    local source

    [ -x "$top/configure" ] || return 0
    for source in configure.ac Makefile.am; do
        [ ! "$top/$source" -nt "$top/configure" ] || return 0
    done
    return 1
}

if configure_is_old; then
    echo "== autoreconf"
    (cd "$top" && quietly autoreconf.log autoreconf -fi) || exit 1
fi
if [ ! "$build/config.status" -nt "$top/configure" ] || [ "$(cat "$build/configured.with" 2>/dev/null)" != "$*" ]; then
    echo "== configure $*"
    (cd "$build" && quietly configure.log "$top/configure" --prefix="$build/installed" "$@") || exit 1
    echo "$*" >"$build/configured.with"
fi
echo "== make"
quietly make.log make -C "$build" -j "$(nproc)"
