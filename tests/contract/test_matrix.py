"""Every operation, for every role, on a record of its own, of another agency, and on none: exactly what the contract says.

Generated from the contract, so that a new operation is in it at once; one whose path has no builder fails.
"""

import re
import uuid

import pytest

import builders
import contract
import formats
from builders import OFFICER, TAG, UNKNOWN
from service import Client

OPERATIONS = contract.operations()
GUARDED = [operation for operation in OPERATIONS if not operation.open]
ROLES = contract.roles()
# What is told of a trace, and of a moment.
PASSING = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRACED = {"traceparent", "date", "ratelimit"}
# Not on every answer of a status: the last page has no next one, and what is refused before its caller is counted has no share.
PASSED_OVER = {"Link", "RateLimit", "RateLimit-Policy"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

each_operation = pytest.mark.parametrize("operation", GUARDED, ids=repr)
each_role = pytest.mark.parametrize("role", ROLES)


class World:
    """The cases that the whole matrix looks at, each made when first asked for."""

    def __init__(self, service):
        self.service = service
        self.made = {}

    def case(self, agency="partner", protection="none"):
        key = (agency, protection)
        if key not in self.made:
            self.made[key] = builders.Case(self.service, agency, protection)
        return self.made[key]

    def client(self, role):
        return self.service.as_(role, OFFICER) if role == "partner" else self.service.as_(role)

    def caller(self, operation, role):
        """Who logs out does so from a sign-in of her own: the others are of the whole run."""
        client = self.client(role)
        if operation.id != "deleteCurrentSession":
            return client
        alone = Client(self.service, client.credentials, OFFICER if role == "partner" else None)
        alone.ask_token()
        return alone

    def record(self, operation, case):
        """The id of a record that the path may name."""
        prefix = operation.path.partition("{")[0]
        if operation.path == "/agencies/{id}" and operation.method == "GET":
            return builders.AGENCIES[case.agency]
        if prefix in builders.OF_A_CASE:
            return builders.OF_A_CASE[prefix](case)
        assert prefix in builders.OF_THE_SERVICE, f"{prefix} has no builder: tell builders.py how such a record is made"
        return builders.OF_THE_SERVICE[prefix](self.service)


@pytest.fixture(scope="module")
def service(serving):
    """One decider grants at night in every case: her cap is what another suite tries."""
    with serving(emergency_actor_cap_ore=2_000_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def world(service):
    return World(service)


def send(client, operation, record=None, body=None, tag=TAG, **headers):
    """The request with everything that the contract asks for; body None: the example."""
    path = re.sub(r"\{[a-z_]+\}", record or UNKNOWN, operation.path)
    query = {p["name"]: p["example"] for p in operation.parameters if p["in"] == "query" and p["required"]}
    headers = {"traceparent": TRACE} | headers
    if operation.parameter("If-Match", "header"):
        headers["If-Match"] = tag
    if operation.parameter("Idempotency-Key", "header"):
        headers["Idempotency-Key"] = str(uuid.uuid4())
    return client.request(operation.method, path, params=query, headers=headers,
                          json=operation.example() if body is None else body)


def holds(operation, answer):
    """The answer is one that the contract describes: status, media type, schema, headers."""
    assert str(answer.status_code) in operation.responses, (answer.status_code, answer.text)
    said = operation.responses[str(answer.status_code)]
    for name in said.get("headers", {}):
        assert name in answer.headers or name in PASSED_OVER, name
    if "content" not in said:
        assert not answer.content
        return
    kind = answer.headers["Content-Type"].partition(";")[0]
    schema = said["content"][kind]["schema"]
    if "json" not in kind:
        return
    faults = [f"{fault.json_path}: {fault.message}" for fault in formats.validator(schema).iter_errors(answer.json())]
    assert not faults, faults


def same(one, other):
    """Not a byte apart, but for the trace."""
    assert one.status_code == other.status_code
    assert PASSING.sub("…", one.text) == PASSING.sub("…", other.text)
    assert one.text == other.text, "the same trace: the same bytes"
    heads = [{n.lower(): v for n, v in answer.headers.items() if n.lower() not in TRACED} for answer in (one, other)]
    assert heads[0] == heads[1]


def refused(operation, answer, status, code=None):
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert code is None or answer.json()["code"] == code
    holds(operation, answer)


# -- nobody --------------------------------------------------------------------------------------------------------

@each_operation
def test_nobody_is_401(service, operation):
    bare = send(service.anyone(), operation)
    refused(operation, bare, 401, "token_missing")
    assert bare.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("authorization", ["Bearer garbage", "Bearer a.b.c", "Basic dXR2w6RnOnV0dsOkZw==", "Bearer ", "Bearer"])
def test_garbage_is_401_everywhere(service, authorization):
    for operation in GUARDED:
        refused(operation, send(service.anyone(), operation, Authorization=authorization), 401)


def test_forged_token_is_401_everywhere(service):
    """A true token with another payload, with another signature, and one that claims to need none."""
    client = service.as_("case_worker")
    client.get("/codes")  # for a token that is not old
    head, payload, signature = client.headers["Authorization"].removeprefix("Bearer ").split(".")
    flipped = payload[:-1] + ("A" if payload[-1] != "A" else "B")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for token in (f"{head}.{flipped}.{signature}", f"{head}.{payload}.{signature[:-4]}AAAA", f"{unsigned}.{payload}.",
                  f"{unsigned}.{payload}.{signature}", f"{head}.{payload}."):
        for operation in GUARDED:
            refused(operation, send(service.anyone(), operation, Authorization="Bearer " + token), 401, "token_invalid")


# -- open operations -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.open and o.method == "GET"], ids=repr)
def test_open_reading_asks_nobody(service, operation):
    record = builders.OF_THE_SERVICE[operation.path.partition("{")[0]](service) if operation.has_id else UNKNOWN
    for client in [service.anyone()] + [service.as_(role) for role in ROLES]:
        answer = send(client, operation, record)
        assert answer.status_code == 200
        if operation.answers_json:
            holds(operation, answer)
    assert send(service.anyone(), operation, record, Authorization="Bearer garbage").status_code == 200


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.open and o.method == "POST"], ids=repr)
def test_open_writing_refuses_what_is_made_up(service, operation):
    answer = send(service.anyone(), operation)
    if operation.id == "revokeToken":  # RFC 7009, 2.2: whoever made it up learns nothing
        assert answer.status_code == 200
        return holds(operation, answer)
    refused(operation, answer, 401)


# -- every role ----------------------------------------------------------------------------------------------------

@each_operation
@each_role
def test_role_gets_what_the_contract_says(world, operation, role):
    if role not in operation.roles:
        return role_is_refused(world, operation, role)
    if operation.has_id:
        return role_reaches_its_own(world, operation, role)
    body = world.case().fill(operation.example())
    answer = send(world.caller(operation, role), operation, body=body)
    assert answer.status_code not in (401, 403, 404) and answer.status_code < 500, (answer.status_code, answer.text)
    holds(operation, answer)


def role_is_refused(world, operation, role):
    """403 whatever the id: a refusal tells nothing about what there is."""
    client = world.client(role)
    answers = [send(client, operation)]
    if operation.has_id:
        answers += [send(client, operation, world.record(operation, case))
                    for case in (world.case(), world.case("partner_other"))]
    for answer in answers:
        refused(operation, answer, 403, "role_missing")
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
        same(answers[0], answer)


def role_reaches_its_own(world, operation, role):
    """Reading, all share a case; what changes one has a case of its own."""
    client = world.client(role)
    case = world.case() if operation.method == "GET" else builders.Case(world.service)
    record = world.record(operation, case)
    place = re.sub(r"\{[a-z_]+\}.*", record, operation.path)
    answer = send(client, operation, record, case.fill(operation.example()), client.get(place).headers.get("ETag", TAG))
    assert answer.status_code not in (401, 403, 404, 412) and answer.status_code < 500, (answer.status_code, answer.text)
    holds(operation, answer)


@pytest.mark.parametrize("operation, role", [(o, role) for o in GUARDED if o.has_id for role in o.roles], ids=repr)
def test_unknown_id_is_404(world, operation, role):
    client, body = world.client(role), world.case().fill(operation.example())
    refused(operation, send(client, operation, body=body), 404, "not_found")
    # What cannot be an id names nothing either.
    malformed = send(client, operation, "4711", body)
    refused(operation, malformed, 404, "not_found")


@pytest.mark.parametrize("operation", [o for o in GUARDED if "partner" in o.roles and o.has_id and o.path not in ("/codes/{list}", "/projects/{id}")],
                         ids=repr)
def test_record_of_another_agency_is_as_if_it_never_was(world, operation):
    body = world.case().fill(operation.example())
    other = world.record(operation, world.case("partner_other"))
    for client in (world.client("partner"), world.service.as_("partner_user")):
        there = send(client, operation, other, body)
        refused(operation, there, 404, "not_found")
        same(there, send(client, operation, UNKNOWN, body))


@pytest.mark.parametrize("operation", [o for o in GUARDED if o.has_id and o.method == "GET"
                                       and o.path.partition("{")[0] in builders.OF_A_CASE], ids=repr)
def test_staff_reaches_the_cases_of_every_agency(world, operation):
    for role in set(operation.roles) - {"partner"}:
        for agency in ("partner", "partner_other"):
            assert send(world.client(role), operation, world.record(operation, world.case(agency))).status_code == 200


# -- protected persons ---------------------------------------------------------------------------------------------

SECRET = "sekretessmarkering"
OF_A_PERSON = [o for o in GUARDED if o.has_id and o.path.partition("{")[0] in builders.OF_A_CASE]


def outsiders(service, roles):
    """Whoever holds a role of the operation, and is on no access list."""
    if "partner" in roles:
        yield from (service.as_("partner", "handl-2"), service.as_("partner_user"), service.as_("partner_other", OFFICER))
    if "case_worker" in roles:
        yield service.as_("case_worker_2")
    if "decision_maker" in roles:
        yield service.as_("decision_maker_2")
    if "project_manager" in roles:  # who is on no list, ever
        yield service.as_("project_manager")


@pytest.mark.parametrize("operation", OF_A_PERSON, ids=repr)
def test_protected_case_is_to_outsiders_as_if_it_never_was(world, operation):
    case = world.case("partner", SECRET)
    record, body = world.record(operation, case), case.fill(operation.example())
    asked = list(outsiders(world.service, operation.roles))
    if operation.method == "GET":
        asked += [world.service.as_("partner")] if "partner" in operation.roles else []  # a machine for no officer
    for client in asked:
        there = send(client, operation, record, body)
        refused(operation, there, 404, "not_found")
        same(there, send(client, operation, UNKNOWN, body))


@pytest.mark.parametrize("operation", [o for o in OF_A_PERSON if o.method == "GET"], ids=repr)
def test_protected_case_is_there_for_those_on_the_list(world, operation):
    """The other side of the test above, without which it could not fail."""
    record = world.record(operation, world.case("partner", SECRET))
    for role in set(operation.roles) - {"project_manager"}:
        if (operation.id, role) != ("readPaymentFileContent", "fund_manager"):  # it names the payees, who would tell a place
            assert send(world.client(role), operation, record).status_code == 200, role


@pytest.mark.parametrize("operation", [o for o in GUARDED if "x-list" in o.raw and o.method == "GET" and not o.has_id
                                       and not {"auditor", "admin"} & set(o.roles)], ids=repr)
def test_protected_case_is_in_no_list_of_outsiders(world, operation):
    case = world.case("partner", SECRET)
    asks = {p["name"] for p in operation.parameters if p["in"] == "query"}
    query = {"limit": 100} | ({"count": "true"} if "count" in asks else {})
    if operation.parameter("person_id", "query"):
        query |= {"person_id": case.child}

    def told(client):
        answer = client.get(operation.path, params=query)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        del shown["_links"]  # which repeats the person_id that was asked for
        return [found for found in case.ids() if found in str(shown)], shown["_meta"].get("count")

    for client in outsiders(world.service, operation.roles):
        seen, count = told(client)
        assert not seen
        assert not query.get("person_id") or not count
    insider = world.client("triage" if "triage" in operation.roles else "decision_maker")
    if operation.path != "/access-grants":
        assert told(world.client("partner") if "partner" in operation.roles else insider)[0]
    assert told(insider)[0]


@pytest.mark.parametrize("operation", [o for o in GUARDED if "x-list" in o.raw and o.method == "POST"], ids=repr)
def test_protected_person_is_found_by_no_outsider(world, operation):
    case = world.case("partner", SECRET)
    person = person_of(operation, case)
    for search in contract.examples(operation.bodies[contract.JSON]):
        if "identifier" in search:
            search = {"identifier": {"number": person["identifiers"][0]["number"]}}
        for client in outsiders(world.service, operation.roles):
            answer = send(client, operation, body=search)
            assert answer.status_code == 200, answer.text
            assert not [found for found in case.ids() if found in answer.text]
        assert person["id"] in send(world.client("triage"), operation, body=search).text


def person_of(operation, case):
    place = operation.path.removesuffix("/search")
    record = case.applicant if place == "/applicants" else case.child
    return builders.made(case.partner.get(f"{place}/{record}"), 200)


def test_every_path_with_an_id_has_a_builder():
    known = builders.OF_A_CASE | builders.OF_THE_SERVICE
    assert {operation.path.partition("{")[0] for operation in OPERATIONS if operation.has_id} <= known.keys()
