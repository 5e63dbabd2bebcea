# SPDX-License-Identifier: PostgreSQL
"""Puts objects as fast as the server takes them, and does next to nothing itself: what no client can be faster than.

    pour.py PARALLEL [CA-FILE] <list          a line of `list` is "SIZE URL", the URL signed without its payload

The bytes are the same for all objects and come from memory: over http they are not even copied here.
"""

import http.client
import os
import queue
import random
import socket
import ssl
import sys
import threading
import urllib.parse

RECORD = 256 * 1024


class Body:
    def __init__(self, size):
        self.fd = os.memfd_create("body")
        self.data = memoryview(random.Random(1).randbytes(size))
        os.write(self.fd, self.data)

    def send(self, sock, size):
        if isinstance(sock, ssl.SSLSocket):
            for begin in range(0, size, RECORD):
                sock.sendall(self.data[begin:min(begin + RECORD, size)])
            return
        sent = 0
        while sent < size:
            sent += os.sendfile(sock.fileno(), self.fd, sent, size - sent)


def connect(url, ca_file):
    if url.scheme == "http":
        connection = http.client.HTTPConnection(url.hostname, url.port)
    else:
        connection = http.client.HTTPSConnection(url.hostname, url.port,
                                                 context=ssl.create_default_context(cafile=ca_file))
    connection.connect()
    if url.scheme == "http":
        connection.sock.settimeout(None)  # else it is non-blocking below, and sendfile comes back early
    return connection


def put(connection, url, body, size):
    connection.putrequest("PUT", f"{url.path}?{url.query}", skip_accept_encoding=True)
    connection.putheader("content-length", str(size))
    connection.endheaders()
    body.send(connection.sock, size)
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise OSError(f"{answer.status} {text[:200]!r}")


def work(jobs, body, ca_file, failures):
    connection = None
    try:
        while True:
            try:
                size, url = jobs.get_nowait()
            except queue.Empty:
                return
            connection = connection or connect(url, ca_file)
            put(connection, url, body, size)
    except (OSError, http.client.HTTPException) as error:
        failures.append(error)


def main():
    parallel, ca_file = int(sys.argv[1]), (sys.argv + [None])[2]
    jobs, failures, most = queue.Queue(), [], 0
    for line in sys.stdin:
        size, url = line.split()
        most = max(most, int(size))
        jobs.put((int(size), urllib.parse.urlsplit(url)))
    body = Body(most)
    threads = [threading.Thread(target=work, args=(jobs, body, ca_file, failures)) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"pour.py: {failures[0]}")


if __name__ == "__main__":
    main()
