/* SPDX-License-Identifier: PostgreSQL
 *
 * Allocation that cannot fail, and scoped cleanup.
 *
 * A backup tool that runs out of memory has nothing better to do than to stop:
 * the manifest is written last, so stopping at any instant is safe. Hence every
 * mem_* function returns memory or ends the process with a message. Sizes that
 * come from a file, a server or a plugin are checked against a limit first.
 */
#ifndef PGCASK_BASE_MEM_H
#define PGCASK_BASE_MEM_H

#include <stddef.h>

/* What the process ends with then; 1 at the beginning. Call it before there are other threads that allocate. */
void mem_exhausted_code(int code);

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
/* count * size, checked for overflow */
void *mem_realloc_array(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *format, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Page-aligned memory for the large buffers of the pipeline; free with mem_pages_free. */
void *mem_pages_alloc(size_t size) __attribute__((returns_nonnull));
void mem_pages_free(void *pages, size_t size);

/* Grow `items` (an array of `len` elements, room for `cap`) so that one more fits. */
#define MEM_GROW(items, len, cap)                                                                                      \
    do {                                                                                                               \
        if ((len) == (cap)) {                                                                                          \
            (cap) = (cap) ? (cap) * 2 : 8;                                                                             \
            (items) = mem_realloc_array((items), (cap), sizeof *(items));                                              \
        }                                                                                                              \
    } while (0)

void cleanup_free(void *pointer_to_pointer);
void cleanup_close(int *fd);
void cleanup_fclose(void *pointer_to_file);
#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
#define CLEANUP_FD __attribute__((cleanup(cleanup_close)))
#define CLEANUP_FILE __attribute__((cleanup(cleanup_fclose)))
/* CLEANUP(thing_free) struct thing *t: for every type whose free function takes the pointer itself,
 * declare CLEANUP_DEFINE(struct thing, thing_free) once behind the prototype. */
#define CLEANUP_DEFINE(type, function)                                                                                 \
    static inline void cleanup_##function(type **p)                                                                    \
    {                                                                                                                  \
        function(*p);                                                                                                  \
    }
#define CLEANUP(function) __attribute__((cleanup(cleanup_##function)))

/* Hand a scoped resource on: the variable is emptied, its cleanup does nothing. */
#define STEAL(pointer)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    })
int steal_fd(int *fd);

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
