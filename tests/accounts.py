"""Builders of users and clients: asked for by one administrator, approved by another, with secrets of their own."""

import secrets
import time

import jwts
from service import Client

PASSWORD = "korrekt häst batteri häftklammer"


def email():
    return f"test.{secrets.token_hex(6)}@imt.example"


def ask_user(service, roles, admin="admin", **members):
    body = {"name": "Test Testsson", "email": email(), "roles": roles} | members
    answer = service.as_(admin).post("/users", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def ask_client(service, roles, admin="admin", **members):
    answer = service.as_(admin).post("/clients", json={"label": "Testsystem", "roles": roles} | members)
    assert answer.status_code == 201, answer.text
    return answer.json()


def path(record):
    return ("/users/" if "email" in record else "/clients/") + record["id"]


def tag(service, record, admin="admin"):
    answer = service.as_(admin).get(path(record))
    assert answer.status_code == 200, answer.text
    return {"If-Match": answer.headers["ETag"]}


def approve(service, record, admin="admin_2"):
    answer = service.as_(admin).post(path(record) + "/approve", headers=tag(service, record, admin))
    assert answer.status_code == 200, answer.text
    return answer.json()


def accept(service, approved, **body):
    body = {"token": approved["invitation"]["token"]} | body
    return service.anyone().post("/invitations/accept", json=body)


def change(service, record, admin="admin", **members):
    return service.as_(admin).patch(path(record), json=members, headers=tag(service, record, admin))


def act(service, record, action, admin="admin"):
    return service.as_(admin).post(f"{path(record)}/{action}", headers=tag(service, record, admin))


def user(service, roles, **members):
    """An active user, and a client of the service that speaks for her."""
    asked = ask_user(service, roles, **members)
    answer = accept(service, approve(service, asked), password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return asked, Client(service, {"email": asked["email"], "password": PASSWORD})


def person(service, roles=("case_worker",), **members):
    """An active user who has her second factor still to confirm: her credentials, and what was shown when she accepted."""
    asked = ask_user(service, list(roles), **members)
    answer = accept(service, approve(service, asked), password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return asked, {"email": asked["email"], "password": PASSWORD}, answer.json()


def machine(service, roles, **members):
    """An active machine client, and a client of the service that speaks for it."""
    asked = ask_client(service, roles, **members)
    answer = accept(service, approve(service, asked))
    assert answer.status_code == 200, answer.text
    credentials = {name: answer.json()[name] for name in ("client_id", "client_secret")}
    return asked, Client(service, credentials, officer="handl-1")


class KeyClient(Client):
    """A machine that signs in with a key of its own (private_key_jwt)."""

    def __init__(self, service, client_id, key, officer="handl-1"):
        super().__init__(service, {"client_id": client_id}, officer)
        self.id, self.key, self.shared = client_id, key, False

    def sign_in(self, assertion=None, **members):
        assertion = assertion or self.key.sign(jwts.assertion_claims(self.id))
        body = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE,
                "client_assertion": assertion} | members
        return self.service.anyone().post("/oauth/token", json=body)

    def ask_token(self):
        answer = self.sign_in()
        assert answer.status_code == 200, answer.text
        self.use_token(answer.json()["access_token"], time.time())


def keyed_machine(service, roles, *keys, **members):
    """An active machine client that has registered keys (one, if none is given), and a client that speaks for it."""
    keys = keys or (jwts.Key(),)
    asked = ask_client(service, roles, **members)
    answer = accept(service, approve(service, asked), public_keys=[key.jwk() for key in keys])
    assert answer.status_code == 200, answer.text
    return asked, KeyClient(service, asked["id"], keys[0])


def codes(answer):
    return [error["code"] for error in answer.json().get("errors", [])]
