/* SPDX-License-Identifier: PostgreSQL
 *
 * What a service manager hears.
 */
#include "config.h"

#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit-dir.h"

/* A socket at `path`; '@' in front: of no file. */
static int
listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@')
        address.sun_path[0] = '\0';
    ck_assert_int_eq(
        bind(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
        0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    return fd;
}

static void
hears(int fd, const char *wanted)
{
    char text[200] = "";
    ssize_t len = recv(fd, text, sizeof text - 1, 0);

    ck_assert_int_eq(len, (ssize_t)strlen(wanted));
    ck_assert_str_eq(text, wanted);
}

START_TEST(a_state_is_one_datagram)
{
    CLEANUP_FREE char *path = _i == 0 ? dir_path("socket") : mem_printf("@%s/x", unit_dir);
    CLEANUP_FD int fd = listen_at(path);
    char none;

    notify_service("READY=1");
    notify_servicef("STATUS=%d of %s", 3, "4");
    hears(fd, "READY=1");
    hears(fd, "STATUS=3 of 4");
    ck_assert_int_eq(recv(fd, &none, 1, 0), -1);
}
END_TEST

static const char *const deaf[] = { NULL, "", "relative", "/nobody/is/there" };

START_TEST(nobody_need_listen)
{
    if (deaf[_i] == NULL)
        ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
    else
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", deaf[_i], 1), 0);
    notify_service("READY=1");
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_passed_over)
{
    char path[300];

    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    notify_service("READY=1");
}
END_TEST

static Suite *
notify_suite(void)
{
    Suite *suite = suite_create("notify");
    TCase *tcase = tcase_create("notify");

    tcase_add_checked_fixture(tcase, dir_make, dir_remove);
    tcase_add_loop_test(tcase, a_state_is_one_datagram, 0, 2);
    tcase_add_loop_test(tcase, nobody_need_listen, 0, ARRAY_LEN(deaf));
    tcase_add_test(tcase, a_path_that_no_socket_can_have_is_passed_over);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(notify_suite)
