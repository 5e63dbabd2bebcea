/* SPDX-License-Identifier: PostgreSQL
 *
 * One value of one option: text checked by the row's type and limits. Used by
 * option.c and option-table.c only.
 */
#ifndef PGCASK_CONFIG_OPTION_VALUE_H
#define PGCASK_CONFIG_OPTION_VALUE_H

#include "pgcask-plugin.h"

#include <stdbool.h>

struct option_value {
    char *text;     /* as it will be shown, and as a pointer field will hold it; NULL for an empty LIST */
    int64_t number; /* for BOOL, INT, SIZE, DURATION */
};

/* How a type looks from outside; NULL: no such type. */
struct option_type {
    const char *name;
    size_t size;  /* of its field in the settings, in bytes */
    bool pointer; /* the field is a const char * */
    bool number;  /* min and max mean something */
    bool free;    /* the text may hold ';' and '#' */
};
const struct option_type *option_type(int type);

/* PGCASK_FAILED with a text that holds the value and what is wanted, but neither the option's name nor its place. */
int option_value_parse(const struct pgcask_option *option, const char *text, struct option_value *ret_value);
/* Put it where the row says. Pointers borrow value->text. */
void option_value_store(const struct pgcask_option *option, const struct option_value *value, void *settings);

#endif
