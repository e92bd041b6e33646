/* Assessments of eligibility: appended, never changed. The latest counts. */
#include "utvag/resource.h"

const struct operation eligibility_assessments[] = {
    { "listEligibilityAssessments", resource_list, "eligibility_assessment_bodies", NULL },
    { "createEligibilityAssessment", resource_write, NULL, "create_eligibility_assessment" },
    { "readEligibilityAssessment", resource_read, "eligibility_assessment_bodies", NULL },
    { 0 },
};
