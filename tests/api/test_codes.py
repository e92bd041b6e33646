"""Code lists: what coded members may say, in both languages, for everyone who is signed in."""

import re

import pytest

from casework import done

ROLES = ["partner", "intake", "case_worker", "decision_maker", "triage", "fund_manager", "project_manager", "auditor", "admin"]
INTERVENTIONS = """glasses food housing clothes shoes medicine childrens_clothes childrens_equipment pram computer
    rehabilitation education psychosocial_support psychosocial_support_home_country home_country_support
    self_sufficiency_path legal_aid""".split()


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_codes(service, role):
    body = done(service.as_(role).get("/codes/need-categories"))
    assert body["list"] == "need-categories" and body["label_sv"] == "Behov"


def test_nobody_else_does(service):
    assert service.anyone().get("/codes/need-categories").status_code == 401


def test_every_intervention_is_a_category(service):
    found = {c["code"]: c for c in done(service.as_("partner").get("/codes/need-categories"))["codes"]}
    assert set(INTERVENTIONS) <= set(found)
    assert found["food"]["emergency"] is True and found["education"]["emergency"] is False
    assert {c["group"] for c in found.values()} == {"basic", "safety_rights", "health", "self_sufficiency", "other"}


def test_sweden_has_290_municipalities_in_21_counties(service):
    client = service.as_("partner")
    counties = {c["code"] for c in done(client.get("/codes/counties"))["codes"]}
    municipalities = done(client.get("/codes/municipalities"))["codes"]
    assert len(counties) == 21 and len(municipalities) == 290
    assert all(m["parent"] == m["code"][:2] and m["parent"] in counties for m in municipalities)
    assert {"code": "0180", "label_sv": "Stockholms kommun", "label_en": "Stockholm", "group": None, "parent": "01",
            "emergency": None} in municipalities


def test_lists_are_listed_by_name_and_each_can_be_read(service):
    client, url, names = service.as_("case_worker"), "/codes?limit=10", []
    while url:
        page = done(client.get(url))
        assert len(page["code_lists"]) <= 10
        names += [item["list"] for item in page["code_lists"]]
        url = page["_links"].get("next", {}).get("href")
        url = url and "/codes" + url.split("/codes")[1]
    assert names == sorted(names) and [(len(names),)] == service.sql("SELECT count(*) FROM code_lists")
    for name in names:
        body = done(client.get("/codes/" + name))
        assert body["codes"] and all(c["label_sv"] and c["label_en"] for c in body["codes"]), name


def test_labels_are_in_both_languages(service):
    reasons = {c["code"]: c for c in done(service.as_("partner").get("/codes/dismissal-reasons"))["codes"]}
    assert set(reasons) == {"not_eligible", "lapsed", "missing", "deceased", "left_country", "duplicate", "spam"}
    assert (reasons["deceased"]["label_sv"], reasons["deceased"]["label_en"]) == ("Avliden", "Deceased")


def test_every_code_of_an_error_is_explained(service):
    """What is told is one of the list: see unit/test_text.c for that every code has its text."""
    client = service.as_("partner")
    told = {c["code"]: c for c in done(client.get("/codes/problems"))["codes"]}
    answer = client.post("/children", json={"protection": "none", "shoe": 1}, headers={"Accept-Language": "sv", "X-Acting-Officer": "h"})
    body = answer.json()
    assert [told[row["code"]]["label_sv"] for row in (body, *body["errors"])] == [row["detail"] for row in (body, *body["errors"])]
    assert {"token_expired", "commit_in_doubt", "draining", "four_eyes_required", "application_external_id_taken",
            "needs_missing", "code_unknown", "format_personnummer"} <= told.keys()


def examples_of_problems(node):
    """Every object in the contract that looks like a problem or one of its errors."""
    if isinstance(node, dict):
        if {"code", "detail"} <= node.keys() and isinstance(node["code"], str):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from examples_of_problems(inner)


def test_the_contract_shows_what_is_told(service):
    """Each example of an error has the text that its code has."""
    client = service.as_("partner")
    told = {c["code"]: re.escape(c["label_en"]).replace(r"\{\}", ".+") for c in done(client.get("/codes/problems"))["codes"]}
    shown = list(examples_of_problems(done(client.get("/openapi.json"))))
    assert len(shown) > 15
    for example in shown:
        assert re.fullmatch(told[example["code"]], example["detail"]), example


def test_contracts_enumerations_are_the_lists(service):
    """A code that a schema enumerates is one that a list explains."""
    client = service.as_("partner")
    schemas = done(client.get("/openapi.json"))["components"]["schemas"]
    pairs = {"Protection": "protection-levels", "ResidenceStatusCode": "residence-statuses", "Purpose": "purposes",
             "IdentifierKind": "identifier-kinds", "TraffickingStatus": "trafficking-statuses",
             "DecisionOutcome": "decision-outcomes", "DecisionExceptionCode": "decision-exceptions",
             "BirthDateBasis": "birth-date-bases", "IdentityLevel": "identity-levels",
             "ProjectTargetGroup": "project-target-groups", "ProjectStatus": "project-statuses",
             "ActivityKind": "activity-kinds"}
    for schema, name in pairs.items():
        listed = {c["code"] for c in done(client.get("/codes/" + name))["codes"]}
        assert set(schemas[schema]["enum"]) - {None} == listed, schema


def test_unknown_list_is_not_found(service):
    assert service.as_("partner").get("/codes/no-such-list").status_code == 404


def test_list_is_revalidated_by_its_etag(service):
    client = service.as_("partner")
    first = client.get("/codes/bodies")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get("/codes/bodies", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.content


def test_codes_are_no_case_data_and_leave_no_audit_row(service):
    before = service.sql("SELECT count(*) FROM audit_events WHERE operation = 'readCodeList'")
    service.as_("partner").get("/codes/bodies")
    assert service.sql("SELECT count(*) FROM audit_events WHERE operation = 'readCodeList'") == before
