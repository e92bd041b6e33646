"""Refresh tokens: each works once, and a second use ends what it belongs to."""

import concurrent.futures

import pytest
import requests

from accounts import change, machine, user
from certificates import Authority, thumbprint
from service import claims
from test_sign_in import bearer, ends, refresh, sign_in, wait_for_lock


@pytest.fixture
def worker(service):
    """A user with two roles, and the tokens of a sign-in of hers."""
    record, caller = user(service, ["case_worker", "triage"])
    return record, sign_in(service, caller.credentials)


def code_of(answer):
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["code"] == body["error"] and answer.headers["Cache-Control"] == "no-store"
    return body["code"]


def family(service, tokens):
    return service.sql("SELECT t.used_at IS NOT NULL, t.digest FROM refresh_tokens t WHERE sign_in_id = %s ORDER BY expires_at",
                       claims(tokens["access_token"])["sid"])


def test_refreshing_gives_a_new_pair_of_the_same_sign_in(service, worker):
    _, first = worker
    answer = refresh(service, first["refresh_token"])
    assert answer.status_code == 200, answer.text
    second = answer.json()
    assert claims(second["access_token"])["sid"] == claims(first["access_token"])["sid"]
    assert second["refresh_token"] != first["refresh_token"] and len(second["refresh_token"]) == 43  # 256 bits
    assert 3590 < second["refresh_expires_in"] <= 3600 and second["scope"] == "case_worker triage"
    assert answer.headers["Cache-Control"] == "no-store"
    assert bearer(service, second["access_token"]).status_code == 200
    assert bearer(service, first["access_token"]).status_code == 200, "it lives its five minutes"


def test_form_is_as_good_as_json(service, worker):
    body = {"grant_type": "refresh_token", "refresh_token": worker[1]["refresh_token"]}
    assert service.anyone().post("/oauth/token", data=body).status_code == 200


def test_only_its_digest_is_kept(service, worker):
    _, tokens = worker
    kept = str(service.sql("SELECT t::text FROM refresh_tokens t")) + str(service.sql("SELECT s::text FROM sign_ins s"))
    assert tokens["refresh_token"] not in kept and tokens["refresh_token"] not in "".join(service.lines)
    assert [len(digest) for _, digest in family(service, tokens)] == [64]


def test_second_use_ends_the_whole_sign_in_and_is_in_the_log(service, worker):
    record, first = worker
    second = refresh(service, first["refresh_token"]).json()
    again = refresh(service, first["refresh_token"])
    assert code_of(again) == "invalid_grant"
    assert bearer(service, second["access_token"]).json()["code"] == "token_revoked"
    assert code_of(refresh(service, second["refresh_token"])) == "invalid_grant"
    assert ends(service, first["access_token"]) == "refresh_token_reused"
    assert service.sql("SELECT outcome, status, code, record_ids::text[] FROM audit_events WHERE trace_id = %s",
                       again.json()["trace_id"]) == [("refused", 400, "refresh_token_reused", [record["id"]])]


def test_reused_and_unknown_are_answered_alike(service, worker):
    _, tokens = worker
    refresh(service, tokens["refresh_token"])
    reused, unknown = refresh(service, tokens["refresh_token"]), refresh(service, "A" * 43)
    told = [{k: v for k, v in answer.json().items() if k not in ("trace_id", "instance")} for answer in (reused, unknown)]
    assert told[0] == told[1] and reused.status_code == unknown.status_code


def test_of_uses_at_once_one_wins_and_the_sign_in_ends(service, worker):
    """Reuse is reuse: nobody can tell which of the two is the thief. They meet at the token's row, held by a third."""
    _, tokens = worker
    sid = claims(tokens["access_token"])["sid"]
    with concurrent.futures.ThreadPoolExecutor() as pool, service.connect() as other:
        with other.transaction():
            other.execute("SELECT FROM refresh_tokens WHERE sign_in_id = %s FOR UPDATE", [sid])
            uses = [pool.submit(refresh, service, tokens["refresh_token"]) for _ in range(4)]
            wait_for_lock(service, len(uses))
        answers = [use.result() for use in uses]
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    won = next(answer for answer in answers if answer.status_code == 200).json()
    assert bearer(service, won["access_token"]).status_code == 401
    assert code_of(refresh(service, won["refresh_token"])) == "invalid_grant"
    assert len(family(service, tokens)) == 2


def test_roles_are_those_of_now(service, worker):
    record, tokens = worker
    change(service, record, roles=["triage"])
    assert bearer(service, tokens["access_token"]).status_code == 401
    fresh = refresh(service, tokens["refresh_token"]).json()
    assert fresh["scope"] == "triage" and bearer(service, fresh["access_token"]).status_code == 200


def test_suspended_user_refreshes_nothing(service, worker):
    record, tokens = worker
    change(service, record, status="suspended")
    assert code_of(refresh(service, tokens["refresh_token"])) == "invalid_grant"


def test_refresh_token_lives_an_hour(service, worker):
    _, tokens = worker
    service.sql("UPDATE refresh_tokens SET expires_at = now() WHERE sign_in_id = %s", claims(tokens["access_token"])["sid"])
    assert code_of(refresh(service, tokens["refresh_token"])) == "invalid_grant"
    assert bearer(service, tokens["access_token"]).status_code == 200, "late is not reused"


def test_refreshing_does_not_make_a_session_longer(service, worker):
    _, tokens = worker
    sid = claims(tokens["access_token"])["sid"]
    service.sql("UPDATE sign_ins SET expires_at = now() + interval '10 minutes' WHERE id = %s", sid)
    answer = refresh(service, tokens["refresh_token"]).json()
    assert 590 < answer["refresh_expires_in"] <= 600
    service.sql("UPDATE sign_ins SET expires_at = now() WHERE id = %s", sid)
    assert code_of(refresh(service, answer["refresh_token"])) == "invalid_grant"


def test_scope_narrows_a_refresh_and_never_widens_it(service, worker):
    _, tokens = worker
    body = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    wide = service.anyone().post("/oauth/token", json=body | {"scope": "triage admin"})
    assert code_of(wide) == "invalid_scope"
    narrow = service.anyone().post("/oauth/token", json=body | {"scope": "triage"})
    assert narrow.status_code == 200 and narrow.json()["scope"] == "triage", "what was refused used nothing up"


def test_refresh_token_is_no_access_token(service, worker):
    _, tokens = worker
    refused = bearer(service, tokens["refresh_token"])
    assert refused.status_code == 401 and refused.json()["code"] == "token_invalid"
    assert code_of(refresh(service, tokens["access_token"])) == "invalid_grant"


def test_machine_gets_no_refresh_token(service):
    _, caller = machine(service, ["auditor"])
    answer = service.anyone().post("/oauth/token", json={"grant_type": "client_credentials"} | caller.credentials).json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "principal_id"}
    assert service.sql("SELECT count(*) FROM refresh_tokens WHERE sign_in_id = %s", claims(answer["access_token"])["sid"]) == \
        [(0,)]


@pytest.mark.parametrize("body, code", [
    ({"grant_type": "refresh_token"}, "refresh_token_missing"),
    ({"grant_type": "client_credentials"}, "client_authentication_unclear"),
    ({"grant_type": "client_credentials", "client_id": "00000000-0000-4000-8000-000000000000"}, "client_authentication_unclear"),
])
def test_grant_without_what_it_needs_is_an_invalid_request(service, body, code):
    answer = service.anyone().post("/oauth/token", data=body)
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request" and answer.json()["code"] == code


def test_refresh_token_of_a_certificate_works_with_it_alone(serving, tmp_path):
    ours = Authority(tmp_path, "authority")
    certificate, key = ours.issue("server")
    with serving(tls_certificate=certificate, tls_key=key, tls_client_ca=ours.certificate) as service:
        mine, another = ours.issue("mine"), ours.issue("another")

        def post(place, body, shown):
            return requests.post(f"https://127.0.0.1:{service.port}/v1{place}", json=body, verify=str(ours.certificate),
                                 cert=tuple(map(str, shown)), timeout=30)

        tokens = post("/sessions", service.cluster.credentials()["case_worker"] | {"certificate_bound": True}, mine).json()
        said = claims(tokens["access_token"])
        assert said["cnf"] == {"x5t#S256": thumbprint(mine[0])}
        assert service.sql("SELECT certificate FROM sign_ins WHERE id = %s", said["sid"]) == [(thumbprint(mine[0]),)]
        body = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert code_of(post("/oauth/token", body, another)) == "invalid_grant"
        fresh = post("/oauth/token", body, mine)
        assert fresh.status_code == 200 and claims(fresh.json()["access_token"])["cnf"] == said["cnf"]
