/* Texts with gaps, which requests and statements are made from: {1}…{9} are the fields of a row of tab-separated values;
   {a}…{d} are random UUIDs and {t} is one in order of time, new for each use and the same within it. */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/uuid.h"

enum { GAP_FIELDS = 9, GAP_UUIDS = 4 };

struct gaps {
    char *field[GAP_FIELDS];
    char uuid[GAP_UUIDS][UUID_SIZE], time[UUID_SIZE];
    bool made[GAP_UUIDS], timed;
};

struct table {
    char *text;
    char *(*rows)[GAP_FIELDS];
    size_t count;
};

/* malloc'd, NUL-terminated; ends the program when it cannot be read. */
static inline char *file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t used = 0, got;
    if (!file) {
        perror(path);
        exit(1);
    }
    do {
        text = realloc(text, used + 65537);
        got = text ? fread(text + used, 1, 65536, file) : 0;
        used += got;
    } while (got);
    fclose(file);
    if (!text) exit(1);
    text[used] = '\0';
    return text;
}

/* Without a path, one row without fields. */
static inline struct table table_read(const char *path)
{
    struct table table = { .text = path ? file_read(path) : strdup("\n") };
    size_t lines = 0;
    for (const char *at = table.text; at && *at; at++) lines += *at == '\n';
    table.rows = calloc(lines + 1, sizeof *table.rows);
    if (!table.text || !table.rows) exit(1);
    for (char *line = table.text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        size_t field = 0;
        for (char *value; field < GAP_FIELDS && (value = strsep(&line, "\t"));)
            table.rows[table.count][field++] = value;
        table.count++;
    }
    return table;
}

static inline void table_free(struct table *table)
{
    free(table->rows);
    free(table->text);
}

static inline const char *gap_value(struct gaps *gaps, char name)
{
    if (name >= '1' && name <= '9') return gaps->field[name - '1'];
    if (name == 't') {
        if (!gaps->timed) uuid_v7(gaps->time);
        gaps->timed = true;
        return gaps->time;
    }
    if (name < 'a' || name >= 'a' + GAP_UUIDS) return NULL;
    size_t i = (size_t)(name - 'a');
    if (!gaps->made[i]) uuid_v4(gaps->uuid[i]);
    gaps->made[i] = true;
    return gaps->uuid[i];
}

/* Returns the length of what was written, NUL-terminated; ends the program when there is no room. */
static inline size_t gaps_fill(struct gaps *gaps, const char *text, char *out, size_t room)
{
    size_t used = 0;
    for (const char *at = text; *at;) {
        const char *value = at[0] == '{' && at[1] && at[2] == '}' ? gap_value(gaps, at[1]) : NULL;
        size_t length = value ? strlen(value) : 1;
        if (used + length >= room) {
            fputs("a text does not fit\n", stderr);
            exit(1);
        }
        memcpy(out + used, value ? value : at, length);
        used += length;
        at += value ? 3 : 1;
    }
    out[used] = '\0';
    return used;
}
