"""PostgreSQL away, its answer lost on the way, and the service killed: what was acknowledged is there, exactly once."""

import contextlib
import os
import re
import socket
import threading
import time
import uuid

import pytest
import requests

from service import Client, Service

NEW = {"alias": "Lisen", "protection": "none"}
AWAY, BACK_WITHIN = 3, 5  # seconds
READY = b"Z\x00\x00\x00\x05I"  # ReadyForQuery, idle: the transaction has ended
KILLS, WRITERS = 50, 4


class Proxy:
    """Passes bytes both ways on unix sockets. It can be away; and it can cut one request off: `cut = "answer"` once
    PostgreSQL has answered it whole, `cut = "request"` before PostgreSQL has seen any of it."""

    def __init__(self, folder, server):
        self.path, self.server = str(folder / ".s.PGSQL.5432"), server
        self.cut, self.pairs = None, []
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        for pair in self.pairs:
            self._close(pair)
        self.pairs.clear()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.server)
                pair = client, server
                self.pairs.append(pair)
                threading.Thread(target=self._pass, args=(pair, client, server, "request"), daemon=True).start()
                threading.Thread(target=self._pass, args=(pair, server, client, "answer"), daemon=True).start()

    @staticmethod
    def _close(pair):
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass(self, pair, source, sink, what):
        with contextlib.suppress(OSError):
            swallowed = b""
            while data := source.recv(65536):
                if self.cut != what:
                    sink.sendall(data)
                    continue
                swallowed += data
                if what == "request" or swallowed.endswith(READY):
                    self.cut = None
                    break
        self._close(pair)


@contextlib.contextmanager
def behind_proxy(cluster, folder_of_proxy, **settings):
    """A service that reaches PostgreSQL by a proxy, with one connection."""
    database = cluster.clone()
    url = cluster.url("utvag_app", database)
    folder = re.search(r"host='?([^' ]+)'?", url).group(1)
    proxy = Proxy(folder_of_proxy, folder + "/.s.PGSQL.5432")
    service = Service(cluster, database, database_url=url.replace(folder, str(folder_of_proxy)), pool=1, **settings).start()
    service.proxy = proxy
    try:
        yield service
    finally:
        service.stop()
        cluster.drop(database)


@pytest.fixture
def proxied(cluster, tmp_path):
    with behind_proxy(cluster, tmp_path) as service:
        yield service


def persons(service):
    return service.sql("SELECT count(*) FROM persons")[0][0]


def kept(service, key):
    return service.sql("SELECT record_id::text FROM vault.idempotency_keys WHERE key = %s", key)


def test_the_service_outlives_an_absence_of_postgresql(proxied):
    partner, anyone, process = proxied.as_("partner", "handl-1"), proxied.anyone(), proxied.process.pid
    partner.ask_token()  # one that need not be renewed while nobody can
    assert partner.get("/children").status_code == 200
    proxied.proxy.stop()
    away = partner.get("/children")
    assert (away.status_code, away.json()["code"]) == (503, "database_away") and int(away.headers["Retry-After"]) > 0
    assert anyone.get("/health/ready").status_code == 503
    assert anyone.get("/health/live").status_code == 200
    gone = time.monotonic()
    while time.monotonic() - gone < AWAY:  # long enough for the pauses between attempts to have grown
        assert partner.get("/children").status_code == 503
        time.sleep(0.05)

    proxied.proxy.start()
    back = time.monotonic()
    while {partner.get("/children").status_code, anyone.get("/health/ready").status_code} != {200}:
        assert time.monotonic() - back < BACK_WITHIN
        time.sleep(0.05)
    print(f"back after {time.monotonic() - back:.2f} s")
    assert proxied.process.pid == process and proxied.process.poll() is None


def test_a_fault_of_ours_is_no_failed_login(cluster, tmp_path):
    with behind_proxy(cluster, tmp_path, failed_logins_per_minute=3) as service:
        who, anyone = cluster.credentials()["triage"], service.anyone()
        service.proxy.stop()
        assert {anyone.post("/sessions", json=who).status_code for _ in range(8)} == {503}
        service.proxy.start()
        until = time.monotonic() + BACK_WITHIN
        while (answer := anyone.post("/sessions", json=who)).status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("lost, there", [("answer", 1), ("request", 0)])
def test_a_lost_commit_is_in_doubt_and_its_key_settles_it(proxied, lost, there):
    partner, key = proxied.as_("partner", "handl-1"), str(uuid.uuid4())
    assert partner.get("/children").status_code == 200
    before = persons(proxied)
    proxied.proxy.cut = lost
    answer = partner.post("/children", json=NEW, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (503, "commit_in_doubt")
    assert proxied.proxy.cut is None and (persons(proxied) - before, len(kept(proxied, key))) == (there, there)

    again = partner.post("/children", json=NEW, headers={"Idempotency-Key": key})
    assert again.status_code == 201 and ("Idempotency-Replayed" in again.headers) == bool(there)
    assert kept(proxied, key) == [(again.json()["id"],)] and persons(proxied) == before + 1


class Writer(threading.Thread):
    """Creates children, each with a key that it repeats until the answer is 201."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.client = Client(service, service.cluster.credentials()["partner"], "handl-1")
        self.client.share_token()
        self.ended, self.acknowledged, self.lost, self.wrong = threading.Event(), {}, 0, []

    def run(self):
        while not self.ended.is_set() and not self.wrong:
            key = str(uuid.uuid4())
            while not self.write(key) and not self.wrong:
                time.sleep(0.02)

    def write(self, key):
        try:
            answer = self.client.post("/children", json=NEW, headers={"Idempotency-Key": key})
        except requests.RequestException:
            self.lost += 1
            return False
        if answer.status_code == 201:
            self.acknowledged[key] = answer.json()["id"]
        elif answer.status_code not in (409, 503):  # 409: PostgreSQL has not noticed yet that the first one died
            self.wrong.append((answer.status_code, answer.text))
        return answer.status_code == 201


def test_what_was_acknowledged_survives_kill(serving):
    with serving(rate_per_minute=0) as service:
        before = persons(service)
        writers = [Writer(service) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            written = sum(len(writer.acknowledged) for writer in writers)
            time.sleep(0.4)
            assert sum(len(writer.acknowledged) for writer in writers) > written, [writer.wrong for writer in writers]
            service.kill_and_start()
        for writer in writers:
            writer.ended.set()
        for writer in writers:
            writer.join(60)
            assert not writer.is_alive() and not writer.wrong, writer.wrong
        told = {key: id for writer in writers for key, id in writer.acknowledged.items()}
        there = dict(service.sql("SELECT key, record_id::text FROM vault.idempotency_keys WHERE key = ANY (%s)", list(told)))
        print(f"{len(told)} acknowledged, {sum(writer.lost for writer in writers)} answers lost")
        assert there == told and len(set(told.values())) == len(told)
        assert service.sql("SELECT count(*) FROM persons WHERE id = ANY (%s::uuid[])", list(told.values())) == [(len(told),)]
        assert persons(service) == before + len(told)  # and nothing beside
