/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-profile.h"

#include "pgcask-plugin.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1024 * 1024, PASSWD_MAX_BYTES = 16 * 1024 };

static const char *const setting_names[AWS_PROFILE_SETTINGS] = {
    [AWS_PROFILE_ACCESS_KEY] = "aws_access_key_id",
    [AWS_PROFILE_SECRET_KEY] = "aws_secret_access_key",
    [AWS_PROFILE_SESSION_TOKEN] = "aws_session_token",
    [AWS_PROFILE_PROCESS] = "credential_process",
    [AWS_PROFILE_REGION] = "region",
    [AWS_PROFILE_ROLE_ARN] = "role_arn",
    [AWS_PROFILE_ROLE_SESSION_NAME] = "role_session_name",
    [AWS_PROFILE_TOKEN_FILE] = "web_identity_token_file",
    [AWS_PROFILE_SSO_SESSION] = "sso_session",
    [AWS_PROFILE_SSO_START_URL] = "sso_start_url",
    [AWS_PROFILE_LOGIN_SESSION] = "login_session",
};

void
aws_profile_section_free(struct aws_profile_section *section)
{
    for (size_t i = 0; i < AWS_PROFILE_SETTINGS; i++)
        plain_wipe_free(section->values[i]);
    *section = (struct aws_profile_section){ 0 };
}

/* ---- one file ---- */

/* Bytes of the text, not NUL-terminated. */
struct slice {
    const char *at;
    size_t len;
};

struct parse {
    const char *path, *name;
    bool is_config;
    struct aws_profile_section *section;
    unsigned line;
    bool inside;      /* the profile's own lines */
    bool has_setting; /* a setting came since the header */
    size_t indent;    /* of that setting: what is deeper belongs to it */
    char **value;     /* where it was kept; NULL: it is not one of ours, or empty */
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct slice
trim(struct slice text)
{
    while (text.len > 0 && is_blank(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

static bool
slice_is(struct slice text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

/* The name of the profile that a header's inside stands for; an empty one for everything else ("sso-session x"). */
static struct slice
header_profile(const struct parse *parse, struct slice inside)
{
    static const char word[] = "profile";
    const size_t len = sizeof word - 1;

    if (parse->is_config && !slice_is(inside, "default")) {
        if (inside.len <= len || memcmp(inside.at, word, len) != 0 || !is_blank(inside.at[len]))
            return (struct slice){ .at = "" };
        inside = trim((struct slice){ .at = inside.at + len, .len = inside.len - len });
    }
    if (inside.len >= 2 && (inside.at[0] == '"' || inside.at[0] == '\'') && inside.at[inside.len - 1] == inside.at[0])
        inside = (struct slice){ .at = inside.at + 1, .len = inside.len - 2 };
    return inside;
}

static int
parse_header(struct parse *parse, struct slice line)
{
    const char *close = memchr(line.at, ']', line.len);
    struct slice inside;

    parse->has_setting = false;
    parse->inside = false;
    if (close == NULL) {
        pgcask_error("%s:%u: a header without ']'", parse->path, parse->line);
        return PGCASK_FAILED;
    }
    inside = trim((struct slice){ .at = line.at + 1, .len = (size_t)(close - line.at) - 1 });
    inside = header_profile(parse, inside);
    parse->inside = inside.len > 0 && slice_is(inside, parse->name);
    if (parse->inside)
        parse->section->found = true;
    return PGCASK_OK;
}

static int
setting_of(struct slice name)
{
    for (int i = 0; i < AWS_PROFILE_SETTINGS; i++)
        if (name.len == strlen(setting_names[i]) && strncasecmp(name.at, setting_names[i], name.len) == 0)
            return i;
    return -1;
}

static int
parse_setting(struct parse *parse, struct slice line)
{
    const char *equals = memchr(line.at, '=', line.len);
    struct slice name, value;
    int which;

    if (equals == NULL || equals == line.at) {
        pgcask_error("%s:%u: wanted NAME = VALUE", parse->path, parse->line); /* the line may be half a secret */
        return PGCASK_FAILED;
    }
    name = trim((struct slice){ .at = line.at, .len = (size_t)(equals - line.at) });
    value = trim((struct slice){ .at = equals + 1, .len = line.len - (size_t)(equals - line.at) - 1 });
    which = setting_of(name);
    parse->value = NULL;
    if (which < 0)
        return PGCASK_OK;
    plain_wipe_free(parse->section->values[which]);
    parse->section->values[which] = value.len > 0 ? plain_strndup(value.at, value.len) : NULL;
    if (value.len > 0)
        parse->value = &parse->section->values[which];
    return PGCASK_OK;
}

static int
parse_line(struct parse *parse, struct slice line)
{
    struct slice content = trim(line);
    size_t indent = (size_t)(content.at - line.at);

    if (content.len == 0 || content.at[0] == '#' || content.at[0] == ';')
        return PGCASK_OK;
    if (parse->has_setting && indent > parse->indent) {
        if (parse->value == NULL)
            return PGCASK_OK; /* `s3 =` and its own settings */
        pgcask_error("%s:%u: the value of the line before goes on here, wanted it on one line", parse->path,
                     parse->line);
        return PGCASK_FAILED;
    }
    if (content.at[0] == '[')
        return parse_header(parse, content);
    if (!parse->inside)
        return PGCASK_OK;
    parse->has_setting = true;
    parse->indent = indent;
    return parse_setting(parse, content);
}

int
aws_profile_parse(const char *path, const char *text, size_t len, bool is_config, const char *name,
                  struct aws_profile_section *section)
{
    struct parse parse = { .path = path, .name = name, .is_config = is_config, .section = section };
    static const char bom[] = "\xef\xbb\xbf";
    int rc = PGCASK_OK;

    if (len > 0 && memchr(text, '\0', len) != NULL) {
        pgcask_error("'%s' is not text", path);
        return PGCASK_FAILED;
    }
    if (len >= sizeof bom - 1 && memcmp(text, bom, sizeof bom - 1) == 0) {
        text += sizeof bom - 1;
        len -= sizeof bom - 1;
    }
    while (rc == 0 && len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end != NULL ? (size_t)(end - text) : len;
        size_t step = line + (end != NULL);

        parse.line++;
        rc = parse_line(&parse, (struct slice){ .at = text, .len = line });
        text += step;
        len -= step;
    }
    return rc;
}

/* ---- both files ---- */

/* "~/x" and what is below the home directory; owned by the caller. */
static char *
home_path(const char *below)
{
    const char *home = aws_source_env("HOME");
    struct passwd entry, *found = NULL;
    CLEANUP_FREE char *memory = NULL;

    if (home == NULL) { /* cron and init systems may leave it out */
        memory = plain_zalloc(PASSWD_MAX_BYTES);
        if (getpwuid_r(geteuid(), &entry, memory, PASSWD_MAX_BYTES, &found) == 0 && found != NULL)
            home = found->pw_dir;
    }
    return plain_printf("%s/%s", home != NULL ? home : "", below);
}

static char *
file_path(const char *given, const char *variable, const char *below)
{
    const char *path = given != NULL ? given : aws_source_env(variable);

    if (path == NULL)
        return home_path(below);
    return strncmp(path, "~/", 2) == 0 ? home_path(path + 2) : plain_strdup(path);
}

/* Others who can read the keys are worth a warning; others who could write a credential_process are worse. */
static void
file_look_at_mode(const char *path, bool holds_keys, bool *told_modes, struct aws_profile *profile)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if ((st.st_mode & S_IWOTH) != 0)
        profile->open_to_all = true;
    if (!holds_keys || *told_modes || (st.st_mode & (S_IRGRP | S_IROTH)) == 0)
        return;
    *told_modes = true;
    pgcask_warn("'%s' holds keys and can be read by others than its owner (mode %04o, wanted 0600)", path,
                (unsigned)(st.st_mode & 07777));
}

static int
file_load(const char *path, bool required, bool is_config, bool *told_modes, struct aws_profile *profile)
{
    struct aws_profile_section *section = is_config ? &profile->config : &profile->credentials;
    char *text;
    size_t len;
    int rc = aws_source_read(path, is_config ? "config file" : "credentials file", FILE_MAX_BYTES, &text, &len);

    if (rc == PGCASK_NOT_FOUND) {
        *(is_config ? &profile->config_errno : &profile->credentials_errno) = errno;
        return required ? PGCASK_FAILED : PGCASK_OK;
    }
    if (rc < 0)
        return rc;
    rc = aws_profile_parse(path, text, len, is_config, profile->name, section);
    OPENSSL_cleanse(text, len);
    free(text);
    file_look_at_mode(path, section->values[AWS_PROFILE_SECRET_KEY] != NULL, told_modes, profile);
    return rc;
}

int
aws_profile_load(const struct aws_credentials_settings *settings, bool *told_modes, struct aws_profile *ret_profile)
{
    const char *given = settings->profile != NULL ? settings->profile : aws_source_env("AWS_PROFILE");
    struct aws_profile profile = { .named = given != NULL, .name = plain_strdup(given != NULL ? given : "default") };
    int rc;

    profile.credentials_path = file_path(settings->credentials_file, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    profile.config_path = file_path(NULL, "AWS_CONFIG_FILE", ".aws/config");
    rc = file_load(profile.credentials_path, settings->credentials_file != NULL, false, told_modes, &profile);
    if (rc == 0)
        rc = file_load(profile.config_path, false, true, told_modes, &profile);
    if (rc < 0) {
        aws_profile_free(&profile);
        return rc;
    }
    *ret_profile = profile;
    return PGCASK_OK;
}

void
aws_profile_free(struct aws_profile *profile)
{
    free(profile->name);
    free(profile->credentials_path);
    free(profile->config_path);
    aws_profile_section_free(&profile->credentials);
    aws_profile_section_free(&profile->config);
    *profile = (struct aws_profile){ 0 };
}
