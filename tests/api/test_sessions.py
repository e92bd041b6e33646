"""Tokens and sessions: who gets one, and what a refusal tells."""

import statistics
import time

import pytest
import requests

from accounts import PASSWORD, email, machine, user

ALMBY = "d0000000-0000-4000-8000-000000000001"


def sign_in(service, address, password):
    return service.anyone().post("/sessions", json={"email": address, "password": password})


def ask(service, credentials, **members):
    body = {"grant_type": "client_credentials"} | credentials | members
    return service.anyone().post("/oauth/token", json=body)


@pytest.fixture(scope="module")
def partner(service):
    return service.cluster.credentials()["partner"]


def without_trace(answer):
    return {name: value for name, value in answer.json().items() if name not in ("trace_id", "instance")}


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_session_answers_with_a_token_that_nobody_keeps(service):
    who = service.cluster.credentials()["case_worker"]
    answer = sign_in(service, who["email"], who["password"])
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "Bearer" and body["expires_in"] == 300 and body["scope"] == "case_worker"
    assert answer.headers["Cache-Control"] == "no-store"
    read = requests.get(service.url + "/agencies", headers={"Authorization": "Bearer " + body["access_token"]}, timeout=30)
    assert read.status_code == 200


def test_address_is_found_however_it_is_written(service):
    who = service.cluster.credentials()["case_worker"]
    assert sign_in(service, who["email"].upper(), who["password"]).status_code == 200


def test_unknown_and_known_address_are_refused_alike(service):
    record, _ = user(service, ["auditor"])
    known, unknown = sign_in(service, record["email"], "fel lösenord helt"), sign_in(service, email(), "fel lösenord helt")
    assert known.status_code == unknown.status_code == 401
    assert known.json()["code"] == "login_failed" and without_trace(known) == without_trace(unknown)
    assert {n: v for n, v in known.headers.items() if n.lower() not in ("traceparent", "date")} == \
        {n: v for n, v in unknown.headers.items() if n.lower() not in ("traceparent", "date")}


def test_unknown_and_known_address_take_the_same_time(service):
    record, _ = user(service, ["auditor"])
    spent = {record["email"]: [], email(): []}
    for _ in range(3):
        for address, times in spent.items():
            begun = time.monotonic()
            sign_in(service, address, "fel lösenord helt")
            times.append(time.monotonic() - begun)
    known, unknown = (statistics.median(times) for times in spent.values())
    assert abs(known - unknown) < 0.5 * max(known, unknown)


def test_refused_logins_are_in_the_audit_log(service):
    for address in (service.cluster.credentials()["auditor"]["email"], email()):
        trace = sign_in(service, address, "fel lösenord helt").json()["trace_id"]
        rows = service.sql("SELECT operation, outcome, status, code FROM audit_events WHERE trace_id = %s"
                           " ORDER BY xid, id", trace)
        assert ("createSession", "refused", 401, "login_failed") in rows
        assert address not in str(service.sql("SELECT a::text FROM audit_events a WHERE trace_id = %s", trace))


def test_refusal_says_nothing_of_the_password(service):
    sign_in(service, email(), "mitt hemliga lösenord")
    assert "mitt hemliga" not in "".join(service.lines)


def test_account_waits_after_five_failures_even_for_the_right_password(service):
    record, _ = user(service, ["auditor"])
    for _ in range(5):
        assert sign_in(service, record["email"], "fel lösenord helt").status_code == 401
    locked = sign_in(service, record["email"], PASSWORD)
    assert locked.status_code == 401 and locked.json()["code"] == "login_failed"
    waits = service.sql("SELECT extract(epoch FROM locked_until - now()) FROM credentials WHERE principal_id = %s",
                        record["id"])[0][0]
    assert 0 < waits <= 30
    service.sql("UPDATE credentials SET locked_until = now() WHERE principal_id = %s", record["id"])
    sign_in(service, record["email"], "fel lösenord helt")
    longer = service.sql("SELECT extract(epoch FROM locked_until - now()) FROM credentials WHERE principal_id = %s",
                         record["id"])[0][0]
    assert 30 < longer <= 60
    service.sql("UPDATE credentials SET locked_until = now() WHERE principal_id = %s", record["id"])
    assert sign_in(service, record["email"], PASSWORD).status_code == 200
    assert service.sql("SELECT failed_count, locked_until FROM credentials WHERE principal_id = %s",
                       record["id"]) == [(0, None)]


# -- tokens of machines -----------------------------------------------------------------------------------------------


def test_client_asks_with_json_or_a_form(service, partner):
    form = {"grant_type": "client_credentials"} | partner
    for answer in (ask(service, partner), service.anyone().post("/oauth/token", data=form)):
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "Bearer" and answer.json()["scope"] == "partner"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("members", [
    {"client_secret": "wrong" * 8},
    {"client_id": "00000000-0000-4000-8000-000000000000"},
    {"client_id": "nobody"},
])
def test_wrong_client_is_refused_as_rfc_6749_has_it(service, partner, members):
    answer = ask(service, partner, **members)
    assert answer.status_code == 401
    body = answer.json()
    assert body["code"] == body["error"] == "invalid_client" and body["error_description"] == body["detail"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store" and "WWW-Authenticate" in answer.headers
    assert service.sql("SELECT status, code FROM audit_events WHERE trace_id = %s AND outcome = 'refused'",
                       body["trace_id"]) == [(401, "invalid_client")]


def test_other_grants_are_not_supported(service, partner):
    answer = ask(service, partner, grant_type="password")
    assert answer.status_code == 400 and answer.json()["error"] == "unsupported_grant_type"


def test_scope_narrows_and_never_widens(service, partner):
    assert ask(service, partner, scope="partner").json()["scope"] == "partner"
    wide = ask(service, partner, scope="partner admin")
    assert wide.status_code == 400 and wide.json()["error"] == "invalid_scope"
    _, both = machine(service, ["case_worker", "auditor"])
    narrow = ask(service, both.credentials, scope="auditor").json()
    assert narrow["scope"] == "auditor"
    header = {"Authorization": "Bearer " + narrow["access_token"]}
    assert requests.get(service.url + "/children", headers=header, timeout=30).status_code == 403


def test_user_is_no_client(service):
    record, _ = user(service, ["auditor"])
    answer = ask(service, {"client_id": record["id"], "client_secret": PASSWORD})
    assert answer.status_code == 401


def test_officer_of_the_token_is_whom_the_machine_acts_for(service, partner):
    token = ask(service, partner, officer="handl-17").json()["access_token"]
    headers = {"Authorization": "Bearer " + token}
    made = requests.post(service.url + "/children", json={}, headers=headers, timeout=30)
    assert made.status_code == 201, made.text
    assert service.sql("SELECT officer FROM audit_events WHERE record_ids = ARRAY[%s::uuid]", made.json()["id"]) == \
        [(f"agency:{ALMBY}:handl-17",)]
    another = requests.get(service.url + "/children", headers=headers | {"X-Acting-Officer": "handl-18"}, timeout=30)
    assert another.status_code == 400


def test_officer_that_looks_like_an_identity_number_is_refused(service, partner):
    answer = ask(service, partner, officer="198112189876")
    assert answer.status_code == 400 and "198112189876" not in answer.text


def test_secrets_are_refused_where_they_are_off(serving):
    with serving(client_secrets=0) as service:
        answer = ask(service, service.cluster.credentials()["partner"])
        assert answer.status_code == 401
        assert answer.json()["code"] == "client_secrets_off" and answer.json()["error"] == "invalid_client"


def test_token_of_one_agency_s_client_dies_with_its_suspension(service):
    record, caller = machine(service, ["partner"], agency_id=ALMBY)
    assert caller.get("/agencies").status_code == 200
    etag = service.as_("admin").get("/clients/" + record["id"]).headers["ETag"]
    gone = service.as_("admin").patch("/clients/" + record["id"], json={"status": "suspended"}, headers={"If-Match": etag})
    assert gone.status_code == 200, gone.text
    assert caller.get("/agencies").status_code == 401
