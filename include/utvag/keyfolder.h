/* The folder that a key ring lives in: small texts that nobody but the owner may read. Part of the key ring. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct keyfolder {
    const char *path;
    int fd;
    char *error; /* the caller's: a reason, without any key */
    size_t error_size;
};

enum { KEYFOLDER_TEXT = 1024 }; /* bytes of a text, with its NUL */

/* False with a reason if it is not there, or not its owner's alone. */
bool keyfolder_open(struct keyfolder *folder) __attribute__((warn_unused_result));
void keyfolder_close(struct keyfolder *folder);
/* Waits until nobody else changes it, and keeps others from it until it is closed. */
bool keyfolder_lock(struct keyfolder *folder) __attribute__((warn_unused_result));
bool keyfolder_has(const struct keyfolder *folder, const char *name);
/* Without the newline at the end. out is overwritten with zeros on failure. */
bool keyfolder_read(struct keyfolder *folder, const char *name, char out[KEYFOLDER_TEXT])
    __attribute__((warn_unused_result));
/* Whole and durable, or not at all. Where the name is taken, that text stays, and this is success: another process
   was faster. */
bool keyfolder_add(struct keyfolder *folder, const char *name, const char *text) __attribute__((warn_unused_result));
bool keyfolder_replace(struct keyfolder *folder, const char *name, const char *text)
    __attribute__((warn_unused_result));
bool keyfolder_remove(struct keyfolder *folder, const char *name) __attribute__((warn_unused_result));
/* Calls visit for each name until it says false. False if visit did, or the folder cannot be listed. */
bool keyfolder_list(struct keyfolder *folder, bool (*visit)(const char *name, void *context), void *context)
    __attribute__((warn_unused_result));
/* What tells whether anything changed in the folder of that path: without padding, all zero if it is not there. */
struct keyfolder_stamp {
    unsigned long long inode[3];
    long long seconds[3], nanoseconds[3], mode[3];
};
/* The time of the last change is returned, in milliseconds since 1970. */
long long keyfolder_stamp(const char *path, struct keyfolder_stamp *out);
/* Puts the reason into error and returns false. */
bool keyfolder_fail(struct keyfolder *folder, const char *format, ...) __attribute__((format(printf, 2, 3)));
