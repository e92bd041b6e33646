/* Assessments of society's obligation to meet a need. */
#include "utvag/resource.h"

const struct operation obligation_assessments[] = {
    { "listObligationAssessments", resource_list, "obligation_assessment_bodies", NULL },
    { "addObligationAssessment", resource_write, NULL, "add_obligation_assessment" },
    { "readObligationAssessment", resource_read, "obligation_assessment_bodies", NULL },
    { 0 },
};
