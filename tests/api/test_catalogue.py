"""What PostgreSQL itself says of who may do what: the last line of defence, read from its catalogue."""

import psycopg
import pytest

ROLES = ["utvag_app", "utvag_login", "utvag_partner", "utvag_public", "utvag_case", "utvag_finance", "utvag_project",
         "utvag_auditor", "utvag_admin"]
OURS = "n.nspname IN ('public', 'vault')"
# What may run with the owner's eyes (SECURITY DEFINER) before anyone has entered. Whoever adds one says here why.
BEFORE_ENTERING = {"forget_expired"}  # once a minute, of nobody's request; tells a number


# What runs with the owner's eyes, and who may call it; none: functions of the owner's own, and triggers. Each crosses the
# policies on purpose: the guards of rules that look at every agency, and what keeps protection whole.
OWNERS_EYES = {
    "emit": {"utvag_admin", "utvag_auditor", "utvag_case", "utvag_finance", "utvag_login", "utvag_partner", "utvag_project",
             "utvag_public"},
    "create_registration": {"utvag_case", "utvag_partner", "utvag_public"},
    "caller_is_listed": {"utvag_case", "utvag_partner"},
    "expect_protection": {"utvag_case", "utvag_partner"},
    "application_has_needs": {"utvag_case", "utvag_partner"},
    "application_is_protected": {"utvag_case", "utvag_partner"},
    "lapse_needs": {"utvag_case", "utvag_partner"},
    "caller_sees_case": {"utvag_case", "utvag_partner"},
    "lock_applications_of": {"utvag_case", "utvag_partner"},
    "decided_needs": {"utvag_case", "utvag_partner"},
    "awaits_certification": {"utvag_case", "utvag_partner"},
    "caller_signed_emergency": {"utvag_case", "utvag_partner"},
    "settle_children": {"utvag_case", "utvag_partner"},
    "settle_person": {"utvag_case", "utvag_partner"},
    "person_cases": {"utvag_case", "utvag_partner"},
    "caller_certified": {"utvag_case"},
    "caller_proposed": {"utvag_case"},
    "proposed_most": {"utvag_case"},
    "officer_may_see": {"utvag_case"},
    "staff_beside": {"utvag_case"},
    "is_case_worker": {"utvag_case"},
    "caller_prepared": {"utvag_case"},
    "granted_elsewhere": {"utvag_case"},
    "caller_is_overdue": {"utvag_case"},
    "emergency_spent": {"utvag_case"},
    "approve_principal": {"utvag_admin"},
    "accept_invitation": {"utvag_login"},
    "accept_invitation_with_keys": {"utvag_login"},
    "replace_client_keys": {"utvag_login"},
    "forget_expired": {"utvag_app"},
    "find_invitation": {"utvag_login"},
    "keep_project_account": {"utvag_project"},
    "project_report": {"utvag_auditor", "utvag_case", "utvag_finance", "utvag_project"},
    "caller_may_see_person": {"utvag_case", "utvag_project"},
    "emit_of_person": {"utvag_case", "utvag_project"},
    "hold_project": {"utvag_case", "utvag_project"},
    "project_promises": {"utvag_project"},
    "lock_accounts": set(),
    "ledger_faults": {"utvag_auditor"},
    "order_payment": {"utvag_case"},
    "approve_payment": {"utvag_finance"},
    "cancel_payment": {"utvag_case", "utvag_finance"},
    "collect_payments": {"utvag_case", "utvag_finance"},
    "settle_payments": {"utvag_case", "utvag_finance"},
    "book_refund": {"utvag_finance"},
    "book_repayment": {"utvag_finance"},
    "book_write_off": {"utvag_case"},
    "payment_faults": {"utvag_auditor"},
    "has_unpaid": {"utvag_case", "utvag_partner"},
    "sees_payment_file": {"utvag_case"},
    "spread_protection": set(),
    "fill_access_list": set(),
    "same_persons": set(),
    "close_persons": set(),
    "alike_persons": set(),
    "register_donation": {"utvag_finance"},
    "register_donations": {"utvag_finance"},
    "take_back_donation": {"utvag_finance"},
    "need_paid": {"utvag_case"},
    "held_by_needs": {"utvag_case"},
    "gifts_admit": {"utvag_case"},
    "fund_decision": {"utvag_case"},
    "pay_emergency": {"utvag_case"},
    "release_closed": {"utvag_case"},
    "line_movable": {"utvag_case"},
    "sees_refinancing": {"utvag_case"},
    "carry_out_refinancing": {"utvag_case", "utvag_finance"},
    "fund_public": {"utvag_login"},
    "donation_uses_told": {"utvag_login"},
    "fund_live": {"utvag_auditor", "utvag_case", "utvag_finance"},
    "helped_by": set(),
    "quarters_of": set(),
    "settled_uses": set(),
    "uses_by": set(),
    "level_of": set(),
    "keep_steps": set(),
}
# What the service needs to look up who enters, and nothing else.
ENTERING = {
    "agencies.id", "agencies.status", "agencies.demo", "principals.id", "principals.kind", "principals.agency_id",
    "principals.status", "principals.roles", "principals.token_epoch", "principals.demo", "sign_ins.id",
    "sign_ins.principal_id", "sign_ins.ended_at", "sign_ins.expires_at",
}


def names(service, statement, *values):
    return {row[0] for row in service.sql(statement, *values)}


def test_every_table_is_guarded_and_forced(service):
    assert names(service, f"""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OURS} AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""") == set()


def test_every_policy_names_its_roles(service):
    assert names(service, """SELECT tablename || '.' || policyname FROM pg_policies
        WHERE schemaname IN ('public', 'vault') AND 'public' = ANY (roles)""") == set()


def test_every_view_reads_as_its_caller(service):
    assert names(service, f"""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OURS} AND c.relkind = 'v'
          AND NOT coalesce(c.reloptions, '{{}}') && ARRAY['security_invoker=true', 'security_invoker=on']""") == set()


def test_nothing_is_granted_to_everyone(service):
    assert names(service, f"""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
        aclexplode(c.relacl) a WHERE {OURS} AND a.grantee = 0""") == set()
    assert names(service, f"""SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {OURS} AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))
          AND p.prorettype <> 'trigger'::regtype AND p.prosecdef""") == set()


@pytest.mark.parametrize("role", ROLES)
def test_role_cannot_pass_the_policies(service, role):
    [(superuser, bypasses, inherits)] = service.sql(
        "SELECT rolsuper, rolbypassrls, rolinherit FROM pg_roles WHERE rolname = %s", role)
    assert (superuser, bypasses, inherits) == (False, False, False)
    assert names(service, f"""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OURS} AND c.relkind IN ('r', 'p') AND (c.relowner = %s::regrole OR has_table_privilege(%s, c.oid, 'TRUNCATE'))""",
                 role, role) == set()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("change", ["UPDATE audit_events SET outcome = 'ok'", "DELETE FROM audit_events",
                                    "TRUNCATE audit_events"])
def test_audit_log_is_append_only(service, role, change):
    with service.connect() as connection:
        connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change)


def test_audit_log_is_append_only_for_its_owner(service):
    with service.connect() as connection:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("UPDATE audit_events SET outcome = 'ok'")


def test_functions_with_the_owners_eyes_fix_their_search_path(service):
    assert names(service, f"""SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {OURS} AND p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%%')""") == set()


def test_functions_with_the_owners_eyes_are_called_by_whom_they_must_be(service):
    callers = service.sql(f"""SELECT p.proname, array_agg(a.grantee::regrole::text) FILTER (WHERE a.grantee <> p.proowner)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN LATERAL aclexplode(p.proacl) a ON true
        WHERE {OURS} AND p.prosecdef AND p.prorettype <> 'trigger'::regtype GROUP BY p.oid""")
    assert {name: set(roles or ()) for name, roles in callers} == OWNERS_EYES


def test_utvag_app_reads_who_enters_and_writes_refusals(service):
    assert names(service, f"""SELECT c.oid::regclass || ' ' || a.privilege_type FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
        WHERE {OURS} AND a.grantee = 'utvag_app'::regrole""") == {"audit_events INSERT"}
    assert names(service, """SELECT a.attrelid::regclass || '.' || attname FROM pg_attribute a, aclexplode(a.attacl) g
        WHERE g.grantee = 'utvag_app'::regrole AND g.privilege_type = 'SELECT'""") == ENTERING
    assert names(service, """SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) g
        WHERE g.grantee = 'utvag_app'::regrole AND g.privilege_type <> 'SELECT'""") == set()


def test_before_entering_nothing_runs_with_the_owners_eyes(service):
    assert names(service, f"""SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {OURS} AND p.prosecdef AND has_function_privilege('utvag_app', p.oid, 'EXECUTE')""") == BEFORE_ENTERING


def test_a_session_that_entered_no_role_reads_no_case(service, cluster):
    """utvag_app looks up who may enter: principals' and agencies' status and their sign-ins', nothing sealed."""
    readable = set()
    with psycopg.connect(cluster.url("utvag_app", service.database), autocommit=True) as connection:
        for (table,) in service.sql(f"""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n
                ON n.oid = c.relnamespace WHERE {OURS} AND c.relkind IN ('r', 'p', 'v')"""):
            try:
                connection.execute(f"SELECT * FROM {table} LIMIT 1")
                readable.add(table)
            except psycopg.errors.InsufficientPrivilege:
                pass
    assert readable == set()


def test_login_role_reads_no_person(service):
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_login")
        for table in ("persons", "applications", "needs", "decisions", "identifiers"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}")


def test_admin_reads_no_case(service):
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_admin")
        for table in ("persons", "applications", "needs", "decisions", "identifiers", "access_list"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}")
