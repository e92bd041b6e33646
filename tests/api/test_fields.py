"""fields: the members that a reader asks for, of one record or of a list's; what does not exist is said."""

import pytest


@pytest.fixture(scope="module")
def applicant(service):
    body = {"alias": "Backsippa", "protection": "none", "given_name": "Anna", "family_name": "Backman"}
    answer = service.as_("case_worker").post("/applicants", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def read(service, applicant, fields, **headers):
    return service.as_("case_worker").get(f"/applicants/{applicant['id']}", params={"fields": fields}, headers=headers)


@pytest.mark.parametrize("fields", ["alias", "given_name,alias", "protection,version,created_at", "id", "alias,alias"])
def test_a_record_has_what_was_asked_for_and_its_id(service, applicant, fields):
    answer = read(service, applicant, fields)
    assert answer.status_code == 200
    assert answer.json().keys() == set(fields.split(",")) | {"id"}
    assert all(applicant[name] == value for name, value in answer.json().items())


def test_sealed_members_are_chosen_as_others(service, applicant):
    assert read(service, applicant, "family_name").json() == {"id": applicant["id"], "family_name": "Backman"}


@pytest.mark.parametrize("fields", ["aliaz", "alias,nothing", "", "alias,", ",alias", "alias, id", "data_key", "$seal",
                                    "Alias", "alias%00", "a" * 1001])
def test_what_no_record_has_is_400(service, applicant, fields):
    answer = read(service, applicant, fields)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("parameters_invalid", "target_invalid")
    assert not fields or fields not in answer.text.replace("alias", "") or len(fields) < 6


def test_the_tag_is_of_the_representation_and_names_the_version(service, applicant):
    whole = service.as_("case_worker").get("/applicants/" + applicant["id"])
    part = read(service, applicant, "alias")
    assert part.headers["ETag"] != whole.headers["ETag"]
    assert part.headers["ETag"].split(".")[0] == whole.headers["ETag"].split(".")[0]
    assert read(service, applicant, "alias", **{"If-None-Match": part.headers["ETag"]}).status_code == 304
    assert read(service, applicant, "alias", **{"If-None-Match": whole.headers["ETag"]}).status_code == 200
    changed = service.as_("case_worker").patch("/applicants/" + applicant["id"], json={"protection": "none"},
                                               headers={"If-Match": part.headers["ETag"]})
    assert changed.status_code == 200, changed.text


def test_records_of_a_list_have_what_was_asked_for(service, applicant):
    answer = service.as_("case_worker").get("/applicants", params={"fields": "alias,protection", "limit": 2, "count": "true"})
    page = answer.json()
    assert page.keys() == {"applicants", "_meta", "_links"} and page["_meta"]["count"] >= 1
    assert page["applicants"]
    assert all(record.keys() == {"id", "alias", "protection"} for record in page["applicants"])


def test_the_next_page_has_the_same_fields(service, applicant):
    client = service.as_("case_worker")
    client.post("/applicants", json={"alias": "Blåklint", "protection": "none"})
    first = client.get("/applicants", params={"fields": "alias", "limit": 1})
    following = client.get(first.json()["_links"]["next"]["href"].replace(service.url.removesuffix("/v1"), service.url[:-3]))
    assert all(record.keys() == {"id", "alias"} for record in following.json()["applicants"])


def test_reading_a_part_is_reading(service, applicant):
    answer = read(service, applicant, "alias")
    trace = answer.headers["traceparent"].split("-")[1]
    assert service.sql("SELECT operation FROM audit_events WHERE trace_id = %s", trace) == [("readApplicant",)]


def test_fields_are_for_readings(service, applicant):
    answer = service.as_("case_worker").post("/applicants?fields=alias", json={"alias": "Blåsippa", "protection": "none"})
    assert answer.status_code == 400 and answer.json()["code"] == "parameter_unknown"
