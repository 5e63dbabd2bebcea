/* SPDX-License-Identifier: PostgreSQL
 *
 * Storage in a bucket of Amazon S3 or of a server that speaks its API. The work is done in plugins/common/s3-*.c, which
 * the glacier plugin shares.
 */
#include "config.h"

#include "common/s3-options.h"
#include "common/s3.h"

static const struct pgcask_option options[] = {
    S3_OPTIONS,
    S3_OPTION("storage_class", PGCASK_OPTION_STRING, storage_class,
              .help = "storage class of members, such as STANDARD_IA; manifests stay in the bucket's default"),
};

static int
open_bucket(const void *settings, unsigned flags, void **ret_handle)
{
    struct s3 *s3;
    int rc = s3_open(settings, flags, &s3);

    if (rc == 0)
        *ret_handle = s3;
    return rc;
}

static const struct pgcask_storage_plugin plugin = {
    PGCASK_STORAGE_INIT,
    .name = "s3",
    .version = PACKAGE_VERSION,
    .summary = "a bucket of Amazon S3 or of a server that speaks its API",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .settings_size = sizeof(struct s3_settings),
    .check_settings = s3_check_settings,
    .open = open_bucket,
    S3_CALLBACKS,
};

PGCASK_REGISTER_STORAGE(plugin)
