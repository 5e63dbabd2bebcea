/* SPDX-License-Identifier: PostgreSQL
 *
 * How findings are told, and what concerns this host alone: keys and the state
 * directory.
 */
#include "config.h"

#include "pipeline/inspect.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pipeline/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
inspect_tell(const struct inspect *inspect, const char *kind, const char *name, int outcome, const char *text,
             const char *cure)
{
    struct finding_told finding = { .kind = kind, .name = name, .outcome = outcome, .text = text, .cure = cure };

    inspect->say(inspect->ctx, &finding);
}

void
inspect_say(const struct inspect *inspect, const char *kind, const char *name, int outcome, const char *cure,
            const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    inspect_tell(inspect, kind, name, outcome, text != NULL ? text : format, cure);
}

/* The finding names its subject; the text of the error often begins with it, too. */
static const char *
inspect_reason(const char *text, const char *kind, const char *name)
{
    CLEANUP_FREE char *label = mem_printf("%s '%s'", kind, name != NULL ? name : "");
    size_t len = strlen(label);

    if (strncmp(text, label, len) != 0 || strcspn(text + len, ": ") > 0)
        return text;
    return text + len + strspn(text + len, ": ");
}

int
inspect_slot(const struct inspect *inspect, const char *kind, const char *name, int rc, int outcome, const char *doing)
{
    CLEANUP_FREE char *text = NULL, *cure = error_cure() != NULL ? mem_strdup(error_cure()) : NULL;

    if (rc == ERROR_CANCELLED || cancel_requested())
        return cancel_check();
    text = mem_printf("%s%s%s", doing != NULL ? doing : "", doing != NULL ? ": " : "",
                      inspect_reason(error_text(), kind, name));
    error_clear();
    inspect_tell(inspect, kind, name, outcome, text, cure);
    return 0;
}

static const char keys_cure[] =
    "name the file with the secret key of one of the recipients: identity_file in [pgcask]; on a "
    "host that only makes backups, take identity_file out";

static void
inspect_identities(const struct inspect *inspect, const struct age_recipients *recipients,
                   const struct age_identities *identities)
{
    CLEANUP_STRV struct strv public = { 0 }, ours = { 0 };
    size_t fitting = 0;

    age_recipients_list(recipients, &public);
    if (identities == NULL) {
        inspect_say(inspect, "keys", NULL, PGCASK_CHECK_OK, NULL,
                    "%zu recipient%s; no identity on this host, which therefore cannot read its own backups",
                    public.len, public.len == 1 ? "" : "s");
        return;
    }
    age_identities_list(identities, &ours);
    for (size_t i = 0; i < ours.len; i++)
        fitting += strv_has(&public, ours.items[i]);
    if (fitting > 0)
        inspect_say(inspect, "keys", NULL, PGCASK_CHECK_OK, NULL,
                    "%zu recipient%s; the identity of this host opens what it writes", public.len,
                    public.len == 1 ? "" : "s");
    else
        inspect_say(inspect, "keys", NULL, PGCASK_CHECK_BAD, keys_cure,
                    "no identity of this host belongs to one of the %zu recipients: it cannot restore what it writes",
                    public.len);
}

int
inspect_keys(const struct inspect *inspect)
{
    CLEANUP(age_recipients_free) struct age_recipients *recipients = NULL;
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    bool writes = inspect->config->jobs.len > 0;
    int rc = writes ? keys_recipients(inspect->config, &recipients) : 0;

    if (rc == 0)
        rc = keys_identities(inspect->config, false, &identities);
    if (rc < 0)
        return inspect_slot(inspect, "keys", NULL, rc, PGCASK_CHECK_BAD, NULL);
    if (recipients != NULL)
        inspect_identities(inspect, recipients, identities);
    else if (writes)
        inspect_say(inspect, "keys", NULL, PGCASK_CHECK_WARN,
                    "'pgcask key new' makes a key pair; see encrypt in pgcask.conf(5)",
                    "encrypt = none: whoever can read a store can read the backups in it");
    else
        inspect_say(inspect, "keys", NULL, PGCASK_CHECK_OK, NULL, "%s",
                    identities != NULL ? "there is an identity, and no job that writes"
                                       : "none, and no job that writes");
    return 0;
}

/* A full file system is seen by writing to it only. */
static int
inspect_write(const char *dir)
{
    static const char data[8192];
    CLEANUP_FREE char *path = mem_printf("%s/check-%d", dir, (int)getpid());
    int rc = file_write(path, data, sizeof data);

    (void)unlink(path); /* it is not there when that failed */
    return rc;
}

int
inspect_state_dir(const struct inspect *inspect)
{
    const char *path = inspect->config->state_dir;
    int rc = file_mkdirs(path);

    if (rc == 0 && access(path, R_OK | W_OK | X_OK) < 0)
        rc = error_errno(PGCASK_FAILED, "could not be written to");
    if (rc == 0)
        rc = inspect_write(path);
    if (rc < 0)
        return inspect_slot(inspect, "state directory", path, rc, PGCASK_CHECK_BAD, NULL);
    inspect_say(inspect, "state directory", path, PGCASK_CHECK_OK, NULL, "can be written");
    return 0;
}
