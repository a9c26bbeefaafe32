/* A disk that fails: loaded before libc, it lets the program under test meet a crash, a power cut or a full disk at one
 * chosen write, without a word of it in the program.
 *
 *   FAULT_BELOW   the folder whose files count; nothing else is touched
 *   FAULT_AT      the write at which it happens, from 1: creating, writing, syncing, renaming, removing, making a folder
 *   FAULT_HOW     crash: the process is gone before it; half: half of the octets are written, then it is gone;
 *                 full: from it on there is no room
 *   FAULT_COUNT   where the number of writes is left at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long steps;

static int is_below(const char *path) {
    const char *below = getenv("FAULT_BELOW");
    return below && path && strncmp(path, below, strlen(below)) == 0;
}

static int is_file_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int how_is(const char *word) {
    const char *how = getenv("FAULT_HOW");
    return how && strcmp(how, word) == 0;
}

/* Counts a step; says whether there is no room for it. `room` is whether it needs any. */
static int fails(int room) {
    const char *text = getenv("FAULT_AT");
    long at = text ? atol(text) : 0, step = ++steps;
    if (at <= 0 || step < at) return 0;
    if (how_is("full")) return room;
    if (step == at && !how_is("half")) _exit(137);
    return 0;
}

__attribute__((destructor)) static void leave_count(void) {
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld", (long)steps);
    fclose(file);
}

#define REAL(name) __typeof__(name) *real = dlsym(RTLD_NEXT, #name)

static int open_file(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) && is_below(path) && fails(1)) { errno = ENOSPC; return -1; }
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    REAL(open);
    return open_file(real, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    REAL(open64);
    return open_file(real, path, flags, mode);
}

ssize_t write(int fd, const void *octets, size_t count) {
    REAL(write);
    if (!is_file_below(fd)) return real(fd, octets, count);
    if (fails(1)) { errno = ENOSPC; return -1; }
    const char *text = getenv("FAULT_AT");
    if (text && steps == atol(text) && how_is("half")) { real(fd, octets, count / 2); _exit(137); }
    return real(fd, octets, count);
}

int fsync(int fd) {
    REAL(fsync);
    if (is_file_below(fd)) fails(0);
    return real(fd);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (is_below(to)) fails(0);
    return real(from, to);
}

int unlink(const char *path) {
    REAL(unlink);
    if (is_below(path)) fails(0);
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (is_below(path) && access(path, F_OK) != 0 && fails(1)) { errno = ENOSPC; return -1; }
    return real(path, mode);
}
