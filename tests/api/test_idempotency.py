"""A key makes a repeated request have its effect once (draft-ietf-httpapi-idempotency-key-header)."""

import concurrent.futures
import time
import uuid

import pytest

from casework import Case, codes, done

NEW = {"alias": "Lisen", "protection": "none"}


@pytest.fixture
def partner(service):
    return service.as_("partner", "handl-1")


@pytest.fixture
def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def count(service, child):
    return service.sql("SELECT count(*) FROM persons WHERE id = %s", child["id"])[0][0]


def test_a_repeated_request_is_answered_alike_and_done_once(service, partner, key):
    before = service.sql("SELECT count(*) FROM persons")[0][0]
    first, again = (partner.post("/children", json=NEW, headers=key) for _ in range(2))
    assert (again.status_code, again.content, again.headers["ETag"]) == (201, first.content, first.headers["ETag"])
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    assert again.headers["Location"] == first.headers["Location"]
    assert service.sql("SELECT count(*) FROM persons")[0][0] == before + 1


def test_a_replay_leaves_a_trace(service, partner, key):
    child = done(partner.post("/children", json=NEW, headers=key), 201)
    done(partner.post("/children", json=NEW, headers=key), 201)
    assert service.sql("SELECT outcome FROM audit_events WHERE %s::uuid = ANY (record_ids) ORDER BY occurred_at",
                       child["id"]) == [("ok",), ("replayed",)]


def test_a_key_serves_one_body(partner, key):
    done(partner.post("/children", json=NEW, headers=key), 201)
    answer = partner.post("/children", json=NEW | {"alias": "Lill-Elin"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_serves_one_officer(service, partner, key):
    """What one officer was told of a protected person, another of the same agency is not."""
    hidden = NEW | {"protection": "sekretessmarkering", "given_name": "Elira"}
    done(partner.post("/children", json=hidden, headers=key), 201)
    answer = service.as_("partner", "handl-2").post("/children", json=hidden, headers=key)
    assert answer.status_code == 404 and "Elira" not in answer.text


def test_a_key_serves_one_officer_where_nothing_is_hidden_too(service, partner, key):
    done(partner.post("/children", json=NEW, headers=key), 201)
    assert service.as_("partner", "handl-2").post("/children", json=NEW, headers=key).status_code == 422


def test_a_replay_is_authorised_anew(service, partner, key):
    child = done(partner.post("/children", json=NEW | {"protection": "sekretessmarkering"}, headers=key), 201)
    service.sql("DELETE FROM access_list WHERE person_id = %s", child["id"])
    answer = partner.post("/children", json=NEW | {"protection": "sekretessmarkering"}, headers=key)
    assert answer.status_code == 404


def outcomes(service, key):
    return service.sql("SELECT outcome, status FROM audit_events WHERE operation = 'createChild' AND occurred_at >="
                       " (SELECT created_at FROM vault.idempotency_keys WHERE key = %s) ORDER BY occurred_at", key["Idempotency-Key"])


def test_a_refused_replay_is_audited_as_refused(service, partner, key):
    """Whoever reads the log must not find an answer where there was none."""
    hidden = NEW | {"protection": "sekretessmarkering"}
    child = done(partner.post("/children", json=hidden, headers=key), 201)
    assert partner.post("/children", json=NEW, headers=key).status_code == 422
    service.sql("DELETE FROM access_list WHERE person_id = %s", child["id"])
    assert partner.post("/children", json=hidden, headers=key).status_code == 404
    assert outcomes(service, key) == [("ok", None), ("refused", 422), ("refused", 404)]


def test_keys_of_two_principals_do_not_meet(service, partner, key):
    one = done(partner.post("/children", json=NEW, headers=key), 201)
    other = done(service.as_("partner_other", "handl-1").post("/children", json=NEW, headers=key), 201)
    assert one["id"] != other["id"]


def test_a_refused_request_leaves_its_key_free(service, key):
    case = Case(service)
    assert "needs_missing" in codes(case.partner.post(case.path("submit"), json={}, headers=key))
    case.need("food")
    assert done(case.partner.post(case.path("submit"), json={}, headers=key))["state"] == "submitted"


def test_a_key_is_forgotten_after_a_day(service, partner, key):
    first = done(partner.post("/children", json=NEW, headers=key), 201)
    service.sql("UPDATE vault.idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = %s", key["Idempotency-Key"])
    assert done(partner.post("/children", json=NEW, headers=key), 201)["id"] != first["id"]


def test_racing_requests_with_one_key_have_one_effect(service, partner):
    partner.get("/codes/bodies")
    for _ in range(10):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: partner.post("/children", json=NEW, headers=key), range(6)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert service.sql("SELECT count(*) FROM vault.idempotency_keys WHERE body IS NULL") == [(0,)]


def test_what_is_kept_names_nobody(service, partner, key):
    done(partner.post("/children", json=NEW | {"given_name": "Elira", "notes": "Går i årskurs fyra."}, headers=key), 201)
    [(kept,)] = service.sql("SELECT body FROM vault.idempotency_keys WHERE key = %s", key["Idempotency-Key"])
    assert "$seal" in kept and "Elira" not in kept and "årskurs" not in kept


def test_what_is_kept_is_in_the_vault_whose_backups_end(service, partner, key):
    child = done(partner.post("/children", json=NEW | {"given_name": "Elira"}, headers=key), 201)
    [(wrapped,)] = service.sql("SELECT encode(wrapped, 'hex') FROM vault.data_keys WHERE record_id = %s", child["id"])
    places = {schema for schema, table in service.sql(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        " AND table_schema IN ('public', 'vault')")
        if service.sql(f'SELECT count(*) FROM {schema}."{table}" t WHERE t::text LIKE %s', f"%{wrapped}%") != [(0,)]}
    assert places == {"vault"}


def test_old_keys_are_cleared_away(service, partner, key):
    done(partner.post("/children", json=NEW, headers=key), 201)
    fresh = {"Idempotency-Key": str(uuid.uuid4())}
    done(partner.post("/children", json=NEW, headers=fresh), 201)
    service.sql("UPDATE vault.idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = %s", key["Idempotency-Key"])
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_app")
        connection.execute("SELECT forget_expired()")  # unless the service did so in this very minute
    left = {kept for (kept,) in service.sql("SELECT key FROM vault.idempotency_keys")}
    assert key["Idempotency-Key"] not in left and fresh["Idempotency-Key"] in left


def test_a_running_service_clears_old_keys_away(serving, key):
    with serving() as first:
        done(first.as_("partner", "handl-1").post("/children", json=NEW, headers=key), 201)
        first.sql("UPDATE vault.idempotency_keys SET created_at = now() - interval '25 hours'")
        first.stop()
        first.start()
        until = time.monotonic() + 10
        while first.sql("SELECT count(*) FROM vault.idempotency_keys") != [(0,)]:
            assert time.monotonic() < until
            time.sleep(0.1)
