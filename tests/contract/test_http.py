"""HTTP to the letter, for every operation and every path of the contract: what is not as it says is refused, alike everywhere."""

import re
import uuid

import pytest
import requests

import contract
from builders import OFFICER, UNKNOWN
from test_matrix import holds

OPERATIONS = contract.operations()
PATHS = {}
for one in OPERATIONS:
    PATHS.setdefault(("" if one.at_root else "/v1") + one.path, []).append(one)
LISTS = [operation for operation in OPERATIONS if "x-list" in operation.raw and operation.method == "GET"]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "trace_id"}

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
each_list = pytest.mark.parametrize("operation", LISTS, ids=repr)
each_path = pytest.mark.parametrize("path", PATHS)


def takes(*places):
    """Operations with such a part, so that no test passes for want of one."""
    return pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if all(place(operation) for place in places)],
                                   ids=repr)


def address(operation):
    """Its path, with an id that is nobody's and whatever else the contract shows."""
    return re.sub(r"\{([a-z_]+)\}", lambda name: UNKNOWN if name[1] == "id" else operation.parameter(name[1], "path")["example"],
                  operation.path)


def send(service, operation, query=None, method=None, data=None, **headers):
    """The request as the contract has it, by a role that it lets in, but for what is said; a header that is None is left out."""
    client = service.anyone() if operation.open else service.as_(operation.roles[0])
    usual = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Acting-Officer": OFFICER, "Content-Type": contract.JSON}
    if operation.parameter("If-Match", "header"):
        usual["If-Match"] = '"1"'
    if operation.parameter("Idempotency-Key", "header"):
        usual["Idempotency-Key"] = str(uuid.uuid4())
    if data is None and operation.bodies:
        data = requests.Request("POST", "http://a/", json=operation.example()).prepare().body
    sent = {name: value for name, value in (usual | {n.replace("_", "-"): v for n, v in headers.items()}).items() if value is not None}
    needed = {p["name"]: p["example"] for p in operation.parameters if p["in"] == "query" and p["required"]}
    return client.request(method or operation.method, address(operation), params=needed | (query or {}), data=data, headers=sent)


def refused(operation, answer, status, code):
    """A problem, whole, that the contract knows of, and that nobody keeps."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    holds(operation, answer)
    body = answer.json()
    assert MEMBERS <= body.keys() and body["status"] == status
    assert body["code"] == code or code in {error["code"] for error in body.get("errors", [])}, body
    assert body["type"] == "urn:utvag:problem:" + body["code"]
    assert body["trace_id"] == TRACE and body["instance"].replace("-", "") == "urn:uuid:" + TRACE
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    guarded(answer)
    return answer


def guarded(answer):
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", answer.headers["traceparent"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


# -- methods ---------------------------------------------------------------------------------------------------------

def allowed(path):
    methods = {operation.method for operation in PATHS[path]}
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


@each_path
def test_other_methods_are_405_and_allow_says_which_are_not(service, path):
    url = service.url.removesuffix("/v1") + re.sub(r"\{[a-z_]+\}", UNKNOWN, path)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} - allowed(path):
        answer = requests.request(method, url, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, timeout=10)
        assert answer.status_code == 405, method
        assert set(answer.headers["Allow"].split(", ")) == allowed(path)
        guarded(answer)
        if method != "HEAD":
            assert answer.json()["code"] == "method_not_allowed" and MEMBERS <= answer.json().keys()


@each_path
def test_options_asks_for_no_token_and_tells_the_same(service, path):
    answer = requests.options(service.url.removesuffix("/v1") + re.sub(r"\{[a-z_]+\}", UNKNOWN, path), timeout=10)
    assert answer.status_code == 204 and answer.content == b""
    assert set(answer.headers["Allow"].split(", ")) == allowed(path)


@takes(lambda operation: operation.method == "GET")
def test_head_is_get_without_its_body(service, operation):
    whole, head = send(service, operation), send(service, operation, method="HEAD")
    own = {"traceparent", "Date", "RateLimit", "ETag", "Content-Length", "Link"}  # a reading of the log is in the next one
    assert head.status_code == whole.status_code and head.content == b""
    assert head.headers.keys() == whole.headers.keys()
    assert {n: v for n, v in head.headers.items() if n not in own} == {n: v for n, v in whole.headers.items() if n not in own}


# -- parameters ------------------------------------------------------------------------------------------------------

@each_operation
def test_an_unknown_parameter_is_400(service, operation):
    answer = refused(operation, send(service, operation, {"personnummer": "191212121212"}), 400, "parameter_unknown")
    assert "personnummer" not in answer.text and "191212121212" not in answer.text


@each_list
@pytest.mark.parametrize("name, values", [
    ("limit", ["0", "101", "-1", "1.0", "x", "", "1e1", " 1", "+1"]), ("page", ["0", "-1", "x", "10001"]),
    ("sort", ["", "id", "-", "created_at;", "CREATED_AT", "created_at,id"]), ("count", ["1", "yes", ""]),
])
def test_a_bad_way_of_paging_is_400(service, operation, name, values):
    for value in values if operation.parameter(name, "query") else []:
        answer = refused(operation, send(service, operation, {name: value}), 400, "parameters_invalid")
        assert [error["parameter"] for error in answer.json()["errors"]] == [name]


@each_list
@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAAAAAAAAAAAAAGEAMQ", "A" * 500, "%00", "Zm9ydHPDpHR0bmluZw=="])
def test_a_cursor_that_nobody_signed_is_400(service, operation, cursor):
    assert send(service, operation, {"cursor": cursor}).status_code == 400


# -- bodies ----------------------------------------------------------------------------------------------------------

has_body = lambda operation: operation.bodies
has_no_body = lambda operation: not operation.bodies


@takes(has_body)
@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=latin1", "multipart/form-data; boundary=a", None])
def test_another_media_type_is_415_and_told_which_is_taken(service, operation, kind):
    answer = refused(operation, send(service, operation, Content_Type=kind), 415, "media_type_unsupported")
    name = "Accept-Patch" if operation.method == "PATCH" else "Accept-Post"
    assert contract.JSON in answer.headers[name].split(", ")


@takes(has_body)
@pytest.mark.parametrize("data, code", [
    (b"{", "json_invalid"), (b'{"a":1,"a":2}', "json_invalid"), (b'{"a":"\\u0000"}', "json_invalid"), (b'{"a":"\xff"}', "json_invalid"),
    (b"[" * 33 + b"]" * 33, "json_too_deep"), (b" " * ((1 << 20) + 1), "body_too_large"),
])
def test_what_is_no_json_is_400_and_what_is_too_much_413(service, operation, data, code):
    refused(operation, send(service, operation, data=data), 413 if code == "body_too_large" else 400, code)


@takes(has_body, lambda operation: operation.raw["requestBody"].get("required"))
def test_a_body_that_is_asked_for_must_come(service, operation):
    refused(operation, send(service, operation, data=b""), 400, "body_required")


@takes(has_body)
def test_an_unknown_member_is_refused_and_not_echoed(service, operation):
    answer = send(service, operation, data=b'{"personnummer_191212121212": 1}')
    refused(operation, answer, 400 if operation.form else 422, "body_invalid" if not operation.form else answer.json()["code"])
    assert "191212121212" not in answer.text


@takes(has_no_body)
def test_a_body_where_none_is_taken_is_400(service, operation):
    refused(operation, send(service, operation, data=b"{}"), 400, "body_unexpected")


# -- negotiation and conditions --------------------------------------------------------------------------------------

@takes(lambda operation: operation.responses[str(operation.success)].get("content"))
def test_what_cannot_be_told_in_another_form_is_406(service, operation):
    refused(operation, send(service, operation, Accept="text/html, image/*;q=0.5"), 406, "not_acceptable")


@takes(lambda operation: (operation.parameter("If-Match", "header") or {}).get("required"))
def test_a_change_without_the_version_is_428(service, operation):
    refused(operation, send(service, operation, If_Match=None), 428, "if_match_required")
    for bad in ("*", "1", '"x"', 'W/"', '"1", "2"'):
        refused(operation, send(service, operation, If_Match=bad), 400, "if_match_invalid")


def test_changes_decisions_and_approvals_need_the_version():
    asked = {operation.id for operation in OPERATIONS if (operation.parameter("If-Match", "header") or {}).get("required")}
    must = {operation.id for operation in OPERATIONS if operation.has_id
            and (operation.method in ("PATCH", "DELETE") or re.search(r"\}/(decisions|approve[a-z-]*|ratify)$", operation.path)
                 and operation.method == "POST")}
    assert must <= asked, must - asked


@takes(lambda operation: operation.method in ("POST", "PATCH") and operation.parameter("Idempotency-Key", "header"))
def test_a_bad_idempotency_key_is_400(service, operation):
    for bad in ("", "a" * 300, "a b", "å"):
        answer = send(service, operation, Idempotency_Key=bad.encode())
        assert answer.status_code == 400, (bad, answer.status_code, answer.text)
