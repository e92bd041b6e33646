"""No read without a trace: rows for what was read, written and refused; readable to auditors, changeable by nobody."""

import uuid

import psycopg
import pytest
from psycopg import sql

from casework import Case, done, keyed, principal

ROLES = ["utvag_login", "utvag_partner", "utvag_public", "utvag_case", "utvag_finance", "utvag_project", "utvag_auditor",
         "utvag_admin", "utvag_app", "utvag_owner"]


@pytest.fixture(scope="module")
def case(service):
    case = Case(service).ready("glasses")
    case.decision = case.decide()["id"]
    return case


@pytest.fixture
def auditor(service):
    return service.as_("auditor")


def trace(answer):
    return answer.headers["traceparent"].split("-")[1]


def rows(service, answer):
    """The audit rows of a request: outcome, status, code, record ids, purpose, operation."""
    return service.sql("SELECT outcome, status, code, record_ids::text[], purpose, operation FROM audit_events WHERE trace_id = %s", trace(answer))


def reads(case):
    return {"readApplicant": f"/applicants/{case.person}", "readApplication": case.path(), "listApplications": "/applications",
            "listNeeds": case.path("needs"), "listCertifications": case.path("certifications"),
            "listDecisions": "/decisions", "readDecision": "/decisions/" + case.decision,
            "listApplicationDecisions": case.path("decisions"), "listEmergencyGrants": "/emergency-grants",
            "listApplicants": "/applicants", "listChildren": "/children"}


@pytest.mark.parametrize("operation", ["readApplicant", "readApplication", "listApplications", "listNeeds", "listCertifications",
                                       "listDecisions", "readDecision", "listApplicationDecisions", "listEmergencyGrants",
                                       "listApplicants", "listChildren"])
@pytest.mark.parametrize("role", ["worker", "partner"])
def test_every_reading_of_case_data_has_its_row(service, case, operation, role):
    answer = getattr(case, role).get(reads(case)[operation])
    body = done(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    [(outcome, status, code, ids, purpose, name)] = rows(service, answer)
    assert (outcome, status, code, name) == ("ok", None, None, operation) and purpose
    listed = next((value for key, value in body.items() if not key.startswith("_") and isinstance(value, list)), None)
    shown = [body["id"]] if "id" in body else [item["id"] for item in listed]
    assert set(shown) <= set(ids)


def test_purpose_is_what_the_caller_says(service, case):
    answer = case.worker.get(case.path(), headers={"X-Purpose": "subject_access"})
    assert [row[4] for row in rows(service, answer)] == ["subject_access"]


def test_writing_has_its_row(service, case):
    answer = case.worker.post("/eligibility-assessments", headers=keyed(), json={
        "person_id": case.person, "outcome": "direct", "exploited_in_sweden": True, "reason": "Egen berättelse."})
    done(answer, 201)
    [(outcome, _, _, ids, _, operation)] = rows(service, answer)
    assert outcome == "ok" and answer.json()["id"] in ids and operation == "createEligibilityAssessment"


def test_what_is_not_there_is_logged(service, case):
    for client, path in ((case.worker, f"/decisions/{uuid.uuid4()}"), (service.as_("partner_other", "handl-9"), "/decisions/" + case.decision)):
        answer = client.get(path)
        assert answer.status_code == 404
        [(outcome, *_, operation)] = rows(service, answer)
        assert (outcome, operation) == ("not_found", "readDecision")


@pytest.mark.parametrize("status", [403, 409, 412, 422])
def test_refusals_are_logged(service, case, status):
    answer = {
        403: lambda: service.as_("admin").get(case.path()),
        409: lambda: case.worker.post(case.path("start-review"), json={}, headers=keyed()),
        412: lambda: case.try_decide(tag='"999.00000000"'),
        422: lambda: case.worker.post("/eligibility-assessments", headers=keyed(), json={
            "person_id": str(uuid.uuid4()), "outcome": "direct", "exploited_in_sweden": True}),
    }[status]()
    assert answer.status_code == status, answer.text
    [(outcome, logged, code, *_)] = rows(service, answer)
    assert (outcome, logged, code) == ("refused", status, answer.json()["code"])


def test_a_forged_token_is_logged(service, case):
    answer = service.anyone().get(case.path(), headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401
    assert [row[:2] for row in rows(service, answer)] == [("refused", 401)]


def test_nothing_is_read_when_it_cannot_be_logged(service, case):
    """Without the right to write its audit row no statement answers, for readers and writers alike."""
    service.expects_error("statement failed")
    try:
        with service.connect() as connection:
            for role in ROLES[:-1]:
                connection.execute(sql.SQL("REVOKE INSERT ON audit_events FROM {}").format(sql.Identifier(role)))
        for client in (case.worker, case.partner):
            for path in reads(case).values():
                answer = client.get(path)
                assert answer.status_code >= 500, (path, answer.status_code)
                assert case.person not in answer.text and case.id not in answer.text and "needs" not in answer.text
        before = service.sql("SELECT count(*) FROM persons")
        assert case.partner.post("/applicants", json={"alias": "Ingen", "protection": "none"}, headers=keyed()).status_code >= 500
        assert service.sql("SELECT count(*) FROM persons") == before
    finally:
        with service.connect() as connection:
            for role in ROLES[:-1]:
                connection.execute(sql.SQL("GRANT INSERT ON audit_events TO {}").format(sql.Identifier(role)))
    done(case.worker.get(case.path()))


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET code = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"])
@pytest.mark.parametrize("role", [*ROLES, "postgres"])
def test_log_is_append_only_for_every_role(service, role, statement):
    with service.connect() as connection:
        before = connection.execute("SELECT count(*) FROM audit_events").fetchone()
        with pytest.raises(psycopg.Error):
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                connection.execute(statement)
        assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == before


def test_log_holds_no_content(service):
    """Neither the audit log nor the one on the console."""
    name = "Zoé-" + uuid.uuid4().hex
    client = service.as_("partner", "handl-1")
    done(client.post("/applicants", json={"given_name": name, "protection": "none"}, headers=keyed()), 201)
    assert service.sql("SELECT count(*) FROM audit_events a WHERE a::text ILIKE %s", f"%{name}%") == [(0,)]
    assert service.log("request") and not [line for line in service.lines if name in line]


def test_every_sign_in_is_in_the_log(service):
    who = service.cluster.credentials()["case_worker"]
    answer = service.anyone().post("/sessions", json=who)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    [(outcome, *_, operation)] = rows(service, answer)
    assert (outcome, operation) == ("ok", "createSession")


def test_fault_of_ours_is_a_500_that_tells_nothing_and_is_logged_with_its_trace(service, case):
    service.expects_error("statement failed")
    service.sql("REVOKE SELECT ON needs FROM utvag_case")
    try:
        answer = case.worker.get(case.path())
    finally:
        service.sql("GRANT SELECT ON needs TO utvag_case")
    told = answer.json()
    assert answer.status_code == 500 and told["code"] == "internal" and answer.headers["Content-Type"] == "application/problem+json"
    assert not [word for word in ("permission", "denied", "needs", "SELECT") if word in answer.text]
    assert told["trace_id"] in [line["trace_id"] for line in service.log("statement failed")]


# Reading it ---------------------------------------------------------------------------------------------------------------

def test_auditor_reads_the_log_newest_first(service, case, auditor):
    done(case.worker.get(case.path()))
    page = done(auditor.get("/audit-events", params={"limit": 50}))
    times = [event["occurred_at"] for event in page["audit_events"]]
    assert times == sorted(times, reverse=True) and len(times) == 50
    first = page["audit_events"][0]
    assert done(auditor.get("/audit-events/" + first["id"])) == first


@pytest.mark.parametrize("role", ["partner", "intake", "case_worker", "decision_maker", "triage", "fund_manager", "project_manager", "admin"])
def test_nobody_else_reads_the_log(service, role):
    assert service.as_(role).get("/audit-events").status_code == 403


def test_auditor_reads_no_case_data(case, auditor):
    for path in reads(case).values():
        assert auditor.get(path).status_code == 403


def test_log_is_filtered(service, case, auditor):
    done(case.worker.get(case.path()))
    worker = principal(case.worker)
    found = done(auditor.get("/audit-events", params={"principal_id": worker, "operation": "readApplication", "outcome": "ok"}))
    assert found["audit_events"]
    for event in found["audit_events"]:
        assert (event["principal_id"], event["operation"], event["outcome"]) == (worker, "readApplication", "ok")
        assert event["role"] == "case_worker" and event["officer"] == "user:" + worker
    moment = found["audit_events"][-1]["occurred_at"]
    until = done(auditor.get("/audit-events", params={"occurred_to": moment, "sort": "occurred_at", "limit": 100}))["audit_events"]
    assert all(event["occurred_at"] <= moment for event in until)
    since = done(auditor.get("/audit-events", params={"occurred_from": moment}))["audit_events"]
    assert all(event["occurred_at"] >= moment for event in since)


def test_log_is_paged_without_gap(service, auditor):
    url, seen = "/audit-events?limit=7&operation=readApplication&sort=occurred_at", []
    while url:
        page = done(auditor.get(url))
        seen += [event["id"] for event in page["audit_events"]]
        url = page["_links"].get("next", {}).get("href")
        url = url and "/audit-events" + url.split("/audit-events")[1]
    stored = service.sql("SELECT id::text FROM audit_events WHERE operation = 'readApplication' ORDER BY occurred_at, id")
    assert seen == [row[0] for row in stored]


def test_reading_the_log_is_logged(service, auditor):
    answer = auditor.get("/audit-events", params={"limit": 1})
    [(outcome, *_, purpose, operation)] = rows(service, answer)
    assert (outcome, purpose, operation) == ("ok", "supervision", "listAuditEvents")
