/* SPDX-License-Identifier: PostgreSQL
 *
 * The own parser, instead of libarchive's: a header is one block of fixed fields, and a parser that is pushed hands
 * contents on from the decompressor's buffer, where libarchive pulls and would need a thread and a copy for each stream.
 * It also takes dozens of formats that must not be taken here.
 */
#include "config.h"

#include "stage/untar.h"

#include "base/error.h"
#include "base/path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Where the fields of a header are, and how long. Numbers are octal digits, or base 256 with the first bit set. */
enum {
    AT_NAME = 0,
    LEN_NAME = 100,
    AT_MODE = 100,
    LEN_MODE = 8,
    AT_SIZE = 124,
    LEN_SIZE = 12,
    AT_MTIME = 136,
    LEN_MTIME = 12,
    AT_SUM = 148,
    LEN_SUM = 8,
    AT_TYPE = 156,
    AT_TARGET = 157,
    LEN_TARGET = 100,
    AT_MAGIC = 257,
    AT_PREFIX = 345,
    LEN_PREFIX = 155,
};

static const uint64_t size_max = UINT64_C(1) << 60; /* so that sums of two never overflow */

enum untar_state { UNTAR_HEADER, UNTAR_CONTENT, UNTAR_PADDING, UNTAR_ENDING };

struct untar {
    const struct untar_ops *ops;
    void *ctx;
    enum untar_state state;
    unsigned char block[UNTAR_BLOCK_BYTES];
    size_t have;     /* bytes in it */
    uint64_t left;   /* of the content */
    size_t padding;  /* bytes behind it, up to the next block */
    uint64_t offset; /* of the next byte, for messages */
    char name[UNTAR_NAME_MAX + 1];
    char target[LEN_TARGET + 1];
};

static int
untar_corrupt(const struct untar *untar, const char *what)
{
    return error_set(ERROR_CORRUPT, "tar: %s in the header before byte %llu", what, (unsigned long long)untar->offset);
}

/* ---- the fields of a header ---- */

static int
header_octal(const unsigned char *field, size_t len, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = 0, digits = 0;

    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++, digits++)
        value = value * 8 + (uint64_t)(field[i] - '0'); /* 12 digits: 36 bits */
    for (; i < len; i++)
        if (field[i] != ' ' && field[i] != '\0')
            return -1;
    *ret_value = value;
    return digits > 0 ? 0 : -1;
}

static int
header_number(const struct untar *untar, size_t at, size_t len, const char *what, uint64_t *ret_value)
{
    const unsigned char *field = untar->block + at;
    uint64_t value = field[0] & 0x7F;

    if ((field[0] & 0x80) == 0)
        return header_octal(field, len, ret_value) == 0 ? 0 : untar_corrupt(untar, what);
    for (size_t i = 1; i < len; i++) {
        if (value >> 52 != 0)
            return untar_corrupt(untar, what);
        value = value << 8 | field[i];
    }
    *ret_value = value;
    return 0;
}

static int
header_check(const struct untar *untar)
{
    uint64_t wanted, sum = 0;
    int rc = header_number(untar, AT_SUM, LEN_SUM, "no checksum", &wanted);

    if (rc < 0)
        return rc;
    if (memcmp(untar->block + AT_MAGIC, "ustar", 5) != 0)
        return untar_corrupt(untar, "no magic");
    for (size_t i = 0; i < UNTAR_BLOCK_BYTES; i++)
        sum += i >= AT_SUM && i < AT_SUM + LEN_SUM ? ' ' : untar->block[i];
    return sum == wanted ? 0 : untar_corrupt(untar, "a wrong checksum");
}

static bool
block_is_zero(const unsigned char *block)
{
    for (size_t i = 0; i < UNTAR_BLOCK_BYTES; i++)
        if (block[i] != 0)
            return false;
    return true;
}

/* ---- names ---- */

/* Copy it without "./" before it and '/' behind it. The root itself, ".", becomes "". */
static void
name_copy(struct untar *untar)
{
    const char *name = (const char *)untar->block + AT_NAME, *prefix = (const char *)untar->block + AT_PREFIX;
    size_t prefix_len = strnlen(prefix, LEN_PREFIX), name_len = strnlen(name, LEN_NAME), len = 0, skip = 0;

    if (memcmp(untar->block + AT_MAGIC, "ustar\0", 6) != 0)
        prefix_len = 0; /* GNU's old header has times there */
    if (prefix_len > 0) {
        memcpy(untar->name, prefix, prefix_len);
        untar->name[prefix_len] = '/';
        len = prefix_len + 1;
    }
    memcpy(untar->name + len, name, name_len);
    len += name_len;
    while (len > 1 && untar->name[len - 1] == '/')
        len--;
    while (len - skip >= 2 && untar->name[skip] == '.' && untar->name[skip + 1] == '/')
        skip += 2;
    if (len - skip == 1 && untar->name[skip] == '.')
        skip++;
    len -= skip;
    memmove(untar->name, untar->name + skip, len);
    untar->name[len] = '\0';
}

/* ---- entries ---- */

static int
entry_type(const struct untar *untar, struct untar_entry *entry)
{
    unsigned char type = untar->block[AT_TYPE];

    switch (type) {
    case '0':
    case '\0':
        entry->type = UNTAR_FILE;
        return 0;
    case '5':
        entry->type = UNTAR_DIRECTORY;
        return 0;
    case '2':
        entry->type = UNTAR_SYMLINK;
        return 0;
    case 'x':
    case 'g':
        return error_set(PGCASK_UNSUPPORTED, "tar: a pax header before byte %llu, which BASE_BACKUP does not write",
                         (unsigned long long)untar->offset);
    default:
        return error_set(PGCASK_UNSUPPORTED,
                         "tar: an entry of type 0x%02X before byte %llu, which BASE_BACKUP does not write", type,
                         (unsigned long long)untar->offset);
    }
}

static int
entry_numbers(const struct untar *untar, struct untar_entry *entry)
{
    uint64_t mode, mtime;
    int rc = header_number(untar, AT_MODE, LEN_MODE, "no mode", &mode);

    if (rc == 0)
        rc = header_number(untar, AT_SIZE, LEN_SIZE, "no size", &entry->size);
    if (rc == 0)
        rc = header_number(untar, AT_MTIME, LEN_MTIME, "no time", &mtime);
    if (rc < 0)
        return rc;
    if (entry->size > size_max)
        return untar_corrupt(untar, "an impossible size");
    entry->mode = (unsigned)(mode & 07777);
    entry->mtime_s = (int64_t)mtime;
    return 0;
}

static int
entry_read(struct untar *untar, struct untar_entry *ret_entry)
{
    size_t target_len = strnlen((const char *)untar->block + AT_TARGET, LEN_TARGET);
    int rc = header_check(untar);

    *ret_entry = (struct untar_entry){ .name = untar->name };
    if (rc == 0)
        rc = entry_type(untar, ret_entry);
    if (rc == 0)
        rc = entry_numbers(untar, ret_entry);
    if (rc < 0)
        return rc;
    name_copy(untar);
    if (untar->name[0] == '\0' && ret_entry->type != UNTAR_DIRECTORY)
        return untar_corrupt(untar, "no name");
    if (!path_is_inside(untar->name))
        return error_set(ERROR_CORRUPT, "tar: the name '%s' leads out of its directory", untar->name);
    if (ret_entry->type != UNTAR_FILE && ret_entry->size != 0)
        return error_set(ERROR_CORRUPT, "tar: '%s' is no file, and has %llu bytes", untar->name,
                         (unsigned long long)ret_entry->size);
    if (ret_entry->type != UNTAR_SYMLINK)
        return 0;
    memcpy(untar->target, untar->block + AT_TARGET, target_len);
    untar->target[target_len] = '\0';
    ret_entry->target = untar->target;
    return target_len > 0 ? 0 : error_set(ERROR_CORRUPT, "tar: the symbolic link '%s' leads nowhere", untar->name);
}

/* ---- the stream ---- */

static int
untar_content_end(struct untar *untar)
{
    int rc;

    if (untar->left > 0)
        return 0;
    rc = untar->ops->end(untar->ctx);
    untar->state = untar->padding > 0 ? UNTAR_PADDING : UNTAR_HEADER;
    return rc;
}

static int
untar_entry(struct untar *untar)
{
    struct untar_entry entry;
    int rc;

    untar->have = 0;
    if (block_is_zero(untar->block)) {
        untar->state = UNTAR_ENDING;
        return 0;
    }
    rc = entry_read(untar, &entry);
    if (rc < 0 || entry.name[0] == '\0') /* the root itself is there already */
        return rc;
    rc = untar->ops->begin(untar->ctx, &entry);
    if (rc < 0 || entry.type != UNTAR_FILE)
        return rc;
    untar->left = entry.size;
    untar->padding = (size_t)(-entry.size % UNTAR_BLOCK_BYTES);
    untar->state = UNTAR_CONTENT;
    return untar_content_end(untar);
}

/* Each of these uses up some of the `len` bytes, and says how many. */
static int
step_header(struct untar *untar, const unsigned char *data, size_t len, size_t *ret_used)
{
    size_t part = sizeof untar->block - untar->have;

    if (part > len)
        part = len;
    memcpy(untar->block + untar->have, data, part);
    untar->have += part;
    untar->offset += part;
    *ret_used = part;
    return untar->have < sizeof untar->block ? 0 : untar_entry(untar);
}

static int
step_content(struct untar *untar, const unsigned char *data, size_t len, size_t *ret_used)
{
    size_t part = untar->left < len ? (size_t)untar->left : len;
    int rc = untar->ops->bytes(untar->ctx, data, part);

    if (rc < 0)
        return rc;
    untar->left -= part;
    untar->offset += part;
    *ret_used = part;
    return untar_content_end(untar);
}

static int
step_padding(struct untar *untar, size_t len, size_t *ret_used)
{
    size_t part = untar->padding < len ? untar->padding : len;

    untar->padding -= part;
    untar->offset += part;
    *ret_used = part;
    if (untar->padding == 0)
        untar->state = UNTAR_HEADER;
    return 0;
}

/* Behind the first block of zeros only zeros may follow. */
static int
step_ending(struct untar *untar, const unsigned char *data, size_t len, size_t *ret_used)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return error_set(ERROR_CORRUPT, "tar: bytes behind the end, at %llu",
                             (unsigned long long)untar->offset + i);
    untar->offset += len;
    *ret_used = len;
    return 0;
}

int
untar_add(void *untar_, const void *data, size_t len)
{
    struct untar *untar = untar_;
    const unsigned char *bytes = data;
    size_t used = 0;
    int rc = 0;

    for (; rc == 0 && len > 0; bytes += used, len -= used) {
        switch (untar->state) {
        case UNTAR_HEADER:
            rc = step_header(untar, bytes, len, &used);
            break;
        case UNTAR_CONTENT:
            rc = step_content(untar, bytes, len, &used);
            break;
        case UNTAR_PADDING:
            rc = step_padding(untar, len, &used);
            break;
        case UNTAR_ENDING:
            rc = step_ending(untar, bytes, len, &used);
            break;
        }
    }
    return rc;
}

int
untar_end(struct untar *untar)
{
    if ((untar->state == UNTAR_HEADER && untar->have == 0) || untar->state == UNTAR_ENDING)
        return 0;
    return error_set(ERROR_CORRUPT, "tar: it ends within an entry, at byte %llu", (unsigned long long)untar->offset);
}

struct untar *
untar_new(const struct untar_ops *ops, void *ctx)
{
    struct untar *untar = mem_zalloc(sizeof *untar);

    untar->ops = ops;
    untar->ctx = ctx;
    return untar;
}

void
untar_free(struct untar *untar)
{
    free(untar);
}
