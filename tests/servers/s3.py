#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""A small S3 client for tests: it looks behind the back of the program under test, and shares no code with it.

    s3.py [--user reader|stranger] [--endpoint URL] [--tls] COMMAND ARGUMENT...

Buckets    mb BUCKET [lock] [versions]    rb BUCKET (with all that is in it)    buckets
Objects    put BUCKET KEY FILE [HEADER: VALUE]...   get BUCKET KEY [FILE] [VERSION]   head BUCKET KEY [VERSION]
           ls BUCKET [PREFIX]   ll BUCKET [PREFIX] (size, class, etag, key)   rm BUCKET KEY [VERSION]
           clear BUCKET [PREFIX] (versions, markers and uploads, too)   copy BUCKET KEY NEWKEY [HEADER: VALUE]...
Damage     flip BUCKET KEY OFFSET (one bit)   cut BUCKET KEY SIZE
Versions   versions BUCKET [PREFIX] (version, latest|old|marker|oldmarker, size, key)
Uploads    uploads BUCKET (upload, key)   begin BUCKET KEY (prints the upload)   part BUCKET KEY UPLOAD NUMBER FILE
           parts BUCKET KEY UPLOAD (number, size, etag)   abort BUCKET KEY UPLOAD
Settings   lifecycle|policy|tag|lock|versioning BUCKET [KEY] [= FILE|-|off]   (without '=': print it)
           allow BUCKET USER ACTION...   (s3:GetObject ..., as the bucket's policy; each further call adds a statement)
           retention|hold BUCKET KEY [= FILE]
Cold       thaw BUCKET KEY DAYS
Anything   raw METHOD /PATH?QUERY [FILE [HEADER: VALUE]...]    prints status, headers, an empty line and the body
           presign BUCKET KEY [SECONDS]

FILE may be '-'. The server is that of S3_ENDPOINT (with --tls S3_ENDPOINT_TLS, verified by S3_CA), the keys are
S3_KEY and S3_SECRET, with --user NAME S3_NAME_KEY and S3_NAME_SECRET, the region S3_REGION.
Exit code 0, 1 (one line "403 AccessDenied ..." on stderr) or 2 (wrong call)."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import ssl
import sys
import urllib.parse
import xml.etree.ElementTree as etree


class Refused(Exception):
    """The server answered with an error; the text is its status, code and message."""


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name, default=''):
        return next((v for n, v in self.headers if n.lower() == name), default)

    def find_all(self, name):
        """Elements of that name, whatever their namespace."""
        return [e for e in etree.fromstring(self.body).iter() if e.tag.split('}')[-1] == name]

    def text(self, name, default=''):
        found = self.find_all(name)
        return (found[0].text or '') if found else default


def child(element, name, default=''):
    return next((e.text or '' for e in element if e.tag.split('}')[-1] == name), default)


def quote(text, safe='-_.~'):
    return urllib.parse.quote(text, safe=safe)


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


class Client:
    def __init__(self, endpoint, key, secret, region, ca=None):
        self.url = urllib.parse.urlsplit(endpoint)
        self.key, self.secret, self.region, self.ca = key, secret, region, ca

    def scope(self, day):
        return f'{day}/{self.region}/s3/aws4_request'

    def signature(self, now, request):
        mac = ('AWS4' + self.secret).encode()
        for word in (now[:8], self.region, 's3', 'aws4_request'):
            mac = hmac.new(mac, word.encode(), 'sha256').digest()
        text = '\n'.join(('AWS4-HMAC-SHA256', now, self.scope(now[:8]), hash_of(request.encode())))
        return hmac.new(mac, text.encode(), 'sha256').hexdigest()

    def connect(self):
        if self.url.scheme == 'http':
            return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=120)
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=120, context=context)

    def sign(self, method, path, query, headers, body):
        """Sets the headers of a signed request; what is signed is everything we send."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        headers.update({'host': self.url.netloc, 'x-amz-date': now, 'x-amz-content-sha256': hash_of(body)})
        names = ';'.join(sorted(headers))
        lines = ''.join(f'{n}:{" ".join(headers[n].split())}\n' for n in sorted(headers))
        request = '\n'.join((method, path, query, lines, names, headers['x-amz-content-sha256']))
        headers['authorization'] = (f'AWS4-HMAC-SHA256 Credential={self.key}/{self.scope(now[:8])}, '
                                    f'SignedHeaders={names}, Signature={self.signature(now, request)}')

    def ask(self, method, path, query=(), headers=(), body=b'', refuse=True):
        """One request. PATH is plain text, QUERY pairs of plain text."""
        path = quote(path, '/-_.~')
        query = '&'.join(f'{quote(k)}={quote(v)}' for k, v in sorted(query))
        headers = {n.lower(): v for n, v in dict(headers).items()}
        self.sign(method, path, query, headers, body)
        connection = self.connect()
        connection.request(method, path + ('?' + query if query else ''), body or None, headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.getheaders(), answer.read())
        connection.close()
        # an upload can fail after its 200 was sent: then the body is an error
        if refuse and (reply.status >= 300 or (method in ('POST', 'PUT') and b'<Error>' in reply.body)):
            code = re.search(rb'<Code>([^<]*)', reply.body)
            message = re.search(rb'<Message>([^<]*)', reply.body)
            words = [str(reply.status)] + [m.group(1).decode() for m in (code, message) if m]
            raise Refused(' '.join(words))
        return reply

    def presign(self, method, path, seconds):
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        query = {'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': f'{self.key}/{self.scope(now[:8])}',
                 'X-Amz-Date': now, 'X-Amz-Expires': str(seconds), 'X-Amz-SignedHeaders': 'host'}
        text = '&'.join(f'{quote(k)}={quote(v)}' for k, v in sorted(query.items()))
        path = quote(path, '/-_.~')
        request = f'{method}\n{path}\n{text}\nhost:{self.url.netloc}\n\nhost\nUNSIGNED-PAYLOAD'
        return f'{self.url.geturl()}{path}?{text}&X-Amz-Signature={self.signature(now, request)}'


def pages(client, path, query, element, marks):
    """All ELEMENTs (a tuple of names) of a listing; MARKS: query name of the next page -> where its value stands."""
    query = dict(query)
    while True:
        reply = client.ask('GET', path, query.items())
        for item in etree.fromstring(reply.body):
            if item.tag.split('}')[-1] in element:
                yield item
        if reply.text('IsTruncated') != 'true':
            return
        query.update({name: reply.text(source) for name, source in marks.items()})


def objects(client, bucket, prefix=''):
    return pages(client, '/' + bucket, {'list-type': '2', 'prefix': prefix}, ('Contents',),
                 {'continuation-token': 'NextContinuationToken'})


def all_versions(client, bucket, prefix=''):
    return pages(client, '/' + bucket, {'versions': '', 'prefix': prefix}, ('Version', 'DeleteMarker'),
                 {'key-marker': 'NextKeyMarker', 'version-id-marker': 'NextVersionIdMarker'})


def all_uploads(client, bucket, prefix=''):
    return pages(client, '/' + bucket, {'uploads': '', 'prefix': prefix}, ('Upload',),
                 {'key-marker': 'NextKeyMarker', 'upload-id-marker': 'NextUploadIdMarker'})


def read_file(name):
    if name == '-':
        return sys.stdin.buffer.read()
    with open(name, 'rb') as file:
        return file.read()


def write_file(name, data):
    if name == '-':
        sys.stdout.buffer.write(data)
    else:
        with open(name, 'wb') as file:
            file.write(data)


def pairs(headers):
    return dict(h.split(': ', 1) for h in headers)


def digest(body):
    return {'content-md5': base64.b64encode(hashlib.md5(body).digest()).decode()}


def mb(client, bucket, *ways):
    client.ask('PUT', '/' + bucket, headers={'x-amz-bucket-object-lock-enabled': 'true'} if 'lock' in ways else ())
    if 'versions' in ways:
        body = b'<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
        client.ask('PUT', '/' + bucket, [('versioning', '')], digest(body), body)


def buckets(client):
    for item in client.ask('GET', '/').find_all('Bucket'):
        print(child(item, 'Name'))


def rb(client, bucket):
    clear(client, bucket)
    client.ask('DELETE', '/' + bucket)


def put(client, bucket, key, name, *headers):
    client.ask('PUT', f'/{bucket}/{key}', headers=pairs(headers), body=read_file(name))


def get(client, bucket, key, name='-', version=None):
    write_file(name, client.ask('GET', f'/{bucket}/{key}', [('versionId', version)] if version else ()).body)


def head(client, bucket, key, version=None):
    reply = client.ask('HEAD', f'/{bucket}/{key}', [('versionId', version)] if version else ())
    for name, value in reply.headers:
        print(f'{name.lower()}: {value}')


def ls(client, bucket, prefix=''):
    for item in objects(client, bucket, prefix):
        print(child(item, 'Key'))


def ll(client, bucket, prefix=''):
    for item in objects(client, bucket, prefix):
        print(child(item, 'Size'), child(item, 'StorageClass', 'STANDARD'), child(item, 'ETag').strip('"'),
              child(item, 'Key'), sep='\t')


def rm(client, bucket, key, version=None):
    client.ask('DELETE', f'/{bucket}/{key}', [('versionId', version)] if version else ())


def clear(client, bucket, prefix=''):
    bypass = {'x-amz-bypass-governance-retention': 'true'}
    for item in list(all_uploads(client, bucket, prefix)):
        abort(client, bucket, child(item, 'Key'), child(item, 'UploadId'))
    try:
        found = list(all_versions(client, bucket, prefix))
    except Refused:
        found = list(objects(client, bucket, prefix))  # a server without versions
    for item in found:
        version = child(item, 'VersionId')
        client.ask('DELETE', f'/{bucket}/{child(item, "Key")}', [('versionId', version)] if version else (), bypass)


def copy(client, bucket, key, new, *headers):
    source = {'x-amz-copy-source': quote(f'/{bucket}/{key}', '/-_.~')}
    client.ask('PUT', f'/{bucket}/{new}', headers={**source, **pairs(headers)})


def flip(client, bucket, key, offset):
    data = bytearray(client.ask('GET', f'/{bucket}/{key}').body)
    data[int(offset)] ^= 1
    client.ask('PUT', f'/{bucket}/{key}', body=bytes(data))


def cut(client, bucket, key, size):
    data = client.ask('GET', f'/{bucket}/{key}').body
    client.ask('PUT', f'/{bucket}/{key}', body=data[:int(size)])


def versions(client, bucket, prefix=''):
    for item in all_versions(client, bucket, prefix):
        latest = child(item, 'IsLatest') == 'true'
        if item.tag.endswith('DeleteMarker'):
            what = 'marker' if latest else 'oldmarker'
        else:
            what = 'latest' if latest else 'old'
        print(child(item, 'VersionId'), what, child(item, 'Size', '0'), child(item, 'Key'), sep='\t')


def uploads(client, bucket, prefix=''):
    for item in all_uploads(client, bucket, prefix):
        print(child(item, 'UploadId'), child(item, 'Key'), sep='\t')


def begin(client, bucket, key):
    print(client.ask('POST', f'/{bucket}/{key}', [('uploads', '')]).text('UploadId'))


def part(client, bucket, key, upload, number, name):
    client.ask('PUT', f'/{bucket}/{key}', [('uploadId', upload), ('partNumber', number)], body=read_file(name))


def parts(client, bucket, key, upload):
    for item in pages(client, f'/{bucket}/{key}', {'uploadId': upload}, ('Part',),
                      {'part-number-marker': 'NextPartNumberMarker'}):
        print(child(item, 'PartNumber'), child(item, 'Size'), child(item, 'ETag').strip('"'), sep='\t')


def abort(client, bucket, key, upload):
    client.ask('DELETE', f'/{bucket}/{key}', [('uploadId', upload)])


def setting(name):
    """A command that prints, sets (= FILE) or removes (= off) what stands under ?NAME."""
    def run(client, bucket, *rest):
        rest = list(rest)
        path = f'/{bucket}' + (f'/{rest.pop(0)}' if rest and rest[0] != '=' else '')
        if not rest:
            write_file('-', client.ask('GET', path, [(name, '')]).body + b'\n')
        elif rest[1] == 'off':
            client.ask('DELETE', path, [(name, '')])
        else:
            body = read_file(rest[1])
            client.ask('PUT', path, [(name, '')], digest(body), body)
    return run


def allow(client, bucket, user, *actions):
    try:
        policy = json.loads(client.ask('GET', '/' + bucket, [('policy', '')]).body)
    except Refused:
        policy = {'Version': '2012-10-17', 'Statement': []}
    arn = 'arn:aws:s3:::' + bucket
    policy['Statement'].append({'Effect': 'Allow', 'Principal': {'AWS': ['arn:aws:iam:::user/' + user]},
                                'Action': list(actions), 'Resource': [arn, arn + '/*']})
    body = json.dumps(policy).encode()
    client.ask('PUT', '/' + bucket, [('policy', '')], digest(body), body)


def thaw(client, bucket, key, days):
    body = f'<RestoreRequest><Days>{int(days)}</Days></RestoreRequest>'.encode()
    client.ask('POST', f'/{bucket}/{key}', [('restore', '')], digest(body), body)


def raw(client, method, target, name=None, *headers):
    path, _, query = target.partition('?')
    reply = client.ask(method, urllib.parse.unquote(path), urllib.parse.parse_qsl(query, keep_blank_values=True),
                       pairs(headers), read_file(name) if name else b'', refuse=False)
    print(reply.status)
    for header in reply.headers:
        print('%s: %s' % (header[0].lower(), header[1]))
    print(flush=True)
    write_file('-', reply.body)


def presign(client, bucket, key, seconds='600'):
    print(client.presign('GET', f'/{bucket}/{key}', int(seconds)))


COMMANDS = {f.__name__: f for f in (mb, rb, buckets, put, get, head, ls, ll, rm, clear, copy, flip, cut, versions,
                                    uploads, begin, part, parts, abort, allow, thaw, raw, presign)}
COMMANDS.update({'lifecycle': setting('lifecycle'), 'policy': setting('policy'), 'tag': setting('tagging'),
                 'lock': setting('object-lock'), 'versioning': setting('versioning'),
                 'retention': setting('retention'), 'hold': setting('legal-hold')})


def main(words):
    prefix, endpoint, ca = 'S3', os.environ.get('S3_ENDPOINT'), None
    while words and words[0].startswith('--'):
        word = words.pop(0)
        if word == '--user':
            prefix = 'S3_' + words.pop(0).upper()
        elif word == '--endpoint':
            endpoint = words.pop(0)
        elif word == '--tls':
            endpoint = os.environ['S3_ENDPOINT_TLS']
        else:
            words = []
    if not words or words[0] not in COMMANDS or not endpoint:
        sys.exit(__doc__ if endpoint else 's3.py: S3_ENDPOINT is not set')
    client = Client(endpoint, os.environ[prefix + '_KEY'], os.environ[prefix + '_SECRET'],
                    os.environ.get('S3_REGION', 'us-east-1'), os.environ.get('S3_CA'))
    try:
        COMMANDS[words[0]](client, *words[1:])
    except TypeError as error:
        print(f's3.py: {words[0]}: {error}', file=sys.stderr)
        return 2
    except (Refused, OSError, http.client.HTTPException, etree.ParseError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
