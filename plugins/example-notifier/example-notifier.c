/* SPDX-License-Identifier: PostgreSQL
 *
 * Notifier plugin "example": writes each event as one line to a file. Written to be copied, like plugins/example.
 */
#include <pgcask-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *file;
};

static const struct pgcask_option options[] = {
    { .name = "file", .type = PGCASK_OPTION_PATH, .flags = PGCASK_OPTION_REQUIRED,
      .help = "where the lines go; made with mode 0600 when missing", .offset = offsetof(struct settings, file) },
};

/* The fields that are written, in this order. An event need not have them all, and later releases add more. */
static const char *const fields[] = { "event", "outcome", "cluster", "job", "backup", "message" };

static int
example_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)flags;
    *ret_handle = (void *)settings; /* no state of our own; the settings stay until close, which is left out */
    return PGCASK_OK;
}

/* "event=backup outcome=failed …"; owned by the caller, NULL without memory. */
static char *
format_line(const struct pgcask_event *event)
{
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *value = pgcask_event_get(event, fields[i]);

        if (value == NULL)
            continue;
        (void)fprintf(out, "%s=", fields[i]);
        for (; *value != '\0'; value++)
            (void)fputc(*value == '\n' || *value == '\r' ? ' ' : *value, out);
        (void)fputc(' ', out);
    }
    (void)fputc('\n', out);
    if (fclose(out) != 0) {
        free(line);
        return NULL;
    }
    return line;
}

static int
example_notify(void *handle, const struct pgcask_event *event)
{
    const struct settings *settings = handle;
    char *line = format_line(event);
    int fd;
    int rc = PGCASK_OK;

    if (line == NULL) {
        pgcask_error("out of memory");
        return PGCASK_FAILED;
    }
    fd = open(settings->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line)) {
        pgcask_error_errno("could not write '%s'", settings->file);
        rc = errno == EINTR || errno == EAGAIN ? PGCASK_RETRY : PGCASK_FAILED;
    }
    if (fd >= 0 && close(fd) < 0 && rc == PGCASK_OK) {
        pgcask_error_errno("could not close '%s'", settings->file);
        rc = PGCASK_FAILED;
    }
    free(line);
    return rc;
}

static const struct pgcask_notifier_plugin example = {
    PGCASK_NOTIFIER_INIT,
    .name = "example", /* the file must be called pgcask-example-notifier.so */
    .version = "1",
    .summary = "each event as a line of a file; a template for plugin authors",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(struct settings),
    .thread_model = PGCASK_THREADS_PARALLEL, /* one write(2) with O_APPEND is never mixed with another */
    .open = example_open,
    .notify = example_notify,
};
PGCASK_REGISTER_NOTIFIER(example)
