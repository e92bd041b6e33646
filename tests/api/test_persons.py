"""Applicants and children: registering, reading, changing, listing."""

import concurrent.futures
import re

import pytest
import requests

from people import applicant, change, child, codes, made, path_of, personnummer, reference, tag

BOTH = pytest.mark.parametrize("plural, build", [("applicants", applicant), ("children", child)])
SEALED = {
    "given_name": "Mirela", "family_name": "Hoxha", "alias": "Lisa", "birth_date": "1985-07-09", "phone": "+46701740605",
    "email": "mirela@familjen.example", "language_code": "sq", "interpreter_needed": True,
    "safe_contact": {"channel": "text", "times": "vardagar 9–11", "language": "sq", "instructions": "Ring aldrig."},
    "notes": "Behöver nya glasögon.", "trafficking_status": "actual", "exploitation_types": ["forced_begging"],
    "means_of_control": ["debt_bondage"], "street_address": "Exempelgatan 12", "postal_code": "111 22", "city": "Ystad",
    "municipality_code": "1286",
}


@BOTH
def test_partner_registers_and_reads_back_every_member(service, plural, build):
    partner = service.as_("partner", "handl-1")
    said = SEALED | {"external_id": reference(), "residence_status_code": "temporary_5_15",
                     "residence_expires_on": "2027-03-31", "birth_date_basis": "stated"}
    there = build(partner, **said)
    assert {name: there[name] for name in said} == said
    read = partner.get(path_of(there))
    assert read.json() == there
    assert read.headers["ETag"].startswith('"1.')
    assert read.headers["Cache-Control"] == "no-store"


@BOTH
def test_location_leads_to_the_new_record(service, plural, build):
    partner = service.as_("partner", "handl-1")
    answer = partner.post(f"/{plural}", json={"protection": "none"})
    assert answer.status_code == 201
    path = answer.headers["Location"].split("/v1", 1)[1]
    assert path == f"/{plural}/{answer.json()['id']}"
    assert partner.get(path).status_code == 200


@BOTH
@pytest.mark.parametrize("little", [{}, {"alias": "Lisen"}])
def test_nothing_need_be_known_of_a_person(service, plural, build, little):
    officer = service.as_("partner", "handl-1")
    there = made(officer.post(f"/{plural}", json=little))
    assert there["protection_effective"] == "unknown"
    assert there["identifiers"] == []
    assert there.get("alias") == little.get("alias")


def test_a_child_needs_no_parent(service):
    assert child(service.as_("case_worker"), alias="Lisen")["agency_id"] is None


def test_a_child_is_no_applicant(service):
    partner = service.as_("partner", "handl-1")
    assert partner.get("/applicants/" + child(partner)["id"]).status_code == 404
    assert partner.get("/children/" + applicant(partner)["id"]).status_code == 404


@pytest.mark.parametrize("role", ["decision_maker", "triage"])
def test_those_who_do_not_register_may_read(service, role):
    there = applicant(service.as_("case_worker"))
    client = service.as_(role)
    assert client.get(path_of(there)).status_code == 200
    assert client.post("/applicants", json={"protection": "none"}).status_code == 403
    answer = client.patch(path_of(there), json={"alias": "X"}, headers={"If-Match": tag(client, path_of(there))})
    assert answer.status_code == 403


@pytest.mark.parametrize("role", ["intake", "fund_manager", "project_manager", "auditor", "admin"])
def test_others_do_not_reach_persons(service, role):
    there = applicant(service.as_("case_worker"))
    assert service.as_(role).get(path_of(there)).status_code == 403
    assert service.as_(role).get("/applicants").status_code == 403


def as_(service, role):
    """A client of a role; a machine states the officer it acts for."""
    return service.as_(role, "handl-1" if role.startswith("partner") else None)


def without_trace(answer):
    return re.sub(r'[0-9a-f]{32}|urn:uuid:[0-9a-f-]{36}', "-", answer.text)


def test_another_agencys_person_is_as_one_that_does_not_exist(service):
    there = applicant(service.as_("partner", "handl-1"))
    other = service.as_("partner_other", "handl-9")
    hidden = other.get(path_of(there))
    missing = other.get("/applicants/11111111-1111-4111-8111-111111111111")
    assert hidden.status_code == missing.status_code == 404
    strip = lambda answer: without_trace(answer).replace(there["id"], "-").replace(
        "11111111-1111-4111-8111-111111111111", "-")
    assert strip(hidden) == strip(missing)
    patched = other.patch(path_of(there), json={"residence_status_code": "citizen"}, headers={"If-Match": '"1.00000000"'})
    assert patched.status_code == 404
    listed = other.get("/applicants", params={"limit": 100}).json()["applicants"]
    assert there["id"] not in [one["id"] for one in listed]


def test_staff_see_the_persons_of_every_agency(service):
    there = applicant(service.as_("partner", "handl-1"))
    assert service.as_("case_worker").get(path_of(there)).json()["id"] == there["id"]


def test_what_is_sealed_is_not_in_the_database(service):
    there = applicant(service.as_("partner", "handl-1"), **SEALED, identifiers=[{"kind": "personnummer", "number": personnummer()}])
    rows = service.sql("SELECT p::text FROM persons p WHERE id = %s UNION ALL SELECT i::text FROM identifiers i"
                       " WHERE person_id = %s", there["id"], there["id"])
    text = "".join(row[0] for row in rows)
    for word in ("Mirela", "Hoxha", "Lisa", "1985", "0701740605", "familjen", "Ring aldrig", "begging", "Exempel", "Ystad"):
        assert word not in text
        assert word.encode().hex() not in text


def test_patch_merges_sealed_and_plain_members(service):
    partner = service.as_("partner", "handl-1")
    there = applicant(partner, **SEALED, residence_status_code="asylum_seeker")
    answer = change(partner, path_of(there), phone="+46701740607", email=None, residence_status_code=None,
                    safe_contact={"times": None})
    assert answer.status_code == 200
    now = answer.json()
    assert now["phone"] == "+46701740607"
    assert "email" not in now
    assert now["residence_status_code"] is None
    assert now["safe_contact"] == {"channel": "text", "language": "sq", "instructions": "Ring aldrig."}
    kept = set(SEALED) - {"phone", "email", "safe_contact"}
    assert {name: now[name] for name in kept} == {name: SEALED[name] for name in kept}
    assert now["version"] == 2
    assert answer.headers["ETag"].startswith('"2.')


def test_patch_without_if_match_is_refused(service):
    partner = service.as_("partner", "handl-1")
    assert partner.patch(path_of(applicant(partner)), json={"alias": "X"}).status_code == 428


@pytest.mark.parametrize("members", [{"alias": "X"}, {"residence_status_code": "citizen"}])
def test_patch_of_a_stale_version_is_refused(service, members):
    partner = service.as_("partner", "handl-1")
    path = path_of(applicant(partner))
    before = tag(partner, path)
    assert change(partner, path, alias="Y").status_code == 200
    assert partner.patch(path, json=members, headers={"If-Match": before}).status_code == 412


def test_what_the_service_keeps_may_come_back_unchanged(service):
    partner = service.as_("partner", "handl-1")
    there = applicant(partner, alias="Lisa", identifiers=[{"kind": "other", "number": "A-17"}])
    there["alias"] = "Mira"
    answer = change(partner, path_of(there), **there)
    assert answer.status_code == 200, answer.text
    assert answer.json()["alias"] == "Mira"


@pytest.mark.parametrize("members", [{"kind": "child"}, {"agency_id": None}, {"protection_effective": "unknown"}, {"version": 9}])
def test_what_the_service_keeps_does_not_change(service, members):
    partner = service.as_("partner", "handl-1")
    there = applicant(partner)
    assert change(partner, path_of(there), **members).status_code == 422
    assert partner.get(path_of(there)).json() == there


def test_a_change_keeps_history(service):
    partner = service.as_("partner", "handl-1")
    there = applicant(partner, residence_status_code="asylum_seeker")
    change(partner, path_of(there), residence_status_code="permanent")
    assert service.sql("SELECT record->>'residence_status_code' FROM person_versions WHERE person_id = %s",
                       there["id"]) == [("asylum_seeker",)]


# References ---------------------------------------------------------------------------------------------------------

def test_external_id_is_unique_within_the_agency(service):
    partner, mine = service.as_("partner", "handl-1"), reference()
    applicant(partner, external_id=mine)
    again = partner.post("/applicants", json={"protection": "none", "external_id": mine})
    assert again.status_code == 409
    assert codes(again) == {"external_id_taken"}
    child(partner, external_id=mine)


def test_external_id_of_another_agency_does_not_conflict(service):
    mine = reference()
    for role in ("partner", "partner_other", "case_worker"):
        applicant(as_(service, role), external_id=mine)


def test_reference_of_a_hidden_person_never_answers(service):
    """Whoever may not see the record is not told of it by a refusal either."""
    partner, mine = service.as_("partner", "handl-1"), reference()
    hidden = applicant(partner, external_id=mine, protection="sekretessmarkering")
    colleague = service.as_("partner", "handl-2")
    there = applicant(colleague, external_id=mine)
    moved = applicant(colleague, external_id=reference())
    assert change(colleague, path_of(moved), external_id=mine).status_code == 409, "there is one that she sees"
    find = lambda client: {one["id"] for one in client.get("/applicants", params={"external_id": mine}).json()["applicants"]}
    assert (find(colleague), find(partner)) == ({there["id"]}, {there["id"], hidden["id"]})


def test_protection_is_not_lowered_while_the_reference_is_taken(service):
    partner, mine = service.as_("partner", "handl-1"), reference()
    hidden = applicant(partner, external_id=mine, protection="sekretessmarkering")
    applicant(service.as_("partner", "handl-2"), external_id=mine)
    refused = change(partner, path_of(hidden), protection="none")
    assert (refused.status_code, codes(refused)) == (409, {"external_id_taken"})
    assert partner.get(path_of(hidden)).json()["protection_effective"] == "sekretessmarkering"
    assert change(partner, path_of(hidden), protection="none", external_id=reference()).status_code == 200


def test_front_end_learns_of_nobody_by_a_reference(service):
    """It registers where the charity does, and may know of nobody."""
    for level in ("fingerade_personuppgifter", "none"):
        mine = reference()
        applicant(service.as_("case_worker"), external_id=mine, protection=level)
        body = {"person": {"external_id": mine, "protection": "none"}, "application": {"external_id": mine},
                "needs": [{"for": "person", "category_code": "food"}]}
        assert service.as_("intake").post("/registrations", json=body).status_code == 201


@pytest.mark.parametrize("number", ["850709-9805", "198507099805", "19850709-9805", "8507099805", "701063-2391"])
def test_external_id_may_not_look_like_an_identity_number(service, number):
    answer = service.as_("partner", "handl-1").post("/applicants", json={"protection": "none", "external_id": number})
    assert answer.status_code == 422
    assert number not in answer.text


def test_a_person_is_found_by_external_id(service):
    partner, mine = service.as_("partner", "handl-1"), reference()
    there = applicant(partner, external_id=mine)
    for role in ("partner", "case_worker"):
        found = as_(service, role).get("/applicants", params={"external_id": mine}).json()["applicants"]
        assert [one["id"] for one in found] == [there["id"]]
    assert service.as_("partner_other", "handl-9").get("/applicants", params={"external_id": mine}).json()["applicants"] == []


# Numbers ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, number", [("personnummer", "198507099805"), ("samordningsnummer", "197010632391"),
                                          ("lma", "12-345678"), ("passport", "XA1234567"), ("other", "k 17")])
def test_a_number_of_each_kind_is_kept(service, kind, number):
    there = applicant(service.as_("partner", "handl-1"), identifiers=[{"kind": kind, "number": number}])
    assert [(one["kind"], one["number"]) for one in there["identifiers"]] == [(kind, number)]


@pytest.mark.parametrize("kind, number", [("personnummer", "198507099804"), ("personnummer", "198513099805"),
                                          ("samordningsnummer", "198507099805"), ("interim", "850709-A123"), ("lma", "12345")])
def test_a_number_that_breaks_the_rules_of_its_kind_is_refused(service, kind, number):
    answer = service.as_("partner", "handl-1").post("/applicants", json={"protection": "none",
                                                              "identifiers": [{"kind": kind, "number": number}]})
    assert answer.status_code == 422
    assert number not in answer.text


@BOTH
def test_a_person_may_get_another_number(service, plural, build):
    partner = service.as_("partner", "handl-1")
    there = build(partner, identifiers=[{"kind": "samordningsnummer", "number": "197010632391", "identity_level": "sannolik"}])
    answer = partner.post(f"/{plural}/{there['id']}/identifiers", json={"kind": "personnummer", "number": personnummer(),
                                                                       "valid_from": "2026-10-01"})
    now = made(answer)
    assert [one["kind"] for one in now["identifiers"]] == ["samordningsnummer", "personnummer"]
    assert now["version"] == 2
    assert answer.headers["Location"].endswith(f"/{plural}/{there['id']}")


def test_a_corrected_number_stays_as_history_and_is_not_found(service):
    partner, wrong, right = service.as_("partner", "handl-1"), personnummer(), personnummer()
    there = applicant(partner, identifiers=[{"kind": "personnummer", "number": wrong}])
    body = {"kind": "personnummer", "number": right, "replaces_id": there["identifiers"][0]["id"]}
    now = made(partner.post(path_of(there) + "/identifiers", json=body))
    assert [one["number"] for one in now["identifiers"]] == [right]
    find = lambda number: partner.post("/applicants/search", json={"identifier": {"number": number}}).json()["applicants"]
    assert find(wrong) == []
    assert [one["id"] for one in find(right)] == [there["id"]]
    assert service.sql("SELECT count(*) FROM identifiers WHERE person_id = %s", there["id"]) == [(2,)]


@BOTH
def test_a_number_stands_once_with_a_person(service, plural, build):
    """However it is written, of whatever kind; with another person it is no news."""
    partner, number = service.as_("partner", "handl-1"), personnummer()
    there = build(partner, identifiers=[{"kind": "personnummer", "number": number}])
    for kind, written in (("personnummer", number), ("personnummer", f"{number[2:8]}-{number[8:]}"), ("other", number)):
        answer = partner.post(f"/{plural}/{there['id']}/identifiers", json={"kind": kind, "number": written})
        assert (answer.status_code, answer.json()["code"]) == (409, "identifier_exists"), (kind, answer.text)
        assert number[-4:] not in answer.text
    now = partner.get(f"/{plural}/{there['id']}").json()
    assert (now["version"], len(now["identifiers"])) == (1, 1)
    build(partner, identifiers=[{"kind": "personnummer", "number": number}])


def test_a_person_is_not_registered_with_one_number_twice(service):
    number = {"kind": "passport", "number": "AB 123456"}
    answer = service.as_("partner", "handl-1").post("/applicants", json={"protection": "none", "identifiers": [number, number]})
    assert (answer.status_code, answer.json()["code"]) == (409, "identifier_exists")


def test_a_number_may_be_corrected_to_itself(service):
    """Its kind or its dates were wrong."""
    partner, number = service.as_("partner", "handl-1"), personnummer()
    there = applicant(partner, identifiers=[{"kind": "other", "number": number}])
    body = {"kind": "personnummer", "number": number, "replaces_id": there["identifiers"][0]["id"]}
    assert [one["kind"] for one in made(partner.post(path_of(there) + "/identifiers", json=body))["identifiers"]] == ["personnummer"]


def test_a_number_added_many_times_at_once_stands_once(service):
    partner, number = service.as_("partner", "handl-1"), {"kind": "personnummer", "number": personnummer()}
    there = applicant(partner)
    partner.get("/codes")
    add = lambda _: requests.post(service.url + path_of(there) + "/identifiers", json=number, headers=partner.headers, timeout=30)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        statuses = sorted(answer.status_code for answer in threads.map(add, range(8)))
    assert statuses == [201] + [409] * 7
    assert len(partner.get(path_of(there)).json()["identifiers"]) == 1


def test_only_ones_own_number_is_corrected(service):
    partner = service.as_("partner", "handl-1")
    theirs = applicant(partner, identifiers=[{"kind": "other", "number": "A-1"}])
    mine = applicant(partner)
    body = {"kind": "other", "number": "B-1", "replaces_id": theirs["identifiers"][0]["id"]}
    answer = partner.post(path_of(mine) + "/identifiers", json=body)
    assert answer.status_code == 422
    assert codes(answer) >= {"reference_unknown"}


def test_numbers_are_shown_to_those_who_look_people_up(service):
    there = applicant(service.as_("partner", "handl-1"), identifiers=[{"kind": "personnummer", "number": "198507099805"}])
    shown = lambda role: as_(service, role).get(path_of(there)).json()["identifiers"][0].get("number")
    assert shown("partner") == shown("case_worker") == "198507099805"
    assert shown("decision_maker") is None


def test_a_number_that_ends_before_it_begins_is_refused(service):
    number = {"kind": "other", "number": "A-1", "valid_from": "2026-02-01", "valid_until": "2026-01-01"}
    answer = service.as_("partner", "handl-1").post("/applicants", json={"protection": "none", "identifiers": [number]})
    assert answer.status_code == 422
    assert "identifier_ends_after_it_begins" in codes(answer)


# Lists --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
def test_pages_hold_everyone_once_in_order(service, sort):
    partner = service.as_("partner", "handl-1")
    mine = {child(partner)["id"] for _ in range(5)}
    seen, path = [], f"/children?limit=2&sort={sort}"
    while path:
        page = partner.get(path).json()
        assert len(page["children"]) <= 2
        seen += page["children"]
        path = page["_links"]["next"]["href"].split("/v1", 1)[1] if "next" in page["_links"] else None
    ids = [one["id"] for one in seen]
    assert len(ids) == len(set(ids))
    assert mine <= set(ids)
    times = [one[sort.lstrip("-")] for one in seen]
    assert times == sorted(times, reverse=sort.startswith("-"))


def test_lists_count_what_the_caller_sees(service):
    partner, other = service.as_("partner", "handl-1"), service.as_("partner_other", "handl-9")
    count = lambda client: client.get("/applicants", params={"count": "true"}).json()["_meta"]["count"]
    before = count(partner), count(other)
    applicant(partner)
    assert (count(partner), count(other)) == (before[0] + 1, before[1])


def test_lists_filter_by_protection(service):
    worker = service.as_("case_worker")
    there = child(worker)
    for level in ("none", "sekretessmarkering"):
        listed = worker.get("/children", params={"protection": level, "limit": 100}).json()["children"]
        assert all(one["protection"] == level for one in listed)
        assert (there["id"] in [one["id"] for one in listed]) == (level == "none")


# Repetition ---------------------------------------------------------------------------------------------------------

def test_a_repeated_key_registers_once(service):
    partner = service.as_("partner", "handl-1")
    send = lambda alias: partner.post("/applicants", json={"protection": "none", "alias": alias},
                                      headers={"Idempotency-Key": key})
    key = reference()
    first, again, other = send("Lisa"), send("Lisa"), send("Mira")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert other.status_code == 422


def test_a_child_has_a_school_year(service):
    partner = service.as_("partner", "handl-1")
    made = partner.post("/children", json={"alias": "Lisen", "protection": "none", "school_year": 4})
    assert (made.status_code, made.json()["school_year"]) == (201, 4)
    path, tag = "/children/" + made.json()["id"], made.headers["ETag"]
    moved = partner.patch(path, json={"school_year": 5}, headers={"If-Match": tag})
    assert moved.json()["school_year"] == partner.get(path).json()["school_year"] == 5
    left = partner.patch(path, json={"school_year": None}, headers={"If-Match": moved.headers["ETag"]})
    assert left.json()["school_year"] is None


def test_a_school_year_is_a_childs_and_within_school(service):
    partner = service.as_("partner", "handl-1")
    assert partner.post("/children", json={"school_year": 13}).json()["errors"][0]["pointer"] == "/school_year"
    assert partner.post("/applicants", json={"school_year": 4}).status_code == 422
    assert "school_year" not in partner.post("/applicants", json={"alias": "Mira", "protection": "none"}).json()
