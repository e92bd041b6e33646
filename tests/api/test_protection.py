"""Protected identity: it fails closed, is inherited, and shows a person to nobody but the officers on her list."""

import threading

import pytest

from people import applicant, change, child, codes, household, made, path_of, personnummer, relate, sees, tag

LEVELS = ["unknown", "sekretessmarkering", "skyddad_folkbokforing", "fingerade_personuppgifter"]
PLACE = {"street_address": "Exempelgatan 12", "city": "Ystad"}


@pytest.fixture
def officer(service):
    return service.as_("partner", "handl-1")


def effective(service, person):
    return service.sql("SELECT protection_effective FROM persons WHERE id = %s", person["id"])[0][0]


def listed(service, person):
    return {row[0] for row in service.sql("SELECT officer FROM access_list WHERE person_id = %s", person["id"])}


def officer_key(service, role):
    email = service.cluster.credentials()[role].get("email")
    assert email, role
    client = service.as_(role)
    client.get("/codes")
    import base64, json
    payload = client.headers["Authorization"].split(".")[1]
    return "user:" + json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


# Who sees a protected person ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("level", LEVELS)
def test_protected_person_is_seen_by_the_officer_who_registered_and_by_triage_only(service, officer, level):
    there = applicant(officer, protection=level)
    assert sees(officer, there)
    assert sees(service.as_("triage"), there)
    for client in (service.as_("partner", "handl-2"), service.as_("partner"), service.as_("partner_other", "handl-1"),
                   service.as_("case_worker"), service.as_("decision_maker")):
        assert not sees(client, there)
        listed_ids = [one["id"] for one in client.get("/applicants", params={"limit": 100}).json()["applicants"]]
        assert there["id"] not in listed_ids


def test_protection_that_is_not_stated_counts_as_protected(service, officer):
    there = made(officer.post("/children", json={}))
    assert there["protection"] == there["protection_effective"] == "unknown"
    assert not sees(service.as_("case_worker"), there)


def test_protected_person_is_not_counted(service, officer):
    count = lambda client: client.get("/applicants", params={"count": "true"}).json()["_meta"]["count"]
    worker = service.as_("case_worker")
    before = count(worker), count(officer)
    applicant(officer, protection="sekretessmarkering")
    assert (count(worker), count(officer)) == (before[0], before[1] + 1)


def test_protected_person_is_not_found_by_others(service, officer):
    number = personnummer()
    there = applicant(officer, protection="sekretessmarkering", identifiers=[{"kind": "personnummer", "number": number}])
    find = lambda client: client.post("/applicants/search", json={"identifier": {"number": number}}).json()["applicants"]
    assert [one["id"] for one in find(officer)] == [there["id"]]
    assert find(service.as_("case_worker")) == []
    assert find(service.as_("partner", "handl-2")) == []


def test_a_machine_without_officer_cannot_register_a_protected_person(service):
    assert service.as_("partner").post("/applicants", json={}).status_code in (400, 409)


def test_staff_member_who_registers_stays_on_the_list(service):
    worker = service.as_("case_worker")
    there = applicant(worker, protection="sekretessmarkering")
    assert sees(worker, there)
    assert not sees(service.as_("case_worker_2"), there)
    assert officer_key(service, "case_worker") in listed(service, there)


def test_whoever_makes_a_person_protected_stays_on_the_list(service, officer):
    there, worker = applicant(officer), service.as_("case_worker")
    assert change(worker, path_of(there), protection="fingerade_personuppgifter").status_code == 200
    assert sees(worker, there)
    assert sees(officer, there)
    assert not sees(service.as_("decision_maker"), there)
    assert not sees(service.as_("partner", "handl-2"), there)


def test_patch_of_an_unseen_person_is_answered_as_unknown(service, officer):
    there = applicant(officer, protection="sekretessmarkering")
    answer = service.as_("case_worker").patch(path_of(there), json={"alias": "X"}, headers={"If-Match": '"1.00000000"'})
    assert answer.status_code == 404


def test_a_lowered_level_opens_the_record(service, officer):
    there = applicant(officer, protection="unknown")
    assert change(officer, path_of(there), protection="none").status_code == 200
    assert sees(service.as_("case_worker"), there)


def test_events_of_protected_persons_carry_no_id(service, officer):
    there = applicant(officer, protection="sekretessmarkering")
    assert service.sql("SELECT count(*) FROM outbox WHERE record_id = %s", there["id"]) == [(0,)]
    assert service.sql("SELECT type FROM outbox ORDER BY xid DESC, id DESC LIMIT 1") == [("worklist.changed",)]


# No place -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("level", LEVELS)
def test_no_place_is_stored_for_a_protected_person(service, officer, level):
    answer = officer.post("/applicants", json=PLACE | {"protection": level})
    assert answer.status_code == 422
    assert "protected_person_has_no_place" in codes(answer)
    there = applicant(officer, protection=level)
    assert change(officer, path_of(there), **PLACE).status_code == 422


@pytest.mark.parametrize("level", LEVELS)
def test_a_place_that_is_null_is_none(service, officer, level):
    nothing = dict.fromkeys(PLACE)
    answer = officer.post("/applicants", json=nothing | {"protection": level})
    assert answer.status_code == 201, answer.text
    assert service.sql("SELECT sealed_place FROM persons WHERE id = %s", answer.json()["id"]) == [(None,)]
    assert officer.post("/applicants", json=nothing | {"protection": level, "city": "Kiruna"}).status_code == 422


def test_a_place_is_erased_when_protection_comes_and_in_history_too(service, officer):
    there = applicant(officer, **PLACE)
    change(officer, path_of(there), alias="Lisa")
    now = change(officer, path_of(there), protection="sekretessmarkering").json()
    assert not PLACE.keys() & now.keys()
    assert service.sql("SELECT sealed_place FROM persons WHERE id = %s", there["id"]) == [(None,)]
    kept = service.sql("SELECT record ? 'sealed_place' FROM person_versions WHERE person_id = %s", there["id"])
    assert kept and not any(row[0] for row in kept)


def test_a_place_may_be_removed_while_protected(service, officer):
    there = applicant(officer, protection="sekretessmarkering")
    assert change(officer, path_of(there), street_address=None, city=None).status_code == 200


def test_level_may_be_lowered_and_the_place_given_at_once(service, officer):
    there = applicant(officer, protection="unknown")
    now = change(officer, path_of(there), protection="none", **PLACE)
    assert now.status_code == 200, now.text
    assert now.json()["city"] == "Ystad"


# Inheritance --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["parent", "guardian"])
def test_child_inherits_protection_of_parent_or_guardian(service, officer, kind):
    mother, young = applicant(officer, protection="sekretessmarkering"), child(officer, **PLACE)
    relate(officer, young, mother, kind)
    assert effective(service, young) == "sekretessmarkering"
    assert not sees(service.as_("case_worker"), young)
    assert sees(officer, young)
    assert service.sql("SELECT sealed_place FROM persons WHERE id = %s", young["id"]) == [(None,)]


@pytest.mark.parametrize("kind", ["god_man", "social_board", "sibling", "partner", "other"])
def test_other_relations_do_not_pass_protection_on(service, officer, kind):
    other, young = applicant(officer, protection="sekretessmarkering"), child(officer)
    relate(officer, young, other, kind)
    assert effective(service, young) == "none"


def test_parent_does_not_inherit_from_child(service, officer):
    mother, young = applicant(officer), child(officer, protection="sekretessmarkering")
    relate(officer, young, mother)
    assert effective(service, mother) == "none"


def test_protection_passes_through_generations(service, officer):
    grandmother, mother, young = applicant(officer), applicant(officer), child(officer)
    relate(officer, mother, grandmother)
    relate(officer, young, mother)
    assert sees(service.as_("case_worker"), young)
    change(officer, path_of(grandmother), protection="fingerade_personuppgifter")
    assert effective(service, mother) == effective(service, young) == "fingerade_personuppgifter"
    assert not sees(service.as_("case_worker"), young)


def test_everyone_in_the_household_inherits(service, officer):
    people = [applicant(officer), child(officer), child(officer)]
    household(officer, *people)
    change(officer, path_of(people[1]), protection="skyddad_folkbokforing")
    assert [effective(service, one) for one in people] == ["skyddad_folkbokforing"] * 3


def test_household_passes_on_what_a_member_inherits(service, officer):
    mother, young, friend = applicant(officer, protection="sekretessmarkering"), child(officer), applicant(officer)
    relate(officer, young, mother)
    household(officer, young, friend)
    assert effective(service, friend) == "sekretessmarkering"


def test_strictest_level_wins(service, officer):
    mother = applicant(officer, protection="sekretessmarkering")
    father = applicant(officer, protection="fingerade_personuppgifter")
    young = child(officer, protection="unknown")
    relate(officer, young, mother)
    relate(officer, young, father)
    assert effective(service, young) == "fingerade_personuppgifter"
    assert effective(service, mother) == "sekretessmarkering"


def test_inherited_protection_ends_with_its_relation(service, officer):
    mother, young = applicant(officer, protection="sekretessmarkering"), child(officer)
    path = "/relations/" + relate(officer, young, mother)["id"]
    assert officer.delete(path, headers={"If-Match": tag(officer, path)}).status_code == 204
    assert effective(service, young) == "none"


def test_who_leaves_the_household_keeps_her_own_level_only(service, officer):
    mother, young = applicant(officer, protection="sekretessmarkering"), child(officer)
    path = "/households/" + household(officer, mother, young)["id"]
    assert effective(service, young) == "sekretessmarkering"
    assert change(officer, path, member_ids=[mother["id"]]).status_code == 200
    assert (effective(service, mother), effective(service, young)) == ("sekretessmarkering", "none")


def test_inherited_protection_raises_the_version(service, officer):
    mother, young = applicant(officer, protection="sekretessmarkering"), child(officer)
    relate(officer, young, mother)
    assert officer.get(path_of(young)).json()["version"] == young["version"] + 1


@pytest.mark.parametrize("kind", ["parent", "guardian"])
def test_a_relation_that_passes_protection_on_keeps_to_kinds_that_do(service, officer, kind):
    mother, young = applicant(officer, protection="fingerade_personuppgifter"), child(officer)
    path = "/relations/" + relate(officer, young, mother, kind)["id"]
    for weaker in ("sibling", "god_man", "other"):
        answer = change(officer, path, kind=weaker)
        assert (answer.status_code, codes(answer)) == (409, {"gates_failed", "relation_passes_protection"})
    assert effective(service, young) == "fingerade_personuppgifter"
    stronger = {"parent": "guardian", "guardian": "parent"}[kind]
    assert change(officer, path, kind=stronger, access="none").status_code == 200
    assert change(officer, path_of(mother), protection="none").status_code == 200
    assert change(officer, path, kind="sibling").status_code == 200, "it passes nothing on now"


def test_a_relation_to_nobody_registered_changes_its_kind(service, officer):
    path = "/relations/" + relate(officer, child(officer, protection="unknown"), None)["id"]
    assert change(officer, path, kind="other").status_code == 200


@pytest.mark.parametrize("hidden", ["person", "related"])
def test_events_of_a_relation_carry_no_id_when_either_is_protected(service, officer, hidden):
    levels = {"person": "none", "related": "none"} | {hidden: "sekretessmarkering"}
    young, other = child(officer, protection=levels["person"]), applicant(officer, protection=levels["related"])
    path = "/relations/" + relate(officer, young, other, "sibling")["id"]
    assert change(officer, path, access="none").status_code == 200
    assert officer.delete(path, headers={"If-Match": tag(officer, path)}).status_code == 204
    assert service.sql("SELECT count(*) FROM outbox WHERE record_id = %s", path.removeprefix("/relations/")) == [(0,)]
    assert service.sql("SELECT type FROM outbox ORDER BY xid DESC, id DESC LIMIT 3") == [("worklist.changed",)] * 3


def test_two_writers_who_join_a_family_at_once_leave_no_gap(service, officer):
    """One makes the grandmother protected while another ties the child to the mother, or is told that there is no such mother."""
    for _ in range(10):
        grandmother, mother, young = applicant(officer), applicant(officer), child(officer)
        relate(officer, mother, grandmother)
        old = tag(officer, path_of(grandmother))
        first = service.as_("partner", "handl-1")
        answers = []
        start = threading.Barrier(2)

        def protect():
            start.wait()
            answers.append(first.patch(path_of(grandmother), json={"protection": "sekretessmarkering"}, headers={"If-Match": old}))

        def tie():
            start.wait()
            answers.append(service.as_("case_worker").post("/relations", json={
                "person_id": young["id"], "related_person_id": mother["id"], "kind": "parent"}))

        threads = [threading.Thread(target=work) for work in (protect, tie)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} <= {200, 201, 422}, [answer.text for answer in answers]
        if all(answer.status_code in (200, 201) for answer in answers):
            assert effective(service, young) == "sekretessmarkering"


# The access list ----------------------------------------------------------------------------------------------------

@pytest.fixture
def protected(officer):
    return applicant(officer, protection="sekretessmarkering")


def grant(client, person, officer, reason="case_work"):
    return client.post("/access-grants", json={"person_id": person["id"], "officer": officer, "reason_code": reason})


def test_a_listed_staff_member_lets_another_in_and_out(service, protected):
    triage, worker = service.as_("triage"), service.as_("case_worker")
    answer = grant(triage, protected, officer_key(service, "case_worker"))
    there = made(answer)
    assert there["granted_by"] == officer_key(service, "triage").removeprefix("user:")
    assert sees(worker, protected)
    path = "/access-grants/" + there["id"]
    assert triage.delete(path, headers={"If-Match": tag(triage, path)}).status_code == 204
    assert not sees(worker, protected)


def test_an_agencys_officer_may_be_let_in(service, protected):
    agency = service.sql("SELECT agency_id FROM persons WHERE id = %s", protected["id"])[0][0]
    made(grant(service.as_("triage"), protected, f"agency:{agency}:handl-2", "replacement"))
    assert sees(service.as_("partner", "handl-2"), protected)


def test_an_officer_of_another_agency_is_not_let_in(service, protected):
    agency = service.sql("SELECT id FROM agencies WHERE id <> (SELECT agency_id FROM persons WHERE id = %s) LIMIT 1", protected["id"])[0][0]
    answer = grant(service.as_("triage"), protected, f"agency:{agency}:handl-1")
    assert (answer.status_code, codes(answer) & {"reference_unknown"}) == (422, {"reference_unknown"})


@pytest.mark.parametrize("role", ["auditor", "admin", "fund_manager", "project_manager"])
def test_only_who_can_work_with_cases_is_let_in(service, protected, role):
    """Else a list could be full of people none of whom sees anything, and everybody else be taken off it."""
    answer = grant(service.as_("triage"), protected, officer_key(service, role))
    assert (answer.status_code, codes(answer) & {"reference_unknown"}) == (422, {"reference_unknown"})


def test_nobody_of_an_agency_is_let_in_to_whom_the_charity_registered(service):
    triage, agency = service.as_("triage"), service.sql("SELECT id FROM agencies LIMIT 1")[0][0]
    worker = service.as_("case_worker")
    there = applicant(worker, protection="sekretessmarkering")
    assert grant(worker, there, f"agency:{agency}:handl-1").status_code == 422
    assert sees(triage, there)


def test_who_is_not_listed_lets_nobody_in(service, protected):
    answer = grant(service.as_("case_worker"), protected, officer_key(service, "case_worker"))
    assert answer.status_code == 422
    assert "reference_unknown" in codes(answer)
    assert not sees(service.as_("case_worker"), protected)


def test_a_partner_keeps_no_access_list(service, officer, protected):
    assert grant(officer, protected, officer_key(service, "case_worker")).status_code == 403
    assert officer.get("/access-grants", params={"person_id": protected["id"]}).status_code == 403


def test_an_access_list_needs_a_reason_from_the_list(service, protected):
    assert grant(service.as_("triage"), protected, officer_key(service, "case_worker"), "curiosity").status_code == 422


def test_an_unknown_officer_is_refused(service, protected):
    answer = grant(service.as_("triage"), protected, "user:11111111-1111-4111-8111-111111111111")
    assert answer.status_code == 422
    assert "reference_unknown" in codes(answer)


def test_an_officer_is_listed_once(service, protected):
    answer = grant(service.as_("triage"), protected, officer_key(service, "triage"))
    assert answer.status_code == 409
    assert "officer_listed_already" in codes(answer)


def test_the_access_list_is_shown_to_the_listed(service, protected):
    read = lambda role: service.as_(role).get("/access-grants", params={"person_id": protected["id"], "limit": 100})
    shown = {one["officer"] for one in read("triage").json()["access_grants"]}
    assert shown == listed(service, protected)
    assert read("case_worker").json()["access_grants"] == []


def test_two_of_the_staff_remain_on_every_list(service, protected):
    triage = service.as_("triage")
    rows = triage.get("/access-grants", params={"person_id": protected["id"], "limit": 100}).json()["access_grants"]
    mine = officer_key(service, "triage")
    staff = [one for one in rows if one["officer"].startswith("user:") and one["officer"] != mine]
    outcomes = []
    for one in staff:
        path = "/access-grants/" + one["id"]
        outcomes.append(triage.delete(path, headers={"If-Match": tag(triage, path)}))
    assert outcomes[-1].status_code == 409
    assert "access_list_needs_two" in codes(outcomes[-1])
    assert len([key for key in listed(service, protected) if key.startswith("user:")]) == 2
