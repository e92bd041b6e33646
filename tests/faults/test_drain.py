"""SIGTERM: no longer ready, what is in flight ends, then the process does."""

import http.client
import signal
import threading
import time
import uuid

NEW = {"alias": "Lisen", "protection": "none"}


def await_lock(service):
    """Until a request of the service waits for a lock."""
    until = time.monotonic() + 10
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usename = 'utvag_app' AND wait_event_type = 'Lock'"
    while not service.sql(waiting, service.database):
        assert time.monotonic() < until, "nothing waits for the lock"
        time.sleep(0.02)


def readiness(connection):
    connection.request("GET", "/v1/health/ready")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_request_in_flight_ends_before_the_process(serving):
    with serving(lock_ms=20_000, statement_ms=20_000) as service:
        partner, answers = service.as_("partner", "handl-1"), []
        child = partner.post("/children", json=NEW, headers={"Idempotency-Key": str(uuid.uuid4())})
        assert child.status_code == 201
        path, headers = f"/children/{child.json()['id']}", {
            "If-Match": child.headers["ETag"], "Content-Type": "application/merge-patch+json"}
        patch = threading.Thread(target=lambda: answers.append(partner.patch(path, json={"alias": "Elin"}, headers=headers)))
        kept_open = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        assert readiness(kept_open) == 200
        with service.connect() as locker:
            with locker.transaction():
                locker.execute("SELECT 1 FROM persons WHERE id = %s FOR UPDATE", [child.json()["id"]])
                patch.start()
                await_lock(service)
                service.process.send_signal(signal.SIGTERM)
                until = time.monotonic() + 10
                while not service.log("stopping"):
                    assert time.monotonic() < until
                    time.sleep(0.02)
                assert readiness(kept_open) == 503
                # A balancer asks anew each time: it must be told, not turned away at the door.
                assert readiness(http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)) == 503
                time.sleep(0.5)
                assert service.process.poll() is None and not answers
        patch.join(20)
        assert [answer.status_code for answer in answers] == [200] and answers[0].json()["alias"] == "Elin"
        assert service.process.wait(20) == 0
        assert service.log("stopped")
