/* SPDX-License-Identifier: PostgreSQL
 *
 * Keys by what a profile says: a web identity, its own keys, or a program. What would take a service of its own (other
 * roles, single sign-on) is refused with the way to do it through a program.
 */
#ifndef PGCASK_COMMON_AWS_PROFILE_FETCH_H
#define PGCASK_COMMON_AWS_PROFILE_FETCH_H

#include "common/aws-source.h"

int aws_profile_fetch(struct aws_search *search, struct aws_grant *ret_grant);

#endif
