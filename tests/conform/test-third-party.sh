#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# What a third-party author does: copies the example out of the tree, builds it with nothing but the installed header and
# pkg-config, installs it where plugindir says, and has the installed program check it.
# $top_builddir: a configured build tree; $MAKE: make.
set -eu
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir}" && pwd)
MAKE=${MAKE:-make}
if [ ! -e "$top_builddir/Makefile" ]; then
    echo "1..0 # SKIP '$top_builddir' is not configured"
    exit 77
fi
umask 022
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pgcask-third-party.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
number=0

# step TITLE COMMAND… - one TAP line; each step needs the one before it
step()
{
    title=$1
    shift
    number=$((number + 1))
    if "$@" >"$tmp/said" 2>&1; then
        echo "ok $number - $title"
        return 0
    fi
    echo "not ok $number - $title"
    sed 's/^/#   /' "$tmp/said"
    echo "1..$number"
    exit 1
}

root=$tmp/root
# The jobserver and the flags of a make around us are none of this one's business.
step 'pgcask installs' env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS "$MAKE" -C "$top_builddir" install DESTDIR="$root"

pc=$(find "$root" -name pgcask.pc)
header=$(find "$root" -name pgcask-plugin.h)
step 'the header and pgcask.pc are installed' test -n "$pc" -a -n "$header"
# As if DESTDIR were the root of a file system; no other pgcask.pc of this machine may be found.
PKG_CONFIG_LIBDIR=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
unset PKG_CONFIG_PATH || :

plugindir=$(pkg-config --variable=plugindir pgcask)
plugindir=$root${plugindir#"$root"} # some pkg-configs put the root before variables, too
step 'plugindir is where our own plugins are' test -e "$plugindir/pgcask-local-storage.so"

cp -R "$top_srcdir/plugins/example" "$tmp/mine"
rm -f "$tmp/mine"/*.so "$tmp/mine"/*.o "$tmp/mine"/*.lo "$tmp/mine"/*.la
step 'the example builds outside of the tree' env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CFLAGS -u CPPFLAGS -u LDFLAGS \
    "$MAKE" -C "$tmp/mine" -f "$top_srcdir/plugins/example/Makefile"
so=$tmp/mine/pgcask-example-storage.so
step 'it needs nothing but the C library' sh -c "! readelf -d '$so' | grep NEEDED | grep -v 'libc\\.so'"

program=$(find "$root" -type f -name pgcask -path '*/bin/*' -perm -u+x)
nm -D --defined-only "$(find "$root" -type f -name pgcask -path '*/libexec/*' -perm -u+x)" | sed -n 's/.* T \(pgcask_.*\)/\1/p' | sort >"$tmp/exported"
sed -n 's/^ *\(pgcask_[a-z_]*\);$/\1/p' "$top_srcdir/core/plugin/pgcask.syms" | sort >"$tmp/listed"
step 'the installed program offers exactly the services listed' diff "$tmp/listed" "$tmp/exported"
step 'it describes the plugin' sh -c "'$program' plugin info '$so' >'$tmp/info'"
step 'the description names its options' grep -qx 'option.label.required=yes' "$tmp/info"
step 'it passes plugin check' "$program" plugin check "$so" --set label=mine

echo "1..$number"
