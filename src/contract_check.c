#include "contract_compile.h"

enum { DEPTH = 32 };

/* The schemas above the one looked at, so that a schema that contains itself is looked at once. */
struct above {
    const struct above *next;
    const struct schema *schema;
    int depth;
};

static bool is_above(const struct above *above, const struct schema *schema)
{
    while (above && above->schema != schema) above = above->next;
    return above != NULL;
}

static bool look(const struct schema *schema, const struct above *next, const char **place)
{
    const struct above above = { .next = next, .schema = schema, .depth = next ? next->depth + 1 : 0 };

    /* A record's own members are sealed, and whatever lies deeper goes with them. */
    if (!schema || schema->record || above.depth == DEPTH || is_above(next, schema)) return false;
    if (schema->sealed) {
        *place = schema->place;
        return true;
    }
    for (size_t i = 0; i < schema->property_count; i++)
        if (look(schema->properties[i].schema, &above, place)) return true;
    for (size_t i = 0; i < schema->one_of_count; i++)
        if (look(schema->one_of[i], &above, place)) return true;
    return look(schema->items, &above, place);
}

bool contract_has_unsealed(const struct schema *schema, const char **place)
{
    return look(schema, NULL, place);
}
