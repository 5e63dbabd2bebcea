/* SPDX-License-Identifier: PostgreSQL
 *
 * Cold storage: which objects of a store can be read now, asking for those that
 * cannot, and waiting until they are there.
 */
#ifndef PGCASK_PIPELINE_THAW_H
#define PGCASK_PIPELINE_THAW_H

#include "catalog/catalog.h"
#include "plugin/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thaw_options {
    const char *tier; /* expedited, standard or bulk */
    int days;         /* how long they are to be readable */
    int64_t poll_ms;  /* how often to look while waiting */
    bool wait;        /* else PGCASK_COLD once they have been asked for */
};
#define THAW_OPTIONS_INIT { .tier = "standard", .days = 7, .poll_ms = 60 * 1000 }

/* As given on the command line; NULL keeps what is there. ERROR_USAGE for what is none, without the option's name. */
int thaw_set_tier(struct thaw_options *options, const char *text);
int thaw_set_days(struct thaw_options *options, const char *text);
int thaw_set_poll(struct thaw_options *options, const char *text);

struct thaw_object {
    char *key;
    uint64_t size;
    bool known;  /* what stands below */
    bool lost;   /* it is not there */
    int tier;    /* PGCASK_TIER_… */
    int64_t until_s;
};

/* Some objects of one store; {0} and the store at the beginning. */
struct thaw {
    struct storage *storage;
    struct thaw_object *objects;
    size_t len, cap;
    char *expected; /* what the store said of the first one it was asked for */
    size_t asked;
};

void thaw_free(struct thaw *thaw);
void cleanup_thaw(struct thaw *thaw);
#define CLEANUP_THAW __attribute__((cleanup(cleanup_thaw)))

/* Take in an object. `listed` (may be NULL): what a listing that tells of cold objects says of it. */
void thaw_add(struct thaw *thaw, const char *key, uint64_t size, const struct catalog_object *listed);
/* All members of a copy. */
void thaw_add_members(struct thaw *thaw, const struct catalog *catalog, const struct catalog_copy *copy,
                      const struct manifest *manifest);
/* Find out about those that are not known, several at a time. In a store that has no cold objects nothing is asked for. */
int thaw_look(struct thaw *thaw);
/* The largest first: when that one is hot, so are the others. Of a backup all go to cold storage together, but for those
 * that are too small for it to pay. */
int thaw_look_quickly(struct thaw *thaw);
bool thaw_is_readable(const struct thaw_object *object);
bool thaw_all_readable(const struct thaw *thaw);
/* Behind thaw_look: how all of them together can be read, as catalog_tier. */
int thaw_tier(const struct thaw *thaw, int64_t *ret_until_s);

/* Ask for all that cannot be read. 0: now they can. PGCASK_COLD: they are on their way, the text says how long that takes.
 * With options->wait it is told as a warning instead, and waited for. */
int thaw_bring(struct thaw *thaw, const struct thaw_options *options);

/* "cold", "thawing", "thawed", "hot" */
const char *thaw_word(int tier);

#endif
