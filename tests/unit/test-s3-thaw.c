/* SPDX-License-Identifier: PostgreSQL
 *
 * Asking for cold objects.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

#define COLD                                                                                                           \
    {                                                                                                                  \
        200, "x", "x-amz-storage-class: GLACIER"                                                                       \
    }

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = s3->thaws = S3_YES;
    s3->cold_class = "GLACIER";
}

static const struct {
    struct unit_answer answers[3];
    size_t count;
    int rc;
    const char *error;
} thaws[] = {
    /* not cold, or not any more, or on its way */
    { { { 200, "x" } }, 1, 0, "" },
    { { { 200, "x", "x-amz-restore: ongoing-request=\"false\"" } }, 1, 0, "" },
    { { { 200, "x", "x-amz-restore: ongoing-request=\"true\"" } }, 1, PGCASK_COLD, "on its way out of cold storage" },
    { { { 404 } }, 1, PGCASK_NOT_FOUND, "there is no such object" },
    /* asked for */
    { { COLD, { 202 } },
      2,
      PGCASK_COLD,
      "'key' is on its way out of cold storage (standard), which takes 3 to 5 hours" },
    { { COLD, { 200 } }, 2, PGCASK_COLD, "on its way" }, /* the server thinks it is thawed: the next look tells */
    { { COLD, { 409, S3_ERROR_TEXT("RestoreAlreadyInProgress") } }, 2, PGCASK_COLD, "on its way" },
    /* refused */
    { { COLD, { 403, S3_ERROR_TEXT("AccessDenied") } }, 2, PGCASK_FAILED, "thawing 'key': access denied" },
    { { COLD, { 403, S3_ERROR_TEXT("InvalidObjectState") } },
      2,
      PGCASK_FAILED,
      "thawing 'key'" }, /* it would stay so */
    { { COLD, { 503, S3_ERROR_TEXT("GlacierExpeditedRetrievalNotAvailable") } }, 2, PGCASK_FAILED, "no capacity" },
    { { COLD, { 409, S3_ERROR_TEXT("OperationAborted") } }, 2, PGCASK_RETRY, "somebody else changes the same" },
    { { COLD, { 503 } }, 2, PGCASK_RETRY, "not available" },
    { { COLD, { UNIT_DROP } }, 2, PGCASK_RETRY, "" },
    /* the server knows no thawing: what can be read is not cold */
    { { COLD, { 501, S3_ERROR_TEXT("NotImplemented") }, { 206, "x", "Content-Range: bytes 0-0/1" } }, 3, 0, "" },
    { { COLD, { 501 }, { 403, S3_ERROR_TEXT("InvalidObjectState") } }, 3, PGCASK_COLD, "must be thawed" },
    { { COLD, { 501 }, { 503 } }, 3, PGCASK_RETRY, "reading 'key'" },
};

START_TEST(a_cold_object_is_asked_for)
{
    unit_http_script(&server, thaws[_i].answers, thaws[_i].count);
    ck_assert_code(s3_thaw(s3, "key", 7, "standard"), thaws[_i].rc);
    if (thaws[_i].rc < 0)
        ck_assert_msg(strstr(error_text(), thaws[_i].error) != NULL ||
                          (error_cure() != NULL && strstr(error_cure(), thaws[_i].error) != NULL),
                      "%s", error_text());
    ck_assert_uint_eq(unit_http_count(&server), thaws[_i].count);
    if (thaws[_i].count > 1) {
        ck_assert_int_eq(strncmp(asked(1), "POST " S3_AT "key?restore= ", 32), 0);
        ck_assert_str_eq(asked_body(1), "<RestoreRequest" S3_XMLNS "><Days>7</Days><GlacierJobParameters><Tier>Standard"
                                        "</Tier></GlacierJobParameters></RestoreRequest>");
    }
}
END_TEST

static const struct {
    struct unit_answer restore, read;
    enum s3_known thaws;
} lessons[] = {
    { { 202 }, { 0 }, S3_YES },
    { { 409, S3_ERROR_TEXT("RestoreAlreadyInProgress") }, { 0 }, S3_YES },
    { { 501 }, { 206, "x", "Content-Range: bytes 0-0/1" }, S3_NO },
    { { 501 }, { 403, S3_ERROR_TEXT("InvalidObjectState") }, S3_YES },
    { { 501 }, { 503 }, S3_UNKNOWN },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, { 0 }, S3_UNKNOWN },
    { { 503 }, { 0 }, S3_UNKNOWN },
};

START_TEST(what_the_answer_says_of_the_server_is_kept)
{
    s3->thaws = S3_UNKNOWN;
    /* looking at it tries to read it */
    UNIT_HTTP_SAY(&server, COLD, { 503 }, lessons[_i].restore, lessons[_i].read);
    (void)s3_thaw(s3, "key", 1, "standard");
    ck_assert_int_eq(strncmp(asked(2), "POST ", 5), 0);
    ck_assert_int_eq(s3->thaws, lessons[_i].thaws);
}
END_TEST

static const struct {
    const char *cold_class, *later_class, *tier;
    int rc;
    const char *name, *error;
} tiers[] = {
    { "GLACIER", NULL, "expedited", PGCASK_COLD, "<Tier>Expedited</Tier>", "1 to 5 minutes" },
    { "GLACIER", NULL, "bulk", PGCASK_COLD, "<Tier>Bulk</Tier>", "5 to 12 hours" },
    { "DEEP_ARCHIVE", NULL, "standard", PGCASK_COLD, "<Tier>Standard</Tier>", "12 hours" },
    { NULL, "DEEP_ARCHIVE", "bulk", PGCASK_COLD, "<Tier>Bulk</Tier>", "48 hours" },
    { NULL, NULL, "standard", PGCASK_COLD, "<Tier>Standard</Tier>",
      "3 to 5 hours" }, /* a class somebody else gave it */
    { "DEEP_ARCHIVE", NULL, "expedited", PGCASK_FAILED, NULL, "'expedited' is not to be had" },
    { NULL, "DEEP_ARCHIVE", "expedited", PGCASK_FAILED, NULL, "'expedited' is not to be had" },
    { "GLACIER", NULL, "fast", PGCASK_FAILED, NULL, "'fast' is not to be had" },
    { "GLACIER", NULL, "Standard", PGCASK_FAILED, NULL, "'Standard' is not to be had" },
};

START_TEST(a_tier_fits_the_class)
{
    s3->cold_class = tiers[_i].cold_class;
    s3->later_class = tiers[_i].later_class;
    UNIT_HTTP_SAY(&server, COLD, { 202 });
    ck_assert_code(s3_thaw(s3, "key", 1, tiers[_i].tier), tiers[_i].rc);
    ck_assert_error_has(tiers[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), tiers[_i].name != NULL ? 2 : 0);
    if (tiers[_i].name != NULL)
        ck_assert_has(asked_body(1), tiers[_i].name);
    else
        ck_assert_ptr_nonnull(error_cure());
}
END_TEST

START_TEST(an_empty_object_proves_nothing)
{
    s3->thaws = S3_YES;
    UNIT_HTTP_SAY(&server, { 200, "", "x-amz-storage-class: GLACIER" }, { 501 });
    ck_assert_ok(s3_thaw(s3, "key", 1, "standard"));
    ck_assert_uint_eq(unit_http_count(&server), 2);
    ck_assert_int_eq(s3->thaws, S3_YES);
}
END_TEST

static const struct {
    const char *storage_class;
    int days;
} minimums[] = {
    { "GLACIER", 90 }, { "GLACIER_IR", 90 }, { "DEEP_ARCHIVE", 180 }, { "STANDARD_IA", 0 }, { "", 0 },
};

START_TEST(the_shortest_paid_time_is_known)
{
    ck_assert_int_eq(s3_class_minimum_days(minimums[_i].storage_class), minimums[_i].days);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-thaw");
    TCase *tcase = tcase_create("thaw");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_loop_test(tcase, a_cold_object_is_asked_for, 0, ARRAY_LEN(thaws));
    tcase_add_loop_test(tcase, what_the_answer_says_of_the_server_is_kept, 0, ARRAY_LEN(lessons));
    tcase_add_loop_test(tcase, a_tier_fits_the_class, 0, ARRAY_LEN(tiers));
    tcase_add_test(tcase, an_empty_object_proves_nothing);
    tcase_add_loop_test(tcase, the_shortest_paid_time_is_known, 0, ARRAY_LEN(minimums));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
