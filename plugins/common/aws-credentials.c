/* SPDX-License-Identifier: PostgreSQL
 *
 * The order of the sources, and the one set of keys that is kept until shortly before its end.
 */
#include "config.h"

#include "common/aws-credentials.h"

#include "common/aws-metadata.h"
#include "common/aws-profile-fetch.h"
#include "common/aws-profile.h"
#include "common/aws-source.h"
#include "common/aws-sts.h"
#include "pgcask-plugin.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum {
    RENEW_BEFORE_S = 5 * 60, /* AWS has new ones ready at least so long before the end */
    RENEW_PAUSE_S = 30,      /* between tries while the old ones last, and for keys that are given out late */
};

struct aws_credentials {
    struct aws_credentials_settings settings;
    struct http *http;
    pthread_mutex_t lock; /* for all below; held while keys are fetched, so that one thread asks and the others wait */
    struct aws_grant kept;
    bool has_kept;
    int64_t renew_s; /* when to ask anew; only for keys with an end */
    bool told_late;  /* that the old ones had to do */
    bool told_modes;
    const char *last_source; /* that gave keys before; static, NULL: none yet */
};

/* ---- the sources ---- */

static int
settings_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    struct aws_told told = {
        .source = "the config",
        .access_key = search->settings->access_key,
        .secret_key = search->settings->secret_key,
        .session_token = search->settings->session_token,
    };

    if (told.access_key == NULL && told.secret_key == NULL) {
        aws_search_note(search, "no access_key in the config");
        return AWS_SOURCE_NONE;
    }
    return aws_source_grant(&told, ret_grant);
}

static int
environment_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    struct aws_told told = {
        .source = "the environment",
        .access_key = aws_source_env("AWS_ACCESS_KEY_ID"),
        .secret_key = aws_source_env("AWS_SECRET_ACCESS_KEY"),
        .session_token = aws_source_env("AWS_SESSION_TOKEN"),
    };

    if (search->settings->profile != NULL) {
        aws_search_note(search, "keys of the environment passed over, as the config names a profile");
        return AWS_SOURCE_NONE;
    }
    if (told.access_key == NULL && told.secret_key == NULL) {
        aws_search_note(search, "no AWS_ACCESS_KEY_ID in the environment");
        return AWS_SOURCE_NONE;
    }
    return aws_source_grant(&told, ret_grant);
}

static int
environment_identity_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    struct aws_web_identity who = {
        .token_file = aws_source_env("AWS_WEB_IDENTITY_TOKEN_FILE"),
        .role_arn = aws_source_env("AWS_ROLE_ARN"),
        .session_name = aws_source_env("AWS_ROLE_SESSION_NAME"),
    };

    if (search->settings->profile != NULL)
        return AWS_SOURCE_NONE; /* noted with the keys of the environment */
    if (who.token_file == NULL) {
        aws_search_note(search, "no web identity (AWS_WEB_IDENTITY_TOKEN_FILE)");
        return AWS_SOURCE_NONE;
    }
    if (who.role_arn == NULL) {
        pgcask_error("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
        pgcask_hint("AWS_ROLE_ARN names the role to be assumed");
        return PGCASK_FAILED;
    }
    return aws_sts_fetch(search, &who, ret_grant);
}

/* ---- one search ---- */

/* In this order. */
static int (*const sources[])(struct aws_search *search, struct aws_grant *ret_grant) = {
    settings_fetch,
    environment_fetch,
    environment_identity_fetch,
    aws_profile_fetch,
    aws_container_fetch,
    aws_instance_fetch,
};

static int
credentials_search(struct aws_credentials *credentials, struct aws_grant *ret_grant)
{
    struct aws_search search = { .settings = &credentials->settings,
                                 .http = credentials->http,
                                 .told_modes = &credentials->told_modes };
    CLEANUP_FREE char *tried = NULL;
    int rc = AWS_SOURCE_NONE;

    for (size_t i = 0; i < ARRAY_LEN(sources) && rc == AWS_SOURCE_NONE; i++)
        rc = sources[i](&search, ret_grant);
    tried = search.tried;
    if (rc != AWS_SOURCE_NONE)
        return rc;
    if (credentials->last_source != NULL) { /* a service that is restarted, a file that is being replaced */
        pgcask_error("no more credentials from %s: %s", credentials->last_source, tried);
        return PGCASK_RETRY;
    }
    pgcask_error("no credentials: %s", tried);
    pgcask_hint("set access_key and secret_key, or a profile with 'aws configure', or give the machine a role (for "
                "containers on EC2 the hop limit of the metadata service must be 2)");
    return PGCASK_FAILED;
}

/* ---- what is kept ---- */

/* Not too often, but not after the end. */
static int64_t
renew_time(int64_t at_s, int64_t now_s, int64_t expires_s)
{
    if (at_s < now_s + RENEW_PAUSE_S)
        at_s = now_s + RENEW_PAUSE_S;
    return at_s < expires_s ? at_s : expires_s;
}

static bool
credentials_are_due(const struct aws_credentials *credentials)
{
    if (!credentials->has_kept)
        return true;
    return credentials->kept.expires_s != 0 && time(NULL) >= credentials->renew_s;
}

static void
credentials_keep(struct aws_credentials *credentials, struct aws_grant *grant, int64_t now_s)
{
    aws_grant_free(&credentials->kept);
    credentials->kept = *grant;
    *grant = (struct aws_grant){ 0 };
    credentials->has_kept = true;
    credentials->told_late = false;
    credentials->last_source = credentials->kept.keys.source;
    credentials->renew_s = renew_time(credentials->kept.expires_s - RENEW_BEFORE_S, now_s, credentials->kept.expires_s);
    pgcask_debug("credentials from %s", credentials->last_source);
}

/* 0 when what is kept still does. */
static int
credentials_make_do(struct aws_credentials *credentials, int rc, int64_t now_s)
{
    if (!credentials->has_kept || now_s >= credentials->kept.expires_s)
        return rc;
    credentials->renew_s = renew_time(now_s, now_s, credentials->kept.expires_s);
    if (!credentials->told_late && !pgcask_cancelled())
        pgcask_warn("credentials from %s could not be renewed yet, those in use end in %lld s",
                    credentials->last_source, (long long)(credentials->kept.expires_s - now_s));
    credentials->told_late = true;
    return PGCASK_OK;
}

/* Caller holds the lock. */
static int
credentials_renew(struct aws_credentials *credentials)
{
    struct aws_grant grant = { 0 };
    int rc = credentials_search(credentials, &grant);
    int64_t now_s = time(NULL); /* the search may have taken its time */

    if (rc == 0 && grant.expires_s != 0 && grant.expires_s <= now_s) {
        pgcask_error("%s gave keys that ended %lld s ago", grant.keys.source, (long long)(now_s - grant.expires_s));
        pgcask_hint("is the clock of this host right?");
        rc = PGCASK_RETRY;
    }
    if (rc == 0)
        credentials_keep(credentials, &grant, now_s);
    else
        rc = credentials_make_do(credentials, rc, now_s);
    aws_grant_free(&grant);
    return rc;
}

/* ---- the interface ---- */

struct aws_credentials *
aws_credentials_new(const struct aws_credentials_settings *settings, struct http *http)
{
    struct aws_credentials *credentials = plain_zalloc(sizeof *credentials);

    credentials->settings = *settings;
    credentials->http = http;
    (void)pthread_mutex_init(&credentials->lock, NULL);
    return credentials;
}

void
aws_credentials_free(struct aws_credentials *credentials)
{
    if (credentials == NULL)
        return;
    aws_grant_free(&credentials->kept);
    (void)pthread_mutex_destroy(&credentials->lock);
    free(credentials);
}

int
aws_credentials_get(struct aws_credentials *credentials, struct aws_keys *ret_keys)
{
    const struct aws_keys *kept = &credentials->kept.keys;
    int rc = PGCASK_OK;

    (void)pthread_mutex_lock(&credentials->lock);
    if (credentials_are_due(credentials))
        rc = credentials_renew(credentials);
    if (rc == 0)
        *ret_keys = (struct aws_keys){
            .access_key = plain_strdup(kept->access_key),
            .secret_key = plain_strdup(kept->secret_key),
            .session_token = kept->session_token != NULL ? plain_strdup(kept->session_token) : NULL,
            .source = kept->source,
        };
    (void)pthread_mutex_unlock(&credentials->lock);
    return rc;
}

static bool
keys_are_same(const struct aws_keys *a, const struct aws_keys *b)
{
    const char *token_a = a->session_token != NULL ? a->session_token : "";
    const char *token_b = b->session_token != NULL ? b->session_token : "";

    return strcmp(a->access_key, b->access_key) == 0 && strcmp(token_a, token_b) == 0;
}

void
aws_credentials_expired(struct aws_credentials *credentials, const struct aws_keys *keys)
{
    (void)pthread_mutex_lock(&credentials->lock);
    if (credentials->has_kept && keys_are_same(&credentials->kept.keys, keys)) {
        aws_grant_free(&credentials->kept);
        credentials->has_kept = false;
    }
    (void)pthread_mutex_unlock(&credentials->lock);
}

char *
aws_credentials_region(const struct aws_credentials_settings *settings)
{
    const char *region = aws_source_env("AWS_REGION");
    struct aws_profile profile;
    bool told_modes = true; /* the search for keys will tell */
    char *found;

    if (region == NULL)
        region = aws_source_env("AWS_DEFAULT_REGION");
    if (region != NULL)
        return plain_strdup(region);
    if (aws_profile_load(settings, &told_modes, &profile) < 0)
        return NULL; /* the search for keys will tell */
    found = profile.config.values[AWS_PROFILE_REGION];
    found = found != NULL ? plain_strdup(found) : NULL;
    aws_profile_free(&profile);
    return found;
}
