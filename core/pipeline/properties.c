/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/properties.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct properties {
    json_t *json;
    struct strv roles;
};

/* JSON made by the server, so that nothing is quoted by hand. Columns that came with a later major are taken through
 * to_jsonb, which is silent about missing ones. */
static const char save_sql[] =
    "SELECT jsonb_build_object("
    " 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),"
    " 'collate', d.datcollate, 'ctype', d.datctype,"
    " 'locale_provider', to_jsonb(d)->>'datlocprovider',"
    " 'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'),"
    " 'icu_rules', to_jsonb(d)->>'daticurules',"
    " 'connection_limit', d.datconnlimit, 'template', d.datistemplate,"
    " 'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace),"
    " 'default_acl', d.datacl IS NULL,"
    " 'acl', coalesce((SELECT jsonb_agg(jsonb_build_object('grantor', pg_get_userbyid(a.grantor),"
    "    'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,"
    "    'privilege', a.privilege_type, 'grantable', a.is_grantable)) FROM aclexplode(d.datacl) a), '[]'),"
    " 'roles', (SELECT coalesce(jsonb_agg(rolname ORDER BY rolname), '[]') FROM ("
    "    SELECT pg_get_userbyid(d.datdba) AS rolname UNION"
    "    SELECT r.rolname FROM pg_shdepend p JOIN pg_roles r ON r.oid = p.refobjid"
    "     WHERE p.refclassid = 'pg_authid'::regclass AND p.deptype IN ('o', 'a', 'r', 'i')"
    "       AND (p.dbid = d.oid OR (p.dbid = 0 AND p.classid = 'pg_database'::regclass AND p.objid = d.oid))) x"
    "    WHERE rolname !~ '^pg_')"
    ") FROM pg_database d WHERE d.datname = $1";
/* What is written from inside the database, in its encoding. */
static const char save_inside_sql[] =
    "SELECT jsonb_build_object("
    " 'comment', shobj_description(d.oid, 'pg_database'),"
    " 'settings', coalesce((SELECT jsonb_agg(jsonb_build_object("
    "    'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, 'setting', c))"
    "    FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid), '[]')"
    ") FROM pg_database d WHERE d.datname = current_database()";

int
properties_save(struct pg_conn *maintenance, struct pg_conn *inside, const char *database, char **ret_json)
{
    const char *params[] = { database };
    CLEANUP_FREE char *text = NULL, *inside_text = NULL;
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_JSON json_t *inside_json = NULL;
    int rc = pg_value(maintenance, save_sql, params, 1, &text);

    if (rc == 0)
        rc = pg_value(inside, save_inside_sql, NULL, 0, &inside_text);
    if (rc == 0)
        rc = json_read("the database's properties", text, strlen(text), &json);
    if (rc == 0)
        rc = json_read("the database's comment and settings", inside_text, strlen(inside_text), &inside_json);
    if (rc < 0)
        return rc;
    (void)json_object_update(json, inside_json);
    *ret_json = json_pretty(json);
    return 0;
}

/* What becomes SQL without quotes, or is missed only when the restore is nearly done. */
static int
properties_check_rows(const json_t *acl, const json_t *settings)
{
    const char *text;
    bool grantable;
    json_t *row;
    size_t i;
    int rc = 0;

    json_array_foreach (acl, i, row) {
        rc = json_need_string(row, "privilege", &text);
        if (rc == 0 && (*text == '\0' || text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ")] != '\0'))
            rc = error_set(ERROR_CORRUPT, "'privilege' is not the name of one");
        if (rc == 0)
            rc = json_want_string(row, "grantee", &text);
        if (rc == 0)
            rc = json_need_bool(row, "grantable", &grantable);
        if (rc < 0)
            return error_context(rc, "'acl' %zu", i);
    }
    json_array_foreach (settings, i, row) {
        rc = json_need_string(row, "setting", &text);
        if (rc == 0 && strchr(text, '=') == NULL)
            rc = error_set(ERROR_CORRUPT, "'setting' has no '='");
        if (rc == 0)
            rc = json_want_string(row, "role", &text);
        if (rc < 0)
            return error_context(rc, "'settings' %zu", i);
    }
    return 0;
}

static int
properties_take(struct properties *properties)
{
    static const char *const texts[] = { "collate",   "ctype",      "locale_provider", "locale",
                                         "icu_rules", "tablespace", "comment" };
    const json_t *json = properties->json;
    const char *text;
    int64_t limit;
    bool flag;
    json_t *acl, *settings, *roles, *row;
    size_t i;
    int rc = json_need_string(json, "owner", &text);

    if (rc == 0)
        rc = json_need_string(json, "encoding", &text);
    for (i = 0; rc == 0 && i < ARRAY_LEN(texts); i++)
        rc = json_want_string(json, texts[i], &text);
    if (rc == 0)
        rc = json_need_int(json, "connection_limit", INT32_MIN, INT32_MAX, &limit);
    if (rc == 0)
        rc = json_need_bool(json, "template", &flag);
    if (rc == 0)
        rc = json_need_bool(json, "default_acl", &flag);
    if (rc == 0)
        rc = json_need_array(json, "acl", &acl);
    if (rc == 0)
        rc = json_need_array(json, "settings", &settings);
    if (rc == 0)
        rc = json_need_array(json, "roles", &roles);
    if (rc == 0)
        rc = properties_check_rows(acl, settings);
    json_array_foreach (rc == 0 ? roles : NULL, i, row) {
        if (!json_is_string(row))
            return error_set(ERROR_CORRUPT, "'roles' does not hold strings");
        strv_add(&properties->roles, json_string_value(row));
    }
    return rc;
}

int
properties_read(const void *data, size_t len, struct properties **ret_properties)
{
    CLEANUP(properties_free) struct properties *properties = mem_zalloc(sizeof *properties);
    int rc = json_read("the database's properties", data, len, &properties->json);

    if (rc < 0)
        return rc;
    rc = properties_take(properties);
    if (rc < 0)
        return error_context(rc, "the database's properties");
    *ret_properties = STEAL(properties);
    return 0;
}

void
properties_free(struct properties *properties)
{
    if (properties == NULL)
        return;
    json_decref(properties->json);
    strv_free(&properties->roles);
    free(properties);
}

const struct strv *
properties_roles(const struct properties *properties)
{
    return &properties->roles;
}

static const char *
property(const struct properties *properties, const char *key)
{
    return json_string_value(json_object_get(properties->json, key));
}

/* " WORD 'value'" when the property is there. */
static void
create_add(struct buf *sql, struct pg_conn *conn, const char *word, const char *value)
{
    CLEANUP_FREE char *literal = value ? pg_literal(conn, value) : NULL;

    if (literal != NULL)
        (void)buf_addf(sql, " %s %s", word, literal); /* values are names and locales: far below the limit */
}

static void
create_locale(const struct properties *properties, struct pg_conn *conn, struct buf *sql)
{
    const char *provider = property(properties, "locale_provider");
    int version = pg_server_version(conn);

    create_add(sql, conn, "LC_COLLATE", property(properties, "collate"));
    create_add(sql, conn, "LC_CTYPE", property(properties, "ctype"));
    if (provider == NULL || version < 150000)
        return;
    if (strcmp(provider, "i") == 0) {
        (void)buf_adds(sql, " LOCALE_PROVIDER icu");
        create_add(sql, conn, "ICU_LOCALE", property(properties, "locale"));
        if (version >= 160000)
            create_add(sql, conn, "ICU_RULES", property(properties, "icu_rules"));
    } else if (strcmp(provider, "b") == 0 && version >= 170000) {
        (void)buf_adds(sql, " LOCALE_PROVIDER builtin");
        create_add(sql, conn, "BUILTIN_LOCALE", property(properties, "locale"));
    } else
        (void)buf_adds(sql, " LOCALE_PROVIDER libc");
}

int
properties_create(const struct properties *properties, struct pg_conn *conn, const char *name, bool owner)
{
    CLEANUP_BUF struct buf sql = BUF_INIT(64 * 1024);
    CLEANUP_FREE char *ident = pg_ident(conn, name);
    CLEANUP_FREE char *role = pg_ident(conn, property(properties, "owner"));
    const char *tablespace = property(properties, "tablespace");
    CLEANUP_FREE char *space = NULL, *found = NULL;
    int rc;

    (void)buf_addf(&sql, "CREATE DATABASE %s TEMPLATE template0", ident);
    if (owner)
        (void)buf_addf(&sql, " OWNER %s", role);
    create_add(&sql, conn, "ENCODING", property(properties, "encoding"));
    create_locale(properties, conn, &sql);
    if (tablespace != NULL && strcmp(tablespace, "pg_default") != 0) {
        const char *params[] = { tablespace };

        rc = pg_value(conn, "SELECT count(*) FROM pg_tablespace WHERE spcname = $1", params, 1, &found);
        if (rc < 0)
            return rc;
        space = pg_ident(conn, tablespace);
        if (strcmp(found, "1") == 0)
            (void)buf_addf(&sql, " TABLESPACE %s", space);
        else
            log_warn("there is no tablespace %s here: the database goes to the default one", space);
    }
    rc = pg_run(conn, sql.data);
    return rc < 0 ? error_context(rc, "creating database %s", ident) : 0;
}

/* `target`: "DATABASE x" or "ROLE y IN DATABASE x". The server keeps the quoting of list settings in the value, and takes
 * it apart again only as SET … TO reads it; set_config followed by FROM CURRENT stores exactly the same text. A setting
 * that no session may set (session_preload_libraries) goes the other way. */
static int
apply_setting(struct pg_conn *conn, const char *target, const char *name, const char *value)
{
    CLEANUP_FREE char *ident = pg_ident(conn, name), *literal = pg_literal(conn, value), *ignored = NULL;
    const char *params[] = { name, value };
    int rc = pg_run(conn, "BEGIN");

    if (rc == 0)
        rc = pg_value(conn, "SELECT set_config($1, $2, true)", params, 2, &ignored);
    if (rc == 0)
        rc = pg_runf(conn, "ALTER %s SET %s FROM CURRENT", target, ident);
    if (rc == 0)
        return pg_run(conn, "COMMIT");
    rc = pg_run(conn, "ROLLBACK");
    return rc < 0 ? rc : pg_runf(conn, "ALTER %s SET %s TO %s", target, ident, literal);
}

static int
apply_settings(const struct properties *properties, struct pg_conn *conn, const char *database)
{
    json_t *rows = json_object_get(properties->json, "settings"), *row;
    size_t i;

    json_array_foreach (rows, i, row) {
        const char *setting = json_string_value(json_object_get(row, "setting"));
        const char *role = json_string_value(json_object_get(row, "role"));
        const char *equals = strchr(setting, '=');
        CLEANUP_FREE char *name = mem_strndup(setting, (size_t)(equals - setting));
        CLEANUP_FREE char *who = role ? pg_ident(conn, role) : NULL;
        CLEANUP_FREE char *target = who ? mem_printf("ROLE %s IN DATABASE %s", who, database)
                                        : mem_printf("DATABASE %s", database);

        if (apply_setting(conn, target, name, equals + 1) == 0)
            continue;
        if (cancel_requested())
            return cancel_check();
        log_slot_warn("that setting of the database is not put back");
    }
    return 0;
}

static int
apply_acl(const struct properties *properties, struct pg_conn *conn, const char *database)
{
    json_t *rows = json_object_get(properties->json, "acl"), *row;
    CLEANUP_FREE char *owner = pg_ident(conn, property(properties, "owner"));
    size_t i;
    int rc;

    if (json_is_true(json_object_get(properties->json, "default_acl")))
        return 0;
    rc = pg_runf(conn, "REVOKE ALL ON DATABASE %s FROM PUBLIC, %s", database, owner);
    json_array_foreach (rc == 0 ? rows : NULL, i, row) {
        const char *privilege = json_string_value(json_object_get(row, "privilege"));
        const char *grantee = json_string_value(json_object_get(row, "grantee"));
        CLEANUP_FREE char *who = grantee ? pg_ident(conn, grantee) : mem_strdup("PUBLIC");

        rc = pg_runf(conn, "GRANT %s ON DATABASE %s TO %s%s", privilege, database, who,
                     json_is_true(json_object_get(row, "grantable")) ? " WITH GRANT OPTION" : "");
        if (rc < 0)
            return rc;
    }
    return rc;
}

int
properties_apply(const struct properties *properties, struct pg_conn *maintenance, struct pg_conn *inside, const char *name,
                 bool owner)
{
    CLEANUP_FREE char *database = pg_ident(maintenance, name);
    CLEANUP_FREE char *inside_name = NULL, *inside_ident = NULL;
    const char *comment = property(properties, "comment");
    int rc = pg_value(inside, "SELECT current_database()", NULL, 0, &inside_name); /* as that encoding spells its bytes */

    if (rc == 0) {
        inside_ident = pg_ident(inside, inside_name);
        rc = apply_settings(properties, inside, inside_ident);
    }
    if (rc == 0 && comment != NULL) {
        CLEANUP_FREE char *literal = pg_literal(inside, comment);

        rc = pg_runf(inside, "COMMENT ON DATABASE %s IS %s", inside_ident, literal);
    }
    if (rc == 0 && owner)
        rc = apply_acl(properties, maintenance, database);
    return rc < 0 ? error_context(rc, "properties of database %s", database) : 0;
}

int
properties_finish(const struct properties *properties, struct pg_conn *maintenance, const char *name)
{
    CLEANUP_FREE char *database = pg_ident(maintenance, name);
    json_int_t limit = json_integer_value(json_object_get(properties->json, "connection_limit"));
    int rc = 0;

    if (limit >= 0)
        rc = pg_runf(maintenance, "ALTER DATABASE %s CONNECTION LIMIT %lld", database, (long long)limit);
    if (rc == 0 && json_is_true(json_object_get(properties->json, "template")))
        rc = pg_runf(maintenance, "ALTER DATABASE %s IS_TEMPLATE true", database);
    return rc < 0 ? error_context(rc, "properties of database %s", database) : 0;
}
