/* YAML into JSON: the 1.2 core schema, in block or flow style. libyaml is used in this file only.
   What would read differently elsewhere is refused: duplicate keys, anchors, aliases, tags, merge keys, second documents. */
#pragma once
#include <jansson.h>
#include <stddef.h>

/* The caller owns the tree. NULL, with the line and the reason in error, when the text is refused. */
json_t *contract_yaml_parse(const char *text, size_t length, char *error, size_t error_size);
