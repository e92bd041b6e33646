"""Tokens bound to a client certificate (RFC 8705): worth something on connections that show it, and on no other."""

import pytest
import requests

import jwts
from accounts import keyed_machine
from certificates import Authority, thumbprint
from service import Service


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def certificates(authority):
    return [authority.issue(name) for name in ("system", "other-system")]


@pytest.fixture(scope="module")
def mutual(serving, authority):
    """Where every client shows a certificate."""
    certificate, key = authority.issue("server")
    with serving(tls_certificate=certificate, tls_key=key, tls_client_ca=authority.certificate) as running:
        yield running


@pytest.fixture(scope="module")
def open_to_all(mutual):
    """Another instance on the same database, with the same keys, that asks for no certificate."""
    running = Service(mutual.cluster, mutual.database).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def system(open_to_all):
    return keyed_machine(open_to_all, ["case_worker"])[1]


def call(service, authority, method, path, cert=None, **options):
    return requests.request(method, f"https://127.0.0.1:{service.port}/v1{path}", verify=str(authority.certificate),
                            cert=cert and tuple(map(str, cert)), timeout=10, **options)


def request_token(system, **members):
    return {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE,
            "client_assertion": system.key.sign(jwts.assertion_claims(system.id))} | members


def bearer(token):
    return {"Authorization": "Bearer " + token}


@pytest.fixture(scope="module")
def bound(mutual, authority, certificates, system):
    answer = call(mutual, authority, "POST", "/oauth/token", certificates[0],
                  json=request_token(system, certificate_bound=True))
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def refused_and_audited(service, answer):
    assert answer.status_code == 401 and answer.json()["code"] == "token_invalid", answer.text
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert service.sql("SELECT operation, outcome, status, code FROM audit_events WHERE trace_id = %s",
                       answer.json()["trace_id"]) == [("listChildren", "refused", 401, "token_invalid")]


def test_token_tells_which_certificate(bound, certificates):
    assert jwts.claims_of(bound)["cnf"] == {"x5t#S256": thumbprint(certificates[0][0])}


def test_bound_token_with_its_certificate(mutual, authority, certificates, bound):
    for _ in range(2):  # the second comes from the memory of verified tokens
        assert call(mutual, authority, "GET", "/children", certificates[0], headers=bearer(bound)).status_code == 200


def test_bound_token_with_another_certificate(mutual, authority, certificates, bound):
    refused_and_audited(mutual, call(mutual, authority, "GET", "/children", certificates[1], headers=bearer(bound)))


def test_bound_token_without_certificate(open_to_all, bound):
    refused_and_audited(open_to_all, requests.get(open_to_all.url + "/children", headers=bearer(bound), timeout=10))


def test_bound_token_where_a_certificate_must_be_shown(mutual, authority, bound):
    answer = call(mutual, authority, "GET", "/children", headers=bearer(bound))
    assert answer.status_code == 401 and answer.json()["code"] == "client_certificate_required"


def test_token_is_bound_on_request_only(mutual, open_to_all, authority, certificates, system):
    for members in ({}, {"certificate_bound": False}):
        answer = call(mutual, authority, "POST", "/oauth/token", certificates[0], json=request_token(system, **members))
        token = answer.json()["access_token"]
        assert "cnf" not in jwts.claims_of(token)
        for certificate in certificates:
            assert call(mutual, authority, "GET", "/children", certificate, headers=bearer(token)).status_code == 200
        assert requests.get(open_to_all.url + "/children", headers=bearer(token), timeout=10).status_code == 200


def test_a_form_says_true_as_a_text(mutual, authority, certificates, system):
    for text, bound in (("true", True), ("false", False)):
        answer = call(mutual, authority, "POST", "/oauth/token", certificates[0],
                      data=request_token(system, certificate_bound=text))
        assert ("cnf" in jwts.claims_of(answer.json()["access_token"])) is bound
    answer = call(mutual, authority, "POST", "/oauth/token", certificates[0],
                  data=request_token(system, certificate_bound="yes"))
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


def test_person_s_token_is_bound_too(mutual, authority, certificates):
    who = mutual.cluster.credentials()["case_worker"] | {"certificate_bound": True}
    token = call(mutual, authority, "POST", "/sessions", certificates[0], json=who).json()["access_token"]
    assert call(mutual, authority, "GET", "/children", certificates[0], headers=bearer(token)).status_code == 200
    refused_and_audited(mutual, call(mutual, authority, "GET", "/children", certificates[1], headers=bearer(token)))


def test_nothing_to_bind_to(open_to_all, system):
    answer = requests.post(open_to_all.url + "/oauth/token", json=request_token(system, certificate_bound=True), timeout=10)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["error"]) == ("certificate_not_shown", "invalid_request")
    who = open_to_all.cluster.credentials()["case_worker"] | {"certificate_bound": True}
    answer = requests.post(open_to_all.url + "/sessions", json=who, timeout=10)
    assert answer.status_code == 400 and answer.json()["code"] == "certificate_not_shown"
