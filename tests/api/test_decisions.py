"""Decisions: every gate by its code, four eyes in each of its halves, advances, double grants and exceptions."""

import threading

import pytest

from accounts import machine
from casework import REASON, Case, codes, done, keyed, principal
from people import personnummer


@pytest.fixture
def case(service):
    return Case(service)


def exception(code):
    return {"exceptions": [{"code": code, "reason": "Särskilda skäl, se journalen."}]}


def give_role(service, client, *roles):
    service.sql("UPDATE principals SET roles = %s WHERE id = %s", list(roles), principal(client))
    client.asked = None  # a new token


@pytest.fixture
def both(service):
    """A user who is case worker and decision maker in one."""
    client = service.as_("case_worker_2")
    give_role(service, client, "case_worker", "decision_maker")
    yield client
    give_role(service, client, "case_worker")


def test_a_proposed_need_is_granted(case):
    decision = case.ready("glasses").decide()
    assert decision["kind"] == "decision" and decision["version"] == 1
    assert decision["reasoning"] == REASON
    assert decision["lines"][0] | {"id": None} == {
        "id": None, "need_id": case.needs["glasses"], "category_code": "glasses", "outcome": "granted",
        "amount_ore": 50_000, "as_advance": False, "superseded_by": None}
    assert decision["decided_by"] == principal(case.decider)
    application = case.read()
    assert application["state"] == "decided"
    assert application["needs"][0]["status"] == "granted"


@pytest.mark.parametrize("outcome", ["granted", "partly_granted", "refused", "referred"])
def test_need_takes_the_outcome(case, outcome):
    case.ready("glasses").decide(case.line("glasses", outcome))
    assert case.read()["needs"][0]["status"] == outcome


def test_answer_has_location_and_etag(case):
    answer = case.ready("glasses").try_decide()
    decision = done(answer, 201)
    assert answer.headers["Location"].endswith("/v1/decisions/" + decision["id"])
    assert answer.headers["ETag"].startswith('"1.')
    assert done(case.decider.get("/decisions/" + decision["id"])) == decision


def test_partner_reads_the_decision(case):
    decision = case.ready("glasses").decide()
    assert done(case.partner.get("/decisions/" + decision["id"])) == decision
    assert [d["id"] for d in done(case.partner.get(case.path("decisions")))["decisions"]] == [decision["id"]]
    assert decision["id"] in [d["id"] for d in done(case.partner.get("/decisions"))["decisions"]]


def test_another_agency_sees_no_decision(service, case):
    decision = case.ready("glasses").decide()
    other = service.as_("partner_other", "handl-9")
    assert other.get("/decisions/" + decision["id"]).status_code == 404
    assert other.get(case.path("decisions")).status_code == 404
    assert decision["id"] not in other.get("/decisions").text


@pytest.mark.parametrize("role", ["partner", "intake", "case_worker", "triage", "fund_manager", "project_manager", "auditor", "admin"])
def test_only_a_decision_maker_decides(service, case, role):
    case.ready("glasses")
    body = {"reasoning": REASON, "lines": [case.line("glasses")]}
    answer = service.as_(role, "handl-1" if role == "partner" else None).post(
        case.path("decisions"), json=body, headers=keyed(**{"If-Match": case.tag()}))
    assert answer.status_code == 403
    assert case.read()["needs"][0]["status"] == "proposed"


def test_if_match_is_required(case):
    case.ready("glasses")
    body = {"reasoning": REASON, "lines": [case.line("glasses")]}
    assert case.decider.post(case.path("decisions"), json=body, headers=keyed()).status_code == 428


def test_stale_version_is_refused(case):
    tag = case.ready("glasses").tag()
    case.certify()
    assert case.try_decide(tag=tag).status_code == 412


def test_two_decisions_at_once_give_one(case):
    case.ready("glasses")
    tag, answers = case.tag(case.decider), []
    case.tag(case.other_decider)
    clients = [case.decider, case.other_decider]
    threads = [threading.Thread(target=lambda c=c: answers.append(case.try_decide(client=c, tag=tag).status_code))
               for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 412]


def test_other_needs_are_left_alone(case):
    case.need("food").need("rehabilitation").submit().review().certify().eligible().obligation().propose("food")
    case.decide(case.line("food"))
    application = case.read()
    assert application["state"] == "under_review"
    assert {n["category_code"]: n["status"] for n in application["needs"]} == {"food": "granted", "rehabilitation": "open"}


def test_application_waits_for_what_is_still_proposed(case):
    case.ready("food", "glasses").decide(case.line("food"))
    assert case.read()["state"] == "ready_for_decision"
    case.decide(case.line("glasses", "refused"))
    assert case.read()["state"] == "decided"


# Gates -----------------------------------------------------------------------------------------------------------

def test_a_draft_cannot_be_decided(case):
    case.need("glasses")
    assert codes(case.try_decide(tag=case.tag(case.partner))) == {"invalid_transition"}


def test_need_must_be_proposed_and_every_failed_gate_is_told(case):
    case.need("glasses").submit().review()
    assert codes(case.try_decide()) == {"need_not_proposed", "eligibility_missing", "certification_missing",
                                        "assessment_missing"}


def test_certification_revoked_since_stops(case):
    case.ready("glasses")
    case.service.sql("UPDATE certifications SET revoked_at = now(), revocation_reason_code = 'withdrawn' WHERE application_id = %s", case.id)
    assert codes(case.try_decide()) == {"certification_missing"}


def test_certification_expired_since_stops(case):
    case.ready("glasses")
    case.service.sql("UPDATE certifications SET certified_on = current_date - 9, expires_on = current_date - 2 WHERE application_id = %s", case.id)
    assert codes(case.try_decide()) == {"certification_missing"}


def test_assessment_pending_again_stops(case):
    case.ready("glasses").obligation("pending")
    assert codes(case.try_decide()) == {"assessment_missing"}


def test_child_needs_best_interest_assessment(case):
    child = case.child()
    case.need("glasses", child).submit().review().certify().eligible("second_generation", child).obligation()
    case.best_interest(child).propose()
    with case.service.connect() as connection:
        connection.execute("ALTER TABLE best_interest_assessments DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM best_interest_assessments WHERE application_id = %s", [case.id])
        connection.execute("ALTER TABLE best_interest_assessments ENABLE TRIGGER ALL")
    assert codes(case.try_decide()) == {"best_interest_missing"}
    case.best_interest(child)
    case.decide()


def test_unknown_need_is_named(service, case):
    case.ready("glasses")
    stranger = Case(service).ready("glasses")
    answer = case.try_decide(case.line("glasses"), stranger.line("glasses"))
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/lines/1/need_id", "reference_unknown")]


def test_need_stands_once_in_a_decision(case):
    case.ready("glasses")
    assert case.try_decide(case.line("glasses"), case.line("glasses")).status_code == 422


@pytest.mark.parametrize("line", [{"outcome": "granted"}, {"outcome": "refused", "amount_ore": 100},
                                  {"outcome": "referred", "as_advance": True}])
def test_amount_and_advance_follow_the_outcome(case, line):
    case.ready("glasses")
    answer = case.try_decide({"need_id": case.needs["glasses"]} | line)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/lines"


# Four eyes ---------------------------------------------------------------------------------------------------------

def test_whoever_proposed_does_not_decide(case, both):
    case.need("glasses").submit().review(both).certify().eligible().obligation().propose(worker=both)
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}
    case.decide()


def test_whoever_made_a_proposal_that_was_returned_does_not_decide(case, both):
    case.need("glasses").submit().review(both).certify().eligible().obligation().propose(worker=both)
    case.act(case.other_decider, "return", {"message": "Utred om regionen ersätter."})
    case.propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}
    case.decide()


def test_whoever_assessed_obligation_does_not_decide(case, both):
    case.need("glasses").submit().review().certify().eligible().obligation(worker=both).propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}


def test_whoever_assessed_eligibility_does_not_decide(case, both):
    case.need("glasses").submit().review().certify().eligible(worker=both).obligation().propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}


def test_whoever_assessed_best_interest_does_not_decide(case, both):
    child = case.child()
    case.need("glasses", child).submit().review().certify().eligible("second_generation", child).obligation()
    case.best_interest(child, both).propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}


def test_whoever_recorded_a_certification_does_not_decide(case, both):
    case.need("glasses").submit().review().certify(client=both, evidence="document").eligible().obligation().propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}


def test_an_assessment_that_is_no_longer_the_latest_counts_too(case, both):
    case.need("glasses").submit().review().certify().eligible().obligation(worker=both).obligation().propose()
    assert codes(case.try_decide(client=both)) == {"four_eyes_required"}


def test_more_roles_do_not_hinder_whoever_prepared_nothing(case, both):
    case.ready("glasses").decide(client=both)


def test_preparing_one_need_does_not_bar_from_another(case, both):
    case.need("food").need("glasses").submit().review().certify().eligible()
    case.obligation("not_obliged", "food", worker=both).obligation("not_obliged", "glasses").propose()
    assert codes(case.try_decide(case.line("food"), client=both)) == {"four_eyes_required"}
    case.decide(case.line("glasses"), client=both)


# Eligibility and society's obligation ----------------------------------------------------------------------------------

def test_who_is_not_eligible_is_refused_but_not_granted(case):
    case.ready("glasses").eligible("not_eligible")
    assert codes(case.try_decide()) == {"not_eligible"}
    case.decide(case.line("glasses", "refused"))


def test_eligibility_exception_is_reasoned(case):
    case.ready("glasses").eligible("not_eligible")
    assert case.try_decide(exceptions=[{"code": "eligibility"}]).status_code == 422
    decision = case.decide(**exception("eligibility"))
    assert [(e["code"], e["reason"]) for e in decision["exceptions"]] == [("eligibility", "Särskilda skäl, se journalen.")]


def test_what_society_is_obliged_to_give_is_not_granted(case):
    case.ready("glasses").obligation("obliged")
    assert codes(case.try_decide()) == {"society_obliged"}
    case.decide(case.line("glasses", "referred"))


def test_what_society_is_obliged_to_give_may_be_advanced(case):
    case.ready("glasses").obligation("obliged")
    assert case.decide(case.line("glasses", as_advance=True))["lines"][0]["as_advance"] is True


def test_a_later_assessment_lifts_the_obligation(case):
    case.ready("glasses").obligation("obliged").obligation("refused").decide()


# What was proposed, and asked for ---------------------------------------------------------------------------------------


def asked(case, requested_ore, outcome="granted", amount_ore=None):
    """Glasses asked for at a price, and proposed."""
    body = {"person_id": case.person, "category_code": "glasses", "requested_ore": requested_ore, "description": "Glasögon."}
    case.needs["glasses"] = done(case.partner.post(case.path("needs"), json=body, headers=keyed()), 201)["id"]
    case.submit().review().certify().eligible().obligation()
    answer = case.worker.post(case.path("propose"), headers=keyed(),
                              json={"reasoning": REASON, "lines": [case.line("glasses", outcome, amount_ore)]})
    return answer


def test_no_more_is_granted_than_was_proposed(case):
    done(asked(case, 80_000, "partly_granted", 50_000))
    for outcome in ("granted", "partly_granted"):
        assert codes(case.try_decide(case.line("glasses", outcome, 50_001))) == {"above_proposal"}
    case.decide(case.line("glasses", "partly_granted", 49_999))


@pytest.mark.parametrize("outcome", ["refused", "referred"])
def test_what_is_proposed_for_refusal_is_not_granted(case, outcome):
    done(asked(case, 80_000, outcome))
    assert codes(case.try_decide(case.line("glasses", amount_ore=1))) == {"above_proposal"}
    case.act(case.decider, "return", {"message": "Pröva glasögonen en gång till."})
    case.propose().decide()


def test_returned_proposal_counts_no_more(case):
    done(asked(case, 80_000, "granted", 80_000))
    case.act(case.decider, "return", {"message": "För mycket."})
    case.propose()  # 50 000
    assert codes(case.try_decide(case.line("glasses", amount_ore=80_000))) == {"above_proposal"}


def test_more_than_was_asked_for_is_proposed_first(case):
    done(asked(case, 80_000, "granted", 90_000))
    case.decide(case.line("glasses", amount_ore=90_000))


def test_a_part_is_less_than_the_whole(case):
    assert codes(asked(case, 50_000, "partly_granted", 50_000)) == {"not_in_part"}
    case.propose()
    assert codes(case.try_decide(case.line("glasses", "partly_granted", 50_000))) == {"not_in_part"}
    case.decide(case.line("glasses", "partly_granted", 49_999))


# People prepare ----------------------------------------------------------------------------------------------------------


def test_machine_of_the_charity_prepares_nothing(service, case):
    """Else a decision could pass whose preparation no natural person ever saw."""
    _, client = machine(service, ["case_worker"])
    child = case.child()
    case.need("glasses", child).submit().review()
    need = case.needs["glasses"]
    tried = {
        "certifications": {"need_ids": [need], "statement": "Intyg.", "evidence": "document"},
        "obligation-assessments": {"need_id": need, "body_code": "municipal_social_services", "outcome": "not_obliged"},
        "best-interest-assessments": {"person_id": child, "child_heard": "in_person", "outcome": "supports", "considerations": "Bra."},
    }
    for action, body in tried.items():
        assert codes(client.post(case.path(action), json=body, headers=keyed())) == {"natural_person_required"}
    assessment = {"person_id": child, "outcome": "direct", "exploited_in_sweden": True, "reason": REASON}
    assert codes(client.post("/eligibility-assessments", json=assessment, headers=keyed())) == {"natural_person_required"}
    case.certify().eligible(person=child).obligation().best_interest(child)
    lines = [{"need_id": need, "outcome": "refused"}]
    assert codes(client.post(case.path("propose"), json={"reasoning": REASON, "lines": lines}, headers=keyed())) == {"natural_person_required"}
    told = {action["name"]: action["blocked_by"] for action in case.read(client)["actions"]}
    assert all("natural_person_required" in told[name] for name in [*tried, "propose"])


# Double grants -----------------------------------------------------------------------------------------------------------

def again(case, *categories):
    """A new application for the same person."""
    second = object.__new__(Case)
    second.__dict__.update(case.__dict__)
    second.id = done(case.partner.post("/applications", json={"person_id": case.person}, headers=keyed()), 201)["id"]
    second.needs = {}
    return second.ready(*categories)


def test_same_person_same_kind_is_stopped(case):
    case.ready("glasses").decide()
    second = again(case, "glasses")
    assert codes(second.try_decide()) == {"possible_double_grant"}
    second.decide(**exception("double_grant"))


def test_another_kind_is_not(case):
    case.ready("glasses").decide()
    again(case, "food").decide()


def test_a_refusal_is_no_grant(case):
    case.ready("glasses").decide(case.line("glasses", "refused"))
    again(case, "glasses").decide()


def test_after_the_set_time_it_may_be_granted_again(case):
    case.ready("glasses").decide()
    with case.service.connect() as connection:
        connection.execute("ALTER TABLE decision_lines DISABLE TRIGGER ALL")
        connection.execute("UPDATE decision_lines SET decided_at = now() - interval '366 days' WHERE application_id = %s", [case.id])
        connection.execute("ALTER TABLE decision_lines ENABLE TRIGGER ALL")
    again(case, "glasses").decide()


def test_same_identity_number_at_another_agency_is_stopped(service):
    number = {"identifiers": [{"kind": "samordningsnummer", "number": "701063-2391"}]}
    Case(service, **number).ready("glasses").decide()
    elsewhere = Case(service, "partner_other", **number).ready("glasses")
    answer = elsewhere.try_decide()
    assert codes(answer) == {"possible_double_grant"}
    assert "701063" not in answer.text


ALIKE = {
    "name and birth date": ({"given_name": "Ádna", "family_name": "Lind", "birth_date": "1991-02-03"},
                            {"given_name": "adna", "family_name": "Berg", "birth_date": "1991-02-03"}),
    "telephone": ({"phone": "070-174 06 91"}, {"phone": "+46701740691"}),
}


@pytest.mark.parametrize("alike", ALIKE)
def test_somebody_alike_at_another_agency_is_stopped(service, alike):
    """Nobody needs a number here: whoever may be the same is asked about, and a reason lets it pass."""
    here, there = ALIKE[alike]
    Case(service, **here).ready("glasses").decide()
    elsewhere = Case(service, "partner_other", **there).ready("glasses")
    assert codes(elsewhere.try_decide()) == {"possible_double_grant"}
    elsewhere.decide(**exception("double_grant"))


def test_the_same_name_on_another_birth_date_is_another(service):
    Case(service, given_name="Vilja", family_name="Sten", birth_date="1991-02-03").ready("glasses").decide()
    Case(service, "partner_other", given_name="Vilja", family_name="Sten", birth_date="1991-02-04").ready("glasses").decide()


def test_twins_who_ask_together_are_two(service, case):
    twins = [case.child(given_name=name, family_name="Tvilling", birth_date="2019-05-05") for name in ("Kim", "Lo")]
    for twin in twins:
        case.need("clothes", twin, name=twin)
    case.submit().review().certify().obligation()
    for twin in twins:
        case.eligible("second_generation", twin).best_interest(twin)
    case.propose().decide()


def replace_number(client, person, number):
    path = "/applicants/" + person
    old = done(client.get(path))["identifiers"][0]["id"]
    body = {"kind": "personnummer", "number": number, "replaces_id": old}
    answer = client.post(path + "/identifiers", json=body, headers=keyed(**{"If-Match": client.get(path).headers["ETag"]}))
    assert answer.status_code in (200, 201), answer.text


def test_correcting_the_number_does_not_make_another_person(service):
    number, *others = (personnummer("19880305") for _ in range(3))
    first = Case(service, identifiers=[{"kind": "personnummer", "number": number}]).ready("glasses")
    first.decide()
    second = Case(service, "partner_other", identifiers=[{"kind": "personnummer", "number": number}]).ready("glasses")
    assert codes(second.try_decide()) == {"possible_double_grant"}
    for case, other in zip((first, second), others):
        replace_number(case.partner, case.person, other)
    assert codes(second.try_decide()) == {"possible_double_grant"}
    found = done(service.as_("case_worker").post("/applicants/search", json={"identifier": {"number": number}}))
    assert found["applicants"] == []


def test_two_needs_of_a_kind_for_one_person_are_stopped(case):
    case.need("clothes", name="coat").need("clothes", name="boots").submit().review().certify().eligible().obligation().propose()
    assert codes(case.try_decide()) == {"possible_double_grant"}


def test_child_of_the_person_in_another_application_is_stopped(service, case):
    case.ready("clothes").decide()
    child = case.child()
    done(case.partner.post("/relations", json={"person_id": child, "related_person_id": case.person, "kind": "parent"}, headers=keyed()), 201)
    second = Case(service)
    second.need("clothes", child).submit().review().certify().eligible("second_generation", child).obligation()
    second.best_interest(child).propose()
    assert codes(second.try_decide()) == {"possible_double_grant"}


def test_household_in_another_application_is_stopped(service, case):
    case.ready("pram").decide()
    second = Case(service).ready("pram")
    done(case.partner.post("/households", json={"member_ids": [case.person, second.person]}, headers=keyed()), 201)
    assert codes(second.try_decide()) == {"possible_double_grant"}


def test_family_in_one_application_is_no_double_grant(case):
    child = case.child()
    done(case.partner.post("/relations", json={"person_id": child, "related_person_id": case.person, "kind": "parent"}, headers=keyed()), 201)
    case.need("shoes", name="hers").need("shoes", child, "the child's").submit().review().certify()
    case.eligible().eligible("second_generation", child).obligation().best_interest(child).propose().decide()


def test_two_grants_of_a_kind_at_once_give_one(service, case):
    first = case.ready("computer")
    second = again(case, "computer")
    pairs = [(first, first.decider, first.tag(first.decider)), (second, second.other_decider, second.tag(second.other_decider))]
    answers = []
    threads = [threading.Thread(target=lambda c=c, d=d, t=t: answers.append(c.try_decide(client=d, tag=t).status_code))
               for c, d, t in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]


# What is stored -----------------------------------------------------------------------------------------------------------

def test_reasoning_is_sealed(case):
    decision = case.ready("glasses").eligible("not_eligible").decide(**exception("eligibility"))
    assert case.service.sql("SELECT count(*) FROM decisions d WHERE id = %s AND d::text LIKE %s", decision["id"], "%styrkt%") == [(0,)]
    sealed = case.service.sql("SELECT sealed FROM decisions WHERE id = %s", decision["id"])[0][0]
    assert sealed and b"styrkt" not in bytes(sealed)
    assert case.service.sql("SELECT person_id::text FROM vault.data_keys WHERE record_id = %s", decision["id"]) == [(case.person,)]


def test_decision_is_never_edited(case):
    decision = case.ready("glasses").decide()
    for statement in ("UPDATE decisions SET decided_by = gen_random_uuid() WHERE id = %s",
                      "UPDATE decision_lines SET amount_ore = 1 WHERE decision_id = %s",
                      "DELETE FROM decision_lines WHERE decision_id = %s"):
        with pytest.raises(Exception, match="never edited"):
            case.service.sql(statement, decision["id"])


def test_decision_writes_an_event_without_personal_data(case):
    case.ready("glasses").decide()
    events = case.service.sql("SELECT type, agency_id IS NOT NULL FROM outbox WHERE record_id = %s AND type = 'application.decided'", case.id)
    assert events == [("application.decided", True)]


def test_decide_is_among_the_actions(case):
    case.need("glasses").submit().review()
    action = {a["name"]: a for a in case.read(case.decider)["actions"]}["decisions"]
    assert not action["allowed"] and "need_not_proposed" in action["blocked_by"]
    case.certify().eligible().obligation().propose()
    action = {a["name"]: a for a in case.read(case.decider)["actions"]}["decisions"]
    assert action == {"name": "decisions", "allowed": True, "blocked_by": []}
    assert "decisions" not in {a["name"] for a in case.read(case.worker)["actions"]}


def test_list_filters_by_kind_and_application(service, case):
    decision = case.ready("glasses").decide()
    other = Case(service).need("food").submit()
    other.emergency("food")
    listed = done(case.decider.get("/decisions", params={"kind": "decision", "application_id": case.id}))["decisions"]
    assert [d["id"] for d in listed] == [decision["id"]]
    assert {d["kind"] for d in done(case.decider.get("/decisions", params={"kind": "emergency"}))["decisions"]} == {"emergency"}


def test_decision_on_a_protected_persons_case_is_seen_by_the_listed_only(service):
    case = Case(service, protection="sekretessmarkering")
    assert case.decider.get(case.path()).status_code == 404
    case.need("glasses")
    decisions = case.decider.get(case.path("decisions"))
    assert decisions.status_code == 404
