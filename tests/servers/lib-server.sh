# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the scripts of servers share: processes known by pid files, free ports, a certificate. Sourced by ceph.sh and
# swift.sh, which have set $base (where all lies, pid files in run/) and $mark: a word that stands alone in the
# command line of each process and in no other process's.

# shellcheck disable=SC2154 # $base, $mark

die()
{
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# is_there NAME - whether the process we have just started is there; its command line may still be ours
is_there()
{
    local pid

    pid=$(cat "$base/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    [ -e "/proc/$pid/stat" ] && ! grep -q '^[0-9]* (.*) Z' "/proc/$pid/stat" 2>/dev/null
}

# alive NAME - whether the process of run/NAME.pid is there and is ours: pids are given out again
alive()
{
    local pid

    is_there "$1" && pid=$(cat "$base/run/$1.pid" 2>/dev/null) || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -e "$mark"
}

# end NAME [TURNS] - ask, wait up to TURNS/20 s (default: not at all), then force
end()
{
    local pid turn

    if alive "$1" && pid=$(cat "$base/run/$1.pid" 2>/dev/null); then
        [ "${2:-0}" = 0 ] || kill "$pid" 2>/dev/null || :
        for ((turn = 0; turn < ${2:-0}; turn++)); do
            alive "$1" || break
            sleep 0.05
        done
        ! alive "$1" || kill -KILL "$pid" 2>/dev/null || :
        for ((turn = 0; turn < 200; turn++)); do
            alive "$1" || break
            sleep 0.05
        done
    fi
    rm -f "$base/run/$1.pid"
}

free_port()
{
    local port

    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

uuid()
{
    cat /proc/sys/kernel/random/uuid
}

# The certificate is for 127.0.0.1, localhost, s3.localhost and BUCKET.s3.localhost (*.localhost would not do: a
# wildcard needs two labels behind it).
make_tls()
{
    local dir=$base/tls key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

    mkdir -p "$dir"
    printf 'subjectAltName=DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1\n' >"$dir/names"
    {
        openssl req -x509 "${key[@]}" -days 3650 -subj '/CN=CA of the tests' -keyout "$dir/ca.key" -out "$dir/ca.crt"
        openssl req "${key[@]}" -subj /CN=localhost -keyout "$dir/server.key" -out "$dir/server.csr"
        openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial \
            -days 3650 -extfile "$dir/names" -out "$dir/server.crt"
    } >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "openssl made no certificate"; }
    cat "$dir/server.crt" "$dir/server.key" >"$dir/server.pem"
}
