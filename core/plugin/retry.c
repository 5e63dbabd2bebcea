/* SPDX-License-Identifier: PostgreSQL
 *
 * Back-off with full jitter: the pause is a random share of a ceiling that
 * doubles, so that many clients of a server in trouble do not come back at once.
 */
#include "config.h"

#include "plugin/retry.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <sys/random.h>

enum { RETRY_FIRST_MS = 100 };

int64_t
retry_ceiling_ms(unsigned try, int64_t max_ms)
{
    int64_t ceiling = RETRY_FIRST_MS;

    while (--try > 0 && ceiling < max_ms)
        ceiling = ceiling < max_ms / 2 ? ceiling * 2 : max_ms;
    return ceiling < max_ms ? ceiling : max_ms;
}

static int64_t
retry_pause_ms(unsigned try, int64_t max_ms)
{
    int64_t ceiling = retry_ceiling_ms(try, max_ms);
    uint64_t random;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = UINT64_MAX / 2; /* a machine that has just started: without jitter, then */
    return ceiling > 0 ? (int64_t)(random % ((uint64_t)ceiling + 1)) : 0;
}

bool
retry_again(struct retry *retry, const char *who, const char *what, int *code)
{
    int64_t pause_ms;
    int rc;

    retry->tries++;
    if (*code != PGCASK_RETRY) {
        if (*code == PGCASK_FAILED)
            *code = cancel_or(PGCASK_FAILED);
        return false;
    }
    if (retry->left <= 0) {
        retry->spent = true;
        if (retry->tries > 1)
            (void)error_context(PGCASK_FAILED, "given up after %u tries", retry->tries);
        *code = cancel_or(PGCASK_FAILED);
        return false;
    }
    retry->left--;
    pause_ms = retry_pause_ms(retry->tries, retry->max_ms);
    log_debug("%s: %s: %s; try %u follows in %" PRId64 " ms", who, what, error_text(), retry->tries + 1, pause_ms);
    rc = cancel_sleep_ms(pause_ms);
    if (rc < 0)
        *code = rc;
    return rc == 0;
}
