/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of members have in common: a store in memory, a crew, keys, and
 * members written and read through the whole chain.
 */
#ifndef PGCASK_TESTS_UNIT_CHAIN_H
#define PGCASK_TESTS_UNIT_CHAIN_H

#include "stage/member-reader.h"
#include "stage/member-writer.h"
#include "stage/source-process.h"

#include "unit-age.h"
#include "unit-store.h"

enum {
    SMALL_FRAMES_BYTES = 63 * 65536, /* 64 KiB + 128 KiB + … + 2 MiB: the first six frames */
    RING = 4,
};

static struct store store;
static struct copies *copies; /* of that one */
static struct crew *crew;
static struct outlet *outlet;
static struct age_recipients *recipients;
static struct age_identities *identities;

static inline void
member_setup(void)
{
    store = (struct store){ .part_preferred = 300000 };
    store_open(&store, "s");
    copies = copies_new(&store.storage, 1);
    ck_assert_int_eq(outlet_new(&store.storage, 1, 1, &outlet), 0);
    crew = crew_new(2, 1);
    recipients = age_recipients_new();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
}

static inline void
member_teardown(void)
{
    outlet_free(outlet);
    crew_free(crew);
    age_recipients_free(recipients);
    age_identities_free(identities);
    copies_free(copies);
    store_close(&store);
}

/* Bytes that do not compress, so that stored sizes follow from plain ones; another `seed`, other bytes. */
static inline unsigned char *
member_noise(size_t len, uint64_t seed)
{
    unsigned char *plain = mem_alloc(len);

    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        plain[i] = (unsigned char)(seed >> 56);
    }
    return plain;
}

static inline struct member_writer_spec
member_spec(const char *key, bool sealed)
{
    return (struct member_writer_spec){ .crew = crew, .outlet = outlet, .recipients = sealed ? recipients : NULL,
                                        .pieces = RING, .key = key };
}

static inline void
member_put(const char *key, bool sealed, const void *data, size_t len, struct member_facts *ret_facts)
{
    const struct member_writer_spec spec = member_spec(key, sealed);
    struct source_memory source = { data, len, 0 };

    ck_assert_msg(member_write(&spec, source_memory_read, &source, ret_facts) == 0, "%s", error_text());
}

static inline struct member_ref
member_ref_of(const char *key, bool sealed, const struct member_facts *facts)
{
    return (struct member_ref){
        .key = key,
        .sealed = sealed,
        .plain_size = facts->plain_size,
        .stored_size = facts->stored_size,
        .header_size = facts->header_size,
        .plain_digest = facts->plain_digest,
        .stored_digest = facts->stored_digest,
        .header_digest = facts->header_digest,
    };
}

static inline int
member_take_buf(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

static inline int
member_read_into(const struct member_ref *ref, struct buf *ret_data)
{
    return member_read_all(crew, RING, copies, ref, ref->sealed ? identities : NULL, member_take_buf, ret_data);
}

#endif
