"""The edges of HTTP, by raw sockets: one reading of each request, no second answer, nobody holds a thread for ever."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

HOST = b"Host: api.utvag.example\r\n"
GOOD = b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


def talk(service, sent, wait=5.0):
    """Sends bytes and reads until the service closes, or is silent; returns (bytes, closed)."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.settimeout(wait)
        got = b""
        while True:
            try:
                more = connection.recv(65536)
            except TimeoutError:
                return got, False
            except ConnectionResetError:
                return got, True
            if not more:
                return got, True
            got += more


def answers(got):
    return [int(status) for status in STATUS.findall(got)]


def get(target, *headers, method="GET", version="1.1"):
    lines = "".join(header + "\r\n" for header in headers).encode()
    return f"{method} {target} HTTP/{version}\r\n".encode() + HOST + lines + b"Connection: close\r\n\r\n"


def post(body, *headers, target="/v1/oauth/token", content_type="application/json"):
    lines = "".join(header + "\r\n" for header in headers)
    head = f"POST {target} HTTP/1.1\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{lines}"
    return head.encode() + HOST + b"Connection: close\r\n\r\n" + body


def problem(got):
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, got
    return json.loads(body)


# -- smuggling -----------------------------------------------------------------------------------------------------

SECOND = b"GET /v1/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


FOLLOWED = b"0\r\n\r\n" + SECOND  # read as chunks it is an empty body, and a second request


@pytest.mark.parametrize("head, body, code", [
    (b"Content-Length: 5\r\n" + CHUNKED, FOLLOWED, "framing_ambiguous"),
    (CHUNKED + b"Content-Length: 5\r\n", FOLLOWED, "framing_ambiguous"),
    (b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SECOND), SECOND, "framing_ambiguous"),
    (b"Content-Length: 0\r\ncontent-length: %d\r\n" % len(SECOND), SECOND, "framing_ambiguous"),
    (b"Content-Length: 0\r\nContent-Length: 0\r\n", SECOND, "framing_ambiguous"),
    (b"Content-Length: 0\r\nContent-Length: \xff%d\r\n" % len(SECOND), SECOND, "framing_ambiguous"),
    (CHUNKED + CHUNKED, FOLLOWED, "framing_ambiguous"),
    (b"Content-Length : %d\r\n" % len(SECOND), SECOND, "header_invalid"),
    (b"Transfer-Encoding : chunked\r\n", FOLLOWED, "header_invalid"),
    (b"Transfer-Encoding\t: chunked\r\n", FOLLOWED, "header_invalid"),
    (b'"Content-Length": %d\r\n' % len(SECOND), SECOND, "header_invalid"),
    (b"X: a\r\n Transfer-Encoding: chunked\r\n", FOLLOWED, "header_invalid"),
    (b"X: a\r\n\tContent-Length: %d\r\n" % len(SECOND), SECOND, "header_invalid"),
    (b" Content-Length: %d\r\n" % len(SECOND), SECOND, "header_invalid"),
    (b"X: a\rTransfer-Encoding: chunked\r\n", FOLLOWED, "header_invalid"),
    (b"X: \ra\r\n", SECOND, "header_invalid"),
    (b"X\r: a\r\n", SECOND, "header_invalid"),
    (b"X: a\x07b\r\n", SECOND, "header_invalid"),
    (b"Host: other.example\r\n", SECOND, "host_invalid"),
    (b"hOST: api.utvag.example\r\n", SECOND, "host_invalid"),
])
def test_an_ambiguous_request_has_one_answer_which_is_400(service, head, body, code):
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n" + HOST + head + b"\r\n" + body, wait=12)
    assert closed and answers(got) == [400] and problem(got)["code"] == code
    assert b"\r\nConnection: close\r\n" in got and b"smuggled" not in got


@pytest.mark.parametrize("head, body", [
    (b"X\r\n Transfer-Encoding: chunked\r\n", FOLLOWED),
    (b"Content-Length\x00: 5\r\n", SECOND),
    (b"Content-Length: 0\rX: a\r\n", SECOND),
    (b"Content-Length:\r\n", SECOND),
    (b"Content-Length: +0\r\n", SECOND),
    (b"Content-Length: 0x0\r\n", SECOND),
    (b"Content-Length: 0 0\r\n", SECOND),
])
def test_what_the_library_finds_ambiguous_is_400_and_the_end(service, head, body):
    """Where a length is none it writes the status line twice, with one body (libmicrohttpd 0.9.75)."""
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n" + HOST + head + b"\r\n" + body, wait=12)
    assert closed and set(answers(got)) == {400} and got.count(b"<html>") == 1
    assert b"smuggled" not in got and b"trace_id" not in got


@pytest.mark.parametrize("coding", [b"chunked, identity", b"xchunked", b"\x0bchunked", b"identity", b"gzip, chunked"])
def test_a_coding_that_is_unknown_is_never_answered(hasty, coding):
    """It does not reach us (libmicrohttpd 0.9.75): the clock ends it."""
    head = b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    assert talk(hasty, head + FOLLOWED, wait=6) == (b"", True)


@pytest.mark.parametrize("head", [
    b"\x00Content-Length: %d\r\n" % len(SECOND),  # ends the head for libmicrohttpd
    b"X: a\x00b\r\n", b"X: a\x00\r\nY: b\r\n", b"\x00\r\n", b": a\r\n", b"X:a\r\n", b"X:  a\r\n", b"X: a\n",
    b"Content-Length: 0\r\n 0\r\n",
])
def test_nothing_follows_a_head_that_may_hide_something(service, head):
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n" + HOST + head + b"\r\n" + SECOND)
    assert closed and answers(got) == [200] and b"\r\nConnection: close\r\n" in got


@pytest.mark.parametrize("line", [b"GET /v1/api-info\x00 HTTP/1.1\r\n", b"GET /v1/api-info HTTP/1.1\n"])
def test_nothing_follows_a_request_line_that_may_hide_something(service, line):
    got, closed = talk(service, line + HOST + b"\r\n" + SECOND)
    assert closed and answers(got) == [200]


def test_a_connection_stays_for_whoever_writes_plainly(service):
    plain = b"GET /v1/api-info?a=b HTTP/1.1\r\n" + HOST + b"User-Agent: a  b/1\r\nAccept: */*\r\nX: a \xc3\xa5 \r\ntraceparent: 00\r\n\r\n"
    body = post(b"{}").replace(b"Connection: close\r\n", b"")
    got, closed = talk(service, GOOD + plain + body + plain + get("/v1/nothing"))
    assert closed and answers(got) == [200, 400, 400, 400, 404]


@pytest.mark.parametrize("body", [
    b"2\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"2;a=b\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nContent-Length: 5\r\nAuthorization: Bearer a\r\n\r\n",
])
@pytest.mark.parametrize("coding", [CHUNKED, b"Transfer-Encoding:\tCHUNKED\r\n"])
def test_nothing_follows_a_chunked_body(service, coding, body):
    """libmicrohttpd is lenient about chunks: whatever stands behind one is never a request."""
    head = b"POST /v1/oauth/token HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST + coding + b"\r\n"
    got, closed = talk(service, head + body + SECOND)
    assert closed and answers(got) == [400]
    assert problem(got)["code"] == "body_invalid"


@pytest.mark.parametrize("body", [b"0x2\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n", b"2 \r\n{}\r\n0\r\n\r\n",
                                  b"2\r\n{}XX0\r\n\r\n", b"2;a\n\r\n{}\r\n0\r\n\r\n", b"f" * 18 + b"\r\n{}"])
def test_bad_chunks_end_the_connection(service, body):
    head = b"POST /v1/oauth/token HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST + CHUNKED + b"\r\n"
    got, closed = talk(service, head + body + SECOND, wait=12)
    assert closed and answers(got) in ([400], [413]) and b"smuggled" not in got


def test_a_body_is_consumed_whatever_the_answer(service):
    """What was sent as a body is never read as the next request."""
    for target in (b"GET /v1/api-info", b"POST /v1/nothing", b"DELETE /v1/api-info"):
        sent = target + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SECOND) + SECOND
        got, _ = talk(service, sent + get("/v1/api-info"))
        assert len(answers(got)) == 2 and answers(got)[1] == 200


def test_pipelined_requests_are_answered_in_order(service):
    got, _ = talk(service, GOOD + get("/v1/nothing"))
    assert answers(got) == [200, 404]


@pytest.mark.parametrize("name", ["Authorization", "X-Purpose", "If-Match", "Idempotency-Key"])
def test_what_decides_may_be_said_once(service, name):
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n" + HOST + f"{name}: a\r\n{name.lower()}: b\r\n\r\n".encode())
    assert closed and problem(got)["code"] == "header_repeated"


def test_missing_host_is_400_and_the_end(service):
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n\r\n" + SECOND)
    assert answers(got) == [400] and closed
    assert problem(got)["code"] == "host_invalid"


# -- the target ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("target", [
    "http://other.example/v1/api-info", "http://api.utvag.example", "http://api.utvag.example?a=b",
    "http://a@api.utvag.example/v1/api-info", "ftp://api.utvag.example/v1/api-info", "/v1/api-info#a", "api.utvag.example:443", "*", "/v1/api-info%00", "/v1%2fapi-info",
    "//v1/api-info", "/v1//api-info", "/v1/./api-info", "/v1/../v1/api-info", "/v1/API-INFO", "/v1/api-info;a=b",
    "/v1/api-info?a=\"", "/v1/api-info?a=\\", "/v1/api-info?a=>", "/v1/api-info?a={", "/v1/api-info?a=|", "/v1/api-info?a=^",
    "/v1/api%2Dinfo", "/v1/api-info?a=%zz", "/v1/api-info?a=%00", "/v1/api-info?a=%c3", "/v1/api-info?a=%f8%88%80%80",
])
def test_bad_target_is_400(service, target):
    got, _ = talk(service, get(target))
    assert answers(got) == [400]
    assert problem(got)["code"] == "target_invalid"


def test_a_whole_url_of_this_host_is_a_target(service):
    """RFC 9112, 3.2.2"""
    for scheme in ("http", "HTTPS"):
        got, _ = talk(service, get(scheme + "://API.utvag.example/v1/api-info"))
        assert answers(got) == [200]


def test_an_id_in_the_query_is_none_in_the_path(service):
    one, other = "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0", "00000000-0000-4000-8000-00000000abcd"
    got, _ = talk(service, get(f"/v1/applicants/{one}?id={other}"))
    assert answers(got) == [400] and problem(got)["code"] == "parameter_unknown"


def test_a_url_forges_no_sealed_member(service):
    """A list tells its own URL: a quote in it would end the string, and what follows would be opened as a seal."""
    token = service.as_("case_worker").get("/applicants").request.headers["Authorization"]
    marker = '"$seal":"persons/8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0/sealed/00/00"'
    got, _ = talk(service, get(f'/v1/applicants?external_id=a",{marker},"b":"', "Authorization: " + token))
    assert answers(got) == [400] and problem(got)["code"] == "target_invalid" and b"$seal" not in got
    escaped = service.as_("case_worker").get("/applicants?external_id=a%22")
    assert escaped.status_code in (200, 400) and json.loads(escaped.text)


def test_a_parameter_may_be_given_once(service):
    answer = service.as_("case_worker").get("/applicants?limit=1&limit=2")
    assert answer.status_code == 400 and answer.json()["code"] == "parameter_repeated"
    assert answer.json()["errors"][0]["parameter"] == "limit"


@pytest.mark.parametrize("target", ["/v1/applicants/%00", "/v1/applicants/a%2fb", "/v1/applicants/..%2f..",
                                    "/v1/applicants/\xc3\xa5", "/v1/applicants/a\\b"])
def test_escapes_in_a_path_are_400(service, target):
    got, _ = talk(service, get(target).replace(b"\xc3\x83\xc2\xa5", b"\xc3\xa5"))
    assert answers(got) == [400] and problem(got)["code"] == "target_invalid"


def test_long_target_is_414(service):
    got, _ = talk(service, get("/v1/api-info?" + "a" * 2048))
    assert answers(got) == [414] and problem(got)["code"] == "target_too_long"


def test_unknown_parameter_is_refused_without_its_name(service):
    got, _ = talk(service, get("/v1/api-info?personnummer=191212121212"))
    assert answers(got) == [400] and problem(got)["code"] == "parameter_unknown"
    assert b"personnummer" not in got and b"191212121212" not in got
    assert not any("191212121212" in line or "personnummer" in line for line in service.lines)


# -- methods -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["DELETE", "PUT", "TRACE", "PATCH", "get", "Get", "BREW", "PROPFIND", "CONNECT",
                                    "POST", "M-SEARCH", "A" * 5000])
def test_other_methods_are_405_with_allow(service, method):
    got, _ = talk(service, get("/v1/api-info", method=method))
    assert answers(got) == [405]
    assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in got
    assert problem(got)["code"] == "method_not_allowed"


@pytest.mark.parametrize("method", ["G@T", "GE(T", "GET,", '"GET"', "G\u00e5T"])
def test_a_method_that_is_none_is_400_and_the_end(service, method):
    got, closed = talk(service, get("/v1/api-info", method=method).replace(b"close", b"keep-alive") + SECOND)
    assert answers(got) == [400] and closed


def test_trace_shows_nobody_what_was_sent(service):
    got, _ = talk(service, get("/v1/api-info", "Authorization: Bearer secret", method="TRACE"))
    assert b"secret" not in got


def test_head_mirrors_get(service):
    whole, _ = talk(service, get("/v1/api-info"))
    head, _ = talk(service, get("/v1/api-info", method="HEAD"))
    names = lambda got: {line.split(b":")[0]: line for line in got.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    one, other = names(whole), names(head)
    assert head.endswith(b"\r\n\r\n") and answers(head) == [200]
    assert one.keys() == other.keys() and one[b"Content-Length"] == other[b"Content-Length"]


@pytest.mark.parametrize("target", ["/v1/api-info", "*"])
def test_options_says_what_is_allowed(service, target):
    got, _ = talk(service, get(target, method="OPTIONS"))
    assert answers(got) == [204] and b"\r\nAllow: GET, HEAD" in got
    assert got.endswith(b"\r\n\r\n")


# -- what libmicrohttpd refuses by itself: the status, no JSON, and an end ------------------------------------------

@pytest.mark.parametrize("sent, status", [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", None),
    (b"GET\r\n\r\n", None),
    (b"GET /v1/api-info HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"nocolon\r\n\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /v1/api-info HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /v1/api-info http/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1 x\r\n" + HOST + b"\r\n", 400),
    (b"GET /v1/api-info\r\n\r\n", 400),
    (b"GET\t/v1/api-info\tHTTP/1.1\r\n" + HOST + b"\r\n", None),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"".join(b"X%d: a\r\n" % i for i in range(1000)) + b"\r\n", 431),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nzz\r\n", 400),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", 400),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}", 413),
])
def test_what_the_library_refuses_ends_the_connection(service, sent, status):
    got, closed = talk(service, sent, wait=12)
    assert closed and b"{" not in got
    assert set(answers(got)) == ({status} if status else set())
    assert got.count(b"<html>") == (1 if status else 0)


# -- bodies --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body, code", [
    (b'{"grant_type":"a","grant_type":"b"}', "json_invalid"),
    (b'{"grant_type":"\\u0000"}', "json_invalid"),
    (b'{"grant_type":"\\ud800"}', "json_invalid"),
    (b'{"grant_type":"\xff"}', "json_invalid"),
    (b'\xef\xbb\xbf{"grant_type":"a"}', "json_invalid"),
    (b'{"grant_type":"a"} x', "json_invalid"),
    (b'{"grant_type":99999999999999999999}', "json_invalid"),
    (b'"text"', "json_invalid"),
    (b"[" * 33 + b"]" * 33, "json_too_deep"),
    (b'{"a":' * 100000, "json_too_deep"),
    (b"", "body_required"),
])
def test_bad_json_is_400(service, body, code):
    got, _ = talk(service, post(body))
    assert answers(got) == [400]
    assert problem(got)["code"] == code


def test_brackets_in_strings_are_no_depth(service):
    got, _ = talk(service, post(json.dumps({"grant_type": '[{"\\' * 50}).encode()))
    assert b"json_too_deep" not in got


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=%00", b"a=%ff", b"a=%", b"=1"])
def test_bad_form_is_400(service, body):
    got, _ = talk(service, post(body, content_type="application/x-www-form-urlencoded"))
    assert answers(got) == [400]
    assert problem(got)["code"] == "form_invalid"
    assert problem(got)["error"] == "invalid_request"


@pytest.mark.parametrize("content_type, headers", [
    ("text/plain", []), ("application/json; charset=latin1", []), ("application/json", ["Content-Encoding: gzip"]),
    ("multipart/form-data; boundary=x", []),
])
def test_other_media_types_are_415(service, content_type, headers):
    got, _ = talk(service, post(b"{}", *headers, content_type=content_type))
    assert answers(got) == [415]
    assert re.search(rb"\r\nAccept-Post: [^\r]*application/json", got)


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_413(service, chunked):
    size = (1 << 20) + 1
    body = b" " * size
    sent = post(body)
    if chunked:
        head = b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + CHUNKED + b"Connection: close\r\n"
        sent = head + b"Content-Type: application/json\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    got, _ = talk(service, sent, wait=15)
    assert answers(got) == [413] and problem(got)["code"] == "body_too_large"


def test_limits_of_body_depth_and_head_are_settings(serving):
    with serving(body_limit=2000, depth_limit=4, header_limit=4096) as service:
        assert problem(talk(service, post(b" " * 2001))[0])["code"] == "body_too_large"
        assert problem(talk(service, post(b" " * 2000))[0])["code"] == "json_invalid"
        assert problem(talk(service, post(b"[" * 5 + b"]" * 5))[0])["code"] == "json_too_deep"
        assert problem(talk(service, post(b"[" * 4 + b"]" * 4))[0])["code"] == "body_invalid"
        assert answers(talk(service, get("/v1/api-info", "X: " + "a" * 5000))[0]) == [431]


@pytest.mark.parametrize("expectation", ["100-continue", "anything"])
def test_an_expectation_does_not_hold_the_answer_up(service, expectation):
    got, _ = talk(service, post(b"{}", "Expect: " + expectation))
    assert answers(got)[-1] == 400 and problem(got[got.rindex(b"HTTP/1.1 "):])["code"] == "body_invalid"


def test_body_where_none_is_taken_is_400(service):
    sent = b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    got, _ = talk(service, sent)
    assert answers(got) == [400] and problem(got)["code"] == "body_unexpected"


# -- negotiation and headers ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("accept, status", [
    ("application/json", 200), ("*/*", 200), ("application/*;q=0.1", 200), ("text/html, application/json;q=0.5", 200),
    ("text/html", 406), ("application/json;q=0, text/html", 406), ("image/*", 406),
])
def test_accept_is_honoured(service, accept, status):
    got, _ = talk(service, get("/v1/api-info", "Accept: " + accept))
    assert answers(got) == [status]


def test_every_answer_carries_the_security_headers(service):
    for target in ("/v1/api-info", "/v1/nothing", "/v1/applicants"):
        answer = requests.get(f"http://127.0.0.1:{service.port}{target}", timeout=10)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers


def test_trace_is_joined(service):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    got, _ = talk(service, get("/v1/nothing", f"traceparent: 00-{trace}-00f067aa0ba902b7-01", "X-Request-Id: other"))
    assert problem(got)["trace_id"] == trace
    assert problem(got)["instance"] == "urn:uuid:4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    assert re.search(rf"\r\ntraceparent: 00-{trace}-[0-9a-f]{{16}}-01\r\n".encode(), got)
    assert b"00f067aa0ba902b7" not in got


@pytest.mark.parametrize("parent", [
    "", "00", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", "\x80" * 55, "x" * 5000,
])
def test_a_bad_trace_begins_a_new_one(service, parent):
    got, _ = talk(service, get("/v1/nothing", "traceparent: " + parent))
    assert answers(got) == [404]
    assert re.fullmatch("[0-9a-f]{32}", problem(got)["trace_id"]) and problem(got)["trace_id"].lower() not in parent.lower()


def test_bytes_that_are_no_utf8_in_a_header_hide_nothing(service):
    sent = b"GET /v1/nothing HTTP/1.1\r\n" + HOST + b"X-A: \xff\xfe\r\nAccept-Language: sv\r\nConnection: close\r\n\r\n"
    assert problem(talk(service, sent)[0])["title"] == "Finns inte"


def test_language_follows_the_caller(service):
    got, _ = talk(service, get("/v1/nothing", "Accept-Language: sv-SE, en;q=0.5"))
    assert b"\r\nContent-Language: sv\r\n" in got and problem(got)["title"] == "Finns inte"
    got, _ = talk(service, get("/v1/nothing"))
    assert b"\r\nContent-Language: en\r\n" in got and problem(got)["title"] == "Not found"


def test_log_names_the_route_and_never_the_path(service):
    talk(service, get("/v1/applicants/00000000-0000-4000-8000-00000000abcd"))
    time.sleep(0.2)
    assert not any("00000000abcd" in line for line in service.lines)
    last = service.log("request")[-1]
    assert {"method", "route", "status", "duration_us", "trace_id", "code"} <= last.keys()


def test_browsers_of_configured_origins_may_read(serving):
    with serving(cors_origins="https://app.utvag.example,https://two.example:8443") as service:
        url = f"http://127.0.0.1:{service.port}/v1/api-info"
        known = requests.get(url, headers={"Origin": "https://app.utvag.example"}, timeout=10)
        assert known.headers["Access-Control-Allow-Origin"] == "https://app.utvag.example"
        assert "Origin" in known.headers["Vary"]
        other = requests.get(url, headers={"Origin": "https://evil.example"}, timeout=10)
        assert "Access-Control-Allow-Origin" not in other.headers
        asked = {"Origin": "https://app.utvag.example", "Access-Control-Request-Method": "GET"}
        preflight = requests.options(url, headers=asked, timeout=10)
        assert preflight.status_code == 204 and "GET" in preflight.headers["Access-Control-Allow-Methods"]
        assert "If-Match" in preflight.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in preflight.headers
        exposed = known.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Link", "Location", "RateLimit", "Retry-After", "traceparent"} <= set(exposed)
        for origin in ("null", "https://app.utvag.example.evil.example", "http://app.utvag.example",
                       "https://app.utvag.example,https://two.example:8443", "HTTPS://APP.UTVAG.EXAMPLE", "*", ""):
            refused = requests.options(url, headers=asked | {"Origin": origin}, timeout=10)
            assert not [name for name in refused.headers if name.lower().startswith("access-control-")], origin
        two = requests.get(url.replace("api-info", "nothing"), headers={"Origin": "https://two.example:8443"}, timeout=10)
        assert two.status_code == 404 and two.headers["Access-Control-Allow-Origin"] == "https://two.example:8443"


# -- time ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def hasty(serving):
    with serving(request_seconds=2, idle_seconds=3) as running:
        yield running


def closes_within(service, first, drip, seconds):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        start = time.monotonic()
        connection.sendall(first)
        connection.settimeout(0.5)
        while time.monotonic() - start < seconds:
            try:
                if connection.recv(65536) == b"":
                    return True
            except TimeoutError:
                pass
            except OSError:
                return True
            try:
                connection.sendall(drip)
            except OSError:
                return True
    return False


@pytest.mark.parametrize("first, drip", [
    (b"", b""),  # says nothing
    (GOOD, b""),  # an answer, and then nothing
    (b"GET /v1/api-info HTTP/1.1\r\n", b"X: a\r\n"),  # headers that never end
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n", b"a"),  # a body that never ends
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n", b"a"),
])
def test_slow_connections_end(hasty, first, drip):
    assert closes_within(hasty, first, drip, 6)


@pytest.mark.parametrize("options, path", [
    ("-H -i 1 -x 20 -t GET", "/v1/oauth/token"),
    ("-B -i 1 -x 20 -s 4000 -t POST", "/v1/oauth/token"),
    ("-X -w 256 -y 512 -n 1 -z 512 -k 4 -t GET", "/v1/openapi.json"),
], ids=["headers", "bodies", "reading"])
def test_a_crowd_of_slow_clients_ends_and_holds_nobody_up(hasty, options, path):
    """slowhttptest, with a hundred connections: headers (slowloris), bodies, or an answer that is read a few bytes a second."""
    crowd = subprocess.Popen(["slowhttptest", *options.split(), "-c", "100", "-r", "100", "-l", "30", "-p", "3",
                              "-u", f"http://127.0.0.1:{hasty.port}{path}"], stdout=subprocess.PIPE, text=True)
    told = threading.Thread(target=lambda: setattr(crowd, "told", crowd.stdout.read()))
    told.start()
    threads = lambda: len(os.listdir(f"/proc/{hasty.process.pid}/task"))
    most, slowest, begun = 0, 0.0, time.monotonic()
    while crowd.poll() is None:
        begin = time.monotonic()
        assert requests.get(f"http://127.0.0.1:{hasty.port}/v1/api-info", timeout=10).status_code == 200
        slowest, most = max(slowest, time.monotonic() - begin), max(most, threads())
        time.sleep(0.1)
    lasted = time.monotonic() - begun
    told.join(10)
    assert slowest < 2, "somebody waited for them"
    assert "Exit status: No open connections left" in re.sub(r"\x1b\[[0-9;]*m", "", crowd.told), crowd.told[-1500:]
    assert most >= 100 and 2 <= lasted < 15, (most, lasted)
    assert threads() < 20, "a connection that was cut still has its thread"


def test_whoever_does_not_read_her_answer_is_cut_off(hasty):
    """Slow reading: the answer must be out within the idle time."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", hasty.port))
        for _ in range(20):  # more than the buffers of both sides hold
            connection.sendall(get("/v1/openapi.json").replace(b"close", b"keep-alive"))
        time.sleep(6)
        connection.settimeout(5)
        with pytest.raises((ConnectionError, EOFError)):
            while connection.recv(65536):
                pass
            raise EOFError
    requests.get(f"http://127.0.0.1:{hasty.port}/v1/api-info", timeout=10)


# -- load and stop -------------------------------------------------------------------------------------------------

def wrong_login(service, answers_):
    body = {"email": "nobody@utvag.example", "password": "not the password of anybody"}
    answers_.append(requests.post(f"http://127.0.0.1:{service.port}/v1/sessions", json=body, timeout=30))


def test_overload_is_503_with_retry_after(serving):
    with serving(in_flight=1, turn_wait_ms=20) as service:
        logins = []
        threads = [threading.Thread(target=wrong_login, args=(service, logins)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in logins if answer.status_code == 503]
        assert refused and all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert refused[0].json()["code"] == "overloaded"


def held(service, count):
    """Connections that have each had an answer, and stay."""
    connections = [socket.create_connection(("127.0.0.1", service.port), timeout=10) for _ in range(count)]
    for connection in connections:
        connection.sendall(GOOD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    return connections


def is_turned_away(service):
    try:
        got, closed = talk(service, GOOD)
        return closed and not got
    except OSError:
        return True


@pytest.mark.parametrize("setting", ["connections_per_address", "connections"])
def test_connections_above_the_limit_are_turned_away(serving, setting):
    with serving(**{setting: 5}) as service:
        connections = held(service, 5)
        assert is_turned_away(service)
        for connection in connections:
            connection.close()
        time.sleep(0.5)
        assert answers(talk(service, get("/v1/api-info"))[0]) == [200]


def test_request_in_flight_ends_when_the_service_stops(serving):
    with serving() as service:
        logins = []
        thread = threading.Thread(target=wrong_login, args=(service, logins))
        thread.start()
        time.sleep(0.15)
        service.process.send_signal(signal.SIGTERM)
        thread.join(30)
        assert logins[0].status_code == 401


def test_metrics_count_by_operation(serving):
    with serving(admin_port=0) as service:
        requests.get(f"http://127.0.0.1:{service.port}/v1/api-info", timeout=10)
        requests.get(f"http://127.0.0.1:{service.port}/v1/nothing", timeout=10)
        admin = f"http://127.0.0.1:{service.log('metrics listening')[0]['port']}"
        text = requests.get(admin + "/metrics", timeout=10).text
        assert 'utvag_requests_total{operation="getApiInfo",status="2xx"} 1' in text
        assert 'utvag_requests_total{operation="none",status="4xx"} 1' in text
        assert "utvag_request_seconds_count 2" in text
        assert requests.get(admin + "/v1/api-info", timeout=10).status_code == 404
        assert requests.get(f"http://127.0.0.1:{service.port}/metrics", timeout=10).status_code == 404
