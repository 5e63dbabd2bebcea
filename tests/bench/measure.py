# SPDX-License-Identifier: PostgreSQL
"""Runs the rows in rounds, then prints what each took and how the ratios stand to their targets.

Called by run.sh. Within a round all rows run one after the other, every second round backwards; a ratio is made of
rows of one round, and its median over the rounds is what counts.
"""

import argparse
import statistics
import sys

from meter import Meter
from rows import TABLE, Rows

CORES = 2
NOISY_CORES = 0.10
MEMORY_MIB = 300
MIB = 1024 * 1024

TITLES = {
    "source": "pg_dump -Fc -Z0, two streams, to /dev/null",
    "zstd": "zstd -3 of the same bytes",
    "store": "pgcask backup, store phase",
    "verify": "pgcask backup, verify phase",
    "stock": "pg_dump -Fc -Z0 | zstd -3 -T2 | age",
    "pg17": "pg_dump 16+ -Fd -j2 --compress=zstd:3",
    "seed": "pg_dump -Fc",
    "restore": "pgcask restore",
    "pg_restore": "pg_restore -j2 of a plain directory",
}


def progress(text):
    if sys.stderr.isatty():
        print(f"{text:60}", end="\r", file=sys.stderr, flush=True)


class Rounds:
    """rounds[i][row] is a Run."""

    def __init__(self):
        self.rounds = []

    def begin(self):
        self.rounds.append({})

    def keep(self, row, run):
        self.rounds[-1][row] = run

    def all(self, row):
        return [runs[row] for runs in self.rounds if row in runs]

    def median(self, row, value):
        return statistics.median(getattr(run, value) for run in self.all(row))

    def ratio(self, top, bottom):
        """Median of the rounds' own ratios; `top` and `bottom` take the runs of a round. None when a row is missing."""
        ratios = []
        for runs in self.rounds:
            try:
                ratios.append(top(runs) / bottom(runs))
            except KeyError:
                pass
        return statistics.median(ratios) if ratios else None


def wall(row):
    return lambda runs: runs[row].wall_s


def cpu(row):
    return lambda runs: runs[row].cpu_s


def bound_cpu(runs):
    return runs["source"].cpu_s + runs["zstd"].client_s


def bound(runs):
    """No program with this source, this compressor and these cores can be faster."""
    return max(runs["source"].wall_s, bound_cpu(runs) / CORES)


def backup_round(rows, rounds, database, number):
    def source():
        rounds.keep("source", rows.source(database))

    def zstd():
        rounds.keep("zstd", rows.zstd())

    def pgcask():
        store, verify = rows.backup(database)
        rounds.keep("store", store)
        rounds.keep("verify", verify)

    def stock():
        rounds.keep("stock", rows.stock(database))

    def pg17():
        if rows.pg17 is not None:
            rounds.keep("pg17", rows.pg17_zstd(database))

    steps = [source, zstd, pgcask, stock, pg17]
    for step in steps if number % 2 == 0 else reversed(steps):
        progress(f"round {number + 1}: {step.__name__}")
        step()


def restore_round(rows, rounds, number):
    """`rounds` holds a backup of this database, `rows` its plain directory."""
    steps = [("restore", rows.restore), ("pg_restore", rows.pg_restore)]
    for row, step in steps if number % 2 == 0 else reversed(steps):
        progress(f"round {number + 1}: {row}")
        rounds.keep(row, step())


def run_rounds(rows, database, count):
    rounds = Rounds()
    for number in range(count):
        rounds.begin()
        backup_round(rows, rounds, database, number)
        if number == 0:
            progress("round 1: seed")
            rounds.keep("seed", rows.seed(database))
        rows.directory(database)
        restore_round(rows, rounds, number)
    rows.clear_restored()
    return rounds


def measure_memory(rows, mib):
    found = []
    for size in sorted({MEMORY_MIB, mib}):
        for kind in "bulk", "noise":
            progress(f"memory: {kind}_{size}")
            found.append((kind, size, rows.backup_memory(f"{kind}_{size}")))
    return found


# ---- printing ----


def print_rows(rounds, plain):
    print(f"{'':42} {'wall s':>22} {'MiB/s':>6} {'client':>8} {'server':>8} {'CPU s/':>6} {'others':>7}")
    print(f"{'':42} {'median (least-most)':>22} {'':6} {'CPU s':>8} {'CPU s':>8} {'GiB':>6} {'cores':>7}")
    for row, title in TITLES.items():
        runs = rounds.all(row)
        if not runs:
            print(f"{title:42} not measured: its program was not found")
            continue
        median = rounds.median(row, "wall_s")
        walls = f"{median:.2f} ({min(run.wall_s for run in runs):.2f}-{max(run.wall_s for run in runs):.2f})"
        others = rounds.median(row, "others")
        print(f"{title:42} {walls:>22} {plain / MIB / median:6.0f} {rounds.median(row, 'client_s'):8.2f} "
              f"{rounds.median(row, 'server_s'):8.2f} {rounds.median(row, 'cpu_s') / plain * 1024 * MIB:6.2f} "
              f"{others:7.2f}{' noisy' if others > NOISY_CORES else ''}")
    print(f"{'bound for two cores':42} {statistics.median(bound(runs) for runs in rounds.rounds):7.2f}")


def print_figure(title, value, target, at_least=False):
    """One line: the figure, its target, and whether it was met."""
    if value is None:
        print(f"{title:66} {'-':>8}   {target:>8}   not measured")
        return
    met = value >= target if at_least else value <= target
    print(f"{title:66} {value:8.3f}   {'>=' if at_least else '<='} {target:5.2f}   {'met' if met else 'not met'}")


def print_figures(rounds, cipher):
    print_figure("store phase / bound", rounds.ratio(wall("store"), bound), 1.15)
    print_figure("store phase / bound, both as CPU seconds", rounds.ratio(cpu("store"), bound_cpu), 1.15)
    print_figure("store phase / stock pipe", rounds.ratio(wall("store"), wall("stock")), 1.0)
    print_figure("store phase / pg_dump 16+ with zstd (not encrypted)", rounds.ratio(wall("store"), wall("pg17")), 1.05)
    print_figure("pg_dump -Fc / store phase", rounds.ratio(wall("seed"), wall("store")), 3.0, at_least=True)
    print_figure("verify phase / store phase", rounds.ratio(wall("verify"), wall("store")), 0.5)
    print_figure("cipher and digests / CPU of the store phase",
                 sum(cipher.values()) / rounds.median("store", "cpu_s"), 0.08)
    print_figure("restore / pg_restore -j2 of a plain directory",
                 rounds.ratio(wall("restore"), wall("pg_restore")), 1.05)
    print_figure("restore / pg_restore, both as CPU seconds", rounds.ratio(cpu("restore"), cpu("pg_restore")), 1.05)


def print_memory(memory):
    for kind, size, run in memory:
        title = "compressible" if kind == "bulk" else "incompressible"
        print_figure(f"peak memory in MiB, {size} MiB of {title} data", run.alone_kib / 1024, 96)
    most = max(run.children_kib for _, _, run in memory)
    print(f"{'    beside it, the largest of the programs it started':66} {most / 1024:8.1f}")


def print_table(members, read):
    """`members` of the manifest; `read`: object to bytes, or None."""
    if read is None:
        print_figure("one table: bytes read / bytes stored", None, 1.1)
        return
    own = next((member for member in members if member.get("table") == TABLE), None)
    main = next(member for member in members if member["role"] == "main")
    if own is None:
        print(f"one table: too small for a member of its own here; read {read.get(main['object'], 0)} of the main "
              f"member's {main['stored_size']} bytes")
        return
    print_figure("one table: bytes read / bytes stored", read.get(own["object"], 0) / own["stored_size"], 1.1)
    print(f"{'    and of the main member, in bytes':66} {read.get(main['object'], 0):8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--pgcask", required=True)
    parser.add_argument("--cipher", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--pg17", default="")
    args = parser.parse_args()
    rows = Rows(args, Meter(args.server_pid))
    database = f"bulk_{args.mib}"
    rows.source(database)  # to warm the caches
    plain = rows.save_source(database)
    rounds = run_rounds(rows, database, args.rounds)
    cipher, read, members = rows.cipher(), rows.table(), rows.manifest()["members"]
    ratio = plain / rows.stored_bytes()[1]
    memory = measure_memory(rows, args.mib)
    progress("")
    print(f"{plain / MIB:.0f} MiB of dump, stored {ratio:.2f} times smaller; {args.rounds} rounds, {CORES} cores\n")
    print_rows(rounds, plain)
    print(f"\n{'':66} {'measured':>8}   {'target':>8}")
    print_figures(rounds, cipher)
    print_memory(memory)
    print_table(members, read)


if __name__ == "__main__":
    main()
