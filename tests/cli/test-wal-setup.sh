#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# `pgcask wal setup`: what a real server has to be told, told by it, and where it stays with a look.

# shellcheck source=scene-wal.sh
. "$(dirname "$0")/scene-wal.sh"

# setup_config [LINE-OF-THE-CLUSTER…]
setup_config()
{
    configure <<END
$(pgcask_section "plugin_dir = $build/plugins/.libs")
$(cluster_section "$@")
$(store_section one)
END
    [ "$(id -u)" != 0 ] || chown "$server_user" "$PGCASK_CONFIG"
}

# setup_scene NAME - a scene and a server with nothing but defaults
setup_scene()
{
    server_scene "$1"
    start_server "$1-pg" ""
    setup_config
}

# setup [OPTION…] - by the user that the server runs as, so that both may read the config
setup()
{
    as_server "$build/pgcask" wal setup "$@"
}

# says STATE NAME - the last run_expect has that setting in that state
says()
{
    grep -qE "^$1 +$2 = " "$tmp/out" && return
    echo "    '$2' is not '$1'" >&2
    lib_show
    exit 1
}

auto_conf()
{
    sed '/^#/d' "$PG_BASE/data/postgresql.auto.conf"
}

restart()
{
    "$pg" stop
    "$pg" start
}

test_a_look_changes_nothing()
{
    setup_scene look
    run_expect 3 setup
    expect_out "cluster 'main': PostgreSQL "
    says ok wal_level
    says ok max_wal_senders
    says set archive_mode
    expect_out "         wanted: 'on', which takes a restart"
    says set archive_command
    says set archive_timeout
    expect_out "ALTER SYSTEM SET archive_mode = 'on';"
    expect_out "SELECT pg_reload_conf();"
    equal "$(auto_conf)" ""
}

test_what_is_applied_archives_after_the_restart()
{
    setup_scene apply
    run_expect 3 setup --apply
    says restart archive_mode
    says ok archive_command
    says ok archive_timeout
    expect_no_out "ALTER SYSTEM"
    equal "$(sql postgres -c 'SHOW archive_mode')" off "archive_mode without a restart"
    run_expect 3 setup
    restart
    run_expect 0 setup
    says ok archive_mode
    switch_wal
    wait_until 30 all_archived
    equal "$(archived | head -n 1)" 000000010000000000000001
    auto_conf >"$tmp/before"
    run_expect 0 setup --apply
    auto_conf | diff "$tmp/before" -
}

test_another_program_that_archives_is_left_alone()
{
    setup_scene foreign
    sql postgres -c "ALTER SYSTEM SET archive_mode = on" -c "ALTER SYSTEM SET archive_command = 'other-program %p'"
    restart
    run_expect 3 setup --apply
    says taken archive_command
    expect_out "another program archives: --replace ends that"
    equal "$(sql postgres -c 'SHOW archive_command')" "other-program %p"
    run_expect 0 setup --apply --replace
    says ok archive_command
    equal "$(sql postgres -c 'SHOW archive_command' | grep -c ' wal push --cluster main %p$')" 1
}

test_a_change_that_waits_for_a_restart_is_seen()
{
    setup_scene waits
    sql postgres -c "ALTER SYSTEM SET wal_level = minimal" -c "SELECT pg_reload_conf()" >"$tmp/out"
    wait_until 10 pending wal_level
    run_expect 3 setup
    says set wal_level
    expect_out "         after a restart: 'minimal'"
    expect_out "ALTER SYSTEM SET wal_level = 'replica';"
}

pending()
{
    [ "$(sql postgres -c "SELECT pending_restart FROM pg_settings WHERE name = '$1'")" = t ]
}

test_the_command_line_of_the_server_wins()
{
    local programs

    setup_scene stuck
    programs=$(sql postgres -c "SELECT setting FROM pg_config WHERE name = 'BINDIR'")
    "$pg" stop
    (cd / && as_server "$programs/pg_ctl" -D "$PG_BASE/data" -l "$PG_BASE/data/log" -w \
        -o "-p $PGPORT -c archive_timeout=0" start >/dev/null)
    run_expect 3 setup --apply
    says stuck archive_timeout
    expect_out "it is given on the server's command line"
    [ "$(auto_conf | grep -c archive_timeout)" = 0 ]
}

test_a_role_without_the_right_is_told_what_to_do()
{
    setup_scene rights
    sql postgres -c "CREATE ROLE clerk LOGIN"
    setup_config "conninfo = host=$PGHOST port=$PGPORT user=clerk dbname=postgres"
    run_expect 3 setup
    expect_out "for a superuser to do (this role may not):"
    expect_out "role     base backups and 'pgcask wal receive' need: ALTER ROLE \"clerk\" REPLICATION"
    expect_out "GRANT pg_monitor TO \"clerk\""
    run_expect 1 setup --apply
    expect_err "ERROR: PostgreSQL refused: "
    expect_err "GRANT ALTER SYSTEM ON PARAMETER archive_mode TO"
    equal "$(auto_conf)" ""
    [ "$(sql postgres -c 'SHOW server_version_num')" -ge 150000 ] || return 0 # nobody could be granted that
    sql postgres -c "GRANT ALTER SYSTEM ON PARAMETER archive_mode, archive_command, archive_timeout TO clerk" \
        -c "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO clerk" -c "GRANT pg_monitor TO clerk" \
        -c "GRANT SELECT ON pg_file_settings TO clerk" -c "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO clerk"
    run_expect 3 setup --apply
    says restart archive_mode
    says ok archive_command
    expect_no_out "for a superuser"
}

test_receiving_needs_other_settings()
{
    setup_scene receive
    setup_config "slot = pgcask" "synchronous = spool" "application_name = cellar"
    run_expect 0 setup --receive
    says ok max_replication_slots
    says decide synchronous_standby_names
    expect_out "wanted: 'cellar'"
    expect_out "or they wait for ever"
    expect_out "note: slot 'pgcask' keeps WAL"
    expect_no_out archive_command
    run_expect 0 setup --receive --apply
    equal "$(auto_conf)" ""
}

run_tests
