#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Nothing includes upwards. A folder of core/ includes only folders on lower lines of this table;
# the folders on one line do not know each other. core/include is open to all, and includes
# nothing of ours. plugins/ sees pgcask-plugin.h, plugins/common and each its own folder.
#
#   tests/layers.sh [TREE]     exit 1 with one line for each include that breaks this
set -u

layers='
cmd
pipeline
stage catalog
plugin
config pg
base
'

tree=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$tree" || exit 2

# "FILE:LINE:NAME" for each include of a file of ours, either spelling
includes_in()
{
    grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' "$1" |
        sed -E 's/^([^:]*:[0-9]+):[^"]*"([^"]*)".*/\1:\2/'
}

check_core()
{
    includes_in core | LAYERS=$layers awk -F : '
        BEGIN {
            lines = split(ENVIRON["LAYERS"], line, "\n")
            for (i = 1; i <= lines; i++) {
                n = split(line[i], folder, " ")
                for (k = 1; k <= n; k++)
                    level[folder[k]] = i
            }
        }
        function say(text) { print $1 ":" $2 ": " text; bad = 1 }
        {
            own = $1
            sub(/^core\//, "", own)
            own = own ~ /\// ? substr(own, 1, index(own, "/") - 1) : "main"
            if ($3 == "config.h" || $3 == "paths.h" || $3 == "pgcask-plugin.h")
                next
            if (own == "include") {
                say("the public header includes \"" $3 "\" of ours")
                next
            }
            if ($3 !~ /\//) {
                say("\"" $3 "\" is included without its folder")
                next
            }
            other = substr($3, 1, index($3, "/") - 1)
            if (own != "main" && !(own in level))
                say("core/" own " has no place in the layers")
            else if (!(other in level))
                say("\"" $3 "\" is in no layer")
            else if (own != "main" && own != other && level[own] == level[other])
                say(own " must not know " other ": they are on one line (\"" $3 "\")")
            else if (own != "main" && own != other && level[own] > level[other])
                say(own " must not include " other ", which is above it (\"" $3 "\")")
        }
        END { exit bad }'
}

check_plugins()
{
    local bad=0 where name folder file

    while IFS=: read -r file where name; do
        folder=${file#plugins/}
        folder=plugins/${folder%%/*}
        case $name in
            config.h | pgcask-plugin.h) ;;
            common/* | plugins/common/* | ../common/*) ;;
            */*)
                echo "$file:$where: a plugin must not include \"$name\": only pgcask-plugin.h, plugins/common and its own folder"
                bad=1
                ;;
            *)
                if [ ! -e "$folder/$name" ]; then
                    echo "$file:$where: \"$name\" is not in $folder"
                    bad=1
                fi
                ;;
        esac
    done < <(includes_in plugins)
    return $bad
}

status=0
check_core || status=1
if [ -d plugins ]; then
    check_plugins || status=1
fi
exit $status
