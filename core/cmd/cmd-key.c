/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask key new | show
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "pipeline/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cmd_option options[] = {
    { "output", 'o', "FILE", "new: write the identity there (default: stdout, if that is no terminal)" },
    { NULL, 0, NULL, NULL },
};

static int
key_new(struct cmd_args *args)
{
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP_FREE char *recipient = NULL, *time = clock_iso(clock_now_s());
    CLEANUP_BUF struct buf text = BUF_SECRET_INIT(4096);
    const char *path = cmd_arg(args, "output");
    int rc;

    if (path == NULL && isatty(STDOUT_FILENO)) {
        (void)error_set(ERROR_USAGE, "the identity is a secret: it is not shown on a terminal");
        return error_hint(ERROR_USAGE, "name a file with --output");
    }
    rc = age_key_generate(&identity, &recipient);
    if (rc == 0)
        rc = buf_addf(&text, "# created: %s\n# public key: %s\n%s\n", time, recipient, secret_text(identity));
    if (rc < 0)
        return rc;
    if (path == NULL) {
        (void)fwrite(text.data, 1, text.len, stdout);
        return 0;
    }
    rc = file_create(path, text.data, text.len);
    if (rc == PGCASK_EXISTS)
        return error_hint(rc, "a key file is never overwritten: name another one");
    if (rc == 0)
        (void)printf("%s\n", recipient);
    return rc;
}

static int
key_show(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(age_recipients_free) struct age_recipients *recipients = NULL;
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    CLEANUP_STRV struct strv texts = { 0 }, ours = { 0 };
    int rc = cmd_config(args, &config);

    if (rc == 0)
        rc = keys_recipients(config, &recipients);
    if (rc == 0)
        rc = keys_identities(config, false, &identities);
    if (rc < 0)
        return rc;
    if (recipients == NULL)
        (void)printf("backups are not encrypted (encrypt = none)\n");
    else
        age_recipients_list(recipients, &texts);
    if (identities != NULL)
        age_identities_list(identities, &ours);
    for (size_t i = 0; i < texts.len; i++)
        (void)printf("recipient %s%s\n", texts.items[i], strv_has(&ours, texts.items[i]) ? " (can be read here)" : "");
    for (size_t i = 0; i < ours.len; i++)
        if (!strv_has(&texts, ours.items[i]))
            (void)printf("identity  %s (not a recipient of new backups)\n", ours.items[i]);
    return 0;
}

static int
key_run(struct cmd_args *args)
{
    int rc = cmd_words(args, 1, 1);

    if (rc < 0)
        return rc;
    if (strcmp(args->words[0], "new") == 0)
        return key_new(args);
    if (strcmp(args->words[0], "show") == 0)
        return key_show(args);
    (void)error_set(ERROR_USAGE, "'%s' is neither new nor show", args->words[0]);
    return error_hint(ERROR_USAGE, "usage: pgcask %s", args->cmd->usage);
}

const struct cmd cmd_key = {
    .name = "key",
    .usage = "key new [--output FILE] | key show",
    .summary = "Make a key pair, or show the public keys in use",
    .options = options,
    .run = key_run,
};
