"""What runs during a measurement, and what it costs: processor time and memory, from /proc."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TICK = 1e6 / os.sysconf("SC_CLK_TCK")  # µs


def stat(pid):
    """The fields of /proc/PID/stat after the command's name: [1] is the parent, [11] and [12] its own ticks, [13] and
    [14] those of children that have ended."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def cpu(pid):
    """µs of a process, all its threads."""
    return sum(int(ticks) for ticks in stat(pid)[11:13]) * TICK


def cpu_of_family(pid):
    """µs of a process and all its children, those that have ended too: PostgreSQL is one such family."""
    total = sum(int(ticks) for ticks in stat(pid)[11:15]) * TICK
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            if stat(other)[1] == str(pid):
                total += cpu(other)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def rss(pid):
    """MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Served:
    """The service on a database, its log in a file as in operation; `with Served(…) as service:`."""

    def __init__(self, binary, environment, folder, **settings):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.log = pathlib.Path(folder, "service.log")
        self.environment = environment | {"UTVAG_PORT": str(self.port)}
        self.environment |= {f"UTVAG_{name.upper()}": str(value) for name, value in settings.items()}
        self.binary = binary

    def __enter__(self):
        started = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen([self.binary, "serve"], env=self.environment, stderr=log)
        self.pid = self.process.pid
        while '"message":"listening"' not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > started + 30:
                raise SystemExit("the service did not start:\n" + self.log.read_text())
            time.sleep(0.001)
        self.ready_after = time.monotonic() - started
        if "UTVAG_TLS_CERTIFICATE" not in self.environment:
            self.ask("GET", "/health/ready")
            self.ready_after = time.monotonic() - started
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            raise SystemExit("the service did not end well:\n" + self.log.read_text()[-2000:])

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def token(self, credentials):
        if "client_id" in credentials:
            return self.ask("POST", "/oauth/token", {"grant_type": "client_credentials"} | credentials)["access_token"]
        return self.ask("POST", "/sessions", credentials)["access_token"]
