"""The contract against itself: nothing missing, nothing said that is not so, one way of naming. Needs no service."""

import datetime
import re

import pytest

import contract
import formats

OPERATIONS = contract.operations()
SCHEMAS = contract.document()["components"]["schemas"]
INFO = contract.document()["info"]

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=repr)


def problems(schema, value):
    return [f"{error.json_path}: {error.message}" for error in formats.validator(schema).iter_errors(value)]


# -- operations ----------------------------------------------------------------------------------------------------

@each_operation
def test_operation_is_described(operation):
    assert len(operation.raw["summary"]) > 3
    assert len(operation.raw["description"]) > 20
    assert operation.raw["description"].strip() != operation.raw["summary"].strip()
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation.id)
    known = {tag["name"] for tag in contract.document()["tags"]}
    assert len(operation.raw["tags"]) == 1 and set(operation.raw["tags"]) <= known
    assert all(answer["description"] for answer in operation.responses.values())
    if operation.bodies:
        assert contract.resolve(operation.raw["requestBody"])["description"]


@each_operation
def test_operation_declares_its_roles(operation):
    """Each alternative is one role; whoever holds one of them may. An empty list is an open operation."""
    assert isinstance(operation.raw["security"], list)
    for way in operation.raw["security"]:
        assert list(way) == ["utvag"] and len(way["utvag"]) == 1
    assert len(set(operation.roles)) == len(operation.roles)
    assert set(operation.roles) <= set(contract.roles())


def test_operation_ids_are_unique():
    ids = [operation.id for operation in OPERATIONS]
    assert len(set(ids)) == len(ids)


def test_open_operations_are_those_that_must_be():
    """A new operation is not open by mistake."""
    assert {operation.id for operation in OPERATIONS if operation.open} == {
        "getRoot", "getApiInfo", "getOpenapiYaml", "getOpenapiJson", "getLiveness", "getReadiness",
        "getSecurityText", "getApiCatalog", "getKeySet", "getAuthorizationServer",
        "issueToken", "revokeToken", "createSession", "acceptInvitation", "readFund", "readDonationUses", "replaceClientKeys",
    }


def expected_statuses(operation):
    """Every status that the operation can give, but for that of success."""
    statuses = {"400", "405", "500", "503"}
    if not operation.path.startswith("/health/"):
        statuses |= {"429"}
    if operation.responses[str(operation.success)].get("content"):
        statuses |= {"406"}
    if not operation.open:
        statuses |= {"401", "403"}
    if operation.has_id or operation.path.endswith("/current"):  # the caller's own
        statuses |= {"404"}
    if operation.parameter("If-None-Match", "header"):
        statuses |= {"304"}
    if match := operation.parameter("If-Match", "header"):
        statuses |= {"412"} | ({"428"} if match["required"] else set())
    if operation.bodies:
        statuses |= {"413", "415"} | (set() if operation.form else {"422"})  # RFC 6749 knows 400 only
    if "x-action" in operation.raw or operation.method == "DELETE" and operation.has_id:
        statuses |= {"409"}  # a rule stands in the way
    if operation.parameter("Idempotency-Key", "header"):
        statuses |= {"409", "422"}
    if operation.takes_secret and operation.id != "revokeToken":  # of one that nobody knows nothing is said (RFC 7009, 2.2)
        statuses |= {"401"}
    if operation.path == "/invitations/accept":
        statuses |= {"409"}
    if {"from_month", "from_on"} & {p["name"] for p in operation.parameters}:
        statuses |= {"422"}  # a period that has not begun
    return statuses


@each_operation
def test_operation_declares_every_status_that_it_gives(operation):
    assert set(operation.responses) - {str(operation.success)} == expected_statuses(operation)


@each_operation
def test_success_is_what_the_method_means(operation):
    """201 tells where the new record is; 204 has no body; everything else is 200 with one."""
    answer = operation.responses[str(operation.success)]
    assert (operation.success == 201) == ("Location" in answer["headers"]) == ("x-location" in operation.raw)
    assert (operation.success == 204) == ("content" not in answer) == (operation.method == "DELETE")
    if operation.method in ("GET", "PATCH"):
        assert operation.success == 200


@each_operation
def test_errors_are_problems(operation):
    for status, answer in operation.responses.items():
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"]
            assert answer["content"]["application/problem+json"]["schema"]["required"] == SCHEMAS["Problem"]["required"]


@each_operation
def test_answers_declare_their_headers(operation):
    for status, answer in operation.responses.items():
        headers = answer.get("headers", {})
        assert "traceparent" in headers, status
        assert all(header["description"] for header in headers.values())
        needed = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After", "503": "Retry-After", "304": "ETag"}
        assert status not in needed or needed[status] in headers
        if "429" in operation.responses:
            assert {"RateLimit", "RateLimit-Policy"} <= headers.keys(), status
    if operation.parameter("If-None-Match", "header"):
        assert "ETag" in operation.responses["200"]["headers"]


# -- parameters ----------------------------------------------------------------------------------------------------

@each_operation
def test_path_parameters_are_declared(operation):
    declared = [p["name"] for p in operation.parameters if p["in"] == "path"]
    assert declared == re.findall(r"\{([a-z_]+)\}", operation.path)


@each_operation
def test_parameters_are_described_and_shown(operation):
    names = [(p["name"].lower(), p["in"]) for p in operation.parameters]
    assert len(set(names)) == len(names)
    for parameter in operation.parameters:
        assert parameter["description"], parameter["name"]
        assert contract.examples(parameter), parameter["name"]
        for example in contract.examples(parameter):
            assert not problems(parameter["schema"], example), parameter["name"]


@each_operation
def test_headers_are_offered_where_they_belong(operation):
    def has(name):
        return operation.parameter(name, "header") is not None

    writes = not operation.open and operation.method != "GET" and "x-list" not in operation.raw
    assert has("traceparent") and has("Accept-Language")
    assert has("X-Purpose") == ("x-purpose" in operation.raw)
    assert has("Idempotency-Key") == (writes and operation.method in ("POST", "PATCH"))
    if operation.method in ("PATCH", "DELETE") and operation.has_id or operation.raw.get("x-action") == "decisions" or "approve" in operation.path:
        assert operation.parameter("If-Match", "header")["required"] is True
    if "partner" in operation.roles and (writes or "x-purpose" in operation.raw):
        assert has("X-Acting-Officer")


@each_operation
def test_default_purpose_is_a_purpose(operation):
    assert operation.raw.get("x-purpose", "intake") in SCHEMAS["Purpose"]["enum"]


@each_operation
def test_lists_can_be_paged_and_sorted(operation):
    if "x-list" not in operation.raw or operation.method != "GET":
        return
    names = {p["name"]: p for p in operation.parameters if p["in"] == "query"}
    assert {"limit", "cursor"} <= names.keys()
    assert (names["limit"]["schema"]["minimum"], names["limit"]["schema"]["maximum"]) == (1, 100)
    assert names["limit"]["schema"]["default"] == 20
    if "page" in names:
        assert names["page"]["schema"]["minimum"] == 1
    page = operation.responses["200"]["content"][contract.JSON]["schema"]
    assert set(page["properties"]) == {operation.raw["x-list"], "_meta", "_links"}
    assert set(page["required"]) == set(page["properties"])
    if "sort" in names:
        keys = names["sort"]["schema"]["enum"]
        assert operation.raw["x-sort"] == names["sort"]["schema"]["default"]
        assert set(keys) == {sign + key.lstrip("-") for key in keys for sign in ("", "-")}, "each key in both directions"
        record = page["properties"][operation.raw["x-list"]]["items"]["properties"]
        assert {key.lstrip("-") for key in keys} <= record.keys()


@each_operation
def test_filters_are_members_of_the_record(operation):
    """A filter is named as the member that it looks at, or that with _from or _to, or one of its ids."""
    filters = [p for p in operation.parameters if "x-column" in p]
    if not filters:
        return
    page = operation.responses["200"]["content"][contract.JSON]["schema"]
    record = page["properties"][operation.raw["x-list"]]["items"]["properties"]
    for parameter in filters:
        assert parameter["in"] == "query"
        member, names = parameter["x-column"], {parameter["name"]}
        if "x-comparison" in parameter:
            names = {re.sub(r"_(from|to)$", suffix, parameter["name"]) for suffix in ("_at", "_on")}
        assert member in names
        assert {member, "member_ids"} & record.keys(), "the record does not show what was filtered on"


@each_operation
def test_every_query_parameter_means_something(operation):
    for parameter in operation.parameters:
        if parameter["in"] == "query":
            assert "x-column" in parameter or parameter["name"] in (
                "limit", "cursor", "page", "count", "sort", "fields", "from_month", "to_month", "from_on", "to_on")


@each_operation
def test_members_of_a_record_can_be_chosen(operation):
    """Wherever someone reads records; what is open is about the interface itself."""
    streams = len(operation.responses[str(operation.success)].get("content", {})) > 1  # while it is read
    assert (operation.parameter("fields", "query") is not None) == (
        operation.method == "GET" and not operation.open and not streams and operation.answers_json)


# -- examples ------------------------------------------------------------------------------------------------------

@each_operation
def test_every_body_has_examples_that_are_valid(operation):
    for where, kind, content in operation.media():
        assert contract.examples(content), (where, kind)
        for example in contract.examples(content):
            assert not problems(content["schema"], example), (where, kind)


@each_operation
def test_examples_are_complete(operation):
    """Between them, the examples of a body show every member of it."""
    for where, kind, content in operation.media():
        schema = content["schema"]
        if where not in ("request", "200", "201") or where == "request" and operation.method == "PATCH":
            continue
        shown = set().union(*(example for example in contract.examples(content) if isinstance(example, dict)))
        if "properties" in schema and kind != "application/yaml":
            assert set(schema["properties"]) - {"next"} <= shown, (where, kind)


# What lies ahead by its nature; every other time of an example tells of what has been.
AHEAD = re.compile(r"([a-z_]*expires|until|due|pay)_(on|at)|[a-z_]+_(until|by)")


def times(example, name=""):
    if isinstance(example, dict):
        for key, value in example.items():
            yield from times(value, key)
    elif isinstance(example, list):
        for value in example:
            yield from times(value, name)
    elif isinstance(example, str) and re.match(r"\d{4}-\d\d-\d\d(T|$)", example):
        yield name, example


@each_operation
def test_examples_tell_of_no_future(operation):
    """They can be sent and answered as they stand."""
    today = datetime.date.today().isoformat()
    for where, kind, content in operation.media():
        for example in contract.examples(content):
            for name, value in times(example):
                assert AHEAD.fullmatch(name) or value[:10] <= today, (where, name, value)


@each_operation
def test_problems_say_their_status_and_code(operation):
    for status, answer in operation.responses.items():
        for example in contract.examples(answer.get("content", {}).get("application/problem+json", {})):
            assert str(example["status"]) == status
            assert example["type"].endswith(example["code"])
            assert example["instance"] == "urn:uuid:" + re.sub(r"(.{8})(.{4})(.{4})(.{4})(.*)", r"\1-\2-\3-\4-\5",
                                                                example["trace_id"])


# -- names ---------------------------------------------------------------------------------------------------------

SNAKE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
PLURAL = re.compile(r"([a-z-]+s|children)")
# Collections by the profile's naming; these are about the interface itself, or are actions.
SINGLE = {"api-info", "openapi.yaml", "openapi.json", "health", "live", "ready", "oauth", "token", "search"}
# VER.07 of the national profile gives these names.
GIVEN = {"apiName", "apiVersion", "apiReleased", "apiDocumentation", "apiStatus"}
# RFC 9264 gives these.
LINK_SET = {"linkset", "service-desc", "service-meta", "status"}
# What a date or a time means, when its suffix does not say `_on` or `_at`: a limit, or the field's own term.
LIMIT = re.compile(r"birth_date|[a-z_]+_(from|until|by)")
PLURAL_MEMBER = re.compile(r"[a-z_]+s|children|means_of_control|blocked_by")


@each_operation
def test_paths_are_lower_case_with_hyphens(operation):
    assert re.fullmatch(r"/|(/([a-z]+(-[a-z]+)*|\{[a-z_]+\}|openapi\.(yaml|json)))+|/\.well-known/[a-z-]+(\.(txt|json))?", operation.path)
    assert len(operation.path) < 200


@each_operation
def test_collections_are_plural(operation):
    steps = operation.path.strip("/").split("/")
    for step, following in zip(steps, steps[1:] + [""]):
        if following.startswith("{"):
            assert PLURAL.fullmatch(step)
    if "x-list" in operation.raw and operation.method == "GET":
        plural = operation.raw["x-list"].replace("_", "-")
        assert PLURAL.fullmatch(plural)
        assert steps[-1] == plural or operation.path == "/codes"
    if operation.method == "POST" and not operation.has_id:
        assert PLURAL.fullmatch(steps[-1]) or steps[-1] in SINGLE or steps[-1] in ("accept", "revoke")


@pytest.mark.parametrize("name", SCHEMAS)
def test_members_are_named_alike_and_described(name):
    assert SCHEMAS[name].get("description"), name
    for place, member, schema in contract.members(contract.resolve(SCHEMAS[name])):
        if member not in GIVEN | {"_meta", "_links"} | (LINK_SET if name == "ApiCatalog" else set()):
            assert SNAKE.fullmatch(member), place
        assert schema.get("description"), f"{place} is not described"
        kind, form = schema.get("type", "string"), schema.get("format")
        kinds = {kind} if isinstance(kind, str) else set(kind)
        if member.endswith("_ore"):
            assert kinds <= {"integer", "null"} and schema["maximum"] <= 10**12, place
        if member.endswith("_at"):
            assert form == "date-time", place
        if form == "date-time":
            assert member.endswith("_at") or LIMIT.fullmatch(member), place
        if member.endswith("_on"):
            assert form == "date", place
        if form == "date":
            assert member.endswith("_on") or LIMIT.fullmatch(member) or member in GIVEN, place
        if member.endswith("_id") and member not in ("external_id", "client_id", "trace_id"):
            assert form == "uuid", place
        if "array" in kinds and name not in ("ApiCatalog", "AuthorizationServer"):  # RFC 9264 and RFC 8414 name theirs
            assert PLURAL_MEMBER.fullmatch(member), f"{place} is a list: plural"
        assert "number" not in kinds, f"{place}: a float is never exact"


@pytest.mark.parametrize("name", SCHEMAS)
def test_objects_are_closed(name):
    """So that an unknown member is refused, and a client may generate exact types. Problems may grow (RFC 9457)."""
    def look(schema, place):
        kinds = schema.get("type", "")
        if "properties" in schema and "object" in kinds:
            branch = name.endswith("Rule")  # one of several beside a closed object
            assert schema.get("additionalProperties") is False or branch or name == "Problem", place
        for member, inner in schema.get("properties", {}).items():
            look(inner, f"{place}/{member}")
        if isinstance(schema.get("items"), dict):
            look(schema["items"], place + "/0")

    look(SCHEMAS[name], name)


def taken(schema):
    """The schema without what the service keeps itself, which is taken only unchanged."""
    kept = {name: taken(member) for name, member in schema.get("properties", {}).items() if not member.get("readOnly")}
    return schema | {"properties": kept}


@pytest.mark.parametrize("name", SCHEMAS)
def test_lists_and_texts_that_are_taken_have_limits(name):
    """What a client sends has an end: OWASP API4."""
    if not any(f"#/components/schemas/{name}'" in str(operation.raw.get("requestBody")) for operation in OPERATIONS):
        return
    for place, member, schema in contract.members(taken(contract.resolve(SCHEMAS[name]))):
        kinds = schema.get("type", ())
        if "string" in kinds and "const" not in schema and "enum" not in schema:
            assert {"maxLength", "format", "pattern"} & schema.keys(), place
        if "array" in kinds:
            assert "maxItems" in schema, place
        if "integer" in kinds:
            assert {"minimum", "maximum"} <= schema.keys(), place


def test_nothing_is_defined_in_vain():
    text = str(contract.document()["paths"]) + str(contract.document()["components"])
    for kind, entries in contract.document()["components"].items():
        for name in entries if kind != "securitySchemes" else ():
            assert f"'#/components/{kind}/{name}'" in text, f"{kind}/{name} is used nowhere"


# -- sealing -------------------------------------------------------------------------------------------------------

# What no database may show in clear: identity, exact birth date, contact, free text, article 9 data.
PRIVATE = re.compile(r"(given_|family_|^)name|alias|birth_date$|phone|email|language|interpreter|notes?$|safe_contact|contact$"
                     r"|^number$|reason$|reasoning|description|summary|message|answer$|question|statement|trafficking|exploitation_types"
                     r"|means_of_control|street|postal|^city$|municipality_code|payee(_vendor)?$|pay_to")
# In clear: agencies are public bodies, projects are told to everybody, accounts have names that the charity gives them, and what is searched for never rests
# anywhere.
PUBLIC = re.compile(r"Agency|Client|Root|ApiInfo|Code|Problem|Search|Session|Token|Page$|AuditEvent|MemberError|^Action$|^Account|^(New)?Project|^(New)?Activity")


# Plain words that name nobody: of agencies and machines, and what the service itself writes.
OPEN_WORDS = {"name", "label", "token", "action", "role"}


@pytest.mark.parametrize("name", [n for n in SCHEMAS if "x-record" in SCHEMAS[n]])
def test_free_text_in_a_record_is_sealed(name):
    """What a case worker writes may say anything of anyone. A code, a form or a list of choices says only what we let it."""
    bound = {"enum", "const", "format", "pattern", "x-sealed"}
    whole = contract.resolve(SCHEMAS[name])
    sealed = [place for place, _, schema in contract.members(whole) if "x-sealed" in schema]
    for place, member, schema in contract.members(whole):
        types = schema.get("type")
        if any(place.startswith(outer + "/") for outer in sealed):
            continue  # inside a member that is sealed whole
        if "string" in (types if isinstance(types, list) else [types]) and not bound & schema.keys():
            assert member.endswith("_code") or member in OPEN_WORDS, f"{name}{place}"


@pytest.mark.parametrize("name", [n for n in SCHEMAS if not PUBLIC.search(n) and "x-sealed" not in SCHEMAS[n]])
def test_private_members_are_sealed(name):
    def look(schema, place):
        for member, inner in schema.get("properties", {}).items():
            inner = contract.resolve(inner)
            if PRIVATE.search(member) and "x-sealed" not in inner and inner.get("type") not in ("boolean", ["boolean", "null"]):
                assert "x-record" in inner or "const" in inner, f"{place}/{member} would rest in clear"
            if "x-sealed" not in inner and member != "actions":
                look(inner, f"{place}/{member}")
                look(inner.get("items", {}), f"{place}/{member}/0")

    look(SCHEMAS[name], name)


def test_answer_creation_and_patch_seal_the_same():
    def sealed(name):
        return {place: schema.get("x-sealed") for place, _, schema in contract.members(contract.resolve(SCHEMAS[name]))
                if place.count("/") == 1}

    for name in SCHEMAS:
        for other in (f"New{name}", f"{name}Patch"):
            if other in SCHEMAS:
                both = sealed(name).keys() & sealed(other).keys()
                assert {m: sealed(name)[m] for m in both} == {m: sealed(other)[m] for m in both}, other


def test_secrets_are_write_only():
    for name in ("TokenRequest", "SessionRequest", "InvitationAcceptance"):
        for member, schema in SCHEMAS[name]["properties"].items():
            if member in ("client_secret", "password", "token"):
                assert schema["writeOnly"] is True


# -- the national REST profile, as far as a file can show it ----------------------------------------------------------

def test_profile_documentation():
    """DOK.03, .08, .09, .16, .21, VER.04, .05"""
    assert contract.document()["openapi"].startswith("3.1")
    assert INFO["title"] and len(INFO["description"]) > 200 and INFO["summary"]
    assert set(INFO["contact"]) == {"name", "url", "email"}
    assert set(INFO["license"]) == {"name", "url"}
    assert INFO["x-limitations"] and INFO["x-sla"]
    assert contract.document()["externalDocs"]["url"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", INFO["version"])
    assert all(server["url"].endswith(f"/v{INFO['version'].split('.')[0]}") for server in contract.document()["servers"])


def test_profile_languages():
    """DOK.06: Swedish and English"""
    assert "På svenska" in INFO["description"] and "Accept-Language" in INFO["description"]


def test_profile_self_description():
    """DOK.23, .24, VER.06, .07"""
    paths = contract.document()["paths"]
    assert {"/openapi.yaml", "/openapi.json", "/api-info"} <= paths.keys()
    assert set(SCHEMAS["ApiInfo"]["required"]) == GIVEN


def test_profile_https_only():
    """UFN.02, SAK.01"""
    assert all(server["url"].startswith("https://") for server in contract.document()["servers"])


def test_profile_authentication():
    """SAK.09, .10, .18: OAuth 2 bearer tokens, and nothing else; every role is explained"""
    schemes = contract.document()["components"]["securitySchemes"]
    assert [scheme["type"] for scheme in schemes.values()] == ["oauth2"]
    assert all(contract.document()["components"]["securitySchemes"]["utvag"]["flows"]["clientCredentials"]["scopes"].values())


@each_operation
def test_profile_search_says_why_it_is_a_post(operation):
    """MOG.03"""
    if operation.method == "POST" and "x-list" in operation.raw:
        assert "POST" in operation.raw["description"]


@each_operation
def test_profile_bodies_include_plain_json(operation):
    """AME.01, and what the national checker asks for: application/json beside merge-patch"""
    if operation.bodies:
        assert contract.JSON in operation.bodies
    if operation.method == "PATCH":
        assert "application/merge-patch+json" in operation.bodies


@each_operation
def test_profile_query_parameters_are_optional(operation):
    """FNS.05. Two exceptions: access lists and households are read for one person, never leafed through."""
    for parameter in operation.parameters:
        if parameter["in"] == "query":
            asked = operation.id in ("listAccessGrants", "listHouseholds") and parameter["name"] == "person_id"
            assert parameter["required"] is asked


@each_operation
def test_profile_no_person_in_the_address(operation):
    """UFN.03, SAK.15, ARQ.05: what seals or indexes a person, and secrets, are never parameters"""
    for parameter in operation.parameters:
        assert "x-sealed" not in parameter["schema"] and "x-blind" not in parameter["schema"]
        assert not re.search(r"number|personnummer|phone|email|password|secret|birth|(^|given_|family_)name$|token|key$",
                             parameter["name"]) or parameter["name"] == "Idempotency-Key"


@each_operation
def test_profile_ids_tell_nothing(operation):
    """RES.01–.03"""
    for parameter in operation.parameters:
        if parameter["in"] == "path" and parameter["name"] != "list":
            assert parameter["schema"]["format"] == "uuid"


@each_operation
def test_profile_links_are_absolute(operation):
    """HYP.05, .07, .11–.17, FNS.10, .11"""
    for where, kind, content in operation.media():
        for example in contract.examples(content):
            if isinstance(example, dict) and "_links" in example:
                assert "self" in example["_links"]
                for rel, link in example["_links"].items():
                    assert set(link) == {"href", "rel", "method"} and link["href"].startswith("https://")
                    assert link["rel"] == rel


def test_profile_errors():
    """FEL.01"""
    assert {"type", "title", "status", "detail", "instance"} <= set(SCHEMAS["Problem"]["required"])


def texts():
    """Every text that has a least length, by its place; what a pattern or a format describes further says it itself."""
    def walk(place, schema):
        if not isinstance(schema, dict):
            return
        if "minLength" in schema and not place.rpartition("/")[2].lower().endswith("code") and "format" not in schema:
            yield place, schema
        for name, node in schema.get("properties", {}).items():
            yield from walk(f"{place}/{name}", node)
        for node in schema.get("oneOf", []):
            yield from walk(place, node)

    return [pair for name, schema in SCHEMAS.items() for pair in walk(name, schema)]


SECRETS = ("/client_id", "/client_secret", "/client_assertion", "/refresh_token", "/password", "/token")  # compared with what was made, and never read by people


def test_texts_that_must_say_something_say_more_than_blanks():
    assert len(texts()) > 40
    assert not [place for place, schema in texts() if "pattern" not in schema and not place.endswith(SECRETS)]


def test_dates_are_of_our_time():
    loose = [name for name, schema in SCHEMAS.items() if schema.get("format") == "date" and "x-earliest" not in schema]
    assert not loose
