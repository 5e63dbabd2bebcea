/* SPDX-License-Identifier: PostgreSQL
 *
 * The configuration as a whole: rules between keys and between sections, who may
 * touch the file, and the sample files against the tables.
 */
#include "config.h"

#include "config/settings.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit.h"

#define PATH "/tmp/pgcask-test-settings.ini"

/* Load `text` from a file of that mode. */
static int
load(const char *text, mode_t mode, struct config **ret_config)
{
    CLEANUP_FREE char *path = mem_printf(PATH ".%d", (int)getpid());
    int rc;

    ck_assert_int_eq(file_write(path, text, strlen(text)), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    rc = config_load(path, ret_config);
    (void)unlink(path);
    return rc;
}

/* The error with the file's name as "t.ini". */
static char *
told(const char *text)
{
    CLEANUP_FREE char *path = mem_printf(PATH ".%d", (int)getpid());
    CLEANUP_STRV struct strv pieces = { 0 };
    const char *at;

    for (at = strstr(text, path); at != NULL; at = strstr(text, path)) {
        strv_take(&pieces, mem_strndup(text, (size_t)(at - text)));
        text = at + strlen(path);
    }
    strv_add(&pieces, text);
    return strv_join(&pieces, "t.ini");
}

#define GOOD                                                                                                           \
    "[pgcask]\nencrypt = none\n[cluster chain]\nconninfo = dbname=d\n[store local]\nplugin = local\npath = /p\n"       \
    "[check users]\nquery = SELECT 1\n"                                     /* nine lines */
#define JOB "[job daily]\ncluster = chain\ndatabases = d\nstores = local\n" /* lines 10 to 13 behind GOOD */
#define PLAIN                                                                                                          \
    "[cluster c]\nconninfo = dbname=d\n[store s]\nplugin = local\n[job j]\ncluster = c\ndatabases = all\nstores = s\n"

static const struct refusal_row {
    const char *text;
    const char *error;
    const char *hint; /* NULL: none */
} refusal_rows[] = {
    { "no ini", "t.ini:1: this is neither 'key = value' nor '[kind name]' nor a comment",
      "a comment begins with ';' or '#'; a value cannot go on in the next line" },
    { "[clutser x]\n", "t.ini:1: [clutser x]: there are no sections of this kind", "did you mean 'cluster'?" },
    { "\n[something]\n", "t.ini:2: [something]: there are no sections of this kind",
      "known: pgcask, cluster, store, job, check" },
    { "[cluster]\n", "t.ini:1: [cluster]: a name is missing (wanted: [cluster NAME])", NULL },
    { "[pgcask main]\n", "t.ini:1: [pgcask main]: no name belongs here (wanted: [pgcask])", NULL },
    { "[pgcask]\nrecipients = age1x\n", "t.ini:2: [pgcask]: unknown key 'recipients'", "did you mean 'recipient'?" },
    { "[cluster c]\n", "t.ini:1: [cluster c]: 'conninfo' is missing", "conninfo: how to connect, as libpq reads it" },
    { "[store s]\npath = /p\n", "t.ini:1: [store s]: 'plugin' is missing",
      "plugin: storage plugin: a name, or the absolute path of its file" },
    { "[store s]\nplugin = local\nparallel = 65\n",
      "t.ini:3: [store s]: parallel: '65' is out of range (wanted: 1 to 64)", NULL },
    { "[pgcask]\ncompress_level = 22\n", "t.ini:2: [pgcask]: compress_level: '22' is out of range (wanted: 1 to 19)",
      NULL },
    { "[pgcask]\nstate_dir = here\n", "t.ini:2: [pgcask]: state_dir: 'here' is not an absolute path", NULL },
    /* encryption */
    { PLAIN,
      "t.ini:5: [job j]: nothing says who can read the backups (wanted in [pgcask]: recipient, recipient_file or "
      "passphrase; or encrypt = none, in so many words)",
      "'pgcask init' writes a key pair; its public half goes into recipient = age1…" },
    { PLAIN "[pgcask]\njobs = 1\n",
      "t.ini:9: [pgcask]: nothing says who can read the backups (wanted in [pgcask]: recipient, "
      "recipient_file or passphrase; or encrypt = none, in so many words)",
      "'pgcask init' writes a key pair; its public half goes into recipient = age1…" },
    { PLAIN "[pgcask]\nencrypt = age\n",
      "t.ini:9: [pgcask]: nothing says who can read the backups (wanted in [pgcask]: "
      "recipient, recipient_file or passphrase; or encrypt = none, in so many words)",
      "'pgcask init' writes a key pair; its public half goes into recipient = age1…" },
    { "[pgcask]\nrecipient = age1x\nencrypt = none\n", "t.ini:3: [pgcask]: encrypt: 'none' together with 'recipient'",
      NULL },
    { "[pgcask]\nrecipient_file = /r\nencrypt = none\n",
      "t.ini:3: [pgcask]: encrypt: 'none' together with 'recipient_file'", NULL },
    { "[pgcask]\nencrypt = none\npassphrase = hush\n", "t.ini:2: [pgcask]: encrypt: 'none' together with 'passphrase'",
      NULL },
    { "[pgcask]\nrecipient = age1x\npassphrase = hush\n",
      "t.ini:1: [pgcask]: 'recipient' together with 'passphrase' (wanted: one of the two)", NULL },
    { "[pgcask]\nrecipient = age1x ssh-ed25519\n",
      "t.ini:2: [pgcask]: recipient: 'ssh-ed25519' is not an age recipient (wanted: age1…)", NULL },
    { "[pgcask]\nrecipient = age-secret-key-1HUSH\n",
      "t.ini:2: [pgcask]: recipient: this is a secret key (wanted: the public one, age1…)",
      "secret keys belong into identity_file, on the hosts where restores are made" },
    /* clusters and checks */
    { "[cluster c]\nconninfo = password=hush\npassword = hush\n",
      "t.ini:1: [cluster c]: 'conninfo' in line 2 holds a password, and there is another one", NULL },
    { "[check c]\nquery = SELECT 1;\n",
      "t.ini:2: [check c]: query: the query ends in ';' (wanted: one SELECT and nothing else)", "leave the ';' away" },
    { "[check c]\nquery = \"SELECT 1 ; \"\n",
      "t.ini:2: [check c]: query: the query ends in ';' (wanted: one SELECT and nothing else)", "leave the ';' away" },
    { "[check c]\nquery = \"  \"\n", "t.ini:2: [check c]: query: the query is empty", NULL },
    { "[check c]\nquery =\n", "t.ini:2: [check c]: query: the value is empty", NULL },
    { "[check c]\nquery = SELECT 1 ;\n", "t.ini:2: [check c]: query: ' ;' in an unquoted value is ambiguous",
      "put the value in double quotes, or the comment on a line of its own" },
    /* jobs */
    { GOOD "[job j]\ncluster = chian\ndatabases = d\nstores = local\n",
      "t.ini:11: [job j]: cluster: there is no cluster 'chian'", "did you mean 'chain'?" },
    { GOOD "[job j]\ncluster = something\ndatabases = d\nstores = local\n",
      "t.ini:11: [job j]: cluster: there is no cluster 'something'", "there is: chain" },
    { GOOD "[job j]\ncluster = chain\ndatabases = d\nstores = local, lokal\n",
      "t.ini:13: [job j]: stores: there is no store 'lokal'", "did you mean 'local'?" },
    { GOOD "[job j]\ncluster = chain\ndatabases = d\nstores = local local\n",
      "t.ini:13: [job j]: stores: 'local' is there twice", NULL },
    { GOOD JOB "checks = users something\n", "t.ini:14: [job daily]: checks: there is no check 'something'",
      "there is: users" },
    { GOOD JOB "exclude_databases = x\n",
      "t.ini:14: [job daily]: exclude_databases: this goes with databases = all only", NULL },
    { GOOD "[job j]\ncluster = chain\ndatabases = a all\nstores = local\n",
      "t.ini:12: [job j]: databases: 'all' together with names",
      "a database that is called all is written 'all', with the quotes" },
    { GOOD "[job j]\ncluster = chain\ndatabases = a 'a'\nstores = local\n",
      "t.ini:12: [job j]: databases: 'a' is there twice", NULL },
    { "[pgcask]\nencrypt = none\n[job j]\ncluster = c\ndatabases = d\nstores = s\n",
      "t.ini:4: [job j]: cluster: there is no cluster 'c'", "no section [cluster NAME] was written" },
};

START_TEST(mistake_is_refused_with_its_line)
{
    const struct refusal_row *row = &refusal_rows[_i];
    struct config *config = NULL;
    CLEANUP_FREE char *error = NULL;

    ck_assert_int_eq(load(row->text, 0600, &config), ERROR_USAGE);
    ck_assert_ptr_null(config);
    error = told(error_text());
    ck_assert_str_eq(error, row->error);
    if (row->hint == NULL)
        ck_assert_ptr_null(error_cure());
    else
        ck_assert_pstr_eq(error_cure(), row->hint);
}
END_TEST

static const struct mode_row {
    const char *text;
    mode_t mode;
    const char *error; /* NULL: good */
} mode_rows[] = {
    { GOOD, 0644, NULL },
    { GOOD, 0664, "t.ini: others can write this file (mode 0664, wanted 0600)" },
    { GOOD, 0602, "t.ini: others can write this file (mode 0602, wanted 0600)" },
    { "[pgcask]\npassphrase = hush\n", 0600, NULL },
    { "[pgcask]\npassphrase = hush\n", 0640,
      "t.ini:2: [pgcask]: passphrase: a secret in a file that others can read (mode 0640, wanted 0600)" },
    { "[pgcask]\npassphrase_env = HOME\n", 0644, NULL },
    { "[cluster c]\nconninfo = host=h password=hush\n", 0604,
      "t.ini:2: [cluster c]: conninfo: a secret in a file that others can read (mode 0604, wanted 0600)" },
    { "[cluster c]\nconninfo = host=h\nexec_conninfo = postgresql://u:hush@h\n", 0644,
      "t.ini:3: [cluster c]: exec_conninfo: a secret in a file that others can read (mode 0644, wanted 0600)" },
    { "[cluster c]\nconninfo = host=h\npassword_command = touch /tmp/pgcask-test-settings-ran\n", 0666,
      "t.ini: others can write this file (mode 0666, wanted 0600)" }, /* refused before anything is run */
};

START_TEST(file_others_may_touch_is_refused)
{
    const struct mode_row *row = &mode_rows[_i];
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *cure = NULL;
    int rc;

    (void)unlink("/tmp/pgcask-test-settings-ran");
    rc = load(row->text, row->mode, &config);
    ck_assert_msg(rc == (row->error ? ERROR_USAGE : 0), "%s", error_text());
    ck_assert(!file_exists("/tmp/pgcask-test-settings-ran"));
    if (row->error == NULL)
        return;
    error = told(error_text());
    cure = told(error_cure());
    ck_assert_str_eq(error, row->error);
    ck_assert_msg(strncmp(cure, "chmod 600 't.ini'", strlen("chmod 600 't.ini'")) == 0, "hint is '%s'", cure);
}
END_TEST

START_TEST(file_of_somebody_else_is_refused)
{
    static const char path[] = PATH ".owner";
    struct config *config = NULL;

    if (geteuid() != 0)
        return; /* only root can give a file away */
    ck_assert_int_eq(file_write(path, GOOD, strlen(GOOD)), 0);
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    ck_assert_int_eq(config_load(path, &config), ERROR_USAGE);
    (void)unlink(path);
    ck_assert_str_eq(error_text(), PATH ".owner: this file belongs to user 12345, not to this user (0) or root");
}
END_TEST

START_TEST(good_file_is_loaded)
{
    CLEANUP(config_free) struct config *config = NULL;
    const struct config_item *item = NULL;

    ck_assert_msg(load(GOOD JOB "exclude_tables = 'a b' c\nchecks = users\n", 0600, &config) == 0, "%s", error_text());
    ck_assert_str_eq(config->main->encrypt, "none");
    ck_assert_int_eq(config->main->compress_level, 3);
    ck_assert_int_eq(config->main->shrink_warn, 50);
    ck_assert_int_ge(config->workers, 1);
    ck_assert_int_le(config->workers, 4);
    ck_assert_int_eq(config_find(&config->clusters, "cluster", "chain", &item), 0);
    ck_assert_str_eq(item->cluster->conninfo, "dbname=d");
    ck_assert_int_eq(item->cluster->lock_timeout, 300000);
    ck_assert_int_eq(config_find(&config->stores, "store", "local", &item), 0);
    ck_assert_int_eq(item->store->required, 1);
    ck_assert_int_eq(item->store->retries, 5);
    ck_assert_int_eq(item->store->retry_max, 30000);
    ck_assert_int_eq(item->store->parallel, 2);
    ck_assert_str_eq(ini_entry(item->section, "path")->value, "/p"); /* the plugin's, left alone */
    ck_assert_uint_eq(config->jobs.len, 1);
    ck_assert_str_eq(config->jobs.items[0].name, "daily");
    ck_assert_str_eq(config->jobs.items[0].job->exclude_tables, "'a b' c");
    ck_assert_str_eq(config->jobs.items[0].job->content, "all");
    ck_assert_str_eq(config->jobs.items[0].job->settings_files, "try");
    ck_assert_int_eq(config->jobs.items[0].job->globals, 1);
    ck_assert_str_eq(config->checks.items[0].check->query, "SELECT 1");
    ck_assert_int_eq(config_find(&config->jobs, "job", "dayly", &item), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "there is no job 'dayly'");
    ck_assert_str_eq(error_cure(), "did you mean 'daily'?");
}
END_TEST

START_TEST(nothing_at_all_is_a_configuration)
{
    CLEANUP(config_free) struct config *config = NULL;

    ck_assert_msg(load("", 0600, &config) == 0, "%s", error_text());
    ck_assert_str_eq(config->main->encrypt, "age");
    ck_assert_uint_eq(config->jobs.len, 0);
}
END_TEST

START_TEST(database_called_all_is_written_in_quotes)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_STRV struct strv words = { 0 };

    ck_assert_msg(load(GOOD "[job j]\ncluster = chain\ndatabases = b 'all'\nstores = local\n", 0600, &config) == 0,
                  "%s", error_text());
    option_words(config->jobs.items[0].job->databases, &words);
    ck_assert_uint_eq(words.len, 2);
    ck_assert_str_eq(words.items[1], "all");
}
END_TEST

START_TEST(state_dir_and_workers_are_resolved)
{
    struct config *config = NULL;

    ck_assert_int_eq(load("[pgcask]\nstate_dir = /s\njobs = 7\n", 0600, &config), 0);
    ck_assert_str_eq(config->state_dir, "/s");
    ck_assert_int_eq(config->workers, 7);
    config_free(config);
    (void)setenv("HOME", "/home/u", 1);
    (void)unsetenv("XDG_STATE_HOME");
    ck_assert_int_eq(load("", 0600, &config), 0);
    ck_assert_str_eq(config->state_dir, geteuid() == 0 ? "/var/lib/pgcask" : "/home/u/.local/state/pgcask");
    config_free(config);
    (void)setenv("XDG_STATE_HOME", "/xdg", 1);
    ck_assert_int_eq(load("", 0600, &config), 0);
    ck_assert_str_eq(config->state_dir, geteuid() == 0 ? "/var/lib/pgcask" : "/xdg/pgcask");
    config_free(config);
}
END_TEST

START_TEST(environment_names_the_file)
{
    struct config *config = NULL;
    CLEANUP_FREE char *path = NULL;

    (void)setenv("PGCASK_CONFIG", "/nonexistent/x.ini", 1);
    path = config_default_path();
    ck_assert_str_eq(path, "/nonexistent/x.ini");
    ck_assert_int_eq(config_load(NULL, &config), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "could not open '/nonexistent/x.ini': No such file or directory");
    ck_assert_str_eq(error_cure(), "'pgcask init' writes a first one; -c FILE or PGCASK_CONFIG names another place");
}
END_TEST

/* The text of a file below the source tree. */
static char *
source_text(const char *name)
{
    const char *top = getenv("top_srcdir");
    CLEANUP_FREE char *path = mem_printf("%s/%s", top ? top : ".", name);
    struct buf text = BUF_INIT(1024 * 1024);

    ck_assert_msg(file_read(path, &text) == 0, "%s", error_text());
    return buf_take(&text);
}

/* Take the "; " from each line that goes on with "key = ". */
static char *
uncommented(const char *text)
{
    CLEANUP_STRV struct strv lines = { 0 };

    strv_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.len; i++) {
        char *line = lines.items[i];
        size_t key = strncmp(line, "; ", 2) == 0 ? strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_") : 0;

        if (key > 0 && strncmp(line + 2 + key, " = ", 3) == 0)
            memmove(line, line + 2, strlen(line + 2) + 1);
    }
    return strv_join(&lines, "\n");
}

/* Is `key` one of the table's, or a source of one of its secrets? */
static bool
table_knows(const struct option_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);
        size_t len = strlen(option.name);
        bool secret = option.type == PGCASK_OPTION_SECRET && strncmp(key, option.name, len) == 0;

        if (strcmp(key, option.name) == 0 || (secret && strcmp(key + len, "_file") == 0) ||
            (secret && strcmp(key + len, "_env") == 0) || (secret && strcmp(key + len, "_command") == 0))
            return true;
    }
    return false;
}

static bool
ini_has(const struct ini *ini, const char *kind, const char *key)
{
    for (size_t i = 0; i < ini->len; i++)
        if (strcmp(ini->sections[i].kind, kind) == 0 && ini_entry(&ini->sections[i], key) != NULL)
            return true;
    return false;
}

START_TEST(sample_holds_every_key_and_no_other)
{
    CLEANUP_FREE char *text = source_text("conf/pgcask.ini");
    CLEANUP_FREE char *bare = uncommented(text);
    CLEANUP(ini_free) struct ini *ini = NULL;

    ck_assert_msg(ini_parse("pgcask.ini", bare, strlen(bare), &ini) == 0, "%s", error_text());
    for (size_t i = 0; i < config_kind_count; i++)
        for (size_t j = 0; j < config_kinds[i].table.count; j++) {
            const char *key = option_at(&config_kinds[i].table, j).name;

            ck_assert_msg(ini_has(ini, config_kinds[i].kind, key), "[%s] lacks '%s'", config_kinds[i].kind, key);
        }
    for (size_t i = 0; i < ini->len; i++) {
        const struct ini_section *section = &ini->sections[i];
        const struct config_section_kind *kind = config_kind(section->kind);

        const struct ini_entry *plugin = ini_entry(section, "plugin");
        bool other = plugin != NULL && strcmp(plugin->value, "local") != 0; /* its keys are compared where it is loaded */

        ck_assert_msg(kind != NULL, "[%s] is unknown", section->kind);
        for (size_t j = 0; j < section->len; j++) {
            const char *key = section->entries[j].key;
            bool of_plugin = strcmp(section->kind, "store") == 0 && (other || strcmp(key, "path") == 0);

            ck_assert_msg(of_plugin || table_knows(&kind->table, key), "[%s] has '%s'", section->kind, key);
        }
    }
}
END_TEST

/* "; key = default" lines must tell the truth. */
START_TEST(sample_shows_the_defaults)
{
    CLEANUP_FREE char *text = source_text("conf/pgcask.ini");

    for (size_t i = 0; i < config_kind_count; i++)
        for (size_t j = 0; j < config_kinds[i].table.count; j++) {
            struct pgcask_option option = option_at(&config_kinds[i].table, j);
            CLEANUP_FREE char *line = mem_printf("\n; %s = %s\n", option.name, option.fallback ? option.fallback : "");

            if (option.fallback != NULL)
                ck_assert_msg(strstr(text, line) != NULL, "no line '%s'", line);
        }
}
END_TEST

static const char *const sample_names[] = { "conf/pgcask.ini", "conf/minimal.ini" };

START_TEST(sample_is_a_good_configuration)
{
    CLEANUP_FREE char *text = source_text(sample_names[_i]);
    CLEANUP(config_free) struct config *config = NULL;

    ck_assert_msg(load(text, 0600, &config) == 0, "%s", error_text());
    ck_assert_uint_ge(config->jobs.len, 1);
    ck_assert_uint_ge(config->stores.len, 1);
    ck_assert_ptr_null(config->main->recipient); /* no key of ours must get into anybody's file */
}
END_TEST

static Suite *
settings_suite(void)
{
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("settings");

    tcase_add_loop_test(tcase, mistake_is_refused_with_its_line, 0, ARRAY_LEN(refusal_rows));
    tcase_add_loop_test(tcase, file_others_may_touch_is_refused, 0, ARRAY_LEN(mode_rows));
    tcase_add_test(tcase, file_of_somebody_else_is_refused);
    tcase_add_test(tcase, good_file_is_loaded);
    tcase_add_test(tcase, nothing_at_all_is_a_configuration);
    tcase_add_test(tcase, database_called_all_is_written_in_quotes);
    tcase_add_test(tcase, state_dir_and_workers_are_resolved);
    tcase_add_test(tcase, environment_names_the_file);
    tcase_add_test(tcase, sample_holds_every_key_and_no_other);
    tcase_add_test(tcase, sample_shows_the_defaults);
    tcase_add_loop_test(tcase, sample_is_a_good_configuration, 0, ARRAY_LEN(sample_names));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(settings_suite)
