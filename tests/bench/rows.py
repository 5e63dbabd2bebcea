# SPDX-License-Identifier: PostgreSQL
"""What is run: pgcask, and what one would use instead. One method a row; all of them take and give a Run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from meter import Run

# halves of the bulk data that take about as long, for the two streams of the source alone
LEFT = ("event_log", "photo", "one_percent")
TABLE = "one_percent"


def quiet(*argv):
    """Output of a command that is not measured."""
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def sql(*statements):
    """Each in a transaction of its own; the rows of all of them."""
    commands = [word for statement in statements for word in ("-c", statement)]
    return quiet("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", *commands)


class Snapshot:
    """A snapshot that other sessions can use, held open by a psql."""

    def __init__(self, database):
        # pylint: disable=consider-using-with
        self.psql = subprocess.Popen(["psql", "-XAtq", "-d", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.psql.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();\n")
        self.psql.stdin.flush()
        self.name = self.psql.stdout.readline().strip()

    def __enter__(self):
        return self.name

    def __exit__(self, *_):
        self.psql.communicate("\\q\n")


class Rows:
    PROOF = "decrypted"  # what is said of a backup that was verified down to the plain bytes

    def __init__(self, args, meter):
        self.args, self.meter = args, meter
        self.work = args.work
        self.bindir = sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        self.pg17 = self.find_pg17()
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work, mode=0o700)
        self.recipient = quiet(args.pgcask, "key", "new", "--output", self.path("identity"))

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def find_pg17(self):
        """Programs that know --compress=zstd: those given, else the newest of the places Debian uses."""
        given = [self.args.pg17] if self.args.pg17 else [f"/usr/lib/postgresql/{major}/bin" for major in (18, 17, 16)]
        for bindir in given:
            if os.access(os.path.join(bindir, "pg_dump"), os.X_OK):
                return bindir
        return None

    def tool(self, name, bindir=None):
        return shlex.quote(os.path.join(bindir or self.bindir, name))

    # ---- the source ----

    def source(self, database, out="/dev/null", other="/dev/null"):
        """Two streams of one snapshot, as plain archives."""
        tables = [f"--table={name}" for name in LEFT]
        others = [f"--exclude-table-data={name}" for name in LEFT]
        with Snapshot(database) as snapshot:
            dump = f"{self.tool('pg_dump')} -Fc -Z0 --snapshot={snapshot} -d {database}"
            return self.meter.run(f"{dump} {' '.join(others)} >{shlex.quote(other)} &\n"
                                  f"{dump} --section=data {' '.join(tables)} >{shlex.quote(out)} && wait $!")

    def save_source(self, database):
        """The same bytes as files, for zstd alone; how many there are."""
        files = self.path("left.dump"), self.path("right.dump")
        self.source(database, *files)
        return sum(os.path.getsize(file) for file in files)

    def zstd(self):
        return self.meter.run(f"cd {shlex.quote(self.work)} && zstd -q -3 -T1 -c left.dump right.dump >/dev/null")

    # ---- pgcask ----

    def fresh_stores(self):
        """New ones: name, and what stands in its section."""
        shutil.rmtree(self.path("store"), ignore_errors=True)
        return {"local": f"plugin = local\npath = {self.path('store')}\ncreate = yes"}

    def configure(self, database):
        """New stores for that database."""
        shutil.rmtree(self.path("state"), ignore_errors=True)
        stores = self.fresh_stores()
        sections = "\n".join(f"[store {name}]\n{lines}" for name, lines in stores.items())
        with open(self.path("pgcask.ini"), "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="utf-8") as file:
            file.write(f"""[pgcask]
recipient = {self.recipient}
identity_file = {self.path('identity')}
state_dir = {self.path('state')}
jobs = 2
compress_level = 3
[cluster main]
conninfo = dbname=postgres
bindir = {self.bindir}
{sections}
[job bench]
cluster = main
databases = {database}
stores = {' '.join(stores)}
""")

    def pgcask(self, *words):
        return [self.args.pgcask, "-c", self.path("pgcask.ini"), *words]

    def backup(self, database):
        """Two Runs: until the last member is stored, and from there until all is verified."""
        self.configure(database)
        run = self.meter.run(self.pgcask("-v", "backup"), wanted=("INFO: member '", "is as its manifest says"))
        stored = [mark for mark in run.marks if mark.text.startswith("INFO: member '")][-1]
        good = run.marks[-1]
        if not any(f"is as its manifest says ({self.PROOF}" in mark.text for mark in run.marks):
            sys.exit(f"rows.py: the backup was not verified to the plain bytes: {good.text}")
        return self.phase(run, None, stored), self.phase(run, stored, good)

    @staticmethod
    def phase(run, begin, end):
        part = Run()
        part.wall_s = end.at_s - (begin.at_s if begin else 0)
        # marks see the programs that had ended by then, which at these two moments is all of them but pg_restore -l
        part.client_s = end.client_s - (begin.client_s if begin else 0)
        part.server_s = end.server_s - (begin.server_s if begin else 0)
        part.store_s = end.store_s - (begin.store_s if begin else 0)
        part.others_s = run.others * part.wall_s
        return part

    def backup_memory(self, database):
        self.configure(database)
        return self.meter.run(self.pgcask("backup"), memory=True)

    def manifest(self):
        for folder, _, names in os.walk(self.path("store")):
            if "manifest.json" in names:
                with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
                    return json.load(file)
        sys.exit("measure.py: no manifest in the store")

    def stored_bytes(self):
        members = self.manifest()["members"]
        return sum(member["plain_size"] for member in members), sum(member["stored_size"] for member in members)

    def cipher(self):
        """CPU seconds of cipher and digests, for what the last backup stored."""
        plain, stored = self.stored_bytes()
        words = quiet(self.args.cipher, str(plain), str(stored)).split()
        return {name: float(seconds) for name, seconds in (word.split("=") for word in words)}

    # ---- instead of pgcask ----

    def stock(self, database):
        """What one would write into a script."""
        target = self.path("stock.age")
        run = self.meter.run(f"{self.tool('pg_dump')} -Fc -Z0 -d {database} | zstd -q -3 -T2 | age -r {self.recipient} "
                             f">{shlex.quote(target)}")
        if os.path.getsize(target) < 1024 * 1024:  # sh tells of the last program only
            sys.exit("measure.py: the stock pipe stored nothing")
        return run

    def directory(self, database, bindir=None, compress="0"):
        target = self.path("directory")
        shutil.rmtree(target, ignore_errors=True)
        return self.meter.run(f"{self.tool('pg_dump', bindir)} -Fd -j2 --compress={compress} -f {shlex.quote(target)} "
                              f"-d {database}")

    def pg17_zstd(self, database):
        return self.directory(database, self.pg17, "zstd:3")

    def seed(self, database):
        return self.meter.run(f"{self.tool('pg_dump')} -Fc -d {database} >{shlex.quote(self.path('seed.dump'))}")

    # ---- restores ----

    @staticmethod
    def clear_restored():
        sql("SET client_min_messages = warning", "DROP DATABASE IF EXISTS restored", "CHECKPOINT")

    def restore(self):
        self.clear_restored()
        return self.meter.run(self.pgcask("restore", "latest", "--into", "restored"))

    def pg_restore(self):
        """From the plain directory that `directory` left."""
        self.clear_restored()
        return self.meter.run(f"{self.tool('createdb')} restored && {self.tool('pg_restore')} -j2 -d restored "
                              f"{shlex.quote(self.path('directory'))}")

    def table(self):
        """Bytes read from each object of the store to bring back one table; None without strace."""
        if shutil.which("strace") is None:
            return None
        trace = self.path("trace")
        quiet("strace", "-f", "-y", "-s", "0", "-e", "trace=read,pread64", "-o", trace,
              *self.pgcask("restore", "latest", "--table", f"public.{TABLE}", "--output", self.path("table.sql")))
        return self.read_trace(trace)

    def read_trace(self, trace):
        read, pending = {}, {}
        with open(trace, encoding="utf-8", errors="replace") as file:
            for line in file:
                pid = line.split(None, 1)[0]
                path = re.search(r"(?:read|pread64)\(\d+<([^>]*)>", line)
                count = re.search(r"= (\d+)$", line)
                if path is not None:
                    pending[pid] = path.group(1)
                if count is not None and pid in pending:
                    name = pending.pop(pid)
                    if name.startswith(self.path("store")):
                        name = os.path.basename(name)
                        read[name] = read.get(name, 0) + int(count.group(1))
        return read
