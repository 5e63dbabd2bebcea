/* SPDX-License-Identifier: PostgreSQL
 *
 * How long credentials are kept, and what many threads at once make of it.
 */
#include "config.h"

#include "unit-credentials.h"

/* ---- when ---- */

START_TEST(keys_are_renewed_five_minutes_before_their_end)
{
    CLEANUP_FREE char *first = aws_document_text("1", 3600);
    CLEANUP_FREE char *second = aws_document_text("2", 7200);

    UNIT_HTTP_SAY(&server, { 200, first }, { 200, second });
    use_container();
    expect_got("1", true, "the container's endpoint");
    atomic_store(&clock_ahead_s, 3600 - 310);
    expect_got("1", true, "the container's endpoint");
    ck_assert_uint_eq(unit_http_count(&server), 1);
    atomic_store(&clock_ahead_s, 3600 - 290);
    expect_got("2", true, "the container's endpoint");
    expect_got("2", true, "the container's endpoint");
    ck_assert_uint_eq(unit_http_count(&server), 2);
}
END_TEST

START_TEST(old_keys_do_until_their_end_with_one_warning)
{
    CLEANUP_FREE char *first = aws_document_text("1", 3600);
    CLEANUP_FREE char *second = aws_document_text("2", 7200);
    CLEANUP_FREE char *said = NULL;
    struct talk talk;

    UNIT_HTTP_SAY(&server, { 200, first }, { 500 }, { 500 }, { 500 }, { 200, second });
    use_container();
    expect_got("1", true, "the container's endpoint");
    talk = talk_begin(STDERR_FILENO);
    atomic_store(&clock_ahead_s, 3600 - 290);
    expect_got("1", true, "the container's endpoint");
    expect_got("1", true, "the container's endpoint"); /* not asked again at once */
    ck_assert_uint_eq(unit_http_count(&server), 2);
    atomic_store(&clock_ahead_s, 3600 - 200);
    expect_got("1", true, "the container's endpoint");
    ck_assert_uint_eq(unit_http_count(&server), 3);
    atomic_store(&clock_ahead_s, 3600 + 1);
    ck_assert_int_eq(get(), PGCASK_RETRY);
    ck_assert_error_has("status 500");
    expect_got("2", true, "the container's endpoint");
    said = talk_end(&talk);
    ck_assert_has(said, "credentials from the container's endpoint could not be renewed yet");
    ck_assert_ptr_null(strstr(strstr(said, "renewed yet") + 1, "renewed yet"));
    aws_expect_no_secret(said);
}
END_TEST

START_TEST(keys_that_come_late_are_not_asked_for_at_each_use)
{
    CLEANUP_FREE char *first = aws_document_text("1", 120);
    CLEANUP_FREE char *second = aws_document_text("2", 7200);

    UNIT_HTTP_SAY(&server, { 200, first }, { 200, second });
    use_container();
    expect_got("1", true, "the container's endpoint");
    expect_got("1", true, "the container's endpoint");
    ck_assert_uint_eq(unit_http_count(&server), 1);
    atomic_store(&clock_ahead_s, 40);
    expect_got("2", true, "the container's endpoint");
}
END_TEST

START_TEST(keys_that_have_ended_before_they_come_are_refused)
{
    CLEANUP_FREE char *document = aws_document_text("1", -60);

    UNIT_HTTP_SAY(&server, { 200, document });
    use_container();
    ck_assert_int_eq(get(), PGCASK_RETRY);
    ck_assert_error_has("the container's endpoint gave keys that ended 6");
    ck_assert_has(error_cure(), "is the clock of this host right?");
}
END_TEST

START_TEST(keys_that_a_server_calls_expired_are_forgotten)
{
    CLEANUP_FREE char *first = aws_document_text("1", 3600);
    CLEANUP_FREE char *second = aws_document_text("2", 3600);
    struct aws_keys old;

    UNIT_HTTP_SAY(&server, { 200, first }, { 200, second });
    use_container();
    expect_got("1", true, "the container's endpoint");
    old = keys;
    keys = (struct aws_keys){ 0 };
    aws_credentials_expired(credentials, &old);
    expect_got("2", true, "the container's endpoint");
    aws_credentials_expired(credentials, &old); /* another thread that was slower */
    expect_got("2", true, "the container's endpoint");
    ck_assert_uint_eq(unit_http_count(&server), 2);
    aws_keys_free(&old);
}
END_TEST

START_TEST(expired_keys_of_a_file_are_read_again)
{
    put(".aws/credentials", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s3cr3t/1+=\n");
    expect_got("1", false, "the shared credentials file");
    put(".aws/credentials", "[default]\naws_access_key_id = AKIA2\naws_secret_access_key = s3cr3t/2+=\n");
    expect_got("1", false, "the shared credentials file");
    aws_credentials_expired(credentials, &keys);
    expect_got("2", false, "the shared credentials file");
}
END_TEST

START_TEST(a_source_that_had_keys_and_is_gone_may_come_back)
{
    CLEANUP_FREE char *path = dir_path(".aws/credentials");

    put(".aws/credentials", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s3cr3t/1+=\n");
    expect_got("1", false, "the shared credentials file");
    aws_credentials_expired(credentials, &keys);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(get(), PGCASK_RETRY);
    ck_assert_error_has("no more credentials from the shared credentials file: ");
}
END_TEST

/* ---- threads ---- */

enum {
    THREADS = 8,
    ROUNDS = 40,
    TURN_EVERY = 8,
    TURN_S = 31,
    RUN_S = THREADS * ROUNDS / TURN_EVERY * TURN_S, /* how far the clock is turned in all */
};

/* Each thread asks, and now and then finds that its keys have expired, as the clock runs. */
static void *
thread_run(void *ctx)
{
    unsigned number = *(unsigned *)ctx;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct aws_keys mine = { 0 };

        if (aws_credentials_get(credentials, &mine) < 0)
            return (void *)"no keys";
        if (strcmp(mine.access_key, "AKIA1") != 0 || strcmp(mine.session_token, "s3cr3t-token-1") != 0)
            return (void *)"wrong keys";
        if ((i + number) % TURN_EVERY == 0)
            aws_credentials_expired(credentials, &mine);
        if ((i + number) % TURN_EVERY == TURN_EVERY / 2)
            (void)atomic_fetch_add(&clock_ahead_s, TURN_S);
        aws_keys_free(&mine);
    }
    return NULL;
}

static void
threads_run(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *trouble;

        ck_assert_int_eq(pthread_join(threads[i], &trouble), 0);
        ck_assert_msg(trouble == NULL, "%s", (const char *)trouble);
    }
}

START_TEST(many_threads_ask_and_forget_at_once)
{
    CLEANUP_FREE char *document = aws_document_text("1", RUN_S + 100); /* renewed on the way */

    UNIT_HTTP_SAY(&server, { 200, document, .again = true });
    use_container();
    credentials = aws_credentials_new(&settings, http);
    threads_run(thread_run);
}
END_TEST

static void *
thread_ask_once(void *ctx)
{
    struct aws_keys mine = { 0 };

    (void)ctx;
    if (aws_credentials_get(credentials, &mine) < 0)
        return (void *)"no keys";
    aws_keys_free(&mine);
    return NULL;
}

START_TEST(one_thread_fetches_and_the_others_wait)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);

    UNIT_HTTP_SAY(&server, { 200, document });
    use_container();
    credentials = aws_credentials_new(&settings, http);
    threads_run(thread_ask_once);
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

static Suite *
aws_renewal_suite(void)
{
    Suite *suite = suite_create("aws-renewal");
    TCase *tcase = tcase_create("aws-renewal");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, keys_are_renewed_five_minutes_before_their_end);
    tcase_add_test(tcase, old_keys_do_until_their_end_with_one_warning);
    tcase_add_test(tcase, keys_that_come_late_are_not_asked_for_at_each_use);
    tcase_add_test(tcase, keys_that_have_ended_before_they_come_are_refused);
    tcase_add_test(tcase, keys_that_a_server_calls_expired_are_forgotten);
    tcase_add_test(tcase, expired_keys_of_a_file_are_read_again);
    tcase_add_test(tcase, a_source_that_had_keys_and_is_gone_may_come_back);
    tcase_add_test(tcase, many_threads_ask_and_forget_at_once);
    tcase_add_test(tcase, one_thread_fetches_and_the_others_wait);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_renewal_suite)
