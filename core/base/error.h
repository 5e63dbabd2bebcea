/* SPDX-License-Identifier: PostgreSQL
 *
 * One error slot for each thread. The code says what the caller may do, the
 * text says what happened, the hint says the cure.
 *
 * The lowest layer that knows calls error_set; layers above may add where it
 * happened with error_context ("store 'offsite': part 7: …"), never replace it;
 * main (or the thread that ends a run) prints it once. The codes 0 to -9 are
 * those of pgcask-plugin.h, so that a plugin's answer travels up unchanged.
 */
#ifndef PGCASK_BASE_ERROR_H
#define PGCASK_BASE_ERROR_H

#include "pgcask-plugin.h"

enum {
    ERROR_USAGE = -20,    /* a command line, config or key that cannot be used; exit 2 */
    ERROR_LOCKED = -21,   /* another run holds the lock; exit 4 */
    ERROR_CANCELLED = -22, /* a signal asked us to stop; exit 1 */
    ERROR_CORRUPT = -23,  /* stored or foreign bytes are not what they must be; exit 1 */
};

/* Replace what the slot holds; return `code`. A hint set before is dropped. */
int error_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with ": " and the text of errno behind it. errno is kept. */
int error_errno(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Put "<formatted>: " before the text that is there; return `code`. */
int error_context(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Add or replace the cure; return `code`. */
int error_hint(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_clear(void);
const char *error_text(void); /* "" when none; borrowed until the next error_ call of this thread */
const char *error_cure(void); /* the hint, NULL when none; borrowed likewise */

/* An error taken out of one thread's slot to be put into another's. */
struct error {
    int code; /* 0: none */
    char *text;
    char *hint;
};
void error_take(int code, struct error *ret_error);
int error_put(struct error *error); /* moves it into the slot, empties *error, returns its code */
void error_free(struct error *error);

#endif
