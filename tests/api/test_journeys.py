"""Cases walked from beginning to end, as they happen."""

import pytest

from casework import Case, codes, done, keyed, principal

MESSAGE = {"message": "Text."}


@pytest.fixture
def partner(service):
    return service.as_("partner", "handl-1")


def registered(case_service, told):
    """A case of an application that a registration made."""
    case = Case.__new__(Case)
    case.service = case_service
    case.partner = case_service.as_("partner", "handl-1")
    case.worker = case_service.as_("case_worker")
    case.decider = case_service.as_("decision_maker")
    case.other_decider = case_service.as_("decision_maker_2")
    case.triage = case_service.as_("triage")
    case.id, case.person = told["application_id"], told["person_id"]
    case.needs = {}
    for need in done(case.partner.get(case.path("needs")))["needs"]:
        case.needs[need["category_code"]] = need["id"]
    return case


def test_mother_with_three_children_of_whom_one_is_grown(service, partner):
    """Each person is assessed, and the best interests of the two who are children; the eldest speaks for herself."""
    body = {
        "person": {"alias": "Mira", "protection": "none", "birth_date": "1984-05-05"},
        "children": [{"alias": "Äldst", "protection": "none", "birth_date": "2005-02-01"},
                     {"alias": "Mellan", "protection": "none", "birth_date": "2014-08-20"},
                     {"alias": "Yngst", "protection": "none", "birth_date": "2021-11-30"}],
        "application": {"summary": "Mor med tre barn, alla exploaterade i Sverige."},
        "needs": [{"for": "person", "category_code": "food"}, {"for": "child:0", "category_code": "education"},
                  {"for": "child:1", "category_code": "glasses"}, {"for": "child:2", "category_code": "pram"}],
        "certification": {"statement": "Jag känner familjen."},
    }
    told = done(partner.post("/registrations", json=body, headers=keyed()), 201)
    case = registered(service, told).review()
    eldest, middle, youngest = told["child_ids"]
    case.eligible()
    for child in told["child_ids"]:
        case.eligible("second_generation", person=child)
    case.obligation()
    lines = [case.line(name) for name in case.needs]
    stopped = case.worker.post(case.path("propose"), json={"lines": lines}, headers=keyed())
    assert codes(stopped) == {"best_interest_missing"}
    case.best_interest(middle).best_interest(youngest).propose()
    assert case.read()["state"] == "ready_for_decision"
    case.decide()
    assert {need["status"] for need in case.read()["needs"]} == {"granted"}
    assert case.act(case.worker, "close")["state"] == "closed"


def test_person_without_any_identity(service, partner):
    """An alias is enough, and not even that is needed."""
    body = {"person": {"protection": "none"}, "application": {}, "needs": [{"for": "person", "category_code": "food"}],
            "certification": {}}
    case = registered(service, done(partner.post("/registrations", json=body, headers=keyed()), 201))
    case.review().eligible().obligation().propose()
    case.decide()
    assert case.read(case.partner)["state"] == "decided"


def test_child_whose_parent_is_dead_and_who_has_no_applicant(service, partner):
    """The child's own application; the parent is a fact of a relation, not a person on record."""
    child = done(partner.post("/children", json={"alias": "Sol", "protection": "none", "birth_date": "2016-04-04"}, headers=keyed()), 201)
    relation = {"person_id": child["id"], "kind": "parent", "deceased": True}
    done(partner.post("/relations", json=relation, headers=keyed()), 201)
    case = Case(service)
    case.person = child["id"]
    case.id = done(partner.post("/applications", json={"person_id": child["id"]}, headers=keyed()), 201)["id"]
    guardian = {"mandate_code": "god_man", "name": "Gun Modig"}
    ombud = case.act(partner, "representatives", guardian, 201)
    case.need("glasses").submit().review()
    case.certify(representative_id=ombud["id"])
    case.eligible("second_generation").obligation().best_interest(child["id"]).propose()
    case.decide()
    told = case.read(partner)
    assert (told["state"], told["needs"][0]["concerns_child"]) == ("decided", True)


def test_case_is_returned_asked_about_and_decided(service):
    case = Case(service).ready("glasses")
    case.act(case.decider, "return", {"message": "Vad säger regionen?"})
    case.act(case.worker, "request-information", {"message": "Har regionen svarat?"})
    assert codes(case.try_decide()) == {"invalid_transition"}
    case.act(case.partner, "answer-information", {"message": "Ja, avslag."})
    case.obligation("refused").propose()
    case.decide()
    steps = [step["action"] for step in done(case.worker.get(case.path("steps")))["steps"]]
    assert steps == ["submit", "assign", "start-review", "propose", "return", "request-information", "answer-information",
                     "propose", "decisions"]


def test_case_is_dismissed_since_she_left_and_what_was_granted_stands(service):
    case = Case(service).need("food").need("education").submit().review().certify().eligible().obligation()
    case.propose("food")
    case.decide(case.line("food"))
    told = case.act(case.worker, "dismiss", {"reason_code": "left_country", "message": "Hon har rest hem."})
    assert (told["state"], told["dismissal_reason_code"]) == ("dismissed", "left_country")
    assert {need["category_code"]: need["status"] for need in told["needs"]} == {"food": "granted", "education": "lapsed"}
    assert not [action for action in case.read(case.partner)["actions"] if action["allowed"]]


def test_dismissal_has_a_known_reason(service):
    case = Case(service).need("food").submit()
    answer = case.worker.post(case.path("dismiss"), json={"reason_code": "because"}, headers=keyed())
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "code_unknown")


def test_certification_runs_out_while_the_case_waits_and_is_given_anew(service):
    case = Case(service).ready("glasses")
    service.sql("UPDATE certifications SET certified_on = certified_on - 200, expires_on = today() - 1 WHERE application_id = %s", case.id)
    assert "certification_missing" in codes(case.try_decide())
    assert case.read()["needs"][0]["certified_until"] is None
    case.certify()
    case.decide()
    assert case.read()["state"] == "decided"


def test_ombud_takes_back_what_she_certified(service):
    case = Case(service).ready("glasses")
    first = done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]
    done(case.partner.post(f"/certifications/{first}/revoke", json={"reason_code": "withdrawn"}, headers=keyed()))
    assert "certification_missing" in codes(case.try_decide())
    case.act(case.decider, "return", {"message": "Intyget är återkallat."})
    assert case.act(case.partner, "withdraw", {"message": "Behovet finns inte längre."})["state"] == "withdrawn"


def test_partner_asks_for_reconsideration(service):
    case = Case(service).ready("glasses")
    case.decide(case.line("glasses", "refused"))
    case.act(case.worker, "close")
    told = case.act(case.partner, "request-reconsideration", {"message": "Synen är sämre."})
    assert (told["state"], told["reconsideration_requested_at"] is not None) == ("closed", True)


def test_protected_case_is_worked_with_by_those_on_the_list(service):
    """Triage sees it at once; the case worker when it is assigned; nobody else, ever."""
    case = Case(service, protection="sekretessmarkering")
    child = case.child(protection="unknown")
    case.need("food").need("shoes", person=child).submit()
    stranger = service.as_("case_worker_2")
    for client in (case.worker, stranger, case.decider):
        assert client.get(case.path()).status_code == 404
        assert case.id not in [a["id"] for a in done(client.get("/applications", params={"limit": 100}))["applications"]]
    case.act(case.triage, "assign", {"assigned_to": principal(case.worker)})
    assert case.read()["state"] == "submitted"
    assert len(case.read()["needs"]) == 2
    assert stranger.get(case.path()).status_code == 404
    assert stranger.post(case.path("start-review"), json={}, headers=keyed()).status_code == 404
    case.act(case.worker, "start-review")
    case.certify().eligible().eligible("second_generation", person=child).obligation().best_interest(child).propose()
    case.act(case.triage, "assign", {"assigned_to": principal(case.decider)})
    case.decide()
    assert case.read()["state"] == "decided"


def test_case_becomes_protected_and_vanishes_for_others(service):
    case = Case(service).need("food").submit().review()
    person = "/applicants/" + case.person
    assert case.worker.get(case.path()).status_code == 200
    tag = case.partner.get(person).headers["ETag"]
    done(case.partner.patch(person, json={"protection": "fingerade_personuppgifter"}, headers=keyed(**{"If-Match": tag})))
    for path in (case.path(), case.path("needs"), "/needs/" + case.needs["food"]):
        assert case.worker.get(path).status_code == 404, path
    assert case.partner.get(case.path()).status_code == 200
    assert case.triage.get(case.path()).status_code == 200


def test_case_of_a_hidden_child_is_worked_with_by_those_on_her_list(service):
    """The mother is not protected, the child is: the case is the child's too, and there for nobody else."""
    case = Case(service)
    hidden = case.child(protection="sekretessmarkering")
    case.need("food").need("shoes", person=hidden).submit()
    for need in case.needs.values():
        assert case.worker.get("/needs/" + need).status_code == 404
    assert case.worker.get(case.path()).status_code == 404
    case.review().certify().eligible().eligible("second_generation", person=hidden).obligation().best_interest(hidden).propose()
    case.act(case.triage, "assign", {"assigned_to": principal(case.decider)})
    case.decide()
    assert case.read()["state"] == "decided"
    assert case.other_decider.get(case.path()).status_code == 404


def test_every_reading_is_in_the_log_before_it_is_answered(service):
    case = Case(service).need("food").submit()
    case.worker.get(case.path(), headers={"X-Purpose": "supervision"})
    trail = service.sql("SELECT operation, purpose, outcome FROM audit_events WHERE %s::uuid = ANY (record_ids)"
                        " ORDER BY occurred_at DESC LIMIT 1", case.id)
    assert trail == [("readApplication", "supervision", "ok")]
    stranger = service.as_("partner_other", "handl-9")
    assert stranger.get(case.path()).status_code == 404
    tried = service.sql("SELECT outcome FROM audit_events WHERE %s::uuid = ANY (record_ids) AND principal_id = %s",
                        case.id, principal(stranger))
    assert tried in ([("not_found",)], [("refused",)])
