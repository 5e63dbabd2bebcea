/* SPDX-License-Identifier: PostgreSQL
 *
 * The outcome of a verify: a small object of its own, whose name says it all.
 */
#include "config.h"

#include "pipeline/verify.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "catalog/label.h"
#include "unit-fake.h"
#include "unit-manifest.h"
#include "unit.h"

#define RUN "20261122T020000Z-daily"

static struct fake *fake;
static struct manifest *manifest;

static void
setup(void)
{
    fake = fake_opened("one");
    manifest = made_empty("chain", RUN);
}

static void
teardown(void)
{
    manifest_free(manifest);
    fake_free(fake);
}

static const struct {
    enum verify_depth depth;
    const char *word;
} depth_rows[] = {
    { VERIFY_STORED, "stored" },
    { VERIFY_PLAIN, "plain" },
    { VERIFY_CONFIRMED, "confirmed" },
};

START_TEST(the_outcome_is_an_object_of_its_own)
{
    CLEANUP_JSON json_t *json = NULL;
    const char *problem = _i % 2 == 0 ? NULL : "it \"smells\"", *text;
    const struct fake_object *object;
    struct label_key key;
    size_t before = fake->len;
    bool is_good;

    ck_assert_int_eq(verify_record(fake->storage, manifest, depth_rows[_i / 2].depth, problem), 0);
    ck_assert_uint_eq(fake->len, before + 1);
    object = &fake->objects[before];
    ck_assert_int_eq(label_key_parse("chain", object->key, &key), 0);
    ck_assert_str_eq(key.id, RUN);
    ck_assert(key.verdict);
    ck_assert_int_eq(key.good, problem == NULL);
    free(key.id);
    ck_assert_int_eq(json_read("verdict", object->data, object->len, &json), 0);
    ck_assert_int_eq(json_need_bool(json, "good", &is_good), 0);
    ck_assert_int_eq(is_good, problem == NULL);
    ck_assert_int_eq(json_need_string(json, "backup", &text), 0);
    ck_assert_str_eq(text, RUN);
    ck_assert_int_eq(json_need_string(json, "depth", &text), 0);
    ck_assert_str_eq(text, depth_rows[_i / 2].word);
    ck_assert_int_eq(json_want_string(json, "problem", &text), 0);
    ck_assert_pstr_eq(text, problem);
}
END_TEST

START_TEST(two_outcomes_in_one_second_are_no_trouble)
{
    ck_assert_int_eq(verify_record(fake->storage, manifest, VERIFY_PLAIN, NULL), 0);
    ck_assert_msg(verify_record(fake->storage, manifest, VERIFY_STORED, NULL) == 0, "%s", error_text());
}
END_TEST

START_TEST(an_outcome_that_cannot_be_stored_is_an_error)
{
    fake->refuse = "verdict-";
    ck_assert_int_eq(verify_record(fake->storage, manifest, VERIFY_PLAIN, NULL), PGCASK_FAILED);
    ck_assert_error_has("store 'one': no answer for 'chain/backup/" RUN "/verdict-");
}
END_TEST

static Suite *
verdict_suite(void)
{
    Suite *suite = suite_create("verdict");
    TCase *verdicts = tcase_create("all");

    tcase_add_checked_fixture(verdicts, setup, teardown);
    tcase_add_loop_test(verdicts, the_outcome_is_an_object_of_its_own, 0, 2 * ARRAY_LEN(depth_rows));
    tcase_add_test(verdicts, two_outcomes_in_one_second_are_no_trouble);
    tcase_add_test(verdicts, an_outcome_that_cannot_be_stored_is_an_error);
    suite_add_tcase(suite, verdicts);
    return suite;
}

UNIT_MAIN(verdict_suite)
