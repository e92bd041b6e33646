#include "contract_compile.h"

#include <string.h>

enum { DEPTH = 32 };

/* The schemas above the one looked at, so that a schema that contains itself is looked at once. */
struct above {
    const struct above *next;
    const struct schema *schema;
    int depth;
    bool in_record;
};

static bool is_above(const struct above *above, const struct schema *schema)
{
    while (above && above->schema != schema) above = above->next;
    return above != NULL;
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

/* Whoever seals may follow a branch instead of the record that it belongs to: both must say the same. */
static bool branch_differs(const struct schema *record, const struct schema *branch)
{
    if (!same_text(record->record, branch->record)) return true;
    for (size_t i = 0; i < branch->property_count; i++) {
        const struct schema *member = schema_member(record, branch->properties[i].name);
        if (member && !same_text(member->sealed, branch->properties[i].schema->sealed)) return true;
    }
    return false;
}

static bool look(const struct schema *schema, const struct above *next, const char **place)
{
    if (!schema || is_above(next, schema)) return false;
    const struct above above = { .next = next,
                                 .schema = schema,
                                 .depth = next ? next->depth + 1 : 0,
                                 .in_record = schema->record || (next && next->in_record) };
    if (above.depth == DEPTH) return false;
    *place = schema->place;
    if (schema->sealed) return !above.in_record; /* what lies deeper is sealed with it */
    for (size_t i = 0; i < schema->one_of_count; i++) {
        *place = schema->one_of[i]->place;
        if (schema->property_count && branch_differs(schema, schema->one_of[i])) return true;
        if (look(schema->one_of[i], &above, place)) return true;
    }
    for (size_t i = 0; i < schema->property_count; i++)
        if (look(schema->properties[i].schema, &above, place)) return true;
    return look(schema->items, &above, place);
}

bool contract_has_unsealed(const struct schema *schema, const char **place) { return look(schema, NULL, place); }
