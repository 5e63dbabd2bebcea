/* SPDX-License-Identifier: PostgreSQL
 *
 * Runs a fuzz target over the files that are named: a corpus as a regression
 * test, without a fuzzer. Each target is also built with libFuzzer's own main:
 *
 *   clang -fsanitize=fuzzer,address,undefined … tests/fuzz/fuzz-ini.c core/libpgcask.a
 */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        CLEANUP_BUF struct buf text = BUF_INIT(16 * 1024 * 1024);
        uint8_t *exact;

        if (file_read(argv[i], &text) < 0) {
            (void)fprintf(stderr, "%s\n", error_text());
            return EXIT_FAILURE;
        }
        exact = malloc(text.len ? text.len : 1); /* exactly as large: the sanitizer sees every byte read too far */
        if (exact == NULL)
            return EXIT_FAILURE;
        memcpy(exact, text.data, text.len);
        (void)LLVMFuzzerTestOneInput(exact, text.len);
        free(exact);
    }
    (void)printf("%d passed, 0 failed, 0 skipped\n", argc - 1);
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
