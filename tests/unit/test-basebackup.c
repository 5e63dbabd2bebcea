/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/basebackup.h"
#include "unit-walsender.h"

/* What the server says behind BASE_BACKUP or UPLOAD_MANIFEST; behind the last of our bytes. */
static void (*begin)(struct buf *out);
static void (*end)(struct buf *out);
static struct strv asked;

static bool
scripted(const char *sql, struct buf *out)
{
    if (*sql != '\0')
        strv_add(&asked, sql);
    if (*sql == '\0')
        end(out);
    else
        begin(out);
    return true;
}

static void
setup(void)
{
    double_start(NULL);
    twin.script = scripted;
    end = say_done;
}

static void
teardown(void)
{
    double_stop();
    strv_free(&asked);
}

/* ---- what a server of 15 and later says ---- */

static void
say_start(struct buf *out, const char *tablespaces)
{
    say_rows(out, "0/2000028\t1\n");
    put_message(out, 'C', "SELECT", 7);
    say_rows(out, tablespaces);
    put_message(out, 'C', "SELECT", 7);
}

static void
say_stop(struct buf *out)
{
    say_rows(out, "0/2000100\t1\n");
    put_message(out, 'C', "SELECT", 7);
}

/* "nbase.tar" with the location behind it, "dbytes", "m" */
static void
say_piece(struct buf *out, const char *text)
{
    if (*text == 'n') {
        CLEANUP_BUF struct buf body = BUF_INIT(1024);

        ck_assert_int_eq(buf_add(&body, text, strlen(text) + 1), 0);
        ck_assert_int_eq(buf_add(&body, "", 1), 0);
        say_data(out, body.data, body.len);
    } else
        say_data(out, text, strlen(text));
}

static void
say_pieces(struct buf *out, const char *const *pieces)
{
    say_copy(out, 'H');
    while (*pieces != NULL)
        say_piece(out, *pieces++);
    say_copied(out);
}

#define TABLESPACES "16385\t/ts\t10\n\\N\t\\N\t20\n"

static void
begin_good(struct buf *out)
{
    static const char *const pieces[] = { "n16385.tar", "dabc", "p\0", "ddef", "nbase.tar", "m", "d{}", NULL };

    say_start(out, TABLESPACES);
    say_pieces(out, pieces);
    say_stop(out);
    say_done(out);
}

static const struct basebackup_spec plain = { .label = "it's", .fast = true };

static struct basebackup *
started(struct replication *replication)
{
    struct basebackup *basebackup = NULL;

    ck_assert_msg(basebackup_begin(replication, &plain, &basebackup) == 0, "%s", error_text());
    return basebackup;
}

/* All of the archive, in reads of `size` bytes; owned by the caller. */
static char *
drained(struct basebackup *basebackup, size_t size, size_t *ret_total)
{
    struct buf text = BUF_INIT(1024 * 1024);
    size_t len = size;

    while (len == size) {
        char piece[4096];

        ck_assert_msg(basebackup_read(basebackup, piece, size, &len) == 0, "%s", error_text());
        ck_assert_int_eq(buf_add(&text, piece, len), 0);
    }
    *ret_total = text.len;
    return buf_take(&text);
}

static const size_t read_sizes[] = { 1, 2, 3, 6, 7, 4096 };

START_TEST(archives_come_one_by_one_whatever_the_reads)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    struct basebackup_archive archive;
    CLEANUP_FREE char *first = NULL, *second = NULL, *third = NULL;
    const struct basebackup_facts *facts;
    size_t len;

    begin = begin_good;
    basebackup = started(replication);
    facts = basebackup_facts(basebackup);
    ck_assert_uint_eq(facts->start_lsn, 0x2000028);
    ck_assert_uint_eq(facts->size, 30 * 1024);
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
    ck_assert_int_eq(archive.kind, BASEBACKUP_TABLESPACE);
    ck_assert_str_eq(archive.tablespace->oid, "16385");
    ck_assert_str_eq(archive.tablespace->location, "/ts");
    first = drained(basebackup, read_sizes[_i], &len);
    ck_assert_str_eq(first, "abcdef");
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
    ck_assert_int_eq(archive.kind, BASEBACKUP_DATA);
    second = drained(basebackup, read_sizes[_i], &len);
    ck_assert_uint_eq(len, 0); /* empty, and no zeros of ours: the server of today ends its archives itself */
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
    ck_assert_int_eq(archive.kind, BASEBACKUP_MANIFEST);
    ck_assert_ptr_null(archive.tablespace);
    third = drained(basebackup, read_sizes[_i], &len);
    ck_assert_str_eq(third, "{}");
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 0);
    ck_assert_uint_eq(facts->stop_lsn, 0x2000100);
    ck_assert_int_eq(facts->bad_pages, 0);
}
END_TEST

/* ---- 13 and 14 ---- */

static void
begin_old(struct buf *out)
{
    say_start(out, TABLESPACES);
    for (int i = 0; i < 3; i++) {
        say_copy(out, 'H');
        say_data(out, i == 0 ? "abc" : "de", i == 0 ? 3 : 2);
        say_copied(out);
    }
    say_stop(out);
    say_done(out);
}

START_TEST(an_old_server_looks_the_same_and_its_archives_are_ended)
{
    static const struct {
        enum basebackup_kind kind;
        size_t len;
    } wanted[] = { { BASEBACKUP_TABLESPACE, 3 + 1024 }, { BASEBACKUP_DATA, 2 + 1024 }, { BASEBACKUP_MANIFEST, 2 } };
    CLEANUP(replication_close) struct replication *replication = NULL;
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    struct basebackup_archive archive;

    twin.version = "14.5";
    begin = begin_old;
    replication = walsender_connect();
    basebackup = started(replication);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        CLEANUP_FREE char *text = NULL;
        size_t len;

        ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
        ck_assert_int_eq(archive.kind, wanted[i].kind);
        text = drained(basebackup, read_sizes[_i], &len);
        ck_assert_uint_eq(len, wanted[i].len);
        ck_assert_int_eq(strncmp(text, i == 0 ? "abc" : "de", i == 0 ? 3 : 2), 0);
        for (size_t k = i == 0 ? 3 : 2; k < len; k++)
            ck_assert_int_eq(text[k], 0);
    }
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 0);
    ck_assert_uint_eq(basebackup_facts(basebackup)->stop_lsn, 0x2000100);
}
END_TEST

/* ---- what is asked ---- */

static const struct {
    const char *version;
    struct basebackup_spec spec;
    int code;
    const char *command;
} commands[] = {
    { "13.9",
      { .label = "it's" },
      0,
      "BASE_BACKUP LABEL 'it''s' PROGRESS NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'" },
    { "14.5",
      { .label = "x", .fast = true, .wal = true, .max_rate = 64 * 1024 },
      0,
      "BASE_BACKUP LABEL 'x' PROGRESS NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C' FAST WAL "
      "MAX_RATE 64" },
    { "15.3",
      { .label = "it's" },
      0,
      "BASE_BACKUP (LABEL 'it''s', PROGRESS, WAIT 0, TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', "
      "CHECKPOINT "
      "'spread')" },
    { "17.0",
      { .label = "x", .fast = true, .wal = true, .incremental = true, .max_rate = 64 * 1024, .compress = "lz4" },
      0,
      "BASE_BACKUP (LABEL 'x', PROGRESS, WAIT 0, TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', "
      "CHECKPOINT 'fast'"
      ", WAL, INCREMENTAL, MAX_RATE 64, COMPRESSION 'lz4', COMPRESSION_DETAIL 'level=1')" },
    { "14.5", { .label = "x", .compress = "zstd" }, PGCASK_UNSUPPORTED, NULL },  /* came with 15 */
    { "16.1", { .label = "x", .incremental = true }, PGCASK_UNSUPPORTED, NULL }, /* came with 17 */
};

START_TEST(each_server_is_asked_in_its_words)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;

    twin.version = commands[_i].version;
    begin = begin_good;
    replication = walsender_connect();
    ck_assert_int_eq(basebackup_begin(replication, &commands[_i].spec, &basebackup), commands[_i].code);
    ck_assert_uint_eq(asked.len, commands[_i].command != NULL);
    if (commands[_i].command != NULL)
        ck_assert_str_eq(asked.items[0], commands[_i].command);
}
END_TEST

/* ---- pages that are bad ---- */

static const struct {
    const char *function, *text;
    int64_t pages;
} warnings[] = {
    { "perform_base_backup", "17 total checksum verification failures", 17 },
    { "perform_base_backup", "insgesamt 3 fehlgeschlagene Prüfungen", 3 }, /* whatever language the server speaks */
    { "sendFile", "checksum verification failed in file \"base/5/1\", block 9", 1 }, /* only one: no total is told */
};
static int warning;

static void
begin_damaged(struct buf *out)
{
    static const char *const pieces[] = { "nbase.tar", "dabc", "m", "d{}", NULL };

    say_start(out, "\\N\t\\N\t20\n");
    say_pieces(out, pieces);
    say_stop(out);
    say_warning(out, warnings[warning].function, warnings[warning].text);
    say_refusal(out, "XX001", "checksum verification failure during base backup");
}

START_TEST(bad_pages_are_counted_and_the_backup_is_whole)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    struct basebackup_archive archive;
    size_t len;

    begin = begin_damaged;
    warning = _i;
    basebackup = started(replication);
    for (int i = 0; i < 2; i++) {
        CLEANUP_FREE char *text = NULL;

        ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
        text = drained(basebackup, 4096, &len);
    }
    ck_assert_msg(basebackup_next(basebackup, &archive) == 0, "%s", error_text());
    ck_assert_int_eq(basebackup_facts(basebackup)->bad_pages, warnings[_i].pages);
    ck_assert_uint_eq(basebackup_facts(basebackup)->stop_lsn, 0x2000100);
}
END_TEST

/* ---- what must not be believed ---- */

static const struct {
    const char *start, *tablespaces;
    const char *pieces[4];
} strange[] = {
    { "nowhere\t1\n", TABLESPACES, { NULL } },                      /* no LSN */
    { "0/2000028\t-1\n", TABLESPACES, { NULL } },                   /* no timeline */
    { "0/2000028\t1\n", "", { NULL } },                             /* not even a data directory */
    { "0/2000028\t1\n", "16385\t/ts\t10\n", { NULL } },             /* the same, with a tablespace */
    { "0/2000028\t1\n", "\\N\t\\N\t1\n\\N\t\\N\t1\n", { NULL } },   /* two of them */
    { "0/2000028\t1\n", "../x\t/ts\t10\n\\N\t\\N\t1\n", { NULL } }, /* an OID that would become a path */
    { "0/2000028\t1\n", "\\N\t\\N\t-1\n", { NULL } },               /* a size below zero */
    { "0/2000028\t1\n", TABLESPACES, { "dabc", NULL } },            /* bytes of no archive */
    { "0/2000028\t1\n", TABLESPACES, { "n16386.tar", NULL } },      /* an archive nobody had told of */
    { "0/2000028\t1\n", TABLESPACES, { "nbase.zip", NULL } },       /* no tar */
    { "0/2000028\t1\n", TABLESPACES, { "zabc", NULL } },            /* a message that is not known */
};
static int strange_row;

static void
begin_strange(struct buf *out)
{
    say_rows(out, strange[strange_row].start);
    put_message(out, 'C', "SELECT", 7);
    say_rows(out, strange[strange_row].tablespaces);
    put_message(out, 'C', "SELECT", 7);
    say_pieces(out, strange[strange_row].pieces);
    say_stop(out);
    say_done(out);
}

START_TEST(what_no_server_says_is_refused)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    struct basebackup_archive archive;
    int rc;

    begin = begin_strange;
    strange_row = _i;
    rc = basebackup_begin(replication, &plain, &basebackup);
    if (strange[_i].pieces[0] != NULL) {
        ck_assert_msg(rc == 0, "%s", error_text());
        rc = basebackup_next(basebackup, &archive);
    }
    ck_assert_int_eq(rc, ERROR_CORRUPT);
}
END_TEST

static void
begin_broken(struct buf *out)
{
    say_start(out, "\\N\t\\N\t20\n");
    say_copy(out, 'H');
    say_piece(out, "nbase.tar");
    say_piece(out, "dabc");
    say_refusal(out, "57P01", "terminating connection due to administrator command");
}

/* The archive seems to end, but the backup does not: that is what tells. */
START_TEST(an_error_in_the_middle_is_no_end)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    struct basebackup_archive archive;
    CLEANUP_FREE char *text = NULL;
    size_t len;

    begin = begin_broken;
    basebackup = started(replication);
    ck_assert_int_eq(basebackup_next(basebackup, &archive), 1);
    text = drained(basebackup, 4096, &len);
    ck_assert_int_eq(basebackup_next(basebackup, &archive), PGCASK_FAILED);
    ck_assert_error_has("terminating connection");
}
END_TEST

/* ---- the manifest of the backup before ---- */

static void
begin_upload(struct buf *out)
{
    say_copy(out, 'G');
}

static int
some_bytes(void *ctx, void *data, size_t size, size_t *ret_len)
{
    size_t *left = ctx;

    *ret_len = *left < size ? *left : size;
    memset(data, 'x', *ret_len);
    *left -= *ret_len;
    return 0;
}

START_TEST(a_manifest_is_uploaded_whole)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    size_t left = 600000;

    twin.version = "17.0";
    begin = begin_upload;
    replication = walsender_connect();
    ck_assert_msg(basebackup_upload(replication, some_bytes, &left) == 0, "%s", error_text());
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(twin.copied.len, 600000);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("basebackup");
    TCase *tcase = tcase_create("basebackup");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, archives_come_one_by_one_whatever_the_reads, 0, ARRAY_LEN(read_sizes));
    tcase_add_loop_test(tcase, an_old_server_looks_the_same_and_its_archives_are_ended, 0, ARRAY_LEN(read_sizes));
    tcase_add_loop_test(tcase, each_server_is_asked_in_its_words, 0, ARRAY_LEN(commands));
    tcase_add_loop_test(tcase, bad_pages_are_counted_and_the_backup_is_whole, 0, ARRAY_LEN(warnings));
    tcase_add_loop_test(tcase, what_no_server_says_is_refused, 0, ARRAY_LEN(strange));
    tcase_add_test(tcase, an_error_in_the_middle_is_no_end);
    tcase_add_test(tcase, a_manifest_is_uploaded_whole);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
