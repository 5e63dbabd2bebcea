/* SPDX-License-Identifier: PostgreSQL
 *
 * The reader of AWS's XML: what it tells, and what it refuses.
 */
#include "config.h"

#include "unit-plain.h"

#include "common/aws-xml.h"
#include "pgcask-plugin.h"

#include <string.h>

/* What was told, as "+path" and "-path=text" lines. */
struct told {
    char *text;
    const char *stop_begin, *stop_end; /* the path whose callback stops the reading; NULL: none */
    unsigned calls_behind;             /* that came although it was stopped */
    bool stopped;
};

static void
told_add(struct told *told, char *line)
{
    char *longer = plain_printf("%s%s\n", told->text, line);

    told->calls_behind += told->stopped;
    free(told->text);
    free(line);
    told->text = longer;
}

static int
stop(struct told *told, int code)
{
    told->stopped = true;
    pgcask_error("stopped by the test");
    return code;
}

static int
told_begin(void *ctx, const char *path)
{
    struct told *told = ctx;

    told_add(told, plain_printf("+%s", path));
    return told->stop_begin != NULL && strcmp(path, told->stop_begin) == 0 ? stop(told, PGCASK_EXISTS) : 0;
}

static int
told_end(void *ctx, const char *path, const char *text)
{
    struct told *told = ctx;

    told_add(told, plain_printf("-%s=%s", path, text));
    return told->stop_end != NULL && strcmp(path, told->stop_end) == 0 ? stop(told, PGCASK_COLD) : 0;
}

static struct told told;

static int
read_with(const char *data, size_t len, bool with_begin)
{
    const struct xml_reader reader = { .begin = with_begin ? told_begin : NULL, .end = told_end, .ctx = &told };

    error_clear();
    return xml_read("the answer", data, len, &reader);
}

static void
setup(void)
{
    told = (struct told){ .text = plain_strdup("") };
}

static void
teardown(void)
{
    free(told.text);
}

static const struct {
    const char *xml, *told;
} documents[] = {
    { "<a/>", "-a=\n" },
    { "<a>x</a>", "-a=x\n" },
    { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a><b>1</b><b>2</b></a>\n", "-a/b=1\n-a/b=2\n-a=\n" },
    { "<a><b><c>1</c></b><d>2</d></a>", "-a/b/c=1\n-a/b=\n-a/d=2\n-a=\n" },
    { "<a xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><b>1</b></a>", "-a/b=1\n-a=\n" },
    { "<s3:a xmlns:s3=\"urn:x\"><s3:b s3:c=\"2\">1</s3:b></s3:a>", "-a/b=1\n-a=\n" }, /* a prefix is left out */
    { "<a>\xef\xbb\xbf</a>", "-a=\xef\xbb\xbf\n" },
    { "\xef\xbb\xbf<a>x</a>", "-a=x\n" },
    { "<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x41;&#228;</a>", "-a=<&>\"'AA\xc3\xa4\n" },
    { "<a><![CDATA[<b>&amp;]]></a>", "-a=<b>&amp;\n" },
    { "<a>x<!-- y -->z</a>", "-a=xz\n" },
    { "<a>  x  </a>", "-a=  x  \n" }, /* keys may begin or end with blanks */
    { "<a><b>1</b>x</a>", "-a/b=1\n-a=x\n" },
    { "<a>x<b>1</b></a>", "-a/b=1\n-a=\n" }, /* of a text around a child only what follows the last one is kept */
    { "<a>x<b>1</b>y<b>2</b>z</a>", "-a/b=1\n-a/b=2\n-a=z\n" },
    { "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe4</a>", "-a=\xc3\xa4\n" }, /* always UTF-8 in the end */
};

START_TEST(each_element_is_told_with_path_and_text)
{
    ck_assert_msg(read_with(documents[_i].xml, strlen(documents[_i].xml), false) == 0, "%s", error_text());
    ck_assert_str_eq(told.text, documents[_i].told);
}
END_TEST

START_TEST(beginnings_are_told_before_what_is_in_them)
{
    static const char xml[] = "<a><b>1</b><c/></a>";

    ck_assert_int_eq(read_with(xml, sizeof xml - 1, true), 0);
    ck_assert_str_eq(told.text, "+a\n+a/b\n-a/b=1\n+a/c\n-a/c=\n-a=\n");
}
END_TEST

static const struct {
    const char *xml, *error;
} refused[] = {
    { "", "the answer: not XML: " },
    { "   ", "the answer: not XML: " },
    { "not XML", "the answer: not XML: " },
    { "{\"a\": 1}", "the answer: not XML: " },
    { "<a>", "the answer: not XML: " },
    { "<a><b>1</b>", "the answer: not XML: " },
    { "<a>1</b>", "the answer: not XML: mismatched tag in line 1" },
    { "<a>\n\n<b>1</a>", "the answer: not XML: mismatched tag in line 3" },
    { "<a/><b/>", "the answer: not XML: " },
    { "<a>1</a", "the answer: not XML: " },
    { "<a>\x01</a>", "the answer: not XML: " },
    { "<a>\xff\xff</a>", "the answer: not XML: " },
    { "<a>&unknown;</a>", "the answer: not XML: " },
    { "<a b=1/>", "the answer: not XML: " },
    { "<?xml version=\"1.0\" encoding=\"x-none\"?><a/>", "the answer: not XML: " },
    /* whatever it is for */
    { "<!DOCTYPE a><a/>", "the answer: the XML has a DOCTYPE, which is not accepted" },
    { "<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/x\"><a/>", "the answer: the XML has a DOCTYPE, which is not accepted" },
    { "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
      "the answer: the XML has a DOCTYPE, which is not accepted" },
    { "<!DOCTYPE a [<!ENTITY x0 \"xxxxxxxxxx\"><!ENTITY x1 \"&x0;&x0;&x0;&x0;\"><!ENTITY x2 \"&x1;&x1;&x1;&x1;\">"
      "<!ENTITY x3 \"&x2;&x2;&x2;&x2;\">]><a>&x3;</a>",
      "the answer: the XML has a DOCTYPE, which is not accepted" },
    { "<!DOCTYPE a [<!ENTITY % x \"y\">%x;]><a/>", "the answer: the XML has a DOCTYPE, which is not accepted" },
};

START_TEST(what_is_no_plain_document_is_refused)
{
    ck_assert_int_eq(read_with(refused[_i].xml, strlen(refused[_i].xml), true), PGCASK_FAILED);
    ck_assert_error_has(refused[_i].error);
    ck_assert_lacks(told.text, "xxxxxxxxxx");
    ck_assert_lacks(told.text, "root:");
}
END_TEST

START_TEST(bytes_behind_a_nul_are_no_secret_way_in)
{
    static const char xml[] = "<a>x\0</a>";

    ck_assert_int_eq(read_with(xml, sizeof xml - 1, false), PGCASK_FAILED);
    ck_assert_error_has("not XML");
}
END_TEST

START_TEST(every_cut_of_a_document_is_refused)
{
    static const char xml[] = "<?xml version=\"1.0\"?><a><b>1</b><c>2</c></a>";

    for (size_t len = 0; len < sizeof xml - 1; len++) {
        ck_assert_int_eq(read_with(xml, len, false), PGCASK_FAILED);
        ck_assert_error_has("not XML");
    }
    ck_assert_int_eq(read_with(xml, sizeof xml - 1, false), 0);
}
END_TEST

/* `depth` elements in one another. */
static char *
nested(size_t depth, const char *name)
{
    char *xml = plain_strdup("");

    for (size_t i = 0; i < 2 * depth; i++) {
        char *longer = plain_printf("%s<%s%s>", xml, i < depth ? "" : "/", name);

        free(xml);
        xml = longer;
    }
    return xml;
}

static const struct {
    size_t depth, name_len;
    int rc;
} depths[] = {
    { 16, 1, 0 },
    { 17, 1, PGCASK_FAILED },
    { 5000, 1, PGCASK_FAILED },
    { 1, 498, 0 }, /* one path of so many bytes */
    { 1, 499, PGCASK_FAILED },
    { 1, 20000, PGCASK_FAILED },
    { 2, 249, 0 },
    { 3, 249, PGCASK_FAILED },
};

START_TEST(depth_is_limited)
{
    CLEANUP_FREE char *name = plain_zalloc(depths[_i].name_len + 1), *xml = NULL;

    memset(name, 'n', depths[_i].name_len);
    xml = nested(depths[_i].depth, name);
    ck_assert_msg(read_with(xml, strlen(xml), true) == depths[_i].rc, "%s", error_text());
    if (depths[_i].rc < 0)
        ck_assert_error_has("the answer: the XML is nested too deeply");
}
END_TEST

static const struct {
    size_t len;
    bool entities; /* each byte as a callback of its own */
    int rc;
} texts[] = {
    { 64 * 1024, false, 0 }, { 64 * 1024 + 1, false, PGCASK_FAILED }, { 1024 * 1024, false, PGCASK_FAILED },
    { 64 * 1024, true, 0 },  { 64 * 1024 + 1, true, PGCASK_FAILED },
};

START_TEST(a_text_is_limited)
{
    const char *unit = texts[_i].entities ? "&amp;" : "x";
    size_t step = strlen(unit);
    CLEANUP_FREE char *xml = plain_zalloc(texts[_i].len * step + 16);
    char *end = stpcpy(xml, "<a>");

    for (size_t i = 0; i < texts[_i].len; i++)
        end = stpcpy(end, unit);
    (void)stpcpy(end, "</a>");
    ck_assert_msg(read_with(xml, strlen(xml), false) == texts[_i].rc, "%s", error_text());
    if (texts[_i].rc < 0)
        ck_assert_error_has("the answer: the XML has a text that is too long");
    else
        ck_assert_uint_eq(strlen(told.text), texts[_i].len + strlen("-a=\n"));
}
END_TEST

/* In the first, the middle, an empty one, the last. */
static const char *const stops[] = { "a", "a/b", "a/c", "a/d/e" };

START_TEST(a_callback_that_stops_is_the_last_one)
{
    static const char xml[] = "<a><b>1</b><c/><d><e>2</e></d><f>3</f></a><!-- more -->";

    told.stop_begin = stops[_i];
    ck_assert_int_eq(read_with(xml, sizeof xml - 1, true), PGCASK_EXISTS);
    ck_assert_error_has("stopped by the test");
    ck_assert(told.stopped);
    told.stopped = false;
    told.stop_begin = NULL;
    told.stop_end = stops[_i];
    ck_assert_int_eq(read_with(xml, sizeof xml - 1, true), PGCASK_COLD);
    ck_assert_error_has("stopped by the test");
    ck_assert(told.stopped);
    ck_assert_uint_eq(told.calls_behind, 0);
}
END_TEST

static const struct {
    const char *text, *escaped;
} escapes[] = {
    { "", "" },
    { "plain/key-1.zst", "plain/key-1.zst" },
    { "<a href=\"x\">&amp;</a>", "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;" },
    { "it's ]]> fine", "it's ]]&gt; fine" },
    { "\"\"\"\"", "&quot;&quot;&quot;&quot;" }, /* the longest there is */
    { "ä€", "ä€" },
};

START_TEST(an_escaped_text_is_read_as_it_was)
{
    CLEANUP_FREE char *escaped = xml_escape(escapes[_i].text), *xml = plain_printf("<a>%s</a>", escaped);
    CLEANUP_FREE char *wanted = plain_printf("-a=%s\n", escapes[_i].text);

    ck_assert_str_eq(escaped, escapes[_i].escaped);
    ck_assert_int_eq(read_with(xml, strlen(xml), false), 0);
    ck_assert_str_eq(told.text, wanted);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("aws-xml");
    TCase *tcase = tcase_create("xml");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_element_is_told_with_path_and_text, 0, ARRAY_LEN(documents));
    tcase_add_test(tcase, beginnings_are_told_before_what_is_in_them);
    tcase_add_loop_test(tcase, what_is_no_plain_document_is_refused, 0, ARRAY_LEN(refused));
    tcase_add_test(tcase, bytes_behind_a_nul_are_no_secret_way_in);
    tcase_add_test(tcase, every_cut_of_a_document_is_refused);
    tcase_add_loop_test(tcase, depth_is_limited, 0, ARRAY_LEN(depths));
    tcase_add_loop_test(tcase, a_text_is_limited, 0, ARRAY_LEN(texts));
    tcase_add_loop_test(tcase, a_callback_that_stops_is_the_last_one, 0, ARRAY_LEN(stops));
    tcase_add_loop_test(tcase, an_escaped_text_is_read_as_it_was, 0, ARRAY_LEN(escapes));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
