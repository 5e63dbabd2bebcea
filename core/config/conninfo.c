/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings as libpq reads them, in both forms. No message and no text
 * made here holds a password: libpq's own messages quote what they stumble over,
 * and with a forgotten quote that is a piece of one.
 */
#include "config.h"

#include "config/settings.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { CONNINFO_LIMIT_BYTES = 4 * 1024 * 1024 /* above any INI file with every byte escaped */ };

/* May a piece of this text be a password? Said of text that libpq could not take apart. */
static bool
conninfo_may_hold_secret(const char *conninfo)
{
    return strcasestr(conninfo, "pass") != NULL || strcasestr(conninfo, "pwd") != NULL ||
           strchr(conninfo, '@') != NULL || strchr(conninfo, '%') != NULL;
}

/* libpq's list of key and value, to be freed with conninfo_free. */
static int
conninfo_parse(const char *conninfo, PQconninfoOption **ret_options)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);

    if (options != NULL) {
        *ret_options = options;
        return 0;
    }
    if (message == NULL || conninfo_may_hold_secret(conninfo))
        (void)error_set(ERROR_USAGE, "libpq cannot read this connection string (not shown: it may hold a password)");
    else
        (void)error_set(ERROR_USAGE, "%.*s", (int)strcspn(message, "\n"), message);
    PQfreemem(message);
    return error_hint(ERROR_USAGE,
                      "write host=… dbname=… user=…, with single quotes around a value that holds blanks, or a "
                      "postgresql:// URI with other characters than letters and digits as %%XX");
}

/* libpq marks what a program must not show, but not its newer keys and secrets for machines. */
static bool
conninfo_is_secret(const PQconninfoOption *option)
{
    return (option->dispchar != NULL && *option->dispchar == '*') || strstr(option->keyword, "secret") != NULL ||
           (strncmp(option->keyword, "scram_", 6) == 0 && strstr(option->keyword, "_key") != NULL);
}

static void
conninfo_free(PQconninfoOption *options)
{
    for (PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (option->val != NULL && conninfo_is_secret(option))
            explicit_bzero(option->val, strlen(option->val));
    PQconninfoFree(options);
}

int
config_check_conninfo(const char *conninfo, bool *ret_secret)
{
    PQconninfoOption *options;
    bool secret = false;
    int rc = conninfo_parse(conninfo, &options);

    if (rc < 0)
        return rc;
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (option->val != NULL && *option->val != '\0' && conninfo_is_secret(option))
            secret = true;
    conninfo_free(options);
    *ret_secret = secret;
    return 0;
}

static int
conninfo_add_value(struct buf *text, const char *value)
{
    int rc;

    if (*value != '\0' && strpbrk(value, " \t\n\r\f\v'\\") == NULL)
        return buf_adds(text, value);
    rc = buf_adds(text, "'");
    for (; rc == 0 && *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            rc = buf_adds(text, "\\");
        if (rc == 0)
            rc = buf_add(text, value, 1);
    }
    return rc < 0 ? rc : buf_adds(text, "'");
}

static int
conninfo_print(const PQconninfoOption *options, struct buf *text)
{
    int rc = 0;

    for (const PQconninfoOption *option = options; rc == 0 && option->keyword != NULL; option++) {
        if (option->val == NULL)
            continue;
        rc = buf_addf(text, "%s%s=", text->len > 0 ? " " : "", option->keyword);
        if (rc == 0)
            rc = conninfo_is_secret(option) ? buf_adds(text, "***") : conninfo_add_value(text, option->val);
    }
    return rc;
}

int
config_redact_conninfo(const char *conninfo, char **ret_text)
{
    CLEANUP_BUF struct buf text = BUF_INIT(CONNINFO_LIMIT_BYTES);
    PQconninfoOption *options;
    int rc = conninfo_parse(conninfo, &options);

    if (rc < 0)
        return rc;
    rc = conninfo_print(options, &text);
    conninfo_free(options);
    if (rc < 0)
        return ERROR_USAGE;
    *ret_text = buf_take(&text);
    return 0;
}
