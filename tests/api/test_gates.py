"""Rules that stand in the way of an action: each alone, and all at once."""

import re

import pytest

from casework import Case, codes, done, keyed

EVERY_STATE = ("draft", "submitted", "under_review", "information_requested", "ready_for_decision", "decided", "closed",
               "withdrawn", "dismissed")
MESSAGE = {"message": "Text."}


@pytest.fixture
def case(service):
    return Case(service)


def attempt(case, client, action, body=None):
    return client.post(case.path(action), json=body or {}, headers=keyed())


def try_propose(case, *names, outcome="refused"):
    lines = [{"need_id": need, "outcome": outcome} for need in case.ids(names)]
    return attempt(case, case.worker, "propose", {"lines": lines})


def brought_to(service, state):
    """A case in a state."""
    case = Case(service)
    if state in ("ready_for_decision", "decided", "closed"):
        case.ready("glasses")
    else:
        case.need("food")
    if state not in ("draft", "ready_for_decision", "decided", "closed"):
        case.submit()
    if state == "under_review":
        case.review()
    if state == "information_requested":
        case.act(case.worker, "request-information", MESSAGE)
    if state in ("decided", "closed"):
        case.decide()
    if state == "closed":
        case.act(case.worker, "close")
    if state == "withdrawn":
        case.act(case.partner, "withdraw")
    if state == "dismissed":
        case.act(case.worker, "dismiss", {"reason_code": "duplicate"})
    assert case.read()["state"] == state
    return case


# States -----------------------------------------------------------------------------------------------------------------

ALLOWED = {
    "submit": {"draft"},
    "start-review": {"submitted"},
    "request-information": {"submitted", "under_review"},
    "answer-information": {"information_requested"},
    "propose": {"under_review"},
    "return": {"under_review", "ready_for_decision"},
    "withdraw": {"draft", "submitted", "under_review", "information_requested", "ready_for_decision"},
    "dismiss": {"draft", "submitted", "under_review", "information_requested", "ready_for_decision"},
    "close": {"decided"},
    "request-reconsideration": {"decided", "closed"},
}


@pytest.mark.parametrize("state", EVERY_STATE)
def test_only_the_states_that_allow_an_action_allow_it(service, state):
    case = brought_to(service, state)
    told = {}
    for client in (case.partner, case.worker, case.decider):
        told |= {action["name"]: action for action in case.read(client)["actions"]}
    for action, states in ALLOWED.items():
        blocked = told[action]["blocked_by"] == ["invalid_transition"]
        assert blocked == (state not in states), (action, state, told[action])


@pytest.mark.parametrize("state", [state for state in EVERY_STATE if state != "draft"])
def test_case_is_submitted_once(service, state):
    case = brought_to(service, state)
    answer = attempt(case, case.partner, "submit")
    assert codes(answer) == {"invalid_transition"}
    assert state in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("state", ["decided", "closed", "withdrawn", "dismissed"])
def test_ended_case_is_neither_withdrawn_nor_dismissed(service, state):
    case = brought_to(service, state)
    assert codes(attempt(case, case.partner, "withdraw")) == {"invalid_transition"}
    assert codes(attempt(case, case.worker, "dismiss", {"reason_code": "lapsed"})) == {"invalid_transition"}


def test_contract_tells_every_change_of_state(service):
    """The table in the tag `applications`, held against the one that the database goes by."""
    contract = done(service.as_("partner").get("/openapi.json"))
    [text] = [tag["description"] for tag in contract["tags"] if tag["name"] == "applications"]
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| `")]
    told = {(action, state.strip(" `"), after) for _, state, _, leads, _ in rows
            for action, after in re.findall(r"`([a-z-]+)` → `([a-z_]+)`", leads)}
    assert told == set(service.sql("SELECT action, from_state, to_state FROM transitions WHERE from_state <> to_state"))
    assert {row[1].strip(" `") for row in rows} == set(contract["components"]["schemas"]["ApplicationState"]["enum"])


def test_database_itself_lets_no_state_be_skipped(service, case):
    with pytest.raises(Exception, match="no transition"):
        service.sql("UPDATE applications SET state = 'decided', submitted_on = now() WHERE id = %s", case.id)


@pytest.mark.parametrize("state", ["submitted", "under_review"])
def test_answer_goes_back_to_where_the_question_came_from(service, state):
    case = brought_to(service, state)
    case.act(case.worker, "request-information", MESSAGE)
    assert case.act(case.partner, "answer-information", MESSAGE)["state"] == state


def test_waiting_case_is_assigned_anew_and_still_finds_back(service):
    case = brought_to(service, "under_review")
    case.act(case.worker, "request-information", MESSAGE)
    from casework import principal
    case.act(case.triage, "assign", {"assigned_to": principal(service.as_("case_worker_2"))})
    assert case.act(case.worker, "answer-information", MESSAGE)["state"] == "under_review"


# Submitting and starting ---------------------------------------------------------------------------------------------------


def test_submit_needs_a_need(case):
    assert codes(attempt(case, case.partner, "submit")) == {"needs_missing"}


def test_review_is_started_by_whom_it_is_assigned_to(service, case):
    case.need("food").submit()
    assert codes(attempt(case, case.worker, "start-review")) == {"not_assigned"}
    from casework import principal
    case.act(case.triage, "assign", {"assigned_to": principal(case.worker)})
    assert codes(attempt(case, service.as_("case_worker_2"), "start-review")) == {"not_assigned"}
    case.act(case.worker, "start-review")


@pytest.mark.parametrize("role", ["partner", "fund_manager", "admin", "intake"])
def test_case_is_assigned_to_those_who_work_with_cases(service, case, role):
    from casework import principal
    case.need("food").submit()
    answer = attempt(case, case.triage, "assign", {"assigned_to": principal(service.as_(role))})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/assigned_to"


def test_action_on_a_stale_version_is_refused(case):
    tag = case.tag(case.partner)
    case.need("food")
    answer = case.partner.post(case.path("submit"), json={}, headers=keyed(**{"If-Match": tag}))
    assert answer.status_code == 412
    assert case.read()["state"] == "draft"


# Proposing ------------------------------------------------------------------------------------------------------------------


def test_all_gates_are_told_at_once(case):
    case.need("food", person=case.child()).submit().review()
    assert codes(try_propose(case)) == {"eligibility_missing", "certification_missing", "assessment_missing",
                                        "best_interest_missing"}


def test_each_gate_alone(case):
    child = case.child()
    case.need("food", person=child).submit().review()
    case.certify()
    assert codes(try_propose(case)) == {"eligibility_missing", "assessment_missing", "best_interest_missing"}
    case.eligible(person=child)
    assert codes(try_propose(case)) == {"assessment_missing", "best_interest_missing"}
    case.obligation()
    assert codes(try_propose(case)) == {"best_interest_missing"}
    case.best_interest(child)
    done(try_propose(case))


def test_eligibility_is_that_of_whom_the_need_is_for(case):
    child = case.child()
    case.need("food", person=child).submit().review().certify().eligible().obligation().best_interest(child)
    assert codes(try_propose(case)) == {"eligibility_missing"}


def test_best_interest_of_one_child_does_not_stand_for_another(case):
    one, other = case.child(), case.child()
    case.need("food", person=one).need("shoes", person=other).submit().review().certify().obligation()
    case.eligible(person=one).eligible(person=other).best_interest(one)
    assert codes(try_propose(case)) == {"best_interest_missing"}
    done(try_propose(case, "food"))


def test_only_named_needs_are_looked_at(case):
    case.need("food").need("computer").submit().review().certify("food").eligible().obligation("not_obliged", "food")
    assert codes(try_propose(case)) == {"certification_missing", "assessment_missing"}
    assert done(try_propose(case, "food"))["state"] == "under_review"


def test_food_does_not_wait_for_rehabilitation(case):
    case.need("food").need("rehabilitation").submit().review().certify().eligible().obligation("not_obliged", "food")
    case.propose("food")
    case.decide(case.line("food"))
    told = case.read()
    assert told["state"] == "under_review"
    assert {need["category_code"]: need["status"] for need in told["needs"]} == {"food": "granted", "rehabilitation": "open"}
    case.obligation("not_obliged", "rehabilitation").propose("rehabilitation")
    case.decide(case.line("rehabilitation"))
    assert case.read()["state"] == "decided"


def test_need_is_proposed_once(case):
    case.need("food").need("computer").submit().review().certify().eligible().obligation()
    case.propose("food")
    assert codes(try_propose(case, "food")) == {"need_not_open"}


def test_case_is_ready_when_no_need_is_open(case):
    case.need("food").need("computer").submit().review().certify().eligible().obligation()
    case.propose("food")
    assert case.read()["state"] == "under_review"
    case.propose("computer")
    assert case.read()["state"] == "ready_for_decision"


def test_need_is_named_once_in_a_proposal(case):
    case.need("food").submit().review().certify().eligible().obligation()
    answer = try_propose(case, "food", "food")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/lines/1/need_id"
    assert answer.json()["errors"][0]["code"] == "need_repeated"


def test_need_of_another_case_is_not_proposed(service, case):
    stranger = Case(service).need("food")
    case.need("food").submit().review().certify().eligible().obligation()
    body = {"lines": [{"need_id": stranger.needs["food"], "outcome": "refused"}]}
    answer = attempt(case, case.worker, "propose", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0] | {"detail": ""} == {"pointer": "/lines/0/need_id", "code": "reference_unknown", "detail": ""}


@pytest.mark.parametrize("line", [{"outcome": "granted"}, {"outcome": "granted", "amount_ore": None},
                                  {"outcome": "refused", "amount_ore": 100}, {"outcome": "referred", "amount_ore": 100}])
def test_amount_follows_outcome(case, line):
    case.need("food").submit().review().certify().eligible().obligation()
    answer = attempt(case, case.worker, "propose", {"lines": [line | {"need_id": case.needs["food"]}]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "amount_follows_outcome"


def test_expired_certification_certifies_nothing(case):
    case.need("food").submit().review().eligible().obligation()
    case.certify(certified_on="2026-01-01", expires_on="2026-01-31")
    assert case.read()["needs"][0]["certified_until"] is None
    assert codes(try_propose(case)) == {"certification_missing"}


def test_another_certification_stands_in_for_a_revoked_one(case):
    case.need("food").submit().review().eligible().obligation().certify().certify()
    first = done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]
    done(case.partner.post(f"/certifications/{first}/revoke", json={"reason_code": "mistaken"}, headers=keyed()))
    done(try_propose(case))


# What waits for a decision ----------------------------------------------------------------------------------------------------


def test_revocation_stops_what_waits_for_a_decision(case):
    case.ready("glasses")
    first = done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]
    done(case.partner.post(f"/certifications/{first}/revoke", json={"reason_code": "circumstances_changed"}, headers=keyed()))
    assert "certification_missing" in codes(case.try_decide())
    case.certify()
    case.decide()


def test_expiry_stops_what_waits_for_a_decision(service, case):
    case.ready("glasses")
    service.sql("UPDATE certifications SET certified_on = certified_on - 200, expires_on = today() - 1 WHERE application_id = %s", case.id)
    assert "certification_missing" in codes(case.try_decide())


def test_return_needs_something_proposed(case):
    case.need("food").submit().review()
    assert codes(attempt(case, case.decider, "return", MESSAGE)) == {"need_not_proposed"}


def test_returned_needs_are_open_again(case):
    case.ready("glasses", "computer")
    told = case.act(case.decider, "return", MESSAGE)
    assert told["state"] == "under_review"
    assert {need["status"] for need in told["needs"]} == {"open"}
    assert done(case.worker.get(case.path("proposals")))["proposals"][0]["returned_at"]
    case.propose()
    case.decide()


def test_return_says_why(case):
    case.ready("glasses")
    assert attempt(case, case.decider, "return").status_code == 422


# Children ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member,concerned", [({"birth_date": "1990-03-01"}, False), ({}, True), ({"birth_date": "2024-03-01"}, True)])
def test_who_is_a_child_counts_when_the_case_comes_in(case, member, concerned):
    person = done(case.partner.post("/children", json={"alias": "Barn", "protection": "none"} | member, headers=keyed()), 201)
    case.need("food", person=person["id"]).submit()
    assert case.read()["needs"][0]["concerns_child"] is concerned


def test_young_applicant_is_a_child_too(service):
    case = Case(service, birth_date="2015-01-01").need("food").submit().review().certify().eligible().obligation()
    assert codes(try_propose(case)) == {"best_interest_missing"}


def test_need_that_is_added_later_concerns_a_child_as_well(case):
    case.need("food").submit()
    case.need("shoes", person=case.child())
    told = {need["category_code"]: need["concerns_child"] for need in case.read()["needs"]}
    assert told == {"food": False, "shoes": True}


def test_birth_date_reaches_no_table(service, case):
    case.need("food", person=case.child(birth_date="2017-09-13")).submit()
    held = service.sql("SELECT string_agg(t::text, '') FROM (SELECT n::text FROM needs n UNION ALL SELECT a::text"
                       " FROM applications a UNION ALL SELECT p::text FROM persons p) AS t (t)")[0][0]
    assert "2017-09-13" not in held


def change_birth_date(case, birth_date, person=None, kind="applicants"):
    path = f"/{kind}/{person or case.person}"
    tag = case.partner.get(path).headers["ETag"]
    done(case.partner.patch(path, json={"birth_date": birth_date}, headers=keyed(**{"If-Match": tag})))


def concerned(case):
    return [need["concerns_child"] for need in case.read()["needs"]]


def test_birth_date_that_is_corrected_settles_who_is_a_child_anew(case):
    case.ready("glasses")
    tag = case.tag(case.decider)
    change_birth_date(case, "2015-01-01")
    assert concerned(case) == [True]
    assert case.try_decide(tag=tag).status_code == 412  # who was about to decide looks again
    assert codes(case.try_decide()) == {"best_interest_missing"}
    change_birth_date(case, "1990-01-01")
    assert concerned(case) == [False]
    case.decide()


def test_correcting_another_member_settles_nothing(case):
    case.ready("glasses")
    version = case.read()["version"]
    path = "/applicants/" + case.person
    tag = case.partner.get(path).headers["ETag"]
    done(case.partner.patch(path, json={"notes": "Föredrar telefon."}, headers=keyed(**{"If-Match": tag})))
    assert concerned(case) == [False] and case.read()["version"] == version


def test_decided_need_is_settled_too_since_it_may_be_reconsidered(case):
    case.ready("glasses").decide()
    change_birth_date(case, "2015-01-01")
    done(case.reconsider("glasses"))
    assert codes(try_propose(case)) == {"best_interest_missing"}


def test_child_whose_birth_date_goes_is_a_child(case):
    grown = case.child(birth_date="1999-01-01")
    case.need("glasses", grown).submit()
    assert concerned(case) == [False]
    change_birth_date(case, None, grown, "children")
    assert concerned(case) == [True]


def test_who_is_a_child_counts_on_the_day_the_case_came_in(case, service):
    """Not on the day of the correction."""
    case.need("glasses").submit()
    service.sql("UPDATE applications SET submitted_on = '2020-06-01' WHERE id = %s", case.id)
    change_birth_date(case, "2002-06-02")
    assert concerned(case) == [True]
    change_birth_date(case, "2002-06-01")
    assert concerned(case) == [False]
