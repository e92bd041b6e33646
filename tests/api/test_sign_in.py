"""Sign-ins: what ends one acts on the next request; many at once are no attack, and guesses at once no way round the wait."""

import concurrent.futures
import threading
import time

import pytest
import requests

from accounts import PASSWORD, act, approve, change, codes, machine, path, user
from service import Client, claims

WRONG = "fel lösenord helt"


def bearer(service, token, method="GET", place="/agencies", **options):
    return requests.request(method, service.url + place, headers={"Authorization": "Bearer " + token}, timeout=30, **options)


def sign_in(service, credentials):
    answer = service.anyone().post("/sessions", json=credentials)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refresh(service, token):
    return service.anyone().post("/oauth/token", json={"grant_type": "refresh_token", "refresh_token": token})


def revoke(service, token, **members):
    return service.anyone().post("/oauth/revoke", json={"token": token} | members)


def ends(service, token):
    """How the sign-in of an access token stands."""
    return service.sql("SELECT ended_reason FROM sign_ins WHERE id = %s", claims(token)["sid"])[0][0]


@pytest.fixture(scope="module")
def worker(service):
    return user(service, ["case_worker"])


# -- what a sign-in is ------------------------------------------------------------------------------------------------


def test_each_sign_in_is_a_row_that_its_token_names(service, worker):
    record, caller = worker
    one, other = (claims(sign_in(service, caller.credentials)["access_token"]) for _ in range(2))
    assert one["sid"] != other["sid"]
    rows = service.sql("SELECT principal_id::text, certificate, officer, ended_at, expires_at - created_at = interval '12 hours'"
                       " FROM sign_ins WHERE id = ANY (%s)", [one["sid"], other["sid"]])
    assert rows == [(record["id"], None, None, None, True)] * 2


def test_machine_s_sign_in_names_the_officer_and_ends_with_its_token(service):
    partner = service.cluster.credentials()["partner"]
    body = {"grant_type": "client_credentials", "officer": "handl-9"} | partner
    answer = service.anyone().post("/oauth/token", json=body).json()
    assert "refresh_token" not in answer and "refresh_expires_in" not in answer
    rows = service.sql("SELECT officer, expires_at - created_at <= interval '10 minutes' FROM sign_ins WHERE id = %s",
                       claims(answer["access_token"])["sid"])
    assert rows == [("handl-9", True)]


def test_session_lives_as_long_as_it_is_set_to(serving):
    with serving(session_hours=1) as service:
        answer = sign_in(service, service.cluster.credentials()["case_worker"])
        assert 3590 < answer["refresh_expires_in"] <= 3600
        assert service.sql("SELECT expires_at - created_at = interval '1 hour' FROM sign_ins WHERE id = %s",
                           claims(answer["access_token"])["sid"]) == [(True,)]


def test_token_of_a_sign_in_that_has_expired_is_refused(service, worker):
    token = sign_in(service, worker[1].credentials)["access_token"]
    service.sql("UPDATE sign_ins SET expires_at = now() WHERE id = %s", claims(token)["sid"])
    assert bearer(service, token).json()["code"] == "token_revoked"


def test_token_of_a_sign_in_that_nobody_knows_is_refused(service, worker):
    token = sign_in(service, worker[1].credentials)["access_token"]
    service.sql("DELETE FROM sign_ins WHERE id = %s", claims(token)["sid"])
    assert bearer(service, token).status_code == 401


def test_each_sign_in_clears_away_a_few_that_have_expired(service, worker):
    service.sql("DELETE FROM sign_ins WHERE expires_at <= now()")
    service.sql("INSERT INTO sign_ins (id, principal_id, expires_at) SELECT gen_random_uuid(), %s, now() - interval '1 minute'"
                " FROM generate_series(1, 6)", worker[0]["id"])
    left = []
    for _ in range(2):
        sign_in(service, worker[1].credentials)
        left += service.sql("SELECT count(*) FROM sign_ins WHERE expires_at <= now()")[0]
    assert left == [2, 0]


def test_sign_ins_that_clear_away_do_not_wait_for_each_other(service, worker):
    service.sql("INSERT INTO sign_ins (id, principal_id, expires_at) VALUES (gen_random_uuid(), %s, now() - interval '1 day')",
                worker[0]["id"])
    with service.connect() as other, other.transaction():
        other.execute("SELECT FROM sign_ins WHERE expires_at <= now() FOR UPDATE")
        sign_in(service, worker[1].credentials)


def test_nobody_opens_again_what_was_ended(service, worker):
    token = sign_in(service, worker[1].credentials)["access_token"]
    assert revoke(service, token).status_code == 200
    for role in ("utvag_login", "utvag_admin"):
        with service.connect() as connection:
            connection.execute(f"SET ROLE {role}")
            with pytest.raises(Exception, match="row-level security"):
                connection.execute("UPDATE sign_ins SET ended_at = NULL, ended_reason = NULL WHERE id = %s", [claims(token)["sid"]])


# -- ending it --------------------------------------------------------------------------------------------------------


def test_logging_out_acts_on_the_next_request(service, worker):
    mine, other = (sign_in(service, worker[1].credentials) for _ in range(2))
    assert bearer(service, mine["access_token"]).status_code == 200
    out = bearer(service, mine["access_token"], "DELETE", "/sessions/current")
    assert out.status_code == 204 and not out.content, out.text
    refused = bearer(service, mine["access_token"])
    assert refused.status_code == 401 and refused.json()["code"] == "token_revoked"
    assert refresh(service, mine["refresh_token"]).json()["error"] == "invalid_grant"
    assert bearer(service, other["access_token"]).status_code == 200, "her other sign-in goes on"
    assert ends(service, mine["access_token"]) == "log_out"
    assert service.sql("SELECT outcome FROM audit_events WHERE operation = 'deleteCurrentSession' AND principal_id = %s",
                       worker[0]["id"]) == [("ok",)]


def test_machine_logs_out_too(service):
    _, caller = machine(service, ["auditor"])
    assert caller.get("/agencies").status_code == 200
    assert caller.delete("/sessions/current").status_code == 204
    assert caller.get("/agencies").status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "saml_assertion"])
@pytest.mark.parametrize("form", [False, True])
def test_whoever_holds_a_token_ends_its_sign_in(service, worker, kind, hint, form):
    tokens = sign_in(service, worker[1].credentials)
    body = {"token": tokens[kind]} | ({"token_type_hint": hint} if hint else {})
    answer = service.anyone().post("/oauth/revoke", **{"data" if form else "json": body})
    assert answer.status_code == 200 and answer.json() == {} and answer.headers["Cache-Control"] == "no-store"
    assert bearer(service, tokens["access_token"]).status_code == 401
    assert refresh(service, tokens["refresh_token"]).status_code == 400
    assert ends(service, tokens["access_token"]) == "revoked"


@pytest.mark.parametrize("token", ["x", "nobody-knows-this-token", "a.b.c", "å", "x" * 4096])
def test_revoking_what_nobody_knows_is_answered_alike(service, token):
    answer = revoke(service, token)
    assert answer.status_code == 200 and answer.json() == {}


def test_altered_access_token_ends_nothing(service, worker):
    token = sign_in(service, worker[1].credentials)["access_token"]
    head, payload, signature = token.split(".")
    assert revoke(service, f"{head}.{payload}.{'A' * len(signature)}").status_code == 200
    assert bearer(service, token).status_code == 200


def test_revoking_again_changes_nothing(service, worker):
    token = sign_in(service, worker[1].credentials)["access_token"]
    assert revoke(service, token).status_code == revoke(service, token).status_code == 200
    assert ends(service, token) == "revoked"


# -- administrators ---------------------------------------------------------------------------------------------------


def test_admin_signs_a_user_out_everywhere_without_a_second_person(service):
    record, caller = user(service, ["case_worker"])
    mine, other = (sign_in(service, caller.credentials) for _ in range(2))
    out = service.as_("admin").post(path(record) + "/sign-out")
    assert out.status_code == 200 and out.json()["status"] == "active" and out.json()["id"] == record["id"], out.text
    for tokens in (mine, other):
        assert bearer(service, tokens["access_token"]).status_code == 401
        assert refresh(service, tokens["refresh_token"]).json()["code"] == "invalid_grant"
        assert ends(service, tokens["access_token"]) == "signed_out"
    assert bearer(service, sign_in(service, caller.credentials)["access_token"]).status_code == 200
    assert service.sql("SELECT role, record_ids::text[] FROM audit_events WHERE operation = 'signOutUser' AND outcome = 'ok'"
                       " AND record_ids = ARRAY[%s::uuid]", record["id"]) == [("admin", [record["id"]])]


def test_admin_signs_a_machine_out(service):
    record, caller = machine(service, ["auditor"])
    assert caller.get("/agencies").status_code == 200
    assert service.as_("admin").post(path(record) + "/sign-out").status_code == 200
    assert caller.get("/agencies").json()["code"] == "token_revoked"
    caller.asked = None
    assert caller.get("/agencies").status_code == 200


def test_sign_out_is_of_the_version_that_was_seen_if_one_is_named(service):
    record, _ = user(service, ["case_worker"])
    stale = service.as_("admin").post(path(record) + "/sign-out", headers={"If-Match": '"1.00000000"'})
    assert stale.status_code == 412


def test_user_is_no_client_to_sign_out(service, worker):
    assert service.as_("admin").post("/clients/" + worker[0]["id"] + "/sign-out").status_code == 404


@pytest.mark.parametrize("role", ["partner", "case_worker", "decision_maker", "triage", "auditor"])
def test_only_administrators_sign_others_out(service, worker, role):
    assert service.as_(role, "handl-1").post(path(worker[0]) + "/sign-out").status_code == 403


def test_suspension_ends_every_sign_in_for_good(service):
    record, caller = user(service, ["case_worker"])
    tokens = sign_in(service, caller.credentials)
    assert change(service, record, status="suspended").status_code == 200
    assert ends(service, tokens["access_token"]) == "not_active"
    assert change(service, record, status="active").status_code == 200
    approve(service, record)
    assert refresh(service, tokens["refresh_token"]).json()["code"] == "invalid_grant"
    assert bearer(service, tokens["access_token"]).status_code == 401


def test_who_is_suspended_while_she_signs_in_is_not_signed_in(service):
    """The other transaction is of the service's own kind: lock_principal, then the change."""
    record, caller = user(service, ["case_worker"])
    with concurrent.futures.ThreadPoolExecutor() as pool, service.connect() as other:
        with other.transaction():
            other.execute("SELECT FROM principals WHERE id = %s FOR UPDATE", [record["id"]])
            attempt = pool.submit(service.anyone().post, "/sessions", json=caller.credentials)
            wait_for_lock(service)
            other.execute("UPDATE principals SET status = 'suspended' WHERE id = %s", [record["id"]])
        assert attempt.result().status_code == 401
    assert service.sql("SELECT count(*) FROM sign_ins WHERE principal_id = %s AND ended_at IS NULL", record["id"]) == [(0,)]


def test_reset_ends_every_sign_in(service):
    record, caller = user(service, ["case_worker"])
    tokens = sign_in(service, caller.credentials)
    assert act(service, record, "reset").status_code == 200
    approve(service, record)
    assert ends(service, tokens["access_token"]) == "not_active"
    assert refresh(service, tokens["refresh_token"]).json()["code"] == "invalid_grant"


# -- many at once -----------------------------------------------------------------------------------------------------


def wait_for_lock(service, count=1):
    """Until that many transactions wait for a lock."""
    for _ in range(500):
        if service.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") \
                == [(count,)]:
            return
        time.sleep(0.02)
    raise AssertionError("nobody waited")


def at_once(service, count, *bodies):
    """`count` sign-ins that begin together."""
    barrier = threading.Barrier(count)

    def attempt(number):
        barrier.wait()
        return requests.post(service.url + "/sessions", json=bodies[number % len(bodies)], timeout=60)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(attempt, range(count)))


def test_twelve_at_once_with_the_right_password_all_pass(service):
    record, caller = user(service, ["case_worker"])
    assert [answer.status_code for answer in at_once(service, 12, caller.credentials)] == [200] * 12
    assert service.sql("SELECT failed_count, locked_until FROM credentials WHERE principal_id = %s", record["id"]) == [(0, None)]


def test_twelve_guesses_at_once_are_five_and_then_even_the_right_one_waits(service):
    record, caller = user(service, ["case_worker"])
    wrong = caller.credentials | {"password": WRONG}
    assert [answer.status_code for answer in at_once(service, 12, wrong)] == [401] * 12
    [(failed, seconds)] = service.sql("SELECT failed_count, extract(epoch FROM locked_until - now()) FROM credentials"
                                      " WHERE principal_id = %s", record["id"])
    assert failed == 5 and 0 < seconds <= 30
    locked = service.anyone().post("/sessions", json=caller.credentials)
    assert locked.status_code == 401 and locked.json()["code"] == "login_failed"
    service.sql("UPDATE credentials SET locked_until = now() WHERE principal_id = %s", record["id"])
    assert service.anyone().post("/sessions", json=caller.credentials).status_code == 200


def test_right_guess_that_was_tried_before_the_fifth_failure_learns_nothing_after_it(service):
    """Its hash was tried while the account was free; it is judged when it is its turn."""
    record, caller = user(service, ["case_worker"])
    with concurrent.futures.ThreadPoolExecutor() as pool, service.connect() as other:
        with other.transaction():
            other.execute("UPDATE credentials SET failed_count = 5, locked_until = now() + interval '30 seconds'"
                          " WHERE principal_id = %s", [record["id"]])
            attempt = pool.submit(service.anyone().post, "/sessions", json=caller.credentials)
            wait_for_lock(service)
        answer = attempt.result()
    assert answer.status_code == 401 and answer.json()["code"] == "login_failed"
    assert service.sql("SELECT count(*) FROM sign_ins WHERE principal_id = %s", record["id"]) == [(0,)]


def test_refused_sign_in_says_in_the_log_whose_it_was(service):
    record, caller = user(service, ["case_worker"])
    trace = service.anyone().post("/sessions", json=caller.credentials | {"password": WRONG}).json()["trace_id"]
    assert service.sql("SELECT outcome, status, code, record_ids::text[] FROM audit_events WHERE trace_id = %s", trace) == \
        [("refused", 401, "login_failed", [record["id"]])]


def test_demotion_a_second_ago_is_a_refusal_and_in_the_log(service):
    record, caller = user(service, ["case_worker", "triage"])
    tokens = sign_in(service, caller.credentials)
    assert bearer(service, tokens["access_token"], place="/children").status_code == 200
    change(service, record, roles=["triage"])
    refused = bearer(service, tokens["access_token"], place="/children")
    assert refused.status_code == 401
    assert service.sql("SELECT status, code FROM audit_events WHERE trace_id = %s", refused.json()["trace_id"]) == \
        [(401, "token_revoked")]
    assert codes(refused) == []
