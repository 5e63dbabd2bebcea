/* SPDX-License-Identifier: PostgreSQL
 *
 * A database's own properties, which live outside of it: owner, encoding, locale,
 * settings, grants, comment. Saved as JSON, and put back on a database of another
 * name.
 */
#ifndef PGCASK_PIPELINE_PROPERTIES_H
#define PGCASK_PIPELINE_PROPERTIES_H

#include "base/buf.h"
#include "pg/conn.h"

/* The server keeps no encoding with the texts of shared catalogs. Names of databases and roles are read and written through
 * the maintenance database (conninfo's own); comment and settings from inside of the database, as pg_dump does it.
 * Owned by the caller. */
int properties_save(struct pg_conn *maintenance, struct pg_conn *inside, const char *database, char **ret_json);

struct properties; /* opaque */
int properties_read(const void *data, size_t len, struct properties **ret_properties);
void properties_free(struct properties *properties);
CLEANUP_DEFINE(struct properties, properties_free)

/* Roles that own or are granted something in the database, its owner included. Borrowed. */
const struct strv *properties_roles(const struct properties *properties);
/* CREATE DATABASE `name` as it was; `owner` false: belongs to the connected role. */
int properties_create(const struct properties *properties, struct pg_conn *conn, const char *name, bool owner);
/* Settings, grants, comment; when the database is complete. */
int properties_apply(const struct properties *properties, struct pg_conn *maintenance, struct pg_conn *inside, const char *name,
                     bool owner);
/* What may keep us out of it: connection limit, being a template. The very last. */
int properties_finish(const struct properties *properties, struct pg_conn *maintenance, const char *name);

#endif
