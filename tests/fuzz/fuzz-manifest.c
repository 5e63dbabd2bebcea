/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a manifest: what is taken can be written, and comes back the same.
 * A digest that does not fit would hide everything behind it from the fuzzer, so
 * each input that is JSON is tried a second time with its digest set right.
 */
#include "config.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "catalog/label.h"
#include "catalog/manifest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

/* What every reader of a manifest relies on. */
static void
look_at(const struct manifest *manifest)
{
    must(label_id_parse(manifest->id, NULL, NULL) == 0);
    (void)manifest_plain_size(manifest);
    (void)manifest_stored_size(manifest);
    (void)manifest_is_full(manifest);
    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        must(label_object_check(member->object) == 0);
        must(digest_check_text(member->plain_digest) == 0 && digest_check_text(member->stored_digest) == 0);
        must(member->sealed == (member->header_digest != NULL));
        must(!member->sealed || member->header_size < member->stored_size);
        must(manifest_find(manifest, member->role, member->database, member->schema, member->table) != NULL);
    }
    for (size_t i = 0; i < manifest->database_count; i++)
        must(manifest_database(manifest, manifest->databases[i].name) != NULL);
}

static void
decode(const void *data, size_t size)
{
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    CLEANUP(manifest_free) struct manifest *again = NULL;
    CLEANUP_FREE char *text = NULL, *text_again = NULL;
    int rc = manifest_decode("fuzz", data, size, &manifest);

    must((rc == 0) == (manifest != NULL));
    must(rc == 0 || rc == ERROR_CORRUPT || rc == PGCASK_UNSUPPORTED);
    if (rc < 0) {
        must(error_text()[0] != '\0');
        return;
    }
    look_at(manifest);
    text = manifest_encode(manifest);
    must(manifest_decode("again", text, strlen(text), &again) == 0);
    text_again = manifest_encode(again);
    must(strcmp(text, text_again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *canonical = NULL, *digest = NULL, *text = NULL;

    decode(data, size);
    if (json_read("fuzz", data, size, &json) < 0)
        return 0;
    (void)json_object_del(json, "digest");
    canonical = json_canonical(json);
    digest = digest_of(DIGEST_SHA256, canonical, strlen(canonical));
    (void)json_object_set_new(json, "digest", json_string(digest));
    text = json_pretty(json);
    decode(text, strlen(text));
    return 0;
}
