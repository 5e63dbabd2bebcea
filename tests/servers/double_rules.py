# SPDX-License-Identifier: PostgreSQL
"""Ready rules of http-double.py: where programs in a cloud get their credentials from.

imds        the metadata service of a virtual machine, version 2: a session token (PUT), then a role, then its keys
container   GET /v2/credentials/ID of a container, with Authorization: double-token
sts         AssumeRole and AssumeRoleWithWebIdentity (POST or GET /), the web token being double-web-token"""
import datetime

SESSION = 'double-session-token=='
ROLE = 'double-role'
CONTAINER_TOKEN = 'double-token'
WEB_TOKEN = 'double-web-token'


def iso_time(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%SZ')


def keys(given):
    return {'AccessKeyId': given.get('key', 'DOUBLEKEY00000000000'),
            'SecretAccessKey': given.get('secret', 'double/secret+'),
            'Token': given.get('token', 'double-token/of+session=='),
            'Expiration': f'@now+{given.get("seconds", 3600)}@'}


def imds(given):
    base = '^/latest/meta-data/iam/security-credentials'
    session = {'x-aws-ec2-metadata-token': f'^{SESSION}$'}
    return [
        {'name': 'imds token', 'method': 'PUT', 'path': '^/latest/api/token$', 'body': SESSION,
         'with': {'x-aws-ec2-metadata-token-ttl-seconds': '^[0-9]+$'}, 'without': ['x-forwarded-for'],
         'headers': {'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': '21600'}},
        {'name': 'imds token without ttl', 'path': '^/latest/api/token$', 'status': 400},
        {'name': 'imds role', 'method': 'GET', 'path': base + '/?$', 'with': session, 'body': ROLE},
        {'name': 'imds keys', 'method': 'GET', 'path': f'{base}/{ROLE}$', 'with': session,
         'json': {'Code': 'Success', 'LastUpdated': '@now-60@', 'Type': 'AWS-HMAC', **keys(given)}},
        {'name': 'imds unauthorized', 'path': '^/latest/', 'without': ['x-aws-ec2-metadata-token'], 'status': 401},
        {'name': 'imds not found', 'path': '^/latest/', 'status': 404}]


def container(given):
    path = '^/v2/credentials/'
    return [
        {'name': 'container keys', 'method': 'GET', 'path': path, 'with': {'authorization': f'^{CONTAINER_TOKEN}$'},
         'json': {'RoleArn': f'arn:aws:iam::123456789012:role/{ROLE}', **keys(given)}},
        {'name': 'container refused', 'path': path, 'status': 401, 'json': {'code': 'Unauthorized', 'message': 'no'}}]


def sts_body(action, given):
    key = keys(given)
    return (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>'
            f'<Arn>arn:aws:sts::123456789012:assumed-role/{ROLE}/double</Arn><AssumedRoleId>AROA:double</AssumedRoleId>'
            f'</AssumedRoleUser><Credentials><AccessKeyId>{key["AccessKeyId"]}</AccessKeyId>'
            f'<SecretAccessKey>{key["SecretAccessKey"]}</SecretAccessKey><SessionToken>{key["Token"]}</SessionToken>'
            f'<Expiration>{key["Expiration"]}</Expiration></Credentials></{action}Result>'
            f'<ResponseMetadata><RequestId>double</RequestId></ResponseMetadata></{action}Response>')


def sts_error(name, status, code, **match):
    return {'name': name, 'path': '^/$', 'status': status, 'headers': {'Content-Type': 'text/xml'}, **match,
            'body': f'<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>said by the double</Message>'
                    '</Error><RequestId>double</RequestId></ErrorResponse>'}


def sts(given):
    rules = []
    for action, needs in (('AssumeRoleWithWebIdentity', f'WebIdentityToken={WEB_TOKEN}'), ('AssumeRole', 'RoleArn=')):
        what = rf'(?s)(?=.*\bAction={action}(&|$))(?=.*\b{needs})'
        answer = {'name': 'sts ' + action, 'path': '^/$', 'headers': {'Content-Type': 'text/xml'},
                  'body': sts_body(action, given)}
        if action == 'AssumeRole':
            answer['with'] = {'authorization': '^AWS4-HMAC-SHA256 .*/sts/aws4_request'}
        rules += [{'method': 'POST', 'contains': what, **answer}, {'method': 'GET', 'query': what, **answer}]
    web = 'Action=AssumeRoleWithWebIdentity'
    return rules + [sts_error('sts wrong token', 400, 'InvalidIdentityToken', contains=web),
                    sts_error('sts refused', 403, 'AccessDenied', contains='Action=AssumeRole')]


READY = {'imds': imds, 'container': container, 'sts': sts}
