/* SPDX-License-Identifier: PostgreSQL
 *
 * The small XML documents of AWS's services, by expat: each element's end is told with its path and text. A document that
 * brings a DOCTYPE (and so entities) is refused, as is one that is deep or has long texts.
 */
#ifndef PGCASK_COMMON_AWS_XML_H
#define PGCASK_COMMON_AWS_XML_H

#include <stddef.h>

struct xml_reader {
    /* An element begins; may be NULL. `path`: "ListBucketResult/Contents", without namespaces. */
    int (*begin)(void *ctx, const char *path);
    /* It ends; `text` is what stood in it, behind its last child when it has any. Both: 0, or the error that xml_read returns. */
    int (*end)(void *ctx, const char *path, const char *text);
    void *ctx;
};

/* PGCASK_FAILED when it is not well-formed; `what` names it in the text. */
int xml_read(const char *what, const char *data, size_t len, const struct xml_reader *reader);

/* `text` with & < > " escaped, owned by the caller. */
char *xml_escape(const char *text);

#endif
