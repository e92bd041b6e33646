"""What stands around an answer: conditions, caches, compression, and the headers that everything carries."""

import gzip
import socket

import pytest
import requests


def ask(service, path, **headers):
    """requests asks for gzip by itself; this asks for what is said only, and leaves the bytes as they came."""
    headers = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
    with requests.get(service.url + path, headers=headers, timeout=10, stream=True) as answer:
        answer.bytes = answer.raw.read(decode_content=False)
        return answer


@pytest.fixture(scope="module")
def applicant(service):
    answer = service.as_("case_worker").post("/applicants", json={"alias": "Gullviva", "protection": "none"})
    assert answer.status_code == 201, answer.text
    return answer


def read(service, applicant, **headers):
    return service.as_("case_worker").get("/applicants/" + applicant.json()["id"],
                                          headers={name.replace("_", "-"): value for name, value in headers.items()})


# -- conditions ----------------------------------------------------------------------------------------------------

def test_what_the_caller_holds_is_not_sent_again(service, applicant):
    whole = read(service, applicant)
    tag = whole.headers["ETag"]
    for held in (tag, "W/" + tag, f'"0.00000000", {tag}', "*"):
        answer = read(service, applicant, If_None_Match=held)
        assert answer.status_code == 304 and answer.content == b"" and answer.headers["ETag"] == tag
        assert answer.headers["Cache-Control"] == "no-store" and "Content-Type" not in answer.headers
    for other in ('"0.00000000"', tag.strip('"'), "garbage", tag[:-1]):
        assert read(service, applicant, If_None_Match=other).status_code == 200


def exchange(service, *lines):
    """The answer to a request on a connection of its own, to its last byte."""
    head = ("GET /v1/openapi.json HTTP/1.1", f"Host: 127.0.0.1:{service.port}", "Connection: close", *lines, "", "")
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall("\r\n".join(head).encode())
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    status, *headers = got.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return status.split()[1], dict(header.split(": ", 1) for header in headers), got.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_what_is_not_sent_has_the_tag_and_length_of_what_would_have_been(service, accepted):
    """RFC 9110, 15.4.5 and 8.6."""
    _, whole, body = exchange(service, "Accept-Encoding: " + accepted)
    status, headers, rest = exchange(service, "Accept-Encoding: " + accepted, "If-None-Match: " + whole["ETag"])
    assert (status, rest) == ("304", b"") and whole["ETag"].endswith('-gzip"') == (accepted == "gzip")
    assert headers["ETag"] == whole["ETag"] and int(headers["Content-Length"]) == len(body)
    assert "Content-Encoding" not in headers and "Content-Type" not in headers


def test_after_what_is_not_sent_the_connection_goes_on(service):
    with requests.Session() as session:
        tag = session.get(service.url + "/openapi.json", timeout=10).headers["ETag"]
        for _ in range(3):
            assert session.get(service.url + "/openapi.json", headers={"If-None-Match": tag}, timeout=10).status_code == 304
            assert session.get(service.url + "/health/live", timeout=10).status_code == 200


def test_lines_of_tags_are_one_list(service):
    """RFC 9110, 5.3."""
    _, whole, _ = exchange(service)
    assert exchange(service, 'If-None-Match: "0"', "if-none-match: " + whole["ETag"])[0] == "304"
    assert exchange(service, 'If-None-Match: "0"', 'If-None-Match: "1"')[0] == "200"


def test_a_reading_that_is_not_sent_is_logged_all_the_same(service, applicant):
    answer = read(service, applicant, If_None_Match="*")
    trace = answer.headers["traceparent"].split("-")[1]
    assert service.sql("SELECT operation FROM audit_events WHERE trace_id = %s", trace) == [("readApplicant",)]


def test_a_change_needs_the_version_that_was_read(service, applicant):
    def change(**headers):
        return service.as_("case_worker").patch("/applicants/" + applicant.json()["id"], json={"alias": "Gullviva"},
                                                headers={name.replace("_", "-"): value for name, value in headers.items()})

    missing = change()
    assert missing.status_code == 428 and missing.json()["code"] == "if_match_required"
    stale = change(If_Match='"99.00000000"')
    assert stale.status_code == 412 and stale.json()["code"] == "version_stale"
    for bad in ("*", "1", '"x"', '"1", "2"', '"0.1"', '"-1"', '"1.zz"', '"99999999999999999999"'):
        assert change(If_Match=bad).status_code == 400, bad
    tag = read(service, applicant).headers["ETag"]
    first = change(If_Match=tag)
    assert first.status_code == 200 and first.headers["ETag"] != tag
    assert change(If_Match=tag).status_code == 412
    assert change(If_Match=first.headers["ETag"].replace('"', '"', 1)).status_code == 200


def test_media_types_of_a_patch_are_told(service, applicant):
    answer = service.as_("case_worker").patch("/applicants/" + applicant.json()["id"], data="<a/>",
                                              headers={"Content-Type": "application/xml", "If-Match": '"1"'})
    assert answer.status_code == 415
    assert {"application/merge-patch+json", "application/json"} <= set(answer.headers["Accept-Patch"].split(", "))


def test_faults_of_a_body_are_422_and_told_all_at_once(service):
    body = {"birth_date": "2026-02-30", "phone": 7, "protection": "perhaps"}
    answer = service.as_("case_worker").post("/applicants", json=body)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/birth_date", "/phone", "/protection"}
    assert "2026-02-30" not in answer.text and "perhaps" not in answer.text


# -- compression ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("accepted", ["gzip", "gzip;q=0.1", "deflate, gzip", "*", "br;q=1, GZIP"])
def test_long_answers_are_compressed_for_whoever_takes_it(service, accepted):
    plain, packed = ask(service, "/openapi.json"), ask(service, "/openapi.json", Accept_Encoding=accepted)
    assert packed.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.bytes) < len(plain.bytes) / 3
    assert gzip.decompress(packed.bytes) == plain.bytes
    assert packed.headers["ETag"] != plain.headers["ETag"], "a tag names bytes"


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br", "*;q=0", "xgzip", ""])
def test_others_get_it_plain(service, accepted):
    answer = ask(service, "/openapi.json", Accept_Encoding=accepted)
    assert "Content-Encoding" not in answer.headers and answer.bytes.startswith(b"{")


def test_short_answers_stay_as_they_are(service):
    answer = ask(service, "/api-info", Accept_Encoding="gzip")
    assert len(answer.bytes) < 1024 and "Content-Encoding" not in answer.headers


def test_a_tag_is_known_of_the_form_that_it_names(service):
    """Whoever holds the one form, and asks for the other, holds none of its bytes."""
    for accepted in ("gzip", "identity"):
        tag = ask(service, "/openapi.yaml", Accept_Encoding=accepted).headers["ETag"]
        for other in ("gzip", "identity"):
            status = ask(service, "/openapi.yaml", Accept_Encoding=other, If_None_Match=tag).status_code
            assert status == (304 if other == accepted else 200)


def test_head_has_the_headers_of_the_compressed_answer(service):
    packed = ask(service, "/openapi.json", Accept_Encoding="gzip")
    head = requests.head(service.url + "/openapi.json", headers={"Accept-Encoding": "gzip"}, timeout=10)
    for name in ("Content-Encoding", "Content-Length", "ETag", "Content-Type"):
        assert head.headers[name] == packed.headers[name]
    assert head.content == b""


def test_tokens_are_never_compressed(service):
    """BREACH: what holds a secret and what an attacker chose must not share a window."""
    answer = requests.post(service.url + "/oauth/token", headers={"Accept-Encoding": "gzip"}, timeout=10,
                           json={"grant_type": "client_credentials"} | service.cluster.credentials()["partner"])
    assert answer.status_code == 200 and "Content-Encoding" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


# -- caches --------------------------------------------------------------------------------------------------------

def test_only_what_concerns_nobody_is_kept(service, applicant):
    assert ask(service, "/openapi.yaml").headers["Cache-Control"] == "public, max-age=60"
    assert read(service, applicant).headers["Cache-Control"] == "no-store"
    assert applicant.headers["Cache-Control"] == "no-store"
    worker = service.as_("case_worker")
    for path in ("/applicants", "/applicants/00000000-0000-4000-8000-00000000abcd", "/applications", "/nothing"):
        assert worker.get(path).headers["Cache-Control"] == "no-store", path


# -- every answer --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, status", [("/api-info", 200), ("/nothing", 404), ("/applicants", 401),
                                          ("/api-info?a=b", 400), ("/applicants/%00", 400)])
def test_every_answer_is_traced_and_closed_to_browsers(service, path, status):
    answer = ask(service, path)
    assert answer.status_code == status
    assert answer.headers["traceparent"].startswith("00-")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Date"]
    if status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_token_that_nobody_looked_at_is_not_called_invalid(service):
    body = {"grant_type": "client_credentials", "client_id": "00000000-0000-4000-8000-000000000000", "client_secret": "x" * 40}
    answer = service.anyone().post("/oauth/token", json=body, headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401 and "invalid_token" not in answer.headers["WWW-Authenticate"]
    assert "invalid_token" in service.anyone().get("/codes", headers={"Authorization": "Bearer a.b.c"}).headers["WWW-Authenticate"]
