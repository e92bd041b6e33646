"""Machine clients with keys of their own: what they register, and how they sign in with it (RFC 7523)."""

import concurrent.futures
import json
import secrets
import statistics
import time

import pytest
import requests

import jwts
from accounts import accept, act, approve, ask_client, ask_user, change, codes, keyed_machine, machine, path, PASSWORD

ALMBY = "d0000000-0000-4000-8000-000000000001"


def rows(service, answer):
    trace = answer.headers["traceparent"].split("-")[1]
    return service.sql("SELECT operation, outcome, status, code, record_ids::text[] FROM audit_events WHERE trace_id = %s"
                       " ORDER BY xid, id", trace)


def pointers(answer):
    return [(error.get("pointer"), error["code"]) for error in answer.json()["errors"]]


def refused(service, answer, code="invalid_client"):
    assert answer.status_code == 401, answer.text
    body = answer.json()
    assert (body["code"], body["error"]) == (code, "invalid_client") and "access_token" not in body
    assert answer.headers["Cache-Control"] == "no-store" and "WWW-Authenticate" in answer.headers
    assert [row[:4] for row in rows(service, answer)] == [("issueToken", "refused", 401, code)]


@pytest.fixture(scope="module")
def keyed(service):
    """An agency's system with two keys; the client speaks by the first."""
    keys = jwts.Key("almby-1"), jwts.Key()
    record, client = keyed_machine(service, ["partner"], *keys, agency_id=ALMBY)
    client.keys = keys
    return client


@pytest.fixture(scope="module")
def invited(service):
    """A function: an invitation that nobody has accepted, as accept takes it."""
    return lambda: approve(service, ask_client(service, ["auditor"]))


# -- registering ------------------------------------------------------------------------------------------------------


def test_client_hands_over_keys_and_gets_no_secret(service, invited):
    first, second = jwts.Key("almby-2026"), jwts.Key()
    approved = invited()
    answer = accept(service, approved, public_keys=[first.jwk(use="sig", alg="ES256", key_ops=["verify"], ext=True),
                                                    {n: v for n, v in second.jwk().items() if n != "kid"}])
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": approved["id"], "client_id": approved["id"], "key_ids": ["almby-2026", second.kid]}
    assert answer.headers["Cache-Control"] == "no-store"
    assert service.sql("SELECT secret_digest, has_secret FROM credentials WHERE principal_id = %s", approved["id"]) == [(None, False)]
    read = service.as_("admin").get(path(approved)).json()
    assert read["authentication"] == "private_key_jwt" and read["key_ids"] == ["almby-2026", second.kid]
    assert ("acceptInvitation", "ok", None, None, [approved["id"]]) in rows(service, answer)


def test_admin_sees_how_each_client_signs_in(service, invited):
    waiting = invited()
    with_secret, _ = machine(service, ["auditor"])
    found = {client["id"]: client for client in
             service.as_("admin").get("/clients", params={"limit": 100, "sort": "-created_at"}).json()["clients"]}
    assert (found[waiting["id"]]["authentication"], found[waiting["id"]]["key_ids"]) == (None, [])
    assert (found[with_secret["id"]]["authentication"], found[with_secret["id"]]["key_ids"]) == ("client_secret", [])


def test_private_part_of_a_key_is_refused_and_kept_nowhere(service, invited):
    approved = invited()
    answer = accept(service, approved, public_keys=[jwts.Key().jwk(d="c2VjcmV0LXBhcnQ")])
    assert answer.status_code == 422 and pointers(answer) == [("/public_keys/0/d", "key_is_private")]
    assert "c2VjcmV0LXBhcnQ" not in answer.text + "".join(service.lines)
    assert accept(service, approved, public_keys=[jwts.Key().jwk()]).status_code == 200, "the invitation still holds"


@pytest.mark.parametrize("changes, pointer", [
    ({"kty": "RSA"}, "/public_keys/0/kty"), ({"crv": "P-384"}, "/public_keys/0/crv"), ({"use": "enc"}, "/public_keys/0/use"),
    ({"alg": "RS256"}, "/public_keys/0/alg"), ({"alg": "none"}, "/public_keys/0/alg"), ({"kid": ""}, "/public_keys/0/kid"),
    ({"kid": "två ord"}, "/public_keys/0/kid"), ({"x": "AA"}, "/public_keys/0/x"), ({"y": "A" * 43}, "/public_keys/0"),
    ({"y": "_" * 43}, "/public_keys/0"), ({"key_ops": ["sign"]}, "/public_keys/0"), ({"x5u": "https://x.example"}, "/public_keys/0"),
])
def test_only_a_public_key_on_p_256_is_taken(service, invited, changes, pointer):
    answer = accept(service, invited(), public_keys=[jwts.Key().jwk() | changes])
    assert answer.status_code == 422 and pointers(answer)[0][0] == pointer, answer.text
    assert service.sql("SELECT count(*) FROM client_keys WHERE public_pem IS NULL OR kid = ''") == [(0,)]


def test_one_or_two_keys_of_different_names(service, invited):
    twice = jwts.Key("same").jwk(), jwts.Key("same").jwk()
    answer = accept(service, invited(), public_keys=list(twice))
    assert answer.status_code == 422 and pointers(answer) == [("/public_keys/1/kid", "key_named_twice")]
    for keys in ([], [jwts.Key().jwk() for _ in range(3)]):
        assert accept(service, invited(), public_keys=keys).status_code == 422


def test_person_has_no_keys_and_a_machine_no_password(service, invited):
    person = approve(service, ask_user(service, ["auditor"]))
    answer = accept(service, person, password=PASSWORD, public_keys=[jwts.Key().jwk()])
    assert answer.status_code == 422 and pointers(answer) == [("/public_keys", "not_for_users")]
    answer = accept(service, invited(), password=PASSWORD, public_keys=[jwts.Key().jwk()])
    assert answer.status_code == 422 and pointers(answer) == [("/password", "not_for_clients")]


def test_invitation_is_accepted_once(service, invited):
    approved = invited()
    assert accept(service, approved, public_keys=[jwts.Key().jwk()]).status_code == 200
    assert accept(service, approved, public_keys=[jwts.Key().jwk()]).status_code == 401
    assert accept(service, approved).status_code == 401


def test_where_secrets_are_off_a_client_must_have_keys(serving):
    with serving(client_secrets=0) as service:
        approved = approve(service, ask_client(service, ["auditor"]))
        answer = accept(service, approved)
        assert answer.status_code == 422 and pointers(answer) == [("/public_keys", "required")]
        key = jwts.Key()
        assert accept(service, approved, public_keys=[key.jwk()]).status_code == 200
        body = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE,
                "client_assertion": key.sign(jwts.assertion_claims(approved["id"]))}
        assert service.anyone().post("/oauth/token", json=body).status_code == 200


def test_reset_replaces_the_keys(service):
    record, client = keyed_machine(service, ["auditor"])
    assert client.sign_in().status_code == 200
    act(service, record, "reset")
    approved = approve(service, record)
    refused(service, client.sign_in())
    read = service.as_("admin").get(path(record)).json()
    assert read["authentication"] is None and read["key_ids"] == []
    renewed = jwts.Key()
    assert accept(service, approved, public_keys=[renewed.jwk()]).status_code == 200
    refused(service, client.sign_in())
    client.key = renewed
    assert client.sign_in().status_code == 200


def test_reset_can_turn_keys_into_a_secret_and_back(service):
    record, client = keyed_machine(service, ["auditor"])
    act(service, record, "reset")
    secret = accept(service, approve(service, record)).json()["client_secret"]
    by_secret = {"grant_type": "client_credentials", "client_id": record["id"], "client_secret": secret}
    assert service.anyone().post("/oauth/token", json=by_secret).status_code == 200
    refused(service, client.sign_in())
    act(service, record, "reset")
    assert accept(service, approve(service, record), public_keys=[client.key.jwk()]).status_code == 200
    assert client.sign_in().status_code == 200
    assert service.anyone().post("/oauth/token", json=by_secret).status_code == 401


def test_end_of_a_suspension_leaves_the_keys(service):
    record, client = keyed_machine(service, ["auditor"])
    assert change(service, record, status="suspended").status_code == 200
    refused(service, client.sign_in())
    assert change(service, record, status="active").status_code == 200
    approved = approve(service, record)
    assert approved["invitation"] is None and approved["authentication"] == "private_key_jwt"
    assert client.sign_in().status_code == 200


# -- signing in -------------------------------------------------------------------------------------------------------


def test_assertion_signs_a_client_in(service, keyed):
    answer = keyed.sign_in(officer="handl-9", scope="partner")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "partner" and answer.headers["Cache-Control"] == "no-store"
    assert jwts.claims_of(answer.json()["access_token"])["officer"] == "handl-9"
    assert rows(service, answer) == [("issueToken", "ok", None, None, [keyed.id])]
    assert keyed.post("/children", json={}).status_code == 201


def test_form_and_client_id_beside(service, keyed):
    form = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE, "client_id": keyed.id,
            "client_assertion": keyed.key.sign(jwts.assertion_claims(keyed.id))}
    assert service.anyone().post("/oauth/token", data=form).status_code == 200


def test_either_key_signs_named_or_not(keyed):
    claims = jwts.assertion_claims
    for key in keyed.keys:
        assert keyed.sign_in(key.sign(claims(keyed.id))).status_code == 200
        assert keyed.sign_in(key.sign(claims(keyed.id), {"alg": "ES256"})).status_code == 200
        assert keyed.sign_in(key.sign(claims(keyed.id), {"alg": "ES256", "typ": "JWT", "kid": key.kid})).status_code == 200


def test_kid_decides_which_key_verifies(service, keyed):
    first, second = keyed.keys
    for kid in (second.kid, "unknown"):
        refused(service, keyed.sign_in(first.sign(jwts.assertion_claims(keyed.id), {"alg": "ES256", "kid": kid})))


def test_clock_that_is_ahead_a_little(keyed):
    """Libraries say iat = now and exp = now + 60 by their own clock."""
    ahead = int(time.time()) + 20
    times = {"iat": ahead, "nbf": ahead, "exp": ahead + 60}
    assert keyed.sign_in(keyed.key.sign(jwts.assertion_claims(keyed.id, **times))).status_code == 200


@pytest.mark.parametrize("members", [
    {"client_secret": "x" * 20}, {"client_assertion_type": None}, {"client_assertion": None},
    {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
    {"client_assertion_type": None, "client_assertion": None},
    {"client_assertion_type": None, "client_assertion": None, "client_secret": "x" * 20},
    {"client_assertion_type": None, "client_assertion": None, "client_id": "00000000-0000-4000-8000-000000000000"},
])
def test_one_way_of_showing_who_it_is(service, keyed, members):
    body = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE,
            "client_assertion": keyed.key.sign(jwts.assertion_claims(keyed.id))} | members
    answer = service.anyone().post("/oauth/token", json={n: v for n, v in body.items() if v is not None})
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["error"]) == ("client_authentication_unclear", "invalid_request")
    assert [row[:4] for row in rows(service, answer)] == [("issueToken", "refused", 400, "client_authentication_unclear")]


def test_client_with_keys_has_no_secret_and_the_reverse(service, keyed):
    for secret in ("x" * 43, "", "null"):
        body = {"grant_type": "client_credentials", "client_id": keyed.id, "client_secret": secret}
        assert service.anyone().post("/oauth/token", json=body).status_code in (400, 401)
    record, _ = machine(service, ["auditor"])
    refused(service, keyed.sign_in(keyed.key.sign(jwts.assertion_claims(record["id"]))))


def test_expired_assertions_are_forgotten_a_few_at_a_time(service, keyed):
    service.sql("INSERT INTO client_assertions SELECT gen_random_uuid(), sha256(i::text::bytea), now() - interval '11 minutes'"
                " FROM generate_series(1, 20) i")
    service.sql("INSERT INTO client_assertions VALUES (gen_random_uuid(), 'late', now() - interval '9 minutes')")

    def left():
        return service.sql("SELECT count(*) FROM client_assertions WHERE expires_at < now()")[0][0]

    seen = [left()]
    for _ in range(3):
        assert keyed.sign_in().status_code == 200
        seen.append(left())
    assert seen == [21, 13, 5, 1]


def test_used_up_across_instances_and_restarts(service, keyed):
    """What was used is in the database, not in a process."""
    assertion = keyed.key.sign(jwts.assertion_claims(keyed.id))
    assert keyed.sign_in(assertion).status_code == 200
    other = type(service)(service.cluster, service.database).start()
    try:
        body = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE, "client_assertion": assertion}
        answer = requests.post(other.url + "/oauth/token", json=body, timeout=30)
        assert answer.status_code == 401 and answer.json()["code"] == "assertion_replayed"
        body["client_assertion"] = keyed.key.sign(jwts.assertion_claims(keyed.id))
        assert requests.post(other.url + "/oauth/token", json=body, timeout=30).status_code == 200
    finally:
        other.stop()


def test_no_assertion_is_in_log_or_database(service, keyed):
    claims = jwts.assertion_claims(keyed.id, jti="jti-" + secrets.token_hex(8))
    assertion = keyed.key.sign(claims)
    keyed.sign_in(assertion)
    keyed.sign_in(assertion)
    assert assertion not in "".join(service.lines) and claims["jti"] not in "".join(service.lines)
    assert service.sql("SELECT count(*) FROM audit_events a WHERE a::text LIKE %s", f"%{claims['jti']}%") == [(0,)]
    assert service.sql("SELECT count(*) FROM client_assertions a WHERE a::text LIKE %s", f"%{claims['jti']}%") == [(0,)]


# -- replacing them ---------------------------------------------------------------------------------------------------


def replace(client, *keys, by=None, **members):
    body = {"client_assertion_type": jwts.ASSERTION_TYPE, "public_keys": [key.jwk() for key in keys],
            "client_assertion": (by or client.key).sign(jwts.assertion_claims(client.id))} | members
    return client.service.anyone().post("/oauth/client-keys", json=body)


def test_client_rolls_over_to_a_key_of_its_own_choice(service):
    record, client = keyed_machine(service, ["auditor"])
    old, following = client.key, jwts.Key("almby-2027")
    answer = replace(client, old, following)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"client_id": client.id, "key_ids": [old.kid, "almby-2027"]}
    assert rows(service, answer) == [("replaceClientKeys", "ok", None, None, [client.id])]
    for client.key in (old, following):
        assert client.sign_in().status_code == 200, "both, until the old one is left out"
    assert replace(client, following).status_code == 200
    client.key = old
    refused(service, client.sign_in())
    assert service.as_("admin").get(path(record)).json()["key_ids"] == ["almby-2027"]


def test_tokens_of_before_are_void(service):
    _, client = keyed_machine(service, ["case_worker"])
    assert client.get("/children").status_code == 200
    assert replace(client, client.key).status_code == 200
    assert client.get("/children").json()["code"] == "token_revoked"
    client.asked = None
    assert client.get("/children").status_code == 200


def test_keys_are_replaced_by_an_assertion_only_and_once(service):
    _, client = keyed_machine(service, ["auditor"])
    token = client.sign_in().json()["access_token"]
    stolen = {"client_assertion_type": jwts.ASSERTION_TYPE, "client_assertion": token, "public_keys": [jwts.Key().jwk()]}
    used = client.key.sign(jwts.assertion_claims(client.id))
    assert client.sign_in(used).status_code == 200
    stranger = jwts.Key(client.key.kid)
    for answer, code in ((service.anyone().post("/oauth/client-keys", json=stolen), "invalid_client"),
                         (replace(client, stranger, client_assertion=used), "assertion_replayed"),
                         (replace(client, stranger, by=stranger), "invalid_client"),
                         (replace(client, stranger, client_id="00000000-0000-4000-8000-000000000000"), "invalid_client")):
        assert answer.status_code == 401 and answer.json()["code"] == code, answer.text
        assert [row[:4] for row in rows(service, answer)] == [("replaceClientKeys", "refused", 401, code)]
    bearer = {"Authorization": "Bearer " + token}
    answer = service.anyone().post("/oauth/client-keys", json={"public_keys": [stranger.jwk()]}, headers=bearer)
    assert answer.status_code == 422
    assert client.sign_in().status_code == 200


def test_keys_that_are_not_right_leave_those_of_now(service):
    _, client = keyed_machine(service, ["auditor"])
    assertion = client.key.sign(jwts.assertion_claims(client.id))
    answer = replace(client, client_assertion=assertion, public_keys=[client.key.private_jwk()])
    assert answer.status_code == 422 and pointers(answer) == [("/public_keys/0/d", "key_is_private")]
    assert client.sign_in(assertion).status_code == 200, "nor was the assertion used up"


def test_of_those_who_replace_by_one_key_at_one_time_one_does(service):
    _, client = keyed_machine(service, ["auditor"])
    new = [jwts.Key() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda key: replace(client, key), new))
    assert sorted(answer.status_code for answer in answers) == [200] + 5 * [401]
    left = service.sql("SELECT kid FROM client_keys WHERE principal_id = %s", client.id)
    assert left == [(key.kid,) for key, answer in zip(new, answers) if answer.status_code == 200]


def test_key_that_is_being_replaced_replaces_nothing(service):
    """Nor where its owner gives the new one the old one's name."""
    _, client = keyed_machine(service, ["auditor"])
    new = [{"kid": client.key.kid, "public_pem": "the owner's new one"}]
    with service.connect() as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            connection.execute("SELECT replace_client_keys(id, token_epoch, %s) FROM principals WHERE id = %s",
                               [json.dumps(new), client.id])
            late = pool.submit(replace, client, jwts.Key("thief"))
            time.sleep(0.5)
        answer = late.result()
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_client")
    left = service.sql("SELECT kid, public_pem FROM client_keys WHERE principal_id = %s", client.id)
    assert left == [(client.key.kid, "the owner's new one")]


# -- what a refusal tells ---------------------------------------------------------------------------------------------


def without_trace(answer):
    return ({n: v for n, v in answer.json().items() if n not in ("trace_id", "instance")},
            {n: v for n, v in answer.headers.items() if n.lower() not in ("traceparent", "date")})


def strangers(keyed):
    """The same assertion but for whom it names, by a key that neither has: of a client, and of nobody."""
    stranger = jwts.Key()
    return [lambda client=client: stranger.sign(jwts.assertion_claims(client), {"alg": "ES256"})
            for client in (keyed.id, "00000000-0000-4000-8000-000000000000")]


def test_unknown_client_and_wrong_key_are_refused_alike(service, keyed):
    known, unknown = (keyed.sign_in(make()) for make in strangers(keyed))
    refused(service, known)
    refused(service, unknown)
    assert without_trace(known) == without_trace(unknown)


def test_unknown_client_and_wrong_key_take_the_same_time(keyed):
    makers = strangers(keyed)
    spent = [[], []]
    for _ in range(40):
        for times, make in zip(spent, makers):
            assertion = make()
            begun = time.perf_counter()
            keyed.sign_in(assertion)
            times.append(time.perf_counter() - begun)
    known, unknown = (statistics.quantiles(times, n=10)[0] for times in spent)  # the least disturbed by what else runs
    assert abs(known - unknown) < 0.25 * max(known, unknown)


def test_refused_assertions_count_as_failed_logins(serving):
    with serving(failed_logins_per_minute=3) as service:
        _, client = keyed_machine(service, ["auditor"])
        _, other = keyed_machine(service, ["auditor"])
        assert [client.sign_in().status_code for _ in range(6)] == [200] * 6, "those that pass count for nothing"
        bad = [client.sign_in(jwts.Key().sign(jwts.assertion_claims(client.id))) for _ in range(4)]
        assert [answer.status_code for answer in bad] == [401, 401, 401, 429]
        assert bad[3].json()["error"] == "invalid_request" and int(bad[3].headers["Retry-After"]) > 0
        assert other.sign_in().status_code == 429, "the address waits too"
