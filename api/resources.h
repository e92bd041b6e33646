/* What is offered. A new resource: its file, and one line here. Only src/main.c, tests and fuzzers read this list. */
#pragma once
#include "utvag/operation.h"
#include "utvag/text.h"

/* Each is a table of struct operation, in the file of its name or nearly so, ended by a row without id. */
#define RESOURCES(X)             \
    X(access_grants)             \
    X(accounts)                  \
    X(activities)                \
    X(agencies)                  \
    X(applicants)                \
    X(applications)              \
    X(audit_events)              \
    X(best_interest_assessments) \
    X(certifications)            \
    X(children)                  \
    X(client_keys)               \
    X(clients)                   \
    X(codes)                     \
    X(decisions)                 \
    X(discovery)                 \
    X(disbursements)             \
    X(donations)                 \
    X(eligibility_assessments)   \
    X(emergency_grants)          \
    X(fund)                      \
    X(households)                \
    X(invitations)               \
    X(ledger)                    \
    X(need_operations)           \
    X(obligation_assessments)    \
    X(participations)            \
    X(payment_files)             \
    X(projects)                  \
    X(recoveries)                \
    X(registrations)             \
    X(relations)                 \
    X(representatives)           \
    X(revocations)               \
    X(sessions)                  \
    X(system_operations)         \
    X(tokens)                    \
    X(users)

/* Each is a table of struct text: what the rules of a part of the domain say to people, by code. */
#define RULES(X)          \
    X(applications_rules) \
    X(codes_rules)        \
    X(decisions_rules)    \
    X(donations_rules)    \
    X(granting_rules)     \
    X(identity_rules)     \
    X(ledger_rules)       \
    X(money_rules)        \
    X(persons_rules)      \
    X(projects_rules)

#define DECLARE(table) extern const struct operation table[];
RESOURCES(DECLARE)
#undef DECLARE
#define DECLARE(table) extern const struct text table[];
RULES(DECLARE)
#undef DECLARE
