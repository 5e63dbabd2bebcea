/* SPDX-License-Identifier: PostgreSQL
 *
 * What cipher and digests cost: does to so many bytes what a backup does to
 * them, and nothing else, and tells the CPU seconds.
 *
 *   cipher PLAIN_BYTES STORED_BYTES
 *   seal=0.51 stored=0.04 plain=0.14
 *
 * The bytes lie in more memory than a cache holds, as they do in a backup.
 */
#include "base/digest.h"
#include "base/error.h"
#include "base/mem.h"
#include "stage/age-file.h"
#include "stage/zstd-frame.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MEMORY_BYTES = 16 * FRAME_PLAIN_BYTES };

typedef int bench_use(void *ctx, const void *data, size_t len);

static double
bench_cpu_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU seconds for `total` bytes, a frame's worth at a time. Ends the process when `use` fails. */
static double
bench_run(const unsigned char *memory, uint64_t total, bench_use *use, void *ctx)
{
    double start_s = bench_cpu_s();
    size_t at = 0;

    while (total > 0) {
        size_t len = total < FRAME_PLAIN_BYTES ? (size_t)total : FRAME_PLAIN_BYTES;

        if (use(ctx, memory + at, len) < 0) {
            (void)fprintf(stderr, "cipher: %s\n", error_text());
            exit(1);
        }
        total -= len;
        at = (at + FRAME_PLAIN_BYTES) % MEMORY_BYTES;
    }
    return bench_cpu_s() - start_s;
}

static int
bench_emit(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return 0;
}

static int
bench_seal(void *ctx, const void *data, size_t len)
{
    return age_seal(ctx, data, len, bench_emit, NULL);
}

static int
bench_digest(void *ctx, const void *data, size_t len)
{
    digest_add(ctx, data, len);
    return 0;
}

static int
bench_sealer(struct age_sealer **ret_sealer)
{
    CLEANUP(age_recipients_free) struct age_recipients *recipients = age_recipients_new();
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP_FREE char *recipient = NULL;
    int rc = age_key_generate(&identity, &recipient);

    if (rc == 0)
        rc = age_recipients_add(recipients, recipient);
    return rc < 0 ? rc : age_sealer_new(recipients, ret_sealer);
}

int
main(int argc, char **argv)
{
    CLEANUP(age_sealer_free) struct age_sealer *sealer = NULL;
    CLEANUP(digest_free) struct digest *stored = digest_new(DIGEST_XXH3), *plain = digest_new(DIGEST_XXH3);
    unsigned char *memory = mem_pages_alloc(MEMORY_BYTES);
    uint64_t plain_bytes, stored_bytes;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: cipher PLAIN_BYTES STORED_BYTES\n");
        return 2;
    }
    plain_bytes = strtoull(argv[1], NULL, 10);
    stored_bytes = strtoull(argv[2], NULL, 10);
    if (bench_sealer(&sealer) < 0) {
        (void)fprintf(stderr, "cipher: %s\n", error_text());
        return 1;
    }
    for (size_t i = 0; i < MEMORY_BYTES; i++)
        memory[i] = (unsigned char)(i * 2654435761u >> 16);
    (void)printf("seal=%.4f ", bench_run(memory, stored_bytes, bench_seal, sealer));
    (void)printf("stored=%.4f ", bench_run(memory, stored_bytes, bench_digest, stored));
    (void)printf("plain=%.4f\n", bench_run(memory, plain_bytes, bench_digest, plain));
    mem_pages_free(memory, MEMORY_BYTES);
    return 0;
}
