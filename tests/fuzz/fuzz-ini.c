/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as an INI file, and each of its sections against the table of its
 * kind. Sections that would start a program are parsed only: the input must not
 * choose what runs on the machine that fuzzes.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
fuzz_is_harmless(const struct ini_section *section)
{
    for (size_t i = 0; i < section->len; i++)
        if (strstr(section->entries[i].key, "_command") != NULL)
            return false;
    return true;
}

static void
fuzz_show(void *ctx, const char *key, const char *value, const char *origin)
{
    size_t *bytes = ctx;

    *bytes += strlen(key) + (value ? strlen(value) : 0) + strlen(origin);
}

static void
fuzz_section(const struct ini_section *section, const struct config_section_kind *kind)
{
    CLEANUP(option_set_free) struct option_set *set = NULL;
    bool is_store = strcmp(section->kind, "store") == 0;
    size_t bytes = 0;

    if (option_fill(&kind->table, is_store ? &option_table_any : NULL, section, &set) < 0)
        return;
    option_show(set, fuzz_show, &bytes);
    if (strcmp(section->kind, "job") == 0) {
        const struct config_job *job = option_settings(set);
        CLEANUP_STRV struct strv words = { 0 };

        option_words(job->databases, &words);
        option_words(job->tables, &words);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ini_free) struct ini *ini = NULL;

    if (ini_parse("fuzz.ini", (const char *)data, size, &ini) == 0)
        for (size_t i = 0; i < ini->len; i++) {
            const struct config_section_kind *kind = config_kind(ini->sections[i].kind);

            if (kind != NULL && fuzz_is_harmless(&ini->sections[i]))
                fuzz_section(&ini->sections[i], kind);
        }
    error_clear();
    return 0;
}
