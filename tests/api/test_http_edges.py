"""The edges of HTTP, by raw sockets: one reading of each request, no second answer, nobody holds a thread for ever."""

import json
import re
import signal
import socket
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


@pytest.mark.parametrize("head, body", [
    (b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n" + SECOND),
    (CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n" + SECOND),
    (b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SECOND), SECOND),
    (b"Content-Length: 0\r\ncontent-length: %d\r\n" % len(SECOND), SECOND),
    (b"Content-Length: 0\r\nContent-Length: \xff%d\r\n" % len(SECOND), SECOND),
    (b"Content-Length : %d\r\n" % len(SECOND), SECOND),
    (b"X: a\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SECOND),
    (b"X\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SECOND),
    (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + SECOND),
    (b"X: a\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SECOND),
    (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SECOND),
    (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SECOND),
    (CHUNKED + CHUNKED, b"0\r\n\r\n" + SECOND),
    (b"Host: other.example\r\n", SECOND),
])
def test_ambiguous_request_has_one_answer_at_most(service, head, body):
    got, closed = talk(service, b"GET /v1/api-info HTTP/1.1\r\n" + HOST + head + b"\r\n" + body, wait=12)
    assert closed
    assert len(answers(got)) <= 1
    assert all(status in (400, 501) for status in answers(got))
    assert b"smuggled" not in got


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
    "http://api.utvag.example/v1/api-info", "api.utvag.example:443", "*", "/v1/api-info%00", "/v1%2fapi-info",
    "//v1/api-info", "/v1//api-info", "/v1/./api-info", "/v1/../v1/api-info", "/v1/API-INFO", "/v1/api-info;a=b",
    "/v1/api%2Dinfo", "/v1/api-info?a=%zz", "/v1/api-info?a=%00", "/v1/api-info?a=%c3", "/v1/api-info?a=%f8%88%80%80",
])
def test_bad_target_is_400(service, target):
    got, _ = talk(service, get(target))
    assert answers(got) == [400]
    assert problem(got)["code"] == "target_invalid"


def test_long_target_is_414(service):
    got, _ = talk(service, get("/v1/api-info?" + "a" * 2048))
    assert answers(got) == [414] and problem(got)["code"] == "target_too_long"


def test_unknown_parameter_is_refused_without_its_name(service):
    got, _ = talk(service, get("/v1/api-info?personnummer=191212121212"))
    assert answers(got) == [400] and problem(got)["code"] == "parameter_unknown"
    assert b"personnummer" not in got and b"191212121212" not in got
    assert not any("191212121212" in line or "personnummer" in line for line in service.lines)


# -- methods -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["DELETE", "PUT", "TRACE", "PATCH", "get", "Get", "BREW", "PROPFIND"])
def test_other_methods_are_405_with_allow(service, method):
    got, _ = talk(service, get("/v1/api-info", method=method))
    assert answers(got) == [405]
    assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in got
    assert problem(got)["code"] == "method_not_allowed"


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
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"nocolon\r\n\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /v1/api-info HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nzz\r\n", 400),
    (b"POST /v1/oauth/token HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", 400),
])
def test_what_the_library_refuses_ends_the_connection(service, sent, status):
    got, closed = talk(service, sent, wait=12)
    assert closed
    assert set(answers(got)) <= {status}
    assert b"{" not in got


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
    with serving(cors_origins="https://app.utvag.example") as service:
        url = f"http://127.0.0.1:{service.port}/v1/api-info"
        known = requests.get(url, headers={"Origin": "https://app.utvag.example"}, timeout=10)
        assert known.headers["Access-Control-Allow-Origin"] == "https://app.utvag.example"
        assert "Origin" in known.headers["Vary"]
        other = requests.get(url, headers={"Origin": "https://evil.example"}, timeout=10)
        assert "Access-Control-Allow-Origin" not in other.headers
        asked = {"Origin": "https://app.utvag.example", "Access-Control-Request-Method": "GET"}
        preflight = requests.options(url, headers=asked, timeout=10)
        assert preflight.status_code == 204 and "GET" in preflight.headers["Access-Control-Allow-Methods"]


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


# -- load and stop -------------------------------------------------------------------------------------------------

def wrong_login(service, answers_):
    body = {"email": "nobody@utvag.example", "password": "not the password of anybody"}
    answers_.append(requests.post(f"http://127.0.0.1:{service.port}/v1/sessions", json=body, timeout=30))


def test_overload_is_503_with_retry_after(serving):
    with serving(in_flight=1) as service:
        logins, seen = [], []
        thread = threading.Thread(target=wrong_login, args=(service, logins))
        thread.start()
        while thread.is_alive():
            seen.append(requests.get(f"http://127.0.0.1:{service.port}/v1/api-info", timeout=10))
        refused = [answer for answer in seen if answer.status_code == 503]
        assert refused and all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert refused[0].json()["code"] == "overloaded"


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
