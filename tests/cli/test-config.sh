#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The config: each mistake is told with file and line before anything is done; init, config and
# key; secrets are never shown. No server is needed.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"

# good_lines - a config of twelve lines that is right
good_lines()
{
    cat <<END
[pgcask]
recipient_file = $dir/recipient.txt
state_dir = $dir/state
[cluster main]
conninfo = host=/nonexistent dbname=shop
[store one]
plugin = local
path = $dir/one
[job daily]
cluster = main
databases = shop
stores = one
END
}

# told COMMAND NAME LINE MESSAGE [HINT] - it says so and no more, exit 2, and has done nothing
told()
{
    run_expect 2 pgcask "$1"
    [ ! -s "$tmp/out" ] || fail "stdout is not empty"
    equal "$(sed -n 1p "$tmp/err")" "ERROR: $dir/pgcask.ini:$3: $4" "what '$1' says of $2"
    [ $# -lt 5 ] || equal "$(sed -n 2p "$tmp/err")" "HINT: $5" "hint of '$1' for $2"
    [ "$(wc -l <"$tmp/err")" -le 2 ] || lib_show
    [ ! -e "$dir/one" ] || fail "a store was made"
}

# refused NAME LINE MESSAGE [HINT] <CONFIG - by every command that reads a config
refused()
{
    configure
    told config "$@"
    told list "$@"
    told backup "$@"
    [ ! -e "$dir/state" ] || fail "a state directory was made"
    ok "refused: $1"
}

# refused_by_config NAME LINE MESSAGE [HINT] <CONFIG - what other commands say only where they come to need it
refused_by_config()
{
    configure
    told config "$@"
    ok "refused: $1"
}

test_a_right_config_is_shown_with_the_origin_of_each_value()
{
    scene right
    good_lines | configure
    run_expect 0 pgcask config
    [ ! -s "$tmp/err" ]
    grep -Eq "^databases += shop +; $dir/pgcask.ini:11$" "$tmp/out"
    grep -Eq '^compress_level += 3 +; default$' "$tmp/out"
    grep -Eq '^create += no +; default$' "$tmp/out" # of the plugin
    grep -Eq '^identity_file +; not set$' "$tmp/out"
    run_expect 0 pgcask config --json
    jq -e --arg dir "$dir" '
        .["store one"].path == {"value": ($dir + "/one"), "origin": ($dir + "/pgcask.ini:8")}
        and .["job daily"].content == {"value": "all", "origin": "default"}
        and .pgcask.passphrase.value == null' "$tmp/out" >"$dir/jq"
}

test_unknown_and_doubled_words()
{
    scene words
    good_lines | sed '11s/databases/database/' | refused 'a key nearly right' 11 "[job daily]: unknown key 'database'" \
        "did you mean 'databases'?"
    good_lines | sed '2s/^/colour = red\n/' | refused 'a key like no other' 2 "[pgcask]: unknown key 'colour'"
    expect_err "HINT: known here: recipient, recipient_file, identity_file, "
    good_lines | sed '8s/path/paht/' | refused_by_config 'an unknown key of a plugin' 8 "[store one]: unknown key 'paht'" "did you mean 'path'?"
    good_lines | sed '11s/$/\ndatabases = other/' | refused 'a key given twice' 12 "'databases' is there already, in line 11"
    good_lines | sed '4s/cluster/clutser/' | refused 'an unknown section' 4 "[clutser main]: there are no sections of this kind" \
        "did you mean 'cluster'?"
    (good_lines && printf '[store one]\nplugin = local\n') | refused 'a section given twice' 13 "[store one] is there already, in line 6"
    good_lines | sed '9s/ daily//' | refused 'a section without its name' 9 "[job]: a name is missing (wanted: [job NAME])"
    good_lines | sed '1s/pgcask/pgcask main/' | refused 'a name too much' 1 "[pgcask main]: no name belongs here (wanted: [pgcask])"
}

test_what_is_no_ini()
{
    scene ini
    good_lines | sed '9s/daily/Daily Job/' | refused 'a bad name' 9 "bad section name 'Daily Job' (wanted: a-z, 0-9, '_' and '-')"
    good_lines | sed '9s/]//' | refused 'an open bracket' 9 "'[' without ']'"
    good_lines | sed '10s/=/:/' | refused 'a colon' 10 "':' behind 'cluster' (wanted: '=')"
    good_lines | sed '11s/.*/shop/' | refused 'a line of nothing' 11 "this is neither 'key = value' nor '[kind name]' nor a comment" \
        "a comment begins with ';' or '#'; a value cannot go on in the next line"
    (echo 'recipient = age1' && good_lines) | refused 'a key before all sections' 1 "'recipient' stands before the first section"
    good_lines | LC_ALL=C sed '5s/$/ \xff/' | refused 'not UTF-8' 5 "byte 0xff is not UTF-8"
    good_lines | sed '5s/= .*/= "host=x/' | refused 'an open quote' 5 "conninfo: the quote '\"' is not closed" \
        "a '\"' that belongs to the value is written \\\""
    good_lines | sed '5s/host=.*/host=x ; the server/' | refused 'a comment behind text' 5 \
        "[cluster main]: conninfo: ' ;' in an unquoted value is ambiguous" \
        "put the value in double quotes, or the comment on a line of its own"
}

test_values_of_the_wrong_kind()
{
    scene values
    good_lines | sed '2s/^/jobs = many\n/' | refused 'no number' 2 "[pgcask]: jobs: 'many' is not a whole number"
    good_lines | sed '2s/^/jobs = 65\n/' | refused 'a number too high' 2 "[pgcask]: jobs: '65' is out of range (wanted: 0 to 64)"
    good_lines | sed '2s/^/compress_level = 0\n/' | refused 'a number too low' 2 \
        "[pgcask]: compress_level: '0' is out of range (wanted: 1 to 19)"
    good_lines | sed '5s/^/lock_timeout = 5 parsecs\n/' | refused 'a bad unit of time' 5 \
        "[cluster main]: lock_timeout: '5 parsecs' is not a duration (wanted: a number with ms, s, min, h, d or w)"
    good_lines | sed '5s/^/lock_timeout = 5\n/' | refused 'a time without a unit' 5 \
        "[cluster main]: lock_timeout: '5' is not a duration (wanted: a number with ms, s, min, h, d or w)"
    good_lines | sed '11s/$/\ntable_size = 12 XB/' | refused 'a bad unit of size' 12 \
        "[job daily]: table_size: '12 XB' is not a size (wanted: a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB)"
    good_lines | sed '11s/$/\nglobals = perhaps/' | refused 'neither yes nor no' 12 "[job daily]: globals: 'perhaps' is neither yes nor no"
    good_lines | sed '11s/$/\ncontent = everything/' | refused 'none of the choices' 12 \
        "[job daily]: content: 'everything' is not a choice (wanted: all, schema, data)"
    good_lines | sed '3s/= .*/= here/' | refused 'a relative path' 3 "[pgcask]: state_dir: 'here' is not an absolute path"
    good_lines | sed '8s/= .*/= here/' | refused_by_config 'a relative path of a plugin' 8 "[store one]: path: 'here' is not an absolute path"
    good_lines | sed '5s/= .*/= hots=x/' | refused 'a bad connection string' 5 "[cluster main]: conninfo: invalid connection option \"hots\""
    good_lines | sed '11s/= .*/=/' | refused 'an empty value' 11 "[job daily]: databases: the value is empty"
    good_lines | sed '11s/= .*/= shop shop/' | refused 'a database twice' 11 "[job daily]: databases: 'shop' is there twice"
    good_lines | sed '11s/= .*/= all shop/' | refused 'all and a name' 11 "[job daily]: databases: 'all' together with names"
    good_lines | sed '11s/$/\nexclude_databases = x/' | refused 'excluded without all' 12 \
        "[job daily]: exclude_databases: this goes with databases = all only"
    good_lines | sed '12s/$/\n[check users]\nquery = SELECT 1;/' | refused 'a query with a semicolon' 14 \
        "[check users]: query: the query ends in ';' (wanted: one SELECT and nothing else)" "leave the ';' away"
}

test_what_is_missing()
{
    scene missing
    good_lines | sed '5d' | refused 'no conninfo' 4 "[cluster main]: 'conninfo' is missing" "conninfo: how to connect, as libpq reads it"
    good_lines | sed '12d' | refused 'no stores' 9 "[job daily]: 'stores' is missing" "stores: the [store NAME] sections to write to"
    good_lines | sed '7d' | refused 'no plugin' 6 "[store one]: 'plugin' is missing"
    good_lines | sed '8d' | refused_by_config 'no path' 6 "[store one]: 'path' is missing" "path: the directory that holds the objects"
    rm "$dir/pgcask.ini"
    run_expect 2 pgcask backup
    expect_err "ERROR: could not open '$dir/pgcask.ini': No such file or directory"
    expect_err "HINT: 'pgcask init' writes a first one; -c FILE or PGCASK_CONFIG names another place"
    : | configure
    run_expect 2 pgcask backup
    expect_err "ERROR: there is no [job NAME] section in '"
}

test_names_that_lead_nowhere()
{
    scene names
    good_lines | sed '10s/main/mian/' | refused 'no such cluster' 10 "[job daily]: cluster: there is no cluster 'mian'" "did you mean 'main'?"
    good_lines | sed '12s/one/attic/' | refused 'no such store' 12 "[job daily]: stores: there is no store 'attic'" "there is: one"
    good_lines | sed '12s/$/ one/' | refused 'a store twice' 12 "[job daily]: stores: 'one' is there twice"
    good_lines | sed '12s/$/\nchecks = users/' | refused 'no such check' 13 "[job daily]: checks: there is no check 'users'" \
        "no section [check NAME] was written"
    good_lines | sed '7s/local/lokal/' | configure
    run_expect 2 pgcask config
    expect_err "ERROR: $dir/pgcask.ini:7: [store one]: plugin: there is no storage plugin 'lokal': no file 'pgcask-lokal-storage.so' in "
    expect_err "HINT: did you mean 'local'?"
}

test_who_can_read_the_backups()
{
    local recipient secret

    scene readers
    recipient=$(cat "$dir/recipient.txt")
    secret=$(grep SECRET "$dir/identity.txt")
    good_lines | sed '2d' | refused 'not a word about it' 1 "[pgcask]: nothing says who can read the backups (wanted in [pgcask]: recipient, recipient_file or passphrase; or encrypt = none, in so many words)" \
        "'pgcask init' writes a key pair; its public half goes into recipient = age1…"
    good_lines | sed '2s/^/encrypt = none\n/' | refused 'none and a recipient' 2 "[pgcask]: encrypt: 'none' together with 'recipient_file'"
    good_lines | sed '2s/.*/recipient = ssh-ed25519 AAAA/' | refused 'an SSH key' 2 \
        "[pgcask]: recipient: 'ssh-ed25519' is not an age recipient (wanted: age1…)"
    good_lines | sed "2s/.*/recipient = $secret/" | refused 'a secret key' 2 "[pgcask]: recipient: this is a secret key (wanted: the public one, age1…)"
    never grep -q "$secret" "$tmp/err"
    good_lines | sed "2s/.*/recipient = ${recipient:0:40}${recipient:41}/" | refused_by_config 'a mistyped recipient' 2 \
        "[pgcask]: recipient: recipient '${recipient:0:40}${recipient:41}': the checksum is wrong: a character is missing or mistyped"
    good_lines | sed "2s#= .*#= $dir/none.txt#" | refused_by_config 'no file of recipients' 2 \
        "[pgcask]: recipient_file: could not open '$dir/none.txt': No such file or directory"
    good_lines | sed "3s#^#identity_file = $dir/none.txt\n#" | refused_by_config 'no file of identities' 3 \
        "[pgcask]: identity_file: could not read identity file '$dir/none.txt': No such file or directory"
    chmod 640 "$dir/identity.txt"
    good_lines | sed "3s#^#identity_file = $dir/identity.txt\n#" | refused_by_config 'an identity for all to read' 3 \
        "[pgcask]: identity_file: identity file '$dir/identity.txt' can be used by others than its owner (mode 0640, wanted 0600)" \
        "chmod 600 '$dir/identity.txt'"
}

test_secrets_that_others_could_read()
{
    scene secrets
    good_lines | sed '5s/$/\npassword = swordfish/' | configure
    chmod 640 "$dir/pgcask.ini"
    told backup 'a password in a file for all' 6 "[cluster main]: password: a secret in a file that others can read (mode 0640, wanted 0600)" \
        "chmod 600 '$dir/pgcask.ini', or use password_file, password_env or password_command"
    good_lines | sed '5s/$/ password=swordfish/' | configure
    chmod 644 "$dir/pgcask.ini"
    told backup 'a password in conninfo in a file for all' 5 "[cluster main]: conninfo: a secret in a file that others can read (mode 0644, wanted 0600)" \
        "chmod 600 '$dir/pgcask.ini', or keep the password out of the connection string"
    echo swordfish >"$dir/password"
    chmod 604 "$dir/password"
    good_lines | sed "5s#\$#\npassword_file = $dir/password#" | refused 'a password file for all' 6 \
        "[cluster main]: password_file: password file '$dir/password' can be used by others than its owner (mode 0604, wanted 0600)" \
        "chmod 600 '$dir/password'"
    good_lines | sed "5s#\$#\npassword_file = $dir/none#" | refused 'no password file' 6 \
        "[cluster main]: password_file: could not read password file '$dir/none': No such file or directory"
    good_lines | sed '5s/$/\npassword_env = PGCASK_TEST_UNSET/' | refused 'no such variable' 6 \
        "[cluster main]: password_env: password: the environment has no variable 'PGCASK_TEST_UNSET'"
    good_lines | sed '5s/$/\npassword_command = false/' | refused 'a command that fails' 6 \
        "[cluster main]: password_command: command for password: false failed with exit code 1: it gave no reason"
    good_lines | sed '5s/$/\npassword = a\npassword_env = HOME/' | refused 'two sources' 7 \
        "[cluster main]: password_env: 'password' in line 6 gives it already (wanted: one of the two)"
    good_lines | configure
    chmod 622 "$dir/pgcask.ini"
    run_expect 2 pgcask config
    expect_err "ERROR: $dir/pgcask.ini: others can write this file (mode 0622, wanted 0600)"
}

test_secrets_are_shown_as_stars()
{
    local form

    scene stars
    export PGCASK_TEST_SECRET=swordfish
    (umask 077 && echo swordfish >"$dir/password")
    for form in "password = swordfish" "password_file = $dir/password" "password_env = PGCASK_TEST_SECRET" \
        "password_command = printenv PGCASK_TEST_SECRET"; do
        good_lines | sed "5s#\$#\n$form#" | configure
        run_expect 0 pgcask config
        expect_no_out swordfish
        grep -Eq "^password += \\*\\*\\* +; $dir/pgcask.ini:6$" "$tmp/out"
        run_expect 0 pgcask -vv config --json
        expect_no_out swordfish
        expect_no_err swordfish
    done
    good_lines | sed '5s/= .*/= postgresql:\/\/boss:swordfish@db.example:5433\/shop/' | configure
    run_expect 0 pgcask config
    expect_no_out swordfish
    expect_out "password=***"
    expect_out "port=5433"
    expect_out "user=boss"
}

test_long_values_lose_no_byte()
{
    local long query

    scene long
    long=$(printf 'x%.0s' {1..5000})
    query="SELECT count(*) FROM t WHERE a = '$long' ; -- # not a comment"
    good_lines | sed "12s/\$/\n[check long]\nquery = \"$query\"/" | configure
    run_expect 0 pgcask config --json
    equal "$(jq -r '.["check long"].query.value' "$tmp/out")" "$query"
}

test_init_writes_what_config_accepts()
{
    scene init
    run_expect 0 pgcask init --dir "$dir/etc" --conninfo 'host=/run/x dbname="q" user=b\ob' --database shop --database 'odd "one" 7' \
        --state-dir "$dir/state"
    expect_mode "$dir/etc" 700
    expect_mode "$dir/etc/pgcask.ini" 600
    expect_mode "$dir/etc/identity.txt" 600
    expect_out "$dir/etc/pgcask.ini"
    expect_out "$dir/etc/identity.txt"
    expect_out "Next:"
    [ ! -s "$tmp/err" ]
    cp "$dir/etc/pgcask.ini" "$dir/first"
    run_expect 0 pgcask -c "$dir/etc/pgcask.ini" config --json
    equal "$(jq -r '.["job daily"].databases.value' "$tmp/out")" "shop 'odd \"one\" 7'"
    run_expect 2 pgcask init --dir "$dir/etc"
    expect_err "'$dir/etc/pgcask.ini' exists already"
    same "$dir/first" "$dir/etc/pgcask.ini"
    rm "$dir/etc/pgcask.ini"
    run_expect 2 pgcask init --dir "$dir/etc"
    expect_err "'$dir/etc/identity.txt' exists already"
    run_expect 2 pgcask init --dir relative
    expect_err "'relative' is not an absolute path"
}

test_init_leaves_nothing_that_config_refuses()
{
    scene refused
    run_expect 2 pgcask init --dir "$dir/etc" --store relative
    expect_err "[store local]: path: 'relative' is not an absolute path"
    expect_err "nothing is written"
    run_expect 2 pgcask init --dir "$dir/etc" --cluster 'Upper Case'
    [ ! -s "$tmp/out" ]
    equal "$(find "$dir/etc" -type f)" ""
    run_expect 0 pgcask init --dir "$dir/etc" --database one --database two
    expect_out "restore latest --database NAME --into NEW_NAME"
}

test_keys_are_made_as_age_makes_them()
{
    scene keys
    run_expect 0 pgcask key new
    cp "$tmp/out" "$dir/new.txt"
    chmod 600 "$dir/new.txt"
    echo hello | age -r "$(sed -n 's/^# public key: //p' "$dir/new.txt")" | age -d -i "$dir/new.txt" | grep -qx hello
    run_expect 1 pgcask key new --output "$dir/new.txt"
    expect_err "'$dir/new.txt'"
    expect_err "HINT: a key file is never overwritten: name another one"
    good_lines | sed "3s#^#identity_file = $dir/identity.txt\n#" | configure
    run_expect 0 pgcask key show
    equal "$(cat "$tmp/out")" "recipient $(cat "$dir/recipient.txt") (can be read here)"
    never grep -q SECRET "$tmp/out"
}

test_words_of_the_command_line()
{
    scene words2
    good_lines | configure
    run_expect 2 pgcask
    expect_err "ERROR: no command was given"
    run_expect 2 pgcask bakcup
    expect_err "there is no command 'bakcup'"
    expect_err "HINT: did you mean 'pgcask backup'?"
    run_expect 2 pgcask backup --schema-olny
    expect_err "there is no option '--schema-olny'"
    expect_err "HINT: did you mean '--schema-only'?"
    run_expect 2 pgcask list one two
    expect_err "'one' is one word too many"
    run_expect 2 pgcask show
    expect_err "HINT: usage: pgcask show"
    run_expect 0 pgcask --help
    expect_out "usage: pgcask"
    run_expect 0 pgcask restore --help
    expect_out "--swap-back NAME"
    run_expect 0 pgcask --version
    run_expect 1 sh -c 'pgcask --help >/dev/full'
    expect_err "ERROR: could not write to stdout"
}

run_tests
