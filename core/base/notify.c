/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/notify.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void
notify_service(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = path ? strlen(path) : 0;
    CLEANUP_FD int fd = -1;

    if (len == 0 || len >= sizeof address.sun_path || (*path != '/' && *path != '@'))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    memcpy(address.sun_path, path, len);
    if (*path == '@')
        address.sun_path[0] = '\0'; /* Linux: a name that is no file */
    (void)sendto(
        fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)); /* a deaf service manager is not our trouble */
}

void
notify_servicef(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return;
    notify_service(text);
    free(text);
}
