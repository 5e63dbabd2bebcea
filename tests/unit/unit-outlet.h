/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of the outlet have in common: two stores in memory, and bytes for
 * them.
 */
#ifndef PGCASK_TESTS_UNIT_OUTLET_H
#define PGCASK_TESTS_UNIT_OUTLET_H

#include "stage/outlet.h"

#include "unit-store.h"

enum { DATA_BYTES = 20500 }; /* 20 parts and a half */

static struct store stores[2];
static struct storage *storages[2];
static struct outlet *outlet;
static unsigned char data[DATA_BYTES];

/* Open the first `count` stores as the test has set them up. */
static inline void
open_all(size_t count, unsigned objects)
{
    for (size_t i = 0; i < count; i++) {
        store_open(&stores[i], i == 0 ? "a" : "b");
        storages[i] = stores[i].storage;
    }
    ck_assert_msg(outlet_new(storages, count, objects, &outlet) == 0, "%s", error_text());
}

static inline void
setup(void)
{
    memset(stores, 0, sizeof stores);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 2654435761U >> 13);
}

static inline void
teardown(void)
{
    outlet_free(outlet);
    outlet = NULL;
    for (size_t i = 0; i < ARRAY_LEN(stores); i++)
        if (stores[i].storage != NULL)
            store_close(&stores[i]);
}

#endif
