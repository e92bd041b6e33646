"""A promise moves to other accounts when two agree, whole, and only where the new accounts may pay."""

import concurrent.futures

import pytest

from casework import Case, codes, done, keyed
from test_granting import GENERAL, account, held, project, source


@pytest.fixture(autouse=True)
def ledger_is_sound(service):
    yield
    assert service.sql("SELECT * FROM ledger_faults()") == []


@pytest.fixture
def promised(service):
    """A case, its decision, and the account of a project whose time is over since."""
    of_project, made = project(service)
    case = Case(service).ready("glasses")
    decision = case.decide(case.line("glasses", sources=[source(of_project)]))
    service.sql("UPDATE projects SET ends_on = '2026-11-01' WHERE id = %s", made)
    return case, decision, of_project


def ask(promised, *sources, client=None):
    case, decision, _ = promised
    body = {"sources": [source(*s) for s in sources or [(GENERAL,)]], "reason_code": "project_ended"}
    return (client or case.decider).post(f"/decision-lines/{decision['lines'][0]['id']}/refinancings", json=body, headers=keyed())


def approve(service, refinancing, role="fund_manager", tag=None):
    client, path = service.as_(role), "/refinancings/" + refinancing["id"]
    return client.post(path + "/approve", headers=keyed(**{"If-Match": tag or client.get(path).headers.get("ETag", '"1.00000000"')}))


@pytest.mark.parametrize("role", ["fund_manager", "decision_maker_2"])
def test_another_person_moves_the_promise(service, promised, role):
    case, decision, of_project = promised
    posted, reserved = account(service, GENERAL)
    asked = done(ask(promised), 201)
    assert (asked["status"], asked["amount_ore"], asked["line_id"]) == ("requested", 50_000, decision["lines"][0]["id"])
    assert codes(approve(service, asked, "decision_maker")) == {"four_eyes_required"}
    assert held(case, decision) == {of_project: (50_000, 0)}
    moved = done(approve(service, asked, role))
    assert moved["status"] == "approved"
    assert held(case, decision) == {of_project: (0, 0), GENERAL: (50_000, 0)}
    assert account(service, GENERAL) == (posted, reserved + 50_000) and account(service, of_project)[1] == 0


def test_fund_manager_does_not_see_whose_line_it_is(service, promised):
    asked = done(ask(promised), 201)
    told = service.as_("fund_manager").get("/refinancings/" + asked["id"])
    assert told.status_code == 200 and told.json()["line_id"] is None and told.json()["application_id"] is None
    assert promised[0].id not in service.as_("fund_manager").get("/refinancings").text


def test_protected_case_is_told_to_its_list_alone(service, promised):
    case, _, _ = promised
    asked = done(ask(promised), 201)
    service.sql("UPDATE persons SET protection = 'sekretessmarkering' WHERE id = %s", case.person)
    service.sql("DELETE FROM access_list WHERE person_id = %s", case.person)
    assert service.as_("decision_maker").get("/refinancings/" + asked["id"]).status_code == 404
    assert approve(service, asked, "decision_maker_2").status_code == 404


@pytest.mark.parametrize("role", ["case_worker", "fund_manager", "project_manager", "partner"])
def test_only_decision_makers_ask(service, promised, role):
    assert ask(promised, client=service.as_(role, "handl-1" if role == "partner" else None)).status_code == 403


def test_all_of_it_moves(promised):
    answer = ask(promised, (GENERAL, 49_999))
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "sources_are_not_the_amount"


def test_new_accounts_are_asked_as_by_a_decision(service, promised):
    poor, _ = project(service, 49_999, target_groups=["children"])
    assert codes(ask(promised, (poor,))) == {"insufficient_funds", "outside_target_group"}


def test_new_accounts_are_asked_again_when_it_is_approved(service, promised):
    other, made = project(service, 50_000)
    asked = done(ask(promised, (other,)), 201)
    service.sql("UPDATE projects SET closed_on = '2026-11-01' WHERE id = %s", made)
    assert codes(approve(service, asked)) == {"project_closed"}
    service.sql("UPDATE projects SET closed_on = NULL WHERE id = %s", made)
    case = Case(service).ready("food")
    case.decide(case.line("food", sources=[source(other)]))
    assert codes(approve(service, asked)) == {"insufficient_funds"}


def test_line_that_was_superseded_is_not_moved(service, promised):
    case, _, _ = promised
    asked = done(ask(promised), 201)
    done(case.reconsider("glasses", client=case.other_decider))
    case.obligation("not_obliged", "glasses").propose("glasses")
    case.decide(case.line("glasses", "refused"))
    assert codes(approve(service, asked)) == {"nothing_to_refinance"}
    assert codes(ask(promised)) == {"nothing_to_refinance"}
    told = done(case.decider.get("/refinancings/" + asked["id"]))
    assert told["status"] == "cancelled" and told["cancelled_at"] and told["approved_at"] is None


def test_request_ends_with_the_case(service, promised):
    case, _, _ = promised
    asked = done(ask(promised), 201)
    case.act(case.worker, "close")
    assert done(case.decider.get("/refinancings/" + asked["id"]))["status"] == "cancelled"
    assert codes(approve(service, asked)) == {"nothing_to_refinance"}


def test_many_who_approve_at_once_move_it_once(service, promised):
    posted, reserved = account(service, GENERAL)
    asked = done(ask(promised), 201)
    tag = service.as_("fund_manager").get("/refinancings/" + asked["id"]).headers["ETag"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(a.status_code for a in pool.map(lambda _: approve(service, asked, tag=tag), range(8)))
    assert statuses == [200] + [412] * 7
    assert account(service, GENERAL) == (posted, reserved + 50_000)
