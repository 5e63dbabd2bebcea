#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""An HTTP/1.1 server that does what it is told, for what real servers cannot be made to do.

    http-double.py SCRIPT [--log FILE] [--tls CERTIFICATE KEY] [--port PORT]

Listens on a free port of 127.0.0.1, prints the port as its first line, and serves until it is ended. SCRIPT is JSON,
read again whenever the file has changed (replace it by a rename); the rules then count from 0 again:

    {"forward": "http://127.0.0.1:8000",      optional: who answers what no rule answers (else 404)
     "use": ["imds", "container", "sts"],     optional: the ready rules of double_rules.py
     "credentials": {"key": ..., "secret": ..., "token": ..., "seconds": 3600},      what those hand out
     "rules": [RULE ...]}                     the first rule that fits answers

Which requests (all that is given has to fit):
    method   a regular expression for the whole word: "PUT|POST"
    path     a regular expression found in the path, as it was sent      query    ... in the query string
    with     {header: regular expression}    without  [header ...]       contains ... in the body
    skip     let so many of them pass        every    then only each Nth times    then at most so many

What is answered:
    status, headers {name: value}, body (text) or json (anything); "@now+900@" in them is the time in 900 s (ISO 8601)
    forward: true   let the real server do it first; status, headers (null: none) and body given here go over its answer
    flip_at         one bit of the body's byte N is wrong
    truncate_to     the body has only N bytes, and Content-Length says so
And how:
    stall_seconds       wait before the answer, or, with stall_after_bytes: N, after N bytes of its body
    close_after_bytes   reset the connection after N bytes of the body; -1: without any answer
    read_bytes          read only N bytes of the request's body, then answer and reset the connection
    chunked: true       no Content-Length
    name                stands in the log

Each request is a line of JSON in the log: n, connection, method, path, query, headers, length, sha256 and (a small
one) body of the request, then rule (null: forwarded or 404) and status."""
import hashlib
import http.client
import http.server
import itertools
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True  # the source tree stays as it is
import double_rules  # noqa: E402

SMALL_BODY = 16384
HOP_BY_HOP = ('connection', 'keep-alive', 'transfer-encoding', 'content-length', 'expect')


class Reset(Exception):
    """Ends the connection by a reset, in the middle of whatever it was at."""


class Rule:
    """One rule, and how often it has fitted."""

    def __init__(self, spec, name):
        self.spec, self.name, self.seen, self.done = spec, spec.get('name', name), 0, 0

    def fits(self, request):
        spec = self.spec
        path, _, query = request.path.partition('?')
        return (re.fullmatch(spec.get('method', '.*'), request.command)
                and re.search(spec.get('path', ''), path)
                and re.search(spec.get('query', ''), query)
                and not any(name in request.headers for name in spec.get('without', ()))
                and all(re.search(want, request.headers.get(name, '')) for name, want in spec.get('with', {}).items())
                and ('contains' not in spec or re.search(spec['contains'].encode(), request.read_body())))

    def takes(self, request):
        """Whether it is this rule's turn; counts."""
        if not self.fits(request):
            return False
        self.seen += 1
        turn = self.seen - self.spec.get('skip', 0)
        if turn <= 0 or turn % self.spec.get('every', 1) or self.done >= self.spec.get('times', float('inf')):
            return False
        self.done += 1
        return True


class Script:
    """The rules of the file, which may change while we run."""

    def __init__(self, name):
        self.name, self.state, self.lock = name, None, threading.Lock()
        self.load()

    def load(self):
        status = os.stat(self.name)
        state = (status.st_mtime_ns, status.st_ino, status.st_size)
        if state == self.state:
            return
        with open(self.name, encoding='utf-8') as file:
            script = json.load(file)
        self.forward = script.get('forward')
        specs = list(script.get('rules', []))
        for use in script.get('use', []):
            specs += double_rules.READY[use](script.get('credentials', {}))
        self.rules = [Rule(spec, f'rule {i}') for i, spec in enumerate(specs, 1)]
        self.state = state

    def choose(self, request):
        with self.lock:
            self.load()
            return next((rule for rule in self.rules if rule.takes(request)), None)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    script, log, connections, requests = None, None, itertools.count(1), itertools.count(1)

    def setup(self):
        super().setup()
        self.connection_number = next(self.connections)

    def handle(self):
        try:
            super().handle()
        except Reset:
            self.reset()
        except (ConnectionError, ssl.SSLError):
            pass

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        os.close(self.connection.detach())  # now: files made of the socket would keep it open

    def log_message(self, *_):
        """What is to be known stands in our own log."""

    def handle_expect_100(self):
        return True  # said when the body is read: a rule may answer without it

    def read_body(self, limit=None):
        """The body of the request, or, with LIMIT, so much of it."""
        if self.body is None:
            if limit != 0 and '100-continue' in self.headers.get('Expect', '').lower():
                self.send_response_only(http.HTTPStatus.CONTINUE)
                self.end_headers()
            if 'chunked' in self.headers.get('Transfer-Encoding', ''):
                self.body = b''.join(self.chunks())
            else:
                length = int(self.headers.get('Content-Length', 0))
                self.body = self.rfile.read(length if limit is None else min(limit, length))
        return self.body

    def chunks(self):
        size = 1
        while size:
            size = int(self.rfile.readline().split(b';')[0], 16)
            yield self.rfile.read(size)
            self.rfile.readline()

    def answer_request(self):
        self.body = None
        rule = self.script.choose(self)
        spec = rule.spec if rule else {}
        self.read_body(spec.get('read_bytes'))
        answer = None
        try:
            if self.script.forward and (not rule or spec.get('forward')):
                answer = self.forwarded(self.script.forward)
            answer = self.changed(answer or Answer(200 if rule else 404, [], b''), spec)
        finally:
            self.write_log(rule, answer)
        self.deliver(answer, spec)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = answer_request

    def forwarded(self, server):
        """What the real server says to exactly this request: it is signed, so nothing signed may change."""
        url = urllib.parse.urlsplit(server)
        real = http.client.HTTPConnection(url.hostname, url.port, timeout=300)
        try:
            real.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    real.putheader(name, value)
            if self.body or self.command in ('PUT', 'POST'):
                real.putheader('Content-Length', str(len(self.body)))
            real.endheaders(self.body)
            reply = real.getresponse()
            headers = [h for h in reply.getheaders() if h[0].lower() not in HOP_BY_HOP]
            if self.command == 'HEAD':
                headers.append(('Content-Length', reply.getheader('Content-Length', '0')))
            return Answer(reply.status, headers, reply.read())
        except OSError as error:
            return Answer(502, [], str(error).encode())
        finally:
            real.close()

    def changed(self, answer, spec):
        """ANSWER with what the rule says over it."""
        if 'json' in spec:
            spec = {'body': json.dumps(spec['json']), **spec}
        if 'body' in spec:
            answer.body = with_times(spec['body']).encode()
        answer.status = spec.get('status', answer.status)
        new = {name.lower() for name in spec.get('headers', {})}
        answer.headers = [h for h in answer.headers if h[0].lower() not in new] + [
            (name, with_times(value)) for name, value in spec.get('headers', {}).items() if value is not None]
        if spec.get('flip_at', len(answer.body)) < len(answer.body):
            body = bytearray(answer.body)
            body[spec['flip_at']] ^= 1
            answer.body = bytes(body)
        answer.body = answer.body[:spec.get('truncate_to', len(answer.body))]
        return answer

    def deliver(self, answer, spec):
        close_at, stall_at = spec.get('close_after_bytes'), spec.get('stall_after_bytes')
        if stall_at is None:
            time.sleep(spec.get('stall_seconds', 0))
        if close_at == -1:
            raise Reset
        self.send_head(answer, spec.get('chunked'))
        if self.command != 'HEAD' and answer.status not in (204, 304):
            body = answer.body if close_at is None else answer.body[:close_at]
            if stall_at is not None:
                self.wfile.write(body[:stall_at])
                time.sleep(spec.get('stall_seconds', 0))
                body = body[stall_at:]
            if spec.get('chunked'):
                body = b'%x\r\n%s\r\n' % (len(body), body) if body else b''
                body += b'0\r\n\r\n' if close_at is None else b''
            self.wfile.write(body)
        if close_at is not None or 'read_bytes' in spec:
            time.sleep(0.05)  # a reset overtakes what the other side has not read yet
            raise Reset

    def send_head(self, answer, chunked):
        self.send_response_only(answer.status)
        names = {name.lower() for name, _ in answer.headers}
        for name, value in answer.headers:
            self.send_header(name, value)
        if chunked:
            self.send_header('Transfer-Encoding', 'chunked')
        elif 'content-length' not in names and answer.status not in (204, 304):
            self.send_header('Content-Length', str(len(answer.body)))
        if 'date' not in names:
            self.send_header('Date', self.date_time_string())
        self.end_headers()

    def write_log(self, rule, answer):
        path, _, query = self.path.partition('?')
        line = {'n': next(self.requests), 'connection': self.connection_number, 'method': self.command, 'path': path,
                'query': query, 'headers': {n.lower(): v for n, v in self.headers.items()}, 'length': len(self.body),
                'sha256': hashlib.sha256(self.body).hexdigest(), 'rule': rule and rule.name,
                'status': answer and answer.status}
        if len(self.body) <= SMALL_BODY:
            line['body'] = self.body.decode('utf-8', 'replace')
        with self.script.lock:
            if self.log:
                self.log.write(json.dumps(line) + '\n')
                self.log.flush()


def with_times(text):
    return re.sub(r'@now([+-]\d+)@', lambda m: double_rules.iso_time(int(m.group(1))), text)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls = None

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:  # the handshake belongs to the thread of the connection
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def shutdown_request(self, request):
        if request.fileno() != -1:  # not after a reset
            super().shutdown_request(request)


def main(words):
    if not words or words[0].startswith('-'):
        sys.exit(__doc__)
    port, words = 0, list(words)
    Handler.script = Script(words.pop(0))
    while words:
        word = words.pop(0)
        if word == '--log':
            Handler.log = open(words.pop(0), 'a', encoding='utf-8')
        elif word == '--tls':
            Server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            Server.tls.load_cert_chain(words.pop(0), words.pop(0))
        elif word == '--port':
            port = int(words.pop(0))
        else:
            sys.exit(__doc__)
    server = Server(('127.0.0.1', port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main(sys.argv[1:])
