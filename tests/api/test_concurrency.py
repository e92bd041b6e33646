"""Everything at once: what threads share is asked for by many callers, of every kind. The tsan preset listens."""

import concurrent.futures
import secrets
import time

import pytest
import requests

THREADS = 16
SECONDS = 4


@pytest.fixture(scope="module")
def service(serving):
    with serving(rate_per_minute=200000, failed_logins_per_minute=30, in_flight=64) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(service):
    """requests' sessions are not for many threads: each makes its own, with these."""
    service.as_("case_worker").get("/codes"), service.as_("partner", "handl-1").get("/codes")
    return {role: service.clients[(role, officer)].headers["Authorization"]
            for role, officer in (("case_worker", None), ("partner", "handl-1"))}


class Caller(requests.Session):
    def __init__(self, service, tokens, number):
        super().__init__()
        self.base, self.number = service.url, number
        self.headers["Authorization"] = tokens["partner" if number % 2 else "case_worker"]
        if number % 2:
            self.headers["X-Acting-Officer"] = "handl-1"
        self.seen = []

    def ask(self, method, path, expected, **options):
        answer = self.request(method, self.base + path, timeout=30, **options)
        assert answer.status_code in expected, (method, path, answer.status_code, answer.text)
        self.seen.append(answer.status_code)
        return answer

    def register(self):
        body = {"alias": f"Nr {self.number}", "protection": "none"}
        return self.ask("POST", "/applicants", {201}, json=body, headers={"Idempotency-Key": secrets.token_hex(16)}).json()

    def turn(self, mine):
        path = "/applicants/" + mine["id"]
        tag = self.ask("GET", path, {200}, headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        self.ask("GET", path, {304}, headers={"If-None-Match": tag})
        assert self.ask("GET", path, {200}, params={"fields": "alias"}).json() == {"id": mine["id"], "alias": mine["alias"]}
        self.ask("GET", "/applicants?limit=5&sort=-created_at&count=true", {200})
        self.ask("PATCH", path, {200}, json={"phone": "+46701740605"}, headers={"If-Match": tag})
        self.ask("PATCH", path, {412}, json={"phone": "+46701740606"}, headers={"If-Match": tag})
        self.ask("POST", "/applicants", {422}, json={"phone": 1})
        self.ask("GET", "/openapi.json", {200})
        self.ask("GET", "/nothing?" + "a" * self.number, {404})
        self.ask("GET", "/applicants", {401}, headers={"Authorization": f"Bearer {secrets.token_hex(9)}.b.c"})
        if self.number == 2:
            wrong = {"email": f"{secrets.token_hex(4)}@utvag.example", "password": "not the password of anybody"}
            self.ask("POST", "/sessions", {401, 429}, json=wrong)

    def work(self):
        mine, until = self.register(), time.monotonic() + SECONDS
        while time.monotonic() < until:
            self.turn(mine)
        return len(self.seen)


def test_many_callers_of_every_kind(service, tokens):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(lambda number: Caller(service, tokens, number).work(), range(THREADS)))
    assert all(count > 10 for count in counts)


def test_one_key_at_one_time_has_one_effect(service, tokens):
    key, body = secrets.token_hex(16), {"alias": "En enda", "protection": "none"}

    def create(number):
        caller = Caller(service, tokens, 0)
        return caller.ask("POST", "/applicants", {201, 409}, json=body, headers={"Idempotency-Key": key})

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        made = [answer.json()["id"] for answer in threads.map(create, range(8)) if answer.status_code == 201]
    assert made and len(set(made)) == 1
