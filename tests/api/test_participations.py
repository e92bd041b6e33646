"""Participations: who takes part in a project and how it goes, seen with the person and by nobody else."""

import uuid

import pytest

from books import TODAY
from casework import codes, done, keyed
from test_projects import DAY, close, refused, start

WHO = ["project_manager", "case_worker"]
WANTS = "En egen lön och en egen lägenhet."
SECRET = "sekretessmarkering"


def person(service, protection="none"):
    """Of a case worker's, who is on her access list when she is protected."""
    body = {"alias": "Mira " + str(uuid.uuid4())[:8], "protection": protection}
    return done(service.as_("case_worker").post("/applicants", json=body, headers=keyed()), 201)["id"]


def part(who, **members):
    return {"person_id": who, "target_group": "young_people", "from_on": str(TODAY - 30 * DAY), "goal": WANTS, "plan": "Svenska först."} | members


def try_join(service, project, who, role="project_manager", **members):
    return service.as_(role).post(f"/projects/{project['id']}/participations", json=part(who, **members), headers=keyed())


def join(service, project, who, role="project_manager", **members):
    return done(try_join(service, project, who, role, **members), 201)


def add(service, participation, role="project_manager", **members):
    body = {"kind_code": "guidance", "taken_on": str(TODAY), "note": "Vi pratade länge."} | members
    return service.as_(role).post(f"/participations/{participation['id']}/steps", json=body, headers=keyed())


def end(service, participation, role="project_manager", **members):
    body = {"outcome_code": "self_sufficient"} | members
    return service.as_(role).post(f"/participations/{participation['id']}/end", json=body, headers=keyed())


def listed(service, project, role):
    page = done(service.as_(role).get(f"/projects/{project['id']}/participations", params={"limit": 100, "count": "true"}))
    return [one["id"] for one in page["participations"]], page["_meta"]["count"]


@pytest.fixture(scope="module")
def project(service):
    return start(service)


@pytest.mark.parametrize("role", WHO)
def test_participation_goes_its_way(service, project, role):
    made = join(service, project, person(service), role)
    path = "/participations/" + made["id"]
    assert (made["goal"], made["plan"], made["ended_on"], made["outcome_code"]) == (WANTS, "Svenska först.", None, None)
    step = done(add(service, made, role), 201)
    assert step["note"] == "Vi pratade länge." and done(service.as_(role).get("/participation-steps/" + step["id"])) == step
    assert [one["id"] for one in done(service.as_(role).get(path + "/steps"))["steps"]] == [step["id"]]
    tag = service.as_(role).get(path).headers["ETag"]
    patched = done(service.as_(role).patch(path, json={"plan": "Praktik i vår."}, headers=keyed(**{"If-Match": tag})))
    assert (patched["goal"], patched["plan"], patched["version"]) == (WANTS, "Praktik i vår.", made["version"] + 2)
    ended = done(end(service, made, role))
    assert (ended["ended_on"], ended["outcome_code"], ended["goal"]) == (str(TODAY), "self_sufficient", WANTS)


def test_what_she_wants_rests_sealed_under_her_own_key(service, project):
    who = person(service)
    made = join(service, project, who)
    step = done(add(service, made), 201)
    [(sealed,)] = service.sql("SELECT sealed FROM participations WHERE id = %s", made["id"])
    assert WANTS.encode() not in bytes(sealed)
    assert service.sql("SELECT DISTINCT person_id::text FROM vault.data_keys WHERE record_id = ANY (%s::uuid[])", [made["id"], step["id"]]) == [(who,)]


@pytest.mark.parametrize("role", ["partner", "intake", "decision_maker", "triage", "fund_manager", "auditor", "admin"])
def test_nobody_else_sees_who_takes_part(service, project, role):
    made = join(service, project, person(service))
    client = service.as_(role, "handl-1" if role == "partner" else None)
    for path in (f"/projects/{project['id']}/participations", "/participations/" + made["id"], f"/participations/{made['id']}/steps"):
        assert client.get(path).status_code == 403
    assert try_join(service, project, person(service), role).status_code == 403


def test_who_runs_projects_reads_no_person(service, project):
    who = person(service)
    join(service, project, who)
    assert service.as_("project_manager").get("/applicants/" + who).status_code == 403
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_project")
        for table in ("persons", "identifiers", "applications", "needs", "access_list", "vault.blind_tokens"):
            assert connection.execute("SELECT has_any_column_privilege(%s, 'SELECT')", [table]).fetchone() == (False,)


def test_who_runs_projects_reads_the_keys_of_participations_alone(service, project):
    who = person(service)
    made = join(service, project, who)
    with service.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE utvag_project")
        found = connection.execute("SELECT record_id::text FROM vault.data_keys WHERE person_id = %s", [who]).fetchall()
    assert found == [(made["id"],)]
    assert service.sql("SELECT count(*) FROM vault.data_keys WHERE person_id = %s", who) == [(2,)]


def test_protected_person_is_to_outsiders_as_if_she_never_was(service, project):
    who = person(service, SECRET)
    made = join(service, project, who, "case_worker")
    step = done(add(service, made, "case_worker"), 201)
    seen, count = listed(service, project, "case_worker")
    assert made["id"] in seen
    for role in ("project_manager", "case_worker_2"):
        client = service.as_(role)
        others, fewer = listed(service, project, role)
        assert made["id"] not in others and fewer < count
        for path in ("/participations/" + made["id"], f"/participations/{made['id']}/steps", "/participation-steps/" + step["id"]):
            assert client.get(path).status_code == 404
        assert add(service, made, role).status_code == 404
        assert end(service, made, role).status_code == 404
        tag = {"If-Match": '"1.00000000"'}
        assert client.patch("/participations/" + made["id"], json={"goal": "Annat"}, headers=keyed(**tag)).status_code == 404
        unknown = try_join(service, project, str(uuid.uuid4()), role)
        hidden = try_join(service, project, who, role)
        refused(hidden, "/person_id", "reference_unknown")
        assert hidden.json()["errors"] == unknown.json()["errors"]


def test_participation_is_hidden_as_soon_as_its_person_is_protected(service, project):
    who = person(service)
    made = join(service, project, who)
    worker = service.as_("case_worker")
    tag = worker.get("/applicants/" + who).headers["ETag"]
    done(worker.patch("/applicants/" + who, json={"protection": SECRET}, headers=keyed(**{"If-Match": tag})))
    assert service.as_("project_manager").get("/participations/" + made["id"]).status_code == 404
    assert worker.get("/participations/" + made["id"]).status_code == 200


def test_event_of_a_protected_person_is_a_bare_hint(service, project):
    open_one, hidden = join(service, project, person(service)), join(service, project, person(service, SECRET), "case_worker")
    told = dict(service.sql("SELECT record_id::text, type FROM outbox WHERE record_id = ANY (%s::uuid[])", [open_one["id"], hidden["id"]]))
    assert told == {open_one["id"]: "participation.created"}


@pytest.mark.parametrize("day", ["2015-12-31", str(TODAY + 31 * DAY)])
def test_participation_begins_within_the_period(service, project, day):
    refused(try_join(service, project, person(service), from_on=day), "/from_on", "outside_project_period")


def test_participant_is_of_a_target_group_of_the_project(service, project):
    refused(try_join(service, project, person(service), target_group="adults"), "/target_group", "group_not_of_project")


def test_person_takes_part_once_at_a_time(service, project):
    who = person(service)
    first = join(service, project, who)
    assert codes(try_join(service, project, who)) == {"participates_already"}
    done(end(service, first))
    join(service, project, who)


def test_closed_project_takes_nobody(service):
    closed = start(service)
    done(close(service, closed))
    assert codes(try_join(service, closed, person(service))) == {"project_is_closed"}


def test_unknown_project_takes_nobody(service):
    assert try_join(service, {"id": str(uuid.uuid4())}, person(service)).status_code == 404


def test_ended_participation_stays_as_it_was(service, project):
    made = join(service, project, person(service))
    done(end(service, made))
    path, manager = "/participations/" + made["id"], service.as_("project_manager")
    assert codes(end(service, made)) == codes(add(service, made)) == {"participation_ended"}
    patch = manager.patch(path, json={"goal": "Annat"}, headers=keyed(**{"If-Match": manager.get(path).headers["ETag"]}))
    assert codes(patch) == {"participation_ended"}


def test_step_is_of_a_known_kind_and_a_day_of_the_participation(service, project):
    made = join(service, project, person(service))
    refused(add(service, made, kind_code="shoe"), "/kind_code", "code_unknown")
    refused(add(service, made, taken_on=str(TODAY - 31 * DAY)), "/taken_on", "before_participation")
    assert add(service, made, taken_on=str(TODAY + DAY)).status_code == 422


def test_end_has_a_known_outcome_and_does_not_come_first(service, project):
    made = join(service, project, person(service))
    refused(end(service, made, outcome_code="shoe"), "/outcome_code", "code_unknown")
    refused(end(service, made, ended_on=str(TODAY - 31 * DAY)), "/ended_on", "ended_before_it_began")


def test_steps_are_never_changed(service, project):
    done(add(service, join(service, project, person(service))), 201)
    with pytest.raises(Exception, match="append-only"):
        service.sql("UPDATE participation_steps SET kind_code = 'other'")


def test_reading_who_takes_part_leaves_a_trace(service, project):
    made = join(service, project, person(service))
    done(service.as_("project_manager").get("/participations/" + made["id"]))
    assert service.sql("SELECT count(*) FROM audit_events WHERE operation = 'readParticipation' AND %s::uuid = ANY (record_ids)",
                       made["id"]) == [(1,)]


def test_stale_change_is_refused(service, project):
    made = join(service, project, person(service))
    manager, path = service.as_("project_manager"), "/participations/" + made["id"]
    old = manager.get(path).headers["ETag"]
    done(add(service, made), 201)
    assert manager.patch(path, json={"goal": "Annat"}, headers={"If-Match": old}).status_code == 412
    assert manager.patch(path, json={"goal": "Annat"}).status_code == 428
