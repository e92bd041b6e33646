"""Rates: whoever asks too often waits, alone; passwords are not guessed at leisure."""

import concurrent.futures
import re
import time

import pytest
import requests

WRONG = {"email": "nobody@utvag.example", "password": "not the password of anybody"}


@pytest.fixture(scope="module")
def slow(serving):
    with serving(rate_per_minute=30, proxies="127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def wary(serving):
    with serving(failed_logins_per_minute=3, proxies="127.0.0.1,::1") as running:
        yield running


def seen_as(address):
    return {"X-Forwarded-For": f"203.0.113.99, {address}"}


def login(service, address, body=WRONG):
    return service.anyone().post("/sessions", json=body, headers=seen_as(address))


def until_refused(ask, most):
    for count in range(most):
        answer = ask()
        if answer.status_code == 429:
            return count, answer
    raise AssertionError(f"{most} requests were answered")


def test_answers_tell_the_policy_and_what_is_left(slow):
    one = slow.anyone().get("/api-info", headers=seen_as("192.0.2.1"))
    assert one.headers["RateLimit-Policy"] == '"default";q=30;w=60'
    assert one.headers["RateLimit"] == '"default";r=29;t=2'
    assert slow.anyone().get("/api-info", headers=seen_as("192.0.2.1")).headers["RateLimit"].startswith('"default";r=28;')


def test_too_many_requests_are_429_until_retry_after(slow):
    def ask():
        return slow.anyone().get("/api-info", headers=seen_as("192.0.2.2"))

    count, refused = until_refused(ask, 40)
    assert 30 <= count <= 32
    assert refused.json()["code"] == "rate_limited" and refused.headers["RateLimit"].startswith('"default";r=0;')
    assert refused.headers["Content-Type"] == "application/problem+json"
    time.sleep(int(refused.headers["Retry-After"]))
    assert ask().status_code == 200


def test_health_is_never_refused(slow):
    for _ in range(40):
        answer = slow.anyone().get("/health/live", headers=seen_as("192.0.2.3"))
        assert answer.status_code == 200 and "RateLimit" not in answer.headers


def test_each_caller_has_her_own_bucket(slow):
    """Behind one address, a good token's holder is not held up by another, nor by whoever has none."""
    worker, auditor = slow.as_("case_worker"), slow.as_("auditor")
    until_refused(lambda: slow.anyone().get("/codes", headers=seen_as("192.0.2.4")), 40)
    until_refused(lambda: worker.get("/codes", headers=seen_as("192.0.2.4")), 40)
    assert worker.get("/codes", headers=seen_as("192.0.2.5")).status_code == 429
    assert auditor.get("/codes", headers=seen_as("192.0.2.4")).status_code == 200


def test_bad_tokens_are_limited_by_address_and_leave_an_end_of_rows(slow):
    def ask():
        return slow.anyone().get("/applicants", headers=seen_as("192.0.2.6") | {"Authorization": "Bearer a.b.c"})

    count, _ = until_refused(ask, 40)
    assert slow.sql("SELECT count(*) FROM audit_events WHERE code = 'token_invalid'") == [(count,)]


def test_only_our_proxy_speaks_for_others(serving):
    with serving(rate_per_minute=5, proxies="192.0.2.77") as service:
        until_refused(lambda: service.anyone().get("/api-info"), 10)
        assert service.anyone().get("/api-info", headers=seen_as("192.0.2.1")).status_code == 429


def test_one_client_has_one_bucket_however_its_address_is_written(slow):
    until_refused(lambda: slow.anyone().get("/api-info", headers=seen_as("::ffff:192.0.2.44")), 100)
    assert slow.anyone().get("/api-info", headers=seen_as("192.0.2.44")).status_code == 429
    assert slow.anyone().get("/api-info", headers=seen_as("::ffff:192.0.2.45")).status_code == 200


@pytest.mark.parametrize("stated", ["", "nonsense", "192.0.2.1:80", "192.0.2.1, "])
def test_a_proxy_that_says_nothing_usable_stands_for_itself(slow, stated):
    one = slow.anyone().get("/api-info", headers={"X-Forwarded-For": stated})
    two = slow.anyone().get("/api-info")
    left = [int(re.search(r"r=(\d+)", answer.headers["RateLimit"]).group(1)) for answer in (one, two)]
    assert left[1] <= left[0]


def test_the_audit_log_has_the_clients_address(slow):
    answer = slow.as_("decision_maker").get("/applicants", headers=seen_as("198.51.100.7"))
    assert answer.status_code == 200
    assert slow.sql("SELECT count(*) FROM audit_events WHERE address::text LIKE '198.51.100.7%%' AND operation = %s",
                    "listApplicants") == [(1,)]


def test_failed_logins_are_limited_by_address(wary):
    accounts = iter(range(10))

    def ask():
        return login(wary, "192.0.2.10", WRONG | {"email": f"nobody.{next(accounts)}@utvag.example"})

    count, refused = until_refused(ask, 10)
    assert count == 3
    assert refused.json()["code"] == "rate_limited" and 1 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.elapsed.total_seconds() < 0.1, "a password was hashed"
    assert refused.headers["Cache-Control"] == "no-store"


def test_failed_logins_are_limited_by_account(wary):
    addresses = iter(range(20, 30))
    body = {"email": "Somebody@utvag.example", "password": "not the password of anybody"}
    count, _ = until_refused(lambda: login(wary, f"192.0.2.{next(addresses)}", body), 10)
    assert count == 3
    assert login(wary, "192.0.2.40", body | {"email": "somebody@utvag.example"}).status_code == 429  # whatever the spelling
    assert login(wary, "192.0.2.41").status_code == 401


def test_failed_secrets_and_invitations_are_limited(wary):
    client = {"grant_type": "client_credentials", "client_id": "00000000-0000-4000-8000-00000000abcd", "client_secret": "x"}
    count, refused = until_refused(lambda: requests.post(wary.url + "/oauth/token", json=client, timeout=10,
                                                         headers=seen_as("192.0.2.50")), 10)
    assert count == 3 and refused.json()["error"]
    invitation = {"token": "x" * 43, "password": "korrekt häst batteri häftklammer"}
    count, _ = until_refused(lambda: wary.anyone().post("/invitations/accept", json=invitation,
                                                        headers=seen_as("192.0.2.51")), 10)
    assert count == 3


def test_many_who_sign_in_rightly_at_one_time_all_do(wary):
    """Three a minute may fail, and none of these does."""
    credentials = wary.cluster.credentials()["decision_maker"]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: login(wary, "192.0.2.70", credentials).status_code, range(8)))
    assert statuses == [200] * 8
    assert login(wary, "192.0.2.70", credentials).status_code == 200


def test_many_who_guess_at_one_time_get_no_more_than_one_after_the_other(wary):
    credentials = wary.cluster.credentials()["auditor"]
    guess = lambda number: login(wary, "192.0.2.71", credentials | {"password": f"en gissning {number}"}).status_code
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        statuses = sorted(threads.map(guess, range(12)))
    assert statuses == [401] * 3 + [429] * 9
    assert login(wary, "192.0.2.71", credentials).status_code == 429


def test_logins_that_pass_are_not_counted(wary):
    credentials = wary.cluster.credentials()["case_worker"]
    for _ in range(5):
        assert login(wary, "192.0.2.60", credentials).status_code == 200
