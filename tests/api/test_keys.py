"""Keys that change while everything runs: nobody who has a good token or a sealed record notices."""

import base64
import contextlib
import itertools
import json
import pathlib
import shutil
import subprocess
import threading
import time

import pytest
import requests

import jwts
import people
from accounts import keyed_machine
from certificates import Authority
from cluster import ROOT, binary
from service import Client, Service

LOOK = 2  # seconds within which a process has looked into the folder


def copy_keys(cluster, folder):
    """A key ring of our own, that opens what the demo sealed: other suites rely on theirs."""
    return shutil.copytree(cluster.folder / "keys", folder / "keys", copy_function=shutil.copy2)


@pytest.fixture
def service(serving, cluster, tmp_path):
    with serving(keys=copy_keys(cluster, tmp_path)) as running:
        yield running


def folder(service):
    return pathlib.Path(service.settings["UTVAG_KEYS"])


def environment(service):
    return service.cluster.environment(service.database) | service.settings


def utvag(service, *command, status=0):
    done = subprocess.run([binary(), *command], env=environment(service), capture_output=True, text=True, timeout=120)
    assert done.returncode == status, (command, done.returncode, done.stdout, done.stderr)
    return done


def rotate(service):
    return utvag(service, "key", "rotate").stdout


@contextlib.contextmanager
def beside(service, **settings):
    """A second process on the same database."""
    other = Service(service.cluster, service.database, **{"keys": folder(service)} | settings).start()
    try:
        yield other
    finally:
        other.stop()


def client(service, role="partner"):
    """With a token of its own, which no other suite sees."""
    made = Client(service, service.cluster.credentials()[role], officer="handl-1")
    made.shared = False
    made.ask_token()
    return made


def well_known(service, name):
    return requests.get(f"http://127.0.0.1:{service.port}/.well-known/{name}", timeout=10)


def kids(service):
    return [key["kid"] for key in well_known(service, "jwks.json").json()["keys"]]


def kid_of(token):
    header = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


def token_of(caller):
    return caller.headers["Authorization"].removeprefix("Bearer ")


def versions(service):
    """How many data keys each key-encryption key wraps."""
    return dict(service.sql("SELECT get_byte(wrapped, 0) * 256 + get_byte(wrapped, 1), count(*) FROM vault.data_keys GROUP BY 1"))


def within(seconds, holds):
    until = time.monotonic() + seconds
    while not (result := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return result


# -- what is public --------------------------------------------------------------------------------------------------


def test_key_set_holds_public_keys_only(service):
    """RFC 7517; and libraries ask for plain JSON"""
    answer = well_known(service, "jwks.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert kid_of(token_of(client(service))) == keys[0]["kid"]


def test_key_set_has_current_and_next_before_and_after(service):
    before = kids(service)
    rotate(service)
    after = kids(service)
    assert after[0] == before[1], "what was announced signs now"
    assert after[1] not in before, "and the next one is announced"
    assert after[2:] == [before[0]], "tokens of the last one still verify"
    rotate(service)
    assert kids(service)[0] == after[1] and before[0] not in kids(service)


def test_metadata_leads_to_where_tokens_are(serving):
    """RFC 8414"""
    with serving(issuer="") as service:
        base = f"http://127.0.0.1:{service.port}"
        metadata = well_known(service, "oauth-authorization-server").json()
        assert metadata["issuer"] == base
        assert metadata["token_endpoint"] == base + "/v1/oauth/token"
        assert metadata["revocation_endpoint"] == base + "/v1/oauth/revoke"
        assert requests.get(metadata["jwks_uri"], timeout=10).json()["keys"]
        assert requests.get(metadata["service_documentation"], timeout=10).status_code == 200
        assert metadata["tls_client_certificate_bound_access_tokens"] is False
        assert metadata["response_types_supported"] == []
        assert set(metadata["scopes_supported"]) >= {"partner", "case_worker", "auditor"}
        answer = requests.post(metadata["token_endpoint"], timeout=30, data={
            "grant_type": "client_credentials"} | service.cluster.credentials()["partner"])
        assert set(answer.json()["scope"].split()) <= set(metadata["scopes_supported"])


@pytest.mark.parametrize("secrets, methods", [(1, ["private_key_jwt", "none", "client_secret_post"]), (0, ["private_key_jwt", "none"])])
def test_metadata_offers_secrets_only_where_they_are_taken(serving, secrets, methods):
    with serving(client_secrets=secrets) as service:
        assert well_known(service, "oauth-authorization-server").json()["token_endpoint_auth_methods_supported"] == methods


def test_metadata_says_that_tokens_are_bound_to_certificates(serving, tmp_path):
    """RFC 8705, 3.3"""
    ours = Authority(tmp_path, "ours")
    certificate, key = ours.issue("server")
    with serving(tls_certificate=certificate, tls_key=key, tls_client_ca=ours.certificate) as service:
        answer = requests.get(f"https://127.0.0.1:{service.port}/.well-known/oauth-authorization-server",
                              verify=str(ours.certificate), cert=tuple(map(str, ours.issue("client"))), timeout=10)
        assert answer.json()["tls_client_certificate_bound_access_tokens"] is True


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_token_outlives_one_rotation_and_not_two(service):
    """Three keys verify: the one that signs, the one that will, and the one that did until the last rotation."""
    first = client(service)
    assert first.get("/children").status_code == 200
    rotate(service)
    assert first.get("/children").status_code == 200
    second = client(service)
    assert kid_of(token_of(second)) != kid_of(token_of(first))
    rotate(service)
    answer = first.get("/children")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), "though it was remembered"
    assert second.get("/children").status_code == 200


def test_running_process_signs_with_the_new_key_by_itself(service):
    following = kids(service)[1]
    subprocess.run([binary(), "key", "rotate"], env=environment(service), check=True, capture_output=True, timeout=60)
    assert within(LOOK, lambda: kids(service)[0] == following)
    assert kid_of(token_of(client(service))) == following
    assert service.log("keys_changed")


def test_folder_that_cannot_be_read_changes_nothing(service):
    service.expects_error("keys_unreadable")
    caller = client(service)
    before = kids(service)
    folder(service).chmod(0o755)
    assert within(LOOK, lambda: service.log("keys_unreadable"))
    time.sleep(LOOK)
    (line,) = service.log("keys_unreadable")
    assert "group or others" in line["reason"]
    assert kids(service) == before and caller.get("/children").status_code == 200
    folder(service).chmod(0o700)
    assert within(LOOK, lambda: service.log("keys_readable"))


# -- data keys ---------------------------------------------------------------------------------------------------------


def test_rotation_wraps_every_data_key_anew(service):
    (old,) = versions(service)
    count = versions(service)[old]
    assert f"re-wrapped: {count} data keys, under kek-{old + 1}\nunder older keys: 0\n" == rotate(service)
    assert versions(service) == {old + 1: count}
    assert service.sql("SELECT count(*) FROM audit_events WHERE operation = 'cli.key_rotate' AND address = 'cli'") == [(1,)]
    assert (folder(service) / f"kek-{old}").exists(), "backups still need it"


def test_process_from_before_opens_what_is_wrapped_after(service):
    caller = client(service)
    kept = people.child(caller, alias="Innan")
    with beside(service) as late:
        rotate(service)
        made = people.child(caller, alias="Efter")
        assert max(versions(service)) == 2
        reader = client(late)
        for record, alias in ((kept, "Innan"), (made, "Efter")):
            assert reader.get("/children/" + record["id"]).json()["alias"] == alias


def test_hosts_whose_copies_differ_by_a_rotation_understand_each_other(service, tmp_path):
    """The next keys are in every copy of the folder before they are used."""
    late_keys = shutil.copytree(folder(service), tmp_path / "late", copy_function=shutil.copy2)
    with beside(service, keys=late_keys) as late:
        old_token = client(late)
        rotate(service)
        made = people.child(client(service), alias="Efter")
        reader = Client(late)
        reader.headers.update(client(service).headers)
        assert reader.get("/children/" + made["id"]).json()["alias"] == "Efter"
        writer = Client(service)
        writer.headers.update(old_token.headers)
        assert writer.get("/children/" + people.child(old_token, alias="Sen")["id"]).json()["alias"] == "Sen"


def test_rewrapping_goes_on_where_a_rotation_was_cut_short(service):
    (old,) = versions(service)
    before = (folder(service) / "kek-current").read_text()
    cut = subprocess.Popen([binary(), "key", "rotate"], env=environment(service), stdout=subprocess.DEVNULL)
    assert within(10, lambda: (folder(service) / "kek-current").read_text() != before)
    cut.kill()
    cut.wait(10)
    assert versions(service).keys() == {old}
    for _ in range(2):
        assert "under older keys: 0" in utvag(service, "key", "rewrap").stdout
        assert versions(service).keys() == {old + 1}, "and no further key was made"


def test_rewrapping_waits_for_nobody(service):
    """A row that somebody is writing is left to a second run."""
    with service.connect() as writer:
        writer.execute("BEGIN")
        writer.execute("SELECT FROM vault.data_keys ORDER BY record_id LIMIT 1 FOR UPDATE")
        done = utvag(service, "key", "rotate", status=1)
        assert "under older keys: 1\n" in done.stdout and "key rewrap goes on" in done.stderr
        writer.execute("ROLLBACK")
    assert "re-wrapped: 1 data keys" in utvag(service, "key", "rewrap").stdout


def test_altered_data_key_is_counted_and_left_alone(service):
    (old,) = versions(service)
    service.sql("UPDATE vault.data_keys SET wrapped = set_byte(wrapped, 20, (get_byte(wrapped, 20) + 1) % 256) "
                "WHERE record_id = (SELECT min(record_id::text)::uuid FROM vault.data_keys)")
    done = utvag(service, "key", "rotate", status=1)
    assert "1 data keys do not open" in done.stderr
    assert versions(service)[old] == 1, "all others are done"


def test_no_key_comes_into_use_without_the_database(service):
    before = sorted(path.name for path in folder(service).iterdir())
    service.settings["UTVAG_OWNER_DATABASE_URL"] = "host=/nonexistent dbname=none"
    assert "cannot be reached" in utvag(service, "key", "rotate", status=1).stderr
    assert sorted(path.name for path in folder(service).iterdir()) == before


# -- under load --------------------------------------------------------------------------------------------------------


class Load:
    """Threads that each repeat a task until the end, and what went wrong."""

    def __init__(self):
        self.stop = threading.Event()
        self.failures = []
        self.rounds = itertools.count()
        self.threads = []

    def add(self, task):
        def work():
            while not self.stop.is_set():
                try:
                    task()
                    next(self.rounds)
                except Exception as failure:  # any: it is what the test is about
                    self.failures.append(repr(failure))

        self.threads.append(threading.Thread(target=work))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


def test_nothing_fails_while_keys_are_rotated_under_load(service):
    """Own tokens, those of another process, reads of what is sealed, and creates, across three rotations."""
    with beside(service) as other:
        record = people.child(client(service), alias="Lova")
        load = Load()

        def read_with_a_new_token(signer, reader):
            caller = Client(reader)
            caller.headers.update(client(signer).headers)
            answer = caller.get("/children/" + record["id"])
            assert answer.status_code == 200 and answer.json()["alias"] == "Lova", answer.text

        def create(maker, reader):
            caller = client(maker)
            made = people.child(caller, alias="Ny")
            caller.service = reader
            answer = caller.get("/children/" + made["id"])
            assert answer.status_code == 200 and answer.json()["alias"] == "Ny", answer.text

        for one, two in ((service, service), (service, other), (other, service)):
            load.add(lambda one=one, two=two: read_with_a_new_token(one, two))
            load.add(lambda one=one, two=two: create(one, two))
        with load:
            for _ in range(3):
                rotate(service)
        assert load.failures == []
        assert next(load.rounds) > 50


# -- clients that others wrote -------------------------------------------------------------------------------------------


class Outside:
    """tests/api/outside/client.mjs, from its discovery on until it is told to stop."""

    def __init__(self, service, **settings):
        script = shutil.copy(ROOT / "tests/api/outside/client.mjs", ROOT / "build/outside/client.mjs")
        settings = service.cluster.credentials()["partner"] | settings | {
            "issuer": service.url.removesuffix("/v1"), "read": service.url + "/children"}
        self.process = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(settings) + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        line = self.process.stderr.readline()
        assert line == "discovered\n", line + self.process.stderr.read()
        return self

    def __exit__(self, *failure):
        output, errors = self.process.communicate(timeout=30)
        if not failure[0]:
            assert self.process.returncode == 0, errors
            self.saw = json.loads(output)


@pytest.fixture
def discoverable(serving, cluster, tmp_path):
    """Its issuer is where it is, as discovery demands."""
    with serving(keys=copy_keys(cluster, tmp_path), issuer="") as running:
        yield running


def test_outside_client_fetches_keys_once_for_a_rotation(discoverable):
    """jose as it comes: it asks for the key set at most every 30 s, and the next key was in it."""
    before = kids(discoverable)
    with Outside(discoverable) as client:
        time.sleep(1)
        rotate(discoverable)
        time.sleep(1)
    assert client.saw["failures"] == []
    assert client.saw["kids"] == before, "signed by the one, then by the other"
    assert client.saw["key_sets"] == 1
    assert client.saw["tokens"] == client.saw["reads"] > 10


def test_outside_client_signs_in_with_a_key_of_its_own(discoverable):
    """openid-client's PrivateKeyJwt, as it comes."""
    for key in (jwts.Key("almby-2026"), jwts.Key()):
        record, _ = keyed_machine(discoverable, ["case_worker"], key)
        with Outside(discoverable, client_id=record["id"], client_secret=None, private_jwk=key.private_jwk()) as client:
            time.sleep(1)
        assert client.saw["failures"] == []
        assert client.saw["tokens"] == client.saw["reads"] > 5
        assert "private_key_jwt" in client.saw["metadata"]["token_endpoint_auth_methods_supported"]
        assert discoverable.sql("SELECT count(*) FROM client_assertions WHERE principal_id = %s", record["id"]) >= \
            [(client.saw["tokens"],)]


def test_outside_client_follows_several_rotations(discoverable):
    """Whose rotations are weeks apart in life; here two seconds, so that its 30 s between fetches become one half."""
    with Outside(discoverable, cooldown_ms=500) as client:
        time.sleep(1)
        for _ in range(4):
            rotate(discoverable)
        time.sleep(1)
    assert client.saw["failures"] == []
    assert len(client.saw["kids"]) == 5
    assert client.saw["key_sets"] <= 5
