/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SECRET_LIMIT_BYTES = 64 * 1024 };

struct secret {
    size_t mapped;
    size_t len;
    char text[];
};

struct secret *
secret_new(const void *data, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (sizeof(struct secret) + len + 1 + page - 1) / page * page;
    struct secret *secret = mem_pages_alloc(mapped);

    (void)mlock(secret, mapped); /* over RLIMIT_MEMLOCK it may be swapped; it is still wiped */
    (void)madvise(secret, mapped, MADV_DONTDUMP);
    secret->mapped = mapped;
    secret->len = len;
    memcpy(secret->text, data, len);
    secret->text[len] = '\0';
    return secret;
}

const char *
secret_text(const struct secret *secret)
{
    return secret ? secret->text : "";
}

size_t
secret_len(const struct secret *secret)
{
    return secret ? secret->len : 0;
}

void
secret_free(struct secret *secret)
{
    size_t mapped;

    if (secret == NULL)
        return;
    mapped = secret->mapped;
    explicit_bzero(secret->text, secret->len);
    mem_pages_free(secret, mapped);
}

static int
secret_from_file(const char *path, const char *what, struct buf *text)
{
    CLEANUP_FREE char *role = mem_printf("%s file", what);
    int rc = file_check_private(path, role);

    if (rc < 0)
        return rc;
    rc = file_read(path, text);
    return rc < 0 ? ERROR_USAGE : 0;
}

static int
secret_from_command(const char *command, const char *what, struct buf *text)
{
    CLEANUP_STRV struct strv argv = { 0 };
    struct process_spec spec = { .in = PROCESS_NULL };
    int rc;

    strv_split(&argv, command, " \t");
    if (argv.len == 0)
        return error_set(ERROR_USAGE, "the command for %s is empty", what);
    spec.argv = (const char *const *)argv.items;
    rc = process_output(&spec, text);
    return rc < 0 ? error_context(ERROR_USAGE, "command for %s", what) : 0;
}

int
secret_load(const struct secret_source *source, const char *what, struct secret **ret_secret)
{
    CLEANUP_BUF struct buf text = BUF_SECRET_INIT(SECRET_LIMIT_BYTES);
    const char *value = source->value;
    int rc = 0;

    if (source->file != NULL)
        rc = secret_from_file(source->file, what, &text);
    else if (source->command != NULL)
        rc = secret_from_command(source->command, what, &text);
    else if (source->env != NULL) {
        value = getenv(source->env);
        if (value == NULL)
            return error_set(ERROR_USAGE, "%s: the environment has no variable '%s'", what, source->env);
    }
    if (rc < 0)
        return rc;
    if (value != NULL)
        rc = buf_adds(&text, value);
    if (rc < 0)
        return error_context(ERROR_USAGE, "%s", what);
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.data[--text.len] = '\0';
    if (text.len == 0)
        return error_set(ERROR_USAGE, "%s is empty", what);
    if (memchr(text.data, '\n', text.len) != NULL || memchr(text.data, '\0', text.len) != NULL)
        return error_set(ERROR_USAGE, "%s has more than one line", what);
    *ret_secret = secret_new(text.data, text.len);
    return 0;
}

void
secret_harden_process(void)
{
    struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none); /* lowering a limit cannot fail */
#ifndef PGCASK_SANITIZED
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* core_pattern may be a pipe, which ignores the limit */
#endif
}
