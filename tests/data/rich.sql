-- SPDX-License-Identifier: PostgreSQL
--
-- Everything a PostgreSQL database may hold, small: what is backed up and restored has to come
-- back identical. For servers 13 to 18, as superuser, into an empty cluster:
--
--     psql -X -v ON_ERROR_STOP=1 -f tests/data/rich.sql
--
-- It makes five roles and three databases:
--   helpdesk             a small service: users, tickets, messages, money
--   Fass №7 "alt" 'süß'  one of every kind of object and value, under awkward names
--   western              LATIN1
-- Everything is the same at each load (no clocks, no random numbers), except for object ids.
-- The subscription in the second one is disabled and owns no slot; drop it before that database.

\set ON_ERROR_STOP 1
\set QUIET 1
\set cellar 'Fass №7 "alt" ''süß'''
\encoding UTF8
SET client_min_messages = error;
SELECT current_setting('server_version_num')::int >= 140000 AS v14,
       current_setting('server_version_num')::int >= 150000 AS v15,
       current_setting('server_version_num')::int >= 160000 AS v16,
       current_setting('server_version_num')::int >= 170000 AS v17,
       current_setting('server_version_num')::int >= 180000 AS v18 \gset

CREATE ROLE "Küfer & Söhne" NOLOGIN CREATEDB;
CREATE ROLE cellarman LOGIN PASSWORD 'it''s "secret"' CONNECTION LIMIT 7 VALID UNTIL '2041-05-06 07:08:09+00';
CREATE ROLE agent NOLOGIN NOINHERIT;
CREATE ROLE auditor LOGIN BYPASSRLS;
CREATE ROLE service LOGIN;
GRANT "Küfer & Söhne" TO cellarman WITH ADMIN OPTION;
GRANT agent TO service;
GRANT pg_monitor TO auditor;
COMMENT ON ROLE agent IS 'answers tickets; never logs in';
ALTER ROLE service SET statement_timeout = '90s';
ALTER ROLE cellarman SET search_path = '$user', public, "Keller 1";
\if :v15
GRANT SET ON PARAMETER log_min_duration_statement TO cellarman;
\endif

CREATE DATABASE helpdesk TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' OWNER service;
CREATE DATABASE :"cellar" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' OWNER "Küfer & Söhne"
    CONNECTION LIMIT 40;
CREATE DATABASE western TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';

\ir rich-helpdesk.sql
\ir rich-cellar-types.sql
\ir rich-cellar-tables.sql
\ir rich-cellar-code.sql
\ir rich-western.sql
