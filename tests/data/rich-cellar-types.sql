-- SPDX-License-Identifier: PostgreSQL
--
-- The oddly named database of rich.sql, first part: its properties, schemas, extensions,
-- types, operators, text search, sequences, and one row for every kind of value.

\connect :"cellar"
\encoding UTF8
SET client_min_messages = error;
COMMENT ON DATABASE :"cellar" IS E'a "cellar"; it''s \\ deep';
ALTER DATABASE :"cellar" SET work_mem = '7MB';
ALTER DATABASE :"cellar" SET cellar.setting TO 'a "b"';
ALTER DATABASE :"cellar" SET search_path = public, "Keller 1";
ALTER ROLE cellarman IN DATABASE :"cellar" SET lock_timeout = '3s';
GRANT CONNECT, CREATE ON DATABASE :"cellar" TO cellarman WITH GRANT OPTION;
REVOKE ALL ON DATABASE :"cellar" FROM PUBLIC;

CREATE SCHEMA "Keller 1" AUTHORIZATION "Küfer & Söhne";
CREATE SCHEMA "drop.me; --";
CREATE SCHEMA extras;
CREATE SCHEMA nothing_inside;
COMMENT ON SCHEMA "Keller 1" IS 'downstairs';
COMMENT ON SCHEMA public IS NULL;
GRANT USAGE ON SCHEMA "Keller 1" TO PUBLIC;
GRANT CREATE ON SCHEMA "drop.me; --" TO cellarman;

SET search_path = public, extras;
CREATE EXTENSION hstore SCHEMA extras;
CREATE EXTENSION citext SCHEMA extras;
CREATE EXTENSION ltree SCHEMA extras;
CREATE EXTENSION cube SCHEMA extras;
CREATE EXTENSION isn SCHEMA extras;
CREATE EXTENSION unaccent SCHEMA extras;
CREATE EXTENSION tablefunc SCHEMA extras;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
CREATE EXTENSION btree_gin;
CREATE EXTENSION intarray;
CREATE EXTENSION "uuid-ossp";
CREATE EXTENSION pgcrypto;
CREATE EXTENSION bloom;
CREATE EXTENSION postgres_fdw;
COMMENT ON EXTENSION hstore IS 'commented anew';

CREATE TYPE wood AS ENUM ('oak', 'cherry', 'Kastanie', 'it''s "other"', '栗');
ALTER TYPE wood ADD VALUE 'ash' BEFORE 'cherry';
CREATE DOMAIN litres AS numeric(9,3) DEFAULT 225 NOT NULL CONSTRAINT not_negative CHECK (VALUE >= 0);
CREATE DOMAIN bottles AS int[] CHECK (array_length(VALUE, 1) < 100);
ALTER DOMAIN litres ADD CONSTRAINT sane CHECK (VALUE < 100000) NOT VALID;
CREATE TYPE hoop AS (width_mm int, metal text COLLATE "C", made date);
CREATE TYPE stave_set AS (hoops hoop[], kind wood, volume litres);
CREATE TYPE temperature AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE TYPE later;
CREATE TYPE "Text 2";
CREATE FUNCTION text2_in(cstring) RETURNS "Text 2" LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION text2_out("Text 2") RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE "Text 2" (INPUT = text2_in, OUTPUT = text2_out, INTERNALLENGTH = VARIABLE, STORAGE = extended, DELIMITER = '|');
COMMENT ON TYPE stave_set IS 'a cask before it is one';
COMMENT ON COLUMN hoop.metal IS 'mostly iron';
COMMENT ON DOMAIN litres IS 'volume';
COMMENT ON CONSTRAINT not_negative ON DOMAIN litres IS 'no anti-wine';
REVOKE USAGE ON TYPE wood FROM PUBLIC;
GRANT USAGE ON TYPE wood TO cellarman;
GRANT USAGE ON DOMAIN litres TO auditor;
ALTER TYPE hoop OWNER TO "Küfer & Söhne";

CREATE COLLATION "DE phone" (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION no_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
COMMENT ON COLLATION no_case IS 'a = A';
CREATE CONVERSION own_utf8_to_latin1 FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;

CREATE FUNCTION same_thousand(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 / 1000 = $2 / 1000';
CREATE OPERATOR ~=~= (LEFTARG = int, RIGHTARG = int, FUNCTION = same_thousand, COMMUTATOR = ~=~=, RESTRICT = eqsel);
CREATE FUNCTION abs_lt(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs($1) < abs($2)';
CREATE FUNCTION abs_le(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs($1) <= abs($2)';
CREATE FUNCTION abs_eq(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs($1) = abs($2)';
CREATE FUNCTION abs_ge(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs($1) >= abs($2)';
CREATE FUNCTION abs_gt(int, int) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs($1) > abs($2)';
CREATE FUNCTION abs_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT sign(abs($1) - abs($2))::int';
CREATE OPERATOR <| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_lt);
CREATE OPERATOR <=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_le);
CREATE OPERATOR =| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_eq, MERGES);
CREATE OPERATOR >=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_ge);
CREATE OPERATOR >| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_gt);
CREATE OPERATOR FAMILY by_size USING btree;
CREATE OPERATOR CLASS by_size_int FOR TYPE int USING btree FAMILY by_size AS
    OPERATOR 1 <|, OPERATOR 2 <=|, OPERATOR 3 =|, OPERATOR 4 >=|, OPERATOR 5 >|, FUNCTION 1 abs_cmp(int, int);
COMMENT ON OPERATOR CLASS by_size_int USING btree IS 'the sign does not count';
COMMENT ON OPERATOR ~=~= (int, int) IS 'in one thousand';

CREATE FUNCTION wood_to_int(wood) RETURNS int LANGUAGE sql IMMUTABLE AS
    'SELECT array_position(enum_range(NULL::public.wood), $1)';
CREATE CAST (wood AS int) WITH FUNCTION wood_to_int(wood) AS ASSIGNMENT;
CREATE CAST (hoop AS text) WITH INOUT;
COMMENT ON CAST (wood AS int) IS 'its place in the row';

CREATE TEXT SEARCH DICTIONARY wine_words (TEMPLATE = synonym, SYNONYMS = synonym_sample);
CREATE TEXT SEARCH DICTIONARY "Deutsch knapp" (TEMPLATE = snowball, LANGUAGE = 'german', STOPWORDS = 'german');
CREATE TEXT SEARCH CONFIGURATION wine (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION wine ALTER MAPPING FOR asciiword, word WITH wine_words, "Deutsch knapp", simple;
COMMENT ON TEXT SEARCH CONFIGURATION wine IS 'for labels';

CREATE SEQUENCE "Keller 1"."Zähler" AS bigint INCREMENT BY -13 MINVALUE -9223372036854775808 MAXVALUE 39 START 26 CACHE 4 CYCLE;
SELECT setval('"Keller 1"."Zähler"', -26, true);
CREATE SEQUENCE tiny AS smallint START 32767;
COMMENT ON SEQUENCE tiny IS 'one value, not taken yet';
GRANT USAGE, SELECT ON SEQUENCE tiny TO cellarman;

-- one column for each type, rows of ordinary and of extreme values
CREATE TABLE every_type (
    id int PRIMARY KEY,
    i2 smallint, i8 bigint, n numeric, n2 numeric(30,5), f4 real, f8 float8, m money, b bool,
    t text, vc varchar(20), bpc char(12), ch "char", nm name, by bytea, ci extras.citext,
    d date, tm time(3), tmz timetz, ts timestamp, tsz timestamptz, iv interval,
    u uuid, j json, jb jsonb, x xml, h extras.hstore, lt extras.ltree, cu extras.cube, isbn extras.isbn13,
    ip inet, net cidr, mac macaddr, mac8 macaddr8, bt bit(9), vb varbit,
    pt point, li line, ls lseg, bx box, pa path, po polygon, ci2 circle,
    tsv tsvector, tsq tsquery, lsn pg_lsn, sn pg_snapshot, x8 xid8, o oid, rc regclass, rt regtype, rr regrole,
    i4r int4range, i8r int8range, nr numrange, dr daterange, tsr tsrange, tszr tstzrange, tr temperature,
    w wood, l litres, bo bottles, ho hoop, st stave_set, t2 "Text 2",
    ai int[], at text[], aa hoop[], ad timestamptz[][]
);
INSERT INTO every_type (id, l) VALUES (0, 0);
INSERT INTO every_type VALUES (1,
    -32768, -9223372036854775808, 'NaN', 123456789012345678901234.56789, 'NaN', 'NaN', '-$92,233,720,368,547,758.08', true,
    E'tab\there, nl\nhere, cr\rhere, backslash \\ and \\N and a line with\n\\.\nonly that', '', 'padded', 'x', 'a name', '\x', 'MiXeD',
    '-infinity', '24:00:00', '00:00:00+15:59', '4713-11-24 00:00:00 BC', '-infinity', '-178000000 years',
    '00000000-0000-0000-0000-000000000000', '{"a": 1,   "a": 2}', '{"z": [null, 1.10, "\u00e9\ud83d\udc18"]}', '<a b="1">&amp;<!-- c --></a>',
    '"k 1"=>NULL, k2=>"v\"2"', 'top.middle.bottom', '(1,2),(3,4)', '978-0-306-40615-7',
    '::ffff:1.2.3.4', '10.1.0.0/16', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101010101', B'',
    '(1e-300,-0)', '{1,-1,0}', '((0,0),(1,1))', '((2,2),(0,0))', '[(0,0),(1,1),(2,0)]', '((0,0),(0,1),(1,1))', '<(0,0),2.5>',
    $$'it''s':1A 'wine':3B,2$$, $$'a' & !('b' | 'c':*)$$, 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '18446744073709551615', 4294967295,
    'every_type', 'wood[]', '"Küfer & Söhne"',
    'empty', '[,)', '(,1.5]', '[2020-02-29,)', '["0099-01-01 BC",infinity)', '[-infinity,infinity]', '[-0.5,1e300)',
    'it''s "other"', 225.125, '{1,NULL,3}', '(40,"iron, \"old\"",2001-01-01)', '("{""(1,a,)"",""(2,,)""}",oak,1)', 'two',
    '[-2:0]={7,8,9}', '{"NULL",NULL,"","a\"b\\c","{}"}', '{"(1,x,)"}', '{{2000-01-01 00:00+00},{infinity}}');
INSERT INTO every_type (id, i2, i8, n, f4, f8, b, t, vc, bpc, ch, by, d, tm, tmz, ts, tsz, iv, jb, x, ip, l, ai, at) VALUES
    (2, 32767, 9223372036854775807, 1e131000, 'Infinity', 'Infinity', false, '', '  ', '', '', '\x00ff0a5c2e0d', 'infinity', '00:00:00.001',
     '23:59:59.999999-15:59', '294276-12-31 23:59:59.999999', 'infinity', '178000000 years -11 mons 5 days -04:00:00.000001', 'null', '', '::', 99999.999, '{}', '{}'),
    (3, 0, 0, -1e-16383, '-Infinity', '-Infinity', NULL, U&'e\0301 is not \00e9', 'äöü', ' ', E'\\377', decode(repeat('5c', 3000), 'hex'), '0044-03-15 BC', '12:34:56.789',
     '12:00+05:45', '1582-10-10 12:00', '1883-11-18 12:03:58+00', '1 mon -1 day', '"\\"', 'text only', '192.168.0.1/24', 1, '{{1,2},{3,NULL}}', '{{a,"b c"}}'),
    (4, 1, 1, 0.10, 1e-45, 5e-324, NULL, '🍷' || repeat('長い', 2000), NULL, NULL, NULL, NULL, '5874897-12-31', NULL, NULL, NULL, '2024-03-10 02:30:00-05', 'P1Y2M3DT4H5M6.789S', '[]', NULL, NULL, 2, NULL, NULL),
    (5, 2, 2, 100, 3.4028235e38, 1.7976931348623157e308, NULL, '$$', '\.', '\N', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL, 3, NULL, NULL),
    (6, 3, 3, 1.000000000000000000000, -0.0, '-0', NULL, chr(1) || chr(127) || U&'\0085\2028\FEFF', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '1e400', NULL, NULL, 4, NULL, NULL);
\if :v14
ALTER TABLE every_type ADD mr int4multirange DEFAULT '{[1,3),[7,)}', ADD mt tstzmultirange;
UPDATE every_type SET n = '-Infinity', mt = '{[2020-01-01 00:00+00,infinity)}' WHERE id = 5;
\endif
\if :v17
UPDATE every_type SET iv = 'infinity' WHERE id = 6;
\endif
