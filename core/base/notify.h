/* SPDX-License-Identifier: PostgreSQL
 *
 * What a service tells systemd, without its library: see "NOTIFY_SOCKET" in
 * sd_notify(3).
 */
#ifndef PGCASK_BASE_NOTIFY_H
#define PGCASK_BASE_NOTIFY_H

/* One state, such as "READY=1" or "STATUS=…"; a newline separates several. Nothing happens when nobody listens, and
 * nothing that goes wrong matters. */
void notify_service(const char *state);
void notify_servicef(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
