/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/keys.h"

#include "base/error.h"
#include "base/log.h"

#include <string.h>

/* Say where in the config it is. */
static int
keys_context(const struct config *config, const char *key, int rc)
{
    const struct ini_section *section = config->ini ? ini_section(config->ini, "pgcask", "") : NULL;

    return rc == ERROR_USAGE && section != NULL ? config_context(section, key) : rc;
}

int
keys_recipients(const struct config *config, struct age_recipients **ret_recipients)
{
    const struct config_main *settings = config->main;
    CLEANUP(age_recipients_free) struct age_recipients *recipients = NULL;
    CLEANUP_STRV struct strv words = { 0 };
    int rc = 0;

    *ret_recipients = NULL;
    if (strcmp(settings->encrypt, "none") == 0)
        return 0;
    recipients = age_recipients_new();
    if (settings->recipient != NULL)
        option_words(settings->recipient, &words);
    for (size_t i = 0; rc == 0 && i < words.len; i++)
        rc = keys_context(config, "recipient", age_recipients_add(recipients, words.items[i]));
    if (rc == 0 && settings->recipient_file != NULL)
        rc = keys_context(config, "recipient_file", age_recipients_add_file(recipients, settings->recipient_file));
    if (rc == 0 && settings->passphrase != NULL) {
        CLEANUP(secret_free) struct secret *passphrase = secret_new(settings->passphrase, strlen(settings->passphrase));

        rc = age_recipients_set_passphrase(recipients, passphrase);
    }
    if (rc == 0 && age_recipients_empty(recipients)) {
        (void)error_set(ERROR_USAGE, "there is no recipient to encrypt to");
        rc = error_hint(ERROR_USAGE, "'pgcask key new' makes a key pair; or write encrypt = none in [pgcask]");
    }
    if (rc == 0)
        *ret_recipients = STEAL(recipients);
    return rc;
}

static int
identities_load(const struct config *config, struct age_identities *identities)
{
    const struct config_main *settings = config->main;
    int rc = 0;

    if (settings->identity_file != NULL)
        rc = keys_context(config, "identity_file", age_identities_add_file(identities, settings->identity_file));
    if (rc == 0 && settings->passphrase != NULL) {
        CLEANUP(secret_free) struct secret *passphrase = secret_new(settings->passphrase, strlen(settings->passphrase));

        rc = age_identities_add_passphrase(identities, passphrase);
    }
    return rc;
}

int
keys_identities(const struct config *config, bool optional, struct age_identities **ret_identities)
{
    CLEANUP(age_identities_free) struct age_identities *identities = age_identities_new();
    int rc = identities_load(config, identities);

    *ret_identities = NULL;
    if (rc < 0 && optional) {
        log_slot_warn("verifying stored digests only");
        return 0;
    }
    if (rc == 0 && !age_identities_empty(identities))
        *ret_identities = STEAL(identities);
    return rc;
}
