"""What standards place at the root of the host, beside /v1."""

import datetime

import requests


def at(service, path, **options):
    return requests.get(f"http://127.0.0.1:{service.port}{path}", timeout=10, **options)


def test_security_text_says_whom_to_tell(service):
    """RFC 9116"""
    answer = at(service, "/.well-known/security.txt")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert lines["Contact"].startswith("mailto:")
    assert lines["Canonical"] == f"http://127.0.0.1:{service.port}/.well-known/security.txt"
    assert lines["Preferred-Languages"] == "sv, en"
    left = datetime.datetime.fromisoformat(lines["Expires"].replace("Z", "+00:00")) - datetime.datetime.now(datetime.UTC)
    assert 170 < left.days < 365, "less than a year ahead"


def test_api_catalogue_leads_to_the_contract(service):
    """RFC 9727"""
    answer = at(service, "/.well-known/api-catalog")
    assert answer.headers["Content-Type"].startswith("application/linkset+json;")
    (only,) = answer.json()["linkset"]
    assert requests.get(only["anchor"], timeout=10).status_code == 200
    for rel in ("service-desc", "service-meta", "status"):
        for link in only[rel]:
            answer = requests.get(link["href"], timeout=10)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, link["type"])
    assert any(link["href"].endswith("/.well-known/oauth-authorization-server") for link in only["service-meta"])


def test_it_stands_nowhere_else(service):
    assert at(service, "/v1/.well-known/security.txt").status_code == 404
    assert at(service, "/security.txt").status_code == 404
    answer = requests.post(f"http://127.0.0.1:{service.port}/.well-known/security.txt", timeout=10)
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
