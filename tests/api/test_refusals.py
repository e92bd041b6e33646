"""What is refused: the same answer whatever the reason, and a row in the audit log before it."""

import pytest

UNKNOWN = "00000000-0000-4000-8000-00000000abcd"


def rows(service, trace):
    return service.sql("SELECT outcome, status, code, operation, principal_id IS NOT NULL, record_ids FROM audit_events "
                       "WHERE trace_id = %s", trace)


def without_trace(answer):
    trace = answer.json()["trace_id"]
    text = answer.text.replace(trace, "")
    plain = f"{trace[:8]}-{trace[8:12]}-{trace[12:16]}-{trace[16:20]}-{trace[20:]}"
    return answer.status_code, text.replace(plain, ""), sorted(answer.headers.keys() - {"Connection"})


@pytest.fixture(scope="module")
def hidden(service):
    """An applicant of another agency."""
    body = {"alias": "Vintergäck", "protection": "none"}
    answer = service.as_("partner_other", "handl-1").post("/applicants", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize("path", ["/applicants/" + UNKNOWN, "/applicants/no-such-form", "/applicants/1912121212"])
def test_unknown_id_is_404_and_audited_once(service, path):
    answer = service.as_("case_worker").get(path)
    assert answer.status_code == 404
    found = rows(service, answer.json()["trace_id"])
    assert len(found) == 1
    assert found[0][:2] in (("refused", 404), ("not_found", 404), ("not_found", None))
    assert found[0][4]


def test_invisible_is_as_unknown_byte_for_byte(service, hidden):
    partner = service.as_("partner")
    unknown = partner.get("/applicants/" + UNKNOWN)
    assert without_trace(unknown) == without_trace(partner.get("/applicants/" + hidden))
    assert without_trace(unknown) == without_trace(partner.get("/applicants/not-an-id"))
    assert without_trace(unknown)[:2] == without_trace(partner.get("/no-such-thing"))[:2], "but nobody's rate"


def test_missing_role_is_403_and_audited(service):
    answer = service.as_("auditor").get("/applicants")
    assert answer.status_code == 403 and answer.json()["code"] == "role_missing"
    assert [row[:4] for row in rows(service, answer.json()["trace_id"])] == [("refused", 403, "role_missing", "listApplicants")]


def test_bad_token_is_401_and_audited(service):
    answer = service.anyone().get("/applicants", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401 and answer.json()["code"] == "token_invalid"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert [row[:3] for row in rows(service, answer.json()["trace_id"])] == [("refused", 401, "token_invalid")]


def test_no_token_is_401_without_a_row(service):
    answer = service.anyone().get("/applicants")
    assert answer.status_code == 401 and answer.json()["code"] == "token_missing"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="utvag"'
    assert rows(service, answer.json()["trace_id"]) == []


def test_personal_answers_are_never_kept(service):
    answer = service.as_("case_worker").get("/applicants")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
