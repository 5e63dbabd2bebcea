/* SPDX-License-Identifier: PostgreSQL
 *
 * Plain bytes out of files that pgcask did not write: by the real age and zstd
 * programs, cut, spoilt, or something else altogether.
 */
#include "config.h"

#include "pipeline/extract.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-age.h"
#include "unit-dir.h"
#include "unit-member.h"
#include "unit.h"

static char *in, *out; /* paths */
static struct age_identities *identities;

static void
setup(void)
{
    dir_make();
    in = dir_path("in");
    out = dir_path("out");
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
}

static void
teardown(void)
{
    age_identities_free(identities);
    free(in);
    free(out);
    dir_remove();
}

static int
unwrap(const struct age_identities *with, struct buf *ret_plain)
{
    CLEANUP_FD int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc;

    ck_assert_int_ge(fd, 0);
    rc = extract_foreign(in, with, fd);
    ret_plain->len = 0;
    ck_assert_int_eq(file_read(out, ret_plain), 0);
    return rc;
}

static void
put_in(const void *data, size_t len)
{
    ck_assert_int_eq(file_write(in, data, len), 0);
}

static void
comes_back(const char *data, size_t len)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_msg(unwrap(identities, &plain) == 0, "%s", error_text());
    ck_assert_uint_eq(plain.len, len);
    ck_assert_int_eq(memcmp(plain.data, data, len), 0);
}

static void
is_corrupt(const char *error)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_msg(unwrap(identities, &plain) == ERROR_CORRUPT, "error is '%s'", error_text());
    ck_assert_error_has("/in': ");
    if (error != NULL)
        ck_assert_error_has(error);
}

static void
sealed(const struct buf *plain, struct buf *file)
{
    CLEANUP(age_recipients_free) struct age_recipients *recipients = age_recipients_new();

    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    seal(recipients, plain, 100000, file);
}

static void
zstd_of(const struct buf *plain, struct buf *file)
{
    size_t bound = ZSTD_compressBound(plain->len);

    ck_assert_int_eq(buf_reserve(file, bound), 0);
    file->len = ZSTD_compress(file->data, bound, plain->data ? plain->data : "", plain->len, 1);
    ck_assert(!ZSTD_isError(file->len));
}

/* Around the chunks of age: 65536 bytes each. */
static const size_t sizes[] = { 0, 1, 3, 4, 65535, 65536, 65537, 131071, 131072, 131073, 200000 };

START_TEST(an_age_file_of_any_length_comes_back)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, sizes[_i]);
    sealed(&plain, &file);
    put_in(file.data, file.len);
    comes_back(plain.data ? plain.data : "", plain.len);
}
END_TEST

START_TEST(zstd_inside_of_age_is_taken_apart)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, sizes[_i]);
    zstd_of(&plain, &pressed);
    sealed(&pressed, &file);
    put_in(file.data, file.len);
    comes_back(plain.data ? plain.data : "", plain.len);
}
END_TEST

START_TEST(a_plain_zstd_file_comes_back)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, sizes[_i]);
    zstd_of(&plain, &pressed);
    put_in(pressed.data, pressed.len);
    comes_back(plain.data ? plain.data : "", plain.len);
}
END_TEST

START_TEST(zeros_that_swell_come_back)
{
    CLEANUP_FREE char *zeros = mem_zalloc(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);
    const struct buf plain = { .data = zeros, .len = FILE_LIMIT_BYTES / 4 * 3 };

    zstd_of(&plain, &pressed);
    put_in(pressed.data, pressed.len);
    comes_back(zeros, plain.len);
}
END_TEST

/* Blocks of odd lengths, no checksum behind them, several frames and a frame to be skipped. */
START_TEST(zstd_as_others_write_it_comes_back)
{
    static const char skipped[] = "\x5e\x2a\x4d\x18\x04\x00\x00\x00skip";
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);
    ZSTD_CStream *stream = ZSTD_createCStream();

    fill(&plain, 400000);
    ck_assert_int_eq(buf_reserve(&pressed, FILE_LIMIT_BYTES / 2), 0);
    for (size_t at = 0, turn = 0; at < plain.len; turn++) {
        size_t len = turn % 2 == 0 ? 100000 : 28000;
        ZSTD_inBuffer from = { plain.data + at, plain.len - at < len ? plain.len - at : len, 0 };
        ZSTD_outBuffer to = { pressed.data, FILE_LIMIT_BYTES / 2, pressed.len };
        ZSTD_EndDirective how = turn % 3 == 2 || at + from.size == plain.len ? ZSTD_e_end : ZSTD_e_flush;

        ck_assert_uint_eq(ZSTD_compressStream2(stream, &to, &from, how), 0);
        pressed.len = to.pos;
        at += from.size;
    }
    ck_assert_int_eq(buf_add(&pressed, skipped, sizeof skipped - 1), 0);
    (void)ZSTD_freeCStream(stream);
    put_in(pressed.data, pressed.len);
    comes_back(plain.data, plain.len);
}
END_TEST

/* ---- by the real programs ---- */

static const struct command_row {
    const char *command; /* in the directory: from plain to in */
    size_t times;        /* how often the bytes are in there */
} command_rows[] = {
    { "age -r " RECIPIENT " <plain >in", 1 },
    { "zstd -q -c plain | age -r " RECIPIENT " >in", 1 },
    { "zstd -q -c plain >in", 1 },
    { "zstd -q -19 --no-check -c plain >in", 1 },
    { "zstd -q -c plain >in; zstd -q -c plain >>in", 2 },
    { "age -r age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p -r " RECIPIENT " <plain >in", 1 },
};

START_TEST(files_of_the_age_and_zstd_programs_come_back)
{
    CLEANUP_FREE char *path = dir_path("plain"), *data = noise(300000);
    CLEANUP_FREE char *command = mem_printf("cd '%s' && %s", unit_dir, command_rows[_i].command);

    if (system("command -v age >/dev/null && command -v zstd >/dev/null") != 0) {
        (void)fprintf(stderr, "skip: needs the programs 'age' and 'zstd'\n");
        return;
    }
    memset(data + 50000, 'x', 50000); /* something to compress */
    memcpy(data + 150000, data, 150000);
    ck_assert_int_eq(file_write(path, data, 150000), 0);
    ck_assert_int_eq(system(command), 0);
    comes_back(data, 150000 * command_rows[_i].times);
}
END_TEST

/* ---- what is not whole ---- */

START_TEST(an_age_file_cut_anywhere_is_refused)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, 140000);
    sealed(&plain, &file);
    for (size_t len = 0; len < file.len; len += len < 300 || len + 50 > file.len ? 1 : 9973) {
        put_in(file.data, len);
        is_corrupt(NULL);
    }
    put_in(file.data, file.len - plain.len % 65536 - 16); /* between two chunks */
    is_corrupt(NULL);
    ck_assert_int_eq(buf_add(&file, "x", 1), 0);
    put_in(file.data, file.len); /* one byte too many */
    is_corrupt(NULL);
}
END_TEST

START_TEST(a_flipped_bit_of_an_age_file_is_found)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, 70000);
    sealed(&plain, &file);
    for (size_t at = 0; at < file.len; at += at < 300 || at + 20 > file.len ? 3 : 9973) {
        CLEANUP_BUF struct buf got = BUF_INIT(FILE_LIMIT_BYTES);
        int rc;

        file.data[at] ^= 1;
        put_in(file.data, file.len);
        rc = unwrap(identities, &got);
        ck_assert_msg(rc == ERROR_CORRUPT || rc == ERROR_USAGE, "byte %zu: code %d", at, rc); /* or no longer for us */
        file.data[at] ^= 1;
    }
}
END_TEST

START_TEST(a_zstd_file_cut_anywhere_is_refused)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, 140000);
    zstd_of(&plain, &pressed);
    for (size_t len = 0; len < pressed.len; len += len < 50 || len + 50 > pressed.len ? 1 : 9973) {
        put_in(pressed.data, len);
        is_corrupt(len < 4 ? "neither an age nor a zstd file" : "the zstd stream is cut short");
    }
    ck_assert_int_eq(buf_add(&pressed, "x", 1), 0);
    put_in(pressed.data, pressed.len);
    is_corrupt(NULL);
}
END_TEST

START_TEST(zstd_cut_inside_of_a_whole_age_file_is_refused)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf pressed = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, 140000);
    zstd_of(&plain, &pressed);
    pressed.len /= 2;
    sealed(&pressed, &file);
    put_in(file.data, file.len);
    is_corrupt("the zstd stream is cut short");
}
END_TEST

/* ---- something else ---- */

static const char *const garbage[] = {
    "",
    "x",
    "PGDMP\x01\x0e",                       /* a plain archive */
    "age-encryption.org/v2\n",
    "age-encryption.org/v1",
    "-----BEGIN AGE ENCRYPTED FILE-----\n", /* armored: age -d takes that */
    "\x28\xb5\x2f",                        /* three bytes of zstd */
    "\x1f\x8b\x08 gzip",
};

START_TEST(other_files_are_refused)
{
    put_in(garbage[_i], strlen(garbage[_i]));
    is_corrupt("neither an age nor a zstd file");
}
END_TEST

START_TEST(rubbish_behind_the_magic_of_zstd_is_refused)
{
    put_in("\x28\xb5\x2f\xfdrubbish and more rubbish", 29);
    is_corrupt("not valid zstd");
}
END_TEST

START_TEST(a_file_for_others_is_refused)
{
    CLEANUP(age_identities_free) struct age_identities *other = age_identities_new();
    CLEANUP(secret_free) struct secret *secret = NULL;
    CLEANUP_FREE char *recipient = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_int_eq(age_key_generate(&secret, &recipient), 0);
    ck_assert_int_eq(age_identities_add(other, secret_text(secret)), 0);
    fill(&plain, 1000);
    sealed(&plain, &file);
    put_in(file.data, file.len);
    ck_assert_int_eq(unwrap(other, &plain), ERROR_USAGE);
    ck_assert_error_has(recipient); /* the key that was tried */
    ck_assert_uint_eq(plain.len, 0);
    ck_assert_int_eq(unwrap(NULL, &plain), ERROR_USAGE);
    ck_assert_error_has("it is encrypted, and there is no identity");
    ck_assert_uint_eq(plain.len, 0);
}
END_TEST

START_TEST(a_missing_file_is_an_error)
{
    ck_assert_int_eq(extract_foreign(in, identities, STDOUT_FILENO), PGCASK_FAILED);
    ck_assert_error_has("/in'");
    ck_assert_int_eq(extract_foreign(unit_dir, identities, STDOUT_FILENO), PGCASK_FAILED); /* a directory */
    ck_assert_error_has(unit_dir);
}
END_TEST

START_TEST(a_dash_is_stdin)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_FD int kept = dup(STDIN_FILENO);
    CLEANUP_FD int from = -1;
    CLEANUP_FD int to = open(out, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc;

    ck_assert_int_eq(buf_adds(&plain, "bytes"), 0);
    sealed(&plain, &file);
    put_in(file.data, file.len);
    from = open(in, O_RDONLY | O_CLOEXEC);
    ck_assert(kept >= 0 && from >= 0 && to >= 0);
    ck_assert_int_eq(dup2(from, STDIN_FILENO), STDIN_FILENO);
    rc = extract_foreign("-", identities, to);
    ck_assert_int_eq(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(rc, 0);
    plain.len = 0;
    ck_assert_int_eq(file_read(out, &plain), 0);
    ck_assert_str_eq(plain.data, "bytes");
}
END_TEST

static Suite *
extract_foreign_suite(void)
{
    Suite *suite = suite_create("extract-foreign");
    TCase *whole = tcase_create("whole"), *spoilt = tcase_create("spoilt");

    tcase_add_checked_fixture(whole, setup, teardown);
    tcase_set_timeout(whole, 60);
    tcase_add_loop_test(whole, an_age_file_of_any_length_comes_back, 0, ARRAY_LEN(sizes));
    tcase_add_loop_test(whole, zstd_inside_of_age_is_taken_apart, 0, ARRAY_LEN(sizes));
    tcase_add_loop_test(whole, a_plain_zstd_file_comes_back, 0, ARRAY_LEN(sizes));
    tcase_add_test(whole, zeros_that_swell_come_back);
    tcase_add_test(whole, zstd_as_others_write_it_comes_back);
    tcase_add_loop_test(whole, files_of_the_age_and_zstd_programs_come_back, 0, ARRAY_LEN(command_rows));
    tcase_add_test(whole, a_dash_is_stdin);
    suite_add_tcase(suite, whole);
    tcase_add_checked_fixture(spoilt, setup, teardown);
    tcase_set_timeout(spoilt, 60);
    tcase_add_test(spoilt, an_age_file_cut_anywhere_is_refused);
    tcase_add_test(spoilt, a_flipped_bit_of_an_age_file_is_found);
    tcase_add_test(spoilt, a_zstd_file_cut_anywhere_is_refused);
    tcase_add_test(spoilt, zstd_cut_inside_of_a_whole_age_file_is_refused);
    tcase_add_loop_test(spoilt, other_files_are_refused, 0, ARRAY_LEN(garbage));
    tcase_add_test(spoilt, rubbish_behind_the_magic_of_zstd_is_refused);
    tcase_add_test(spoilt, a_file_for_others_is_refused);
    tcase_add_test(spoilt, a_missing_file_is_an_error);
    suite_add_tcase(suite, spoilt);
    return suite;
}

UNIT_MAIN(extract_foreign_suite)
