/* SPDX-License-Identifier: PostgreSQL
 *
 * What C lacks and our plugins share: memory that is there or ends the program,
 * formatted texts, scoped cleanup. Plugins do not see core/base.
 */
#ifndef PGCASK_COMMON_PLAIN_H
#define PGCASK_COMMON_PLAIN_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* Zeroed; never NULL: out of memory ends the program, as in the core. */
void *plain_zalloc(size_t size);
void *plain_realloc_array(void *array, size_t count, size_t size);
char *plain_strdup(const char *text);
char *plain_strndup(const char *text, size_t len);
char *plain_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Overwrite, so that the compiler does not leave it out, then free. */
void plain_wipe_free(char *secret);

static inline void
plain_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void
plain_cleanup_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void
plain_cleanup_wipe(char **secret)
{
    plain_wipe_free(*secret);
}

#define CLEANUP_FREE __attribute__((cleanup(plain_cleanup_free)))
#define CLEANUP_WIPE __attribute__((cleanup(plain_cleanup_wipe)))
#define CLEANUP_FD __attribute__((cleanup(plain_cleanup_close)))
#define CLEANUP(function) __attribute__((cleanup(cleanup_##function)))
#define CLEANUP_DEFINE(type, function)                                                                                 \
    static inline void cleanup_##function(type **pointer)                                                              \
    {                                                                                                                  \
        function(*pointer);                                                                                            \
    }
#define STEAL(pointer)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
                                                                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    })
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
