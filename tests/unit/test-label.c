/* SPDX-License-Identifier: PostgreSQL
 *
 * Keys made and taken apart: what is ours and what is not, and names of members
 * that stay file names whatever a database is called.
 */
#include "config.h"

#include "catalog/label.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

#define ID "20261122T020000Z-daily"

/* ---- ids ---- */

static const struct id_row {
    const char *id;
    const char *job; /* NULL: refused */
} id_rows[] = {
    { "20261122T020000Z-daily", "daily" },
    { "20261122T020000Z-a-b_9", "a-b_9" },                                   /* the job may have dashes */
    { "20261122T020000Z--", "-" },
    { "20261122T020000Z-0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789" },
    { "20261122T020000Z-01234567890123456789012345678901234567890", NULL }, /* 41 bytes */
    { "20261122T020000Z-", NULL },                                          /* no job */
    { "20261122T020000Z", NULL },
    { "20261122T020000Zxdaily", NULL },
    { "20261122T020000-daily", NULL },
    { "20261122T020000Z-Daily", NULL }, /* capitals */
    { "20261122T020000Z-dai/ly", NULL },
    { "20261122T020000Z-..", NULL },
    { "20261322T020000Z-daily", NULL }, /* no such month */
    { "20260231T020000Z-daily", NULL }, /* no such day */
    { "20261122T240000Z-daily", NULL },
    { " 0261122T020000Z-daily", NULL }, /* strptime would take the blank */
    { "latest", NULL },
    { "", NULL },
};

START_TEST(an_id_is_a_time_and_a_job_and_nothing_else)
{
    const struct id_row *row = &id_rows[_i];
    int64_t start_s = -1;
    const char *job = NULL;
    int rc = label_id_parse(row->id, &start_s, &job);

    ck_assert_int_eq(rc, row->job != NULL ? 0 : ERROR_USAGE);
    if (row->job == NULL) {
        ck_assert_error_has("is not the id of a backup");
        ck_assert(start_s == -1 && job == NULL);
        return;
    }
    ck_assert_int_eq(start_s, 1795312800);
    ck_assert_str_eq(job, row->job);
    ck_assert_int_eq(label_id_parse(row->id, NULL, NULL), 0);
}
END_TEST

START_TEST(an_id_comes_back_as_it_was_made)
{
    CLEANUP_FREE char *id = label_id(1795312800, "daily");
    int64_t start_s;
    const char *job;

    ck_assert_str_eq(id, ID);
    ck_assert_int_eq(label_id_parse(id, &start_s, &job), 0);
    ck_assert_int_eq(start_s, 1795312800);
    ck_assert_ptr_eq(job, id + 17);
}
END_TEST

/* ---- keys ---- */

START_TEST(keys_are_laid_out_as_format_1_says)
{
    CLEANUP_FREE char *backups = label_backups("chain"), *backup = label_backup("chain", ID);
    CLEANUP_FREE char *object = label_object("chain", ID, "shop.dump.zst.age");
    CLEANUP_FREE char *good = label_verdict("chain", ID, 1795312861, true);
    CLEANUP_FREE char *bad = label_verdict("chain", ID, 1795312861, false);
    CLEANUP_FREE char *leases = label_leases("chain"), *lease = label_lease("chain", "db1.example", 4711, "00ff");

    ck_assert_str_eq(LABEL_REPOSITORY, "pgcask.json");
    ck_assert_str_eq(LABEL_MANIFEST, "manifest.json");
    ck_assert_str_eq(backups, "chain/backup/");
    ck_assert_str_eq(backup, "chain/backup/" ID "/");
    ck_assert_str_eq(object, "chain/backup/" ID "/shop.dump.zst.age");
    ck_assert_str_eq(good, "chain/backup/" ID "/verdict-20261122T020101Z-good.json");
    ck_assert_str_eq(bad, "chain/backup/" ID "/verdict-20261122T020101Z-bad.json");
    ck_assert_str_eq(leases, "chain/lease/");
    ck_assert_str_eq(lease, "chain/lease/db1.example-4711-00ff.json");
}
END_TEST

enum { NO, MEMBER, MANIFEST, GOOD, BAD };

static const struct key_row {
    const char *key;
    int what;
} key_rows[] = {
    { "chain/backup/" ID "/manifest.json", MANIFEST },
    { "chain/backup/" ID "/globals.sql.zst", MEMBER },
    { "chain/backup/" ID "/shop.public.order%20line.dump.zst.age", MEMBER },
    { "chain/backup/" ID "/shop~2.dump.zst.age", MEMBER },
    { "chain/backup/" ID "/manifest.json.zst", MEMBER },                      /* not quite the manifest */
    { "chain/backup/" ID "/verdict-20261122T020101Z-good.json", GOOD },
    { "chain/backup/" ID "/verdict-20261122T020101Z-bad.json", BAD },
    { "chain/backup/" ID "/verdict-shop.dump.zst.age", MEMBER },              /* of a database 'verdict-shop' */
    { "chain/backup/" ID "/verdict-20261122T020101Z-good.dump.zst", MEMBER }, /* so called to confuse us */
    { "chain/backup/" ID "/verdict-20261122T020101Z-good.json.zst", MEMBER },
    { "chain/backup/" ID "/verdict-20261122T020101Z-fine.json", NO },         /* neither good nor bad */
    { "chain/backup/" ID "/verdict-20261122T020101Z.json", NO },
    { "chain/backup/" ID "/verdict-20261122T020101Zgood.json", NO },
    { "chain/backup/" ID "/verdict-today-good.json", NO },
    { "chain/backup/" ID "/verdict-.json", NO },
    { "chain/backup/" ID "/", NO },             /* no name */
    { "chain/backup/" ID, NO },                 /* no object */
    { "chain/backup/" ID "/sub/manifest.json", NO },
    { "chain/backup/" ID "/.hidden", NO },
    { "chain/backup/" ID "/name with blank", NO },
    { "chain/backup/notes.txt", NO },
    { "chain/backup/notes/manifest.json", NO }, /* no id */
    { "chain/backup//manifest.json", NO },
    { "other/backup/" ID "/manifest.json", NO },
    { "chain/backups/" ID "/manifest.json", NO },
    { "", NO },
};

START_TEST(only_our_own_keys_are_taken)
{
    const struct key_row *row = &key_rows[_i];
    struct label_key parsed = { .object = "untouched" };
    int rc = label_key_parse("chain", row->key, &parsed);

    if (row->what == NO) {
        ck_assert_int_eq(rc, ERROR_CORRUPT);
        ck_assert_str_eq(parsed.object, "untouched");
        ck_assert_str_ne(error_text(), "");
        return;
    }
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_str_eq(parsed.id, ID);
    ck_assert_str_eq(parsed.object, strrchr(row->key, '/') + 1);
    ck_assert_int_eq(parsed.manifest, row->what == MANIFEST);
    ck_assert_int_eq(parsed.verdict, row->what == GOOD || row->what == BAD);
    ck_assert_int_eq(parsed.good, row->what == GOOD);
    ck_assert_int_eq(parsed.verdict_s, parsed.verdict ? 1795312861 : 0);
    free(parsed.id);
}
END_TEST

/* ---- names of members ---- */

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static const struct name_row {
    const char *parts[4];
    const char *suffix;
    const char *name;
} name_rows[] = {
    { { "shop" }, ".dump", "shop.dump" },
    { { "shop", "public", "orders" }, ".dump", "shop.public.orders.dump" },
    { { "Shop_1-a" }, ".dump", "Shop_1-a.dump" },
    { { "order line" }, ".dump", "order%20line.dump" },
    { { "a.b", "c" }, ".dump", "a%2Eb.c.dump" },                 /* not a.b.c */
    { { "../../etc" }, ".dump", "%2E%2E%2F%2E%2E%2Fetc.dump" },  /* no way out */
    { { ".hidden" }, ".dump", "%2Ehidden.dump" },
    { { "a%20b" }, ".dump", "a%2520b.dump" },                    /* not "a b" */
    { { "a~2" }, ".dump", "a%7E2.dump" },                        /* not our own counting */
    { { "\xc3\xbc" }, ".dump", "%C3%BC.dump" },
    { { "\x01\x7f\n" }, ".dump", "%01%7F%0A.dump" },
    { { A60 "bbbbbb" }, ".dump", A60 "bbbb.dump" },              /* cut at 64 bytes */
    { { A60 "bbb/" }, ".dump", A60 "bbb%2F.dump" },              /* never inside of an escape */
    { { A60 A60, A60 A60, A60 A60 }, ".dump", A60 "aaaa." A60 "aaaa." A60 "aaaa.dump" },
    { { "postgresql", "conf" }, "", "postgresql.conf" },
};

START_TEST(a_member_is_named_by_plain_bytes)
{
    const struct name_row *row = &name_rows[_i];
    CLEANUP_STRV struct strv taken = { 0 };
    CLEANUP_FREE char *name = label_member_name(&taken, row->parts, row->suffix);

    ck_assert_str_eq(name, row->name);
    ck_assert(strv_has(&taken, row->name));
    ck_assert_int_eq(label_object_check(name), 0);
}
END_TEST

START_TEST(equal_names_are_told_apart)
{
    static const char *const wanted[] = { "shop.dump", "shop~2.dump", "shop~3.dump" };
    static const char *const parts[] = { "shop", NULL };
    CLEANUP_STRV struct strv taken = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        CLEANUP_FREE char *name = label_member_name(&taken, parts, ".dump");

        ck_assert_str_eq(name, wanted[i]);
        ck_assert_uint_eq(taken.len, i + 1);
    }
}
END_TEST

START_TEST(names_that_differ_behind_the_cut_are_told_apart)
{
    static const char *const one[] = { A60 "aaaa1", NULL }, *const two[] = { A60 "aaaa2", NULL };
    CLEANUP_STRV struct strv taken = { 0 };
    CLEANUP_FREE char *first = label_member_name(&taken, one, ".dump");
    CLEANUP_FREE char *second = label_member_name(&taken, two, ".dump");

    ck_assert_str_eq(first, A60 "aaaa.dump");
    ck_assert_str_eq(second, A60 "aaaa~2.dump");
}
END_TEST

START_TEST(the_longest_name_is_still_one)
{
    char odd[64] = { 0 };
    const char *const parts[] = { odd, odd, odd, NULL };
    CLEANUP_STRV struct strv taken = { 0 };
    CLEANUP_FREE char *name = NULL, *object = NULL;

    memset(odd, 0xfc, sizeof odd - 1); /* each byte takes three */
    name = label_member_name(&taken, parts, ".properties.json");
    object = mem_printf("%s.zst.age", name);
    ck_assert_msg(label_object_check(object) == 0, "%s", error_text());
}
END_TEST

static const struct object_row {
    const char *object;
    bool ok;
} object_rows[] = {
    { "manifest.json", true },
    { "a", true },
    { "A-z_0.9%~", true },
    { A60 A60 A60 A60, true },       /* 240 bytes */
    { A60 A60 A60 A60 "a", false },
    { "", false },
    { ".", false },
    { "..", false },
    { ".a", false },
    { "a/b", false },
    { "a\\b", false },
    { "a b", false },
    { "a:b", false },
    { "a\n", false },
    { "\xc3\xbc", false },
};

START_TEST(an_object_is_a_plain_file_name)
{
    const struct object_row *row = &object_rows[_i];

    ck_assert_int_eq(label_object_check(row->object), row->ok ? 0 : ERROR_CORRUPT);
}
END_TEST

/* ---- WAL ---- */

#define SYSTEM "7301234567890123456"
#define DIGEST "0123456789abcdef0123456789abcdef"
#define SEGMENT "000000020000001A000000FF"

static const struct wal_row {
    const char *key;
    const char *file; /* NULL: refused */
    bool sealed;
} wal_rows[] = {
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-" DIGEST ".zst", SEGMENT, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-" DIGEST ".zst.age", SEGMENT, true },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT ".partial-" DIGEST ".zst", SEGMENT ".partial", false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT ".00000028.backup-" DIGEST ".zst.age",
      SEGMENT ".00000028.backup", true },
    { "chain/wal/" SYSTEM "/00000002.history-" DIGEST ".zst", "00000002.history", false },
    { "chain/wal/1/00000002.history-" DIGEST ".zst.age", "00000002.history", true },
    { "chain/wal/" SYSTEM "/00000003/000000020000001A/" SEGMENT "-" DIGEST ".zst", NULL, false }, /* not its */
    { "chain/wal/" SYSTEM "/00000002/000000020000001B/" SEGMENT "-" DIGEST ".zst", NULL, false }, /* nor its */
    { "chain/wal/" SYSTEM "/00000002/" SEGMENT "-" DIGEST ".zst", NULL, false },
    { "chain/wal/" SYSTEM "/" SEGMENT "-" DIGEST ".zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/x/" SEGMENT "-" DIGEST ".zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-" DIGEST, NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-" DIGEST ".zst.gpg", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-" DIGEST "0.zst", NULL, false }, /* 33 digits */
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-0123456789abcdef.zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT "-0123456789ABCDEF0123456789ABCDEF.zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/" SEGMENT ".zst", NULL, false },
    { "chain/wal/" SYSTEM "/00000002/000000020000001A/", NULL, false },
    { "chain/wal/" SYSTEM "/", NULL, false },
    { "chain/wal/" SYSTEM, NULL, false },
    { "chain/wal/0/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal/01/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal/-1/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal/123456789012345678901/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal//00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/wal/", NULL, false },
    { "chain/wal/00000002.history-" DIGEST ".zst", NULL, false },
    { "other/wal/" SYSTEM "/00000002.history-" DIGEST ".zst", NULL, false },
    { "chain/backup/" ID "/manifest.json", NULL, false },
    { "", NULL, false },
};

START_TEST(a_wal_file_has_one_key_and_no_other_is_taken)
{
    const struct wal_row *row = &wal_rows[_i];
    CLEANUP_LABEL_WAL struct label_wal wal = { 0 };
    CLEANUP_FREE char *again = NULL, *prefix = NULL;
    int rc = label_wal_parse("chain", row->key, &wal);

    if (row->file == NULL) {
        ck_assert_int_eq(rc, ERROR_CORRUPT);
        ck_assert_ptr_null(wal.file);
        ck_assert_str_ne(error_text(), "");
        return;
    }
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_str_eq(wal.file, row->file);
    ck_assert_str_eq(wal.digest, DIGEST);
    ck_assert_int_eq(wal.sealed, row->sealed);
    again = label_wal("chain", wal.system_identifier, &wal.name, wal.digest, wal.sealed);
    ck_assert_str_eq(again, row->key);
    prefix = label_wal_file("chain", wal.system_identifier, &wal.name);
    ck_assert_int_eq(strncmp(prefix, row->key, strlen(prefix)), 0);
}
END_TEST

START_TEST(wal_is_laid_out_as_format_1_says)
{
    static const struct wal_name segment = { .file = WAL_SEGMENT, .timeline = 2, .log = 0x1A, .piece = 0xFF };
    static const struct wal_name history = { .file = WAL_HISTORY, .timeline = 2 };
    CLEANUP_FREE char *wals = label_wals("chain"), *cluster = label_wal_cluster("chain", SYSTEM);
    CLEANUP_FREE char *group = label_wal_group("chain", SYSTEM, &segment);
    CLEANUP_FREE char *histories = label_wal_group("chain", SYSTEM, &history);

    ck_assert_str_eq(wals, "chain/wal/");
    ck_assert_str_eq(cluster, "chain/wal/" SYSTEM "/");
    ck_assert_str_eq(group, "chain/wal/" SYSTEM "/00000002/000000020000001A/");
    ck_assert_str_eq(histories, "chain/wal/" SYSTEM "/00000002.history-");
}
END_TEST

static Suite *
label_suite(void)
{
    Suite *suite = suite_create("label");
    TCase *ids = tcase_create("ids"), *keys = tcase_create("keys"), *names = tcase_create("names");
    TCase *wal = tcase_create("wal");

    tcase_add_loop_test(ids, an_id_is_a_time_and_a_job_and_nothing_else, 0, ARRAY_LEN(id_rows));
    tcase_add_test(ids, an_id_comes_back_as_it_was_made);
    suite_add_tcase(suite, ids);
    tcase_add_test(keys, keys_are_laid_out_as_format_1_says);
    tcase_add_loop_test(keys, only_our_own_keys_are_taken, 0, ARRAY_LEN(key_rows));
    suite_add_tcase(suite, keys);
    tcase_add_loop_test(names, a_member_is_named_by_plain_bytes, 0, ARRAY_LEN(name_rows));
    tcase_add_test(names, equal_names_are_told_apart);
    tcase_add_test(names, names_that_differ_behind_the_cut_are_told_apart);
    tcase_add_test(names, the_longest_name_is_still_one);
    tcase_add_loop_test(names, an_object_is_a_plain_file_name, 0, ARRAY_LEN(object_rows));
    suite_add_tcase(suite, names);
    tcase_add_loop_test(wal, a_wal_file_has_one_key_and_no_other_is_taken, 0, ARRAY_LEN(wal_rows));
    tcase_add_test(wal, wal_is_laid_out_as_format_1_says);
    suite_add_tcase(suite, wal);
    return suite;
}

UNIT_MAIN(label_suite)
