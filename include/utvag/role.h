/* The roles of the service, and the database role that each becomes for a transaction. */
#pragma once

#define ROLES(X)                                       \
    X(PARTNER, partner, utvag_partner)                 \
    X(INTAKE, intake, utvag_public)                    \
    X(CASE_WORKER, case_worker, utvag_case)            \
    X(DECISION_MAKER, decision_maker, utvag_case)      \
    X(TRIAGE, triage, utvag_case)                      \
    X(FUND_MANAGER, fund_manager, utvag_finance)       \
    X(PROJECT_MANAGER, project_manager, utvag_project) \
    X(AUDITOR, auditor, utvag_auditor)                 \
    X(ADMIN, admin, utvag_admin)

#define ROLE_ENUM(upper, name, database) ROLE_##upper,
enum role { ROLES(ROLE_ENUM) ROLE_COUNT };
#undef ROLE_ENUM

const char *role_name(enum role role);
const char *role_database(enum role role);
enum role role_find(const char *name); /* ROLE_COUNT if there is none */
