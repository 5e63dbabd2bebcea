# SPDX-License-Identifier: PostgreSQL
"""What physical.py has run: plain programs, pgBackRest and pgcask. One method a row; all of them give a Run."""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

from meter import Run
from rows import Rows, quiet, sql

CORES = 2
MIB = 1024 * 1024
SEGMENTS_PY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "segments.py")
# their worth is that of what they protect, which is nothing
PASSPHRASE = "hoop-stave-bung"


def succeeds(*argv):
    return subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def archive_by(command):
    """PostgreSQL archives with that from here on. Something is written, so that what comes next is in a new archive."""
    sql("ALTER SYSTEM SET archive_command = '" + command.replace("'", "''") + "'", "SELECT pg_reload_conf()",
        "SELECT pg_logical_emit_message(true, 'bench', 'begins')", "CHECKPOINT")


class Cluster:
    """What all rows share: where the data is, and how commands are run on it."""

    def __init__(self, args, meter):
        self.args, self.meter, self.work = args, meter, args.work
        self.bindir = sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        self.tar, self.copy = self.path("base.tar"), self.path("copy")
        with open(args.segments, encoding="ascii") as file:
            self.names = file.read().split()
        paths = [os.path.join(args.cluster, "pg_wal", name) for name in self.names]
        self.wal = " ".join(shlex.quote(path) for path in paths)
        self.wal_size = sum(os.path.getsize(path) for path in paths)

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def tool(self, name):
        return shlex.quote(os.path.join(self.bindir, name))

    @contextlib.contextmanager
    def archiving(self, command):
        """PostgreSQL archives with that; at the end all that was to be archived is."""
        archive_by(command)
        yield
        status = os.path.join(self.args.data, "pg_wal", "archive_status")
        deadline_s = time.monotonic() + 60
        while any(name.endswith(".ready") for name in os.listdir(status)):
            if time.monotonic() > deadline_s:
                sys.exit(f"physical.py: not archived within a minute by '{command}'")
            time.sleep(0.05)
        archive_by("/bin/true")

    # ---- plain programs ----

    def base_backup(self):
        """With the segment or two that it needs: without, it would wait until they are archived."""
        return f"{self.tool('pg_basebackup')} -Ft -X fetch -c fast -D -"

    def source(self):
        return self.meter.run(f"{self.base_backup()} >/dev/null")

    def save_tar(self):
        """The same bytes in a file; how many there are."""
        quiet("sh", "-c", f"{self.base_backup()} >{shlex.quote(self.tar)}")
        return os.path.getsize(self.tar)

    def zstd(self):
        return self.meter.run(f"zstd -q -3 -T{CORES} -c {shlex.quote(self.tar)} >/dev/null")

    def stock(self, recipient):
        """What one would write into a script."""
        target = self.path("stock.age")
        run = self.meter.run(f"{self.base_backup()} | zstd -q -3 -T{CORES} | age -r {recipient} >{shlex.quote(target)}")
        if os.path.getsize(target) < MIB:  # sh tells of the last program only
            sys.exit("physical.py: the stock pipe stored nothing")
        os.unlink(target)
        return run

    def zstd_wal(self):
        return self.meter.run(f"cat {self.wal} | zstd -q -3 -T{CORES} -c >/dev/null")

    def hash_copy(self):
        """Each file that is restored, read once and hashed."""
        return self.meter.run(f"find {shlex.quote(self.copy)} -type f -print0 | "
                              f"xargs -0 -n 16 -P {CORES} xxhsum -q -H2 >/dev/null")

    # ---- segments, one call each ----

    def call(self, mode, directory, *command, names=None):
        """A Run; `calls`: seconds of each. Its wall time ends with the last call, its CPU time with what that left."""
        run = self.meter.run([sys.executable, SEGMENTS_PY, mode, directory, names or self.args.segments, *command],
                             wanted=("segments.py: {",))
        told = json.loads(run.marks[-1].text.partition(": ")[2])
        run.others_s *= told["wall_s"] / run.wall_s
        run.wall_s, run.calls = told["wall_s"], told["calls"]
        run.client_s -= told["own_s"]
        run.alone_kib = told["peak_kib"]
        return run

    def make_ready(self):
        """All segments wait for the archiver."""
        status = os.path.join(self.args.cluster, "pg_wal", "archive_status")
        shutil.rmtree(status)
        os.mkdir(status)
        for name in self.names:
            with open(os.path.join(status, name + ".ready"), "w", encoding="ascii"):
                pass

    def empty_cluster(self):
        """A data directory, as far as a program that fetches segments looks at it."""
        target = self.path("fetching")
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(os.path.join(target, "pg_wal"))
        os.mkdir(os.path.join(target, "global"))
        for name in "PG_VERSION", "global/pg_control":
            shutil.copy(os.path.join(self.args.cluster, name), os.path.join(target, name))
        return target

    def repeat(self, times, *command):
        names = self.path("times")
        with open(names, "w", encoding="ascii") as file:
            file.write("-\n" * times)
        return self.call("call", self.work, *command, names=names)

    # ---- recovery ----

    def replay(self, restore_command):
        """From the start of the server until all that the command brings is replayed; then the server ends itself."""
        data, log = self.path("replay"), self.path("replay.log")
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.args.seed, data)
        settings = {"restore_command": restore_command.replace("%D", data), "archive_mode": "off", "hot_standby": "off",
                    "recovery_end_command": 'touch ended && kill -QUIT "$(head -n 1 postmaster.pid)"',
                    "listen_addresses": "", "unix_socket_directories": self.work}
        with open(os.path.join(data, "postgresql.auto.conf"), "w", encoding="utf-8") as file:
            for name, value in settings.items():
                file.write(f"{name} = '" + value.replace("'", "''") + "'\n")
        with open(os.path.join(data, "recovery.signal"), "w", encoding="ascii"):
            pass
        run = self.meter.run(f"{self.tool('postgres')} -D {shlex.quote(data)} >{shlex.quote(log)} 2>&1; :")
        with open(log, encoding="utf-8", errors="replace") as file:
            text = file.read()
        missing = [name for name in self.names if f'restored log file "{name}"' not in text]
        if missing or not os.path.exists(os.path.join(data, "ended")):
            sys.exit(f"physical.py: not replayed: {' '.join(missing) or 'the end'}\n{text[-2000:]}")
        os.unlink(log)
        shutil.rmtree(data)
        return run

    def replay_plain(self):
        return self.replay(f'cp "{os.path.join(self.args.cluster, "pg_wal")}/%f" "%p"')

    def clear_copy(self):
        shutil.rmtree(self.copy, ignore_errors=True)


class PgBackRest:
    """At its best: zstd 3, as many processes as cores, bundles, encrypted, asynchronous archiving."""

    def __init__(self, cluster, name, data, online):
        self.cluster, self.meter, self.online, self.data = cluster, cluster.meter, online, data
        self.name, self.turn = name, 0
        self.home = self.config = None

    def configure(self):
        """A new, empty repository. What a process of the old one may still do is done beside it."""
        if self.home is not None:
            shutil.rmtree(self.home, ignore_errors=True)
        self.turn += 1
        self.home = self.cluster.path(f"{self.name}-{self.turn}")
        os.makedirs(self.home)
        self.config = os.path.join(self.home, "pgbackrest.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"""[global]
repo1-path={self.home}/repo
repo1-bundle=y
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={PASSPHRASE}
repo1-retention-full=9
compress-type=zst
compress-level=3
process-max={CORES}
start-fast=y
archive-async=y
archive-get-queue-max=1GiB
archive-timeout=60
spool-path={self.home}/spool
lock-path={self.home}/lock
log-level-file=off
log-level-console=warn
[bench]
pg1-path={self.data}
pg1-socket-path={os.environ["PGHOST"]}
pg1-port={os.environ["PGPORT"]}
pg1-user={os.environ["PGUSER"]}
""")
        quiet(*self.argv(*([] if self.online else ["--no-online"]), "stanza-create"))

    def argv(self, *words):
        return [self.cluster.args.pgbackrest, f"--config={self.config}", "--stanza=bench", *words]

    def command(self, *words):
        return " ".join(shlex.quote(word) for word in self.argv(*words))

    def title(self):
        return quiet(self.cluster.args.pgbackrest, "version")

    def clear_spool(self):
        shutil.rmtree(os.path.join(self.home, "spool"), ignore_errors=True)

    # ---- of the cluster ----

    def backup(self, memory=False):
        self.configure()
        with self.cluster.archiving(self.command("archive-push") + " %p"):
            return self.meter.run(self.argv("--type=full", "backup"), memory=memory)

    def restore(self, *words, memory=False):
        """To where the copy is; --delta: over what is there."""
        if "--delta" not in words:
            self.cluster.clear_copy()
            os.mkdir(self.cluster.copy, 0o700)
        return self.meter.run(self.argv(f"--pg1-path={self.cluster.copy}", *words, "restore"), memory=memory)

    # ---- of segments ----

    def push(self, *words):
        self.configure()
        self.cluster.make_ready()
        return self.cluster.call("push", self.data, *self.argv(*words, "archive-push", "%p"))

    def get(self):
        self.clear_spool()
        target = self.cluster.empty_cluster()
        return self.cluster.call("get", target, *self.argv(f"--pg1-path={target}", "archive-get", "%f", "%p"))

    def replay(self):
        self.clear_spool()
        return self.cluster.replay(self.command("--pg1-path=%D", "archive-get") + ' %f "%p"')

    def version(self):
        return self.cluster.repeat(20, self.cluster.args.pgbackrest, "version")


class Pgcask(Rows):
    """jobs as cores, zstd 3, encrypted, one local store."""

    PROOF = "each file"

    def __init__(self, cluster, name):
        self.cluster = cluster
        super().__init__(argparse.Namespace(**{**vars(cluster.args), "work": cluster.path(name), "pg17": ""}),
                         cluster.meter)
        self.configure(None)
        self.can_backup = succeeds(*self.pgcask("config"))
        self.can_archive = succeeds(*self.pgcask("wal", "push", "--help"))
        self.can_restore = "--data-dir" in quiet(cluster.args.pgcask, "restore", "--help")

    def configure(self, _database):
        """New stores, no memory of old ones."""
        shutil.rmtree(self.path("state"), ignore_errors=True)
        (store, lines), = self.fresh_stores().items()
        with open(self.path("pgcask.ini"), "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="utf-8") as file:
            file.write(f"""[pgcask]
recipient = {self.recipient}
identity_file = {self.path('identity')}
state_dir = {self.path('state')}
jobs = {CORES}
compress_level = 3
[cluster main]
conninfo = host={os.environ["PGHOST"]} port={os.environ["PGPORT"]} user={os.environ["PGUSER"]} dbname=postgres
bindir = {self.bindir}
[store {store}]
{lines}
[job bench]
cluster = main
kind = base
checkpoint = fast
stores = {store}
""")

    def command(self, *words):
        """For a server that knows nothing of our environment."""
        argv = ["env", f"PGCASK_PLUGIN_PATH={os.environ['PGCASK_PLUGIN_PATH']}", *self.pgcask(*words)]
        return " ".join(shlex.quote(word) for word in argv)

    # ---- of the cluster ----

    def backup(self, _database=None):
        """Two Runs: until the last member is stored, and from there until all is verified."""
        with self.cluster.archiving(self.command("wal", "push") + " %p"):
            return super().backup(None)

    def backup_memory(self, _database=None):
        with self.cluster.archiving(self.command("wal", "push") + " %p"):
            return super().backup_memory(None)

    def restore(self, *words, memory=False):
        if "--delta" not in words:
            self.cluster.clear_copy()
        return self.meter.run(self.pgcask("restore", "latest", "--data-dir", self.cluster.copy, *words), memory=memory)

    # ---- of segments ----

    def push(self):
        self.configure(None)
        self.cluster.make_ready()
        return self.push_again()

    def push_again(self):
        """What was pushed is offered once more: all that a call for a segment that was sent ahead has to do."""
        self.cluster.make_ready()
        return self.cluster.call("push", self.cluster.args.cluster, *self.pgcask("wal", "push", "%p"))

    def get(self):
        shutil.rmtree(self.path("state"), ignore_errors=True)
        target = self.cluster.empty_cluster()
        return self.cluster.call("get", target, *self.pgcask("wal", "fetch", "%f", "%p"))

    def replay(self):
        shutil.rmtree(self.path("state"), ignore_errors=True)
        return self.cluster.replay(self.command("wal", "fetch") + ' %f "%p"')


def phase_sum(*runs):
    """One Run for all of them, one after the other."""
    total = Run()
    for name in "wall_s", "client_s", "server_s", "store_s", "others_s":
        setattr(total, name, sum(getattr(run, name) for run in runs))
    return total
