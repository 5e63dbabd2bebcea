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

static void
close_bucket(void *handle)
{
    s3_close(handle);
}

static const struct pgcask_storage_plugin plugin = {
    PGCASK_STORAGE_INIT,
    .name = "s3",
    .version = PACKAGE_VERSION,
    .summary = "a bucket of Amazon S3 or of a server that speaks its API",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .settings_size = sizeof(struct s3_settings),
    .thread_model = PGCASK_THREADS_PARALLEL,
    .check_settings = s3_check_settings,
    .open = open_bucket,
    .close = close_bucket,
    .part_limits = s3_part_limits,
    .put_begin = s3_put_begin,
    .put_part = s3_put_part,
    .put_commit = s3_put_commit,
    .put_abort = s3_put_abort,
    .get = s3_get,
    .stat = s3_stat,
    .list = s3_list,
    .remove = s3_remove,
    .sweep = s3_sweep,
    .thaw = s3_thaw,
    .put_object = s3_put_object,
    .remove_many = s3_remove_many,
    .check = s3_check,
};

PGCASK_REGISTER_STORAGE(plugin)
