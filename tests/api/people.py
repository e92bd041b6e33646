"""Builders of persons: what a test does not say is fictional, and not protected."""

import itertools
import uuid

count = itertools.count(1)

# Numbers are computed: of the right form, and nobody's that we know of.


def check_digit(nine):
    total = 0
    for place, digit in enumerate(nine):
        product = int(digit) * (2 if place % 2 == 0 else 1)
        total += product // 10 + product % 10
    return str(-total % 10)


def personnummer(born="19850709"):
    """A number of the right form that no other test uses."""
    nine = born[2:] + f"{next(count) % 999 + 1:03d}"
    return born + nine[6:] + check_digit(nine)


def made(answer, status=201):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def applicant(client, **members):
    return made(client.post("/applicants", json={"protection": "none"} | members))


def child(client, **members):
    return made(client.post("/children", json={"protection": "none"} | members))


def relate(client, person, related, kind="parent", **members):
    body = {"person_id": person["id"], "kind": kind} | members
    if related:
        body["related_person_id"] = related["id"]
    return made(client.post("/relations", json=body))


def household(client, *members):
    return made(client.post("/households", json={"member_ids": [person["id"] for person in members]}))


def path_of(record):
    return {"applicant": "/applicants/", "child": "/children/"}[record["kind"]] + record["id"]


def tag(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text)
    return answer.headers["ETag"]


def change(client, path, **members):
    """A merge patch of what is there now; the answer."""
    return client.patch(path, json=members, headers={"If-Match": tag(client, path)})


def sees(client, person):
    answer = client.get(path_of(person))
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


def codes(answer):
    """The codes of a refusal's errors."""
    return {error["code"] for error in answer.json().get("errors", [])} | {answer.json()["code"]}


def reference():
    return "ref-" + uuid.uuid4().hex[:12]
