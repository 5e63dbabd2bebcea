/* SPDX-License-Identifier: PostgreSQL
 *
 * The configuration as a whole: sections poured into structs in the order of the
 * file, then the rules between keys, then those between sections. The first
 * problem ends it.
 */
#include "config.h"

#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/parse.h"
#include "config/place.h"

enum { CONFIG_RATE_MIN = 32 * 1024 /* of MAX_RATE, bytes a second */ };
enum { CONFIG_WORKERS_MAX = 4 /* more only heat the room beside a database; jobs = N is the way to ask for them */ };

int
config_context(const struct ini_section *section, const char *key)
{
    const struct ini_entry *entry = key ? ini_entry(section, key) : NULL;

    if (entry != NULL)
        (void)error_context(ERROR_USAGE, "%s", key);
    return error_context(ERROR_USAGE, "%s:%u: [%s%s%s]", section->ini->path, entry ? entry->line : section->line,
                         section->kind, *section->name ? " " : "", section->name);
}

static int
config_refuse_kind(const struct ini_section *section)
{
    CLEANUP_STRV struct strv kinds = { 0 };
    CLEANUP_FREE char *known = NULL;
    const char *nearest;

    for (size_t i = 0; i < config_kind_count; i++)
        strv_add(&kinds, config_kinds[i].kind);
    nearest = parse_nearest(section->kind, (const char *const *)kinds.items, kinds.len);
    known = strv_join(&kinds, ", ");
    (void)error_set(ERROR_USAGE, "there are no sections of this kind");
    if (nearest != NULL)
        (void)error_hint(ERROR_USAGE, "did you mean '%s'?", nearest);
    else
        (void)error_hint(ERROR_USAGE, "known: %s", known);
    return config_context(section, NULL);
}

static struct config_items *
config_items_of(struct config *config, const char *kind)
{
    const struct {
        const char *kind;
        struct config_items *items;
    } places[] = {
        { "cluster", &config->clusters },
        { "store", &config->stores },
        { "job", &config->jobs },
        { "check", &config->checks },
    };

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (strcmp(places[i].kind, kind) == 0)
            return places[i].items;
    return NULL;
}

/* A password in conninfo and one beside it: which one counts would be a guess. */
static int
config_check_cluster(const struct config_item *item)
{
    const struct config_cluster *cluster = item->cluster;
    const struct ini_entry *conninfo = ini_entry(item->section, "conninfo");
    bool secret = false;

    if (cluster->password == NULL)
        return 0;
    if (config_check_conninfo(cluster->conninfo, &secret) == 0 && secret) {
        (void)error_set(ERROR_USAGE, "'conninfo' in line %u holds a password, and there is another one",
                        conninfo->line);
        return config_context(item->section, NULL);
    }
    return 0;
}

static int
config_check_query(const struct config_item *item)
{
    const char *query = item->check->query;
    size_t len = strlen(query);

    while (len > 0 && (query[len - 1] == ' ' || query[len - 1] == '\t'))
        len--;
    if (len == 0)
        (void)error_set(ERROR_USAGE, "the query is empty");
    else if (query[len - 1] == ';') {
        (void)error_set(ERROR_USAGE, "the query ends in ';' (wanted: one SELECT and nothing else)");
        (void)error_hint(ERROR_USAGE, "leave the ';' away");
    } else
        return 0;
    return config_context(item->section, "query");
}

/* The words of `key`, none of them twice. */
static int
config_take_words(const struct config_item *item, const char *key, const char *list, struct strv *ret_words)
{
    CLEANUP_STRV struct strv words = { 0 };

    option_words(list, &words);
    for (size_t i = 0; i < words.len; i++) {
        if (strv_has(ret_words, words.items[i])) {
            (void)error_set(ERROR_USAGE, "'%s' is there twice", words.items[i]);
            return config_context(item->section, key);
        }
        strv_add(ret_words, words.items[i]);
    }
    return 0;
}

/* A key that means nothing for the other kind of job was meant to do something. */
static int
config_check_kind(const struct config_item *item)
{
    static const char *const of_dumps[] = { "databases", "exclude_databases", "content", "tables", "exclude_tables",
                                            "exclude_table_data", "checks", "globals", "settings_files", "table_size" };
    static const char *const of_bases[] = { "checkpoint", "max_rate", "wal", "wal_timeout", "checksum_failures",
                                            "wire_compress", "chain_max" };
    bool base = strcmp(item->job->kind, "base") == 0;
    const char *const *keys = base ? of_dumps : of_bases;
    size_t count = base ? ARRAY_LEN(of_dumps) : ARRAY_LEN(of_bases);

    for (size_t i = 0; i < count; i++)
        if (ini_entry(item->section, keys[i]) != NULL) {
            (void)error_set(ERROR_USAGE, "this goes with kind = %s only", base ? "dump" : "base");
            return config_context(item->section, keys[i]);
        }
    if (item->job->max_rate > 0 && item->job->max_rate < CONFIG_RATE_MIN) {
        (void)error_set(ERROR_USAGE, "the server cannot go that slow (wanted: 32KiB to 1GiB, or 0)");
        return config_context(item->section, "max_rate");
    }
    return 0;
}

static int
config_check_databases(const struct config_item *item)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_STRV struct strv raw = { 0 };
    const struct config_job *job = item->job;
    bool all = job->databases != NULL && strcmp(job->databases, "all") == 0;
    int rc = config_check_kind(item);

    if (rc < 0 || strcmp(job->kind, "dump") != 0)
        return rc;
    if (job->databases == NULL) {
        bool empty = ini_entry(item->section, "databases") != NULL;

        (void)error_set(ERROR_USAGE, empty ? "the value is empty" : "'databases' is missing (wanted: names, or the word all)");
        return config_context(item->section, empty ? "databases" : NULL);
    }
    rc = config_take_words(item, "databases", job->databases, &names);

    if (rc < 0)
        return rc;
    strv_split(&raw, job->databases, " ");
    if (raw.len > 1 && strv_has(&raw, "all")) {
        (void)error_set(ERROR_USAGE, "'all' together with names");
        (void)error_hint(ERROR_USAGE, "a database that is called all is written 'all', with the quotes");
        return config_context(item->section, "databases");
    }
    if (job->exclude_databases != NULL && !all) {
        (void)error_set(ERROR_USAGE, "this goes with databases = all only");
        return config_context(item->section, "exclude_databases");
    }
    return 0;
}

static int
config_fill_section(struct config *config, const struct ini_section *section)
{
    const struct config_section_kind *kind = config_kind(section->kind);
    struct config_items *items;
    struct config_item item = { .name = section->name, .section = section };
    bool is_store = strcmp(section->kind, "store") == 0;
    int rc;

    if (kind == NULL)
        return config_refuse_kind(section);
    if (kind->named != (*section->name != '\0')) {
        (void)error_set(ERROR_USAGE,
                        kind->named ? "a name is missing (wanted: [%s NAME])" : "no name belongs here (wanted: [%s])",
                        kind->kind);
        return config_context(section, NULL);
    }
    rc = option_fill(&kind->table, is_store ? &option_table_any : NULL, section, &item.set);
    if (rc < 0)
        return rc;
    items = config_items_of(config, section->kind);
    if (items == NULL) {
        config->main_set = item.set;
        return 0;
    }
    item.settings = option_settings(item.set);
    MEM_GROW(items->items, items->len, items->cap);
    items->items[items->len++] = item;
    if (items == &config->clusters)
        return config_check_cluster(&item);
    if (items == &config->checks)
        return config_check_query(&item);
    return items == &config->jobs ? config_check_databases(&item) : 0;
}

/* A recipient is public; what is secret must not get into a message. */
static int
config_check_recipients(const struct config_main *main, const struct ini_section *section)
{
    CLEANUP_STRV struct strv words = { 0 };

    option_words(main->recipient, &words);
    for (size_t i = 0; i < words.len; i++) {
        if (strncasecmp(words.items[i], "AGE-SECRET-KEY-", strlen("AGE-SECRET-KEY-")) == 0) {
            (void)error_set(ERROR_USAGE, "this is a secret key (wanted: the public one, age1…)");
            (void)error_hint(ERROR_USAGE,
                             "secret keys belong into identity_file, on the hosts where restores are made");
            return config_context(section, "recipient");
        }
        if (strncmp(words.items[i], "age1", 4) != 0) {
            (void)error_set(ERROR_USAGE, "'%s' is not an age recipient (wanted: age1…)", words.items[i]);
            return config_context(section, "recipient");
        }
    }
    return 0;
}

/* Who can read the backups must be said, once and without contradiction. */
static int
config_check_encryption(const struct config *config)
{
    const struct config_main *main = config->main;
    const struct ini_section *section = ini_section(config->ini, "pgcask", "");
    const char *recipient = main->recipient ? "recipient" : main->recipient_file ? "recipient_file" : NULL;
    bool none = strcmp(main->encrypt, "none") == 0;

    if (none && (recipient != NULL || main->passphrase != NULL)) {
        (void)error_set(ERROR_USAGE, "'none' together with '%s'", recipient ? recipient : "passphrase");
        return config_context(section, "encrypt");
    }
    if (recipient != NULL && main->passphrase != NULL) {
        (void)error_set(ERROR_USAGE, "'%s' together with 'passphrase' (wanted: one of the two)", recipient);
        return config_context(section, NULL);
    }
    if (recipient == NULL && main->passphrase == NULL && !none && config->jobs.len > 0) {
        (void)error_set(ERROR_USAGE,
                        "nothing says who can read the backups (wanted in [pgcask]: recipient, recipient_file or "
                        "passphrase; or encrypt = none, in so many words)");
        (void)error_hint(ERROR_USAGE, "'pgcask init' writes a key pair; its public half goes into recipient = age1…");
        return config_context(section ? section : config->jobs.items[0].section, NULL);
    }
    return section ? config_check_recipients(main, section) : 0;
}

int
config_find(const struct config_items *items, const char *what, const char *name, const struct config_item **ret_item)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *known = NULL;
    const char *nearest;

    for (size_t i = 0; i < items->len; i++) {
        if (strcmp(items->items[i].name, name) == 0) {
            *ret_item = &items->items[i];
            return 0;
        }
        strv_add(&names, items->items[i].name);
    }
    nearest = parse_nearest(name, (const char *const *)names.items, names.len);
    known = strv_join(&names, ", ");
    (void)error_set(ERROR_USAGE, "there is no %s '%s'", what, name);
    if (nearest != NULL)
        return error_hint(ERROR_USAGE, "did you mean '%s'?", nearest);
    if (names.len > 0)
        return error_hint(ERROR_USAGE, "there is: %s", known);
    return error_hint(ERROR_USAGE, "no section [%s NAME] was written", what);
}

/* Every word of `key` names an item. */
static int
config_check_names(const struct config_item *job, const char *key, const char *list, const struct config_items *items,
                   const char *what)
{
    CLEANUP_STRV struct strv words = { 0 };
    const struct config_item *found;
    int rc = config_take_words(job, key, list, &words);

    for (size_t i = 0; rc == 0 && i < words.len; i++)
        if (config_find(items, what, words.items[i], &found) < 0)
            rc = config_context(job->section, key);
    return rc;
}

static int
config_check_job(const struct config *config, const struct config_item *item)
{
    const struct config_job *job = item->job;
    const struct config_item *found;
    int rc = config_find(&config->clusters, "cluster", job->cluster, &found);

    if (rc < 0)
        return config_context(item->section, "cluster");
    rc = config_check_names(item, "stores", job->stores, &config->stores, "store");
    return rc < 0 ? rc : config_check_names(item, "checks", job->checks, &config->checks, "check");
}

static int
config_workers(const struct config_main *main)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (main->jobs > 0)
        return (int)main->jobs;
    return cores < 1 ? 1 : cores > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (int)cores;
}

static int
config_fill(struct config *config)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < config->ini->len; i++)
        rc = config_fill_section(config, &config->ini->sections[i]);
    if (rc == 0 && config->main_set == NULL)
        rc = option_fill(&config_kind("pgcask")->table, NULL, NULL, &config->main_set);
    if (rc < 0)
        return rc;
    config->main = option_settings(config->main_set);
    rc = config_check_encryption(config);
    for (size_t i = 0; rc == 0 && i < config->clusters.len; i++) {
        const struct config_item *cluster = &config->clusters.items[i];

        if (cluster->cluster->wal_stores != NULL)
            rc = config_check_names(cluster, "wal_stores", cluster->cluster->wal_stores, &config->stores, "store");
    }
    for (size_t i = 0; rc == 0 && i < config->jobs.len; i++)
        rc = config_check_job(config, &config->jobs.items[i]);
    return rc;
}

int
config_load(const char *path, struct config **ret_config)
{
    CLEANUP_FREE char *chosen = path ? mem_strdup(path) : config_default_path();
    CLEANUP(config_free) struct config *config = mem_zalloc(sizeof *config);
    int rc;

    rc = ini_load(chosen, &config->ini);
    if (rc < 0 && access(chosen, R_OK) < 0 && errno == EACCES)
        return error_hint(rc, "run pgcask as the user who may read it, or name another file: -c FILE");
    if (rc < 0 && !file_exists(chosen))
        return error_hint(rc, "'pgcask init' writes a first one; -c FILE or PGCASK_CONFIG names another place");
    if (rc == 0)
        rc = config_check_owner(config->ini);
    if (rc == 0)
        rc = config_fill(config);
    if (rc == 0)
        rc = config_state_dir(config->ini->path, config->main->state_dir, &config->state_dir);
    if (rc < 0)
        return rc;
    config->workers = config_workers(config->main);
    *ret_config = STEAL(config);
    return 0;
}

static void
config_items_free(struct config_items *items)
{
    for (size_t i = 0; i < items->len; i++)
        option_set_free(items->items[i].set);
    free(items->items);
}

void
config_free(struct config *config)
{
    if (config == NULL)
        return;
    config_items_free(&config->clusters);
    config_items_free(&config->stores);
    config_items_free(&config->jobs);
    config_items_free(&config->checks);
    option_set_free(config->main_set);
    ini_free(config->ini);
    free(config->state_dir);
    free(config);
}
