# shellcheck shell=bash
# SPDX-License-Identifier: PostgreSQL
#
# What the tests of base backups share, on top of scene.sh: a server whose finished WAL is laid into
# $spool by its archive_command, and clusters restored by hand, with tar, zstd and age alone.

# shellcheck source=scene.sh
. "$(dirname "${BASH_SOURCE[0]}")/scene.sh"

# start_archiving_postgres - as start_postgres; sets $spool and $main_base, too
start_archiving_postgres()
{
    main_base=$tmp/pg
    spool=$main_base/spool
    export PG_CONF="archive_mode = on
archive_command = 'cp %p $spool/%f.new && mv $spool/%f.new $spool/%f'"
    start_postgres
    unset PG_CONF
    mkdir -m 777 "$spool"
    system=$(sql postgres -c 'SELECT system_identifier FROM pg_control_system()')
}

# push_spool [CONFIG] - what the server has archived by now goes into the stores
push_spool()
{
    local file

    for file in "$spool"/*; do
        case $file in *.new | *'*') continue ;; esac
        pgcask ${1+-c "$1"} wal push --cluster main --system-identifier "$system" "$file" || fail "'$file' was not taken"
    done
}

base_job() # [LINE…]
{
    job_section base "kind = base" "$@"
}

# base_config [LINE-OF-THE-JOB…] - one cluster, the store one, the job base; WAL is taken along unless a line says otherwise
base_config()
{
    local wal="wal = include"

    printf '%s\n' "$@" | grep -q '^wal *=' && wal=
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(base_job ${wal:+"$wal"} "$@")
END
}

# role_object ROLE - name of the object of the newest backup
role_object()
{
    jq -r --arg role "$1" '.members[] | select(.role == $role).object' "$(backup_dir)/manifest.json"
}

plain_object() # NAME
{
    age -d -i "$dir/identity.txt" "$(backup_dir)/$1" | zstd -dq
}

# manifest_says FILTER WANTED
manifest_says()
{
    equal "$(jq -r "$1" "$(backup_dir)/manifest.json")" "$2" "$1"
}

# unpack PLACE - the newest backup into PLACE/data and PLACE/ts-OID, without pgcask; settings that make it a server of its own
unpack()
{
    local place=$1 oid object

    mkdir -p "$place/data" "$place/sock"
    chmod 711 "$place"
    chmod 700 "$place/data"
    chmod 755 "$place/sock"
    plain_object "$(role_object base)" | tar x -C "$place/data"
    plain_object "$(role_object backup_manifest)" >"$place/data/backup_manifest"
    jq -r '.members[] | select(.role == "tablespace") | [.tablespace, .object] | @tsv' "$(backup_dir)/manifest.json" |
        while read -r oid object; do
            mkdir -m 700 "$place/ts-$oid"
            plain_object "$object" | tar x -C "$place/ts-$oid"
            ln -s "$place/ts-$oid" "$place/data/pg_tblspc/$oid"
        done
}

# adopt PLACE - the files belong to the server's user; tests/pg.sh can start it
adopt()
{
    local place=$1

    cat >>"$place/data/postgresql.conf" <<END
unix_socket_directories = '$place/sock'
archive_mode = off
END
    [ ! -e "$place/data/tablespace_map" ] || sed -i "s|^\([0-9]*\) .*|\1 $place/ts-\1|" "$place/data/tablespace_map"
    find "$place/data/pg_tblspc" -type l -delete
    free_port >"$place/port"
    [ "$(id -u)" != 0 ] || chown -R --reference="$main_base/data" "$place"
    cleanup_fn env PG_BASE="$place" "$pg" wipe
}

# wake PLACE - start it; its log shows a clean recovery
wake()
{
    PG_BASE=$1 "$pg" start
    never grep -E 'PANIC|FATAL|ERROR|WARNING' "$1/server.log"
}

# sql_of PLACE DATABASE … - psql there
sql_of()
{
    local place=$1

    shift
    PGHOST=$place/sock PGPORT=$(cat "$place/port") sql "$@"
}

# contents [PLACE] - one line that is another one when a row is
contents()
{
    local query="SELECT count(*), sum(hashtext(t::text)::bigint) FROM stock t"

    if [ $# = 0 ]; then sql shop -c "$query"; else sql_of "$1" shop -c "$query"; fi
}

# load_shop - database shop, whose table bottle lies in a tablespace of its own
load_shop()
{
    mkdir -m 700 "$main_base/bottles"
    [ "$(id -u)" != 0 ] || chown --reference="$main_base/data" "$main_base/bottles"
    sql postgres -c "CREATE TABLESPACE bottles LOCATION '$main_base/bottles'" -c 'CREATE DATABASE shop'
    sql shop -c "CREATE TABLE stock AS SELECT g AS id, md5(g::text) AS label FROM generate_series(1, 60000) g" \
        -c 'CREATE TABLE bottle TABLESPACE bottles AS SELECT g AS id FROM generate_series(1, 20000) g' -c CHECKPOINT
}
