"""Agencies, users and clients: nobody signs alone."""

import subprocess
import uuid

import pytest

from cluster import binary
from accounts import accept, act, approve, ask_client, ask_user, change, codes, email, machine, path, tag, user

ALMBY = "d0000000-0000-4000-8000-000000000001"
STRANDVIK = "d0000000-0000-4000-8000-000000000002"


# -- agencies ---------------------------------------------------------------------------------------------------------


def new_agency(service, **members):
    body = {"name": "Stiftelsen Hamnen", "kind": "ngo"} | members
    return service.as_("admin").post("/agencies", json=body)


def test_admin_adds_and_changes_an_agency(service):
    made = new_agency(service, organisation_number="8020001288")
    assert made.status_code == 201, made.text
    assert made.headers["Location"].endswith("/v1/agencies/" + made.json()["id"])
    changed = service.as_("admin").patch("/agencies/" + made.json()["id"], json={"name": "Hamnen"},
                                         headers={"If-Match": made.headers["ETag"]})
    assert changed.status_code == 200, changed.text
    assert changed.json()["name"] == "Hamnen" and changed.json()["version"] == 2
    assert changed.json()["organisation_number"] == "8020001288"
    stale = service.as_("admin").patch("/agencies/" + made.json()["id"], json={"name": "Kajen"},
                                       headers={"If-Match": made.headers["ETag"]})
    assert stale.status_code == 412


def test_organisation_number_is_one_agency_s(service):
    assert new_agency(service, organisation_number="8020001270").status_code == 201
    again = new_agency(service, organisation_number="8020001270")
    assert again.status_code == 409 and again.json()["code"] == "organisation_number_taken"


@pytest.mark.parametrize("members, code", [
    ({"kind": "municipality"}, "municipality_has_code"),
    ({"municipality_code": "9999"}, "format_kommunkod"),
])
def test_agency_of_a_municipality_has_its_code(service, members, code):
    answer = new_agency(service, **members)
    assert answer.status_code == 422, answer.text
    assert codes(answer) == [code]


def test_partner_reads_its_own_agency_alone(service):
    listed = service.as_("partner").get("/agencies").json()["agencies"]
    assert [agency["id"] for agency in listed] == [ALMBY]
    assert service.as_("partner").get("/agencies/" + ALMBY).status_code == 200
    hidden = service.as_("partner").get("/agencies/" + STRANDVIK)
    unknown = service.as_("partner").get(f"/agencies/{uuid.uuid4()}")
    assert hidden.status_code == unknown.status_code == 404
    trace = ("trace_id", "instance")
    assert {k: v for k, v in hidden.json().items() if k not in trace} == \
        {k: v for k, v in unknown.json().items() if k not in trace}


@pytest.mark.parametrize("role", ["case_worker", "decision_maker", "triage", "fund_manager", "project_manager", "auditor"])
def test_staff_read_every_agency_and_change_none(service, role):
    caller = service.as_(role)
    assert {ALMBY, STRANDVIK} <= {agency["id"] for agency in caller.get("/agencies?limit=100").json()["agencies"]}
    assert caller.post("/agencies", json={"name": "X", "kind": "ngo"}).status_code == 403


def test_suspended_agency_acts_no_more(service):
    agency = new_agency(service).json()
    _, caller = machine(service, ["partner"], agency_id=agency["id"])
    read = caller.get("/agencies/" + agency["id"])
    assert read.status_code == 200, read.text
    etag = service.as_("admin").get("/agencies/" + agency["id"]).headers["ETag"]
    suspended = service.as_("admin").patch("/agencies/" + agency["id"], json={"status": "suspended"},
                                           headers={"If-Match": etag})
    assert suspended.status_code == 200
    assert caller.get("/agencies/" + agency["id"]).status_code == 401
    again = service.anyone().post("/oauth/token", json={"grant_type": "client_credentials"} | caller.credentials)
    assert again.status_code == 401


# -- second approval --------------------------------------------------------------------------------------------------


def test_user_acts_after_a_second_person_approved(service):
    asked = ask_user(service, ["case_worker"], phone="+46701740650")
    assert asked["status"] == "pending" and asked["roles"] == [] and asked["pending_roles"] == ["case_worker"]
    approved = approve(service, asked)
    assert approved["status"] == "invited" and approved["roles"] == ["case_worker"] and approved["requested_by"] is None
    assert approved["name"] == asked["name"] and approved["phone"] == "+46701740650"
    accepted = accept(service, approved, password="hundra hungriga hästar")
    assert accepted.status_code == 200 and accepted.json()["id"] == asked["id"]
    session = service.anyone().post("/sessions", json={"email": asked["email"], "password": "hundra hungriga hästar"})
    assert session.status_code == 200 and session.json()["scope"] == "case_worker"


def test_requester_cannot_approve(service):
    asked = ask_user(service, ["case_worker"])
    answer = act(service, asked, "approve", "admin")
    assert answer.status_code == 409 and codes(answer) == ["four_eyes_required"]
    assert service.as_("admin").get(path(asked)).json()["status"] == "pending"


def test_nobody_approves_her_own_role(service):
    record, caller = user(service, ["admin"])
    assert change(service, record, "admin", roles=["admin", "triage"]).status_code == 200
    etag = caller.get(path(record)).headers["ETag"]
    own = caller.post(path(record) + "/approve", headers={"If-Match": etag})
    assert own.status_code == 409 and codes(own) == ["four_eyes_required"]


def test_nobody_grants_herself_a_role(service):
    record, caller = user(service, ["admin"])
    etag = caller.get(path(record)).headers["ETag"]
    asked = caller.patch(path(record), json={"roles": ["admin", "auditor"]}, headers={"If-Match": etag})
    assert asked.status_code == 200, asked.text
    assert asked.json()["roles"] == ["admin"] and asked.json()["pending_roles"] == ["admin", "auditor"]
    assert asked.json()["requested_by"] == record["id"]
    own = caller.post(path(record) + "/approve", headers={"If-Match": asked.headers["ETag"]})
    assert codes(own) == ["four_eyes_required"]
    assert caller.get("/audit-events").status_code == 403


def test_approval_is_of_what_was_seen(service):
    asked = ask_user(service, ["case_worker"])
    seen = tag(service, asked)
    assert change(service, asked, roles=["decision_maker"]).status_code == 200
    stale = service.as_("admin_2").post(path(asked) + "/approve", headers=seen)
    assert stale.status_code == 412
    assert service.as_("admin_2").post(path(asked) + "/approve").status_code == 428


def test_two_requesters_cannot_approve_each_other_s_part(service):
    record, _ = user(service, ["case_worker"])
    assert change(service, record, "admin", roles=["case_worker", "triage"]).status_code == 200
    other = act(service, record, "reset", "admin_2")
    assert other.status_code == 409 and codes(other) == ["request_pending"]
    more = change(service, record, "admin_2", roles=["case_worker", "decision_maker"])
    assert more.status_code == 409 and codes(more) == ["request_pending"]


def test_rejected_request_leaves_nothing(service):
    record, _ = user(service, ["case_worker"])
    assert change(service, record, roles=["case_worker", "triage"]).status_code == 200
    rejected = act(service, record, "reject", "admin_2")
    assert rejected.status_code == 200, rejected.text
    assert rejected.json()["roles"] == ["case_worker"] and rejected.json()["pending_roles"] is None
    assert codes(act(service, record, "approve", "admin_2")) == ["nothing_pending"]
    never = ask_user(service, ["auditor"])
    assert act(service, never, "reject").json()["status"] == "suspended"


def test_repeated_approval_gives_the_same_invitation(service):
    asked = ask_user(service, ["case_worker"])
    headers = tag(service, asked) | {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (service.as_("admin_2").post(path(asked) + "/approve", headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 200, second.text
    assert first.json() == second.json()
    assert accept(service, second.json(), password="hundra hungriga hästar").status_code == 200


def test_approval_is_repeated_for_the_version_that_was_approved_only(service):
    asked = ask_user(service, ["case_worker"])
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert service.as_("admin_2").post(path(asked) + "/approve", headers=tag(service, asked) | key).status_code == 200
    for version in range(2, 6):
        again = service.as_("admin_2").post(path(asked) + "/approve", headers={"If-Match": f'"{version}"'} | key)
        assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")


def test_what_an_invitation_was_drawn_from_is_not_told(service):
    asked = ask_user(service, ["case_worker"])
    approved = service.as_("admin_2").post(path(asked) + "/approve", headers=tag(service, asked))
    assert set(approved.json()["invitation"]) == {"token", "expires_at"}


def test_database_itself_lets_no_administrator_give_a_role(service):
    asked = ask_user(service, ["case_worker"])
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_admin")
        for wanted in ("roles = '{admin}'", "status = 'active'"):
            with pytest.raises(Exception, match="second person"):
                connection.execute(f"UPDATE principals SET {wanted} WHERE id = %s", [asked["id"]])
        with pytest.raises(Exception, match="denied"):
            connection.execute("SELECT * FROM credentials")


# -- taking away ------------------------------------------------------------------------------------------------------


def test_demotion_acts_on_the_next_request(service):
    record, caller = user(service, ["case_worker", "triage"])
    assert caller.get("/agencies").status_code == 200
    demoted = change(service, record, roles=["triage"])
    assert demoted.status_code == 200 and demoted.json()["roles"] == ["triage"]
    refused = caller.get("/agencies")
    assert refused.status_code == 401 and refused.json()["code"] == "token_revoked"
    caller.asked = None
    assert caller.get("/agencies").status_code == 200


def test_suspension_acts_on_the_next_request(service):
    record, caller = user(service, ["case_worker"])
    assert caller.get("/agencies").status_code == 200
    assert change(service, record, status="suspended").status_code == 200
    assert caller.get("/agencies").status_code == 401
    again = service.anyone().post("/sessions", json=caller.credentials)
    assert again.status_code == 401 and again.json()["code"] == "login_failed"


def test_end_of_suspension_needs_a_second_person(service):
    record, caller = user(service, ["case_worker"])
    change(service, record, status="suspended")
    asked = change(service, record, status="active")
    assert asked.json()["status"] == "suspended" and asked.json()["pending_activation"] is True
    assert codes(act(service, record, "approve", "admin")) == ["four_eyes_required"]
    approved = approve(service, record)
    assert approved["status"] == "active" and approved["invitation"] is None
    caller.asked = None
    assert caller.get("/agencies").status_code == 200


def test_new_role_voids_the_tokens_of_before(service):
    record, caller = user(service, ["case_worker"])
    caller.get("/agencies")
    change(service, record, roles=["case_worker", "triage"])
    assert caller.get("/agencies").status_code == 200, "asking changes nothing yet"
    approve(service, record)
    assert caller.get("/agencies").status_code == 401


def test_reset_ends_the_secret_of_now(service):
    record, caller = user(service, ["case_worker"])
    assert act(service, record, "reset").status_code == 200
    assert caller.get("/agencies").status_code == 200
    approved = approve(service, record)
    assert approved["status"] == "invited"
    assert caller.get("/agencies").status_code == 401
    assert service.anyone().post("/sessions", json=caller.credentials).status_code == 401
    assert accept(service, approved, password="ett alldeles nytt lösenord").status_code == 200
    fresh = caller.credentials | {"password": "ett alldeles nytt lösenord"}
    assert service.anyone().post("/sessions", json=fresh).status_code == 200


def test_reset_of_a_suspended_user_is_refused(service):
    record, _ = user(service, ["case_worker"])
    change(service, record, status="suspended")
    assert codes(act(service, record, "reset")) == ["invalid_status"]


# -- invitations ------------------------------------------------------------------------------------------------------


def test_invitation_works_once(service):
    approved = approve(service, ask_user(service, ["auditor"]))
    assert accept(service, approved, password="hundra hungriga hästar").status_code == 200
    again = accept(service, approved, password="tusen törstiga hästar")
    assert again.status_code == 401 and again.json()["code"] == "invitation_invalid"


def test_invitation_expires(service):
    approved = approve(service, ask_user(service, ["auditor"]))
    service.sql("UPDATE credentials SET invitation_expires_at = now() WHERE principal_id = %s", approved["id"])
    assert accept(service, approved, password="hundra hungriga hästar").status_code == 401


def test_invitation_of_a_suspended_user_is_void(service):
    asked = ask_user(service, ["auditor"])
    approved = approve(service, asked)
    assert change(service, asked, status="suspended").status_code == 200
    assert accept(service, approved, password="hundra hungriga hästar").status_code == 401


def test_unknown_invitation_is_answered_as_a_used_one(service):
    answer = service.anyone().post("/invitations/accept", json={"token": "x" * 43, "password": "hundra hungriga hästar"})
    assert answer.status_code == 401 and answer.json()["code"] == "invitation_invalid"


def test_user_needs_a_password_and_a_client_none(service):
    person = approve(service, ask_user(service, ["auditor"]))
    without = accept(service, person)
    assert without.status_code == 422 and codes(without) == ["required"]
    short = accept(service, person, password="kort")
    assert short.status_code == 422
    system = approve(service, ask_client(service, ["partner"], agency_id=ALMBY))
    given = accept(service, system, password="hundra hungriga hästar")
    assert given.status_code == 422 and codes(given) == ["not_for_clients"]


def test_secrets_are_kept_as_digests_alone(service):
    approved = approve(service, ask_client(service, ["partner"], agency_id=ALMBY))
    accepted = accept(service, approved).json()
    kept = str(service.sql("SELECT c.*, k.body FROM credentials c, vault.idempotency_keys k"
                           " WHERE c.principal_id = %s", approved["id"])) + str(service.sql("TABLE credentials"))
    assert approved["invitation"]["token"] not in kept and accepted["client_secret"] not in kept


# -- who may hold what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members, code", [
    ({"roles": ["partner"]}, "partner_has_agency"),
    ({"roles": ["case_worker"], "agency_id": ALMBY}, "agency_holds_partner_only"),
    ({"roles": ["case_worker"], "agency_id": str(uuid.UUID(int=4 << 76 | 2 << 62))}, "reference_unknown"),
    ({"roles": ["intake"]}, "enum"),
])
def test_role_that_does_not_fit_is_refused(service, members, code):
    body = {"name": "Test Testsson", "email": email()} | members
    answer = service.as_("admin").post("/users", json=body)
    assert answer.status_code == 422, answer.text
    assert codes(answer) == [code]


@pytest.mark.parametrize("role", ["decision_maker", "triage", "fund_manager", "admin"])
def test_machine_never_decides(service, role):
    answer = service.as_("admin").post("/clients", json={"label": "Testsystem", "roles": [role]})
    assert answer.status_code == 422


def test_address_signs_one_user_in(service):
    first = ask_user(service, ["auditor"])
    body = {"name": "En Annan", "email": first["email"].upper(), "roles": ["auditor"]}
    again = service.as_("admin").post("/users", json=body)
    assert again.status_code == 409 and again.json()["code"] == "email_taken", again.text


def test_changed_address_signs_in(service):
    record, caller = user(service, ["auditor"])
    fresh = email()
    changed = change(service, record, email=fresh)
    assert changed.status_code == 200 and changed.json()["email"] == fresh and changed.json()["name"] == record["name"]
    assert service.anyone().post("/sessions", json=caller.credentials).status_code == 401
    assert service.anyone().post("/sessions", json=caller.credentials | {"email": fresh}).status_code == 200


def test_users_are_sealed_in_the_database(service):
    record = ask_user(service, ["auditor"], name="Ovanliga Namnsson", phone="+46701740699")
    everything = str(service.sql("SELECT p::text FROM principals p")) + str(service.sql("SELECT b::text FROM vault.blind_tokens b"))
    for text in ("Namnsson", "+46701740699", record["email"]):
        assert text not in everything and text.encode().hex() not in everything


# -- administrators and the rest --------------------------------------------------------------------------------------


def test_lists_filter_and_page(service):
    for _ in range(3):
        ask_user(service, ["auditor"])
    pending = service.as_("admin").get("/users?status=pending&limit=2").json()
    assert len(pending["users"]) == 2 and all(one["status"] == "pending" for one in pending["users"])
    rest = service.as_("admin").get(pending["_links"]["next"]["href"].replace(
        pending["_links"]["next"]["href"].split("/v1/")[0] + "/v1", "")).json()
    assert rest["users"] and not {one["id"] for one in rest["users"]} & {one["id"] for one in pending["users"]}
    of_agency = service.as_("admin").get(f"/clients?agency_id={ALMBY}").json()["clients"]
    assert of_agency and all(one["agency_id"] == ALMBY for one in of_agency)


@pytest.mark.parametrize("route", ["/children", "/applicants", "/applications", "/decisions"])
def test_admin_reads_no_case_data(service, route):
    assert service.as_("admin").get(route).status_code in (403, 404)


@pytest.mark.parametrize("table", ["persons", "applications", "needs", "decisions", "identifiers", "relations"])
def test_admin_s_database_role_reads_no_case_data(service, table):
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_admin")
        with pytest.raises(Exception, match="permission denied"):
            connection.execute(f"SELECT * FROM {table}")


def test_admin_s_database_role_opens_no_person_s_key(service):
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_admin")
        rows = connection.execute("SELECT person_id, principal_id FROM vault.data_keys").fetchall()
        assert rows and all(person is None and principal for person, principal in rows)
        assert connection.execute("SELECT count(*) FROM vault.blind_tokens WHERE person_id IS NOT NULL").fetchone() == (0,)


@pytest.mark.parametrize("role", ["partner", "case_worker", "decision_maker", "triage", "fund_manager", "project_manager",
                                  "auditor"])
def test_only_administrators_see_users_and_clients(service, role):
    for route in ("/users", "/clients"):
        assert service.as_(role).get(route).status_code == 403


def test_administration_is_in_the_audit_log(service):
    asked = ask_user(service, ["auditor"])
    approve(service, asked)
    rows = service.sql("SELECT operation, role, purpose FROM audit_events WHERE record_ids @> ARRAY[%s::uuid]"
                       " ORDER BY xid, id", asked["id"])
    assert [row[0] for row in rows] == ["createUser", "readUser", "approveUser"]
    assert {row[1:] for row in rows} == {("admin", "administration")}


# -- the command line -------------------------------------------------------------------------------------------------


def command(service, *arguments):
    return subprocess.run([binary(), *arguments], env=service.cluster.environment(service.database), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def told(done):
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def test_first_user_comes_from_the_command_line_and_the_log_says_so(service):
    address = email()
    made = told(command(service, "user", "add", "--name", "Första Admin", "--email", address, "--role", "admin",
                        "--role", "auditor"))
    accepted = service.anyone().post("/invitations/accept", json={"token": made["invitation"],
                                                                  "password": "hundra hungriga hästar"})
    assert accepted.status_code == 200, accepted.text
    session = service.anyone().post("/sessions", json={"email": address, "password": "hundra hungriga hästar"})
    assert session.json()["scope"] == "auditor admin"
    assert service.sql("SELECT operation, principal_id, address FROM audit_events WHERE record_ids = ARRAY[%s::uuid]"
                       " AND operation LIKE 'cli.%%'", made["id"]) == [("cli.user_add", None, "cli")]


def test_first_client_comes_from_the_command_line(service):
    made = told(command(service, "client", "add", "--label", "Webben", "--role", "intake"))
    accepted = service.anyone().post("/invitations/accept", json={"token": made["invitation"]}).json()
    answer = service.anyone().post("/oauth/token", json={"grant_type": "client_credentials"} | {
        name: accepted[name] for name in ("client_id", "client_secret")})
    assert answer.status_code == 200 and answer.json()["scope"] == "intake"


@pytest.mark.parametrize("arguments, says", [
    (["--name", "A", "--email", "not an address", "--role", "admin"], "--email: Must be an e-mail address."),
    (["--name", "A", "--email", "a@imt.example", "--role", "emperor"], "--role: Must be one of: partner,"),
    (["--name", "A", "--email", "a@imt.example", "--role", "partner"], "agency"),
    (["--name", "A", "--email", "lena.lindqvist@imt.example", "--role", "admin"], "address"),
    (["--name", "A", "--email", "a@imt.example", "--role", "partner", "--agency", "5f0c6f0e-7d1c-4f57-9a3e-0a52d3a5b6c1"],
     "There is no such agency."),
    (["--title", "A"], "--title: user add takes no such argument"),
    (["--name"], "--name needs a value"),
    (["--name", "A", "--email", "a@imt.example"], "user add needs --role"),
])
def test_command_line_is_held_to_the_contract(service, arguments, says):
    done = command(service, "user", "add", *arguments)
    assert done.returncode != 0 and says in done.stderr, done.stderr
