"""Builders of users and clients: asked for by one administrator, approved by another, with secrets of their own."""

import secrets

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


def machine(service, roles, **members):
    """An active machine client, and a client of the service that speaks for it."""
    asked = ask_client(service, roles, **members)
    answer = accept(service, approve(service, asked))
    assert answer.status_code == 200, answer.text
    credentials = {name: answer.json()[name] for name in ("client_id", "client_secret")}
    return asked, Client(service, credentials, officer="handl-1")


def codes(answer):
    return [error["code"] for error in answer.json().get("errors", [])]
