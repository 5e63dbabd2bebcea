# SPDX-License-Identifier: PostgreSQL
"""Runs backups to a bucket and what they are compared with, in rounds; prints rows and figures as measure.py does.

Called by offsite.sh. What pgcask can be held to is not the time of a local backup alone: what the server takes for the
same bytes costs time, too, and all of them share the cores.
"""

import argparse
import os
import shutil
import statistics

from measure import CORES, MEMORY_MIB, MIB, NOISY_CORES, Rounds, cpu, print_figure, progress, wall
from meter import Meter
from offsite_rows import Ceph, Many, Place, Plain
from rows import TABLE

TITLES = {
    "local": "pgcask backup, local: store phase",
    "local_verify": "    verify phase",
    "ceph": "pgcask backup, Ceph over http: store phase",
    "ceph_verify": "    verify phase",
    "tls": "pgcask backup, Ceph over https: store phase",
    "tls_verify": "    verify phase",
    "both": "pgcask backup, local and Ceph: store phase",
    "both_verify": "    verify phase, both copies",
    "pour": "the stored bytes, nothing else, http",
    "pour_tls": "the stored bytes, nothing else, https",
    "seed": "pg_dump -Fc >file, aws s3 cp",
    "restore_local": "pgcask restore, local",
    "restore_ceph": "pgcask restore, Ceph over http",
    "restore_tls": "pgcask restore, Ceph over https",
}


class Scene:
    def __init__(self, args, meter):
        shutil.rmtree(args.work, ignore_errors=True)
        os.makedirs(args.work, mode=0o700)
        self.args, self.meter, self.ceph = args, meter, Ceph(args.ceph)
        stores = {"local": ["local"], "ceph": ["ceph"], "tls": ["tls"], "both": ["local", "ceph"]}
        self.places = {name: Place(args, meter, self.ceph, *words) for name, words in stores.items()}
        self.plain = Plain(args, meter, self.ceph, self.places["local"].bindir)
        self.database = f"bulk_{args.mib}"
        self.plain_size = self.stored_size = 0

    def warm(self):
        """Caches are read into, and how many bytes there are is known."""
        progress("warming up")
        self.places["local"].backup(self.database)
        self.places["ceph"].backup(self.database)
        self.plain_size, self.stored_size = self.places["local"].stored_bytes()

    # ---- rounds ----

    def backup_steps(self, rounds):
        def backup(name):
            store, verify = self.places[name].backup(self.database)
            rounds.keep(name, store)
            rounds.keep(name + "_verify", verify)

        def pour(name, endpoint):
            rounds.keep(name, self.plain.pour(self.stored_size, endpoint))

        return [(name, lambda name=name: backup(name)) for name in self.places] + \
               [("pour", lambda: pour("pour", "ENDPOINT")), ("pour_tls", lambda: pour("pour_tls", "ENDPOINT_TLS"))]

    def restore_steps(self, rounds):
        def restore(name):
            rounds.keep("restore_" + name, self.places[name].restore())

        return [("restore " + name, lambda name=name: restore(name)) for name in ("local", "ceph", "tls")]

    def run(self):
        rounds = Rounds()
        for number in range(self.args.rounds):
            rounds.begin()
            for steps in self.backup_steps(rounds), self.restore_steps(rounds):
                for name, step in steps if number % 2 == 0 else reversed(steps):
                    progress(f"round {number + 1}: {name}")
                    step()
            if number == 0:
                progress("round 1: seed")
                seed = self.plain.seed(self.database)
                if seed is not None:
                    rounds.keep("seed", seed)
        self.places["local"].clear_restored()
        return rounds

    # ---- once ----

    def memory(self):
        found = []
        for size in sorted({MEMORY_MIB, self.args.mib}):
            for kind in "bulk", "noise":
                for name in "ceph", "tls", "both":
                    progress(f"memory: {kind}_{size}, {name}")
                    found.append((kind, size, name, self.places[name].backup_memory(f"{kind}_{size}")))
        return found

    def table(self):
        """Members, bytes received, requests, stored bytes of the definitions; of the last backup of the rounds."""
        progress("one table")
        place = self.places["ceph"]
        members = place.manifest()["members"]
        main = next(member for member in members if member["role"] == "main")
        return (members, *place.table_received(), place.schema_stored(main))

    def many(self):
        place = Many(self.args, self.meter, self.ceph, "ceph")
        progress("filling a bucket")
        place.backup("postgres")
        place.fill(self.args.backups)
        first, again = [], []
        for number in range(self.args.rounds):
            progress(f"listing it, round {number + 1}")
            first.append((place.server_listing(), *place.list_first()))
            again.append(place.list_again())
        return first, again


# ---- printing ----


def print_rows(rounds, plain):
    print(f"{'':44} {'wall s':>22} {'MiB/s':>6} {'client':>7} {'postgres':>8} {'ceph':>7} {'others':>7}")
    print(f"{'':44} {'median (least-most)':>22} {'':6} {'CPU s':>7} {'CPU s':>8} {'CPU s':>7} {'cores':>7}")
    for row, title in TITLES.items():
        runs = rounds.all(row)
        if not runs:
            print(f"{title:44} not measured: its program was not found")
            continue
        median = rounds.median(row, "wall_s")
        walls = f"{median:.2f} ({min(run.wall_s for run in runs):.2f}-{max(run.wall_s for run in runs):.2f})"
        others = rounds.median(row, "others")
        print(f"{title:44} {walls:>22} {plain / MIB / median:6.0f} {rounds.median(row, 'client_s'):7.2f} "
              f"{rounds.median(row, 'server_s'):8.2f} {rounds.median(row, 'store_s'):7.2f} "
              f"{others:7.2f}{' noisy' if others > NOISY_CORES else ''}")
    print(f"{'bound for http':44} {statistics.median(bound('pour')(runs) for runs in rounds.rounds):7.2f}")
    print(f"{'bound for https':44} {statistics.median(bound('pour_tls')(runs) for runs in rounds.rounds):7.2f}")


def slower(row):
    """A local backup, or that row."""
    return lambda runs: max(runs["local"].wall_s, runs[row].wall_s)


def bound_cpu(pour):
    return lambda runs: runs["local"].cpu_s + runs[pour].cpu_s


def bound(pour):
    """No backup to this server on these cores can be faster: they have to do both."""
    return lambda runs: max(slower(pour)(runs), bound_cpu(pour)(runs) / CORES)


def print_figures(rounds):
    for row, pour, title in ("ceph", "pour", "http"), ("tls", "pour_tls", "https"):
        print_figure(f"store phase, {title} / the slower of local and the server's limit",
                     rounds.ratio(wall(row), slower(pour)), 1.15)
        print_figure(f"store phase, {title} / bound", rounds.ratio(wall(row), bound(pour)), 1.15)
        print_figure(f"store phase, {title} / bound, both as CPU seconds", rounds.ratio(cpu(row), bound_cpu(pour)),
                     1.15)
    print_figure("store phase, two stores / the slower one alone", rounds.ratio(wall("both"), slower("ceph")), 1.2)
    print_figure("(pg_dump -Fc, aws s3 cp) / store phase, http", rounds.ratio(wall("seed"), wall("ceph")), 2.0,
                 at_least=True)
    print_figure("restore, http / local", rounds.ratio(wall("restore_ceph"), wall("restore_local")), 1.15)
    print_figure("restore, https / local", rounds.ratio(wall("restore_tls"), wall("restore_local")), 1.15)


def print_memory(memory):
    for kind, size, name, run in memory:
        title = "compressible" if kind == "bulk" else "incompressible"
        where = {"ceph": "http", "tls": "https", "both": "local and http"}[name]
        print_figure(f"peak memory in MiB, {size} MiB of {title} data, {where}", run.alone_kib / 1024, 160)


def print_list(first, again, count):
    over = statistics.median(run.wall_s - listing[0] for listing, run, _ in first)
    pages, requests = first[0][0][1], again[0][1]
    print_figure(f"list of {count} backups, first: seconds without the server's listing", over, 2.0)
    print(f"{'    the listing, in seconds':66} {statistics.median(listing[0] for listing, _, _ in first):8.3f}")
    print(f"{'    requests; client and Ceph, CPU seconds':66} {first[0][2]:8} "
          f"{statistics.median(run.client_s for _, run, _ in first):6.2f} "
          f"{statistics.median(run.store_s for _, run, _ in first):6.2f}")
    print_figure(f"list again: requests without the {pages} pages of the listing", requests - pages, 1)
    print(f"{'    seconds':66} {statistics.median(run.wall_s for run, _ in again):8.3f}")


def print_table(members, received, requests, schema):
    own = next((member for member in members if member.get("table") == TABLE), None)
    if own is None:
        main = next(member for member in members if member["role"] == "main")
        print(f"one table: too small for a member of its own here; received {received} bytes, the main member has "
              f"{main['stored_size']}")
    else:
        print_figure("one table: bytes received / (its stored bytes + the definitions)",
                     received / (own["stored_size"] + schema), 1.1)
        print(f"{'    its stored bytes':66} {own['stored_size']:8}")
    print(f"{'    received, in bytes':66} {received:8}")
    print(f"{'    definitions, stored bytes of their frames':66} {schema:8}")
    print(f"{'    requests':66} {requests:8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--backups", type=int, required=True)
    parser.add_argument("--pgcask", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--ceph", required=True)
    parser.add_argument("--ceph-pids", required=True)
    parser.set_defaults(pg17="")
    args = parser.parse_args()
    scene = Scene(args, Meter(args.server_pid, [int(pid) for pid in args.ceph_pids.split()]))
    scene.warm()
    rounds = scene.run()
    table, memory = scene.table(), scene.memory()
    first, again = scene.many()
    progress("")
    print(f"{scene.plain_size / MIB:.0f} MiB of dump, {scene.stored_size / MIB:.0f} MiB stored; {args.rounds} rounds, "
          f"{CORES} cores, Ceph's included\n")
    print_rows(rounds, scene.plain_size)
    print(f"\n{'':66} {'measured':>8}   {'target':>8}")
    print_figures(rounds)
    print_memory(memory)
    print_table(*table)
    print_list(first, again, args.backups)


if __name__ == "__main__":
    main()
