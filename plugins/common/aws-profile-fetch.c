/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-profile-fetch.h"

#include "common/aws-process.h"
#include "common/aws-profile.h"
#include "common/aws-sts.h"
#include "pgcask-plugin.h"

#include <errno.h>

/* The credentials file comes first. */
static const char *
profile_value(const struct aws_profile *profile, enum aws_profile_setting which)
{
    const char *value = profile->credentials.values[which];

    return value != NULL ? value : profile->config.values[which];
}

static bool
section_has_keys(const struct aws_profile_section *section)
{
    return section->values[AWS_PROFILE_ACCESS_KEY] != NULL || section->values[AWS_PROFILE_SECRET_KEY] != NULL;
}

static int
profile_keys(const struct aws_profile *profile, const struct aws_profile_section *section, struct aws_grant *ret_grant)
{
    bool is_config = section == &profile->config;
    struct aws_told told = {
        .source = is_config ? "the shared config file" : "the shared credentials file",
        .access_key = section->values[AWS_PROFILE_ACCESS_KEY],
        .secret_key = section->values[AWS_PROFILE_SECRET_KEY],
        .session_token = section->values[AWS_PROFILE_SESSION_TOKEN],
    };

    if (told.access_key == NULL || told.secret_key == NULL) {
        pgcask_error("profile '%s' in '%s' has no %s", profile->name,
                     is_config ? profile->config_path : profile->credentials_path,
                     told.access_key == NULL ? "aws_access_key_id" : "aws_secret_access_key");
        return PGCASK_FAILED;
    }
    return aws_source_grant(&told, ret_grant);
}

static int
profile_identity(struct aws_search *search, const struct aws_profile *profile, struct aws_grant *ret_grant)
{
    struct aws_web_identity who = {
        .token_file = profile_value(profile, AWS_PROFILE_TOKEN_FILE),
        .role_arn = profile_value(profile, AWS_PROFILE_ROLE_ARN),
        .session_name = profile_value(profile, AWS_PROFILE_ROLE_SESSION_NAME),
    };

    if (who.role_arn == NULL) {
        pgcask_error("profile '%s' has web_identity_token_file, but no role_arn", profile->name);
        return PGCASK_FAILED;
    }
    return aws_sts_fetch(search, &who, ret_grant);
}

static int
profile_process(const struct aws_profile *profile, struct aws_grant *ret_grant)
{
    if (profile->open_to_all) { /* they could run anything as us */
        pgcask_error("credential_process of profile '%s' is not run: '%s' or '%s' can be written by everybody",
                     profile->name, profile->credentials_path, profile->config_path);
        pgcask_hint("chmod 600 both");
        return PGCASK_FAILED;
    }
    return aws_process_fetch(profile_value(profile, AWS_PROFILE_PROCESS), AWS_PROCESS_TIMEOUT_MS, ret_grant);
}

static int
profile_unsupported(const struct aws_profile *profile, const char *how)
{
    pgcask_error("profile '%s' gets its keys by %s, which is not supported here", profile->name, how);
    pgcask_hint("make a profile with the line 'credential_process = aws configure export-credentials --profile %s "
                "--format process', and name that one",
                profile->name);
    return PGCASK_FAILED;
}

static const char *
missing_file(int error)
{
    if (error == 0)
        return "";
    return error == EACCES ? " (which may not be read)" : " (which is not there)";
}

/* Who names a profile wants that one and no other. */
static int
profile_missing(struct aws_search *search, const struct aws_profile *profile)
{
    CLEANUP_FREE char *text = plain_printf("profile '%s' is neither in '%s'%s nor in '%s'%s", profile->name,
                                           profile->credentials_path, missing_file(profile->credentials_errno),
                                           profile->config_path, missing_file(profile->config_errno));

    if (!profile->named) {
        aws_search_note(search, "%s", text);
        return AWS_SOURCE_NONE;
    }
    pgcask_error("%s", text);
    pgcask_hint("the header is [%s] in the credentials file and [profile %s] in the config file", profile->name,
                profile->name);
    return PGCASK_FAILED;
}

static int
profile_choose(struct aws_search *search, const struct aws_profile *profile, struct aws_grant *ret_grant)
{
    bool process = profile_value(profile, AWS_PROFILE_PROCESS) != NULL;
    bool keys = section_has_keys(&profile->credentials);

    if (profile_value(profile, AWS_PROFILE_TOKEN_FILE) != NULL)
        return profile_identity(search, profile, ret_grant);
    /* Keys beside a role are those that may assume it, not those of the role. */
    if (profile_value(profile, AWS_PROFILE_ROLE_ARN) != NULL)
        return process ? profile_process(profile, ret_grant) : profile_unsupported(profile, "role_arn");
    if (keys)
        return profile_keys(profile, &profile->credentials, ret_grant);
    if (process)
        return profile_process(profile, ret_grant);
    if (profile_value(profile, AWS_PROFILE_SSO_SESSION) != NULL ||
        profile_value(profile, AWS_PROFILE_SSO_START_URL) != NULL)
        return profile_unsupported(profile, "single sign-on (sso_session, sso_start_url)");
    if (profile_value(profile, AWS_PROFILE_LOGIN_SESSION) != NULL)
        return profile_unsupported(profile, "login_session");
    if (section_has_keys(&profile->config))
        return profile_keys(profile, &profile->config, ret_grant);
    aws_search_note(search, "profile '%s' has neither keys nor credential_process", profile->name);
    return AWS_SOURCE_NONE;
}

int
aws_profile_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    struct aws_profile profile;
    int rc = aws_profile_load(search->settings, search->told_modes, &profile);

    if (rc < 0)
        return rc;
    if (!profile.credentials.found && !profile.config.found)
        rc = profile_missing(search, &profile);
    else
        rc = profile_choose(search, &profile, ret_grant);
    aws_profile_free(&profile);
    return rc;
}
