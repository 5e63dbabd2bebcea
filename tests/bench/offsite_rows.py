# SPDX-License-Identifier: PostgreSQL
"""What offsite.py has run: one Place for each choice of stores, the plain client, and a thousand backups to list."""

import argparse
import concurrent.futures
import copy
import datetime
import hashlib
import json
import os
import re
import shlex
import shutil
import statistics
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as etree

from rows import TABLE, Rows, quiet

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "servers"))
import s3  # noqa: E402 pylint: disable=wrong-import-position

MIB = 1024 * 1024
PARALLEL = 4
PART = 16 * MIB
FRAME_FOOTER = 9
AWS = ("AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_DEFAULT_REGION={region} AWS_CONFIG_FILE=/dev/null "
       "AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true aws --endpoint-url {endpoint}")


class Ceph:
    """The server that offsite.sh started, seen by a client that is not pgcask's."""

    def __init__(self, script):
        self.script, self.env = script, {name: os.environ["S3_" + name] for name in
                                         ("ENDPOINT", "ENDPOINT_TLS", "CA", "KEY", "SECRET", "REGION")}
        self.client = self.connect("ENDPOINT")
        self.log = os.path.join(os.environ["CEPH_BASE"], "log", "client.rgw.a.log")

    def connect(self, endpoint):
        return s3.Client(self.env[endpoint], self.env["KEY"], self.env["SECRET"], self.env["REGION"], self.env["CA"])

    def section(self, bucket, endpoint):
        lines = ["plugin = s3", f"bucket = {bucket}", f"endpoint = {self.env[endpoint]}", "prefix = bench",
                 f"access_key = {self.env['KEY']}", f"secret_key = {self.env['SECRET']}", f"parallel = {PARALLEL}"]
        if endpoint == "ENDPOINT_TLS":
            lines.append(f"ca_file = {self.env['CA']}")
        return "\n".join(lines)

    def fresh(self, bucket):
        """An empty bucket. The server frees what was in it now, not while the next row is measured."""
        try:
            s3.clear(self.client, bucket)
        except s3.Refused:
            s3.mb(self.client, bucket)
            return
        quiet(self.script, "admin", "gc", "process", "--include-all")

    def aws(self):
        """The words before a command of the aws program; None when there is none."""
        if shutil.which("aws") is None:
            return None
        return AWS.format(key=self.env["KEY"], secret=shlex.quote(self.env["SECRET"]), region=self.env["REGION"],
                          endpoint=self.env["ENDPOINT"])

    def urls(self, bucket, size, endpoint):
        """Lines for pour.py: so many bytes in objects of one part each."""
        client = self.connect(endpoint)
        sizes = [PART] * (size // PART) + ([size % PART] if size % PART else [])
        return "".join(f"{size} {client.presign('PUT', f'/{bucket}/pour-{number}', 3600)}\n"
                       for number, size in enumerate(sizes))

    def listing(self, bucket, prefix):
        """Seconds and pages: the server's answers alone, reading them not counted."""
        query, seconds, pages = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}, 0.0, 0
        while True:
            begin_s = time.monotonic()
            body = self.client.ask("GET", "/" + bucket, query.items()).body
            seconds += time.monotonic() - begin_s
            pages += 1
            fields = {element.tag.split("}")[-1]: element.text for element in etree.fromstring(body)}
            if fields.get("IsTruncated") != "true":
                return seconds, pages
            query["continuation-token"] = fields["NextContinuationToken"]

    def log_size(self):
        return os.path.getsize(self.log)

    def log_received(self, begin, requests):
        """Bytes that the server says it sent to pgcask, in so many requests, since its log was that long."""
        deadline_s = time.monotonic() + 20
        while True:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                file.seek(begin)
                found = re.findall(r'"([A-Z]+) [^"]*" \d+ (\d+) \S+ "pgcask/', file.read())
            if len(found) >= requests:
                return sum(int(size) for method, size in found if method == "GET")
            if time.monotonic() > deadline_s:
                sys.exit(f"offsite.py: {requests} requests were made, '{self.log}' has {len(found)}")
            time.sleep(0.1)


class Place(Rows):
    """pgcask with one choice of stores: local, ceph, tls or several of them, in a directory of its own."""

    def __init__(self, args, meter, ceph, *stores):
        self.ceph, self.stores, self.name = ceph, stores, "-".join(stores)
        super().__init__(argparse.Namespace(**{**vars(args), "work": os.path.join(args.work, self.name)}), meter)

    def bucket(self, store):
        return f"{self.name}-{store}"

    def fresh_stores(self):
        sections = {}
        for store in self.stores:
            if store == "local":
                sections.update(super().fresh_stores())
            else:
                self.ceph.fresh(self.bucket(store))
                endpoint = "ENDPOINT_TLS" if store == "tls" else "ENDPOINT"
                sections[store] = self.ceph.section(self.bucket(store), endpoint)
        return sections

    def manifest(self):
        if "local" in self.stores:
            return super().manifest()
        bucket = self.bucket(self.stores[0])
        key = next(key for key in self.keys(bucket) if key.endswith("/manifest.json"))
        return json.loads(self.ceph.client.ask("GET", f"/{bucket}/{key}").body)

    def keys(self, bucket):
        return [s3.child(item, "Key") for item in s3.objects(self.ceph.client, bucket)]

    # ---- bytes ----

    def counted(self, *words):
        """A Run, and how many requests it made, as pgcask -v tells."""
        run = self.meter.run(self.pgcask("-v", *words), wanted=(" requests (",))
        return run, sum(int(re.search(r"(\d+) requests \(", mark.text).group(1)) for mark in run.marks)

    def table_received(self):
        """Bytes received to bring back one table, and in how many requests."""
        begin = self.ceph.log_size()
        script = self.path("table.sql")
        _, requests = self.counted("restore", "latest", "--table", f"public.{TABLE}", "--output", script)
        return self.ceph.log_received(begin, requests), requests

    def schema_stored(self, member):
        """Stored bytes of the frames of the main member that hold its definitions, found without pgcask."""
        stored, plain = self.path("main.zst"), self.path("main.dump")
        bucket = self.bucket(self.stores[0])
        key = next(key for key in self.keys(bucket) if key.endswith("/" + member["object"]))
        sealed = self.ceph.client.ask("GET", f"/{bucket}/{key}").body
        with open(stored, "wb") as file:
            subprocess.run(["age", "-d", "-i", self.path("identity")], input=sealed, stdout=file, check=True)
        quiet("zstd", "-q", "-d", "-f", stored, "-o", plain)
        with open(plain, "rb") as file:  # pg_restore stops reading where the rows begin, and the place is ours, too
            subprocess.run([os.path.join(self.bindir, "pg_restore"), "-l"], stdin=file, stdout=subprocess.DEVNULL,
                           check=True)
            end = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        return frames_before(stored, end)


def frames_before(path, plain_end):
    """Stored bytes of the frames with the first so many plain bytes: docs/format.md."""
    with open(path, "rb") as file:
        data = file.read()
    count = struct.unpack_from("<I", data, len(data) - FRAME_FOOTER)[0]
    stored = plain = 0
    for entry in struct.iter_unpack("<II", data[len(data) - FRAME_FOOTER - 8 * count:len(data) - FRAME_FOOTER]):
        if plain >= plain_end:
            break
        stored, plain = stored + entry[0], plain + entry[1]
    return stored


class Plain:
    """What one would do instead, and what the server can do at most."""

    def __init__(self, args, meter, ceph, bindir):
        self.meter, self.ceph, self.bindir = meter, ceph, bindir
        self.file, self.list = os.path.join(args.work, "seed.dump"), os.path.join(args.work, "urls")
        self.pour_py = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pour.py")

    def seed(self, database):
        """A dump, then its upload; None without the aws program."""
        aws = self.ceph.aws()
        if aws is None:
            return None
        self.ceph.fresh("seed")
        dump, file = shlex.quote(os.path.join(self.bindir, "pg_dump")), shlex.quote(self.file)
        run = self.meter.run(f"{dump} -Fc -d {database} >{file} && {aws} s3 cp --quiet {file} s3://seed/dump")
        os.unlink(self.file)
        self.ceph.fresh("seed")
        return run

    def pour(self, size, endpoint):
        self.ceph.fresh("pour")
        with open(self.list, "w", encoding="ascii") as file:
            file.write(self.ceph.urls("pour", size, endpoint))
        run = self.meter.run(f"exec {sys.executable} {shlex.quote(self.pour_py)} {PARALLEL} "
                             f"{shlex.quote(self.ceph.env['CA'])} <{shlex.quote(self.list)}")
        self.ceph.fresh("pour")
        return run


class Many(Place):
    """A bucket with many backups, all made from one real one; what is in the members does not matter for a list."""

    def fill(self, count):
        manifest = self.manifest()
        bucket, old = self.bucket(self.stores[0]), manifest["id"]
        names = [key for key in self.keys(bucket) if f"/{old}/" in key]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for number in range(count):
                begun = datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=6 * number)
                backup = dated(manifest, begun)
                text = (json.dumps(backup, indent=2) + "\n").encode()
                for key in names:
                    pool.submit(self.put, bucket, renamed(key, old, backup["id"], begun),
                                text if key.endswith("/manifest.json") else b"{}")
        found = sum(key.endswith("/manifest.json") for key in self.keys(bucket))
        if found != count + 1:
            sys.exit(f"offsite.py: {count + 1} backups were to be in the bucket, there are {found}")

    def put(self, bucket, key, data):
        self.ceph.client.ask("PUT", f"/{bucket}/{key}", body=data)

    def server_listing(self, turns=3):
        """Median seconds, and pages."""
        found = [self.ceph.listing(self.bucket(self.stores[0]), "bench/main/backup/") for _ in range(turns)]
        return statistics.median(seconds for seconds, _ in found), found[0][1]

    def list_first(self):
        shutil.rmtree(self.path("state"))
        return self.counted("list")

    def list_again(self):
        return self.counted("list")


def dated(manifest, begun):
    """The same backup at another time; its digest as docs/format.md tells."""
    backup, text = copy.deepcopy(manifest), begun.strftime("%Y-%m-%dT%H:%M:%SZ")
    backup["id"] = f"{begun:%Y%m%dT%H%M%SZ}-{manifest['job']}"
    backup["started"] = backup["finished"] = text
    del backup["digest"]
    canonical = json.dumps(backup, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    backup["digest"] = "sha256:" + hashlib.sha256(canonical).hexdigest()
    return backup


def renamed(key, old, new, begun):
    key = key.replace(f"/{old}/", f"/{new}/")
    return re.sub(r"/verdict-[^-]*-", f"/verdict-{begun:%Y%m%dT%H%M%SZ}-", key)
