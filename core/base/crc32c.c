/* SPDX-License-Identifier: PostgreSQL
 *
 * Eight bytes at a time: one instruction each on x86-64 and ARM, eight looks into
 * tables elsewhere.
 */
#include "config.h"

#include "base/crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

enum { STRIDE = 8, BYTE_VALUES = 256 };

static const uint32_t polynomial = 0x82F63B78; /* reflected */

/* tables[i][b]: what byte b does to the rest when i bytes follow it */
static uint32_t tables[STRIDE][BYTE_VALUES];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void
tables_make(void)
{
    for (uint32_t b = 0; b < BYTE_VALUES; b++) {
        uint32_t rest = b;

        for (int bit = 0; bit < 8; bit++)
            rest = (rest >> 1) ^ ((rest & 1) ? polynomial : 0);
        tables[0][b] = rest;
    }
    for (int i = 1; i < STRIDE; i++)
        for (int b = 0; b < BYTE_VALUES; b++)
            tables[i][b] = (tables[i - 1][b] >> 8) ^ tables[0][tables[i - 1][b] & 0xFF];
}

static uint32_t
table_step(uint32_t crc, const unsigned char *bytes)
{
    uint64_t word;
    uint32_t next = 0;

    memcpy(&word, bytes, sizeof word);
    word = le64toh(word) ^ crc;
    for (int i = STRIDE - 1; i >= 0; i--, word >>= 8)
        next ^= tables[i][word & 0xFF];
    return next;
}

uint32_t
crc32c_add_portably(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    (void)pthread_once(&tables_once, tables_make); /* fails for nonsense only */
    crc = ~crc;
    for (; len >= STRIDE; bytes += STRIDE, len -= STRIDE)
        crc = table_step(crc, bytes);
    for (; len > 0; bytes++, len--)
        crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
crc32c_add_fast(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t state = ~crc, word;

    for (; len >= STRIDE; bytes += STRIDE, len -= STRIDE) {
        memcpy(&word, bytes, sizeof word);
        state = _mm_crc32_u64(state, word);
    }
    for (; len > 0; bytes++, len--)
        state = _mm_crc32_u8((uint32_t)state, *bytes);
    return ~(uint32_t)state;
}

static bool
crc32c_is_fast(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

static uint32_t
crc32c_add_fast(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t word;

    crc = ~crc;
    for (; len >= STRIDE; bytes += STRIDE, len -= STRIDE) {
        memcpy(&word, bytes, sizeof word);
        crc = __crc32cd(crc, le64toh(word));
    }
    for (; len > 0; bytes++, len--)
        crc = __crc32cb(crc, *bytes);
    return ~crc;
}

static bool
crc32c_is_fast(void)
{
    return true;
}

#else

static uint32_t
crc32c_add_fast(uint32_t crc, const void *data, size_t len)
{
    return crc32c_add_portably(crc, data, len);
}

static bool
crc32c_is_fast(void)
{
    return false;
}

#endif

uint32_t
crc32c_add(uint32_t crc, const void *data, size_t len)
{
    return crc32c_is_fast() ? crc32c_add_fast(crc, data, len) : crc32c_add_portably(crc, data, len);
}
