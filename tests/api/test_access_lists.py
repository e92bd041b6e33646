"""Nobody is lost because those who saw her are gone: two of the staff who can work with cases are on every access list,
whoever is suspended, demoted or taken off."""

import uuid

import pytest

from accounts import change, codes, path
from casework import done, keyed, principal
from test_races import together, while_uncommitted

SECRET = "sekretessmarkering"
ABLE = ("triage", "triage_2", "decision_maker", "decision_maker_2", "case_worker", "case_worker_2")


@pytest.fixture
def service(serving):
    """A database of its own for each test: its staff come and go."""
    with serving() as running:
        yield running


def user(principal_id):
    return {"id": principal_id, "email": "her own"}


def staff(service):
    return {role: user(principal(service.as_(role))) for role in ABLE}


def suspend(service, *users):
    for user in users:
        service.sql("UPDATE principals SET status = 'suspended' WHERE id = %s", user["id"])


def activate(service, *users):
    for user in users:
        service.sql("UPDATE principals SET status = 'active' WHERE id = %s", user["id"])


def able(service, person, of):
    """The roles of those on the list who can work with cases now."""
    rows = service.sql("SELECT p.id::text FROM access_list l JOIN principals p ON l.officer = 'user:' || p.id"
                       " WHERE l.person_id = %s AND p.status = 'active'"
                       " AND p.roles && ARRAY['triage', 'decision_maker', 'case_worker']", person)
    names = {user["id"]: role for role, user in of.items()}
    return {names[row[0]] for row in rows}


def protected(service):
    body = {"alias": "Skyddad", "protection": SECRET}
    return done(service.as_("partner", "handl-1").post("/applicants", json=body, headers=keyed()), 201)["id"]


def from_the_front_end(service):
    body = {"person": {"alias": "Natt"}, "application": {}, "needs": [{"for": "person", "category_code": "food"}]}
    done(service.as_("intake").post("/registrations", json=body, headers=keyed()), 201)
    return service.sql("SELECT id::text FROM persons ORDER BY created_at DESC LIMIT 1")[0][0]


def test_a_list_is_kept_by_triage(service):
    users = staff(service)
    assert able(service, protected(service), users) == {"triage", "triage_2"}


def test_decision_makers_step_in_when_the_last_but_one_of_triage_is_suspended(service):
    users = staff(service)
    person = protected(service)
    assert change(service, users["triage"], status="suspended").status_code == 200
    assert able(service, person, users) == {"triage_2", "decision_maker", "decision_maker_2"}
    assert service.as_("decision_maker").get("/applicants/" + person).status_code == 200


def test_decision_makers_step_in_when_triage_loses_its_role(service):
    users = staff(service)
    person = protected(service)
    assert change(service, users["triage"], roles=["auditor"]).status_code == 200
    assert able(service, person, users) == {"triage_2", "decision_maker", "decision_maker_2"}


def test_a_list_that_holds_two_stays_as_it_is(service):
    users = staff(service)
    person = protected(service)
    entry = {"person_id": person, "officer": "user:" + users["case_worker"]["id"], "reason_code": "case_work"}
    done(service.as_("triage").post("/access-grants", json=entry), 201)
    suspend(service, users["triage"])
    assert able(service, person, users) == {"triage_2", "case_worker"}


@pytest.mark.parametrize("register", [protected, from_the_front_end])
def test_who_is_registered_while_triage_is_away_is_the_decision_makers_to_see(service, register):
    users = staff(service)
    suspend(service, users["triage"], users["triage_2"])
    assert able(service, register(service), users) == {"decision_maker", "decision_maker_2"}


def test_a_list_is_empty_only_while_there_is_nobody_and_fills_when_somebody_comes(service):
    users = staff(service)
    suspend(service, *[users[role] for role in ABLE[:4]])
    person = from_the_front_end(service)
    assert able(service, person, users) == {"case_worker", "case_worker_2"}
    suspend(service, users["case_worker"], users["case_worker_2"])
    another = from_the_front_end(service)
    assert able(service, another, users) == set()
    activate(service, users["decision_maker"])
    assert able(service, person, users) == able(service, another, users) == {"decision_maker"}
    activate(service, users["triage"])
    assert able(service, person, users) == able(service, another, users) == {"decision_maker", "triage"}
    service.as_("triage").ask_token()
    assert service.as_("triage").get("/applicants/" + another).status_code == 200


def test_who_cannot_work_with_cases_does_not_count(service):
    """Two remain, but one of them has no role any more by which she would see anything."""
    users, triage = staff(service), service.as_("triage")
    person = protected(service)
    service.sql("INSERT INTO access_list (person_id, officer, reason_code) VALUES (%s, %s, 'supervision')",
                person, "user:" + principal(service.as_("auditor")))
    rows = done(triage.get("/access-grants", params={"person_id": person}))["access_grants"]
    entry = next(row["id"] for row in rows if row["officer"] == "user:" + users["triage_2"]["id"])
    tag = triage.get("/access-grants/" + entry).headers["ETag"]
    assert "access_list_needs_two" in codes(triage.delete("/access-grants/" + entry, headers={"If-Match": tag}))
    assert able(service, person, users) == {"triage", "triage_2"}


def test_taken_off_and_suspended_at_once_two_remain(service):
    users, triage = staff(service), service.as_("triage")
    admin = service.as_("admin")
    for _ in range(6):
        person = protected(service)
        entry = {"person_id": person, "officer": "user:" + users["case_worker"]["id"], "reason_code": "case_work"}
        mine = done(triage.post("/access-grants", json=entry), 201)
        tag = triage.get("/access-grants/" + mine["id"]).headers["ETag"]
        seen = admin.get(path(users["triage_2"])).headers["ETag"]
        together(lambda: triage.delete("/access-grants/" + mine["id"], headers={"If-Match": tag}),
                 lambda: admin.patch(path(users["triage_2"]), json={"status": "suspended"}, headers={"If-Match": seen}))
        assert len(able(service, person, users)) >= 2
        activate(service, users["triage_2"])


def test_registered_and_suspended_at_once_two_remain(service):
    users, admin = staff(service), service.as_("admin")
    for _ in range(6):
        seen = admin.get(path(users["triage_2"])).headers["ETag"]
        person, _ = together(lambda: protected(service), lambda: admin.patch(
            path(users["triage_2"]), json={"status": "suspended"}, headers={"If-Match": seen}))
        assert len(able(service, person, users)) >= 2
        activate(service, users["triage_2"])


# Administrators -----------------------------------------------------------------------------------------------------


def third_administrator(service):
    new = str(uuid.uuid4())
    service.sql("INSERT INTO principals (id, kind, status, roles) VALUES (%s, 'user', 'active', '{admin}')", new)
    return user(new)


@pytest.mark.parametrize("members", [{"status": "suspended"}, {"roles": ["auditor"]}])
def test_two_administrators_remain(service, members):
    """Else one alone could leave the charity with nobody to approve what another asks for."""
    second = user(principal(service.as_("admin_2")))
    answer = change(service, second, **members)
    assert (answer.status_code, codes(answer)) == (409, ["two_admins_remain"])
    assert service.as_("admin_2").get("/users").status_code == 200
    third = third_administrator(service)
    assert change(service, third, **members).status_code == 200
    third_administrator(service)
    assert change(service, second, **members).status_code == 200


def test_of_three_administrators_two_cannot_suspend_each_other(service):
    third_administrator(service)
    first, second = service.as_("admin"), service.as_("admin_2")
    seen = second.get("/users/" + principal(first)).headers["ETag"]
    suspends = [("SET LOCAL ROLE utvag_admin",),
                ("UPDATE principals SET status = 'suspended' WHERE id = %s", principal(second))]
    answer = while_uncommitted(service, suspends, lambda: second.patch(
        "/users/" + principal(first), json={"status": "suspended"}, headers={"If-Match": seen}))
    assert (answer.status_code, codes(answer)) == (409, ["two_admins_remain"])
    active = service.sql("SELECT count(*) FROM principals WHERE status = 'active' AND 'admin' = ANY (roles)")
    assert active == [(2,)]
