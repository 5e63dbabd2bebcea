/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/wal-line.h"

#include <stdlib.h>
#include <string.h>

bool
line_take(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

bool
line_take_number(const char **at, uint32_t *ret_number)
{
    uint64_t number = 0;
    const char *p = *at;

    while (*p >= '0' && *p <= '9' && number <= UINT32_MAX)
        number = number * 10 + (uint64_t)(*p++ - '0');
    if (p == *at || number > UINT32_MAX)
        return false;
    *at = p;
    *ret_number = (uint32_t)number;
    return true;
}

static bool
take_hex(const char **at, uint32_t *ret_number)
{
    char *end;
    unsigned long number;

    if (strspn(*at, "0123456789ABCDEFabcdef") == 0 || strspn(*at, "0123456789ABCDEFabcdef") > 8)
        return false;
    number = strtoul(*at, &end, 16);
    *at = end;
    *ret_number = (uint32_t)number;
    return true;
}

static void
skip_blanks(const char **at)
{
    while (**at == ' ')
        (*at)++;
}

const char *
line_behind(const char *text, const char *word)
{
    const char *found = strstr(text, word);

    return found != NULL ? found + strlen(word) : NULL;
}

bool
wal_line_read(const char *line, struct wal_line *ret_line)
{
    const char *at = line;
    uint32_t high, low;

    if (!line_take(&at, "rmgr: "))
        return false;
    ret_line->rmgr = at;
    ret_line->rmgr_len = strcspn(at, " ");
    at = line_behind(at, ", tx:");
    if (at == NULL)
        return false;
    skip_blanks(&at);
    if (!line_take_number(&at, &ret_line->xid) || !line_take(&at, ", lsn: ") || !take_hex(&at, &high) ||
        !line_take(&at, "/") || !take_hex(&at, &low))
        return false;
    ret_line->lsn = (uint64_t)high << 32 | low;
    ret_line->desc = line_behind(at, ", desc: ");
    return ret_line->desc != NULL;
}

bool
line_take_path(const char **at, uint32_t *ret_database, uint32_t *ret_node)
{
    size_t len = strcspn(*at, " ;,");
    const char *p = *at, *end = *at + len;
    bool good;

    *at = end;
    if (line_take(&p, "pg_tblspc/"))
        for (int i = 0; i < 2; i++) {
            p += strcspn(p, "/ ;,");
            p += *p == '/';
        }
    else if (!line_take(&p, "base/"))
        return false;
    good = p < end && line_take_number(&p, ret_database) && line_take(&p, "/") && line_take_number(&p, ret_node);
    return good && p == end;
}

bool
line_node(const char *desc, uint32_t *ret_database, uint32_t *ret_node)
{
    const char *at = line_behind(desc, "blkref #0: rel ");
    uint32_t space;

    return at != NULL && line_take_number(&at, &space) && line_take(&at, "/") && line_take_number(&at, ret_database) &&
           line_take(&at, "/") && line_take_number(&at, ret_node);
}
