-- SPDX-License-Identifier: PostgreSQL
--
-- The oddly named database of rich.sql, third part: functions, views, triggers, rules, row
-- security, foreign servers, publications. Last of all the event triggers.

CREATE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE LEAKPROOF COST 3 AS 'SELECT a + b';
CREATE FUNCTION add(a text, VARIADIC rest text[]) RETURNS text LANGUAGE sql STABLE STRICT AS $f$ SELECT a || array_to_string(rest, $$,$$) $f$;
CREATE FUNCTION casks(min_price numeric, OUT id bigint, OUT price numeric) RETURNS SETOF record LANGUAGE plpgsql
    SECURITY DEFINER ROWS 42 SET search_path = pg_catalog, public SET work_mem = '3MB' AS $body$
-- a body with 'quotes', $$ and \backslashes
BEGIN
    RETURN QUERY SELECT c.id, c.price FROM public.cask c WHERE c.price > min_price;
END;
$body$;
CREATE FUNCTION first_of(anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $1[array_lower($1, 1)]';
CREATE FUNCTION names() RETURNS TABLE ("the name" text, no int) LANGUAGE sql AS $$ VALUES ('a', 1), ('b', 2) $$;
CREATE PROCEDURE "Keller 1".stocktake(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; COMMIT; END $$;
\if :v14
CREATE FUNCTION bound(x int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM cask WHERE id > x; SELECT 2::bigint * x; END;
\endif
CREATE AGGREGATE sum_up (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE,
    MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0');
CREATE AGGREGATE middle (float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal,
    FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
ALTER FUNCTION first_of(anyarray) DEPENDS ON EXTENSION hstore;
COMMENT ON FUNCTION add(int, int) IS 'adds';
COMMENT ON AGGREGATE sum_up (int) IS 'sums';
COMMENT ON PROCEDURE "Keller 1".stocktake(int) IS 'counts';
REVOKE EXECUTE ON FUNCTION add(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add(int, int) TO cellarman WITH GRANT OPTION;
ALTER FUNCTION casks(numeric) OWNER TO "Küfer & Söhne";
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO cellarman;

-- a function in a default, a check, a generated column and an index; a view grouped by a primary key
CREATE TABLE computed (id int PRIMARY KEY DEFAULT public.add(3, 4), a int CHECK (public.add(a, 1) > 0),
    b int GENERATED ALWAYS AS (public.add(a)) STORED);
CREATE INDEX ON computed (public.add(a, 10));
INSERT INTO computed SELECT n, n FROM generate_series(1, 20) n;

CREATE VIEW dear WITH (security_barrier) AS SELECT id, "Name ""in quotes""" AS "N", price FROM cask WHERE price > 500 WITH LOCAL CHECK OPTION;
CREATE VIEW by_key AS SELECT c.id, c.note, c.price, count(d.id) AS children FROM cask c LEFT JOIN cask d ON d.parent = c.id GROUP BY c.id;
CREATE VIEW dear_again ("Ä", b) AS SELECT id, "N" FROM dear WITH CASCADED CHECK OPTION;
ALTER VIEW dear ALTER "N" SET DEFAULT 'unnamed';
CREATE RECURSIVE VIEW count_down (n) AS VALUES (9) UNION ALL SELECT n - 1 FROM count_down WHERE n > 0;
-- a view and a function that need each other
CREATE VIEW loop_view AS SELECT 1 AS a, 'x'::text AS b;
CREATE FUNCTION loop_function(loop_view) RETURNS int LANGUAGE sql AS 'SELECT ($1).a';
CREATE OR REPLACE VIEW loop_view AS SELECT 1 AS a, 'x'::text AS b WHERE loop_function(ROW(1, 'x')::loop_view) = 1;
CREATE MATERIALIZED VIEW stock WITH (fillfactor = 80) AS SELECT wood, count(*) AS n, sum(volume) AS litres FROM cask GROUP BY wood;
CREATE UNIQUE INDEX stock_wood ON stock (wood);
CREATE MATERIALIZED VIEW stock_total AS SELECT sum(n) AS n FROM stock;
CREATE MATERIALIZED VIEW not_filled AS SELECT * FROM by_key WITH NO DATA;
COMMENT ON VIEW dear IS 'above 500';
COMMENT ON MATERIALIZED VIEW stock IS 'refreshed by hand';
COMMENT ON COLUMN stock.n IS 'how many';
ALTER MATERIALIZED VIEW stock OWNER TO cellarman;
GRANT SELECT ON dear TO PUBLIC;
\if :v15
CREATE VIEW asks_the_caller WITH (security_invoker = true) AS SELECT * FROM cask;
\endif

CREATE TABLE journal (at_no serial, what text, who name);
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $q$
BEGIN
    INSERT INTO public.journal (what, who) VALUES (TG_OP || $$ it's $$ || TG_TABLE_NAME, 'somebody');
    RETURN COALESCE(NEW, OLD);
END
$q$;
CREATE FUNCTION note_all() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM gone; RETURN NULL; END';
CREATE TRIGGER "Before It" BEFORE INSERT OR UPDATE OF price ON cask FOR EACH ROW WHEN (NEW.price > 1000000) EXECUTE FUNCTION note_it('an', 'argument''s');
CREATE TRIGGER after_all AFTER DELETE ON cask REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_all();
CREATE TRIGGER instead INSTEAD OF INSERT ON by_key FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON hen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TRIGGER off BEFORE UPDATE ON hen FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TRIGGER replica_only BEFORE UPDATE ON egg FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TRIGGER at_all_times BEFORE UPDATE ON egg FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TRIGGER all_vintages AFTER UPDATE ON "Keller 1".vintage FOR EACH ROW EXECUTE FUNCTION note_it();
ALTER TABLE hen DISABLE TRIGGER off;
ALTER TABLE egg ENABLE REPLICA TRIGGER replica_only;
ALTER TABLE egg ENABLE ALWAYS TRIGGER at_all_times;
COMMENT ON TRIGGER "Before It" ON cask IS 'very dear';
INSERT INTO journal (what) SELECT 'entry ' || n FROM generate_series(1, 15) n;

CREATE RULE redirect AS ON INSERT TO no_rows WHERE NEW.a < 0 DO INSTEAD INSERT INTO journal (what) VALUES ('negative');
CREATE RULE silent AS ON DELETE TO dear_again DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO no_rows DO ALSO (INSERT INTO journal (what) VALUES ('one'); INSERT INTO journal (what) VALUES ('two'));
ALTER TABLE no_rows DISABLE RULE also;
COMMENT ON RULE redirect ON no_rows IS 'elsewhere';

ALTER TABLE booking ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking FORCE ROW LEVEL SECURITY;
CREATE POLICY "see it" ON booking FOR SELECT TO cellarman, auditor USING (room IN (SELECT id FROM vessel));
CREATE POLICY "not at night" ON booking AS RESTRICTIVE TO PUBLIC USING (NOT lower_inf(during)) WITH CHECK (active);
CREATE POLICY adds ON booking FOR INSERT WITH CHECK (room > 0);
COMMENT ON POLICY "see it" ON booking IS 'all vessels';

CREATE FOREIGN DATA WRAPPER nothing OPTIONS (debug 'true');
CREATE SERVER "far away" TYPE 'x' VERSION '1.0' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid', dbname 'it''s "x"');
CREATE SERVER stub FOREIGN DATA WRAPPER nothing;
CREATE USER MAPPING FOR cellarman SERVER "far away" OPTIONS (user 'u', password 'p ''w');
CREATE USER MAPPING FOR PUBLIC SERVER stub;
CREATE FOREIGN TABLE remote_cask (id int OPTIONS (column_name 'ID') NOT NULL, t text COLLATE "C" DEFAULT 'x', CHECK (id > 0))
    SERVER "far away" OPTIONS (table_name 'a "b"', schema_name 's');
GRANT USAGE ON FOREIGN SERVER "far away" TO cellarman;
GRANT USAGE ON FOREIGN DATA WRAPPER nothing TO auditor;
COMMENT ON SERVER "far away" IS 'very';
COMMENT ON FOREIGN TABLE remote_cask IS 'theirs';
COMMENT ON FOREIGN DATA WRAPPER nothing IS 'reads nothing';

CREATE PUBLICATION "all of it" FOR ALL TABLES WITH (publish = 'insert, truncate', publish_via_partition_root);
CREATE PUBLICATION "some" FOR TABLE cask, "Keller 1".vintage;
COMMENT ON PUBLICATION "some" IS 'two';
\if :v15
CREATE PUBLICATION part FOR TABLE every_type (id, t) WHERE (id > 2);
CREATE PUBLICATION below FOR TABLES IN SCHEMA "drop.me; --";
\endif
CREATE SUBSCRIPTION "from afar" CONNECTION 'host=nowhere.invalid dbname=x' PUBLICATION a, "b c"
    WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false);
ALTER TABLE egg REPLICA IDENTITY FULL;
ALTER TABLE no_rows REPLICA IDENTITY NOTHING;

CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE DEBUG 'ddl: %', tg_tag; END $$;
CREATE EVENT TRIGGER watch_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION watch();
CREATE EVENT TRIGGER "watch drops" ON sql_drop EXECUTE FUNCTION watch();
ALTER EVENT TRIGGER "watch drops" DISABLE;
COMMENT ON EVENT TRIGGER watch_tables IS 'says so, softly';
REFRESH MATERIALIZED VIEW stock;
