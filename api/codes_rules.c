/* What the rule about codes says to people. */
#include "api/resources.h"

const struct text codes_rules[] = {
    { "code_unknown", 422, NULL, "Koden finns inte i sin kodlista.", "The code is not in its list." },
    { 0 },
};
