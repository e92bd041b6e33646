"""TLS that the service ends itself: 1.2 or later, and with an authority for clients, nobody but its clients."""

import contextlib
import socket
import ssl
import time
import warnings

import pytest
import requests

from certificates import Authority


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(scope="module")
def plain(serving, ours):
    certificate, key = ours.issue("server")
    with serving(tls_certificate=certificate, tls_key=key, request_seconds=2, idle_seconds=3) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(serving, ours):
    certificate, key = ours.issue("mutual-server")
    with serving(tls_certificate=certificate, tls_key=key, tls_client_ca=ours.certificate) as running:
        yield running


def get(service, ours, path="/v1/api-info", **options):
    return requests.get(f"https://127.0.0.1:{service.port}{path}", verify=str(ours.certificate), timeout=10, **options)


def shakes_hands(service, version, ciphers="ALL"):
    """Whether the service agrees on this version with a client that knows no other, and that takes these ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as raw:
        try:
            with context.wrap_socket(raw) as connection:
                return bool(connection.cipher())
        except (ssl.SSLError, ConnectionError):
            return False


def test_answers_come_over_tls_and_say_so(plain, ours):
    answer = get(plain, ours, "/v1")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert answer.json()["_links"]["self"]["href"] == f"https://127.0.0.1:{plain.port}/v1"


@pytest.mark.parametrize("version, taken", [
    (ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1, False),
])
def test_versions_before_1_2_are_refused(plain, version, taken):
    assert shakes_hands(plain, version) is taken


@pytest.mark.parametrize("cipher, taken", [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", True), ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
    ("AES256-GCM-SHA384", False), ("AES128-SHA", False), ("ECDHE-ECDSA-AES128-SHA", False),
    ("ECDHE-ECDSA-AES256-SHA384", False), ("ECDHE-ECDSA-NULL-SHA", False), ("AECDH-AES128-SHA", False),
])
def test_ciphers_without_secrecy_or_integrity_are_refused(plain, cipher, taken):
    assert shakes_hands(plain, ssl.TLSVersion.TLSv1_2, cipher) is taken


def served(service):
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", service.port)).replace("\n", "")


def test_a_renewed_certificate_is_served_without_a_restart(serving, ours, tmp_path):
    """The files are replaced one after the other, as certbot does; meanwhile, and where they are no pair, the old one serves."""
    pem, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    pairs = [[path.read_text() for path in ours.issue(name)] for name in ("first", "second")]
    pem.write_text(pairs[0][0])
    key.write_text(pairs[0][1])
    with serving(tls_certificate=pem, tls_key=key) as service, requests.Session() as open_before:
        service.expected |= {"the certificate and the key are not a pair", "cannot read a PEM file"}
        url = f"https://127.0.0.1:{service.port}/v1/api-info"
        assert open_before.get(url, verify=str(ours.certificate), timeout=10).status_code == 200
        first, second = (text.replace("\n", "") for text, _ in pairs)
        assert served(service) == first
        pem.write_text(pairs[1][0])
        assert served(service) == first
        key.write_text(pairs[1][1])
        assert served(service) == second
        assert open_before.get(url, verify=str(ours.certificate), timeout=10).status_code == 200
        for broken in ("", "garbage", pairs[1][0][:300]):
            pem.write_text(broken)
            assert served(service) == second
        pem.unlink()
        assert served(service) == second
        assert [line["level"] for line in service.log("a renewed certificate is served")] == ["info"]


def test_a_key_of_another_certificate_stops_the_start(serving, ours):
    certificate, _ = ours.issue("one")
    _, key = ours.issue("other")
    with pytest.raises(AssertionError, match="not a pair"):
        with serving(tls_certificate=certificate, tls_key=key):
            pass


def test_plain_http_gets_no_answer(plain):
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as connection:
        connection.sendall(b"GET /v1/api-info HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP/1" not in connection.recv(1000)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_does_not_go_on_ends(plain, sent):
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as connection:
        connection.sendall(sent)
        with contextlib.suppress(OSError):
            while connection.recv(1000):
                pass
    assert time.monotonic() - begin < 6


def test_a_client_of_ours_is_served(mutual, ours):
    answer = get(mutual, ours, cert=ours.issue("client"))
    assert answer.status_code == 200


def test_who_shows_no_certificate_is_refused_and_cut_off(mutual, ours):
    answer = get(mutual, ours)
    assert answer.status_code == 401 and answer.json()["code"] == "client_certificate_required"
    assert answer.headers["Connection"].lower() == "close"
    assert get(mutual, ours, "/v1/nothing").status_code == 401, "before anything else"


def test_a_stranger_is_refused(mutual, ours, theirs):
    for path in ("/v1/api-info", "/v1/health/live", "/v1/applicants"):
        assert get(mutual, ours, path, cert=theirs.issue("client")).status_code == 401


def test_a_namesake_of_our_authority_is_a_stranger(mutual, ours, tmp_path):
    assert get(mutual, ours, cert=Authority(tmp_path, "ours").issue("client")).status_code == 401


def test_an_expired_certificate_is_refused(mutual, ours):
    certificate, key = ours.issue("late", days=-1)
    context = ssl.create_default_context(cafile=ours.certificate)
    context.load_cert_chain(certificate, key)
    with socket.create_connection(("127.0.0.1", mutual.port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(b"GET /v1/api-info HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 401 " in connection.recv(1000)
