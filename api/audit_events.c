/* The audit log, for auditors: who did what with which records, when and why; never what the records say. */
#include "utvag/resource.h"

const struct operation audit_events[] = {
    { "listAuditEvents", resource_list, "audit_event_bodies", NULL },
    { "readAuditEvent", resource_read, "audit_event_bodies", NULL },
    { 0 },
};
