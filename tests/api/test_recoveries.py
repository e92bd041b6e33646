"""Recoveries: what somebody else owes is followed until it is repaid or written off, in the books too."""

import pytest

from casework import codes, done, keyed, principal
from payments import (GENERAL_FUND, Payable, at_once, balance, confirm, faults, kind_balance, project_account, reference, send,
                      statuses, tag, try_send)

REASON = "Kommunen har visat att den redan har betalat samma sak."


@pytest.fixture(autouse=True)
def sound_books(service):
    assert try_send(service.as_("fund_manager")).status_code in (201, 409)
    yield
    assert faults(service) == []


@pytest.fixture
def advance(service):
    """A case whose need was met as an advance, and paid."""
    case = Payable(service, as_advance=True)
    case.disbursement = case.paid()
    case.recovery = recovery_of(case)
    return case


def path(recovery):
    return f"/recoveries/{recovery}"


def recovery_of(case):
    [(recovery,)] = case.service.sql("SELECT recovery_id::text FROM recovery_cases WHERE application_id = %s", case.id)
    return recovery


def read(client, recovery):
    return done(client.get(path(recovery)))


def repay(client, recovery, ore, **more):
    body = {"amount_ore": ore, "received_on": "2026-01-20", "reference": reference()} | more
    return client.post(path(recovery) + "/repayments", json=body, headers=keyed())


def write_off(client, recovery, match=None, reason=REASON):
    match = match or tag(client, path(recovery))
    return client.post(path(recovery) + "/write-off", json={"reason": reason}, headers=keyed(**{"If-Match": match}))


def test_paying_an_advance_claims_it_of_the_body_that_is_obliged(service):
    owed = kind_balance(service, "receivables"), kind_balance(service, "claims")
    case = Payable(service, as_advance=True)
    made = case.approved(30_000)
    file = send(case.fund)
    assert service.sql("SELECT count(*) FROM recovery_cases WHERE application_id = %s", case.id) == [(0,)]
    confirm(case.fund, file, (made, "paid"))
    body = read(case.worker, recovery_of(case))
    assert (body["kind"], body["body_code"], body["amount_ore"], body["status"]) == (
        "advance", "municipal_social_services", 30_000, "open")
    assert (body["line_id"], body["disbursement_id"], body["application_id"]) == (case.line_id, made, case.id)
    assert (kind_balance(service, "receivables"), kind_balance(service, "claims")) == (owed[0] + 30_000, owed[1] + 30_000)
    assert body == read(case.fund, body["id"])


def test_what_is_no_advance_claims_nothing(service):
    case = Payable(service)
    case.paid()
    assert service.sql("SELECT count(*) FROM recovery_cases WHERE application_id = %s", case.id) == [(0,)]


def test_a_repayment_is_free_again_on_the_account_that_paid(service, advance):
    posted, owed, bank = balance(service), kind_balance(service, "claims"), kind_balance(service, "bank")
    body = done(repay(advance.fund, advance.recovery, 20_000))
    assert (body["repaid_ore"], body["status"]) == (20_000, "open")
    assert balance(service) == (posted[0] + 20_000, posted[1])
    assert (kind_balance(service, "claims"), kind_balance(service, "bank")) == (owed - 20_000, bank + 20_000)
    body = done(repay(advance.fund, advance.recovery, 30_000))
    assert (body["status"], [p["amount_ore"] for p in body["repayments"]]) == ("repaid", [20_000, 30_000])


def test_repayments_go_to_each_account_that_paid(service):
    first, second = sorted([GENERAL_FUND, project_account(service)])
    case = Payable(service, {first: 25_000, second: 25_000}, as_advance=True)
    case.paid()
    before = balance(service, first)[0], balance(service, second)[0]
    done(repay(case.fund, recovery_of(case), 40_000))
    assert (balance(service, first)[0], balance(service, second)[0]) == (before[0] + 25_000, before[1] + 15_000)
    assert codes(repay(case.fund, recovery_of(case), 10_001)) == {"above_claim"}


def test_never_more_than_the_claim(advance):
    assert codes(repay(advance.fund, advance.recovery, 50_001)) == {"above_claim"}
    done(repay(advance.fund, advance.recovery, 50_000))
    assert codes(repay(advance.fund, advance.recovery, 1)) == {"above_claim"}


def test_repayments_at_once_do_not_exceed_the_claim(advance):
    answers = at_once(*[lambda: repay(advance.fund, advance.recovery, 30_000)] * 3)
    assert statuses(answers) == [200, 409, 409]


def test_the_banks_reference_counts_once(advance):
    same = reference()
    done(repay(advance.fund, advance.recovery, 1_000, reference=same))
    assert codes(repay(advance.fund, advance.recovery, 1_000, reference=same)) == {"repayment_reference_taken"}


def test_also_after_the_application_is_closed(service, advance):
    service.sql("UPDATE applications SET state = 'closed' WHERE id = %s", advance.id)
    done(repay(advance.fund, advance.recovery, 20_000))
    assert done(write_off(advance.other_decider, advance.recovery))["status"] == "written_off"


def test_written_off_with_a_reason(service, advance):
    done(repay(advance.fund, advance.recovery, 20_000))
    posted, owed = balance(service), (kind_balance(service, "receivables"), kind_balance(service, "claims"))
    body = done(write_off(advance.other_decider, advance.recovery))
    assert (body["status"], body["repaid_ore"], body["written_off_ore"]) == ("written_off", 20_000, 30_000)
    [gone] = body["write_offs"]
    assert (gone["reason"], gone["amount_ore"], gone["written_off_by"]) == (REASON, 30_000, principal(advance.other_decider))
    assert balance(service) == posted
    assert (kind_balance(service, "receivables"), kind_balance(service, "claims")) == (owed[0] - 30_000, owed[1] - 30_000)
    assert codes(write_off(advance.other_decider, advance.recovery)) == {"recovery_not_open"}
    assert codes(repay(advance.fund, advance.recovery, 1)) == {"above_claim"}
    assert REASON not in str(service.sql("SELECT w::text FROM write_offs w"))
    assert "reason" not in read(advance.fund, advance.recovery)["write_offs"][0]


def test_who_decided_or_ordered_does_not_write_off(service, advance):
    assert codes(write_off(advance.decider, advance.recovery)) == {"four_eyes_required"}
    case = Payable(service, as_advance=True)
    case.paid(client=case.other_decider)
    assert codes(write_off(case.other_decider, recovery_of(case))) == {"four_eyes_required"}


def test_writing_off_needs_the_version_and_the_role(advance):
    where = path(advance.recovery) + "/write-off"
    assert advance.other_decider.post(where, json={"reason": REASON}, headers=keyed()).status_code == 428
    assert write_off(advance.other_decider, advance.recovery, match='"9.00000000"').status_code == 412
    for client in (advance.fund, advance.worker):
        assert write_off(client, advance.recovery).status_code == 403
    assert repay(advance.decider, advance.recovery, 1).status_code == 403


def test_writing_off_and_repaying_at_once_leave_nothing_over(service):
    for _ in range(3):
        case = Payable(service, as_advance=True)
        case.paid()
        recovery = recovery_of(case)
        match = tag(case.other_decider, path(recovery))
        answers = at_once(lambda: write_off(case.other_decider, recovery, match), lambda: repay(case.fund, recovery, 50_000))
        body = read(case.worker, recovery)
        assert body["repaid_ore"] + body["written_off_ore"] == 50_000
        assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 412])


def test_a_refund_lowers_what_is_claimed(service, advance):
    body = {"amount_ore": 20_000, "received_on": "2026-01-12", "reference": reference()}
    refund = done(advance.fund.post(f"/disbursements/{advance.disbursement}/refunds", json=body, headers=keyed()))
    after = read(advance.worker, advance.recovery)
    assert (after["written_off_ore"], after["status"], after["write_offs"][0]["refund_id"]) == (20_000, "open", refund["id"])
    done(repay(advance.fund, advance.recovery, 30_000))
    assert codes(repay(advance.fund, advance.recovery, 1)) == {"above_claim"}


def test_what_was_repaid_is_not_refunded_again(advance):
    done(repay(advance.fund, advance.recovery, 50_000))
    body = {"amount_ore": 1, "received_on": "2026-01-12", "reference": reference()}
    answer = advance.fund.post(f"/disbursements/{advance.disbursement}/refunds", json=body, headers=keyed())
    assert codes(answer) == {"above_paid"}


def test_an_overpayment_is_claimed_and_repaid(service):
    case = Payable(service)
    case.paid()
    recovery = str(service.sql("SELECT open_claim(%s, 'overpayment', 10000)", case.line_id)[0][0])
    body = read(case.worker, recovery)
    assert (body["kind"], body["body_code"], body["disbursement_id"]) == ("overpayment", None, None)
    assert done(repay(case.fund, recovery, 10_000))["status"] == "repaid"


def test_the_fund_sees_of_a_protected_persons_the_amounts_only(service, advance):
    service.sql("UPDATE persons SET protection = 'sekretessmarkering' WHERE id = %s", advance.person)
    for role in ("fund_manager", "auditor"):
        seen = read(service.as_(role), advance.recovery)
        assert {name for name, value in seen.items() if value is not None} == {
            "id", "voucher", "amount_ore", "repaid_ore", "written_off_ore", "status", "repayments", "write_offs", "version"}
        text = service.as_(role).get("/recoveries?limit=100").text
        assert advance.recovery in text
        for hidden in (advance.id, advance.line_id, advance.person, advance.disbursement):
            assert hidden not in text
    assert service.as_("case_worker_2").get(path(advance.recovery)).status_code == 404
    done(repay(advance.fund, advance.recovery, 1_000))


def test_recoveries_are_listed_by_status(advance):
    ids = lambda status: {r["id"] for r in done(advance.worker.get(f"/recoveries?limit=100&status={status}"))["recoveries"]}
    assert advance.recovery in ids("open") and advance.recovery not in ids("repaid")
    done(repay(advance.fund, advance.recovery, 50_000))
    assert advance.recovery in ids("repaid") and advance.recovery not in ids("open")


# -- the check -----------------------------------------------------------------------------------------------------------

TAMPERED = [
    ("payment_is_what_was_booked", "UPDATE disbursements SET paid_ore = paid_ore - 1 WHERE id = %(disbursement)s"),
    ("payment_is_its_sources", "UPDATE disbursement_sources SET amount_ore = amount_ore + 1 WHERE disbursement_id = %(disbursement)s"),
    ("refunds_are_what_came_back", "INSERT INTO refunds (id, disbursement_id, amount_ore, received_on, reference, registered_by)"
     " SELECT gen_random_uuid(), id, 1, now(), id::text, %(fund)s FROM disbursements WHERE id = %(disbursement)s"),
    ("orders_are_within_what_the_line_holds", "UPDATE disbursements SET status = 'planned', paid_ore = NULL, paid_at = NULL, file_id = NULL"
     " WHERE id = %(disbursement)s"),
    ("approved_by_as_many_as_it_needs", "DELETE FROM disbursement_approvals WHERE disbursement_id = %(disbursement)s"),
    ("sent_in_the_file_that_it_says", "DELETE FROM payment_file_rows WHERE disbursement_id = %(disbursement)s"),
    ("claim_is_what_was_repaid_and_given_up", "UPDATE recoveries SET repaid_ore = repaid_ore + 1 WHERE id = %(recovery)s"),
    ("receivables_are_what_is_owed", "UPDATE recoveries SET amount_ore = amount_ore + 1 WHERE id = %(recovery)s"),
]


@pytest.mark.parametrize("rule, change", TAMPERED, ids=[rule for rule, _ in TAMPERED])
def test_the_check_finds_what_was_tampered_with(service, advance, rule, change):
    """Past every guard, as only a superuser can, and undone."""
    about = {"disbursement": advance.disbursement, "recovery": advance.recovery, "fund": principal(advance.fund)}
    with service.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(change, about)
        assert rule in {found for found, _ in connection.execute("SELECT * FROM payment_faults()")}
