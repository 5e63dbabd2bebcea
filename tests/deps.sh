#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Installs the Debian packages that building and testing need and that are not there yet.
#
#   tests/deps.sh MODE...
#     build       compile, install and run the unit tests
#     test        build, and what the tests run against (PostgreSQL, Ceph, age, zstd …)
#     quickstart  build, and what quickstart.sh shows
#     ci          test, and the second compiler, its sanitizers, shellcheck, make distcheck
#     bench       test, and what tests/bench compares pgcask with
#     extended    test, and what brings servers of other Debian releases, and other versions of PostgreSQL
#
# Does nothing, and needs no root, when all is present. No daemon is started and no
# PostgreSQL cluster is made on the way. Exit 1: something is missing and cannot be installed.
set -eu

build='autoconf automake libtool pkg-config gcc make libc6-dev libssl-dev libpq-dev libinih-dev libzstd-dev
    libxxhash-dev libjansson-dev libcurl4-openssl-dev libexpat1-dev zlib1g-dev check perl'
server='postgresql-15 postgresql-client-15 age zstd'
s3='ceph-mon ceph-osd radosgw ceph-common openssl curl awscli faketime'
test="$server $s3 python3 jq xxhash strace procps"
ci='clang libclang-rt-14-dev git shellcheck xz-utils'
bench=pgbackrest
extended='mmdebstrap debian-archive-keyring util-linux patchelf'
command -v npm >/dev/null || extended="$extended npm" # often from elsewhere, and then it excludes Debian's

usage()
{
    sed -n '/^#   tests/,/^#     extended/s/^#   \{0,1\}//p' "$0" >&2
    exit 2
}

packages_of()
{
    case $1 in
        build) echo "$build" ;;
        test) echo "$build $test" ;;
        quickstart) echo "$build $server" ;;
        ci) echo "$build $test $ci" ;;
        bench) echo "$build $test $bench" ;;
        extended) echo "$build $test $extended" ;;
        *) usage ;;
    esac
}

installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of()
{
    local mode package

    for mode; do
        for package in $(packages_of "$mode"); do
            installed "$package" || echo "$package"
        done
    done | sort -u
}

# Packages that bring a daemon ask policy-rc.d whether they may start it: 101 is "no".
# postgresql-common keeps a createcluster.conf it finds, here one that says "no cluster".
keep_quiet()
{
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    if [ ! -e /etc/postgresql-common ]; then
        mkdir -p /etc/postgresql-common
        printf '%s\n' '# written by the tests of pgcask: installing PostgreSQL makes no cluster' \
            'create_main_cluster = false' "include_dir '/etc/postgresql-common/createcluster.d'" \
            >/etc/postgresql-common/createcluster.conf
    fi
}

apt_install()
{
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    keep_quiet
    # The lists may be absent (a fresh chroot) or name versions the mirror has dropped.
    apt-get -q update
    apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" </dev/null
}

[ $# -gt 0 ] || usage
for mode; do
    packages_of "$mode" >/dev/null
done
if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: this is not a Debian system; needed are (names of Debian 12): $(for m; do packages_of "$m"; done | xargs)" >&2
    exit 1
fi
mapfile -t missing < <(missing_of "$@")
[ ${#missing[@]} -gt 0 ] || exit 0

echo "deps.sh: not installed: ${missing[*]}" >&2
if [ "$(id -u)" = 0 ]; then
    apt_install "${missing[@]}"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n "$0" "$@"
else
    echo "deps.sh: not root, and sudo wants a password. Run this, then try again:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
mapfile -t missing < <(missing_of "$@")
if [ ${#missing[@]} -gt 0 ]; then
    echo "deps.sh: still missing after apt-get: ${missing[*]}" >&2
    exit 1
fi
