"""Attacks on tokens and assertions, each on the real socket: refused, in the audit log, and without any effect.

The forgeries are signed with the service's own key wherever that is what makes one check alone stand in the way."""

import concurrent.futures
import contextlib
import json
import secrets
import time

import pytest
import requests

import jwts
from accounts import act, approve, change, keyed_machine, user

ALMBY = "d0000000-0000-4000-8000-000000000001"
NOW = int(time.time())


@contextlib.contextmanager
def no_effect(service):
    """Whatever happens inside changes no row of any table but the audit log."""
    tables = [row[0] for row in service.sql(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'vault')"
        " AND tablename <> 'audit_events' ORDER BY 1")]
    query = " UNION ALL ".join(f"SELECT '{t}', md5(coalesce(string_agg(r::text, '' ORDER BY r::text), '')) FROM {t} r" for t in tables)
    before = service.sql(query)
    yield
    assert service.sql(query) == before


def audited(service, answer):
    trace = answer.headers["traceparent"].split("-")[1]
    return service.sql("SELECT operation, outcome, status, code, principal_id IS NOT NULL FROM audit_events WHERE trace_id = %s",
                       trace)


def call(service, token, method="POST", path="/children", **headers):
    headers = {"Authorization": "Bearer " + token, "X-Acting-Officer": "handl-1"} | headers
    return requests.request(method, service.url + path, json={} if method == "POST" else None, headers=headers, timeout=30)


def refused(service, token, code="token_invalid", known=False, status=401):
    """Both a write and a read with the token are refused, audited once, and without effect."""
    with no_effect(service):
        for method, operation in (("POST", "createChild"), ("GET", "listChildren")):
            answer = call(service, token, method)
            assert answer.status_code == status, (answer.status_code, answer.text)
            assert answer.json()["code"] == code
            assert status == 403 or 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
            assert audited(service, answer) == [(operation, "refused", status, code, known)]


@pytest.fixture(scope="module")
def current(service):
    return jwts.ring_key(service.cluster)


@pytest.fixture(scope="module")
def good(service):
    """The claims of a good token of an agency's system."""
    body = {"grant_type": "client_credentials"} | service.cluster.credentials()["partner"]
    return jwts.claims_of(service.anyone().post("/oauth/token", json=body).json()["access_token"])


def forged(key, claims, header=None, **changes):
    """Signed well, with claims changed; a change to None leaves that claim out."""
    claims = {n: v for n, v in (claims | changes).items() if v is not None}
    return key.sign(claims, {"alg": "ES256", "typ": "JWT", "kid": key.kid} if header is None else header)


def test_forgeries_are_good_but_for_what_they_are_about(service, current, good):
    """Else every test below would pass for a reason of its own."""
    assert call(service, forged(current, good)).status_code == 201
    assert call(service, forged(jwts.ring_key(service.cluster, "next"), good), "GET").status_code == 200


# -- the signature ----------------------------------------------------------------------------------------------------

SIGNATURES = {
    "alg none": lambda key, claims: jwts.by_nobody(claims),
    "alg none with kid": lambda key, claims: jwts.by_nobody(claims, key.kid),
    "alg none with a signature": lambda key, claims: jwts.by_nobody(claims, key.kid, "A" * 86),
    "alg none with a good signature": lambda key, claims: key.sign(claims, {"alg": "none", "typ": "JWT", "kid": key.kid}),
    "HS256 with the public key": lambda key, claims: jwts.by_hmac(claims, key.public_pem(), key.kid),
    "HS256 with the public key, no last newline": lambda key, claims: jwts.by_hmac(claims, key.public_pem().strip(), key.kid),
    "HS256 with nothing": lambda key, claims: jwts.by_hmac(claims, b"", key.kid),
    "HS512 with the public key": lambda key, claims: jwts.by_hmac(claims, key.public_pem(), key.kid, "HS512"),
    "HS256 of the right length": lambda key, claims: jwts.by_hmac(claims, key.public_pem(), key.kid) + "A" * 43,
    "ES384 in the header": lambda key, claims: key.sign(claims, {"alg": "ES384", "typ": "JWT", "kid": key.kid}),
    "no alg": lambda key, claims: key.sign(claims, {"typ": "JWT", "kid": key.kid}),
    "another type": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}),
    "no kid": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "JWT"}),
    "unknown kid": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "JWT", "kid": "unknown"}),
    "kid that is a path": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "JWT", "kid": "../../dev/null"}),
    "a stranger's key under our kid": lambda key, claims: jwts.Key(key.kid).sign(claims),
    "a key that the token brings": lambda key, claims: (lambda own: own.sign(claims, {
        "alg": "ES256", "typ": "JWT", "kid": key.kid, "jwk": own.jwk()}))(jwts.Key(key.kid)),
    "jku": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "JWT", "kid": key.kid, "jku": "https://x.example"}),
    "crit": lambda key, claims: key.sign(claims, {"alg": "ES256", "typ": "JWT", "kid": key.kid, "crit": ["exp"]}),
    "alg twice": lambda key, claims: key.sign(claims, jwts.doubled({"alg": "ES256", "typ": "JWT", "kid": key.kid}, "alg", "none")),
    "no signature": lambda key, claims: key.sign(claims).rpartition(".")[0] + ".",
    "two parts": lambda key, claims: key.sign(claims).rpartition(".")[0],
    "four parts": lambda key, claims: key.sign(claims) + ".",
    "padding": lambda key, claims: key.sign(claims) + "==",
    "signature of zeros": lambda key, claims: key.sign(claims).rpartition(".")[0] + "." + "A" * 86,
    "signature of another token": lambda key, claims: ".".join(
        key.sign(claims).split(".")[:2] + [key.sign(claims | {"epoch": 99}).split(".")[2]]),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_that_is_not_ours(service, current, good, name):
    refused(service, SIGNATURES[name](current, good))


def test_kid_of_the_other_key_of_ours(service, current, good):
    following = jwts.ring_key(service.cluster, "next")
    refused(service, current.sign(good, {"alg": "ES256", "typ": "JWT", "kid": following.kid}))


def test_any_flipped_bit(service, current, good):
    """A bit of each fifth character, another one each time."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = forged(current, good)
    answers = []
    with no_effect(service), requests.Session() as session:
        for count, place in enumerate(range(0, len(token), 5)):
            if token[place] == ".":
                continue
            flipped = alphabet[alphabet.index(token[place]) ^ 1 << count % 6]
            headers = {"Authorization": "Bearer " + token[:place] + flipped + token[place + 1:], "X-Acting-Officer": "handl-1"}
            answers.append(session.post(service.url + "/children", json={}, headers=headers, timeout=30))
    assert len(answers) > 80 and {(a.status_code, a.json()["code"]) for a in answers} == {(401, "token_invalid")}
    traces = [a.json()["trace_id"] for a in answers]
    assert service.sql("SELECT count(*), count(DISTINCT trace_id) FROM audit_events WHERE trace_id = ANY (%s) AND outcome = 'refused'",
                       traces) == [(len(answers), len(answers))]
    assert call(service, token, "GET").status_code == 200


# -- the claims, signed well ------------------------------------------------------------------------------------------

CLAIMS = {
    "another issuer": {"iss": "https://other.example"}, "no issuer": {"iss": None}, "issuer with a slash": {"iss": jwts.ISSUER + "/"},
    "another audience": {"aud": "other"}, "no audience": {"aud": None}, "several audiences": {"aud": ["utvag", "other"]},
    "another use": {"use": "refresh"}, "no use": {"use": None}, "an id token": {"use": "id"},
    "from the future (nbf)": {"nbf": NOW + 3600}, "from the future (iat)": {"iat": NOW + 3600, "exp": NOW + 3700},
    "no iat": {"iat": None}, "no nbf": {"nbf": None}, "no end": {"exp": None},
    "end as a text": {"exp": str(NOW + 200)}, "end as a fraction": {"exp": NOW + 200.5}, "end in a day": {"exp": NOW + 86400},
    "end beyond all numbers": {"exp": 2 ** 63 - 1}, "end that is none": {"exp": True},
    "nobody": {"sub": None}, "no uuid": {"sub": "admin"}, "several": {"sub": ["a", "b"]},
    "unknown role": {"roles": ["partner", "root"]}, "roles as a text": {"roles": "admin"}, "no roles": {"roles": None},
    "epoch as a text": {"epoch": "1"}, "no epoch": {"epoch": None}, "machine as a text": {"machine": "true"},
    "officer with a space": {"officer": "a b"}, "no session": {"sid": ""}, "unknown confirmation": {"cnf": {"jkt": "A" * 43}},
    "bound to a certificate that nobody shows": {"cnf": {"x5t#S256": "A" * 43}},
    "oversized": {"padding": "x" * 4096},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_that_is_not_right(service, current, good, name):
    refused(service, forged(current, good, **CLAIMS[name]))


@pytest.mark.parametrize("name, value", [("sub", "00000000-0000-4000-8000-000000000000"), ("roles", ["admin"]), ("exp", NOW + 250),
                                         ("iss", jwts.ISSUER)])
def test_claim_that_is_there_twice(service, current, good, name, value):
    refused(service, current.sign(jwts.doubled(good, name, value)))
    refused(service, current.sign(json.dumps(good)[:-1] + "," + json.dumps({name: value})[1:]))


@pytest.mark.parametrize("text", ["null", "[]", "{}", "", '"a"', "{", '{"sub":"\\u0000"}'])
def test_claims_that_are_no_claims(service, current, text):
    refused(service, current.sign(text))


@pytest.mark.parametrize("age", [0, 1, 3600])
def test_expired_token(service, current, good, age):
    end = int(time.time()) - age
    refused(service, forged(current, good, iat=end - 300, nbf=end - 300, exp=end), "token_expired")


# -- tokens that were good a moment ago, or for something else ---------------------------------------------------------


def token_of(client):
    client.ask_token()
    return client.headers["Authorization"].removeprefix("Bearer ")


def test_roles_that_the_holder_does_not_have(service, current, good):
    """Even with our signature: what counts is the database's row."""
    refused(service, forged(current, good, roles=["case_worker"]), "token_revoked", known=True)


def test_token_of_somebody_who_is_not(service, current, good):
    """The trace of the refusal says who it claimed to be."""
    refused(service, forged(current, good, sub="00000000-0000-4000-8000-000000000000"), "token_revoked", known=True)


def test_role_that_may_not(service):
    token = token_of(keyed_machine(service, ["auditor"])[1])
    refused(service, token, "role_missing", known=True, status=403)


def test_demoted_a_moment_ago(service):
    record, client = keyed_machine(service, ["case_worker", "auditor"])
    token = token_of(client)
    assert call(service, token, "GET").status_code == 200
    assert change(service, record, roles=["auditor"]).status_code == 200
    refused(service, token, "token_revoked", known=True)


def test_suspended_a_moment_ago(service):
    record, client = keyed_machine(service, ["partner"], agency_id=ALMBY)
    token = token_of(client)
    assert call(service, token).status_code == 201
    assert change(service, record, status="suspended").status_code == 200
    refused(service, token, "token_revoked", known=True)


def test_person_suspended_a_moment_ago(service):
    record, client = user(service, ["case_worker"])
    token = token_of(client)
    assert call(service, token, "GET").status_code == 200
    assert change(service, record, status="suspended").status_code == 200
    refused(service, token, "token_revoked", known=True)


def test_agency_suspended_a_moment_ago(service):
    admin = service.as_("admin")
    agency = admin.post("/agencies", json={"name": "Förening", "kind": "ngo", "organisation_number": None}).json()
    _, client = keyed_machine(service, ["partner"], agency_id=agency["id"])
    token = token_of(client)
    assert call(service, token).status_code == 201
    tag = admin.get("/agencies/" + agency["id"]).headers["ETag"]
    assert admin.patch("/agencies/" + agency["id"], json={"status": "suspended"}, headers={"If-Match": tag}).status_code == 200
    refused(service, token, "token_revoked", known=True)
    assert client.sign_in().status_code == 401


def test_reset_a_moment_ago(service):
    record, client = keyed_machine(service, ["case_worker"])
    token = token_of(client)
    act(service, record, "reset")
    approve(service, record)
    refused(service, token, "token_revoked", known=True)


def signed_in(service):
    """A person's answer of signing in."""
    who = service.cluster.credentials()["case_worker"]
    answer = service.anyone().post("/sessions", json=who)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_refresh_token_is_no_access_token(service):
    refused(service, signed_in(service)["refresh_token"])


def test_revoked_a_moment_ago(service):
    token = signed_in(service)["access_token"]
    assert call(service, token, "GET").status_code == 200
    assert service.anyone().post("/oauth/revoke", data={"token": token}).status_code == 200
    refused(service, token, "token_revoked", known=True)


def test_refresh_token_revoked_a_moment_ago_takes_its_access_tokens_with_it(service):
    tokens = signed_in(service)
    assert service.anyone().post("/oauth/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
    refused(service, tokens["access_token"], "token_revoked", known=True)
    with no_effect(service):
        answer = service.anyone().post("/oauth/token", json={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_grant"


def test_machine_s_token_revoked_a_moment_ago(service):
    _, client = keyed_machine(service, ["case_worker"])
    token = token_of(client)
    assert service.anyone().post("/oauth/revoke", data={"token": token}).status_code == 200
    refused(service, token, "token_revoked", known=True)


@pytest.mark.parametrize("step", [-1, 1])
def test_epoch_that_is_not_the_holder_s(service, current, good, step):
    """Raised, it makes every token of before void."""
    refused(service, forged(current, good, epoch=good["epoch"] + step), "token_revoked", known=True)


def test_sign_in_that_never_was(service, current, good):
    """Even with our signature."""
    refused(service, forged(current, good, sid="00000000-0000-4000-8000-000000000000"), "token_revoked", known=True)


def test_assertion_is_no_token(service):
    _, client = keyed_machine(service, ["case_worker"])
    refused(service, client.key.sign(jwts.assertion_claims(client.id)))


# -- assertions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def system(service):
    return keyed_machine(service, ["partner"], agency_id=ALMBY)[1]


@pytest.fixture(scope="module")
def other(service):
    return keyed_machine(service, ["case_worker"])[1]


def assertion_refused(service, system, assertion, code="invalid_client", **members):
    with no_effect(service):
        answer = system.sign_in(assertion, **members)
    assert answer.status_code == 401, (answer.status_code, answer.text)
    assert (answer.json()["code"], answer.json()["error"]) == (code, "invalid_client")
    assert audited(service, answer) == [("issueToken", "refused", 401, code, False)]


ASSERTIONS = {
    "another audience": {"aud": "https://other.example"}, "no audience": {"aud": None},
    "the token endpoint as audience": {"aud": jwts.ISSUER + "/v1/oauth/token"},
    "us among others": {"aud": [jwts.ISSUER, "https://other.example"]}, "us in a list": {"aud": [jwts.ISSUER]},
    "a life of 61 seconds": {"exp": 61}, "a life of a day": {"exp": 86400}, "a life of a day, unsaid": {"iat": None, "exp": 86400},
    "over": {"iat": -70, "nbf": -70, "exp": -10}, "over by now": {"iat": -60, "nbf": -60, "exp": 0},
    "no end": {"exp": None}, "begins later": {"iat": 600, "nbf": 600, "exp": 660}, "not yet": {"nbf": 600},
    "issued later": {"iat": 600, "nbf": None, "exp": 660},
    "no jti": {"jti": None}, "empty jti": {"jti": ""}, "jti of a number": {"jti": 7}, "jti without end": {"jti": "x" * 129},
    "no sub": {"sub": None}, "no iss": {"iss": None},
    "somebody else's sub": {"sub": "00000000-0000-4000-8000-000000000000"},
    "somebody else's iss": {"iss": "00000000-0000-4000-8000-000000000000"},
    "nobody's": {"iss": "00000000-0000-4000-8000-000000000000", "sub": "00000000-0000-4000-8000-000000000000"},
    "no uuid": {"iss": "system", "sub": "system"},
}


def shifted(changes):
    """Times are told from now."""
    now = int(time.time())
    return {name: now + value if name in ("iat", "nbf", "exp") and value is not None else value for name, value in changes.items()}


@pytest.mark.parametrize("name", ASSERTIONS)
def test_assertion_whose_claims_are_not_right(service, system, name):
    assertion_refused(service, system, system.key.sign(jwts.assertion_claims(system.id, **shifted(ASSERTIONS[name]))))


ASSERTION_SIGNATURES = {
    "alg none": lambda key, claims: jwts.by_nobody(claims, key.kid),
    "alg none with a signature": lambda key, claims: jwts.by_nobody(claims, key.kid, "A" * 86),
    "HS256 with the public key": lambda key, claims: jwts.by_hmac(claims, key.public_pem(), key.kid),
    "HS512 with the public key": lambda key, claims: jwts.by_hmac(claims, key.public_pem(), key.kid, "HS512"),
    "HS256 with nothing": lambda key, claims: jwts.by_hmac(claims, b"", key.kid),
    "a stranger's key": lambda key, claims: jwts.Key(key.kid).sign(claims),
    "a key that it brings": lambda key, claims: (lambda own: own.sign(claims, {"alg": "ES256", "jwk": own.jwk()}))(jwts.Key()),
    "end twice": lambda key, claims: key.sign(jwts.doubled(claims, "exp", claims["exp"] + 86400)),
    "jti twice": lambda key, claims: key.sign(jwts.doubled(claims, "jti", "other")),
    "end as a text": lambda key, claims: key.sign(claims | {"exp": str(claims["exp"])}),
    "nonsense": lambda key, claims: "a.b.c", "words": lambda key, claims: "let me in",
    "no signature": lambda key, claims: key.sign(claims).rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("name", ASSERTION_SIGNATURES)
def test_assertion_that_is_not_signed_by_the_client(service, system, name):
    assertion_refused(service, system, ASSERTION_SIGNATURES[name](system.key, jwts.assertion_claims(system.id)))


def test_assertion_signed_with_another_client_s_key(service, system, other):
    for header in (None, {"alg": "ES256"}, {"alg": "ES256", "kid": system.key.kid}):
        assertion_refused(service, system, other.key.sign(jwts.assertion_claims(system.id), header))


def test_assertion_of_another_client_than_named(service, system, other):
    assertion_refused(service, system, system.key.sign(jwts.assertion_claims(system.id)), client_id=other.id)
    assertion_refused(service, system, system.key.sign(jwts.assertion_claims(system.id)), client_id="nobody")


def test_oversized_assertion(service, system):
    """By the contract it has an end: 400, before anyone is looked up."""
    with no_effect(service):
        answer = system.sign_in(system.key.sign(jwts.assertion_claims(system.id, padding="x" * 4096)))
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


def test_access_token_is_no_assertion(service, system):
    assertion_refused(service, system, token_of(system))


def test_assertion_of_a_suspended_client(service):
    record, client = keyed_machine(service, ["auditor"])
    assert change(service, record, status="suspended").status_code == 200
    assertion_refused(service, client, None)


def test_used_assertion(service, system):
    assertion = system.key.sign(jwts.assertion_claims(system.id))
    assert system.sign_in(assertion).status_code == 200
    for _ in range(2):
        assertion_refused(service, system, assertion, "assertion_replayed")


def test_used_jti_in_another_assertion(service, system):
    jti = secrets.token_hex(8)
    assert system.sign_in(system.key.sign(jwts.assertion_claims(system.id, jti=jti))).status_code == 200
    assertion_refused(service, system, system.key.sign(jwts.assertion_claims(system.id, jti=jti, iat=None)), "assertion_replayed")


def test_refused_assertion_is_not_used_up(service, system):
    """Whoever cannot sign cannot spend the client's jti."""
    jti = secrets.token_hex(8)
    assertion_refused(service, system, jwts.Key(system.key.kid).sign(jwts.assertion_claims(system.id, jti=jti)))
    assert system.sign_in(system.key.sign(jwts.assertion_claims(system.id, jti=jti))).status_code == 200


def test_another_client_may_use_the_same_jti(system, other):
    jti = secrets.token_hex(8)
    for client in (system, other):
        assert client.sign_in(client.key.sign(jwts.assertion_claims(client.id, jti=jti))).status_code == 200


def test_of_eight_uses_at_once_one_wins(service, system):
    for _ in range(3):
        assertion = system.key.sign(jwts.assertion_claims(system.id))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: system.sign_in(assertion), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
        assert {a.json()["code"] for a in answers if a.status_code == 401} == {"assertion_replayed"}
        outcomes = [audited(service, answer)[0][1] for answer in answers]
        assert sorted(outcomes) == ["ok"] + ["refused"] * 7
