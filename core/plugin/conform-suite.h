/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of the conformance suite share. A case returns 0 or an error whose text says what was wrong.
 */
#ifndef PGCASK_PLUGIN_CONFORM_SUITE_H
#define PGCASK_PLUGIN_CONFORM_SUITE_H

#include "plugin/conform.h"
#include "plugin/storage.h"

struct conform {
    const struct conform_spec *spec;
    struct option_set *set;
    struct storage *storage;
    char *root; /* "pgcask-check-<hex>/" */
    struct storage_limits limits;
    bool hot; /* objects turn cold as soon as they are written, unless asked to be readable at once: so the cases ask */
    unsigned number, failed; /* cases so far */
};

enum { CONFORM_SKIPPED = 1 }; /* a case's answer besides 0 and errors; the slot holds the reason */

struct conform_case {
    const char *title; /* what holds when the case passes */
    int (*run)(struct conform *conform);
};
/* End with a NULL title. */
extern const struct conform_case conform_write_cases[];
extern const struct conform_case conform_read_cases[];
extern const struct conform_case conform_list_cases[];
extern const struct conform_case conform_optional_cases[];
extern const struct conform_case conform_use_cases[];

/* A second handle of the same store. */
int conform_open(struct conform *conform, const char *name, unsigned flags, struct storage **ret_storage);

/* Call `run` from CONFORM_THREADS threads at once, each with another index from 0; the first error of any. */
enum { CONFORM_THREADS = 8 };
int conform_threads(struct conform *conform, int (*run)(struct conform *conform, unsigned index, void *ctx), void *ctx);
/* A comment in the TAP. */
void conform_note(const struct conform *conform, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "<root><name>", owned by the caller. */
char *conform_key(const struct conform *conform, const char *name);
/* `size` bytes that differ from those of any other `seed`; owned by the caller. */
unsigned char *conform_data(unsigned seed, size_t size);
/* The smallest part that is no nuisance: at least 4 KiB where the store allows that. */
size_t conform_small_part(const struct conform *conform);
/* An object of conform_data(seed, size), in parts of the preferred size. */
int conform_put(struct conform *conform, const char *key, unsigned seed, size_t size);
/* The object is there, and holds exactly conform_data(seed, size). */
int conform_holds(struct conform *conform, struct storage *storage, const char *key, unsigned seed, size_t size);
/* Remove all that begins with `prefix`, in batches where the plugin can. */
int conform_remove_all(struct conform *conform, const char *prefix);
/* How many objects begin with `prefix`, and that it is `wanted`. */
int conform_count(struct conform *conform, const char *prefix, size_t wanted);
/* `rc` must be the error `wanted` and have a text of the plugin's; 0 then, and the slot is empty. */
int conform_expect(int rc, int wanted, const char *doing);

#endif
