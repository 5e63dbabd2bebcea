/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a shared credentials file and as a config file, for the default profile and for another one. What a
 * profile would run is split into its words and not run: the input must not choose what runs on the machine that fuzzes.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/aws-process.h"
#include "common/aws-profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_section(const struct aws_profile_section *section)
{
    const char *access_key = section->values[AWS_PROFILE_ACCESS_KEY];
    const char *process = section->values[AWS_PROFILE_PROCESS];
    struct aws_told told = {
        .source = "fuzz",
        .access_key = access_key,
        .secret_key = section->values[AWS_PROFILE_SECRET_KEY],
        .session_token = section->values[AWS_PROFILE_SESSION_TOKEN],
        .expiration = section->values[AWS_PROFILE_REGION], /* any text will do */
    };
    struct aws_grant grant = { 0 };

    if (process != NULL)
        aws_process_words_free(aws_process_words(process));
    (void)aws_source_grant(&told, &grant);
    aws_grant_free(&grant);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "default", "p" };

    for (size_t i = 0; i < 4; i++) {
        struct aws_profile_section section = { 0 };

        if (aws_profile_parse("fuzz", (const char *)data, size, i % 2 != 0, names[i / 2], &section) == 0)
            fuzz_section(&section);
        aws_profile_section_free(&section);
    }
    return 0;
}
