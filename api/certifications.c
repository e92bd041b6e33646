/* Certifications: an ombud vouches for needs. */
#include "utvag/resource.h"

const struct operation certifications[] = {
    { "listCertifications", resource_list, "certification_bodies", NULL },
    { "addCertification", resource_write, NULL, "add_certification" },
    { "readCertification", resource_read, "certification_bodies", NULL },
    { "revokeCertification", resource_write, NULL, "revoke_certification" },
    { 0 },
};
