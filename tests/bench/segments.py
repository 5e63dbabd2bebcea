# SPDX-License-Identifier: PostgreSQL
"""Calls a command for one WAL segment after the other, as PostgreSQL would, and tells how long each call took.

    segments.py push DIRECTORY LIST COMMAND…    as its archiver: a call that succeeds turns .ready into .done
    segments.py get DIRECTORY LIST COMMAND…     as its recovery: what a call brings is read by somebody, then removed
    segments.py call DIRECTORY LIST COMMAND…    nothing besides; LIST only tells how often

In the command %f is a segment's name and %p its path, seen from DIRECTORY, where the command is run. What it leaves
running is waited for at the end, so that a parent sees its CPU time, too. The answer is one line of JSON on stderr.
"""

import ctypes
import json
import os
import resource
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
FETCHED = "pg_wal/RECOVERYXLOG"


def call(command, name, path):
    """Seconds."""
    argv = [word.replace("%f", name).replace("%p", path) for word in command]
    begin_s = time.monotonic()
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, os.environ), 0)
    seconds = time.monotonic() - begin_s
    if status != 0:
        sys.exit(f"segments.py: exit code {os.waitstatus_to_exitcode(status)}: {' '.join(argv)}")
    return seconds


def push(command, name):
    seconds = call(command, name, f"pg_wal/{name}")
    os.rename(f"pg_wal/archive_status/{name}.ready", f"pg_wal/archive_status/{name}.done")
    return seconds


def get(command, name):
    seconds = call(command, name, FETCHED)
    os.unlink(FETCHED)
    return seconds


def wait_for_the_rest():
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def main():
    mode, directory, names_file, *command = sys.argv[1:]
    step = {"push": push, "get": get, "call": lambda command, name: call(command, name, "")}[mode]
    with open(names_file, encoding="ascii") as file:
        names = file.read().split()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(directory)
    begin_s = time.monotonic()
    calls = [step(command, name) for name in names]
    wall_s = time.monotonic() - begin_s
    wait_for_the_rest()
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = {"wall_s": wall_s, "calls": calls, "own_s": own.ru_utime + own.ru_stime, "peak_kib": children.ru_maxrss}
    print("segments.py: " + json.dumps(answer), file=sys.stderr)


if __name__ == "__main__":
    main()
