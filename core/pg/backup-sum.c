/* SPDX-License-Identifier: PostgreSQL
 *
 * The checksums that PostgreSQL puts on the files of a base backup. CRC-32C is
 * written as the four bytes of the number in the server's memory: little-endian
 * on all machines that PostgreSQL still supports in numbers.
 */
#include "config.h"

#include "pg/backup-files.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
    const EVP_MD *(*md)(void);
} kinds[] = {
    [BACKUP_SUM_NONE] = { "NONE", 0, NULL },
    [BACKUP_SUM_CRC32C] = { "CRC32C", 4, NULL },
    [BACKUP_SUM_SHA224] = { "SHA224", 28, EVP_sha224 },
    [BACKUP_SUM_SHA256] = { "SHA256", 32, EVP_sha256 },
    [BACKUP_SUM_SHA384] = { "SHA384", 48, EVP_sha384 },
    [BACKUP_SUM_SHA512] = { "SHA512", 64, EVP_sha512 },
};

struct backup_sum {
    enum backup_sum_kind kind;
    uint64_t size;
    uint32_t crc;
    EVP_MD_CTX *sha; /* made when first used */
};

static _Noreturn void
sum_broken(enum backup_sum_kind kind)
{
    log_error("libcrypto cannot compute %s", kinds[kind].name);
    abort();
}

struct backup_sum *
backup_sum_new(void)
{
    return mem_zalloc(sizeof(struct backup_sum));
}

void
backup_sum_free(struct backup_sum *sum)
{
    if (sum == NULL)
        return;
    EVP_MD_CTX_free(sum->sha);
    free(sum);
}

void
backup_sum_begin(struct backup_sum *sum, enum backup_sum_kind kind)
{
    sum->kind = kind;
    sum->size = 0;
    sum->crc = 0;
    if (kinds[kind].md == NULL)
        return;
    if (sum->sha == NULL)
        sum->sha = EVP_MD_CTX_new();
    if (sum->sha == NULL || EVP_DigestInit_ex(sum->sha, kinds[kind].md(), NULL) != 1)
        sum_broken(kind);
}

void
backup_sum_add(struct backup_sum *sum, const void *data, size_t len)
{
    sum->size += len;
    if (sum->kind == BACKUP_SUM_CRC32C)
        sum->crc = crc32c_add(sum->crc, data, len);
    else if (kinds[sum->kind].md != NULL && EVP_DigestUpdate(sum->sha, data, len) != 1)
        sum_broken(sum->kind);
}

static void
sum_value(struct backup_sum *sum, unsigned char *ret_value)
{
    if (sum->kind == BACKUP_SUM_CRC32C)
        for (int i = 0; i < 4; i++)
            ret_value[i] = (unsigned char)(sum->crc >> (8 * i));
    else if (kinds[sum->kind].md != NULL && EVP_DigestFinal_ex(sum->sha, ret_value, NULL) != 1)
        sum_broken(sum->kind);
}

int
backup_sum_end(struct backup_sum *sum, const struct backup_file *file)
{
    unsigned char value[BACKUP_SUM_MAX_BYTES];
    size_t bytes = kinds[sum->kind].bytes;

    sum_value(sum, value);
    if (sum->size != file->size)
        return error_set(ERROR_CORRUPT, "file '%s' has %llu bytes, the backup_manifest says %llu", file->path,
                         (unsigned long long)sum->size, (unsigned long long)file->size);
    if (bytes > 0 && memcmp(value, file->sum, bytes) != 0) {
        CLEANUP_FREE char *seen = format_hex(value, bytes), *wanted = format_hex(file->sum, bytes);

        return error_set(ERROR_CORRUPT, "file '%s' has the %s %s, the backup_manifest says %s", file->path,
                         kinds[sum->kind].name, seen, wanted);
    }
    return 0;
}

size_t
backup_sum_bytes(enum backup_sum_kind kind)
{
    return kinds[kind].bytes;
}

const char *
backup_sum_name(enum backup_sum_kind kind)
{
    return kinds[kind].name;
}
