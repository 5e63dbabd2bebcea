CREATE ROLE keeper;
CREATE ROLE reader;
CREATE DATABASE shop OWNER keeper TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8';
GRANT CONNECT ON DATABASE shop TO reader;
COMMENT ON DATABASE shop IS 'golden';
ALTER DATABASE shop SET statement_timeout = '30s';
\connect shop
SET ROLE keeper;
CREATE TABLE kind (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO kind VALUES (1, 'oak'), (2, 'ash'), (3, 'Esche – ü 漢');
CREATE TABLE "Barrel" (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind int REFERENCES kind,
    litres numeric(8, 2) CHECK (litres > 0),
    note text
);
INSERT INTO "Barrel" (kind, litres, note)
    SELECT i % 3 + 1, 100 + i, CASE WHEN i % 5 = 0 THEN E'tab\there, back\\slash' END FROM generate_series(1, 200) i;
CREATE INDEX barrel_kind ON "Barrel" (kind);
CREATE VIEW stock AS SELECT k.name, sum(b.litres) AS litres FROM "Barrel" b JOIN kind k ON k.id = b.kind GROUP BY 1;
CREATE FUNCTION filled(k int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM "Barrel" WHERE kind = k';
COMMENT ON TABLE "Barrel" IS 'one row for each';
GRANT SELECT ON stock TO reader;
