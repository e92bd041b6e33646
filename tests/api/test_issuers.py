"""Tokens of outside issuers: they say who somebody is, and never what she may."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

import accounts
from cluster import binary
from service import Client

IDP, OTHER = "https://idp.example", "https://other.example"
AUDIENCE = "https://api.utvag.example"
ACR = "http://id.sambi.se/loa3"
LOOK = 2  # seconds within which a process has looked at the files


def encode(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value, size=None):
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key of an issuer; `sign` makes a token that says what it is told to say."""

    def __init__(self, kid, kind):
        self.kid, self.kind = kid, kind
        self.private = (ec.generate_private_key(ec.SECP256R1()) if kind == "EC"
                        else rsa.generate_private_key(public_exponent=65537, key_size=2048))
        self.algorithm = "ES256" if kind == "EC" else "RS256"

    def jwk(self):
        public = self.private.public_key().public_numbers()
        named = {"kty": self.kind, "kid": self.kid, "use": "sig"}
        if self.kind == "EC":
            return named | {"crv": "P-256", "x": number(public.x, 32), "y": number(public.y, 32)}
        return named | {"n": number(public.n), "e": number(public.e)}

    def pem(self):
        return self.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)

    def signature(self, message):
        if self.kind == "RSA":
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, claims, **header):
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | header
        message = encode({name: value for name, value in header.items() if value is not None}) + "." + encode(claims)
        if header["alg"] == "none":
            return message + "."
        if header["alg"] == "HS256":
            return message + "." + encode(hmac.digest(self.pem(), message.encode(), hashlib.sha256))
        return message + "." + encode(self.signature(message.encode()))


@pytest.fixture(scope="module")
def keys():
    return {"ec": Key("ec-1", "EC"), "rsa": Key("rsa-1", "RSA"), "theirs": Key("ec-1", "EC")}


def configuration(folder, keys):
    """One issuer as simple as can be, and one that requires and narrows."""
    (folder / "idp.json").write_text(json.dumps({"keys": [keys["ec"].jwk(), keys["rsa"].jwk()]}))
    (folder / "other.json").write_text(json.dumps({"keys": [keys["theirs"].jwk()]}))
    entry = {"issuer": IDP, "audience": AUDIENCE, "jwks": str(folder / "idp.json"), "principal_claim": "email"}
    narrow = {"issuer": OTHER, "jwks": str(folder / "other.json"), "require": {"acr": ACR},
              "roles": {"claim": "groups", "map": {"handlaggare": "case_worker", "revision": "auditor"}}}
    return [entry, entry | narrow]


def written(folder, value):
    path = folder / "issuers.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("issuers")


@pytest.fixture(scope="module")
def service(serving, folder, keys):
    with serving(issuers=written(folder, configuration(folder, keys))) as running:
        yield running


@pytest.fixture(scope="module")
def worker(service):
    """A case worker, who is nothing else here."""
    return accounts.user(service, ["case_worker"])[0]


def claims(user, **members):
    now = int(time.time())
    said = {"iss": IDP, "sub": "8f14e45f", "aud": AUDIENCE, "iat": now, "exp": now + 600,
            "email": user["email"] if user else accounts.email()} | members
    return {name: value for name, value in said.items() if value is not None}


def ask(service, token, path="/applicants"):
    caller = Client(service)
    caller.headers["Authorization"] = "Bearer " + token
    return caller.get(path)


def code(answer):
    return answer.status_code, answer.json().get("code")


# -- who is let in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_user_comes_in_with_her_issuers_token(service, keys, worker, kind):
    token = keys[kind].sign(claims(worker))
    assert ask(service, token).status_code == 200
    assert ask(service, token).status_code == 200, "remembered"
    assert service.sql("SELECT count(*) FROM audit_events WHERE operation = 'listApplicants' AND principal_id = %s "
                       "AND outcome = 'ok'", worker["id"])[0][0] >= 2


@pytest.mark.parametrize("members", [
    {"aud": ["https://x.example", AUDIENCE]}, {"nbf": int(time.time()) - 5}, {"email_verified": True},
    {"roles": ["admin"], "agency": "0b9a6d0c-3f55-4e9b-8b1a-2c7d4e6f8a90", "machine": False, "epoch": 99},
], ids=lambda members: next(iter(members)))
def test_what_else_a_token_may_say(service, keys, worker, members):
    assert ask(service, keys["ec"].sign(claims(worker, **members))).status_code == 200


def test_address_is_folded_as_at_the_login(service, keys, worker):
    assert ask(service, keys["ec"].sign(claims(worker, email=worker["email"].upper()))).status_code == 200


def test_her_roles_are_those_of_our_database(service, keys, worker):
    """Nobody grants herself a role, whatever her token says."""
    token = keys["ec"].sign(claims(worker, roles=["admin", "auditor"], role="admin", groups=["revision"], scope="admin"))
    assert code(ask(service, token, "/users")) == (403, "role_missing")
    assert code(ask(service, token, "/audit-events")) == (403, "role_missing")


def test_partner_sees_her_own_agency_only(service, keys):
    agency, = service.sql("SELECT id::text FROM agencies ORDER BY created_at LIMIT 1")[0]
    partner, _ = accounts.user(service, ["partner"], agency_id=agency)
    assert ask(service, keys["rsa"].sign(claims(partner)), "/applicants").status_code == 200
    seen = {row[0] for row in service.sql("SELECT agency_id::text FROM audit_events WHERE principal_id = %s", partner["id"])}
    assert seen == {agency}


# -- roles are narrowed, never widened -----------------------------------------------------------------------------------


def narrowed(user, **members):
    return claims(user, iss=OTHER, acr=ACR, **members)


@pytest.fixture(scope="module")
def two_roles(service):
    return accounts.user(service, ["case_worker", "auditor"])[0]


def test_roles_can_be_narrowed(service, keys, two_roles):
    token = keys["theirs"].sign(narrowed(two_roles, groups=["handlaggare", "fikaansvarig"]))
    assert ask(service, token).status_code == 200
    assert code(ask(service, token, "/audit-events")) == (403, "role_missing")
    both = keys["theirs"].sign(narrowed(two_roles, groups=["handlaggare", "revision"]))
    assert ask(service, both, "/audit-events").status_code == 200
    assert ask(service, keys["theirs"].sign(narrowed(two_roles, groups="revision")), "/audit-events").status_code == 200


def test_role_that_she_does_not_hold_is_not_given(service, keys, worker):
    token = keys["theirs"].sign(narrowed(worker, groups=["handlaggare", "revision"]))
    assert ask(service, token).status_code == 200
    assert code(ask(service, token, "/audit-events")) == (403, "role_missing")


@pytest.mark.parametrize("groups", [None, [], ["fikaansvarig"], {"handlaggare": True}, [["handlaggare"]], 7])
def test_no_group_of_ours_is_no_role(service, keys, worker, groups):
    assert code(ask(service, keys["theirs"].sign(narrowed(worker, groups=groups)))) == (403, "role_missing")


@pytest.mark.parametrize("acr", [None, "http://id.sambi.se/loa2", "", ACR + " ", [ACR], True])
def test_what_is_required_must_be_said(service, keys, worker, acr):
    token = keys["theirs"].sign(narrowed(worker, groups=["handlaggare"]) | {"acr": acr})
    assert code(ask(service, token)) == (401, "token_invalid")


# -- whose address nobody has ----------------------------------------------------------------------------------------------


def refused_for(service, code):
    return service.sql("SELECT count(*) FROM audit_events WHERE outcome = 'refused' AND status = 401 AND code = %s", code)[0][0]


@pytest.mark.parametrize("path", ["/applicants", "/codes"])
def test_unknown_address_is_refused_and_audited(service, keys, path):
    before = refused_for(service, "holder_unknown")
    assert code(ask(service, keys["ec"].sign(claims(None)), path)) == (401, "holder_unknown")
    assert refused_for(service, "holder_unknown") == before + 1


def test_suspended_user_is_out_at_once(service, keys):
    user, _ = accounts.user(service, ["case_worker"])
    token = keys["ec"].sign(claims(user))
    assert ask(service, token).status_code == 200
    assert accounts.change(service, user, status="suspended").status_code == 200
    assert code(ask(service, token)) == (401, "token_revoked"), "though it was remembered"
    assert code(ask(service, keys["ec"].sign(claims(user, jti="2")))) == (401, "holder_unknown")


def test_signed_out_user_needs_a_new_token_of_her_issuer(service, keys):
    user, _ = accounts.user(service, ["case_worker"])
    before = int(time.time())
    shown, kept = keys["ec"].sign(claims(user)), keys["ec"].sign(claims(user, jti="2", iat=before))
    assert ask(service, shown).status_code == 200
    assert service.as_("admin").post(f"/users/{user['id']}/sign-out").status_code == 200
    assert code(ask(service, shown)) == (401, "token_revoked")
    assert code(ask(service, kept)) == (401, "holder_unknown"), "though it was never shown"
    while int(time.time()) <= before + 1:
        time.sleep(0.1)
    assert ask(service, keys["ec"].sign(claims(user, jti="3"))).status_code == 200


def test_invited_user_is_nobody_yet(service, keys):
    user = accounts.ask_user(service, ["case_worker"])
    accounts.approve(service, user)
    assert code(ask(service, keys["ec"].sign(claims(user)))) == (401, "holder_unknown")


def test_role_that_is_taken_away_is_gone_at_once(service, keys):
    user, _ = accounts.user(service, ["case_worker"])
    token = keys["ec"].sign(claims(user))
    assert ask(service, token).status_code == 200
    service.sql("UPDATE principals SET roles = '{auditor}' WHERE id = %s", user["id"])
    assert ask(service, token).status_code == 401


def test_person_whom_we_help_never_comes_in(service, keys):
    """Addresses of users are an index of their own."""
    email = accounts.email()
    made = service.as_("case_worker").post("/applicants", json={"protection": "none", "email": email})
    assert made.status_code == 201, made.text
    assert code(ask(service, keys["ec"].sign(claims({"email": email})))) == (401, "holder_unknown")


def test_addresses_cannot_be_tried_without_end(serving, tmp_path, keys):
    with serving(issuers=written(tmp_path, configuration(tmp_path, keys)), failed_logins_per_minute=3) as service:
        answers = [code(ask(service, keys["ec"].sign(claims(None))))[0] for _ in range(5)]
        assert answers == [401, 401, 401, 429, 429]


# -- attacks ---------------------------------------------------------------------------------------------------------------


ATTACKS = {
    "another audience": lambda keys, user: keys["ec"].sign(claims(user, aud="https://x.example")),
    "no audience": lambda keys, user: keys["ec"].sign(claims(user, aud=None)),
    "an audience among others that is only alike": lambda keys, user: keys["ec"].sign(claims(user, aud=[AUDIENCE + "/"])),
    "an unknown kid": lambda keys, user: keys["ec"].sign(claims(user), kid="ec-2"),
    "no kid": lambda keys, user: keys["ec"].sign(claims(user), kid=None),
    "the kid of another key": lambda keys, user: keys["ec"].sign(claims(user), kid="rsa-1"),
    "another issuer's key of the same kid": lambda keys, user: keys["theirs"].sign(claims(user)),
    "HS256 with the public key": lambda keys, user: keys["rsa"].sign(claims(user), alg="HS256"),
    "HS256 with the public key of ES256": lambda keys, user: keys["ec"].sign(claims(user), alg="HS256"),
    "RS256 by a key of ES256": lambda keys, user: keys["ec"].sign(claims(user), alg="RS256"),
    "none": lambda keys, user: keys["ec"].sign(claims(user), alg="none"),
    "none with a signature": lambda keys, user: keys["ec"].sign(claims(user), alg="none") + "A" * 86,
    "a header that names its own key": lambda keys, user: keys["theirs"].sign(claims(user), jwk=keys["theirs"].jwk()),
    "a header that says where the key is": lambda keys, user: keys["ec"].sign(claims(user), jku="https://x.example"),
    "critical members": lambda keys, user: keys["ec"].sign(claims(user), crit=["exp"]),
    "another type": lambda keys, user: keys["ec"].sign(claims(user), typ="dpop+jwt"),
    "an issuer that is not listed": lambda keys, user: keys["ec"].sign(claims(user, iss="https://x.example")),
    "an issuer that is only alike": lambda keys, user: keys["ec"].sign(claims(user, iss=IDP + "/")),
    "our own name": lambda keys, user: keys["ec"].sign(claims(user, iss="https://test.utvag.example")),
    "no issuer": lambda keys, user: keys["ec"].sign(claims(user, iss=None)),
    "no end": lambda keys, user: keys["ec"].sign(claims(user, exp=None)),
    "an end that is a text": lambda keys, user: keys["ec"].sign(claims(user, exp=str(int(time.time()) + 600))),
    "an end that is a real": lambda keys, user: keys["ec"].sign(claims(user, exp=time.time() + 600.5)),
    "no beginning": lambda keys, user: keys["ec"].sign(claims(user, iat=None)),
    "a beginning ahead": lambda keys, user: keys["ec"].sign(claims(user, iat=int(time.time()) + 300)),
    "not before ahead": lambda keys, user: keys["ec"].sign(claims(user, nbf=int(time.time()) + 300)),
    "a life of weeks": lambda keys, user: keys["ec"].sign(claims(user, exp=int(time.time()) + 14 * 86400)),
    "an address that nobody verified": lambda keys, user: keys["ec"].sign(claims(user, email_verified=False)),
    "an address that is said to be verified": lambda keys, user: keys["ec"].sign(claims(user, email_verified="true")),
    "no address": lambda keys, user: keys["ec"].sign(claims(user, email=None)),
    "an empty address": lambda keys, user: keys["ec"].sign(claims(user, email="")),
    "several addresses": lambda keys, user: keys["ec"].sign(claims(user, email=[user["email"]])),
    "a proof of possession that we cannot ask for": lambda keys, user: keys["ec"].sign(claims(user, cnf={"jkt": "x"})),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_refused(service, keys, worker, attack):
    before = refused_for(service, "token_invalid")
    assert code(ask(service, ATTACKS[attack](keys, worker))) == (401, "token_invalid")
    assert refused_for(service, "token_invalid") == before + 1


def test_altered_token_is_refused(service, keys, worker):
    head, body, signature = keys["rsa"].sign(claims(None)).split(".")
    for token in (".".join((head, encode(claims(worker)), signature)), ".".join((head, body, signature[:-2])),
                  ".".join((head, body, signature[:-1] + ("A" if signature[-1] != "A" else "Q")))):
        assert code(ask(service, token)) == (401, "token_invalid")


def test_expired_token_is_told_apart(service, keys, worker):
    past = int(time.time()) - 5
    assert code(ask(service, keys["ec"].sign(claims(worker, exp=past, iat=past - 300)))) == (401, "token_expired")


def test_remembered_token_ends_when_it_ends(service, keys, worker):
    token = keys["ec"].sign(claims(worker, exp=int(time.time()) + 2))
    assert ask(service, token).status_code == 200
    time.sleep(2.1)
    assert code(ask(service, token)) == (401, "token_expired")


def test_our_own_tokens_are_as_before(service):
    assert service.as_("case_worker").get("/applicants").status_code == 200


# -- keys change -------------------------------------------------------------------------------------------------------------


def replace(path, keys):
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"keys": [key.jwk() for key in keys]}))
    fresh.replace(path)


def test_changed_keys_are_read_again(serving, tmp_path, keys):
    with serving(issuers=written(tmp_path, configuration(tmp_path, keys))) as service:
        service.expects_error("issuer_keys_unreadable")
        user, _ = accounts.user(service, ["case_worker"])
        old, new = keys["ec"].sign(claims(user)), Key("ec-2", "EC")
        assert ask(service, old).status_code == 200
        replace(tmp_path / "idp.json", [keys["ec"], new])
        assert ask(service, new.sign(claims(user))).status_code == 200, "a kid that is new is looked for at once"
        assert ask(service, old).status_code == 200
        replace(tmp_path / "idp.json", [new])
        time.sleep(LOOK)
        assert code(ask(service, old)) == (401, "token_invalid"), "though it was remembered"
        service.expects_error("issuer_keys_unreadable")
        (tmp_path / "idp.json").write_text("{")
        time.sleep(LOOK)
        assert service.log("issuer_keys_unreadable")
        assert ask(service, new.sign(claims(user, jti="2"))).status_code == 200, "what was read last holds"


# -- the file is checked whole at start ----------------------------------------------------------------------------------------


def start(service, path):
    environment = service.cluster.environment(service.database) | {"UTVAG_ISSUERS": str(path)}
    done = subprocess.run([binary(), "serve"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    return done.stderr


FAULTS = {
    "[0].issuer: missing": {"issuer": None},
    "[0].audience: not a text": {"audience": 7},
    "[0].principal_claim: missing": {"principal_claim": None},
    '[0].issuer: "https://test.utvag.example" is this service itself': {"issuer": "https://test.utvag.example"},
    "[0].required: required: no such member": {"required": {"acr": ACR}},
    "[0].require: not an object": {"require": [ACR]},
    "[0].require: acr: not a text": {"require": {"acr": True}},
    "[0].roles: map: chef: not a role": {"roles": {"claim": "groups", "map": {"chef": "boss"}}},
    "[0].roles: claim: missing": {"roles": {"map": {"chef": "admin"}}},
    "[0].roles: default: no such member": {"roles": {"claim": "x", "map": {"chef": "admin"}, "default": "admin"}},
    "[0].jwks: \"idp.json\" is not an absolute path": {"jwks": "idp.json"},
    "[0].jwks: /nonexistent: No such file": {"jwks": "/nonexistent"},
    f'[1].issuer: "{OTHER}" stands twice': {"issuer": OTHER},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(service, tmp_path, keys, fault):
    first, second = configuration(tmp_path, keys)
    first = {name: value for name, value in (first | FAULTS[fault]).items() if value is not None}
    assert fault in start(service, written(tmp_path, [first, second]))


def test_every_fault_is_named(service, tmp_path, keys):
    first, second = configuration(tmp_path, keys)
    said = start(service, written(tmp_path, [first | {"audience": ""}, second | {"jwks": 1, "require": {}}]))
    assert all(part in said for part in ("[0].audience", "[1].jwks", "[1].require"))


@pytest.mark.parametrize("text, reason", [("[]", "not an array of issuers"), ("{}", "not an array of issuers"), ("[", "line 1"),
                                          ('[{"issuer": "a", "issuer": "b"}]', "duplicate")])
def test_file_that_lists_nobody_is_refused(service, tmp_path, text, reason):
    assert reason in start(service, written(tmp_path, text))


@pytest.mark.parametrize("keys_of, reason", [
    (lambda keys: [keys["ec"].jwk() | {"d": "AAAA"}], "private key"),
    (lambda keys: [{"kty": "oct", "kid": "x", "k": "AAAA"}], "private key"),
    (lambda keys: [], "no key for signatures"),
    (lambda keys: [keys["ec"].jwk() | {"use": "enc"}], "no key for signatures"),
    (lambda keys: [keys["ec"].jwk(), keys["theirs"].jwk()], "one kid"),
], ids=["private", "shared", "none", "for encryption", "twice"])
def test_key_set_that_cannot_serve_is_refused(service, tmp_path, keys, keys_of, reason):
    path = written(tmp_path, configuration(tmp_path, keys))
    (tmp_path / "idp.json").write_text(json.dumps({"keys": keys_of(keys)}))
    assert reason in start(service, path)


@pytest.mark.parametrize("name", ["issuers.json", "idp.json"])
def test_file_that_others_may_write_is_refused(service, tmp_path, keys, name):
    path = written(tmp_path, configuration(tmp_path, keys))
    os.chmod(tmp_path / name, 0o664)
    assert "may write it" in start(service, path)
