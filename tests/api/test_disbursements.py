"""Disbursements: ordered by one, approved by others, within what the line holds; and what came back."""

import pytest

import accounts
from casework import Case, codes, done, keyed, principal
from payments import (BANKGIRO, FOREIGN, GENERAL_FUND, VENDOR, Payable, act, approve_fully, at_once, balance, confirm, faults,
                      give, kind_balance, path, project_account, read, reference, send, statuses, tag)

UNKNOWN = "0b5e1e0c-7d4a-4c1e-9a55-3f0c6e2b9d17"


@pytest.fixture
def case(service):
    return Payable(service)


@pytest.fixture(autouse=True)
def sound_books(service):
    yield
    assert faults(service) == []


def pointer(answer):
    assert answer.status_code == 422, (answer.status_code, answer.text)
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


# -- ordering ------------------------------------------------------------------------------------------------------

def test_order_is_planned_and_shown_as_it_was_ordered(case):
    answer = case.try_order(due_on="2099-01-01")
    body = done(answer, 201)
    assert answer.headers["Location"].endswith("/disbursements/" + body["id"])
    assert (body["status"], body["amount_ore"], body["approvals"], body["approvals_needed"]) == ("planned", 50_000, [], 1)
    assert (body["line_id"], body["application_id"], body["ordered_by"]) == (case.line_id, case.id, principal(case.worker))
    assert (body["payee_kind"], body["method"], body["due_on"]) == ("vendor", "bankgiro", "2099-01-01")
    assert (body["payee"], body["pay_to"]) == (VENDOR, BANKGIRO)
    assert read(case.worker, body["id"]) == body == read(case.fund, body["id"])


def test_payee_and_number_rest_sealed(service, case):
    case.order(payee={"kind": "vendor", "name": "Optikern Hemlig"}, pay_to={"bankgiro": "991-2346"})
    for (table,) in service.sql("SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE n.nspname IN ('public', 'vault') AND c.relkind = 'r'"):
        for (row,) in service.sql(f"SELECT t::text FROM {table} t"):
            assert "Hemlig" not in row and "991-2346" not in row, table


@pytest.mark.parametrize("pay_to, method", [
    ({"bankgiro": "991-2346"}, "bankgiro"), ({"plusgiro": "28-1"}, "plusgiro"), ({"account": "5439-1024039"}, "account"),
    ({"iban": "SE4550000000058398257466"}, "account"), (FOREIGN, "foreign")])
def test_money_goes_one_of_five_ways(case, pay_to, method):
    assert read(case.worker, case.order(1_000, pay_to=pay_to))["method"] == method


@pytest.mark.parametrize("pay_to", [
    {}, {"bankgiro": "991-2345"}, {"plusgiro": "28-2"}, {"account": "5439-1024038"}, {"iban": "SE4550000000058398257467"},
    {"iban": "GB82WEST12345698765432"}, {"bankgiro": "991-2346", "plusgiro": "28-1"},
    {"foreign": FOREIGN["foreign"] | {"iban": "RO49AAAA1B31007593840001"}}, {"foreign": FOREIGN["foreign"] | {"bic": "AAAA"}},
    {"foreign": FOREIGN["foreign"] | {"country": "Rumänien"}}])
def test_a_number_is_checked(case, pay_to):
    assert case.try_order(1_000, pay_to=pay_to).status_code == 422


def test_never_above_the_line(case):
    assert codes(case.try_order(50_001)) == {"above_line"}
    case.order(30_000)
    assert codes(case.try_order(20_001)) == {"above_line"}
    case.order(20_000)
    assert codes(case.try_order(1)) == {"above_line"}


def test_cancelled_is_left_of_the_line_again(case):
    made = case.order(50_000)
    done(act(case.worker, made, "cancel"))
    case.order(50_000)


def test_two_at_once_do_not_exceed_the_line(service):
    for _ in range(3):
        case = Payable(service)
        answers = at_once(*[lambda: case.try_order(30_000)] * 4)
        assert statuses(answers) == [201, 409, 409, 409]
        assert {code for answer in answers if answer.status_code == 409 for code in codes(answer)} == {"above_line"}


def test_sources_split_the_amount(service):
    first, second = sorted([GENERAL_FUND, project_account(service)])
    case = Payable(service, {first: 25_000, second: 25_000})
    made = read(case.worker, case.order(30_000))
    assert [(s["account_id"], s["amount_ore"]) for s in made["sources"]] == [(first, 25_000), (second, 5_000)]
    sources = [{"account_id": second, "amount_ore": 20_000}]
    assert codes(case.try_order(20_000, sources=[{"account_id": first, "amount_ore": 20_000}])) == {"above_line"}
    assert pointer(case.try_order(19_999, sources=sources)) == [("/sources", "sources_are_not_the_amount")]
    assert pointer(case.try_order(20_000, sources=sources * 2)) == [("/sources/0/account_id", "account_repeated")]
    assert pointer(case.try_order(20_000, sources=[{"account_id": UNKNOWN, "amount_ore": 20_000}])) == [
        ("/sources/0/account_id", "reference_unknown")]
    case.order(20_000, sources=sources)


def test_a_line_that_grants_nothing_pays_nothing(service):
    case = Payable(service)
    refused = Case(service).ready()
    line = refused.decide(refused.line("glasses", outcome="refused"))["lines"][0]["id"]
    assert codes(case.try_order(1_000, line=line)) == {"line_not_granted"}
    assert case.try_order(1_000, line=UNKNOWN).status_code == 404


def test_nothing_is_ordered_or_approved_while_the_need_is_reconsidered(case):
    made = case.order(10_000)
    done(case.reconsider("glasses", client=case.other_decider))
    assert codes(case.try_order(1_000)) == {"payment_frozen"}
    assert codes(case.try_approve(made)) == {"payment_frozen"}


def test_nothing_is_ordered_after_closing(service, case):
    service.sql("UPDATE applications SET state = 'closed' WHERE id = %s", case.id)
    assert codes(case.try_order(1_000)) == {"application_closed"}


def test_a_project_pays_until_its_last_day(service):
    account = project_account(service)
    case = Payable(service, {account: 50_000})
    made = case.order(10_000)
    service.sql("UPDATE projects SET ends_on = '2020-01-01', pay_until_on = '2020-01-01' WHERE id = (SELECT project_id FROM accounts WHERE id = %s)", account)
    assert codes(case.try_order(1_000)) == {"project_closed"}
    assert codes(case.try_approve(made)) == {"project_closed"}


def test_a_protected_person_is_never_paid_by_name(service, case):
    applicant = {"kind": "applicant", "name": "Elira Hoxha"}
    made = case.order(1_000, payee=applicant)
    service.sql("UPDATE persons SET protection = 'sekretessmarkering' WHERE id = %s", case.person)
    for client in (case.worker, case.decider):
        grant = {"person_id": case.person, "officer": "user:" + principal(client), "reason_code": "case_work"}
        case.triage.post("/access-grants", json=grant)
    assert codes(case.try_order(1_000, payee=applicant)) == {"payee_protected"}
    assert codes(case.try_approve(made)) == {"payee_protected"}


def test_agency_must_be_known(case):
    payee = {"kind": "agency", "name": "Socialtjänsten", "agency_id": UNKNOWN}
    assert pointer(case.try_order(1_000, payee=payee)) == [("/payee/agency_id", "reference_unknown")]


def test_only_an_agency_has_an_agencys_id(case):
    payee = VENDOR | {"agency_id": "d0000000-0000-4000-8000-000000000001"}
    assert pointer(case.try_order(1_000, payee=payee)) == [("/payee/agency_id", "only_agencies_have_ids")]


def test_money_moves_with_an_idempotency_key(case):
    body = {"amount_ore": 1_000, "payee": VENDOR, "pay_to": BANKGIRO}
    where = f"/decision-lines/{case.line_id}/disbursements"
    assert case.worker.post(where, json=body).status_code == 400
    key = keyed()
    first, again = (case.worker.post(where, json=body, headers=key) for _ in range(2))
    assert done(first, 201) == done(again, 201)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_machine_orders_nothing(service, case):
    _, machine = accounts.machine(service, ["case_worker"])
    assert codes(case.try_order(1_000, client=machine)) == {"natural_person_required"}


# -- approving -----------------------------------------------------------------------------------------------------

def test_one_approves_what_another_ordered(case):
    made = case.order()
    body = done(case.try_approve(made))
    assert body["status"] == "approved"
    assert [a["approved_by"] for a in body["approvals"]] == [principal(case.fund)]


def test_who_ordered_or_decided_does_not_approve(service, case):
    _, both = accounts.user(service, ["decision_maker", "fund_manager"])
    made = case.order(client=both)
    assert codes(case.try_approve(made, both)) == {"four_eyes_required"}
    second = Payable(service)
    service.sql("ALTER TABLE decisions DISABLE TRIGGER never_edited")
    service.sql("UPDATE decisions SET decided_by = %s WHERE id = %s", principal(both), second.decision["id"])
    service.sql("ALTER TABLE decisions ENABLE TRIGGER never_edited")
    assert codes(second.try_approve(second.order(), both)) == {"four_eyes_required"}


def test_others_than_the_fund_do_not_approve(case):
    made = case.order()
    for client in (case.worker, case.decider, case.service.as_("auditor"), case.partner):
        assert client.post(f"{path(made)}/approve", headers=keyed(**{"If-Match": '"1"'})).status_code == 403


@pytest.mark.parametrize("payee", [{"kind": "ombud", "name": "Karin Lind"}, {"kind": "agency", "name": "Socialtjänsten"},
                                   {"kind": "agency", "name": "Socialtjänsten", "agency_id": "d0000000-0000-4000-8000-000000000001"}])
def test_two_approve_where_the_payee_certified(case, payee):
    made = case.order(1_000, payee=payee)
    assert done(case.try_approve(made))["status"] == "planned"
    assert codes(case.try_approve(made)) == {"approved_already"}
    assert done(case.try_approve(made, case.other_fund))["status"] == "approved"


def test_one_approves_where_another_agency_is_paid(case):
    made = case.order(1_000, payee={"kind": "agency", "name": "Region", "agency_id": "d0000000-0000-4000-8000-000000000002"})
    assert done(case.try_approve(made))["status"] == "approved"


def test_two_approve_above_the_houses_amount(serving):
    with serving(two_approvers_above_ore=9_999) as strict:
        case = Payable(strict)
        assert read(case.worker, case.order(9_999))["approvals_needed"] == 1
        made = case.order(10_000)
        assert done(case.try_approve(made))["status"] == "planned"
        assert done(case.try_approve(made, case.other_fund))["status"] == "approved"
        assert codes(case.try_approve(made, case.other_fund)) == {"wrong_status", "approved_already"}


def test_approving_and_cancelling_need_the_version(case):
    made = case.order()
    for action in ("approve", "cancel"):
        assert case.fund.post(f"{path(made)}/{action}", headers=keyed()).status_code == 428
        assert case.fund.post(f"{path(made)}/{action}", headers=keyed(**{"If-Match": '"9.00000000"'})).status_code == 412


def test_two_who_approve_at_once_have_one_effect(service):
    for _ in range(3):
        case = Payable(service)
        made = case.order()
        match = tag(case.fund, path(made))
        answers = at_once(*[lambda client=client: case.try_approve(made, client, match)
                            for client in (case.fund, case.other_fund, case.fund, case.other_fund)])
        assert statuses(answers) == [200, 412, 412, 412]
        assert len(read(case.fund, made)["approvals"]) == 1


def test_approving_and_cancelling_at_once_have_one_effect(service):
    for _ in range(4):
        case = Payable(service)
        made = case.order()
        match = tag(case.fund, path(made))
        answers = at_once(lambda: case.try_approve(made, tag=match), lambda: act(case.worker, made, "cancel", match))
        assert statuses(answers) == [200, 412]
        assert read(case.fund, made)["status"] == ("approved" if answers[0].status_code == 200 else "cancelled")


# -- cancelling ----------------------------------------------------------------------------------------------------

def test_who_ordered_and_the_fund_cancel(service, case):
    made = case.order(1_000)
    assert codes(act(case.decider, made, "cancel")) == {"not_ordered_by_you"}
    assert done(act(case.worker, made, "cancel"))["status"] == "cancelled"
    assert done(act(case.fund, case.order(1_000), "cancel"))["status"] == "cancelled"
    assert codes(act(case.worker, made, "cancel")) == {"wrong_status"}


def test_what_is_sent_is_not_cancelled(case):
    made = case.approved()
    file = send(case.fund)
    assert codes(act(case.worker, made, "cancel")) == {"wrong_status"}
    confirm(case.fund, file, (made, "paid"))
    assert codes(act(case.worker, made, "cancel")) == {"wrong_status"}


# -- who sees ------------------------------------------------------------------------------------------------------

def protected_case(service):
    case = Payable(service)
    service.sql("UPDATE persons SET protection = 'sekretessmarkering' WHERE id = %s", case.person)
    for client in (case.worker, case.decider):
        grant = {"person_id": case.person, "officer": "user:" + principal(client), "reason_code": "case_work"}
        case.triage.post("/access-grants", json=grant)
    return case


@pytest.mark.parametrize("role", ["fund_manager", "auditor"])
def test_the_fund_sees_of_a_protected_person_an_amount_and_a_voucher(service, role):
    case = protected_case(service)
    payee = {"kind": "ombud", "name": "Karin Lind", "organisation_number": "556677-8899"}
    made = done(case.try_order(12_345, payee=payee), 201)
    approve_fully(service, made["id"])
    made = read(case.worker, made["id"])
    seen = read(service.as_(role), made["id"])
    kept = {"id", "voucher", "amount_ore", "status", "approvals", "version"}
    assert {name for name, value in seen.items() if value is not None} == kept
    assert {name: seen[name] for name in kept} == {name: made[name] for name in kept}
    pages = service.as_(role).get(path(made["id"])).text + service.as_(role).get("/disbursements?limit=100").text
    for hidden in ("Karin", "5050", case.id, case.line_id, case.person, case.needs["glasses"], "ombud\"", "556677-8899"):
        assert hidden not in read_back(pages, made["id"]), hidden


def read_back(pages, disbursement):
    """What the pages tell between a record's id and the next record."""
    return "".join(part.split('{"id"')[0] for part in pages.split(disbursement)[1:])


def test_the_fund_never_sees_a_protected_case_anywhere(service):
    case = protected_case(service)
    made = case.order(1_000)
    text = service.as_("fund_manager").get("/disbursements?limit=100").text
    assert made in text and case.id not in text and case.line_id not in text and case.person not in text


def test_the_auditor_sees_no_payee(service, case):
    made = case.order(1_000)
    seen = read(service.as_("auditor"), made)
    assert "payee" not in seen and "pay_to" not in seen
    assert seen["line_id"] == case.line_id
    assert "Optikern" not in service.as_("auditor").get("/disbursements").text


def test_who_does_not_see_the_case_does_not_see_its_payments(service):
    case = protected_case(service)
    made = case.order(1_000)
    other = service.as_("case_worker_2")
    assert other.get(path(made)).status_code == 404
    assert made not in other.get("/disbursements?limit=100").text
    assert other.post(f"/decision-lines/{case.line_id}/disbursements", headers=keyed(),
                      json={"amount_ore": 1, "payee": VENDOR, "pay_to": BANKGIRO}).status_code == 404
    assert act(other, made, "cancel", '"1.00000000"').status_code == 404


def test_lists_are_filtered(service, case):
    made = case.order(1_000, due_on="2098-07-01")
    mine = lambda query: made in {d["id"] for d in done(case.worker.get(f"/disbursements?limit=100&{query}"))["disbursements"]}
    assert mine("status=planned") and not mine("status=paid")
    assert mine("due_on=2098-07-01") and not mine("due_on=2098-07-02")
    page = done(case.worker.get(case.path("disbursements")))["disbursements"]
    assert [d["id"] for d in page] == [made]


# -- receipts and refunds --------------------------------------------------------------------------------------------

def receipt(client, made, **more):
    body = {"amount_ore": 50_000, "received_on": "2026-01-10", "note": "Glasögon enligt kvitto."} | more
    return client.post(f"{path(made)}/receipts", json=body, headers=keyed())


def test_a_receipt_is_noted_of_what_is_paid(case):
    made = case.order()
    assert codes(receipt(case.worker, made)) == {"wrong_status"}
    approve_fully(case.service, made)
    confirm(case.fund, send(case.fund), (made, "paid"))
    noted = done(receipt(case.worker, made))
    assert noted["note"] == "Glasögon enligt kvitto."
    assert done(case.decider.get(f"{path(made)}/receipts"))["receipts"] == [noted]
    assert receipt(case.worker, made, received_on="2199-01-01").status_code == 422
    assert case.fund.get(f"{path(made)}/receipts").status_code == 403


def refund(client, made, ore, **more):
    body = {"amount_ore": ore, "received_on": "2026-01-12", "reference": reference()} | more
    return client.post(f"{path(made)}/refunds", json=body, headers=keyed())


def test_a_refund_is_free_again_on_the_account_that_paid(service, case):
    made = case.paid()
    posted, reserved = balance(service)
    noted = done(refund(case.fund, made, 20_000))
    assert balance(service) == (posted + 20_000, reserved)
    assert read(case.worker, made)["refunded_ore"] == 20_000
    assert done(case.worker.get(f"{path(made)}/refunds"))["refunds"] == [noted]


def test_never_more_comes_back_than_was_paid(case):
    made = case.order()
    assert codes(refund(case.fund, made, 1)) == {"wrong_status"}
    approve_fully(case.service, made)
    confirm(case.fund, send(case.fund), (made, "paid"))
    assert codes(refund(case.fund, made, 50_001)) == {"above_paid"}
    done(refund(case.fund, made, 30_000))
    assert codes(refund(case.fund, made, 20_001)) == {"above_paid"}
    done(refund(case.fund, made, 20_000))


def test_the_banks_reference_counts_once(case):
    made, same = case.paid(), reference()
    done(refund(case.fund, made, 1_000, reference=same))
    assert codes(refund(case.fund, made, 1_000, reference=same)) == {"refund_reference_taken"}
    assert read(case.worker, made)["refunded_ore"] == 1_000


@pytest.mark.parametrize("kind, role", [("receipts", "case_worker"), ("refunds", "fund_manager")])
def test_what_has_no_place_of_its_own_is_told_again_with_its_key(service, case, kind, role):
    made, key = case.paid(), keyed()
    body = {"amount_ore": 1_000, "received_on": "2026-01-12"} | ({"reference": reference()} if kind == "refunds" else {"note": "Kvitto."})
    first, again = (service.as_(role).post(f"{path(made)}/{kind}", json=body, headers=key) for _ in range(2))
    assert done(first) == done(again) and again.headers["Idempotency-Replayed"] == "true"
    assert len(done(case.worker.get(f"{path(made)}/{kind}"))[kind]) == 1


def test_refunds_at_once_do_not_exceed_what_was_paid(service, case):
    made = case.paid()
    answers = at_once(*[lambda: refund(case.fund, made, 30_000)] * 3)
    assert statuses(answers) == [200, 409, 409]


# -- an emergency grant's, and what is decided anew -----------------------------------------------------------------------

def test_an_emergency_grant_is_paid_at_once(service):
    case = Case(service).need("food").submit().review()
    give(service, 20_000)
    bank = kind_balance(service, "bank")
    grant = case.emergency("food", amount_ore=20_000)
    assert kind_balance(service, "bank") == bank - 20_000
    [made] = done(case.worker.get(case.path("disbursements")))["disbursements"]
    assert (made["status"], made["method"], made["paid_ore"], made["approvals_needed"]) == ("paid", "at_once", 20_000, 0)
    assert made["ordered_by"] == principal(case.decider) and "payee" not in made
    assert done(case.worker.get(f"/emergency-grants/{grant['id']}"))["payee_vendor"]["name"] == "Nattöppet Livs AB"


def decide_anew(case, ore):
    done(case.reconsider("glasses", client=case.other_decider))
    case.propose()
    return case.try_decide(case.line("glasses", amount_ore=ore))


def test_deciding_anew_cancels_what_is_not_sent(case):
    planned, approved = case.order(10_000), case.approved(10_000)
    done(decide_anew(case, 30_000), 201)
    assert [read(case.worker, made)["status"] for made in (planned, approved)] == ["cancelled", "cancelled"]
    assert codes(case.try_order(1)) == {"line_not_granted"}


def test_deciding_anew_waits_for_what_is_sent(case):
    made = case.approved(10_000)
    file = send(case.fund)
    assert codes(decide_anew(case, 30_000)) == {"payment_sent"}
    confirm(case.fund, file, (made, "paid"))
    line = done(case.try_decide(case.line("glasses", amount_ore=30_000)), 201)["lines"][0]["id"]
    assert codes(case.try_order(20_001, line=line)) == {"above_line"}
    case.order(20_000, line=line)


def test_what_was_paid_above_a_new_decision_is_claimed_back(service, case):
    case.paid(50_000)
    done(decide_anew(case, 30_000), 201)
    [claim] = [r for r in done(case.worker.get("/recoveries?limit=100"))["recoveries"] if r["application_id"] == case.id]
    assert (claim["kind"], claim["amount_ore"], claim["status"]) == ("overpayment", 20_000, "open")
