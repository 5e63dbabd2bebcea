/* SPDX-License-Identifier: PostgreSQL
 *
 * Is a plugin file as long as its own headers say? dlopen maps what they name without looking, and the first byte of
 * a page behind the end of the file kills the process (SIGBUS): that is how a copy that was cut off would show.
 */
#include "config.h"

#include "plugin/host-find.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM_HEADERS_MAX = 256 }; /* a shared object has about ten */

/* What is to be at [offset, offset + size) must be in the file. */
static int
elf_check_extent(const char *path, uint64_t file_size, uint64_t offset, uint64_t size)
{
    if (offset <= file_size && size <= file_size - offset)
        return 0;
    return error_set(ERROR_USAGE, "plugin file '%s' was cut off: it has %" PRIu64 " bytes, its headers speak of more",
                     path, file_size);
}

static int
elf_check_segments(int fd, const char *path, uint64_t file_size, const ElfW(Ehdr) * header)
{
    ElfW(Phdr) segments[PROGRAM_HEADERS_MAX];
    size_t size = header->e_phnum * sizeof segments[0];
    int rc;

    if (header->e_phnum > PROGRAM_HEADERS_MAX)
        return error_set(ERROR_USAGE, "plugin file '%s' has %u program headers, at most %d are allowed", path,
                         header->e_phnum, PROGRAM_HEADERS_MAX);
    rc = elf_check_extent(path, file_size, header->e_phoff, size);
    if (rc < 0)
        return rc;
    if (pread(fd, segments, size, (off_t)header->e_phoff) != (ssize_t)size)
        return error_errno(ERROR_USAGE, "could not read plugin file '%s'", path);
    for (size_t i = 0; rc == 0 && i < header->e_phnum; i++)
        rc = elf_check_extent(path, file_size, segments[i].p_offset, segments[i].p_filesz);
    return rc;
}

int
plugin_check_whole(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ElfW(Ehdr) header;
    struct stat st;
    ssize_t got;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(ERROR_USAGE, "could not read plugin file '%s'", path);
    got = file_read_up_to(fd, &header, sizeof header, path);
    if (got < 0)
        return ERROR_USAGE;
    if ((size_t)got < sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header.e_phentsize != sizeof(ElfW(Phdr)))
        return 0; /* dlopen says best what is wrong */
    rc = elf_check_segments(fd, path, (uint64_t)st.st_size, &header);
    if (rc == 0 && header.e_shoff != 0) /* the section headers are the last thing in most files */
        rc = elf_check_extent(path, (uint64_t)st.st_size, header.e_shoff,
                              (uint64_t)header.e_shnum * header.e_shentsize);
    return rc;
}
