"""Relations, households and eligibility: what is between persons, and what is said of one."""

import pytest

from people import applicant, change, child, codes, household, made, relate, tag

NOBODY = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def officer(service):
    return service.as_("partner", "handl-1")


@pytest.fixture
def other(service):
    return service.as_("partner_other", "handl-9")


def rows(client, path, member, **parameters):
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()[member]]


# Relations ----------------------------------------------------------------------------------------------------------

def test_a_relation_is_read_back(service, officer):
    mother, young = applicant(officer), child(officer)
    there = relate(officer, young, mother, access="restricted", from_on="2015-02-18", notes="Bor ihop.")
    read = officer.get("/relations/" + there["id"])
    assert read.json() == there
    assert (there["access"], there["deceased"], there["notes"]) == ("restricted", False, "Bor ihop.")
    assert rows(officer, "/relations", "relations", person_id=young["id"]) == [there["id"]]
    assert rows(officer, "/relations", "relations", related_person_id=mother["id"]) == [there["id"]]


def test_the_other_side_may_be_unregistered_or_dead(service, officer):
    young = child(officer)
    there = relate(officer, young, None, name="Arben Hoxha", contact="genom ambassaden", deceased=True, access="none")
    assert there["related_person_id"] is None
    assert there["name"] == "Arben Hoxha"
    stored = service.sql("SELECT r::text FROM relations r WHERE id = %s", there["id"])[0][0]
    assert "Arben" not in stored and "Arben".encode().hex() not in stored


def test_a_relation_changes_and_ends(service, officer):
    mother, young = applicant(officer), child(officer)
    path = "/relations/" + relate(officer, young, mother, notes="Bor ihop.")["id"]
    now = change(officer, path, access="none", until_on="2026-11-01", notes=None)
    assert now.status_code == 200, now.text
    assert (now.json()["access"], now.json()["until_on"], now.json()["version"]) == ("none", "2026-11-01", 2)
    assert "notes" not in now.json()
    assert officer.delete(path).status_code == 428
    assert officer.delete(path, headers={"If-Match": '"1.00000000"'}).status_code == 412
    assert officer.delete(path, headers={"If-Match": tag(officer, path)}).status_code == 204
    assert officer.get(path).status_code == 404
    assert service.sql("SELECT count(*) FROM vault.data_keys WHERE record_id = %s", path.split("/")[-1]) == [(0,)]


def test_persons_of_a_relation_do_not_change(service, officer):
    mother, young = applicant(officer), child(officer)
    path = "/relations/" + relate(officer, young, mother)["id"]
    assert change(officer, path, person_id=mother["id"]).status_code == 422


@pytest.mark.parametrize("member", ["person_id", "related_person_id"])
def test_unseen_and_unknown_persons_cannot_be_related(service, officer, other, member):
    mine, theirs = applicant(officer), applicant(other)
    answers = []
    for stranger in (theirs["id"], NOBODY):
        body = {"person_id": mine["id"], "related_person_id": mine["id"], "kind": "parent"} | {member: stranger}
        answers.append(officer.post("/relations", json=body))
    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.json()["errors"] for answer in answers][0] == answers[1].json()["errors"]
    assert answers[0].json()["errors"][0]["pointer"] == "/" + member
    assert answers[0].json()["errors"][0]["code"] == "reference_unknown"


def test_a_relation_is_stated_once(service, officer):
    mother, young = applicant(officer), child(officer)
    relate(officer, young, mother)
    again = officer.post("/relations", json={"person_id": young["id"], "related_person_id": mother["id"], "kind": "parent"})
    assert again.status_code == 409
    assert "relation_exists" in codes(again)
    relate(officer, young, mother, "guardian")


def test_nobody_is_related_to_herself(service, officer):
    there = applicant(officer)
    answer = officer.post("/relations", json={"person_id": there["id"], "related_person_id": there["id"], "kind": "parent"})
    assert answer.status_code == 422
    assert "relation_to_herself" in codes(answer)


def test_relations_to_unseen_persons_are_absent_and_uncounted(service, officer):
    hidden, young = applicant(officer, protection="sekretessmarkering"), child(officer)
    there = relate(officer, young, hidden, "sibling")
    seen = relate(officer, young, applicant(officer), "sibling")
    worker = service.as_("case_worker")
    page = worker.get("/relations", params={"person_id": young["id"], "count": "true"}).json()
    assert [one["id"] for one in page["relations"]] == [seen["id"]]
    assert page["_meta"]["count"] == 1
    assert hidden["id"] not in str(page)
    assert worker.get("/relations/" + there["id"]).status_code == 404
    assert sorted(rows(officer, "/relations", "relations", person_id=young["id"])) == sorted([there["id"], seen["id"]])


def test_relations_of_another_agency_are_absent(service, officer, other):
    there = relate(officer, child(officer), applicant(officer))
    assert other.get("/relations/" + there["id"]).status_code == 404
    assert there["id"] not in rows(other, "/relations", "relations", limit=100)


def test_staff_may_relate_persons_of_two_agencies_and_neither_agency_sees_it(service, officer, other):
    mine, theirs = child(officer), applicant(other)
    there = relate(service.as_("case_worker"), mine, theirs, "sibling")
    assert officer.get("/relations/" + there["id"]).status_code == 404
    assert other.get("/relations/" + there["id"]).status_code == 404


@pytest.mark.parametrize("role", ["decision_maker", "triage"])
def test_those_who_do_not_register_may_not_relate(service, officer, role):
    body = {"person_id": child(officer)["id"], "kind": "parent"}
    assert service.as_(role).post("/relations", json=body).status_code == 403


# Households ---------------------------------------------------------------------------------------------------------

def test_a_household_is_read_back(service, officer):
    mother, young = applicant(officer), child(officer)
    there = household(officer, mother, young)
    assert sorted(there["member_ids"]) == sorted([mother["id"], young["id"]])
    assert officer.get("/households/" + there["id"]).json() == there
    assert rows(officer, "/households", "households", person_id=young["id"]) == [there["id"]]


def test_a_household_changes(service, officer):
    mother, young, friend = applicant(officer), child(officer), applicant(officer)
    path = "/households/" + household(officer, mother, young)["id"]
    now = change(officer, path, member_ids=[mother["id"], friend["id"]])
    assert now.status_code == 200, now.text
    assert sorted(now.json()["member_ids"]) == sorted([mother["id"], friend["id"]])
    assert now.json()["version"] == 2
    assert officer.patch(path, json={"member_ids": [mother["id"]]}, headers={"If-Match": '"1.00000000"'}).status_code == 412


def test_unseen_members_are_absent_and_stay(service, officer):
    hidden, mother = applicant(officer), applicant(officer)
    there = household(officer, hidden, mother)
    # staff registered a third one in it, whom the agency does not see
    third = applicant(service.as_("case_worker"))
    worker = service.as_("case_worker")
    path = "/households/" + there["id"]
    assert change(worker, path, member_ids=[hidden["id"], mother["id"], third["id"]]).status_code == 200
    assert third["id"] not in officer.get(path).json()["member_ids"]
    assert change(officer, path, member_ids=[mother["id"]]).status_code == 200
    assert sorted(worker.get(path).json()["member_ids"]) == sorted([mother["id"], third["id"]])


def test_a_household_of_unseen_persons_is_not_there(service, officer, other):
    there = household(officer, applicant(officer), child(officer))
    assert other.get("/households/" + there["id"]).status_code == 404
    hidden = household(officer, applicant(officer, protection="sekretessmarkering"))
    assert service.as_("case_worker").get("/households/" + hidden["id"]).status_code == 404


def test_unseen_and_unknown_persons_do_not_join_a_household(service, officer, other):
    mine, theirs = applicant(officer), applicant(other)
    for stranger in (theirs["id"], NOBODY):
        answer = officer.post("/households", json={"member_ids": [mine["id"], stranger]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/member_ids/1"
        assert "reference_unknown" in codes(answer)


def test_households_are_listed_for_one_person(service, officer):
    assert officer.get("/households").status_code == 400


# Eligibility --------------------------------------------------------------------------------------------------------

def assess(client, person, **members):
    body = {"person_id": person["id"], "outcome": "direct", "exploited_in_sweden": True} | members
    return client.post("/eligibility-assessments", json=body)


def test_case_worker_assesses_and_the_decision_maker_reads(service, officer):
    there = applicant(officer)
    first = made(assess(service.as_("case_worker"), there, reason="Enligt polisens utredning."))
    second = made(assess(service.as_("case_worker"), there, outcome="not_eligible"))
    decider = service.as_("decision_maker")
    assert decider.get("/eligibility-assessments/" + first["id"]).json()["reason"] == "Enligt polisens utredning."
    assert rows(decider, "/eligibility-assessments", "eligibility_assessments", person_id=there["id"]) == [
        second["id"], first["id"]]


@pytest.mark.parametrize("role", ["partner", "decision_maker", "triage", "admin"])
def test_only_case_workers_assess(service, officer, role):
    client = officer if role == "partner" else service.as_(role)
    assert assess(client, applicant(officer)).status_code == 403


def test_an_exception_must_have_a_reason(service, officer):
    worker, there = service.as_("case_worker"), applicant(officer)
    bare = assess(worker, there, outcome="exception", exploited_in_sweden=False)
    assert bare.status_code == 422
    assert "exception_has_reason" in codes(bare)
    empty = assess(worker, there, outcome="exception", exploited_in_sweden=False, reason=None)
    assert empty.status_code == 422
    made(assess(worker, there, outcome="exception", exploited_in_sweden=False, reason="Barnen går i skola här."))


@pytest.mark.parametrize("outcome", ["direct", "second_generation"])
def test_eligible_is_who_was_exploited_in_sweden(service, officer, outcome):
    answer = assess(service.as_("case_worker"), applicant(officer), outcome=outcome, exploited_in_sweden=False)
    assert answer.status_code == 422
    assert "eligible_only_if_exploited_in_sweden" in codes(answer)


def test_the_reason_is_sealed(service, officer):
    there = made(assess(service.as_("case_worker"), applicant(officer), reason="Enligt polisens utredning."))
    stored = service.sql("SELECT e::text FROM eligibility_assessments e WHERE id = %s", there["id"])[0][0]
    assert "polisens" not in stored and "polisens".encode().hex() not in stored


def test_an_unseen_person_is_not_assessed(service, officer):
    hidden = applicant(officer, protection="sekretessmarkering")
    answer = assess(service.as_("case_worker"), hidden)
    assert answer.status_code == 422
    assert "reference_unknown" in codes(answer)
