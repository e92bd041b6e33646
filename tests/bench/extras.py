"""What else was promised: list pages that do not grow with the table, logins that stall nobody, overload, start, memory."""

import json
import resource
import socket
import ssl
import statistics
import subprocess
import time

import cases
import report
from processes import rss

WARM = 0.2


def page_paths(bench, size):
    """Every list, in every order and with every filter, with values that have rows."""
    worker = bench.sql("bench", "SELECT assigned_to::text FROM applications WHERE assigned_to IS NOT NULL LIMIT 1")[0][0]
    person, external = bench.sql("bench", "SELECT a.person_id::text, a.external_id FROM applications a WHERE agency_id = %s"
                                 " AND NOT protected AND a.external_id IS NOT NULL ORDER BY a.id LIMIT 1", cases.AGENCY)[0]
    sorts = ["", "sort=created_at", "sort=updated_at", "sort=-updated_at"]
    filters = {
        "/applicants": ["external_id=" + external, "protection=none", "protection=sekretessmarkering"],
        "/applications": ["state=submitted", "state=decided", "assigned_to=" + worker, "person_id=" + person,
                          "external_id=" + external],
    }
    for path, conditions in filters.items():
        for query in sorts + conditions + ["state=submitted&sort=-updated_at"] * (path == "/applications"):
            yield path, query


def list_pages(bench, size):
    """The median of a page by one connection, µs, for each role and query."""
    medians = {}
    with bench.serve() as service:
        for role in ("partner", "triage"):  # who is on every list
            for path, query in page_paths(bench, size):
                # Of few that the caller sees the smaller table has no page of 25.
                limit = 10 if query.startswith("protection=s") else 25
                case = cases.Case("", role, "GET", f"{path}?limit={limit}" + (query and "&" + query), [()], {},
                                  {"X-Acting-Officer": "handl-1"} if role == "partner" else {})
                request = bench.request(service, case)
                # The least of three: a median of one is that of the machine's other business.
                runs = [bench.generate(service, request, None, "-c", 1, "-w", WARM, seconds=min(0.6, bench.options.seconds))
                        for _ in range(3)]
                assert all(list(run["status"]) == ["200"] for run in runs), (role, path, query, runs)
                label = query.split("=")[0] + ("=" + query.split("=")[1] if query[:5] in ("sort=", "state", "prote") else "")
                medians[f"{role} {path} {label}".strip()] = min(run["p50_us"] for run in runs)
    return medians


def logins_beside(bench, case, results):
    """Half of saturation, alone and with two logins a second beside, for a pool as wide as the connections, and twice
    that: what a thread for each connection is judged by."""
    rate = [r["most"]["good_per_second"] for r in results["cases"] if r["case"] == case.name][-1] / 2
    rows = bench.write("rows", report.table(case.all_rows))
    login = bench.write("login", "POST /v1/sessions HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n"
                        + json.dumps(bench.cluster.credentials()["triage_2"], ensure_ascii=False))
    found = {}
    for pool in (bench.options.pool, 2 * bench.options.pool):
        with bench.serve(pool=pool) as service:
            half = lambda: bench.generate(service, bench.request(service, case), rows, "-c",
                                          4 * bench.options.connections, "-r", rate, "-w", 1)
            alone = half()
            beside = subprocess.Popen([bench.tools / "open_loop", "-c", "4", "-r", "2", "-d", str(bench.options.seconds + 2),
                                       "127.0.0.1", str(service.port), login], stdout=subprocess.PIPE, text=True)
            done = half()
            logins = json.loads(beside.communicate()[0])
            assert list(logins["status"]) == ["200"], logins
        found[pool] = {"alone": alone, "beside": done, "logins": logins}
    return found


def overload(bench, case):
    """Peak by as many connections as may be in flight; then three times that rate by far more of them."""
    rows = bench.write("rows", report.table(case.all_rows))
    in_flight = 2 * bench.options.pool
    with bench.serve(in_flight=in_flight) as service:
        peak = bench.generate(service, bench.request(service, case), rows, "-c", in_flight, "-w", 1)
        flood = bench.generate(service, bench.request(service, case), rows, "-c", 24 * in_flight, "-w", 1,
                               "-r", 3 * peak["good_per_second"])
    return {"peak": peak["good_per_second"], "goodput": flood["good_per_second"], "status": flood["status"],
            "p50_us": flood["p50_us"], "p99_us": flood["p99_us"]}


def hot_account(bench, size):
    """Decisions a second by 64 clients that promise of 64 accounts, and of one. By the service: what waits for the account's lock is
    the end of a transaction, after everything that a decision is checked for."""
    found = {}
    for accounts in (64, 1):
        case = cases.contended(size, accounts)
        rows = bench.write("rows", report.table(case.all_rows))
        with bench.serve(pool=64, in_flight=128) as service:
            bench.settle()
            done = bench.generate(service, bench.request(service, case), rows, "-c", 64, "-w", 1, "-1")
        report.check(case, done)
        found[accounts] = done["good_per_second"]
    return found


def start_up(bench):
    """Seconds from the start of the process to the first answer that says ready; the median of five."""
    times = []
    for _ in range(5):
        with bench.serve() as service:
            times.append(service.ready_after)
    return statistics.median(times)


def open_one(port, context):
    connection = socket.create_connection(("127.0.0.1", port))
    if context:
        connection = context.wrap_socket(connection)
    connection.sendall(b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


def idle_connections(bench):
    """MB at 1000 connections that have each been answered once: plain, and over TLS."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    certificate, key = bench.folder / "certificate.pem", bench.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    memory = {}
    for name, settings in {"plain": {}, "tls": {"tls_certificate": certificate, "tls_key": key}}.items():
        with bench.serve(connections=1100, **settings) as service:
            connections = [open_one(service.port, context if settings else None) for _ in range(1000)]
            time.sleep(0.2)
            memory[name] = rss(service.pid)
            for connection in connections:
                connection.close()
    return memory
