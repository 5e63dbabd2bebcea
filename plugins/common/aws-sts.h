/* SPDX-License-Identifier: PostgreSQL
 *
 * AssumeRoleWithWebIdentity of AWS's Security Token Service: a token that the platform keeps fresh in a file (EKS, CI
 * systems) is exchanged for the keys of a role.
 */
#ifndef PGCASK_COMMON_AWS_STS_H
#define PGCASK_COMMON_AWS_STS_H

#include "common/aws-source.h"

/* All borrowed. */
struct aws_web_identity {
    const char *token_file; /* read anew for each request */
    const char *role_arn;
    const char *session_name; /* how the session shows in AWS's logs; NULL: "pgcask" */
};

int aws_sts_fetch(struct aws_search *search, const struct aws_web_identity *who, struct aws_grant *ret_grant);

/* The address for a region (may be NULL), owned by the caller: the environment's if it has one, else AWS's own. NULL
 * with an error when the region cannot be one. */
char *aws_sts_url(const char *region);

#endif
