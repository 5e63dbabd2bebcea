/* SPDX-License-Identifier: PostgreSQL
 *
 * Keys from the machine that we run on: the endpoint that a container is given (ECS, EKS, Greengrass), and EC2's
 * instance metadata service, version 2.
 */
#ifndef PGCASK_COMMON_AWS_METADATA_H
#define PGCASK_COMMON_AWS_METADATA_H

#include "common/aws-source.h"

int aws_container_fetch(struct aws_search *search, struct aws_grant *ret_grant);
int aws_instance_fetch(struct aws_search *search, struct aws_grant *ret_grant);

/* May a container's keys be asked for at `url`? Over https anywhere; over http only on this machine and at the
 * addresses that AWS has set aside for it. PGCASK_FAILED with a text if not. `ret_direct`: past any proxy. */
int aws_container_check_url(const char *url, bool *ret_direct);

#endif
