-- SPDX-License-Identifier: PostgreSQL
--
-- Volume, for measuring: tables whose dump as text is about `mib` MiB and compresses three to
-- four times with zstd -3. The same bytes at each load on one major version.
--
--     psql -X -v ON_ERROR_STOP=1 -v mib=1024 -d DATABASE -f tests/data/bulk.sql
--
-- Into an empty database, as any user who may create tables there. Shares of the volume:
--   event_log 44 %  lines of a web service      reading  20 %  times and numbers
--   document  20 %  JSON of about 1.3 KiB        digest   11 %  hexadecimal
--   photo      3 %  wide values                  one_percent, account 1 % each; eight small ones

\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
SET timezone = 'UTC';
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 0;
SET maintenance_work_mem = '256MB';
-- rows a MiB of dump text holds, times the share
SELECT ceil(:mib * 2441) AS event_log, ceil(:mib * 149) AS document, ceil(:mib * 4300) AS reading, ceil(:mib * 1580) AS digest,
       ceil(:mib * 0.33) AS photo, ceil(:mib * 118) AS one_percent, ceil(:mib * 161) AS account \gset

SELECT setseed(0.25) \g /dev/null
CREATE TABLE account (
    id int PRIMARY KEY,
    name text NOT NULL,
    mail text NOT NULL UNIQUE,
    since date NOT NULL,
    balance numeric(12,2) NOT NULL
);
INSERT INTO account
SELECT n, initcap(w[1 + (random() * 7)::int]) || ' ' || initcap(w[1 + (random() * 7)::int]) || '-' || n % 1000,
       w[1 + (random() * 7)::int] || n || '@' || w[1 + (random() * 7)::int] || '.example.net',
       date '2015-01-01' + (random() * 3000)::int, round((random() * 10000)::numeric, 2)
FROM generate_series(1, :account) n, (VALUES (ARRAY['alder', 'birch', 'cedar', 'elm', 'fir', 'hazel', 'larch', 'maple'])) v (w);

CREATE TABLE event_log (id bigint NOT NULL, at timestamptz NOT NULL, host text NOT NULL, line text NOT NULL);
INSERT INTO event_log
SELECT n, timestamptz '2024-01-01' + n * interval '0.173 s' + random() * interval '0.1 s', host[1 + (random() * 5)::int],
       level[1 + (random() * random() * 3)::int] || ' worker-' || (random() * 31)::int || ' ' || method[1 + (random() * 3)::int]
       || ' /api/v2/' || noun[1 + (random() * 7)::int] || '/' || (random() * 2000000)::int || '/' || noun[1 + (random() * 7)::int]
       || ' status=' || code[1 + (random() * random() * 5)::int] || ' bytes=' || (random() * random() * 90000)::int
       || ' user=' || (random() * 50000)::int || ' ms=' || (random() * random() * 3000)::int
       || ' trace=' || to_hex((random() * 2147483647)::int) || ' msg="' || said[1 + (random() * 6)::int] || ' ' || noun[1 + (random() * 7)::int] || '"'
FROM generate_series(1, :event_log) n,
     (VALUES (ARRAY['INFO ', 'DEBUG', 'WARN ', 'ERROR'], ARRAY['GET', 'POST', 'PUT', 'DELETE'], ARRAY['200', '201', '304', '404', '409', '503'],
              ARRAY['orders', 'carts', 'baskets', 'tickets', 'invoices', 'messages', 'profiles', 'search'],
              ARRAY['web-01', 'web-02', 'web-03', 'app-01', 'app-02', 'batch-01'],
              ARRAY['request done for', 'cache miss, loading', 'retrying after a time-out of', 'permission denied on', 'slow query while reading',
                    'connection closed by peer, gave up', 'queued for later:'])) v (level, method, code, noun, host, said);

CREATE TABLE document (id int NOT NULL, account_id int NOT NULL, body jsonb NOT NULL);
INSERT INTO document
SELECT n, 1 + (random() * (:account - 1))::int,
       ('{"kind": "' || kind[1 + (random() * 4)::int] || '", "no": ' || n || ', "open": ' || (random() < 0.3) || ', "note": "' || note || '", "lines": [' || lines || ']}')::jsonb
FROM generate_series(1, :document) n, (VALUES (ARRAY['invoice', 'offer', 'order', 'reminder', 'receipt'])) v (kind),
     LATERAL (SELECT string_agg('{"sku": "' || to_hex((random() * 16777215)::int) || '", "qty": ' || (random() * 20)::int || ', "price": '
                  || (random() * 90000)::int / 100.0 || ', "vat": 19, "text": "' || w[1 + (random() * 7)::int] || ' ' || w[1 + (random() * 7)::int] || '"}', ', ') AS lines,
                  string_agg(w[1 + (random() * 7)::int] || ' ' || w[1 + (random() * 7)::int], ', ') AS note
              FROM generate_series(1, 9 + n % 4),
                   (VALUES (ARRAY['screw, galvanised', 'board of oak', 'hoop', 'paint', 'delivery by van', 'brush 40 mm', 'linseed oil', 'cork'])) v (w)) l;

CREATE TABLE reading (sensor int NOT NULL, at timestamp NOT NULL, value float8 NOT NULL, low real NOT NULL, total bigint NOT NULL, state smallint NOT NULL);
INSERT INTO reading
SELECT n % 500, timestamp '2024-01-01' + n / 500 * interval '10 s', round((20 + 5 * sin(n / 90000.0) + random())::numeric, 5)::float8,
       round((random() * 10)::numeric, 2)::real, n * 17 + (random() * 16)::int, (random() * random() * 4)::int
FROM generate_series(1, :reading) n;

CREATE TABLE digest (id int NOT NULL, sha bytea NOT NULL);
INSERT INTO digest SELECT n, sha256(int8send((random() * 1e15)::bigint)) FROM generate_series(1, :digest) n;

CREATE TABLE photo (id int PRIMARY KEY, title text NOT NULL, pixels text NOT NULL);
ALTER TABLE photo ALTER pixels SET STORAGE EXTERNAL;
INSERT INTO photo
SELECT n, 'photo ' || n, (SELECT string_agg(md5((n * 10000 + k / 2)::text), '') FROM generate_series(1, 3000) k)
FROM generate_series(1, :photo) n;

-- the table that is restored alone: with all that hangs on one
CREATE TABLE one_percent (
    id serial PRIMARY KEY,
    account_id int NOT NULL REFERENCES account,
    no bigint GENERATED BY DEFAULT AS IDENTITY,
    word text NOT NULL DEFAULT 'none',
    amount numeric(10,2) CHECK (amount >= 0),
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO one_percent (account_id, word, amount, changed_at)
SELECT 1 + (random() * (:account - 1))::int, left(md5(random()::text), 16) || ' of one hundred; row ' || n, round((random() * 9999)::numeric, 2),
       timestamptz '2024-06-01' + n * interval '7.3 s'
FROM generate_series(1, :one_percent) n;
CREATE INDEX one_percent_by_word ON one_percent (word, amount);
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed_at := now(); RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE ON one_percent FOR EACH ROW EXECUTE FUNCTION stamp_change();
COMMENT ON TABLE one_percent IS 'one hundredth of the volume';

SELECT format('CREATE TABLE small_%s AS SELECT n AS id, md5(n::text) AS word FROM generate_series(1, %s) n', k, k * k * 40)
FROM generate_series(1, 8) k \gexec

ALTER TABLE event_log ADD PRIMARY KEY (id);
ALTER TABLE document ADD PRIMARY KEY (id);
ALTER TABLE digest ADD PRIMARY KEY (id);
CREATE INDEX reading_by_time ON reading USING brin (at);
CREATE INDEX document_by_account ON document (account_id);
-- so that the first dump does not pay for hint bits
VACUUM (ANALYZE);
