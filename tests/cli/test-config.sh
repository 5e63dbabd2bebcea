#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# The config: each mistake is told with file and line before anything is done; init, config and
# key; secrets are never shown. No server is needed.

# shellcheck source=scene.sh
. "$(dirname "$0")/scene.sh"
export PGHOST=/nonexistent PGPORT=1

# good_lines - a config of eleven lines that is right
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

# refused NAME LINE MESSAGE [HINT] <CONFIG - `pgcask config` and `pgcask backup` both say so, exit 2, and do nothing
refused()
{
    local command

    configure
    for command in config backup; do
        run_expect 2 pgcask $command
        [ ! -s "$tmp/out" ]
        equal "$(head -n 1 "$tmp/err")" "ERROR: $dir/pgcask.ini:$2: $3" "$1"
        [ $# -lt 4 ] || equal "$(sed -n 2p "$tmp/err")" "HINT: $4" "hint of $1"
    done
    [ ! -e "$dir/state" ]
    [ ! -e "$dir/one" ]
    ok "refused: $1"
}

test_a_right_config_is_shown()
{
    scene right
    good_lines | configure
    run_expect 0 pgcask config
    [ ! -s "$tmp/err" ]
    expect_out "conninfo             = host=/nonexistent dbname=shop"
    grep -Eq "^databases +\\? *= shop +; $dir/pgcask.ini:11$" "$tmp/out" || grep -Eq "^databases += shop +; $dir/pgcask.ini:11$" "$tmp/out"
    grep -Eq '^compress_level += 3 +; default$' "$tmp/out"
    grep -Eq '^create += no +; default$' "$tmp/out"
    run_expect 0 pgcask config --json
    jq -e --arg dir "$dir" '
        .["store one"].path == {"value": ($dir + "/one"), "origin": ($dir + "/pgcask.ini:8")}
        and .["job daily"].content == {"value": "all", "origin": "default"}
        and .pgcask.passphrase.value == null' "$tmp/out" >"$dir/jq"
}

test_keys_and_sections()
{
    scene keys
    good_lines | sed '8s/path/paht/' | refused 'an unknown key' 8 "[store one]: unknown key 'paht'" "did you mean 'path'?"
    good_lines | sed '11s/databases/database/' | refused 'a key nearly right' 11 "[job daily]: unknown key 'database'" "did you mean 'databases'?"
    good_lines | sed '2s/^/colour = red\n/' | refused 'a key like no other' 2 "[pgcask]: unknown key 'colour'" \
        "known here: $(pgcask config --json 2>/dev/null; known_of pgcask)"
    good_lines | sed '11s/$/\ndatabases = other/' | refused 'a key given twice' 12 "'databases' is there already, in line 11"
    good_lines | sed '4s/cluster/clutser/' | refused 'an unknown section' 4 "[clutser main]: there are no sections of this kind" "did you mean 'cluster'?"
    (good_lines; printf '[store one]\nplugin = local\n') | refused 'a section given twice' 13 "[store one] is there already, in line 6"
    good_lines | sed '9s/ daily//' | refused 'a section without its name' 9 "[job]: a name is missing (wanted: [job NAME])"
    good_lines | sed '1s/pgcask/pgcask main/' | refused 'a name too much' 1 "[pgcask main]: no name belongs here (wanted: [pgcask])"
    good_lines | sed '9s/daily/Daily Job/' | refused 'a bad name' 9 "bad section name 'Daily Job' (wanted: a-z, 0-9, '_' and '-')"
    good_lines | sed '9s/]//' | refused 'an open bracket' 9 "'[' without ']'"
    good_lines | sed '10s/=/:/' | refused 'a colon' 10 "':' behind 'cluster' (wanted: '=')"
    good_lines | sed '11s/.*/shop/' | refused 'a line of nothing' 11 "this is neither 'key = value' nor '[kind name]' nor a comment" \
        "a comment begins with ';' or '#'; a value cannot go on in the next line"
    (echo 'recipient = age1'; good_lines) | refused 'a key before all sections' 1 "'recipient' stands before the first section"
    good_lines | sed '5s/$/ \xff/' | refused 'not UTF-8' 5 "byte 0xff is not UTF-8"
}

# known_of KIND - as the message lists them
known_of()
{
    :
}

test_values()
{
    scene values
    good_lines | sed '2s/^/jobs = many\n/' | refused 'no number' 2 "[pgcask]: jobs: 'many' is not a number"
    good_lines | sed '2s/^/jobs = 65\n/' | refused 'a number too high' 2 "[pgcask]: jobs: 65 is too much (wanted: at most 64)"
    good_lines | sed '2s/^/compress_level = 0\n/' | refused 'a number too low' 2 "[pgcask]: compress_level: 0 is too little (wanted: at least 1)"
    good_lines | sed '5s/^/lock_timeout = 5 parsecs\n/' | refused 'a bad unit of time' 5 "[cluster main]: lock_timeout: 'x'"
    good_lines | sed '11s/$/\ntable_size = 12 XB/' | refused 'a bad unit of size' 12 "[job daily]: table_size: 'x'"
    good_lines | sed '11s/$/\ntable_size = 99999999 TiB/' | refused 'a size out of all bounds' 12 "[job daily]: table_size: x"
    good_lines | sed '11s/$/\nglobals = perhaps/' | refused 'neither yes nor no' 12 "[job daily]: globals: 'perhaps'"
    good_lines | sed '11s/$/\ncontent = everything/' | refused 'none of the choices' 12 "[job daily]: content: 'everything'"
    good_lines | sed '8s/= .*/= one/' | refused 'a relative path' 8 "[store one]: path: 'one'"
    good_lines | sed '5s/host=.*/host=x ; the server/' | refused 'a comment behind text' 5 "[cluster main]: conninfo: ' ;' in an unquoted value is ambiguous" \
        "put the value in double quotes, or the comment on a line of its own"
    good_lines | sed '5s/= .*/= "host=x/' | refused 'an open quote' 5 "[cluster main]: conninfo: x"
    good_lines | sed '5s/= .*/= hots=x/' | refused 'a bad connection string' 5 "[cluster main]: conninfo: x"
    good_lines | sed '5d' | refused 'a missing key' 4 "[cluster main]: 'conninfo' is missing" "conninfo: how to connect, as libpq reads it"
    good_lines | sed '8d' | refused_by_plugin 'a missing key of a plugin' 6 "[store one]: 'path' is missing"
    good_lines | sed '11s/= .*/=/' | refused 'an empty value' 11 "[job daily]: databases: the value is empty"
    good_lines | sed '11s/= .*/= shop shop/' | refused 'a database twice' 11 "[job daily]: databases: 'shop' is there twice"
    good_lines | sed '11s/= .*/= all shop/' | refused 'all and a name' 11 "[job daily]: databases: 'all' together with names"
    good_lines | sed '11s/$/\nexclude_databases = x/' | refused 'excluding without all' 12 "[job daily]: exclude_databases: this goes with databases = all only"
}

refused_by_plugin()
{
    refused "$@"
}

test_names_that_lead_nowhere()
{
    scene names
    good_lines | sed '10s/main/mian/' | refused 'no such cluster' 10 "[job daily]: cluster: there is no cluster 'mian'" "did you mean 'main'?"
    good_lines | sed '12s/one/two/' | refused 'no such store' 12 "[job daily]: stores: there is no store 'two'" "there is: one"
    good_lines | sed '12d' | refused 'no stores at all' 9 "[job daily]: 'stores' is missing" "stores: the [store NAME] sections to write to"
    good_lines | sed '12s/$/\nchecks = users/' | refused 'no such check' 13 "[job daily]: checks: there is no check 'users'"
    good_lines | sed '7s/local/lokal/' | refused 'no such plugin' 7 "[store one]: plugin: x"
}

test_who_can_read_the_backups()
{
    local recipient secret

    scene readers
    recipient=$(cat "$dir/recipient.txt")
    secret=$(grep SECRET "$dir/identity.txt")
    good_lines | sed '2d' | refused 'nothing about encryption' 1 "[pgcask]: nothing says who can read the backups (wanted in [pgcask]: recipient, recipient_file or passphrase; or encrypt = none, in so many words)"
    good_lines | sed '2s/^/encrypt = none\n/' | refused 'none and a recipient' 2 "[pgcask]: encrypt: 'none' together with 'recipient_file'"
    good_lines | sed "2s/.*/recipient = age1short/" | refused 'a bad recipient' 2 "[pgcask]: recipient: x"
    good_lines | sed "2s/.*/recipient = ${recipient%?}q/" | refused 'a mistyped recipient' 2 "[pgcask]: recipient: x"
    good_lines | sed "2s/.*/recipient = $secret/" | refused 'a secret key as recipient' 2 "[pgcask]: recipient: this is a secret key (wanted: the public one, age1…)"
    never grep -q "$secret" "$tmp/err"
    good_lines | sed "2s/.*/recipient_file = \/nonexistent/" | refused 'no file of recipients' 2 "[pgcask]: recipient_file: x"
    good_lines | sed "3s/^/identity_file = \/nonexistent\n/" | refused 'no file of identities' 3 "[pgcask]: identity_file: x"
}
run_tests
