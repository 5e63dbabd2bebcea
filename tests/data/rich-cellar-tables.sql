-- SPDX-License-Identifier: PostgreSQL
--
-- The oddly named database of rich.sql, second part: every kind of table, with rows.

CREATE TABLE cask (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 500 INCREMENT BY 5 MAXVALUE 99999999 CACHE 3) PRIMARY KEY,
    old_no serial UNIQUE,
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    "Name ""in quotes""" text COLLATE no_case NOT NULL DEFAULT E'no\\name',
    wood wood DEFAULT 'oak',
    dropped_early text,
    volume litres,
    price numeric(12,2) CHECK (price > 0),
    net numeric GENERATED ALWAYS AS (round(price / 1.19, 4)) STORED,
    label tsvector GENERATED ALWAYS AS (to_tsvector('wine', coalesce(note, ''))) STORED,
    note text,
    parent bigint REFERENCES cask (id) ON DELETE SET NULL,
    tags extras.hstore,
    shelf extras.ltree,
    hoops hoop[],
    data jsonb,
    dropped_late int,
    CONSTRAINT "all or nothing!" CHECK ((tags IS NULL) = (shelf IS NULL)) NO INHERIT
) WITH (fillfactor = 73, autovacuum_vacuum_scale_factor = 0.33, toast.autovacuum_enabled = false);
ALTER TABLE cask DROP COLUMN dropped_early, DROP COLUMN dropped_late;
ALTER TABLE cask ALTER note SET STORAGE EXTERNAL, ALTER note SET STATISTICS 777, ALTER price SET (n_distinct = -0.5);
INSERT INTO cask (uid, "Name ""in quotes""", wood, volume, price, note, tags, shelf, hoops, data)
SELECT md5('cask ' || n)::uuid, 'Fass ' || n || CASE n % 6 WHEN 0 THEN E' \\ \t.' WHEN 1 THEN ' 樽' WHEN 2 THEN ' "' ELSE '' END,
       (enum_range(NULL::wood))[1 + n % 6], 100 + n, n * 1.37, repeat('tannin and oak ', n % 200),
       'a=>1'::extras.hstore || extras.hstore('n', n::text), ('s' || n % 9 || '.r' || n % 4)::extras.ltree,
       ARRAY[ROW(n % 50, 'iron', date '2000-01-01' + n)::hoop], jsonb_build_object('n', n, 'f', n / 7.0, 'ü', ARRAY[n, NULL])
FROM generate_series(1, 900) n;
UPDATE cask SET parent = id - 5 WHERE id % 7 = 0 AND id > 500;
DELETE FROM cask WHERE id % 11 = 0 AND NOT EXISTS (SELECT FROM cask c WHERE c.parent = cask.id);
CREATE INDEX "by ""name""" ON cask (lower("Name ""in quotes""") DESC, (price * 2) NULLS FIRST) WHERE price > 10;
CREATE INDEX ON cask USING gin (data jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX ON cask USING gist (shelf);
CREATE INDEX ON cask USING gist (note gist_trgm_ops (siglen = 32));
CREATE INDEX ON cask USING brin (id int8_minmax_ops) WITH (pages_per_range = 8);
CREATE INDEX ON cask USING hash (uid);
CREATE INDEX ON cask USING bloom (old_no) WITH (length = 48);
CREATE INDEX ON cask USING spgist (note);
CREATE INDEX ON cask (old_no by_size_int) INCLUDE (price, volume);
CREATE UNIQUE INDEX cask_uid ON cask (uid);
ALTER TABLE cask REPLICA IDENTITY USING INDEX cask_uid;
CREATE STATISTICS "Keller 1"."Statistik" (ndistinct, dependencies, mcv) ON wood, volume, price FROM cask;
ALTER STATISTICS "Keller 1"."Statistik" SET STATISTICS 300;
COMMENT ON STATISTICS "Keller 1"."Statistik" IS 'goes together';
COMMENT ON COLUMN cask."Name ""in quotes""" IS E'''quoted'' and \\ and\na second line';
COMMENT ON CONSTRAINT "all or nothing!" ON cask IS 'both';
\if :v14
CREATE STATISTICS on_expression ON (price * 2), lower(note) FROM cask;
SELECT 'lz4' = ANY (enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression' \gset
\if :lz4
ALTER TABLE cask ALTER data SET COMPRESSION lz4;
\endif
\endif

-- partitions: list of ranges of hashes, a default at each, one attached with another column order
CREATE TABLE "Keller 1".vintage (region text, year int NOT NULL, no int NOT NULL, taste text DEFAULT 'dry', PRIMARY KEY (region, year, no))
    PARTITION BY LIST (region);
CREATE TABLE "Keller 1".vintage_rhein PARTITION OF "Keller 1".vintage FOR VALUES IN ('Rheingau', 'Pfälzer "Wald"') PARTITION BY RANGE (year, no);
CREATE TABLE "Keller 1".vintage_rhein_old PARTITION OF "Keller 1".vintage_rhein
    FOR VALUES FROM (MINVALUE, MINVALUE) TO (2000, 0) PARTITION BY HASH (no);
CREATE TABLE "Keller 1".vintage_rhein_old_0 PARTITION OF "Keller 1".vintage_rhein_old FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE "Keller 1".vintage_rhein_old_1 PARTITION OF "Keller 1".vintage_rhein_old FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE "Keller 1".vintage_rhein_old_2 PARTITION OF "Keller 1".vintage_rhein_old FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE "Keller 1".vintage_rhein_new PARTITION OF "Keller 1".vintage_rhein (taste DEFAULT 'new, dry') DEFAULT;
CREATE TABLE public.vintage_mosel (gone int, taste text DEFAULT 'sweet', no int NOT NULL, region text NOT NULL, year int NOT NULL,
    CONSTRAINT mosel_pk PRIMARY KEY (no, region, year));
ALTER TABLE public.vintage_mosel DROP COLUMN gone, DROP CONSTRAINT mosel_pk;
ALTER TABLE "Keller 1".vintage ATTACH PARTITION public.vintage_mosel FOR VALUES IN ('Mosel', NULL);
CREATE TABLE "Keller 1".vintage_other PARTITION OF "Keller 1".vintage DEFAULT;
CREATE INDEX vintage_taste ON "Keller 1".vintage (taste text_pattern_ops);
CREATE INDEX only_here ON "Keller 1".vintage_other (no);
INSERT INTO "Keller 1".vintage (region, year, no)
SELECT (ARRAY['Rheingau', 'Pfälzer "Wald"', 'Mosel', 'Douro', ''])[1 + n % 5], 1980 + n % 45, n FROM generate_series(1, 6000) n;
CREATE TABLE tasting (id int PRIMARY KEY, region text, year int, no int,
    FOREIGN KEY (region, year, no) REFERENCES "Keller 1".vintage MATCH FULL ON UPDATE CASCADE);
INSERT INTO tasting SELECT no, region, year, no FROM "Keller 1".vintage WHERE no % 10 = 0;
INSERT INTO tasting VALUES (-1, NULL, NULL, NULL);

-- inheritance, from two parents, with a constraint of its own
CREATE TABLE vessel (id int, made date DEFAULT '1999-12-31', CHECK (id > 0));
CREATE TABLE sealed (seal text NOT NULL);
CREATE TABLE bottle (vol int DEFAULT 75, CHECK (vol > 0) NO INHERIT) INHERITS (vessel, sealed);
ALTER TABLE bottle ALTER made SET DEFAULT '2001-01-01';
INSERT INTO vessel VALUES (1), (2);
INSERT INTO bottle (id, seal) SELECT n, 'cork' FROM generate_series(1, 60) n;
CREATE TABLE hoop_list OF hoop (width_mm PRIMARY KEY, metal WITH OPTIONS DEFAULT 'iron');
INSERT INTO hoop_list VALUES (1), (2);

-- foreign keys in a circle: checked at commit, at once, and not valid
CREATE TABLE hen (id int PRIMARY KEY, egg int);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE hen ADD CONSTRAINT hen_from_egg FOREIGN KEY (egg) REFERENCES egg ON DELETE CASCADE DEFERRABLE;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO hen SELECT n, n FROM generate_series(1, 30) n;
INSERT INTO egg SELECT n, 31 - n FROM generate_series(1, 30) n;
COMMIT;
CREATE TABLE husband (id int PRIMARY KEY, wife int);
CREATE TABLE wife (id int PRIMARY KEY, husband int REFERENCES husband);
INSERT INTO husband SELECT n FROM generate_series(1, 5) n;
INSERT INTO wife SELECT n, n FROM generate_series(1, 5) n;
UPDATE husband SET wife = id;
ALTER TABLE husband ADD FOREIGN KEY (wife) REFERENCES wife;
INSERT INTO egg VALUES (99, NULL);
CREATE TABLE broken_rules (a int, b int);
INSERT INTO broken_rules VALUES (-1, 12345);
ALTER TABLE broken_rules ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
ALTER TABLE broken_rules ADD CONSTRAINT known FOREIGN KEY (b) REFERENCES egg NOT VALID;
CREATE TABLE booking (room int, during tstzrange, active bool,
    CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (active) DEFERRABLE);
INSERT INTO booking VALUES (1, '[2024-01-01 00:00+00,2024-01-02 00:00+00)', true), (1, '[2024-01-01 00:00+00,)', false);
CREATE TABLE deferrable_key (a int UNIQUE DEFERRABLE INITIALLY DEFERRED, b text);

-- wide values: external, compressed, many of them
CREATE TABLE wide (id int PRIMARY KEY, plain text, packed text, raw bytea);
ALTER TABLE wide ALTER plain SET STORAGE EXTERNAL, ALTER packed SET STORAGE MAIN;
INSERT INTO wide
SELECT n, repeat(chr(64 + n), 150000), repeat('packed ' || n, 30000),
       decode((SELECT string_agg(md5((n * 5000 + k)::text), '') FROM generate_series(1, 4000) k), 'hex')
FROM generate_series(1, 25) n;
SELECT lo_from_bytea(881001, decode(repeat('0a5c00ff', 600000), 'hex'));
SELECT lo_from_bytea(881002, '');
ALTER LARGE OBJECT 881002 OWNER TO cellarman;
GRANT SELECT, UPDATE ON LARGE OBJECT 881001 TO auditor;
COMMENT ON LARGE OBJECT 881001 IS 'two megabytes';

-- names
CREATE TABLE "drop.me; --"."select" ("from" int, "a.b" int, "new
line" int, " " int, "%s$1\" int, "tab	bed" int, "ÄÖ''ß" int DEFAULT 7, "🐘" int);
INSERT INTO "drop.me; --"."select" SELECT n, n, n, n, n, n, n, n FROM generate_series(1, 100) n;
COMMENT ON COLUMN "drop.me; --"."select"."new
line" IS 'a column over two lines';
CREATE TABLE "sp.ec*ial?|(x)[a-z]+$" (a int PRIMARY KEY);
CREATE TABLE "Wide" (a int);
CREATE TABLE "WIDE" (a int);
CREATE TABLE "Keller 1".wide (a int);
CREATE TABLE "two
lines -- not a comment" (a int);
CREATE TABLE "sehr_langer_name_mit_genau_dreiundsechzig_bytes_äöü_aaaaaaaaa" ("Spalte_mit_genau_dreiundsechzig_bytes_äöü_bbbbbbbbbbbbbbbbbbbb" serial PRIMARY KEY);
INSERT INTO "sp.ec*ial?|(x)[a-z]+$" SELECT generate_series(1, 10);
INSERT INTO "Wide" VALUES (1);
INSERT INTO "WIDE" VALUES (2);
INSERT INTO "Keller 1".wide VALUES (3);
INSERT INTO "two
lines -- not a comment" VALUES (4);
INSERT INTO "sehr_langer_name_mit_genau_dreiundsechzig_bytes_äöü_aaaaaaaaa" DEFAULT VALUES;

-- without columns, without rows, without log
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE no_rows (a int PRIMARY KEY, b text DEFAULT 'x');
CREATE UNLOGGED TABLE no_log (a int GENERATED BY DEFAULT AS IDENTITY, b text);
INSERT INTO no_log (b) SELECT 'row ' || n FROM generate_series(1, 40) n;
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
COMMENT ON ACCESS METHOD heap2 IS 'the same again';
CREATE TABLE other_method (a int) USING heap2;
INSERT INTO other_method VALUES (1);

-- what later servers can do
\if :v15
CREATE UNLOGGED SEQUENCE no_log_seq;
CREATE TABLE null_once (a int, b int, UNIQUE NULLS NOT DISTINCT (a));
CREATE TABLE set_one (a int REFERENCES no_rows, b int, FOREIGN KEY (b) REFERENCES no_rows ON DELETE SET NULL (b));
INSERT INTO null_once VALUES (NULL, 1), (1, 2);
\endif
\if :v17
CREATE TABLE counted (id bigint GENERATED ALWAYS AS IDENTITY, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE counted_1 PARTITION OF counted FOR VALUES FROM (1) TO (10);
INSERT INTO counted (k) VALUES (1), (2);
\endif
\if :v18
CREATE TABLE lately (a int CONSTRAINT a_is_there NOT NULL, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, valid daterange,
    CONSTRAINT lately_pk PRIMARY KEY (a, valid WITHOUT OVERLAPS), CONSTRAINT soft CHECK (a < 100) NOT ENFORCED);
INSERT INTO lately VALUES (1, DEFAULT, '[2024-01-01,2025-01-01)');
ALTER TABLE lately ADD c int, ADD CONSTRAINT c_is_there NOT NULL c NOT VALID;
\endif

COMMENT ON TABLE cask IS 'the "good" ones';
COMMENT ON INDEX "by ""name""" IS 'partial';
ALTER TABLE cask OWNER TO "Küfer & Söhne";
ALTER TABLE "Keller 1".vintage OWNER TO cellarman;
GRANT SELECT, REFERENCES ON cask TO cellarman WITH GRANT OPTION;
GRANT SELECT (id, "Name ""in quotes"""), INSERT (note), UPDATE (price) ON cask TO auditor;
REVOKE ALL ON every_type FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA "drop.me; --" TO PUBLIC;
REVOKE ALL ON hen FROM postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE "Küfer & Söhne" IN SCHEMA "Keller 1" GRANT SELECT, INSERT ON TABLES TO cellarman;
ALTER DEFAULT PRIVILEGES FOR ROLE "Küfer & Söhne" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE cellarman GRANT USAGE ON SEQUENCES TO auditor WITH GRANT OPTION;
