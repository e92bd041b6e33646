"""`utvag check`: what must hold of the money and of the database's own guards, and that each breach of it is told."""

import subprocess

import pytest

from books import BANK, CHILDREN_FUND
from cluster import binary


@pytest.fixture
def check(service):
    """Runs the command: its exit status and the lines it prints."""

    def run():
        done = subprocess.run([binary(), "check"], env=service.cluster.environment(service.database), text=True, capture_output=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_demo_holds(check):
    assert check() == (0, ["ledger and catalogue hold"], "")


# What breaks a rule, and how it is put right again.
BREACHES = {
    "account_is_the_sum_of_its_entries": (f"UPDATE accounts SET posted_ore = posted_ore + 1 WHERE id = '{CHILDREN_FUND}'",
                                          f"UPDATE accounts SET posted_ore = posted_ore - 1 WHERE id = '{CHILDREN_FUND}'"),
    "last_month_is_the_account": (f"INSERT INTO account_months (account_id, month, opening_ore, reserved_opening_ore, received_ore)"
                                  f" VALUES ('{BANK}', '2199-01-01', 0, 0, 1)", "DELETE FROM account_months WHERE month = '2199-01-01'"),
    "table_is_guarded_and_forced": ("ALTER TABLE needs NO FORCE ROW LEVEL SECURITY", "ALTER TABLE needs FORCE ROW LEVEL SECURITY"),
    "policy_names_its_roles": ("CREATE POLICY everyone ON needs FOR SELECT USING (true)", "DROP POLICY everyone ON needs"),
    "view_reads_as_its_caller": ("ALTER VIEW account_bodies SET (security_invoker = false)",
                                 "ALTER VIEW account_bodies SET (security_invoker = true)"),
    "owners_eyes_fix_their_search_path": ("ALTER FUNCTION emit RESET search_path", "ALTER FUNCTION emit SET search_path = public, vault, pg_temp"),
    "role_owns_no_table": ("ALTER TABLE certifications OWNER TO utvag_case", "ALTER TABLE certifications OWNER TO utvag_owner"),
    "role_writes_no_ledger": ("GRANT UPDATE (amount_ore) ON ledger_entries TO utvag_finance",
                              "REVOKE UPDATE (amount_ore) ON ledger_entries FROM utvag_finance"),
    "role_changes_no_audit_event": ("GRANT DELETE ON audit_events TO utvag_admin", "REVOKE DELETE ON audit_events FROM utvag_admin"),
    "guard_is_on": ("ALTER TABLE ledger_entries DISABLE TRIGGER moves_accounts", "ALTER TABLE ledger_entries ENABLE TRIGGER moves_accounts"),
}


@pytest.mark.parametrize("rule", BREACHES)
def test_breach_is_told_by_its_rule(service, check, rule):
    breach, repair = BREACHES[rule]
    service.sql(breach)
    try:
        status, lines, _ = check()
    finally:
        service.sql(repair)
    assert status == 1 and rule in {line.split(" ")[0] for line in lines}, lines
    assert "ledger and catalogue hold" not in lines
    assert check()[0] == 0, "and only while it lasts"


def test_unknown_is_no_good_answer(service, check):
    service.sql("ALTER FUNCTION catalogue_faults RENAME TO hidden")
    try:
        status, lines, told = check()
    finally:
        service.sql("ALTER FUNCTION hidden RENAME TO catalogue_faults")
    assert status == 1 and lines == [] and "catalogue_faults" in told


def test_check_takes_no_arguments(service):
    done = subprocess.run([binary(), "check", "--all", "x"], env=service.cluster.environment(service.database), capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 2
