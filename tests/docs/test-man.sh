#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# What is written agrees with what the program does: options of commands, keys of the configuration and of plugins,
# both ways; the man pages are good POD; links lead somewhere; examples use options that exist; sample files are accepted.

# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires podchecker pod2man perl jq
PGCASK=${PGCASK:-$build/pgcask}
man=$top/docs/man
own_keys='required retries retry_max parallel bandwidth plugin'

commands()
{
    "$PGCASK" --help | sed -n 's/^  \([a-z]*\)  *[A-Za-z].*/\1/p'
}

# options_of [COMMAND] - "LETTER NAME ARGUMENT" of each option that --help shows, '-' for none
options_of()
{
    "$PGCASK" "$@" --help | perl -CSD -ne '
        print $1 // "-", " $2 ", $3 // "-", "\n" if /^ +(?:-(.), )?--([a-z-]+)(?: ([A-Z][A-Z.=]*))?(?= |$)/'
}

# options_in PAGE - the same from the items of a man page
options_in()
{
    perl -CSD -ne '
        next unless s/^=item //;
        s/[A-Z]<([^<>]*)>/$1/g;
        print $1 // "-", " $2 ", $3 // "-", "\n" if /^(?:-(.), )?--([a-z-]+)(?: ([A-Z][A-Z.=]*))?$/' "$1"
}

test_options_of_commands_are_those_of_their_pages()
{
    local command

    [ "$(commands | wc -l)" -ge 9 ] || fail "--help shows the commands $(commands | xargs)"
    for command in '' $(commands); do
        options_of ${command:+"$command"} | sort >"$tmp/help"
        options_in "$man/pgcask${command:+-$command}.1.pod" | sort >"$tmp/page"
        if [ -n "$command" ]; then # which may tell of the options that go with every command
            grep -vxFf <(options_of) "$tmp/page" >"$tmp/own" || :
            mv "$tmp/own" "$tmp/page"
        fi
        echo "command '$command'" | tee -a "$tmp/help" >>"$tmp/page"
        same "$tmp/help" "$tmp/page"
    done
}

test_every_command_is_in_the_overview()
{
    local command

    for command in $(commands); do
        grep -q "^=item B<$command>\$" "$man/pgcask.1.pod" || fail "pgcask(1) does not name '$command'"
        grep -q "pgcask-$command(1)" "$man/pgcask.1.pod" || fail "pgcask(1) does not refer to pgcask-$command(1)"
    done
}

# The configuration as the program knows it: one section of each kind, nothing written but what must be.
smallest_config()
{
    cat >"$tmp/smallest.ini" <<END
[pgcask]
encrypt = none
state_dir = $tmp
[cluster c]
conninfo = host=$tmp
[store s]
plugin = local
path = $tmp
[job j]
cluster = c
databases = all
stores = s
[check k]
query = SELECT 1
END
    chmod 600 "$tmp/smallest.ini"
    "$PGCASK" -c "$tmp/smallest.ini" config --json >"$tmp/config.json"
}

plugin_keys()
{
    "$PGCASK" plugin info "$1" | sed -n 's/^option\.\([a-z_]*\)\.type=.*/\1/p' | sort
}

test_keys_are_those_of_the_page_and_of_the_sample()
{
    local plugin plugin_keys

    smallest_config
    plugin_keys=$(for plugin in local s3 glacier; do plugin_keys "$plugin"; done | sort -u | xargs)
    jq -r 'to_entries[] | (.key | split(" ")[0]) as $kind | .value | keys[] | "[" + $kind + "] " + .' "$tmp/config.json" |
        grep -vxE "\[store\] (${plugin_keys// /|})" | sort -u >"$tmp/known"
    perl -ne '$kind = $1 if /^=head1 (?:SECTION \[([a-z]+)|)/; print "[$kind] $1\n" if $kind && /^=item B<([a-z_]+)> = /' \
        "$man/pgcask.conf.5.pod" | sort >"$tmp/page"
    # a secret may be shown by one of its other names: what follows a known key and is one of these is that key
    perl -ne '
        $kind = $1 if /^\[([a-z]+)/;
        next unless $kind && /^(?:; )?([a-z_]+) = /;
        $key = $1;
        ($secret = $key) =~ s/_(file|env|command)$//;
        $key = $secret if $seen{"$kind $secret"};
        $seen{"$kind $key"} = 1;
        print "[$kind] $key\n"' "$top/conf/pgcask.ini" | grep -vxE "\[store\] (${plugin_keys// /|})" | sort -u >"$tmp/sample"
    same "$tmp/known" "$tmp/page"
    same "$tmp/known" "$tmp/sample"
}

# The store of the plugin s3 in the sample shows each of its keys; a secret by one of its names at least.
test_keys_of_s3_are_in_the_sample()
{
    plugin_keys s3 >"$tmp/known"
    perl -0777 -ne '
        for (split /^(?=\[)/m) {
            next unless /^plugin = s3$/m;
            print "$1\n" while /^(?:; )?([a-z_]+) = /gm;
        }' "$top/conf/pgcask.ini" | sort -u >"$tmp/sample"
    comm -23 "$tmp/known" "$tmp/sample" >"$tmp/missing"
    [ ! -s "$tmp/missing" ] || fail "conf/pgcask.ini lacks keys of the plugin s3: $(xargs <"$tmp/missing")"
}

test_defaults_are_those_of_the_page()
{
    smallest_config
    jq -r 'to_entries[] | (.key | split(" ")[0]) as $kind | .value | to_entries[]
        | select(.value.origin == "default" and .value.value != null) | "[" + $kind + "] " + .key + " " + .value.value' \
        "$tmp/config.json" | grep -vx '\[store\] create no' >"$tmp/known"
    # these two are written in the smallest configuration
    echo '[pgcask] encrypt age' >>"$tmp/known"
    perl -0777 -ne '
        for (split /^=head1 /m) {
            my ($kind) = /^SECTION \[([a-z]+)/ or next;
            print "[$kind] $1 $2\n" while /^=item B<([a-z_]+)> = (?:(?!^=item).)*?Default:\s+C<([^>]*)>/gms;
        }' "$man/pgcask.conf.5.pod" >"$tmp/page"
    sort -u -o "$tmp/known" "$tmp/known"
    sort -u -o "$tmp/page" "$tmp/page"
    same "$tmp/known" "$tmp/page"
}

test_required_keys_are_those_of_the_page()
{
    local kind key

    # that no other key is required is proven by the smallest configuration, which is accepted
    perl -0777 -ne '
        for (split /^=head1 /m) {
            my ($kind) = /^SECTION \[([a-z]+)/ or next;
            print "$kind $1\n" while /^=item B<([a-z_]+)> = (?:(?!^=item).)*?Required\./gms;
        }' "$man/pgcask.conf.5.pod" >"$tmp/required"
    [ "$(wc -l <"$tmp/required")" -ge 5 ] || fail "the page has only $(wc -l <"$tmp/required") required keys"
    smallest_config
    while read -r kind key; do
        sed "/^$key = /d" "$tmp/smallest.ini" >"$tmp/without.ini"
        chmod 600 "$tmp/without.ini"
        run_expect 2 "$PGCASK" -c "$tmp/without.ini" config
        expect_err "'$key' is missing"
        expect_err "[$kind"
    done <"$tmp/required"
}

test_options_of_plugins_are_those_of_their_pages()
{
    local plugin page

    for page in "$top"/plugins/*/*.pod; do
        plugin=$(basename "$page" .pod)
        plugin=${plugin#pgcask-}
        # 'example' means the store
        [ "$plugin" != example-notifier ] || plugin=$build/plugins/.libs/pgcask-example-notifier.so
        "$PGCASK" plugin info "$plugin" >"$tmp/info" || fail "plugin info $plugin"
        sed -n 's/^option\.\([a-z_]*\)\.type=.*/\1/p' "$tmp/info" | sort >"$tmp/known"
        sed -n 's/^=item B<\([a-z_]*\)> = .*/\1/p' "$page" | sort >"$tmp/page"
        same "$tmp/known" "$tmp/page"
        for key in $own_keys; do
            if grep -qx "$key" "$tmp/known"; then fail "plugin $plugin takes pgcask's key '$key'"; fi
        done
    done
}

pods()
{
    find "$top/docs/man" "$top/plugins" -name '*.pod' | sort
}

test_pages_are_good_pod()
{
    local page

    for page in $(pods); do
        podchecker -warnings "$page" >"$tmp/said" 2>&1 || fail "$page: $(cat "$tmp/said")"
        if grep -q WARNING "$tmp/said"; then fail "$page: $(cat "$tmp/said")"; fi
        pod2man --utf8 --errors=die "$page" "$tmp/page.man"
    done
}

# pgcask-x(1) in a page is a page of ours.
test_references_between_pages_exist()
{
    local page name

    for page in $(pods); do
        grep -oE 'pgcask[a-z.-]*\([1-8]\)' "$page" | sort -u >"$tmp/refs" || :
        while read -r name; do
            name=${name%)}
            [ -e "$man/${name%(*}.${name#*(}.pod" ] || find "$top/plugins" -name "${name%(*}.pod" | grep -q . ||
                fail "$page refers to '$name)', which does not exist"
        done <"$tmp/refs"
    done
}

pages_for_reading()
{
    find "$top" -maxdepth 1 -name '*.md' | sort
    find "$top/docs" -name '*.md' | sort
}

# GitHub's rule for the anchor of a heading.
anchors_of()
{
    perl -CSD -ne 'next unless s/^#+ //; chomp; $_ = lc; s/[^\w\- ]//g; s/ /-/g; print "$_\n"' "$1"
}

test_links_lead_somewhere()
{
    local page link file

    for page in $(pages_for_reading); do
        perl -ne 'next if /^```/ .. /^```$/ && !/^```\w/; print "$1\n" while /\]\(([^)\s]+)\)/g' "$page" >"$tmp/links"
        while read -r link; do
            case $link in
                http://* | https://*) continue ;;
            esac
            file=${link%%#*}
            file=${file:+$(dirname "$page")/$file}
            file=${file:-$page}
            [ -e "$file" ] || fail "$page: '$link' does not exist"
            case $link in
                *#*) anchors_of "$file" | grep -qxF "${link#*#}" || fail "$page: '$link' is no heading of that page" ;;
            esac
        done <"$tmp/links"
    done
}

# The files and folders of this tree that the pages name in `backticks`.
test_files_that_are_named_exist()
{
    local page file

    for page in $(pages_for_reading); do
        # shellcheck disable=SC2016 # backticks of Markdown
        grep -oE '`(core|plugins|tests|conf|docs)/[A-Za-z0-9_./-]*`' "$page" | tr -d '`' | sort -u >"$tmp/files" || :
        while read -r file; do
            [ -e "$top/$file" ] || fail "$page names '$file', which does not exist"
        done <"$tmp/files"
    done
}

# Every command line that stands in a page: in a code block, or in `…` or C<…>. A line that ends in \ goes on.
examples_in()
{
    perl -CSD -0777 -ne '
        s/\\\n\s*/ /g;
        my $pod = $ARGV =~ /\.pod$/;
        my @lines;
        if ($pod) {
            push @lines, grep { /^ / } split /\n/;
        } else {
            push @lines, split /\n/, $1 while s/^```\w*\n(.*?)^```$//ms;
            push @lines, $1 while /`([^`\n]+)`/g;
        }
        push @lines, map { s/[A-Z]<([^<>]*)>/$1/gr } /[BC]<(pgcask [^<>\n]+)>/g if $pod;
        for (@lines) {
            next if /^pgcask [0-9]/; # a version
            next unless s/^[^\x27"#|]*?(?:^|[ \$])(?:sudo )?(?=pgcask )//;
            s/\s+#.*//;
            s/ [|>;&].*//;
            print "$_\n";
        }' "$1"
}

# check_example LINE - its command and each of its options exist
check_example()
{
    local command='' word words

    read -r -a words <<<"$1"
    for word in "${words[@]:1}"; do
        word=${word#[}
        word=${word%]}
        case $word in
            --*)
                word=${word%%=*}
                { options_of; [ -z "$command" ] || options_of "$command"; } | grep -q "^. ${word#--} " ||
                    fail "'$1': there is no option '$word'"
                ;;
            -[a-zA-Z])
                { options_of; [ -z "$command" ] || options_of "$command"; } | grep -q "^${word#-} " ||
                    fail "'$1': there is no option '$word'"
                ;;
            -vv | -) ;;
            *)
                [ -n "$command" ] || ! commands | grep -qxF "$word" || command=$word
                ;;
        esac
    done
    [ -n "$command" ] || case " $1 " in
        *' --help '* | *' --version '* | *' COMMAND '* | *' -h '* | *' -V '* | *'…'*) ;;
        *) fail "'$1': no command of pgcask is in it" ;;
    esac
}

test_examples_use_commands_and_options_that_exist()
{
    local page line count=0

    for page in $(pages_for_reading; pods); do
        examples_in "$page" >"$tmp/examples"
        while read -r line; do
            (check_example "$line") || fail "in $page"
            count=$((count + 1))
        done <"$tmp/examples"
    done
    [ "$count" -ge 40 ] || fail "only $count examples were found"
}

# The fixed pieces of each message of the troubleshooting page stand in the sources. PostgreSQL's own messages and those
# of the system are not ours to find.
test_messages_that_are_explained_exist()
{
    local piece foreign='^(no password supplied|permission denied for .*|canceling statement .*|statement timeout|No space left .*)$'

    find "$top/core" "$top/plugins" -name '*.c' -exec cat {} + |
        perl -0777 -pe 's/"(?: PRI[a-z0-9]+ ")?\s*\n?\s*"//g' >"$tmp/sources"
    sed -n 's/^\(\*\*.*\*\*\),\{0,1\} - .*/\1/p; s/^\(\*\*.*\*\*\)\(,\| - \|$\).*/\1/p' "$top/docs/troubleshooting.md" |
        grep -oE '\*\*[^*]+\*\*' | tr -d '*' | grep -vE "$foreign" | sort -u >"$tmp/messages"
    [ "$(wc -l <"$tmp/messages")" -ge 40 ] || fail "only $(wc -l <"$tmp/messages") messages were found in the page"
    sed "s/'*…'*/\n/g" "$tmp/messages" | sed "s/^[ :,]*//; s/[ :,]*\$//" | awk 'length >= 6' >"$tmp/pieces"
    : >"$tmp/missing"
    while read -r piece; do
        grep -qF -e "$piece" "$tmp/sources" || echo "$piece" >>"$tmp/missing"
    done <"$tmp/pieces"
    [ ! -s "$tmp/missing" ] || fail "no message of the program has: $(cat "$tmp/missing")"
}

# Paths of the sample files go below $tmp, and what must be there is there.
test_sample_files_are_accepted()
{
    local file copy

    mkdir -p "$tmp/etc/pgcask"
    (umask 077 && echo cooper >"$tmp/etc/pgcask/chain.password")
    "$PGCASK" key new --output "$tmp/etc/pgcask/identity.txt" >"$tmp/etc/pgcask/recipients.txt"
    for file in "$top"/conf/*.ini "$top"/conf/examples/*.ini; do
        copy=$tmp/$(basename "$file")
        sed -E "s,= /(etc|var|mnt|backups|usr)/,= $tmp/\\1/," "$file" >"$copy"
        chmod 600 "$copy"
        run_expect 0 "$PGCASK" -c "$copy" config
        expect_no_err WARN
    done
}

test_what_init_writes_is_accepted()
{
    run_expect 0 "$PGCASK" init --dir "$tmp/init" --database 'it'"'"'s; #1' --state-dir "$tmp/state"
    run_expect 0 "$PGCASK" -c "$tmp/init/pgcask.ini" config
    expect_mode "$tmp/init/identity.txt" 600
    expect_mode "$tmp/init/pgcask.ini" 600
}

run_tests
