/* SPDX-License-Identifier: PostgreSQL
 *
 * CRC-32C against known answers, and both ways of computing it against each other.
 */
#include "config.h"

#include "base/crc32c.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

/* RFC 3720, appendix B.4; the catalogue's check value first. */
static const struct {
    const char *data;
    size_t len;
    uint32_t crc;
} known_rows[] = {
    { "123456789", 9, 0xE3069283 },
    { "", 0, 0 },
    { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, 0x8A9136AA },
    { "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
      32, 0x62A8AB43 },
    { "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
      "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
      32, 0x46DD794E },
};

START_TEST(known_answers)
{
    ck_assert_uint_eq(crc32c_add(0, known_rows[_i].data, known_rows[_i].len), known_rows[_i].crc);
    ck_assert_uint_eq(crc32c_add_portably(0, known_rows[_i].data, known_rows[_i].len), known_rows[_i].crc);
}
END_TEST

/* Every length and alignment that takes another way through the strides of eight, cut at every place. */
START_TEST(pieces_and_both_ways_make_the_same_sum)
{
    unsigned char data[64];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 2654435761U >> 11);
    for (size_t from = 0; from < 9; from++)
        for (size_t to = from; to <= sizeof data; to++) {
            uint32_t whole = crc32c_add(0, data + from, to - from);

            ck_assert_uint_eq(crc32c_add_portably(0, data + from, to - from), whole);
            for (size_t cut = from; cut <= to; cut++)
                ck_assert_uint_eq(crc32c_add(crc32c_add(0, data + from, cut - from), data + cut, to - cut), whole);
        }
}
END_TEST

static Suite *
crc32c_suite(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *tcase = tcase_create("crc32c");

    tcase_add_loop_test(tcase, known_answers, 0, ARRAY_LEN(known_rows));
    tcase_add_test(tcase, pieces_and_both_ways_make_the_same_sum);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(crc32c_suite)
