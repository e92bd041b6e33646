"""A family registered, and applied for, in one call: all or nothing."""

import copy
import json
import uuid

import pytest

import accounts
from casework import done, keyed

FAMILY = {
    "person": {"alias": "Mira", "protection": "none", "birth_date": "1991-06-03"},
    "children": [{"alias": "Lisen", "protection": "none", "birth_date": "2017-02-18"},
                 {"alias": "Adam", "protection": "none", "birth_date": "2001-01-01"}, {"alias": "Bebis", "protection": "none"}],
    "application": {"summary": "Mor med tre barn."},
    "needs": [{"for": "person", "category_code": "food", "requested_ore": 300_000, "description": "Mat."},
              {"for": "child:0", "category_code": "glasses"}, {"for": "child:1", "category_code": "education"},
              {"for": "child:2", "category_code": "pram"}],
    "certification": {"statement": "Jag känner familjen."},
}


@pytest.fixture
def partner(service):
    return service.as_("partner", "handl-1")


def family(**members):
    return copy.deepcopy(FAMILY) | members


def register(client, body=None, **headers):
    return client.post("/registrations", json=body or family(), headers=keyed(**headers))


def counts(service):
    tables = ("persons", "relations", "applications", "needs", "certifications", "vault.data_keys", "outbox")
    return service.sql("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables))[0]


def test_family_is_registered_and_its_case_submitted(service, partner):
    answer = register(partner)
    told = done(answer, 201)
    assert answer.headers["Location"].endswith("/v1/applications/" + told["application_id"])
    application = done(partner.get("/applications/" + told["application_id"]))
    assert application["state"] == "submitted"
    assert application["reference"] == told["reference"]
    assert application["summary"] == "Mor med tre barn."
    assert application["person_id"] == told["person_id"]
    assert [need["id"] for need in application["needs"]] == told["need_ids"]
    assert [need["person_id"] for need in application["needs"]] == [told["person_id"], *told["child_ids"]]
    assert all(need["certified_until"] for need in application["needs"])
    assert application["needs"][0]["description"] == "Mat."


def test_children_under_18_are_told_from_the_grown(partner):
    told = done(register(partner), 201)
    needs = done(partner.get("/applications/" + told["application_id"]))["needs"]
    assert [need["concerns_child"] for need in needs] == [False, True, False, True]


def test_person_is_a_parent_of_each_child(partner):
    told = done(register(partner), 201)
    for child in told["child_ids"]:
        relations = done(partner.get("/relations", params={"person_id": child}))["relations"]
        assert [(row["kind"], row["related_person_id"]) for row in relations] == [("parent", told["person_id"])]


def test_protection_of_the_mother_is_the_childrens(partner):
    body = family(person={"alias": "Mira", "protection": "skyddad_folkbokforing"})
    told = done(register(partner, body), 201)
    for child in told["child_ids"]:
        assert done(partner.get("/children/" + child))["protection_effective"] == "skyddad_folkbokforing"


def test_protected_family_is_seen_by_its_officer_only(service, partner):
    told = done(register(partner, family(person={"alias": "Mira"})), 201)
    assert partner.get("/applications/" + told["application_id"]).status_code == 200
    colleague = service.as_("partner", "handl-2")
    assert colleague.get("/applications/" + told["application_id"]).status_code == 404
    assert service.as_("case_worker").get("/applications/" + told["application_id"]).status_code == 404
    assert service.as_("triage").get("/applications/" + told["application_id"]).status_code == 200


def test_machine_of_an_agency_names_its_officer(service):
    answer = register(service.as_("partner"))
    assert (answer.status_code, answer.json()["code"]) == (400, "acting_officer_required")


def test_machine_of_the_charity_registers_nobody_whom_it_would_hide(service):
    """It has no officer who could be on the access list, and none is asked of it in vain."""
    _, machine = accounts.machine(service, ["case_worker"])
    body = family()
    del body["certification"]
    done(register(machine, body), 201)
    answer = register(machine, body | {"person": {"protection": "unknown"}})
    assert (answer.status_code, [e["code"] for e in answer.json()["errors"]]) == (409, ["protected_needs_officer"])
    assert "X-Acting-Officer" not in answer.text


def test_machine_of_the_charity_certifies_nothing(service):
    _, machine = accounts.machine(service, ["case_worker"])
    answer = register(machine, family(certification={"evidence": "document"}))
    assert (answer.status_code, [e["code"] for e in answer.json()["errors"]]) == (409, ["natural_person_required"])


def test_children_and_certification_may_be_absent(partner):
    body = {"person": {"protection": "none"}, "application": {}, "needs": [{"for": "person", "category_code": "food"}]}
    told = done(register(partner, body), 201)
    assert (told["child_ids"], told["certification_id"]) == ([], None)
    assert done(partner.get("/applications/" + told["application_id"]))["needs"][0]["certified_until"] is None


@pytest.mark.parametrize("name", ["child:00", "child:01", "child:20", "child:", "child:0x", "Person"])
def test_a_child_is_named_in_one_way(service, partner, name):
    before = counts(service)
    answer = register(partner, family(needs=[{"for": name, "category_code": "food"}]))
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/needs/0/for", "pattern")]
    assert counts(service) == before


def test_two_ways_of_naming_a_child_are_one_to_the_database(service):
    """What is not told of a child counts as under 18, and how a need names her says nothing."""
    def person(**members):
        return {"id": str(uuid.uuid4()), "protection": "none"} | members

    body = {"person": person(minor=False), "children": [person(minor=True), person(minor=False), person()],
            "application": {"id": str(uuid.uuid4())},
            "needs": [{"id": str(uuid.uuid4()), "for": name, "category_code": "food"}
                      for name in ("person", "child:0", "child:00", "child:1", "child:01", "child:2")]}
    with service.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('utvag.role', 'case_worker', true), set_config('utvag.audit_id', gen_random_uuid()::text, true)")
        connection.execute("SELECT create_registration(NULL, %s::jsonb, NULL)", [json.dumps(body)])
        concerned = connection.execute("SELECT concerns_child FROM needs WHERE application_id = %s ORDER BY created_at",
                                       [body["application"]["id"]]).fetchall()
    assert concerned == [(False,), (True,), (True,), (False,), (False,), (True,)]


@pytest.mark.parametrize("change,pointer,code", [
    ({"needs": [{"for": "child:3", "category_code": "food"}]}, "/needs/0/for", "reference_unknown"),
    ({"needs": [{"for": "person", "category_code": "food"}, {"for": "person", "category_code": "yacht"}]},
     "/needs/1/category_code", "code_unknown"),
    ({"certification": {"certified_on": "2999-01-01"}}, "/certification/certified_on", "date_in_future"),
    ({"certification": {"certified_on": "2026-02-02", "expires_on": "2026-02-01"}}, "/certification/expires_on",
     "certification_period_invalid"),
    ({"children": [{"protection": "none"}, {"protection": "unknown", "city": "Umeå"}, {"protection": "none"}]},
     "/children/1/protection", "protected_person_has_no_place"),
    ({"children": [{"protection": "none"}, {"protection": "none"}, {"protection": "none", "identifiers": [
        {"kind": "other", "number": "AB 12"}, {"kind": "other", "number": "AB 13", "valid_from": "2026-02-02", "valid_until": "2026-02-01"}]}]},
     "/children/2/identifiers/1/valid_until", "identifier_ends_after_it_begins"),
])
def test_nothing_is_registered_when_a_part_is_wrong(service, partner, change, pointer, code):
    before = counts(service)
    answer = register(partner, family(**change))
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert counts(service) == before


def test_nothing_is_registered_when_a_reference_is_taken(service, partner):
    reference = "soc-" + uuid.uuid4().hex[:8]
    body = family(application={"external_id": reference})
    done(register(partner, body), 201)
    before = counts(service)
    answer = register(partner, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "application_external_id_taken")
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/application/external_id"]
    assert counts(service) == before


def test_nothing_is_registered_when_a_child_has_anothers_reference(service, partner):
    twice = [{"protection": "none", "external_id": "barn-1"}, {"protection": "none", "external_id": "barn-1"}]
    before = counts(service)
    answer = register(partner, family(children=twice, needs=[{"for": "person", "category_code": "food"}]))
    assert (answer.status_code, [(e["pointer"], e["code"]) for e in answer.json()["errors"]]) == (
        409, [("/children/1/external_id", "external_id_taken")])
    assert counts(service) == before


def test_nothing_is_registered_when_a_number_stands_twice(service, partner):
    number = {"kind": "other", "number": "AB 1234567"}
    twice = [{"protection": "none"}, {"protection": "none", "identifiers": [number, number]}]
    before = counts(service)
    answer = register(partner, family(children=twice, needs=[{"for": "person", "category_code": "food"}]))
    assert (answer.status_code, [(e["pointer"], e["code"]) for e in answer.json()["errors"]]) == (
        409, [("/children/1/identifiers/1/number", "identifier_exists")])
    assert counts(service) == before


def test_nothing_is_changed_before_it_was_made(service, partner):
    told = done(register(partner), 201)
    made = done(partner.get("/applications/" + told["application_id"]))["needs"]
    made += done(partner.get(f"/applications/{told['application_id']}/certifications"))["certifications"]
    assert len(made) == 5 and all(row["created_at"] <= row["updated_at"] for row in made)


def test_repetition_registers_once(service, partner):
    headers = keyed()
    body = family()
    one = partner.post("/registrations", json=body, headers=headers)
    before = counts(service)
    other = partner.post("/registrations", json=body, headers=headers)
    assert done(one, 201) == done(other, 201)
    assert counts(service) == before


def test_front_end_gets_a_reference_and_nothing_else(service):
    body = family()
    del body["certification"]
    answer = register(service.as_("intake"), body)
    told = done(answer, 201)
    assert set(told) == {"reference"}
    assert "Location" not in answer.headers
    assert not [name for name, value in answer.headers.items() if "applications" in value]


def test_front_end_creates_what_triage_sees(service):
    body = family(person={"alias": "Anonym"})
    del body["certification"]
    reference = done(register(service.as_("intake"), body), 201)["reference"]
    triage = service.as_("triage")
    found = done(triage.get("/applications", params={"limit": 5}))["applications"]
    assert reference in [row["reference"] for row in found]
    mine = next(row for row in found if row["reference"] == reference)
    assert (mine["agency_id"], mine["state"]) == (None, "submitted")


def test_front_end_reads_nothing(service):
    intake = service.as_("intake")
    for path in ("/applications", "/applicants", "/children", "/applications/" + str(uuid.uuid4())):
        assert intake.get(path).status_code == 403


def test_front_end_certifies_nothing(service):
    answer = register(service.as_("intake"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "certification_needs_ombud"


def test_case_worker_registers_for_the_charity(service):
    body = family(certification={"evidence": "document", "statement": "Intyg från socialtjänsten."})
    told = done(register(service.as_("case_worker"), body), 201)
    assert done(service.as_("case_worker").get("/applications/" + told["application_id"]))["agency_id"] is None


@pytest.mark.parametrize("role", ["decision_maker", "triage", "fund_manager", "auditor", "admin"])
def test_others_register_nobody(service, role):
    assert register(service.as_(role)).status_code == 403


def test_what_is_sealed_is_not_in_the_database(service, partner):
    body = family()
    body["person"] |= {"given_name": "Xquzelda", "family_name": "Brunnsåker"}
    body["application"]["summary"] = "Xquzelda söker skydd."
    done(register(partner, body), 201)
    held = service.sql("SELECT string_agg(t, '') FROM (SELECT p::text FROM persons p UNION ALL SELECT a::text FROM"
                       " applications a UNION ALL SELECT n::text FROM needs n UNION ALL SELECT o::text FROM outbox o UNION ALL"
                       " SELECT i::text FROM vault.idempotency_keys i) AS t (t)")[0][0]
    assert "Xquzelda" not in held


def test_events_of_a_protected_family_tell_no_id(service, partner):
    told = done(register(partner, family(person={"alias": "Mira"})), 201)
    events = service.sql("SELECT type, record_id FROM outbox ORDER BY xid DESC, id DESC LIMIT 1")
    assert events == [("worklist.changed", None)]
    assert not service.sql("SELECT FROM outbox WHERE record_id = %s", told["application_id"])
