/* Assessments of the best interests of the children whom an application concerns. */
#include "utvag/resource.h"

const struct operation best_interest_assessments[] = {
    { "listBestInterestAssessments", resource_list, "best_interest_assessment_bodies", NULL },
    { "addBestInterestAssessment", resource_write, NULL, "add_best_interest_assessment" },
    { "readBestInterestAssessment", resource_read, "best_interest_assessment_bodies", NULL },
    { 0 },
};
