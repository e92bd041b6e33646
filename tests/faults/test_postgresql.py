"""PostgreSQL itself stopped, in an orderly way and as in a crash, and connections cut while nothing was in flight."""

import os
import pathlib
import shutil
import signal
import tempfile
import time

import pytest

import cluster as clusters
from service import Service

BACK_WITHIN = 5  # seconds
NEW = {"alias": "Lisen", "protection": "none"}


@pytest.fixture(scope="module")
def stoppable():
    """A service on a PostgreSQL of its own, which others do not miss."""
    folder = tempfile.mkdtemp(prefix="utvag-")
    own = clusters.start(pathlib.Path(folder, "cluster"))
    service = Service(own, own.clone()).start()
    yield service
    service.stop()
    own.stop()
    shutil.rmtree(folder)


def stop_fast(cluster):
    cluster.stop()


def stop_at_once(cluster):
    """As in a crash: no checkpoint, connections cut."""
    pid_file = pathlib.Path(cluster.folder, "pg/postmaster.pid")
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    while pid_file.exists():
        time.sleep(0.02)


def wait_for(path, client, status):
    until = time.monotonic() + BACK_WITHIN
    while (answer := client.get(path)).status_code != status:
        assert time.monotonic() < until, (path, answer.status_code, answer.text)
        time.sleep(0.05)


@pytest.mark.parametrize("stop", [stop_fast, stop_at_once])
def test_without_postgresql_it_says_so_and_comes_back_by_itself(stoppable, stop):
    partner, process = stoppable.as_("partner", "handl-1"), stoppable.process.pid
    assert partner.get("/applicants").status_code == 200
    stop(stoppable.cluster)
    for ask in (lambda: partner.get("/applicants"), lambda: partner.post("/applicants", json=NEW)):
        answer = ask()
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(answer.headers["Retry-After"]) >= 1
    assert stoppable.anyone().get("/health/ready").status_code == 503
    assert stoppable.anyone().get("/health/live").status_code == 200

    stoppable.cluster.start()
    wait_for("/health/ready", stoppable.anyone(), 200)
    wait_for("/applicants", partner, 200)
    assert stoppable.process.pid == process and stoppable.process.poll() is None


def backends(service):
    return service.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'utvag_app'", service.database)


def test_a_connection_that_was_cut_while_idle_costs_no_answer(serving):
    with serving(pool=2) as service:
        partner = service.as_("partner", "handl-1")
        assert partner.get("/applicants").status_code == 200
        assert backends(service)
        service.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'utvag_app'",
                    service.database)
        while backends(service):
            time.sleep(0.02)
        answer = partner.post("/applicants", json=NEW)
        assert answer.status_code == 201, answer.text
