/* SPDX-License-Identifier: PostgreSQL
 *
 * Profiles of the shared credentials and config files. AWS's INI is not quite INI: all that follows the first '=' is
 * the value, with any '=', ';' and '#' in it; a line indented deeper belongs to the one before it; and a profile is
 * `[name]` in the credentials file but `[profile name]` in the config file.
 */
#ifndef PGCASK_COMMON_AWS_PROFILE_H
#define PGCASK_COMMON_AWS_PROFILE_H

#include "common/aws-source.h"

/* The settings that matter here; all others are passed over. */
enum aws_profile_setting {
    AWS_PROFILE_ACCESS_KEY,
    AWS_PROFILE_SECRET_KEY,
    AWS_PROFILE_SESSION_TOKEN,
    AWS_PROFILE_PROCESS,
    AWS_PROFILE_REGION,
    AWS_PROFILE_ROLE_ARN,
    AWS_PROFILE_ROLE_SESSION_NAME,
    AWS_PROFILE_TOKEN_FILE,
    AWS_PROFILE_SSO_SESSION,
    AWS_PROFILE_SSO_START_URL,
    AWS_PROFILE_LOGIN_SESSION,
    AWS_PROFILE_SETTINGS /* how many */
};

/* One profile as one file has it. */
struct aws_profile_section {
    bool found;
    char *values[AWS_PROFILE_SETTINGS]; /* NULL: not there, or empty */
};
void aws_profile_section_free(struct aws_profile_section *section); /* wipes */

/* `text` (any bytes) of the file `path`, which is the config file when `is_config`. Lines of other profiles are not
 * looked at. What was found before is kept, and replaced where it comes again. */
int aws_profile_parse(const char *path, const char *text, size_t len, bool is_config, const char *name,
                      struct aws_profile_section *section);

struct aws_profile {
    char *name;
    bool named; /* somebody asked for it, so it must be there */
    char *credentials_path, *config_path;
    int credentials_errno, config_errno; /* why it could not be opened; 0: it was */
    struct aws_profile_section credentials, config;
    bool open_to_all; /* somebody else may write to one of the files */
};
/* Both files. One that is not there, or may not be read, is like an empty one, unless the settings name it. */
int aws_profile_load(const struct aws_credentials_settings *settings, bool *told_modes,
                     struct aws_profile *ret_profile);
void aws_profile_free(struct aws_profile *profile);

#endif
