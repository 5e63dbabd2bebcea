#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
#
# Every fuzz target over its corpus: no crash, no sanitizer report.
set -eu
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir}
passed=0
for corpus in "$top_srcdir"/tests/fuzz/corpus/*; do
    target=$top_builddir/tests/fuzz/fuzz-$(basename "$corpus")
    if ! "$target" "$corpus"/*; then
        echo "FAILED: $target"
        echo "$passed passed, 1 failed, 0 skipped"
        exit 1
    fi
    passed=$((passed + 1))
done
[ "$passed" -gt 0 ]
echo "$passed passed, 0 failed, 0 skipped"
