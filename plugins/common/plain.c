/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/plain.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *
plain_check(void *memory)
{
    if (memory == NULL) {
        (void)fputs("pgcask: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *
plain_zalloc(size_t size)
{
    return plain_check(calloc(1, size > 0 ? size : 1));
}

void *
plain_realloc_array(void *array, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size)
        return plain_check(NULL);
    return plain_check(realloc(array, count * size > 0 ? count * size : 1));
}

char *
plain_strdup(const char *text)
{
    return plain_check(strdup(text));
}

char *
plain_strndup(const char *text, size_t len)
{
    return plain_check(strndup(text, len));
}

char *
plain_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    return plain_check(len < 0 ? NULL : text);
}

void
plain_wipe_free(char *secret)
{
    if (secret == NULL)
        return;
    OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}
