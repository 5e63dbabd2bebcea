/* SPDX-License-Identifier: PostgreSQL
 *
 * The bucket's lifecycle rules: ours is added or replaced, those of others stay as they are.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

#define RULES(more) "<LifecycleConfiguration" S3_XMLNS ">" more "</LifecycleConfiguration>"
#define OURS_WITH(filter, status, days, class)                                                                         \
    "<Rule><ID>pgcask-cold-some/where/</ID><Filter>" filter "</Filter><Status>" status                                 \
    "</Status><Transition><Days>" days "</Days><StorageClass>" class "</StorageClass></Transition></Rule>"
#define TAG "<Tag><Key>pgcask-tier</Key><Value>cold</Value></Tag>"
#define FILTER "<And><Prefix>some/where/</Prefix>" TAG "</And>"
#define OURS OURS_WITH(FILTER, "Enabled", "30", "GLACIER")
/* Somebody else's, with all that XML has to offer. */
#define THEIRS1                                                                                                        \
    "\n  <Rule >\n <ID>pgcask-cold-some/where/x</ID><!-- <ID>pgcask-cold-some/where/</ID> -->\t<Prefix/>"              \
    "<Status>Enabled</Status><Expiration><Days>7</Days></Expiration></Rule>\n"
#define THEIRS2                                                                                                        \
    "<Rule><Filter><Tag><Key>a&amp;b</Key><Value><![CDATA[</Rule>]]></Value></Tag></Filter><ID>tmp&#x41;</ID>"         \
    "<Status>Disabled</Status></Rule>"

static struct pgcask_check check;

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
    s3->later_class = "GLACIER";
    s3->later_days = 30;
    check = (struct pgcask_check){ .fix = true };
}

/* ---- only looking ---- */

static const struct {
    struct unit_answer answer;
    int rc;
    const char *told; /* or the error */
} looks[] = {
    { { 200, RULES(OURS) }, 0, "0 lifecycle rule 'pgcask-cold-some/where/' moves members to GLACIER after 30 days" },
    { { 200, RULES(THEIRS1 OURS THEIRS2) }, 0, "0 lifecycle rule" },
    { { 200, "<?xml version=\"1.0\"?>\n" RULES(OURS) "\n" }, 0, "0 lifecycle rule" },
    { { 200, RULES(OURS_WITH("<And>" TAG "<Prefix>some/where/</Prefix></And>", "Enabled", "30", "GLACIER")) },
      0,
      "0 " },
    { { 404, S3_ERROR_TEXT("NoSuchLifecycleConfiguration") },
      0,
      "3 there is no lifecycle rule 'pgcask-cold-some/where/', so nothing" },
    { { 200, RULES("") }, 0, "3 there is no lifecycle rule" },
    { { 200, RULES(THEIRS1 THEIRS2) }, 0, "3 there is no lifecycle rule" },
    { { 200, RULES(OURS_WITH(FILTER, "Disabled", "30", "GLACIER")) },
      0,
      "3 lifecycle rule 'pgcask-cold-some/where/' does not say" },
    { { 200, RULES(OURS_WITH(FILTER, "Enabled", "31", "GLACIER")) }, 0, "3 lifecycle rule" },
    { { 200, RULES(OURS_WITH(FILTER, "Enabled", "30", "DEEP_ARCHIVE")) }, 0, "3 lifecycle rule" },
    { { 200, RULES(OURS_WITH(TAG, "Enabled", "30", "GLACIER")) }, 0, "3 lifecycle rule" }, /* of the whole bucket */
    { { 200, RULES(OURS_WITH("<Prefix>some/where/</Prefix>", "Enabled", "30", "GLACIER")) }, 0, "3 lifecycle rule" },
    { { 200, RULES(OURS_WITH("<And><Prefix>some/</Prefix>" TAG "</And>", "Enabled", "30", "GLACIER")) }, 0, "3 " },
    { { 200,
        RULES(OURS_WITH("<And><Prefix>some/where/</Prefix><Tag><Key>pgcask-tier</Key><Value>hot</Value></Tag></And>",
                        "Enabled", "30", "GLACIER")) },
      0,
      "3 " },
    { { 200, "" }, PGCASK_FAILED, "the bucket's lifecycle rules: not XML" },
    { { 200, "<LifecycleConfiguration><Rule>" }, PGCASK_FAILED, "not XML" },
    { { 404, "<html>no such page</html>" }, PGCASK_NOT_FOUND, "reading the lifecycle rules of bucket 'bucket'" },
    { { 404, S3_ERROR_TEXT("NoSuchBucket") }, PGCASK_FAILED, "there is no such bucket" },
    { { 403, S3_ERROR_TEXT("AccessDenied") },
      PGCASK_FAILED,
      "reading the lifecycle rules of bucket 'bucket': access denied" },
    { { 501, S3_ERROR_TEXT("NotImplemented") }, PGCASK_UNSUPPORTED, "the server cannot do that" },
    { { UNIT_DROP }, PGCASK_RETRY, "" },
};

START_TEST(the_rule_is_looked_for)
{
    CLEANUP_FREE char *told = NULL;

    check.fix = false;
    UNIT_HTTP_SAY(&server, looks[_i].answer);
    ck_assert_code(s3_lifecycle_check(s3, &check), looks[_i].rc);
    told = check_told(&check);
    ck_assert_asked("GET /bucket?lifecycle= ");
    if (looks[_i].rc < 0)
        ck_assert_error_has(looks[_i].told);
    else
        ck_assert_msg(strncmp(told, looks[_i].told, strlen(looks[_i].told)) == 0, "'%s'", told);
}
END_TEST

/* ---- mending ---- */

static const struct {
    const char *before; /* NULL: none */
    const char *after;
} merges[] = {
    { NULL, RULES(OURS) },
    { RULES(""), RULES(OURS) },
    { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" RULES("\n") "\n",
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" RULES("\n" OURS) },
    /* theirs, byte for byte */
    { RULES(THEIRS1 THEIRS2), RULES(THEIRS1 THEIRS2 OURS) },
    { RULES(THEIRS2 "<!-- </LifecycleConfigurations> -->" THEIRS2),
      RULES(THEIRS2 "<!-- </LifecycleConfigurations> -->" THEIRS2 OURS) },
    /* ours, as it was once */
    { RULES(OURS_WITH(FILTER, "Enabled", "90", "DEEP_ARCHIVE")), RULES(OURS) },
    { RULES(THEIRS2 OURS_WITH(TAG, "Disabled", "30", "GLACIER") THEIRS1), RULES(THEIRS2 THEIRS1 OURS) },
    { RULES("<Rule><Status>Enabled</Status><ID>pgcask-cold-some/where/</ID></Rule>" THEIRS2), RULES(THEIRS2 OURS) },
};

START_TEST(the_rule_is_added_or_replaced)
{
    struct unit_answer before = { 404, S3_ERROR_TEXT("NoSuchLifecycleConfiguration") };
    CLEANUP_FREE char *told = NULL;

    if (merges[_i].before != NULL)
        before = (struct unit_answer){ 200, merges[_i].before };
    UNIT_HTTP_SAY(&server, before, { 200 }, { 200, merges[_i].after });
    ck_assert_ok(s3_lifecycle_check(s3, &check));
    ck_assert_asked("GET /bucket?lifecycle= ", "PUT /bucket?lifecycle= ", "GET /bucket?lifecycle= ");
    ck_assert_str_eq(asked_body(1), merges[_i].after);
    ck_assert_has(asked(1), "\r\ncontent-md5: ");
    ck_assert_lacks(asked(1), "minimum-object-size");
    told = check_told(&check);
    ck_assert_str_eq(told, "1 lifecycle rule 'pgcask-cold-some/where/' moves members to GLACIER after 30 days\n");
}
END_TEST

static const struct {
    const char *before;
    int rc;
    const char *error;
} odd[] = {
    /* what cannot be kept as it is is not touched */
    { "<LifecycleConfiguration/>", PGCASK_UNSUPPORTED, "not in a form that a rule can be added to" },
    { "<l:LifecycleConfiguration xmlns:l=\"urn:x\"><l:Rule/></l:LifecycleConfiguration>", PGCASK_UNSUPPORTED,
      "not in a form" },
    { "<LifecycleConfiguration></LifecycleConfiguration >", PGCASK_UNSUPPORTED, "not in a form" },
    { "<Other></Other>", PGCASK_UNSUPPORTED, "not in a form" },
    { RULES("<!-- </LifecycleConfiguration> -->" THEIRS2), PGCASK_FAILED, "" },
    { RULES("<Rule><Filter><![CDATA[</LifecycleConfiguration>]]></Filter></Rule>"), PGCASK_FAILED, "" },
    { RULES("<Rule><ID>pgcask-cold-some&#x2f;where/</ID></Rule>"), PGCASK_FAILED,
      "1 lifecycle rules would give 2" }, /* ours, unseen */
    { RULES("<Rule ><ID>pgcask-cold-some/where/</ID></Rule>" THEIRS2), PGCASK_FAILED, "would give 3" },
    { RULES("<Rule><ID>pgcask-cold-some/where/</ID></Rule><Rule><ID>pgcask-cold-some/where/</ID></Rule>"),
      PGCASK_FAILED, "would give" },
    /* a mention of ours in a rule of somebody else */
    { RULES("<Rule><ID>theirs</ID><!--<ID>pgcask-cold-some/where/</ID>--></Rule><Rule><ID>pgcask-cold-some/where/</"
            "ID></Rule>"),
      PGCASK_FAILED, "would give" },
    { RULES("<Rule><ID>theirs</ID><Filter><Tag><ID>pgcask-cold-some/where/</ID></Tag></Filter></Rule>"
            "<Rule><ID>pgcask-cold-some/where/</ID></Rule>"),
      PGCASK_FAILED, "would give" },
};

START_TEST(rules_in_an_odd_form_are_left_alone)
{
    UNIT_HTTP_SAY(&server, { 200, odd[_i].before }, { 200 });
    ck_assert_code(s3_lifecycle_check(s3, &check), odd[_i].rc);
    ck_assert_error_has(odd[_i].error);
    ck_assert_asked("GET ");
    free(check_told(&check));
}
END_TEST

START_TEST(a_bucket_without_a_prefix_has_one_rule_for_all)
{
    s3_close(s3);
    settings.prefix = NULL;
    open_s3();
    s3->later_class = "DEEP_ARCHIVE";
    s3->later_days = 1;
    UNIT_HTTP_SAY(&server, { 200, RULES("") }, { 200 }, { 200, RULES("") });
    ck_assert_ok(s3_lifecycle_check(s3, &check));
    ck_assert_str_eq(asked_body(1),
                     RULES("<Rule><ID>pgcask-cold-all</ID><Filter>" TAG "</Filter><Status>Enabled</Status><Transition>"
                           "<Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>"));
    free(check_told(&check));
}
END_TEST

START_TEST(what_stands_beside_the_rules_is_sent_back_too)
{
    UNIT_HTTP_SAY(
        &server, { 200, RULES(THEIRS2), "x-amz-transition-default-minimum-object-size: varies_by_storage_class" },
        { 200 }, { 200, RULES(THEIRS2 OURS), "x-amz-transition-default-minimum-object-size: varies_by_storage_class" });
    ck_assert_ok(s3_lifecycle_check(s3, &check));
    ck_assert_has(asked(1), "\r\nx-amz-transition-default-minimum-object-size: varies_by_storage_class\r\n");
    free(check_told(&check));
}
END_TEST

static const struct {
    struct unit_answer put, get;
    int rc;
    const char *told; /* or the error */
} ends[] = {
    { { 200 }, { 200, RULES(OURS THEIRS2) }, 0, "1 " },                           /* in another order */
    { { 200 }, { 200, RULES(OURS) }, 0, "3 the server took the lifecycle rule" }, /* theirs is gone */
    { { 200 }, { 200, RULES(THEIRS2) }, 0, "3 the server took the lifecycle rule" },
    { { 200 }, { 200, RULES(THEIRS2 OURS_WITH(FILTER, "Enabled", "31", "GLACIER")) }, 0, "3 the server took" },
    { { 200 }, { 404, S3_ERROR_TEXT("NoSuchLifecycleConfiguration") }, 0, "3 the server took" },
    { { 200 }, { 503 }, PGCASK_RETRY, "reading the lifecycle rules" },
    { { 403, S3_ERROR_TEXT("AccessDenied") },
      { 0 },
      PGCASK_FAILED,
      "setting the lifecycle rules of bucket 'bucket': access denied" },
    { { 400, S3_ERROR_TEXT("MalformedXML") }, { 0 }, PGCASK_FAILED, "MalformedXML: the words of it" },
    { { UNIT_DROP }, { 0 }, PGCASK_RETRY, "" },
};

START_TEST(the_rule_is_believed_when_it_is_seen)
{
    CLEANUP_FREE char *told = NULL;

    UNIT_HTTP_SAY(&server, { 200, RULES(THEIRS2) }, ends[_i].put, ends[_i].get);
    ck_assert_code(s3_lifecycle_check(s3, &check), ends[_i].rc);
    told = check_told(&check);
    if (ends[_i].rc < 0)
        ck_assert_error_has(ends[_i].told);
    else
        ck_assert_msg(strncmp(told, ends[_i].told, strlen(ends[_i].told)) == 0, "'%s'", told);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-lifecycle");
    TCase *tcase = tcase_create("lifecycle");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_loop_test(tcase, the_rule_is_looked_for, 0, ARRAY_LEN(looks));
    tcase_add_loop_test(tcase, the_rule_is_added_or_replaced, 0, ARRAY_LEN(merges));
    tcase_add_loop_test(tcase, rules_in_an_odd_form_are_left_alone, 0, ARRAY_LEN(odd));
    tcase_add_test(tcase, a_bucket_without_a_prefix_has_one_rule_for_all);
    tcase_add_test(tcase, what_stands_beside_the_rules_is_sent_back_too);
    tcase_add_loop_test(tcase, the_rule_is_believed_when_it_is_seen, 0, ARRAY_LEN(ends));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
