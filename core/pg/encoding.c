/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/encoding.h"

#include "base/error.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>

/* PostgreSQL's names where iconv knows the encoding by another one (PostgreSQL documentation, "Character Set Support"). */
static const struct {
    const char *pg, *iconv;
} names[] = {
    { "UTF8", "UTF-8" },
    { "LATIN1", "ISO-8859-1" },
    { "LATIN2", "ISO-8859-2" },
    { "LATIN3", "ISO-8859-3" },
    { "LATIN4", "ISO-8859-4" },
    { "LATIN5", "ISO-8859-9" },
    { "LATIN6", "ISO-8859-10" },
    { "LATIN7", "ISO-8859-13" },
    { "LATIN8", "ISO-8859-14" },
    { "LATIN9", "ISO-8859-15" },
    { "LATIN10", "ISO-8859-16" },
    { "ISO_8859_5", "ISO-8859-5" },
    { "ISO_8859_6", "ISO-8859-6" },
    { "ISO_8859_7", "ISO-8859-7" },
    { "ISO_8859_8", "ISO-8859-8" },
    { "WIN866", "CP866" },
    { "WIN874", "CP874" },
    { "WIN1250", "CP1250" },
    { "WIN1251", "CP1251" },
    { "WIN1252", "CP1252" },
    { "WIN1253", "CP1253" },
    { "WIN1254", "CP1254" },
    { "WIN1255", "CP1255" },
    { "WIN1256", "CP1256" },
    { "WIN1257", "CP1257" },
    { "WIN1258", "CP1258" },
    { "KOI8R", "KOI8-R" },
    { "KOI8U", "KOI8-U" },
    { "EUC_CN", "EUC-CN" },
    { "EUC_JP", "EUC-JP" },
    { "EUC_JIS_2004", "EUC-JISX0213" },
    { "EUC_KR", "EUC-KR" },
    { "EUC_TW", "EUC-TW" },
};

char *
encoding_of_archive(const struct archive *archive)
{
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        const char *open = NULL, *close = NULL;

        if (entry->desc == NULL || strcmp(entry->desc, "ENCODING") != 0 || entry->defn == NULL)
            continue;
        open = strchr(entry->defn, '\''); /* SET client_encoding = 'LATIN1'; */
        close = open ? strchr(open + 1, '\'') : NULL;
        if (close != NULL)
            return mem_strndup(open + 1, (size_t)(close - open - 1));
    }
    return mem_strdup("UTF8");
}

static const char *
encoding_iconv_name(const char *pg)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].pg, pg) == 0)
            return names[i].iconv;
    return pg;
}

int
encoding_convert(const char *text, const char *from, const char *to, char **ret_text)
{
    size_t in_left = strlen(text), out_left = 4 * in_left; /* no encoding needs more than 4 bytes for one of another */
    CLEANUP_FREE char *copy = mem_strdup(text), *converted = mem_zalloc(out_left + 1);
    char *in = copy, *out = converted;
    iconv_t way;
    size_t left;

    if (strcmp(from, to) == 0 || strcmp(from, "SQL_ASCII") == 0 || strcmp(to, "SQL_ASCII") == 0) {
        *ret_text = STEAL(copy);
        return 0;
    }
    way = iconv_open(encoding_iconv_name(to), encoding_iconv_name(from));
    if (way == (iconv_t)-1)
        return error_set(PGCASK_UNSUPPORTED, "this machine cannot convert from encoding %s to %s", from, to);
    left = iconv(way, &in, &in_left, &out, &out_left);
    (void)iconv_close(way);
    if (left == (size_t)-1 || in_left > 0)
        return error_set(ERROR_USAGE, "'%s' cannot be written in encoding %s", text, to);
    *ret_text = STEAL(converted);
    return 0;
}
