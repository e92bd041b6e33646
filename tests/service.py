"""The real binary, started for a suite, and clients that speak to it."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import threading
import time

import psycopg
import requests

from cluster import binary

TOKEN_AGE = 240  # seconds: tokens live 300


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def claims(token):
    """What an access token says, unverified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Client(requests.Session):
    """A caller with a token: like requests, with paths below /v1 in place of URLs."""

    def __init__(self, service, credentials=None, officer=None):
        super().__init__()
        self.service = service
        self.credentials = credentials
        self.asked = 0.0
        self.shared = True
        if officer:
            self.headers["X-Acting-Officer"] = officer

    def ask_token(self):
        if "client_id" in self.credentials:
            body = {"grant_type": "client_credentials"} | self.credentials
            path = "/oauth/token"
        else:
            body, path = self.credentials, "/sessions"
        answer = requests.post(self.service.url + path, json=body, timeout=30)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        self.use_token(answer.json()["access_token"], time.time())

    def use_token(self, token, asked):
        self.headers["Authorization"] = "Bearer " + token
        self.asked = asked

    def share_token(self):
        """Services of one cluster share key ring and issuer, unless they have their own: a token that another suite asked for
        is as good, once its sign-in is in this database too, and saves a password hash."""
        signer = [self.service.settings.get(name) for name in ("UTVAG_ISSUER", "UTVAG_KEYS")]
        own = [self.service.port] if any(value is not None for value in signer) else []
        kept = self.service.cluster.folder / ("token-" + digest([self.credentials, signer, own]))
        if kept.exists() and time.time() - kept.stat().st_mtime < TOKEN_AGE:
            token = kept.read_text()
            self.service.sql("INSERT INTO sign_ins (id, principal_id, expires_at) VALUES (%s, %s, now() + interval '1 hour')"
                             " ON CONFLICT DO NOTHING", claims(token)["sid"], claims(token)["sub"])
            return self.use_token(token, kept.stat().st_mtime)
        self.ask_token()
        beside = kept.with_suffix(f".{os.getpid()}")
        beside.write_text(self.headers["Authorization"].removeprefix("Bearer "))
        return beside.replace(kept)

    def request(self, method, url, **options):
        if self.credentials and self.asked is None:  # set by a test that changed what this caller may do
            self.ask_token()
            self.shared = False
        elif self.credentials and time.time() - self.asked > TOKEN_AGE:
            self.share_token() if self.shared else self.ask_token()
        if url.startswith("/.well-known/"):
            url = self.service.url.removesuffix("/v1") + url
        elif url.startswith("/"):
            url = self.service.url + url
        return super().request(method, url, timeout=options.pop("timeout", 30), **options)


class Service:
    """One process on one database. Stopping it fails the test when it did not end well, a sanitizer complained, or a line of
    level error was logged that no test said it would cause."""

    def __init__(self, cluster, database, **settings):
        self.cluster = cluster
        self.database = database
        self.settings = {f"UTVAG_{name.upper()}": str(value) for name, value in settings.items()}
        self.clients = {}
        self.lines = []
        self.expected = set()
        self.listening = threading.Event()

    def start(self):
        environment = self.cluster.environment(self.database) | self.settings
        self.process = subprocess.Popen([binary(), "serve"], env=environment, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.listening.wait(30) or not self.port:
            self.process.kill()
            raise AssertionError("the service did not start:\n" + "".join(self.lines))
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    port = None

    def kill_and_start(self):
        """Kills the process, and starts another, on a port of its own unless the settings name one."""
        self.process.kill()
        self.process.wait(10)
        self.reader.join(10)
        self.listening.clear()
        self.port = None
        self.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if '"message":"listening"' in line:
                self.port = int(json.loads(line)["port"])
                self.listening.set()
        self.listening.set()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.reader.join(10)
        assert not [line for line in self.lines if "Sanitizer" in line or "runtime error:" in line], "".join(self.lines)
        assert status == 0, f"exit status {status}\n" + "".join(self.lines[-50:])
        errors = [line for line in self.log() if line["level"] == "error" and line["message"] not in self.expected]
        assert not errors, errors

    def expects_error(self, message):
        """For a test that breaks something on purpose."""
        self.expected.add(message)

    def log(self, message=None):
        """The log's lines so far, as objects; with a message, only those."""
        lines = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in lines if message is None or line["message"] == message]

    def as_(self, role, officer=None):
        """A client with the demo's credentials for a role (partner, partner_other, intake, case_worker, …)."""
        who = (role, officer)
        if who not in self.clients:
            self.clients[who] = Client(self, self.cluster.credentials()[role], officer)
        return self.clients[who]

    def anyone(self):
        """A client without a token."""
        return Client(self)

    def connect(self):
        return psycopg.connect(self.cluster.url("postgres", self.database), autocommit=True)

    def sql(self, statement, *values):
        """Runs a statement as the superuser; its rows, as tuples."""
        with self.connect() as connection:
            done = connection.execute(statement, values or None)
            return done.fetchall() if done.description else []
