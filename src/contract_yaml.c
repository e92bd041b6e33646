#include "utvag/contract_yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH = 64 };

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one being read; freed by advance */
    bool filled;
    char *error;
    size_t error_size;
};

static json_t *read_node(struct reader *reader, int depth);

/* Keeps the first reason. Returns NULL for the callers that return a node. */
static json_t *refuse(struct reader *reader, const char *reason)
{
    if (!*reader->error)
        snprintf(reader->error, reader->error_size, "line %zu: %s", reader->event.start_mark.line + 1, reason);
    return NULL;
}

static bool advance(struct reader *reader)
{
    if (reader->filled) yaml_event_delete(&reader->event);
    reader->filled = yaml_parser_parse(&reader->parser, &reader->event) != 0;
    if (!reader->filled && !*reader->error)
        snprintf(reader->error, reader->error_size, "line %zu: %s", reader->parser.problem_mark.line + 1,
                 reader->parser.problem ? reader->parser.problem : "cannot be read");
    return reader->filled;
}

static size_t digits(const char *text, const char *set) { return strspn(text, set); }

static bool is_word(const char *text, const char *const *words)
{
    while (*words && strcmp(text, *words) != 0) words++;
    return *words != NULL;
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+ ; the base, or 0 if text is no integer. */
static int integer_base(const char *text)
{
    if (strncmp(text, "0o", 2) == 0) return text[2] && !text[2 + digits(text + 2, "01234567")] ? 8 : 0;
    if (strncmp(text, "0x", 2) == 0) return text[2] && !text[2 + digits(text + 2, "0123456789abcdefABCDEF")] ? 16 : 0;
    text += *text == '-' || *text == '+';
    return *text && !text[digits(text, "0123456789")] ? 10 : 0;
}

/* [-+]? ( \.[0-9]+ | [0-9]+ (\.[0-9]*)? ) ([eE][-+]?[0-9]+)? */
static bool is_real(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = digits(text, "0123456789"), part = 0;
    text += whole;
    if (*text == '.') part = digits(text + 1, "0123456789"), text += 1 + part;
    if (!whole && !part) return false;
    if (*text != 'e' && *text != 'E') return !*text;
    text++;
    text += *text == '-' || *text == '+';
    return *text && !text[digits(text, "0123456789")];
}

static json_t *read_integer(struct reader *reader, const char *text, int base)
{
    errno = 0;
    long long value = strtoll(base == 10 ? text : text + 2, NULL, base);
    return errno ? refuse(reader, "the integer is too large") : json_integer(value);
}

static json_t *read_plain(struct reader *reader, const char *text)
{
    static const char *const nothing[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const yes[] = { "true", "True", "TRUE", NULL }, *const no[] = { "false", "False", "FALSE",
                                                                                       NULL };
    static const char *const beyond[] = { ".inf", ".Inf", ".INF", "+.inf", "-.inf", ".nan", ".NaN", ".NAN", NULL };

    if (is_word(text, nothing)) return json_null();
    if (is_word(text, yes)) return json_true();
    if (is_word(text, no)) return json_false();
    if (is_word(text, beyond)) return refuse(reader, "JSON has no such number");
    int base = integer_base(text);
    if (base) return read_integer(reader, text, base);
    return is_real(text) ? json_real(strtod(text, NULL)) : json_string(text);
}

static json_t *read_scalar(struct reader *reader)
{
    const char *text = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;

    if (strlen(text) != length) return refuse(reader, "a text holds U+0000");
    if (reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) return read_plain(reader, text);
    return json_stringn(text, length);
}

/* The text of a key; to be freed. Numbers are keys by their text, as in JSON. */
static char *read_key(struct reader *reader, const json_t *object)
{
    if (reader->event.type == YAML_ALIAS_EVENT) return (char *)refuse(reader, "aliases are not read");
    if (reader->event.type != YAML_SCALAR_EVENT) return (char *)refuse(reader, "a key is not a text");
    const char *key = (const char *)reader->event.data.scalar.value;
    if (reader->event.data.scalar.anchor) return (char *)refuse(reader, "anchors are not read");
    if (reader->event.data.scalar.tag) return (char *)refuse(reader, "tags are not read");
    if (strcmp(key, "<<") == 0) return (char *)refuse(reader, "merge keys are not read");
    if (json_object_get(object, key)) {
        char reason[120];
        snprintf(reason, sizeof reason, "the key stands twice: %s", key);
        return (char *)refuse(reader, reason);
    }
    return strndup(key, reader->event.data.scalar.length);
}

static bool read_member(struct reader *reader, json_t *object, int depth)
{
    char *key = read_key(reader, object);
    bool done = key && advance(reader) && json_object_set_new(object, key, read_node(reader, depth)) == 0;
    free(key);
    return done;
}

static json_t *read_mapping(struct reader *reader, int depth)
{
    json_t *object = json_object();
    while (advance(reader) && reader->event.type != YAML_MAPPING_END_EVENT)
        if (!read_member(reader, object, depth)) break;
    if (!*reader->error && reader->filled && reader->event.type == YAML_MAPPING_END_EVENT) return object;
    json_decref(object);
    return refuse(reader, "the mapping cannot be read");
}

static json_t *read_sequence(struct reader *reader, int depth)
{
    json_t *array = json_array();
    while (advance(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT)
        if (json_array_append_new(array, read_node(reader, depth)) != 0) break;
    if (!*reader->error && reader->filled && reader->event.type == YAML_SEQUENCE_END_EVENT) return array;
    json_decref(array);
    return refuse(reader, "the sequence cannot be read");
}

static const char *event_extra(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT: anchor = event->data.scalar.anchor, tag = event->data.scalar.tag; break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
        break;
    case YAML_ALIAS_EVENT: return "aliases are not read";
    default: break;
    }
    return anchor ? "anchors are not read" : tag ? "tags are not read" : NULL;
}

/* The node that begins at the current event; leaves its last event current. */
static json_t *read_node(struct reader *reader, int depth)
{
    const char *extra = event_extra(&reader->event);
    if (extra) return refuse(reader, extra);
    if (depth == DEPTH) return refuse(reader, "it nests too deep");
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT: return read_scalar(reader);
    case YAML_MAPPING_START_EVENT: return read_mapping(reader, depth + 1);
    case YAML_SEQUENCE_START_EVENT: return read_sequence(reader, depth + 1);
    default: return refuse(reader, "a value is missing");
    }
}

static json_t *read_document(struct reader *reader)
{
    if (!advance(reader)) return NULL; /* the stream's start, then the document's */
    if (!advance(reader)) return NULL;
    if (reader->event.type != YAML_DOCUMENT_START_EVENT) return refuse(reader, "there is no document");
    json_t *tree = advance(reader) ? read_node(reader, 0) : NULL;
    bool ended = tree && advance(reader); /* the document's end, then the stream's */
    if (ended) ended = advance(reader);
    if (ended && reader->event.type == YAML_STREAM_END_EVENT) return tree;
    json_decref(tree);
    return refuse(reader, "there is a second document");
}

json_t *contract_yaml_parse(const char *text, size_t length, char *error, size_t error_size)
{
    struct reader reader = { .error = error, .error_size = error_size };

    *error = '\0';
    if (!yaml_parser_initialize(&reader.parser)) {
        snprintf(error, error_size, "line 0: out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    json_t *tree = read_document(&reader);
    if (reader.filled) yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return tree;
}
