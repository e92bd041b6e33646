"""What is granted is promised of accounts that have it and may pay it: every gate of money by its code, what a decision that
supersedes another does to what was promised, and that no two promise the same krona."""

import concurrent.futures
import secrets

import pytest

from casework import REASON, Case, codes, done, keyed, principal
from payments import BANKGIRO, VENDOR

CHILDREN, GENERAL = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01", "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402"


@pytest.fixture
def case(service):
    return Case(service)


@pytest.fixture(autouse=True)
def ledger_is_sound(service):
    yield
    assert service.sql("SELECT * FROM ledger_faults()") == []


def give(service, account, amount, **restriction):
    body = {"kind": "gift", "account_id": account, "amount_ore": amount, "channel_code": "swish", "received_on": "2026-01-02",
            "channel_reference": "SW-" + secrets.token_hex(8), "anonymous": True, "restriction": restriction}
    return done(service.as_("fund_manager").post("/donations", json=body, headers=keyed()), 201)


def project(service, money=1_000_000, **members):
    """The account of a project that goes on in all of Sweden, for everybody, and has so much money."""
    body = {"name_sv": "Försök", "name_en": "Trial", "funder": "Stiftelsen Trygg", "starts_on": "2020-01-01", "ends_on": "2099-12-31",
            "pay_until_on": "2099-12-31", "catchment": {"national": True}, "target_groups": ["adults", "children"]} | members
    made = done(service.as_("project_manager").post("/projects", json=body, headers=keyed()), 201)
    [(account,)] = service.sql("SELECT id::text FROM accounts WHERE project_id = %s", made["id"])
    if money:
        give(service, account, money)
    return account, made["id"]


def account(service, wanted):
    told = service.as_("fund_manager").get("/accounts/" + wanted).json()
    return told["posted_ore"], told["reserved_ore"]


def source(wanted, amount=50_000):
    return {"account_id": wanted, "amount_ore": amount}


def held(case, decision, at=0):
    line = done(case.decider.get("/decision-lines/" + decision["lines"][at]["id"]))
    return {s["account_id"]: (s["reserved_ore"], s["paid_ore"]) for s in line["sources"]}


def from_account(case, *accounts, name="glasses", **more):
    return case.try_decide(case.line(name, sources=[source(*a) if isinstance(a, tuple) else source(a) for a in accounts], **more))


# -- which account ---------------------------------------------------------------------------------------------------------

def test_need_of_an_adult_is_paid_of_the_general_fund(service, case):
    posted, reserved = account(service, GENERAL)
    decision = case.ready("glasses").decide()
    assert held(case, decision) == {GENERAL: (50_000, 0)}
    assert account(service, GENERAL) == (posted, reserved + 50_000)


def test_need_of_a_child_is_paid_of_the_childrens_fund(service, case):
    child = case.child()
    case.need("pram", child).submit().review().certify().eligible(person=child).obligation().best_interest(child).propose()
    assert held(case, case.decide()) == {CHILDREN: (50_000, 0)}


def test_refused_need_promises_nothing(service, case):
    before = account(service, GENERAL)
    decision = case.ready("glasses").decide(case.line("glasses", "refused"))
    assert held(case, decision) == {} and account(service, GENERAL) == before


def test_line_is_split_over_accounts(service, case):
    of_project, _ = project(service)
    decision = done(from_account(case.ready("glasses"), (GENERAL, 20_000), (of_project, 30_000)), 201)
    assert held(case, decision) == {GENERAL: (20_000, 0), of_project: (30_000, 0)}


@pytest.mark.parametrize("sources, wrong", [
    ([source("e37b2a90-64cd-4e1f-b5a8-0c9d41f7a803")], "/lines/0/sources/0/account_id"),
    ([source("00000000-0000-4000-8000-00000000beef")], "/lines/0/sources/0/account_id"),
    ([source(GENERAL, 49_999)], "/lines/0/sources"),
    ([source(GENERAL, 25_000), source(GENERAL, 25_000)], "/lines/0/sources"),
    ([], "/lines/0/sources"),
])
def test_sources_that_do_not_add_up_are_refused(service, case, sources, wrong):
    before = account(service, GENERAL)
    answer = case.ready("glasses").try_decide(case.line("glasses", sources=sources))
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == wrong, answer.text
    assert account(service, GENERAL) == before


def test_agency_does_not_see_who_pays(case):
    decision = case.ready("glasses").decide()
    assert "sources" not in case.partner.get("/decisions/" + decision["id"]).text
    assert case.partner.get("/decision-lines/" + decision["lines"][0]["id"]).status_code == 403


# -- gates -----------------------------------------------------------------------------------------------------------------

def test_account_that_lacks_the_money_stops_the_decision(service, case):
    of_project, _ = project(service, 49_999)
    assert codes(from_account(case.ready("glasses"), of_project)) == {"insufficient_funds"}
    assert case.read()["needs"][0]["status"] == "proposed" and account(service, of_project) == (49_999, 0)


def test_lines_of_one_decision_are_counted_together(service, case):
    of_project, _ = project(service, 99_999)
    case.ready("glasses", "food")
    lines = [case.line(name, sources=[source(of_project)]) for name in ("glasses", "food")]
    assert codes(case.try_decide(*lines)) == {"insufficient_funds"}
    assert account(service, of_project) == (99_999, 0)
    give(service, of_project, 1)
    case.decide(*lines)
    assert account(service, of_project) == (100_000, 100_000)


def test_childrens_fund_is_for_children(case):
    assert codes(from_account(case.ready("glasses"), CHILDREN)) == {"fund_purpose_violation"}


@pytest.mark.parametrize("restriction", [{"children_only": True}, {"category_codes": ["pram"]}, {"county_codes": ["12"]},
                                         {"use_by": "2026-01-03"}])
def test_gift_goes_where_its_donor_said(service, restriction):
    case = Case(service, municipality_code="0180")
    of_project, _ = project(service, 0)
    give(service, of_project, 50_000, **restriction)
    assert codes(from_account(case.ready("glasses"), of_project)) == {"fund_purpose_violation"}
    give(service, of_project, 50_000)
    done(from_account(case, of_project), 201)


def test_gift_for_her_county_is_used_first_in_first_out(service):
    case = Case(service, municipality_code="0180")
    of_project, _ = project(service, 0)
    other, hers, free = (give(service, of_project, 30_000, **r) for r in ({"county_codes": ["12"]}, {"county_codes": ["01"]}, {}))
    done(from_account(case.ready("glasses"), of_project), 201)
    left = [service.as_("fund_manager").get("/donations/" + d["id"]).json()["remaining_ore"] for d in (other, hers, free)]
    assert left == [30_000, 0, 10_000] or left == [30_000, 10_000, 0]


def of_protected(service, attested=()):
    """A protected person's case, proposed by a case worker who vouches for her being in these projects' catchments."""
    case = Case(service, protection="sekretessmarkering")
    for client in (case.worker, case.decider):
        grant = {"person_id": case.person, "officer": "user:" + principal(client), "reason_code": "case_work"}
        done(case.triage.post("/access-grants", json=grant), 201)
    case.need("glasses").submit().review().certify().eligible().obligation()
    lines = [{"need_id": case.needs["glasses"], "outcome": "granted", "amount_ore": 50_000}]
    case.act(case.worker, "propose", {"reasoning": REASON, "lines": lines, "catchment_project_ids": list(attested)})
    return case


def test_protected_person_gets_no_gift_for_one_county(service):
    """It would tell where she is."""
    of_project, _ = project(service, 0)
    give(service, of_project, 50_000, county_codes=["01"])
    assert codes(from_account(of_protected(service), of_project)) == {"fund_purpose_violation"}


def test_protected_person_is_in_the_catchment_that_her_case_worker_attests(service):
    (attested, made), (other, _) = (project(service, catchment={"county_codes": ["01"]}) for _ in range(2))
    case = of_protected(service, [made])
    assert codes(from_account(case, other)) == {"outside_catchment"}
    done(from_account(case, attested), 201)


@pytest.mark.parametrize("catchment, fine", [
    ({"national": True}, True), ({"county_codes": ["01"]}, True), ({"municipality_codes": ["0180"]}, True),
    ({"county_codes": ["12"]}, False), ({"municipality_codes": ["0114"]}, False)])
def test_project_serves_its_catchment(service, catchment, fine):
    case = Case(service, municipality_code="0180")
    of_project, _ = project(service, catchment=catchment)
    answer = from_account(case.ready("glasses"), of_project)
    assert answer.status_code == 201 if fine else codes(answer) == {"outside_catchment"}


def test_unknown_place_is_outside_every_catchment_but_sweden(service, case):
    of_project, _ = project(service, catchment={"county_codes": ["01"]})
    assert codes(from_account(case.ready("glasses"), of_project)) == {"outside_catchment"}


def test_only_a_protected_persons_catchment_is_attested(service, case):
    _, made = project(service, catchment={"county_codes": ["01"]})
    case.need("glasses").submit().review().certify().eligible().obligation()
    body = {"reasoning": REASON, "catchment_project_ids": [made],
            "lines": [{"need_id": case.needs["glasses"], "outcome": "granted", "amount_ore": 50_000}]}
    answer = case.worker.post(case.path("propose"), json=body, headers=keyed())
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "place_answers"


@pytest.mark.parametrize("groups, birth_date, fine", [
    (["adults"], "1990-03-01", True), (["children"], "1990-03-01", False), (["young_people"], "2003-03-01", True),
    (["young_people"], "1990-03-01", False), (["mothers_and_fathers"], "1990-03-01", False), (["professionals"], "1990-03-01", False)])
def test_project_serves_its_target_groups(service, groups, birth_date, fine):
    case = Case(service, birth_date=birth_date)
    of_project, _ = project(service, target_groups=groups)
    answer = from_account(case.ready("glasses"), of_project)
    assert answer.status_code == 201 if fine else codes(answer) == {"outside_target_group"}


def test_mother_is_one_by_her_relation(service, case):
    of_project, _ = project(service, target_groups=["mothers_and_fathers"])
    child = case.child()
    relation = {"person_id": child, "related_person_id": case.person, "kind": "parent"}
    done(case.partner.post("/relations", json=relation, headers=keyed()), 201)
    done(from_account(case.ready("glasses"), of_project), 201)


@pytest.mark.parametrize("change", ["ends_on = '2026-11-01'", "starts_on = '2099-01-01'", "closed_on = '2026-11-01'"])
def test_project_out_of_its_time_grants_nothing(service, case, change):
    of_project, made = project(service)
    service.sql(f"UPDATE projects SET {change} WHERE id = %s", made)
    assert codes(from_account(case.ready("glasses"), of_project)) == {"project_closed"}


def test_every_gate_that_fails_is_told_at_once(service, case):
    of_project, made = project(service, 0, target_groups=["children"], catchment={"county_codes": ["01"]})
    service.sql("UPDATE projects SET closed_on = '2026-11-01' WHERE id = %s", made)
    assert codes(from_account(case.ready("glasses"), of_project)) == {
        "insufficient_funds", "project_closed", "outside_catchment", "outside_target_group"}


# -- superseding -----------------------------------------------------------------------------------------------------------

def again(case, amount_ore=50_000, outcome="granted", **more):
    """Reconsidered by another, proposed anew, and decided."""
    done(case.reconsider("glasses", client=case.other_decider))
    case.obligation("not_obliged", "glasses")
    lines = [{"need_id": case.needs["glasses"], "outcome": "granted", "amount_ore": 90_000}]
    case.act(case.worker, "propose", {"reasoning": REASON, "lines": lines})
    return case.decide(case.line("glasses", outcome, amount_ore=amount_ore, **more))


def pay(service, decision, amount):
    """As a payment does, without one."""
    service.sql("SELECT pay(%s, s.account_id, %s, gen_random_uuid()) FROM line_sources s WHERE line_id = %s", decision["lines"][0]["id"],
                amount, decision["lines"][0]["id"])


@pytest.mark.parametrize("amount", [30_000, 90_000])
def test_new_decision_promises_anew(service, case, amount):
    posted, reserved = account(service, GENERAL)
    first = case.ready("glasses").decide()
    second = again(case, amount)
    assert held(case, first) == {GENERAL: (0, 0)} and held(case, second) == {GENERAL: (amount, 0)}
    assert account(service, GENERAL) == (posted, reserved + amount)


def test_new_decision_may_name_other_accounts(service, case):
    before, (of_project, _) = account(service, GENERAL), project(service)
    case.ready("glasses").decide()
    assert held(case, again(case, sources=[source(of_project)])) == {of_project: (50_000, 0)}
    assert account(service, GENERAL) == before


def test_what_is_paid_counts_towards_the_new_amount(service, case):
    posted, reserved = account(service, GENERAL)
    first = case.ready("glasses").decide()
    pay(service, first, 20_000)
    second = again(case, 60_000)
    assert held(case, first) == {GENERAL: (0, 20_000)} and held(case, second) == {GENERAL: (40_000, 0)}
    assert account(service, GENERAL) == (posted - 20_000, reserved + 40_000)


@pytest.mark.parametrize("outcome, amount, owed", [("granted", 15_000, 5_000), ("refused", None, 20_000)])
def test_line_below_what_is_paid_is_claimed_back(service, case, outcome, amount, owed):
    first = case.ready("glasses").decide()
    pay(service, first, 20_000)
    second = again(case, amount, outcome)
    assert held(case, second) == {}
    assert service.sql("SELECT r.amount_ore, c.kind FROM recoveries r JOIN recovery_cases c ON c.recovery_id = r.id"
                       " WHERE c.line_id = %s", first["lines"][0]["id"]) == [(owed, "overpayment")]


def owed(service, *decisions):
    """The claims on whoever got too much, by decision."""
    return [service.sql("SELECT r.amount_ore FROM recoveries r JOIN recovery_cases c ON c.recovery_id = r.id AND c.kind = 'overpayment'"
                        " WHERE c.line_id = %s ORDER BY r.created_at", d["lines"][0]["id"]) for d in decisions]


def repay(service, case, amount):
    [(recovery,)] = service.sql("SELECT r.id::text FROM recoveries r JOIN recovery_cases c ON c.recovery_id = r.id"
                                " WHERE r.application_id = %s AND r.status = 'open'", case.id)
    body = {"amount_ore": amount, "received_on": "2026-01-20", "reference": str(secrets.randbelow(10**16) + 10**16)}
    return service.as_("fund_manager").post(f"/recoveries/{recovery}/repayments", json=body, headers=keyed())


def test_claim_stands_on_the_line_that_was_paid_and_can_be_repaid(service, case):
    """Not on the one between, which paid nothing that could come back."""
    first = case.ready("glasses").decide()
    pay(service, first, 20_000)
    second = again(case, 60_000)
    third = again(case, 15_000)
    assert owed(service, first, second, third) == [[(5_000,)], [], []]
    done(repay(service, case, 5_000))
    assert held(case, first) == {GENERAL: (0, 15_000)}


def test_claim_is_made_of_each_line_that_was_paid_the_latest_first(service, case):
    first = case.ready("glasses").decide()
    pay(service, first, 20_000)
    second = again(case, 60_000)
    pay(service, second, 30_000)
    third = again(case, 10_000)
    assert owed(service, first, second, third) == [[(10_000,)], [(30_000,)], []]


def test_what_is_claimed_already_is_not_claimed_again(service, case):
    first = case.ready("glasses").decide()
    pay(service, first, 20_000)
    again(case, 15_000)
    again(case, 12_000)
    assert owed(service, first) == [[(5_000,), (3_000,)]]


def test_advance_that_society_paid_back_was_paid_to_her_all_the_same(service, case):
    """The new decision promises no second time what she got, and claims nothing of her that the fund has back."""
    case.need("glasses").submit().review().certify().eligible().obligation("obliged").propose()
    first = case.decide(case.line("glasses", as_advance=True))
    pay(service, first, 50_000)
    service.sql("SELECT open_claim(%s, 'advance', 50000)", first["lines"][0]["id"])
    done(repay(service, case, 50_000))
    posted, reserved = account(service, GENERAL)
    second = again(case, 60_000)
    assert held(case, second) == {GENERAL: (10_000, 0)} and account(service, GENERAL) == (posted, reserved + 10_000)
    assert owed(service, first, again(case, 30_000)) == [[], []]


def test_case_that_is_closed_gives_back_what_was_not_used(service, case):
    posted, reserved = account(service, GENERAL)
    decision = case.ready("glasses").decide()
    pay(service, decision, 20_000)
    case.act(case.worker, "close")
    assert held(case, decision) == {GENERAL: (0, 20_000)} and account(service, GENERAL) == (posted - 20_000, reserved)


@pytest.mark.parametrize("action, whose, categories", [
    ("close", "worker", ["glasses"]), ("withdraw", "partner", ["glasses", "food"]), ("dismiss", "worker", ["glasses", "food"])])
def test_case_does_not_end_while_a_payment_is_under_way(case, action, whose, categories):
    decision = case.ready(*categories).decide(case.line("glasses"))
    body = {"amount_ore": 1_000, "payee": VENDOR, "pay_to": BANKGIRO}
    done(case.worker.post(f"/decision-lines/{decision['lines'][0]['id']}/disbursements", json=body, headers=keyed()), 201)
    body = {"close": {}, "withdraw": {"message": "Hon klarar resten själv."}, "dismiss": {"reason_code": "wrong_recipient"}}[action]
    assert codes(getattr(case, whose).post(case.path(action), json=body, headers=keyed())) == {"disbursements_open"}


def test_withdrawn_case_keeps_what_was_promised(service, case):
    case.ready("glasses", "food")
    decision = case.decide(case.line("glasses"))
    case.act(case.partner, "withdraw", {"message": "Hon klarar resten själv."})
    assert held(case, decision) == {GENERAL: (50_000, 0)}


# -- emergencies -----------------------------------------------------------------------------------------------------------

def test_emergency_grant_pays_in_the_same_step(service, case):
    posted, reserved = account(service, GENERAL)
    case.need("food").submit()
    grant = case.emergency("food", amount_ore=20_000)
    assert account(service, GENERAL) == (posted - 20_000, reserved)
    assert service.sql("SELECT d.status, d.paid_ore FROM disbursements d WHERE application_id = %s", case.id) == [("paid", 20_000)]
    assert grant["amount_ore"] == 20_000


def test_emergency_grant_needs_the_money_too(service, case):
    case.need("food").submit()
    with service.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT book('reservation', gen_random_uuid(), ARRAY[(a.id, 'free', a.available_ore - 1),"
                           " (a.id, 'reserved', 1 - a.available_ore)]::ledger_entry[]) FROM accounts a WHERE id = %s", [GENERAL])
        connection.execute("COMMIT")
    try:
        assert codes(case.try_emergency("food")) == {"insufficient_funds"}
    finally:
        service.sql("SELECT book('release', gen_random_uuid(), ARRAY[(a.id, 'reserved', x.held), (a.id, 'free', -x.held)]::ledger_entry[])"
                    " FROM accounts a, LATERAL (SELECT a.reserved_ore - coalesce((SELECT sum(s.reserved_ore) FROM line_sources s"
                    " WHERE s.account_id = a.id), 0)::bigint AS held) x WHERE a.id = %s", GENERAL)


# -- races -----------------------------------------------------------------------------------------------------------------

def test_of_many_who_promise_the_same_money_one_does(service):
    """Two hundred cases, and money for one of them."""
    of_project, _ = project(service, 10_000)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        cases = list(pool.map(lambda _: Case(service).ready("glasses"), range(200)))
    tags = [case.tag(case.decider) for case in cases]

    def decide(at):
        case = cases[at]
        return case.try_decide(case.line("glasses", amount_ore=6_000, sources=[source(of_project, 6_000)]), tag=tags[at])

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(decide, range(200)))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 199
    assert {c for a in answers if a.status_code == 409 for c in codes(a)} == {"insufficient_funds"}
    assert account(service, of_project) == (10_000, 6_000)
