/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-xml.h"

#include "common/plain.h"
#include "pgcask-plugin.h"

#include <expat.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

enum { PATH_MAX_BYTES = 500, TEXT_MAX_BYTES = 64 * 1024, DEPTH_MAX = 16 };

struct parse {
    XML_Parser parser;
    const struct xml_reader *reader;
    const char *what;
    char path[PATH_MAX_BYTES];
    size_t path_len, depth;
    char *text; /* of the innermost element */
    size_t text_len;
    int rc;
};

/* Nothing more is called after this. */
static void
parse_stop(struct parse *parse, int rc)
{
    parse->rc = rc;
    (void)XML_StopParser(parse->parser, XML_FALSE);
}

static void
parse_refuse(struct parse *parse, const char *why)
{
    pgcask_error("%s: %s", parse->what, why);
    parse_stop(parse, PGCASK_FAILED);
}

static void XMLCALL
parse_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct parse *parse = ctx;
    const char *colon = strrchr(name, ':');
    size_t len;
    int rc;

    (void)attributes;
    name = colon != NULL ? colon + 1 : name;
    len = strlen(name);
    if (parse->rc < 0)
        return;
    if (parse->depth == DEPTH_MAX || parse->path_len + len + 2 > sizeof parse->path) {
        parse_refuse(parse, "the XML is nested too deeply");
        return;
    }
    if (parse->path_len > 0)
        parse->path[parse->path_len++] = '/';
    memcpy(parse->path + parse->path_len, name, len + 1);
    parse->path_len += len;
    parse->depth++;
    parse->text_len = 0;
    if (parse->reader->begin == NULL)
        return;
    rc = parse->reader->begin(parse->reader->ctx, parse->path);
    if (rc < 0)
        parse_stop(parse, rc);
}

static void XMLCALL
parse_end(void *ctx, const XML_Char *name)
{
    struct parse *parse = ctx;
    char *slash;
    int rc;

    (void)name;
    if (parse->rc < 0)
        return;
    parse->text[parse->text_len] = '\0';
    rc = parse->reader->end(parse->reader->ctx, parse->path, parse->text);
    if (rc < 0) {
        parse_stop(parse, rc);
        return;
    }
    slash = strrchr(parse->path, '/');
    parse->path_len = slash != NULL ? (size_t)(slash - parse->path) : 0;
    parse->path[parse->path_len] = '\0';
    parse->depth--;
    parse->text_len = 0; /* what follows belongs to the parent */
}

static void XMLCALL
parse_text(void *ctx, const XML_Char *text, int len)
{
    struct parse *parse = ctx;

    if (parse->rc < 0)
        return;
    if ((size_t)len > TEXT_MAX_BYTES - parse->text_len) {
        parse_refuse(parse, "the XML has a text that is too long");
        return;
    }
    memcpy(parse->text + parse->text_len, text, (size_t)len);
    parse->text_len += (size_t)len;
}

static void XMLCALL
parse_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    parse_refuse(ctx, "the XML has a DOCTYPE, which is not accepted");
}

int
xml_read(const char *what, const char *data, size_t len, const struct xml_reader *reader)
{
    struct parse parse = { .reader = reader, .what = what };
    enum XML_Status status;

    if (len > INT_MAX) {
        pgcask_error("%s: the XML is too long", what);
        return PGCASK_FAILED;
    }
    parse.parser = XML_ParserCreate(NULL);
    if (parse.parser == NULL) {
        pgcask_error("libexpat is out of memory");
        return PGCASK_FAILED;
    }
    parse.text = plain_zalloc(TEXT_MAX_BYTES + 1);
    XML_SetUserData(parse.parser, &parse);
    XML_SetElementHandler(parse.parser, parse_start, parse_end);
    XML_SetCharacterDataHandler(parse.parser, parse_text);
    XML_SetStartDoctypeDeclHandler(parse.parser, parse_doctype);
    status = XML_Parse(parse.parser, data, (int)len, XML_TRUE);
    if (status != XML_STATUS_OK && parse.rc == 0) {
        pgcask_error("%s: not XML: %s in line %lu", what, XML_ErrorString(XML_GetErrorCode(parse.parser)),
                     (unsigned long)XML_GetCurrentLineNumber(parse.parser));
        parse.rc = PGCASK_FAILED;
    }
    XML_ParserFree(parse.parser);
    OPENSSL_cleanse(parse.text, TEXT_MAX_BYTES + 1); /* it may have been a key */
    free(parse.text);
    return parse.rc;
}

char *
xml_escape(const char *text)
{
    static const struct {
        char byte;
        const char *entity;
    } table[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" } };
    char *out = plain_zalloc(strlen(text) * 6 + 1), *p = out;

    for (; *text != '\0'; text++) {
        const char *entity = NULL;

        for (size_t i = 0; i < ARRAY_LEN(table); i++)
            if (table[i].byte == *text)
                entity = table[i].entity;
        if (entity == NULL) {
            *p++ = *text;
            continue;
        }
        memcpy(p, entity, strlen(entity));
        p += strlen(entity);
    }
    return out;
}
