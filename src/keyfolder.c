#include "utvag/keyfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utvag/digest.h"

bool keyfolder_fail(struct keyfolder *folder, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(folder->error, folder->error_size, format, arguments);
    va_end(arguments);
    return false;
}

static bool fail_with(struct keyfolder *folder, const char *name)
{
    return keyfolder_fail(folder, "%s/%s: %s", folder->path, name, strerror(errno));
}

/* Root may own them too: that is how secrets are mounted into containers. */
static bool owner_alone(struct keyfolder *folder, const char *name, const struct stat *facts)
{
    if (facts->st_mode & (S_IRWXG | S_IRWXO))
        return keyfolder_fail(folder, "%s/%s: group or others may use it (mode %04o)", folder->path, name,
                              (unsigned)facts->st_mode & 07777);
    if (facts->st_uid != geteuid() && facts->st_uid != 0)
        return keyfolder_fail(folder, "%s/%s: belongs to another user", folder->path, name);
    return true;
}

bool keyfolder_open(struct keyfolder *folder)
{
    struct stat facts;

    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 || fstat(folder->fd, &facts) != 0) {
        fail_with(folder, "");
        keyfolder_close(folder);
        return false;
    }
    if (owner_alone(folder, "", &facts)) return true;
    keyfolder_close(folder);
    return false;
}

void keyfolder_close(struct keyfolder *folder)
{
    if (folder->fd >= 0) close(folder->fd);
    folder->fd = -1;
}

bool keyfolder_lock(struct keyfolder *folder)
{
    while (flock(folder->fd, LOCK_EX) != 0)
        if (errno != EINTR) return fail_with(folder, "");
    return true;
}

/* A mark may be written over in place, which leaves the folder itself as it was. */
long long keyfolder_stamp(const char *path, struct keyfolder_stamp *out)
{
    static const char *const names[] = { ".", "kek-current", "sign-current" };
    long long latest = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *out = (struct keyfolder_stamp){ 0 };
    for (size_t i = 0; fd >= 0 && i < sizeof names / sizeof *names; i++) {
        struct stat facts;
        if (fstatat(fd, names[i], &facts, 0) != 0) continue;
        out->inode[i] = facts.st_ino;
        out->seconds[i] = facts.st_ctim.tv_sec;
        out->nanoseconds[i] = facts.st_ctim.tv_nsec;
        out->mode[i] = facts.st_mode;
        long long changed = facts.st_ctim.tv_sec * 1000LL + facts.st_ctim.tv_nsec / 1000000;
        if (changed > latest) latest = changed;
    }
    if (fd >= 0) close(fd);
    return latest;
}

bool keyfolder_has(const struct keyfolder *folder, const char *name)
{
    return faccessat(folder->fd, name, F_OK, 0) == 0;
}

/* The bytes read, or -1 with errno; a file that fills out entirely is too large. */
static ssize_t read_all(int fd, char out[KEYFOLDER_TEXT])
{
    size_t filled = 0;
    while (filled < KEYFOLDER_TEXT) {
        ssize_t got = read(fd, out + filled, KEYFOLDER_TEXT - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) return (ssize_t)filled;
        filled += (size_t)got;
    }
    errno = EFBIG;
    return -1;
}

static bool read_checked(struct keyfolder *folder, const char *name, int fd, char out[KEYFOLDER_TEXT])
{
    struct stat facts;

    if (fstat(fd, &facts) != 0) return fail_with(folder, name);
    if (!S_ISREG(facts.st_mode)) return keyfolder_fail(folder, "%s/%s: not a file", folder->path, name);
    if (!owner_alone(folder, name, &facts)) return false;
    ssize_t length = read_all(fd, out);
    if (length < 0) return fail_with(folder, name);
    if (length > 0 && out[length - 1] == '\n') length--;
    out[length] = '\0';
    return strlen(out) == (size_t)length || keyfolder_fail(folder, "%s/%s: not a text", folder->path, name);
}

bool keyfolder_read(struct keyfolder *folder, const char *name, char out[KEYFOLDER_TEXT])
{
    int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail_with(folder, name);
    bool done = read_checked(folder, name, fd, out);
    close(fd);
    if (!done) explicit_bzero(out, KEYFOLDER_TEXT);
    return done;
}

static bool write_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t put = write(fd, text, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        text += put;
        left -= (size_t)put;
    }
    return write(fd, "\n", 1) == 1 && fsync(fd) == 0;
}

static bool place(struct keyfolder *folder, const char *temporary, const char *name, bool replacing)
{
    if (replacing) return renameat(folder->fd, temporary, folder->fd, name) == 0;
    bool linked = linkat(folder->fd, temporary, folder->fd, name, 0) == 0 || errno == EEXIST;
    int reason = errno;
    unlinkat(folder->fd, temporary, 0);
    errno = reason;
    return linked;
}

static bool write_text(struct keyfolder *folder, const char *name, const char *text, bool replacing)
{
    unsigned char chance[8];
    char temporary[32] = ".new-";

    digest_random(chance, sizeof chance);
    digest_hex(chance, sizeof chance, temporary + strlen(temporary));
    int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) return fail_with(folder, name);
    bool written = write_all(fd, text);
    written = close(fd) == 0 && written;
    if (!written || !place(folder, temporary, name, replacing) || fsync(folder->fd) != 0) {
        fail_with(folder, name);
        unlinkat(folder->fd, temporary, 0);
        return false;
    }
    return true;
}

bool keyfolder_add(struct keyfolder *folder, const char *name, const char *text)
{
    return write_text(folder, name, text, false);
}

bool keyfolder_replace(struct keyfolder *folder, const char *name, const char *text)
{
    return write_text(folder, name, text, true);
}

bool keyfolder_remove(struct keyfolder *folder, const char *name)
{
    return (unlinkat(folder->fd, name, 0) == 0 && fsync(folder->fd) == 0) || fail_with(folder, name);
}

bool keyfolder_list(struct keyfolder *folder, bool (*visit)(const char *name, void *context), void *context)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    bool going = true;

    if (!listing) {
        fail_with(folder, "");
        if (fd >= 0) close(fd);
        return false;
    }
    while (going && (entry = readdir(listing))) going = visit(entry->d_name, context);
    closedir(listing);
    return going;
}
