/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int mem_exit_code = 1;

void
mem_exhausted_code(int code)
{
    mem_exit_code = code;
}

static _Noreturn void
mem_exhausted(void)
{
    static const char message[] = "ERROR: out of memory\n";

    (void)!write(STDERR_FILENO, message, sizeof message - 1); /* nothing is left to do if this fails */
    _exit(mem_exit_code);
}

void *
mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (p == NULL)
        mem_exhausted();
    return p;
}

void *
mem_zalloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (p == NULL)
        mem_exhausted();
    return p;
}

void *
mem_realloc_array(void *old, size_t count, size_t size)
{
    void *p = reallocarray(old, count ? count : 1, size ? size : 1);

    if (p == NULL)
        mem_exhausted();
    return p;
}

char *
mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *
mem_strndup(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *
mem_printf(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        mem_exhausted();
    return text;
}

void *
mem_pages_alloc(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        mem_exhausted();
    return p;
}

void
mem_pages_free(void *pages, size_t size)
{
    if (pages != NULL)
        (void)munmap(pages, size); /* fails only for an address that was never ours */
}

void
cleanup_free(void *pointer_to_pointer)
{
    void *p;

    memcpy(&p, pointer_to_pointer, sizeof p);
    free(p);
}

void
cleanup_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* scoped descriptors are read-only or already synced */
}

void
cleanup_fclose(void *pointer_to_file)
{
    FILE *f;

    memcpy(&f, pointer_to_file, sizeof f);
    if (f != NULL)
        (void)fclose(f); /* scoped streams are read-only or already flushed */
}

int
steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}
