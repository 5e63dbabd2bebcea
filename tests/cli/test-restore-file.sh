#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# pgcask restore --output and --file: members as files, and files of the real age and zstd without
# a backup.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

test_prepare()
{
    scene rich
    configure <<END
$(pgcask_section)
$(cluster_section)
$(store_section one)
$(job_section daily "databases = helpdesk western '${cellar//\'/\'\'}'" "table_size = 96KiB")
END
    run_expect 0 pgcask backup
}

test_every_dump_is_read_by_age_zstd_and_pg_restore()
{
    local file

    of_scene rich
    for file in "$(backup_dir)"/*.dump.zst.age; do
        age -d -i "$dir/identity.txt" "$file" | zstd -dq >"$dir/plain.dump"
        pg_restore -l "$dir/plain.dump" >"$dir/list"
        grep -q '^; Archive created' "$dir/list"
        pg_restore -f /dev/null "$dir/plain.dump"
    done
}

test_a_member_comes_out_as_a_file()
{
    of_scene rich
    age -d -i "$dir/identity.txt" "$(backup_dir)/helpdesk.dump.zst.age" | zstd -dq >"$dir/wanted.dump"
    run_expect 0 pgcask restore latest -d western --output "$dir/western.dump" # small: all of it is in there
    expect_silent
    run_expect 0 pgcask -v restore latest -d helpdesk --output "$dir/got.dump"
    expect_err "INFO: backup '$(latest_id)' from store 'one'"
    same "$dir/wanted.dump" "$dir/got.dump"
    expect_mode "$dir/got.dump" 600
    run_expect 0 pgcask restore latest -d helpdesk --output -
    same "$dir/wanted.dump" "$tmp/out"
    run_expect 0 pgcask restore latest --member globals.sql --output -
    expect_out "CREATE ROLE cellarman;"
    run_expect 0 pgcask restore latest --member pg_hba.conf.zst.age --output -
    same "$tmp/out" "$PG_BASE/data/pg_hba.conf"
    run_expect 2 pgcask restore latest -d helpdesk --output "$dir/got.dump"
    expect_err "'$dir/got.dump' exists already"
    run_expect 1 sh -c 'pgcask restore latest -d helpdesk --output - >/dev/full'
    expect_err "could not write 'standard output': No space left on device"
    run_expect 2 pgcask restore latest --member nothing.dump --output -
    expect_err "has no member 'nothing.dump'"
    run_expect 1 pgcask restore latest -d helpdesk --output "$dir/no/such/file"
    expect_err "'$dir/no/such/file"
    equal "$(find "$dir" -name '*.tmp-*')" ""
}

# With the three streams closed, what pgcask says must not go into the file it opens next.
test_closed_streams_leave_the_file_alone()
{
    of_scene rich
    run_expect 0 pgcask restore latest --member globals.sql --output "$dir/globals.sql"
    pgcask -v -v restore latest --member globals.sql --output "$dir/closed.sql" <&- >&- 2>&-
    same "$dir/globals.sql" "$dir/closed.sql"
}

test_a_member_that_was_changed_leaves_no_file()
{
    of_scene rich
    cp "$(backup_dir)/helpdesk.dump.zst.age" "$dir/kept"
    flip "$(backup_dir)/helpdesk.dump.zst.age" 500000
    run_expect 1 pgcask restore latest -d helpdesk --output "$dir/changed.dump"
    expect_err "helpdesk.dump.zst.age"
    [ ! -e "$dir/changed.dump" ]
    equal "$(find "$dir" -name '*.tmp-*')" ""
    cp "$dir/kept" "$(backup_dir)/helpdesk.dump.zst.age"
}

test_files_of_the_real_age_are_read_without_a_config()
{
    of_scene rich
    export PGCASK_CONFIG=$dir/none.ini
    pg_dump -Fc -d western >"$dir/plain"
    age -r "$(cat "$dir/recipient.txt")" "$dir/plain" >"$dir/plain.age"
    run_expect 0 pgcask restore --file "$dir/plain.age" --identity "$dir/identity.txt" --output -
    same "$tmp/out" "$dir/plain"
    zstd -q "$dir/plain"
    age -r "$(cat "$dir/recipient.txt")" -o "$dir/plain.zst.age" "$dir/plain.zst"
    run_expect 0 pgcask restore --file - --identity "$dir/identity.txt" --output "$dir/back" <"$dir/plain.zst.age"
    same "$dir/back" "$dir/plain"
    run_expect 0 pgcask restore --file "$dir/plain.zst" --identity "$dir/identity.txt" --output -
    same "$tmp/out" "$dir/plain"
    : | age -r "$(cat "$dir/recipient.txt")" >"$dir/empty.age"
    run_expect 0 pgcask restore --file "$dir/empty.age" --identity "$dir/identity.txt" --output -
    expect_silent
}

# age_p IN OUT PASSPHRASE - `age -p` asks on a terminal only
age_p()
{
    python3 - "$@" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp('age', ['age', '-p', '-o', sys.argv[2], sys.argv[1]])
said = b''
for question in (b'assphrase', b'onfirm'):
    while question not in said:
        said += os.read(fd, 1024)
    said = b''
    os.write(fd, sys.argv[3].encode() + b'\n')
try:
    while os.read(fd, 1024):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
}

test_files_of_age_with_a_passphrase_are_read()
{
    of_scene rich
    (umask 077 && echo 'Zwölf Boxkämpfer' >"$dir/passphrase")
    head -c 300000 /dev/urandom >"$dir/noise"
    age_p "$dir/noise" "$dir/noise.age" 'Zwölf Boxkämpfer'
    configure "$dir/passphrase.ini" <<END
$(section pgcask "state_dir = $dir/state" "passphrase_file = $dir/passphrase" --)
END
    run_expect 0 pgcask -c "$dir/passphrase.ini" restore --file "$dir/noise.age" --output -
    same "$tmp/out" "$dir/noise"
    echo 'another one' >"$dir/passphrase"
    run_expect 2 pgcask -c "$dir/passphrase.ini" restore --file "$dir/noise.age" --output -
    expect_err "none of our keys opens the file (tried: passphrase)"
    [ ! -s "$tmp/out" ]
}

test_a_main_member_says_which_rows_it_is_without()
{
    local count

    of_scene rich
    count=$(jq '[.members[] | select(.role == "table" and .database == "helpdesk")] | length' "$(backup_dir)/manifest.json")
    [ "$count" -gt 3 ] # else there is nothing to shorten
    for member in "" --member=helpdesk.dump; do
        run_expect 0 pgcask restore latest -d helpdesk ${member:+"$member"} --output "$dir/partial.dump"
        expect_err "WARN: the rows of $count tables are in members of their own (public."
        expect_err ", …), this file alone does not bring them back"
        expect_err "HINT: 'pgcask restore $(latest_id) --database helpdesk --into NAME' brings back all of it"
        rm "$dir/partial.dump"
    done
    run_expect 0 pgcask restore latest --member helpdesk.public.ticket.dump --output -
    [ ! -s "$tmp/err" ]
}

test_a_wrong_key_that_was_named_is_told_with_the_right_ones()
{
    of_scene rich
    run_expect 0 pgcask key new --output "$dir/wrong.txt"
    run_expect 2 pgcask restore latest -d western --identity "$dir/wrong.txt" --output "$dir/never"
    expect_err "none of our keys opens the file"
    expect_err "HINT: '$dir/wrong.txt' holds none of the keys the backup was encrypted for: '$(cat "$dir/recipient.txt")'"
    expect_err "pgcask show $(latest_id)"
    expect_no_err "name the key with --identity"
    run_expect 2 pgcask restore --file "$(backup_dir)/globals.sql.zst.age" --identity "$dir/wrong.txt" --output "$dir/never"
    expect_err "HINT: '$dir/wrong.txt' holds none of the keys it was encrypted for"
    [ ! -e "$dir/never" ]
}

test_files_that_are_cut_or_changed_are_refused()
{
    of_scene rich
    run_expect 0 pgcask key new --output "$dir/other.txt"
    age -r "$(cat "$dir/recipient.txt")" "$dir/noise" >"$dir/noise.age"
    run_expect 2 pgcask restore --file "$dir/noise.age" --identity "$dir/other.txt" --output "$dir/got"
    expect_err "none of our keys opens the file"
    head -c 200000 "$dir/noise.age" >"$dir/cut.age"
    run_expect 1 pgcask restore --file "$dir/cut.age" --identity "$dir/identity.txt" --output "$dir/got"
    expect_err "'$dir/cut.age'"
    flip "$dir/noise.age" 150000
    run_expect 1 pgcask restore --file "$dir/noise.age" --identity "$dir/identity.txt" --output "$dir/got"
    expect_err "'$dir/noise.age'"
    expect_err "does not authenticate"
    run_expect 1 pgcask restore --file "$dir/noise" --identity "$dir/identity.txt" --output "$dir/got"
    expect_err "neither an age nor a zstd file"
    [ ! -e "$dir/got" ]
}

start_postgres
load_rich_data
run_tests
