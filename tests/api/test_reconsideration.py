"""A wrong decision is reconsidered: nothing is edited, the new decision supersedes the old."""

import pytest

from casework import Case, codes, done, keyed, principal


@pytest.fixture
def case(service):
    return Case(service)


def test_a_wrong_refusal_becomes_a_grant(case):
    case.ready("glasses")
    wrong = case.decide(case.line("glasses", "refused"))
    case.act(case.partner, "request-reconsideration", {"message": "Regionen har nu sagt nej skriftligen."})
    assert case.read()["reconsideration_requested_at"]

    application = done(case.reconsider("glasses"))
    assert application["state"] == "under_review" and application["reconsideration_requested_at"] is None
    assert application["needs"][0]["status"] == "open"
    standing = done(case.partner.get("/decisions/" + wrong["id"]))
    assert standing["lines"][0]["superseded_by"] is None  # stands until it is superseded

    case.obligation("refused").propose()
    right = case.decide()
    old = done(case.partner.get("/decisions/" + wrong["id"]))
    assert old["lines"][0]["superseded_by"] == right["lines"][0]["id"]
    assert old["lines"][0]["outcome"] == "refused" and old["version"] == wrong["version"] + 1
    assert case.read()["state"] == "decided" and case.read()["needs"][0]["status"] == "granted"


def test_a_closed_application_is_reconsidered(case):
    case.ready("glasses").decide()
    case.act(case.worker, "close")
    assert done(case.reconsider("glasses"))["state"] == "under_review"


def test_named_needs_only_are_opened(case):
    case.ready("food", "glasses").decide()
    application = done(case.reconsider("glasses"))
    assert {n["category_code"]: n["status"] for n in application["needs"]} == {"food": "granted", "glasses": "open"}


def test_reconsidering_a_grant_is_no_double_grant(case):
    case.ready("glasses").decide()
    done(case.reconsider("glasses"))
    case.propose("glasses").decide(case.line("glasses", amount_ore=40_000))


def test_an_undecided_application_is_not_reconsidered(case):
    case.ready("glasses")
    assert codes(case.reconsider("glasses")) == {"invalid_transition"}


def test_lapsed_need_is_not_reconsidered(case):
    case.ready("food", "glasses").decide(case.line("food"))
    case.act(case.worker, "dismiss", {"reason_code": "lapsed"})
    assert codes(case.reconsider("food")) == {"invalid_transition"}


def test_need_of_another_application_is_unknown(service, case):
    case.ready("glasses").decide()
    stranger = Case(service).ready("glasses")
    case.needs = stranger.needs
    answer = case.reconsider("glasses")
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/need_ids/0"


@pytest.mark.parametrize("role", ["partner", "case_worker", "triage"])
def test_only_a_decision_maker_reconsiders(service, case, role):
    case.ready("glasses").decide()
    client = service.as_(role, "handl-1" if role == "partner" else None)
    assert case.reconsider("glasses", client=client).status_code == 403


def test_why_is_kept_with_the_steps(case):
    case.ready("glasses").decide()
    done(case.reconsider("glasses"))
    steps = done(case.worker.get(case.path("steps"), params={"limit": 100}))["steps"]
    step = next(s for s in steps if s["action"] == "reconsider")
    assert step["message"] == "Beslutet byggde på fel uppgift."
    assert case.service.sql("SELECT need_id::text FROM reconsidered_needs WHERE step_id = %s", step["id"]) == [(case.needs["glasses"],)]


def test_withdrawn_while_reconsidered_keeps_what_stands(case):
    case.ready("glasses").decide()
    done(case.reconsider("glasses"))
    case.act(case.partner, "withdraw")
    assert case.read()["needs"][0]["status"] == "granted"


def test_four_eyes_hold_again(service, case):
    """Whoever decided wrongly may decide again, but whoever prepares the reconsideration may not."""
    case.ready("glasses").decide(case.line("glasses", "refused"))
    done(case.reconsider("glasses"))
    both = service.as_("case_worker_2")
    service.sql("UPDATE principals SET roles = '{case_worker,decision_maker}' WHERE id = %s", principal(both))
    both.asked = None
    case.propose("glasses", worker=both)
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}
    case.decide()


def both_roles(service, client):
    service.sql("UPDATE principals SET roles = '{case_worker,decision_maker}' WHERE id = %s", principal(client))
    client.asked = None  # a new token
    return client


def test_whoever_proposed_does_not_reconsider(service, case):
    """Else she could have her own proposal tried until somebody grants it."""
    both = both_roles(service, service.as_("case_worker_2"))
    case.need("glasses").need("food").submit().review().certify().eligible().obligation()
    case.propose("glasses").propose("food", worker=both).decide(case.line("glasses", "refused"), case.line("food", "refused"))

    def told():
        return next(a for a in case.read(both)["actions"] if a["name"] == "reconsider")

    assert told()["allowed"]
    assert codes(case.reconsider("food", client=both)) == {"four_eyes_required"}
    done(case.reconsider("glasses", client=both))
    case.propose("glasses").decide(case.line("glasses", "refused"))
    alone = Case(service).need("food").submit().review().certify().eligible().obligation().propose("food", worker=both)
    alone.decide()
    blocked = next(a for a in alone.read(both)["actions"] if a["name"] == "reconsider")
    assert blocked["blocked_by"] == ["four_eyes_required"]
    done(alone.reconsider("food"))


def test_need_that_is_reconsidered_keeps_what_it_asks(case):
    case.ready("glasses").decide()
    done(case.reconsider("glasses"))
    path = "/needs/" + case.needs["glasses"]
    tag = case.partner.get(path).headers["ETag"]
    answer = case.partner.patch(path, json={"category_code": "housing"}, headers=keyed(**{"If-Match": tag}))
    assert codes(answer) == {"decision_stands"}
