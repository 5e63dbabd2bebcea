# SPDX-License-Identifier: PostgreSQL
"""Runs base backups, WAL archiving and restores in rounds; prints rows and figures as measure.py does.

Called by physical.sh. The order of a round: what makes backups, what restores them, what archives; every second round
runs each of these backwards.
"""

import argparse
import os
import shutil
import statistics

from measure import MIB, NOISY_CORES, Rounds, cpu, print_figure, progress, wall
from meter import Meter
from physical_rows import CORES, Cluster, Pgcask, PgBackRest, phase_sum

TITLES = {
    "source": "BASE_BACKUP to /dev/null",
    "zstd": "zstd -3 -T2 of the tar",
    "stock": "pg_basebackup | zstd -3 -T2 | age",
    "pgbackrest": "pgBackRest backup",
    "store": "pgcask backup: store phase",
    "verify": "    verify phase",
    "whole": "    both",
    "hash": "the files restored: read and hashed",
    "pgbackrest_restore": "pgBackRest restore",
    "pgcask_restore": "pgcask restore",
    "pgbackrest_delta": "pgBackRest restore --delta, unchanged",
    "pgcask_delta": "pgcask restore --delta, unchanged",
}
WAL_TITLES = {
    "zstd_wal": "zstd -3 -T2 of the segments",
    "pgbackrest_push": "pgBackRest archive-push",
    "pgbackrest_sync": "pgBackRest archive-push, synchronous",
    "pgcask_push": "pgcask wal push",
    "pgcask_again": "pgcask wal push, once more",
    "pgbackrest_get": "pgBackRest archive-get",
    "pgcask_get": "pgcask wal fetch",
    "replay": "replay by cp from a plain directory",
    "pgbackrest_replay": "replay by pgBackRest archive-get",
    "pgcask_replay": "replay by pgcask wal fetch",
}
CALL_TITLES = {
    "true": "/bin/true",
    "version": "pgbackrest version",
    "pgbackrest_push": "pgBackRest archive-push",
    "pgcask_push": "pgcask wal push",
    "pgcask_again": "pgcask wal push, once more",
    "pgbackrest_get": "pgBackRest archive-get",
    "pgcask_get": "pgcask wal fetch",
}


class Scene:
    def __init__(self, args):
        shutil.rmtree(args.work, ignore_errors=True)
        os.makedirs(args.work, mode=0o700)
        self.args = args
        self.cluster = Cluster(args, Meter(args.server_pid))
        self.pgbackrest = PgBackRest(self.cluster, "pgbackrest", args.data, online=True)
        self.pgbackrest_wal = PgBackRest(self.cluster, "pgbackrest-wal", args.cluster, online=False)
        self.pgcask = Pgcask(self.cluster, "pgcask")
        self.pgcask_wal = Pgcask(self.cluster, "pgcask-wal")
        self.rounds = Rounds()
        self.tar_size = 0

    # ---- steps: name, what keeps its rows ----

    def simple(self, name, call):
        return name, lambda: self.rounds.keep(name, call())

    def backup_steps(self):
        def pgcask():
            store, verify = self.pgcask.backup()
            self.rounds.keep("store", store)
            self.rounds.keep("verify", verify)
            self.rounds.keep("whole", phase_sum(store, verify))

        steps = [self.simple("source", self.cluster.source), self.simple("zstd", self.cluster.zstd),
                 self.simple("stock", lambda: self.cluster.stock(self.pgcask.recipient)),
                 self.simple("pgbackrest", self.pgbackrest.backup)]
        return steps + ([("pgcask", pgcask)] if self.pgcask.can_backup else [])

    def restore_steps(self):
        """A delta follows the restore that it checks."""
        def both(name, tool):
            self.rounds.keep(name + "_restore", tool.restore())
            self.rounds.keep(name + "_delta", tool.restore("--delta"))
            if name == "pgbackrest":
                self.rounds.keep("hash", self.cluster.hash_copy())

        steps = [("pgbackrest restore", lambda: both("pgbackrest", self.pgbackrest))]
        if self.pgcask.can_backup and self.pgcask.can_restore:
            steps.append(("pgcask restore", lambda: both("pgcask", self.pgcask)))
        return steps

    def wal_steps(self):
        """What is fetched is what was pushed."""
        def pgbackrest():
            for name in "push", "get", "replay":
                self.rounds.keep("pgbackrest_" + name, getattr(self.pgbackrest_wal, name)())

        def pgcask():
            for row, name in ("push", "push"), ("again", "push_again"), ("get", "get"), ("replay", "replay"):
                self.rounds.keep("pgcask_" + row, getattr(self.pgcask_wal, name)())

        steps = [self.simple("zstd_wal", self.cluster.zstd_wal), self.simple("replay", self.cluster.replay_plain),
                 ("pgbackrest wal", pgbackrest), self.simple("version", self.pgbackrest_wal.version),
                 self.simple("true", lambda: self.cluster.repeat(20, "/bin/true"))]
        return steps + ([("pgcask wal", pgcask)] if self.pgcask_wal.can_archive else [])

    def run(self):
        progress("warming up")
        self.cluster.source()
        self.tar_size = self.cluster.save_tar()
        self.cluster.replay_plain()
        for number in range(self.args.rounds):
            self.rounds.begin()
            for steps in self.backup_steps(), self.restore_steps(), self.wal_steps():
                for name, step in steps if number % 2 == 0 else reversed(steps):
                    progress(f"round {number + 1}: {name}")
                    step()
            if number == 0:
                progress("round 1: pgbackrest, synchronous")
                self.rounds.keep("pgbackrest_sync", self.pgbackrest_wal.push("--no-archive-async"))
            self.cluster.clear_copy()

    def memory(self):
        """Title, Run, target in MiB. What segments take was seen in the rounds."""
        found = []
        if self.pgcask.can_backup:
            progress("memory: pgcask")
            found.append(("base backup", self.pgcask.backup_memory(), 96))
        if self.pgcask.can_backup and self.pgcask.can_restore:
            found.append(("restore", self.pgcask.restore(memory=True), 96))
            found.append(("restore --delta", self.pgcask.restore("--delta", memory=True), 96))
        progress("memory: pgbackrest")
        found.append(("pgBackRest backup, each process", self.pgbackrest.backup(memory=True), None))
        found.append(("pgBackRest restore, each process", self.pgbackrest.restore(memory=True), None))
        self.cluster.clear_copy()
        return found


# ---- printing ----


def print_rows(rounds, titles, size):
    print(f"{'':42} {'wall s':>22} {'MiB/s':>6} {'client':>8} {'server':>8} {'CPU s/':>6} {'others':>7}")
    print(f"{'':42} {'median (least-most)':>22} {'':6} {'CPU s':>8} {'CPU s':>8} {'GiB':>6} {'cores':>7}")
    for row, title in titles.items():
        runs = rounds.all(row)
        if not runs:
            print(f"{title:42} not measured: this pgcask cannot do it")
            continue
        median, others = rounds.median(row, "wall_s"), rounds.median(row, "others")
        walls = f"{median:.2f} ({min(run.wall_s for run in runs):.2f}-{max(run.wall_s for run in runs):.2f})"
        print(f"{title:42} {walls:>22} {size / MIB / median:6.0f} {rounds.median(row, 'client_s'):8.2f} "
              f"{rounds.median(row, 'server_s'):8.2f} {rounds.median(row, 'cpu_s') / size * 1024 * MIB:6.2f} "
              f"{others:7.2f}{' noisy' if others > NOISY_CORES else ''}")


def print_calls(rounds):
    print(f"{'one call, in milliseconds':42} {'median':>8} {'least':>8} {'most':>8}")
    for row, title in CALL_TITLES.items():
        calls = sorted(seconds * 1000 for run in rounds.all(row) for seconds in run.calls)
        if calls:
            print(f"{title:42} {statistics.median(calls):8.2f} {calls[0]:8.2f} {calls[-1]:8.2f}")


def bound_cpu(runs):
    return runs["source"].cpu_s + runs["zstd"].client_s


def bound(runs):
    """No program with this source, this compressor and these cores can be faster."""
    return max(runs["source"].wall_s, bound_cpu(runs) / CORES)


def one_call(row):
    return lambda runs: statistics.median(runs[row].calls)


def print_figures(rounds):
    def figure(title, top, bottom, target):
        print_figure(title, rounds.ratio(top, bottom), target)

    figure("base backup, store phase / bound", wall("store"), bound, 1.15)
    figure("base backup, store phase / bound, both as CPU seconds", cpu("store"), bound_cpu, 1.15)
    figure("base backup, store phase / pgBackRest", wall("store"), wall("pgbackrest"), 0.87)
    figure("base backup, store phase / pgBackRest, both as CPU seconds", cpu("store"), cpu("pgbackrest"), 1.0)
    figure("base backup, both phases / pgBackRest, which does not verify", wall("whole"), wall("pgbackrest"), 1.0)
    figure("base backup, store phase / stock pipe", wall("store"), wall("stock"), 1.0)
    figure("restore / pgBackRest restore", wall("pgcask_restore"), wall("pgbackrest_restore"), 1.0)
    figure("restore --delta / pgBackRest restore --delta", wall("pgcask_delta"), wall("pgbackrest_delta"), 1.0)
    figure("restore --delta / the files read and hashed", wall("pgcask_delta"), wall("hash"), 1.15)
    figure("wal push / zstd of the segments", wall("pgcask_push"), wall("zstd_wal"), 1.15)
    figure("wal push / pgBackRest archive-push", wall("pgcask_push"), wall("pgbackrest_push"), 1.0)
    figure("call for what was sent ahead / pgbackrest version", one_call("pgcask_push"), one_call("version"), 0.33)
    figure("wal fetch / pgBackRest archive-get", wall("pgcask_get"), wall("pgbackrest_get"), 1.0)
    figure("replay by wal fetch / by cp", wall("pgcask_replay"), wall("replay"), 1.10)


def print_memory(memory, rounds):
    for row, title in ("pgcask_push", "wal push"), ("pgcask_get", "wal fetch"):
        if rounds.all(row):
            memory.append((title, max(rounds.all(row), key=lambda run: run.alone_kib), 64))
    for row, title in ("pgbackrest_push", "archive-push"), ("pgbackrest_get", "archive-get"):
        memory.append((f"pgBackRest {title}, each process", max(rounds.all(row), key=lambda run: run.alone_kib), None))
    for title, run, target in memory:
        title = f"peak memory in MiB, {title}"
        if target is None:
            print(f"{title:66} {max(run.alone_kib, run.children_kib) / 1024:8.1f}")
        else:
            print_figure(title, run.alone_kib / 1024, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    for name in "pgcask", "pgbackrest", "work", "data", "seed", "cluster", "segments":
        parser.add_argument("--" + name, required=True)
    scene = Scene(parser.parse_args())
    scene.run()
    memory = scene.memory()
    progress("")
    names, rounds = scene.cluster.names, scene.rounds
    print(f"{scene.tar_size / MIB:.0f} MiB of cluster, {len(names)} WAL segments; {len(rounds.rounds)} rounds, "
          f"{CORES} cores, {scene.pgbackrest.title()}\n")
    print_rows(rounds, TITLES, scene.tar_size)
    print(f"{'bound for two cores':42} {statistics.median(bound(runs) for runs in rounds.rounds):7.2f}\n")
    print_rows(rounds, WAL_TITLES, scene.cluster.wal_size)
    print()
    print_calls(rounds)
    print(f"\n{'':66} {'measured':>8}   {'target':>8}")
    print_figures(rounds)
    print_memory(memory, rounds)


if __name__ == "__main__":
    main()
