/* SPDX-License-Identifier: PostgreSQL
 *
 * A tar stream in pieces: the same entries wherever it is cut, contents from where they lie, and no entry that could do
 * harm.
 */
#include "config.h"

#include "stage/untar.h"

#include <string.h>

#include "base/error.h"
#include "unit-tar.h"
#include "unit.h"

struct told {
    struct buf text;
    const unsigned char *data; /* contents must come from here */
    size_t len;
};

static int
told_begin(void *ctx, const struct untar_entry *entry)
{
    struct told *told = ctx;

    (void)buf_addf(&told->text, "%s %s %o %llu %s\n",
                   entry->type == UNTAR_FILE        ? "file"
                   : entry->type == UNTAR_DIRECTORY ? "dir"
                                                    : "link",
                   entry->name, entry->mode, (unsigned long long)entry->size,
                   entry->target != NULL ? entry->target : "-");
    return strcmp(entry->name, "stop") == 0 ? PGCASK_EXISTS : 0;
}

static int
told_bytes(void *ctx, const void *data, size_t len)
{
    struct told *told = ctx;
    const unsigned char *bytes = data;

    ck_assert_uint_gt(len, 0);
    ck_assert(bytes >= told->data && bytes + len <= told->data + told->len);
    return buf_add(&told->text, data, len);
}

static int
told_end(void *ctx)
{
    struct told *told = ctx;

    return buf_adds(&told->text, "|end\n");
}

static const struct untar_ops told_ops = { told_begin, told_bytes, told_end };

static int
read_in_steps(const struct buf *tar, size_t step, struct told *told)
{
    CLEANUP(untar_free) struct untar *untar = untar_new(&told_ops, told);
    int rc = 0;

    told->data = (const unsigned char *)tar->data;
    told->len = tar->len;
    for (size_t at = 0; rc == 0 && at < tar->len; at += step)
        rc = untar_add(untar, tar->data + at, tar->len - at < step ? tar->len - at : step);
    return rc < 0 ? rc : untar_end(untar);
}

static const size_t step_rows[] = { 1, 2, 511, 512, 513, 1000, 4096, 1 << 20 };

START_TEST(entries_are_the_same_wherever_it_is_cut)
{
    static const char wanted[] = "file backup_label 600 5 -\nlabel|end\n"
                                 "dir base 700 0 -\n"
                                 "file base/empty 640 0 -\n|end\n"
                                 "link pg_tblspc/16385 777 0 /srv/../elsewhere\n"
                                 "dir pg_wal 750 0 -\n"
                                 "file base/1 600 3 -\nabc|end\n";
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };

    tar_file(&tar, "backup_label", "label", 5);
    tar_add(&tar, "./", '5', "", 0700, "", 0); /* GNU tar's own "." is there already */
    tar_add(&tar, "base/", '5', "", 0700, "", 0);
    tar_add(&tar, "base/empty", '0', "", 0640, "", 0);
    tar_add(&tar, "pg_tblspc/16385", '2', "/srv/../elsewhere", 0777, "", 0);
    tar_add(&tar, "pg_wal", '5', "", 0750, "", 0);
    tar_add(&tar, "./base/1", '\0', "", 0100600, "abc", 3);
    if (_i % 2 == 0)
        tar_end(&tar); /* PostgreSQL 13 and 14 leave it away */
    ck_assert_int_eq(read_in_steps(&tar, step_rows[_i], &told), 0);
    ck_assert_str_eq(told.text.data, wanted);
    buf_free(&told.text);
}
END_TEST

START_TEST(names_of_a_hundred_and_of_prefixes)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };
    unsigned char block[TAR_BLOCK];
    char name[101];

    memset(name, 'n', 100);
    name[100] = '\0';
    tar_header(block, name, '0', "", 0600, 0);
    (void)buf_add(&tar, block, sizeof block);
    memset(block + 345, 'p', 155);
    tar_sum(block);
    (void)buf_add(&tar, block, sizeof block);
    ck_assert_int_eq(read_in_steps(&tar, 100, &told), 0);
    ck_assert_ptr_nonnull(strstr(told.text.data, "file nnnn"));
    ck_assert_ptr_nonnull(strstr(told.text.data, "pppp/nnnn"));
    ck_assert_uint_eq(strlen(told.text.data), 2 * strlen("file  600 0 -\n|end\n") + 100 + 256);
    buf_free(&told.text);
}
END_TEST

/* A file of more than 8 GiB is announced in base 256. */
START_TEST(sizes_beyond_octal)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };
    unsigned char block[TAR_BLOCK];

    tar_header(block, "huge", '0', "", 0600, UINT64_C(123456789012345));
    (void)buf_add(&tar, block, sizeof block);
    ck_assert_int_eq(read_in_steps(&tar, 512, &told), ERROR_CORRUPT); /* its bytes do not come */
    ck_assert_error_has("within an entry");
    ck_assert_str_eq(told.text.data, "file huge 600 123456789012345 -\n");
    buf_free(&told.text);
}
END_TEST

/* One byte of a good header of the file "name" changed, and the checksum made right again unless that is the byte. */
static const struct {
    int at;
    int value;
    int code;
    const char *part;
} header_rows[] = {
    { 148, '7', ERROR_CORRUPT, "wrong checksum" },
    { 148, 'x', ERROR_CORRUPT, "no checksum" },
    { 0, '/', ERROR_CORRUPT, "out of its directory" },
    { 0, '\0', ERROR_CORRUPT, "no name" },
    { 257, 'v', ERROR_CORRUPT, "no magic" },
    { 100, '8', ERROR_CORRUPT, "no mode" },
    { 124, 'x', ERROR_CORRUPT, "no size" },
    { 130, ' ', ERROR_CORRUPT, "no size" }, /* digits behind a blank */
    { 136, '9', ERROR_CORRUPT, "no time" },
    { 124, 0xFF, ERROR_CORRUPT, "no size" },  /* negative, or enormous */
    { 156, '1', PGCASK_UNSUPPORTED, "0x31" }, /* hard link */
    { 156, '3', PGCASK_UNSUPPORTED, "0x33" }, /* device */
    { 156, '6', PGCASK_UNSUPPORTED, "0x36" }, /* FIFO */
    { 156, 'x', PGCASK_UNSUPPORTED, "pax" },
    { 156, 'g', PGCASK_UNSUPPORTED, "pax" },
    { 156, 'L', PGCASK_UNSUPPORTED, "0x4C" },  /* GNU's long names */
    { 156, 'S', PGCASK_UNSUPPORTED, "0x53" },  /* sparse */
    { 156, '5', ERROR_CORRUPT, "is no file" }, /* a directory with contents */
    { 156, '2', ERROR_CORRUPT, "is no file" },
};

START_TEST(bad_headers_are_refused)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };
    unsigned char *block;
    int rc;

    tar_file(&tar, "n/ame", "abc", 3);
    block = (unsigned char *)tar.data;
    block[header_rows[_i].at] = (unsigned char)header_rows[_i].value;
    if (header_rows[_i].at != 148)
        tar_sum(block);
    rc = read_in_steps(&tar, 512, &told);
    ck_assert_int_eq(rc, header_rows[_i].code);
    if (header_rows[_i].part != NULL)
        ck_assert_error_has(header_rows[_i].part);
    ck_assert_uint_eq(told.text.len, 0);
    buf_free(&told.text);
}
END_TEST

static const char *const name_rows[] = { "/etc/cron.d/x", "../x",  "a/../../x", "a/..", "..",
                                         "a//b",          "a/./b", ".//etc",    "//" };

START_TEST(names_that_leave_are_refused)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };

    tar_file(&tar, name_rows[_i], "x", 1);
    ck_assert_int_eq(read_in_steps(&tar, 512, &told), ERROR_CORRUPT);
    ck_assert_error_has("out of its directory");
    ck_assert_uint_eq(told.text.len, 0);
    buf_free(&told.text);
}
END_TEST

START_TEST(a_link_leads_somewhere)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };

    tar_add(&tar, "link", '2', "", 0777, "", 0);
    ck_assert_int_eq(read_in_steps(&tar, 512, &told), ERROR_CORRUPT);
    ck_assert_error_has("leads nowhere");
    buf_free(&told.text);
}
END_TEST

/* A file of 600 bytes: header, two blocks. Cut anywhere but at the very end of it, something is missing. */
START_TEST(a_cut_stream_is_corrupt)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    char data[600] = { 0 };
    size_t whole;

    tar_file(&tar, "file", data, sizeof data);
    whole = tar.len;
    for (tar.len = 1; tar.len <= whole; tar.len++) {
        struct told told = { .text = BUF_INIT(1 << 20) };

        ck_assert_int_eq(read_in_steps(&tar, 512, &told), tar.len == whole ? 0 : ERROR_CORRUPT);
        buf_free(&told.text);
    }
    tar.len = whole;
}
END_TEST

START_TEST(nothing_may_follow_the_end)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };

    tar_end(&tar);
    tar_file(&tar, "late", "x", 1);
    ck_assert_int_eq(read_in_steps(&tar, 512, &told), ERROR_CORRUPT);
    ck_assert_error_has("behind the end");
    buf_free(&told.text);
}
END_TEST

START_TEST(what_the_taker_answers_ends_it)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1 << 20);
    struct told told = { .text = BUF_INIT(1 << 20) };

    tar_file(&tar, "stop", "x", 1);
    ck_assert_int_eq(read_in_steps(&tar, 4096, &told), PGCASK_EXISTS);
    ck_assert_str_eq(told.text.data, "file stop 600 1 -\n");
    buf_free(&told.text);
}
END_TEST

START_TEST(no_bytes_are_an_empty_tar)
{
    CLEANUP_BUF struct buf tar = BUF_INIT(1);
    struct told told = { .text = BUF_INIT(1 << 20) };

    ck_assert_int_eq(read_in_steps(&tar, 1, &told), 0);
    untar_free(NULL);
}
END_TEST

static Suite *
untar_suite(void)
{
    Suite *suite = suite_create("untar");
    TCase *tcase = tcase_create("untar");

    tcase_add_loop_test(tcase, entries_are_the_same_wherever_it_is_cut, 0, ARRAY_LEN(step_rows));
    tcase_add_test(tcase, names_of_a_hundred_and_of_prefixes);
    tcase_add_test(tcase, sizes_beyond_octal);
    tcase_add_loop_test(tcase, bad_headers_are_refused, 0, ARRAY_LEN(header_rows));
    tcase_add_loop_test(tcase, names_that_leave_are_refused, 0, ARRAY_LEN(name_rows));
    tcase_add_test(tcase, a_link_leads_somewhere);
    tcase_add_test(tcase, a_cut_stream_is_corrupt);
    tcase_add_test(tcase, nothing_may_follow_the_end);
    tcase_add_test(tcase, what_the_taker_answers_ends_it);
    tcase_add_test(tcase, no_bytes_are_an_empty_tar);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(untar_suite)
