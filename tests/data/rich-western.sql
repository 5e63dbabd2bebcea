-- SPDX-License-Identifier: PostgreSQL
--
-- Database `western` of rich.sql: LATIN1, so a dump is not UTF-8 and names are single bytes.

\connect western
\encoding UTF8
SET client_min_messages = error;
COMMENT ON DATABASE western IS 'tout à côté';
ALTER DATABASE western SET client_encoding = 'LATIN1';
ALTER DATABASE western SET datestyle = 'SQL, DMY';
REVOKE CONNECT ON DATABASE western FROM PUBLIC;

CREATE SCHEMA "déjà";
CREATE TABLE "déjà"."Vü" (
    "clé" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "texte£" text NOT NULL DEFAULT 'où ça',
    brut bytea
);
INSERT INTO "déjà"."Vü" ("texte£", brut)
SELECT chr(161 + n % 95) || ' ñandú ÿ ' || n, decode(lpad(to_hex(n % 256), 2, '0'), 'hex') FROM generate_series(1, 400) n;
CREATE INDEX "índice" ON "déjà"."Vü" (upper("texte£"));
COMMENT ON TABLE "déjà"."Vü" IS 'à la carte: ½ £ §';
CREATE VIEW "déjà"."resumé" AS SELECT left("texte£", 1) AS "première", count(*) AS "n°" FROM "déjà"."Vü" GROUP BY 1;
CREATE TYPE "déjà"."état" AS ENUM ('créé', 'effacé');
