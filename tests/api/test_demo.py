"""The demo, and what a stolen copy of its database tells: nobody's name."""

import json
import os
import pathlib
import stat
import subprocess

import pytest
import yaml

from cluster import ROOT, binary

DEMO = json.loads((ROOT / "sql/demo.json").read_text())


def members(node, wanted):
    """Every (name, value) of an object anywhere in node whose name is wanted."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in wanted:
                yield from ((name, text) for text in texts(value))
            else:
                yield from members(value, wanted)
    elif isinstance(node, list):
        for value in node:
            yield from members(value, wanted)


def texts(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from texts(value)


def walk(node):
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(value)


def contract_sets():
    """The names that the contract seals somewhere, and every code that it lists."""
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text())["components"]["schemas"]
    sealed, codes = set(), set()
    for node in walk(schemas):
        codes |= {value for value in node.get("enum", []) if isinstance(value, str)} \
            if isinstance(node.get("enum"), list) else set()
        for name, member in (node.get("properties") or {}).items():
            target = member.get("$ref", "").split("/")[-1]
            if "x-sealed" in member or "x-sealed" in schemas.get(target, {}):
                sealed.add(name)
    return sealed, codes


SEALED, CODES = contract_sets()
SECRETS = sorted({text for _, text in members(DEMO, SEALED) if text not in CODES and len(text) > 4 and "${" not in text})


def demo(service, path, **settings):
    environment = service.cluster.environment(service.database) | settings
    return subprocess.run([binary(), "demo", "--write", str(path)], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def dump(service):
    """All that a thief of the database gets, in both of pg_dump's spellings of text."""
    url = service.cluster.url("postgres", service.database)
    tool = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))[-1]
    return subprocess.run([tool, "--inserts", url], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_there_is_something_to_hide():
    assert {"given_name", "email", "phone", "summary", "description", "street_address", "name"} <= SEALED
    assert len(SECRETS) > 60
    assert "Rönnbärsstigen 4" in SECRETS and "Lena Lindqvist" in SECRETS


@pytest.mark.parametrize("text", SECRETS)
def test_stolen_database_names_nobody(dump, text):
    found = dump.casefold()
    assert text.casefold() not in found, "in the open"
    assert text.encode().hex() not in found, "as bytes"


def test_stolen_database_has_no_word_of_a_name(dump):
    words = {word for name, text in members(DEMO, {"given_name", "family_name", "alias"}) for word in text.split()}
    assert not {word for word in words if len(word) > 4 and word in dump}


@pytest.mark.parametrize("key", ["partner", "partner_other", "intake", "case_worker", "case_worker_2", "decision_maker",
                                 "decision_maker_2", "triage", "triage_2", "fund_manager", "project_manager", "auditor",
                                 "admin", "admin_2"])
def test_every_credential_works(service, key):
    caller = service.as_(key)
    caller.ask_token()
    assert caller.headers["Authorization"].startswith("Bearer ")


def test_file_is_its_owner_s_alone(service):
    file = service.cluster.folder / "demo.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["base_url"].endswith("/v1")


def test_cases_are_there_for_those_who_may_see_them(service):
    states = {one["state"] for one in service.as_("case_worker").get("/applications?limit=100").json()["applications"]}
    assert {"draft", "submitted", "under_review", "decided"} <= states
    own = service.as_("partner_other").get("/applications").json()["applications"]
    assert len(own) == 1 and own[0]["state"] == "decided"


def test_second_load_changes_nothing(service, tmp_path):
    file = tmp_path / "demo.json"
    file.write_text((service.cluster.folder / "demo.json").read_text())
    before = service.sql("SELECT count(*), (SELECT count(*) FROM principals) FROM audit_events")
    done = demo(service, file)
    assert done.returncode == 0, done.stderr
    assert service.sql("SELECT count(*), (SELECT count(*) FROM principals) FROM audit_events") == before
    assert json.loads(file.read_text())["credentials"] == service.cluster.credentials()


def test_lost_file_is_written_with_new_secrets(serving, tmp_path):
    with serving() as service:
        file = tmp_path / "demo.json"
        done = demo(service, file)
        assert done.returncode == 0, done.stderr
        fresh = json.loads(file.read_text())["credentials"]
        old = service.cluster.credentials()
        assert fresh.keys() == old.keys()
        assert service.anyone().post("/sessions", json=old["admin"]).status_code == 401
        assert service.anyone().post("/sessions", json=fresh["admin"]).status_code == 200
        token = {"grant_type": "client_credentials"}
        assert service.anyone().post("/oauth/token", json=token | old["partner"]).status_code == 401
        assert service.anyone().post("/oauth/token", json=token | fresh["partner"]).status_code == 200


def test_demo_stays_out_of_a_database_in_use(cluster, tmp_path):
    name = "utvag_in_use_" + os.urandom(4).hex()
    cluster.create(name)
    try:
        environment = cluster.environment(name)
        add = ["user", "add", "--name", "Verklig Person", "--email", "verklig@imt.example", "--role", "admin"]
        for command in (["migrate"], add):
            subprocess.run([binary(), *command], env=environment, check=True, stdout=subprocess.PIPE)
        done = subprocess.run([binary(), "demo", "--write", str(tmp_path / "demo.json")], env=environment, text=True,
                              stderr=subprocess.PIPE)
        assert done.returncode == 1 and "demo stays out" in done.stderr, done.stderr
        assert not (tmp_path / "demo.json").exists()
    finally:
        cluster.drop(name)


def test_demo_database_is_not_served_as_a_real_one(cluster):
    name = cluster.clone()
    try:
        done = subprocess.run([binary(), "serve"], env=cluster.environment(name) | {"UTVAG_DEMO": "0"}, text=True,
                              stderr=subprocess.PIPE, timeout=60)
        assert done.returncode != 0 and "demo" in done.stderr
    finally:
        cluster.drop(name)
