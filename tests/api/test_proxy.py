"""The proxy's configuration in README, as it stands there: what the service's HTTP library refuses without JSON is a
problem here, and the service sees who calls."""

import base64
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.parse

import pytest
import requests

import jwts
from accounts import keyed_machine
from certificates import Authority, thumbprint
from test_http_edges import CHUNKED, HOST, answers, get

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- proxy -->\n```nginx\n(.*?)```", re.DOTALL)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Proxy:
    """nginx before a service; speaks as tests/service.py does."""

    def __init__(self, service, folder):
        self.service, self.folder, self.port = service, folder, free_port()
        self.authority = Authority(folder, "authority")
        certificate, key = self.authority.issue("proxy")
        self.clients = Authority(folder, "clients")
        own = {
            "listen 443 ssl http2": f"listen 127.0.0.1:{self.port} ssl http2",
            "server 127.0.0.1:8080": f"server 127.0.0.1:{service.port}",
            "/etc/utvag/tls.pem": str(certificate),
            "/etc/utvag/tls.key": str(key),
            "/etc/utvag/clients.pem": str(self.clients.certificate),
            "/var/log/nginx/utvag.log": str(folder / "access.log"),
            "http {": "http {\n" + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                                           ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        }
        (text,) = BLOCK.findall((ROOT / "README.md").read_text())
        for shipped, here in own.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        (folder / "nginx.conf").write_text(text)
        for above in (folder, *folder.parents):
            if above.owner() == pathlib.Path("/tmp").owner() and not above.stat().st_mode & 0o001 and os.getuid() == 0:
                above.chmod(above.stat().st_mode | 0o011)  # nginx's workers are not root
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.process = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr", "-g",
                                         f"daemon off; pid {folder}/nginx.pid;"], stderr=subprocess.PIPE, text=True)

    def wait(self):
        for _ in range(100):
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError("nginx did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def get(self, path, **options):
        return requests.get(f"https://127.0.0.1:{self.port}{path}", verify=str(self.authority.certificate), timeout=10,
                            **options)

    def talk(self, sent, wait=5.0):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                connection.sendall(sent)
                connection.settimeout(wait)
                got = b""
                try:
                    while more := connection.recv(65536):
                        got += more
                except (TimeoutError, ConnectionResetError):
                    pass
                return got


@pytest.fixture(scope="module")
def service(serving):
    with serving(proxies="127.0.0.1", rate_per_minute=5, base_url="https://api.example.se") as running:
        yield running


@pytest.fixture(scope="module")
def proxy(service, tmp_path_factory):
    running = Proxy(service, tmp_path_factory.mktemp("proxy"))
    try:
        yield running.wait()
    finally:
        running.stop()


def problem(got):
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, got
    value = json.loads(body)
    assert {"type", "title", "status", "detail", "instance", "code", "trace_id"} <= value.keys()
    assert answers(head) == [value["status"]] and value["type"].endswith(value["code"])
    assert value["instance"].removeprefix("urn:uuid:").replace("-", "") == value["trace_id"]
    return value


POST = b"POST /v1/oauth/token HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST


@pytest.mark.parametrize("sent, status", [
    (b"GET\r\n\r\n", 400),
    (b"garbage\r\n\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n", 400),
    (b"GET /v1/api-info\0x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"X Y: a\r\n\r\n", 400),
    (b"GET /v1/api-info HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 10000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /v1/api-info HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    (POST + CHUNKED + b"\r\nzz\r\n", 400),
    (POST + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n", 400),
    (POST + b"Content-Length: x\r\n\r\n", 400),
    (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    (POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (POST + b"Content-Length: 1048577\r\n\r\n", 413),
    (b"TRACE /v1/api-info HTTP/1.1\r\n" + HOST + b"\r\n", 405),
])
def test_what_the_library_cannot_say_is_a_problem_here(proxy, sent, status):
    got = proxy.talk(sent + get("/v1/smuggled"))
    assert problem(got)["status"] == status
    assert b"no-store" in got and b"smuggled" not in got


def test_the_services_own_answers_pass_unchanged(proxy, service):
    answer = proxy.get("/v1/nothing", headers={"Accept-Language": "sv"})
    assert answer.status_code == 404 and answer.json()["title"] == "Finns inte"
    assert answer.headers["Strict-Transport-Security"]
    for path in ("/v1//api-info", "/v1/%2e%2e/api-info", "/v1/api-info%00", "/problem/400", "//v1/api-info"):
        answer = proxy.talk(get(path))
        assert answers(answer) in ([400], [404]), path
        assert problem(answer)["code"] in ("target_invalid", "not_found", "bad_request"), path


def test_links_are_those_of_the_base_url(proxy):
    assert proxy.get("/v1").json()["_links"]["self"]["href"] == "https://api.example.se/v1"


def test_the_service_sees_who_calls_and_not_what_she_says(proxy):
    answers_ = [proxy.get("/v1/api-info", headers={"X-Forwarded-For": f"192.0.2.{i}"}) for i in range(10)]
    assert answers_[-1].status_code == 429 and answers_[-1].json()["code"] == "rate_limited"


@pytest.fixture(scope="module")
def certified(serving, tmp_path_factory):
    """(proxy, two certificates of clients, a token that is bound to the first)."""
    with serving(proxies="127.0.0.1", base_url="https://api.example.se") as running:
        proxy = Proxy(running, tmp_path_factory.mktemp("certified"))
        try:
            proxy.wait()
            shown = [tuple(map(str, proxy.clients.issue(name))) for name in ("system", "other-system")]
            system = keyed_machine(running, ["case_worker"])[1]
            body = {"grant_type": "client_credentials", "client_assertion_type": jwts.ASSERTION_TYPE, "certificate_bound": True,
                    "client_assertion": system.key.sign(jwts.assertion_claims(system.id))}
            answer = requests.post(f"https://127.0.0.1:{proxy.port}/v1/oauth/token", json=body, cert=shown[0],
                                   verify=str(proxy.authority.certificate), timeout=10)
            assert answer.status_code == 200, answer.text
            yield proxy, shown, {"Authorization": "Bearer " + answer.json()["access_token"]}
        finally:
            proxy.stop()


def test_a_token_is_bound_to_the_certificate_that_the_proxy_saw(certified):
    proxy, shown, bearer = certified
    claims = jwts.claims_of(bearer["Authorization"].removeprefix("Bearer "))
    assert claims["cnf"] == {"x5t#S256": thumbprint(shown[0][0])}
    assert proxy.get("/.well-known/oauth-authorization-server").json()["tls_client_certificate_bound_access_tokens"] is True
    assert proxy.get("/v1/children", headers=bearer, cert=shown[0]).status_code == 200
    for other in (shown[1], None):
        answer = proxy.get("/v1/children", headers=bearer, cert=other)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_what_a_client_says_of_its_certificate_goes(certified, serving):
    """Through the proxy, which puts its own in its place; and past it, where nobody is believed."""
    proxy, shown, bearer = certified
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(pathlib.Path(shown[0][0]).read_text())).decode()
    pem = urllib.parse.quote(pathlib.Path(shown[0][0]).read_text(), safe="")
    for said in (f":{der}:", pem):
        for cert in (None, shown[1]):
            answer = proxy.get("/v1/children", headers=bearer | {"Client-Cert": said}, cert=cert)
            assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    near = {"headers": bearer | {"Client-Cert": f":{der}:"}, "timeout": 10}
    assert requests.get(proxy.service.url + "/children", **near).status_code == 200, "from the proxy's own address"
    with serving(proxies="192.0.2.77") as other:
        assert requests.get(other.url + "/children", **near).status_code == 401


def test_a_stranger_among_certificates_is_400(certified):
    proxy, _, bearer = certified
    stranger = tuple(map(str, proxy.authority.issue("stranger")))
    answer = proxy.get("/v1/api-info", cert=stranger)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_no_address_of_a_record_is_logged(proxy):
    proxy.get("/v1/applicants/00000000-0000-4000-8000-00000000abcd")
    time.sleep(0.2)
    text = (proxy.folder / "access.log").read_text()
    assert '"status":404' in text or '"status":401' in text
    assert '"status":400' in text and '"status":413' in text
    assert "0000abcd" not in text and all(json.loads(line)["trace_id"] for line in text.splitlines())


def test_without_the_service_it_is_503_with_retry_after(serving, tmp_path_factory):
    with serving() as alone:
        proxy = Proxy(alone, tmp_path_factory.mktemp("alone"))
    try:
        answer = proxy.wait().get("/v1/api-info")
        assert answer.status_code == 503 and answer.json()["code"] == "away" and answer.headers["Retry-After"] == "1"
    finally:
        proxy.stop()
