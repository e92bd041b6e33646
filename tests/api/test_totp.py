"""The second factor: a code by the clock, once; a recovery code, once; and outside the demo nobody without one."""

import pathlib
import secrets
import shutil
import subprocess
import time
import urllib.parse

import pyotp
import pytest

from accounts import PASSWORD, accept, act, approve, email, person
from cluster import binary
from service import Service


def sign_in(service, credentials, **members):
    return service.anyone().post("/sessions", json=credentials | members)


def code_at(factor, steps=0):
    """The code of now, or of a step beside it. Far enough from the end of a step that it is still the one when it arrives."""
    while time.time() % 30 > 27:
        time.sleep(0.2)
    return pyotp.TOTP(factor["totp_secret"]).at(time.time() + 30 * steps)


def refused(answer):
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "login_failed"
    return True


@pytest.fixture
def her(service):
    return person(service)


# -- being given one --------------------------------------------------------------------------------------------------


def test_invitation_gives_a_secret_and_ten_codes_once(service):
    record, _, shown = person(service)
    assert set(shown) == {"id", "totp_secret", "totp_uri", "recovery_codes"} and shown["id"] == record["id"]
    assert len(set(shown["recovery_codes"])) == 10
    uri = urllib.parse.urlsplit(shown["totp_uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert urllib.parse.unquote(uri.path) == f"/Utväg:{record['email']}"
    assert urllib.parse.parse_qs(uri.query)["secret"] == [shown["totp_secret"]]
    parsed = pyotp.parse_uri(shown["totp_uri"])
    assert (parsed.issuer, parsed.name, parsed.digits, parsed.interval) == ("Utväg", record["email"], 6, 30)
    assert parsed.now() == pyotp.TOTP(shown["totp_secret"]).now()


def test_nothing_of_it_is_in_the_log(service, her):
    _, credentials, shown = her
    sign_in(service, credentials, totp=code_at(shown))
    log = "".join(service.lines)
    assert not [text for text in (shown["totp_secret"], credentials["email"], *shown["recovery_codes"]) if text in log]


def test_nothing_of_it_is_in_a_dump_of_the_database(service, her):
    _, credentials, shown = her
    assert sign_in(service, credentials, totp=code_at(shown)).status_code == 200
    found = shutil.which("pg_dump") or str(next(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_dump")))
    dump = subprocess.run([found, service.cluster.url("postgres", service.database)], capture_output=True, check=True).stdout
    assert b"totp_sealed" in dump
    secret = pyotp.TOTP(shown["totp_secret"]).byte_secret()
    for text in (shown["totp_secret"].encode(), secret, secret.hex().encode(), credentials["email"].encode(),
                 *(code.encode() for code in shown["recovery_codes"]),
                 *(code.replace("-", "").encode() for code in shown["recovery_codes"])):
        assert text not in dump and text.hex().encode() not in dump


# -- the code ---------------------------------------------------------------------------------------------------------


def test_first_code_confirms_it_and_from_then_on_it_is_needed(service, her):
    record, credentials, shown = her
    assert sign_in(service, credentials).status_code == 200, "in the demo, until she has confirmed it"
    assert sign_in(service, credentials, totp=code_at(shown)).status_code == 200
    assert refused(sign_in(service, credentials))
    assert service.sql("SELECT totp_confirmed_at IS NOT NULL FROM credentials WHERE principal_id = %s", record["id"]) == [(True,)]


def test_code_works_once(service, her):
    _, credentials, shown = her
    code = code_at(shown)
    assert sign_in(service, credentials, totp=code).status_code == 200
    assert refused(sign_in(service, credentials, totp=code))


def test_code_before_one_that_was_used_is_refused(service, her):
    _, credentials, shown = her
    assert sign_in(service, credentials, totp=code_at(shown)).status_code == 200
    assert refused(sign_in(service, credentials, totp=code_at(shown, -1)))
    assert sign_in(service, credentials, totp=code_at(shown, 1)).status_code == 200, "her clock is ahead"


@pytest.mark.parametrize("steps, status", [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
def test_drift_of_one_step_is_accepted_and_of_two_refused(service, her, steps, status):
    _, credentials, shown = her
    assert sign_in(service, credentials, totp=code_at(shown, steps)).status_code == status


def test_wrong_code_counts_as_a_failure_and_confirms_nothing(service, her):
    record, credentials, shown = her
    wrong = f"{(int(code_at(shown)) + 500_000) % 1_000_000:06}"
    for _ in range(5):
        assert refused(sign_in(service, credentials, totp=wrong))
    assert refused(sign_in(service, credentials, totp=code_at(shown)))
    rows = service.sql("SELECT failed_count, locked_until > now(), totp_confirmed_at FROM credentials WHERE principal_id = %s",
                       record["id"])
    assert rows == [(5, True, None)]


def test_right_code_with_a_wrong_password_is_refused_and_not_used_up(service, her):
    _, credentials, shown = her
    code = code_at(shown)
    assert refused(sign_in(service, credentials | {"password": "fel lösenord helt"}, totp=code))
    assert sign_in(service, credentials, totp=code).status_code == 200


def test_wrong_password_and_wrong_code_are_answered_alike(service, her):
    _, credentials, shown = her
    sign_in(service, credentials, totp=code_at(shown))
    answers = [sign_in(service, credentials), sign_in(service, credentials, totp="000000"),
               sign_in(service, credentials | {"password": "fel lösenord helt"}),
               sign_in(service, credentials | {"email": email()}, totp="000000"),
               sign_in(service, credentials, recovery_code="00000-00000-00000-00000")]
    told = [{k: v for k, v in answer.json().items() if k not in ("trace_id", "instance")} for answer in answers]
    assert all(one == told[0] for one in told) and told[0]["code"] == "login_failed"


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "", "١٢٣٤٥٦"])
def test_code_is_six_digits(service, code):
    assert sign_in(service, {"email": email(), "password": PASSWORD}, totp=code).status_code == 422


def test_user_who_was_never_given_one_has_no_code(service):
    """Of the demo's own: any code is wrong."""
    credentials = service.cluster.credentials()["auditor"]
    assert refused(sign_in(service, credentials, totp="123456"))
    assert sign_in(service, credentials).status_code == 200


# -- recovery ---------------------------------------------------------------------------------------------------------


def test_recovery_code_works_once(service, her):
    _, credentials, shown = her
    sign_in(service, credentials, totp=code_at(shown))
    assert sign_in(service, credentials, recovery_code=shown["recovery_codes"][3]).status_code == 200
    assert refused(sign_in(service, credentials, recovery_code=shown["recovery_codes"][3]))
    assert sign_in(service, credentials, recovery_code=shown["recovery_codes"][4].upper().replace("-", "")).status_code == 200


def test_recovery_code_with_a_wrong_password_is_not_used_up(service, her):
    _, credentials, shown = her
    code = shown["recovery_codes"][0]
    assert refused(sign_in(service, credentials | {"password": "fel lösenord helt"}, recovery_code=code))
    assert sign_in(service, credentials, recovery_code=code).status_code == 200


def test_recovery_code_is_its_holder_s_alone(service, her):
    _, credentials, _ = her
    _, _, other = person(service)
    assert refused(sign_in(service, credentials, recovery_code=other["recovery_codes"][0]))


def test_one_code_at_a_time(service, her):
    _, credentials, shown = her
    both = sign_in(service, credentials, totp=code_at(shown), recovery_code=shown["recovery_codes"][0])
    assert both.status_code == 422 and both.json()["errors"][0]["code"] == "not_with_totp"


# -- a new one --------------------------------------------------------------------------------------------------------


def test_reset_replaces_password_second_factor_and_recovery_codes(service, her):
    record, credentials, old = her
    assert sign_in(service, credentials, totp=code_at(old)).status_code == 200
    [(key,)] = service.sql("SELECT totp_id FROM credentials WHERE principal_id = %s", record["id"])
    assert act(service, record, "reset").status_code == 200
    approved = approve(service, record)
    left = service.sql("SELECT (SELECT count(*) FROM recovery_codes WHERE principal_id = %s),"
                       " (SELECT count(*) FROM vault.data_keys WHERE record_id = %s)", record["id"], key)
    assert left == [(0, 0)], "erased, once the reset is approved"
    new = accept(service, approved, password="ett alldeles nytt lösenord").json()
    fresh = credentials | {"password": "ett alldeles nytt lösenord"}
    assert refused(sign_in(service, credentials, totp=code_at(new)))
    assert refused(sign_in(service, fresh, totp=code_at(old)))
    assert refused(sign_in(service, fresh, recovery_code=old["recovery_codes"][0]))
    assert sign_in(service, fresh, totp=code_at(new)).status_code == 200


def test_secret_opens_only_where_it_belongs(service, her):
    """Moved to another user's row, it is refused as broken: the seal is bound to its record."""
    service.expects_error("seal broken")
    record, credentials, shown = her
    other, _, _ = person(service)
    service.sql("UPDATE credentials SET totp_sealed = (SELECT totp_sealed FROM credentials WHERE principal_id = %s)"
                " WHERE principal_id = %s", other["id"], record["id"])
    assert sign_in(service, credentials, totp=code_at(shown)).status_code == 500


def test_secret_outlives_a_rotation_of_the_keys(serving, cluster, tmp_path):
    keys = shutil.copytree(cluster.folder / "keys", tmp_path / "keys", copy_function=shutil.copy2)
    with serving(keys=keys) as service:
        record, credentials, shown = person(service)
        kept = "SELECT wrapped FROM vault.data_keys JOIN credentials ON totp_id = record_id WHERE credentials.principal_id = %s"
        before = service.sql(kept, record["id"])
        subprocess.run([binary(), "key", "rotate"], env=cluster.environment(service.database) | service.settings, check=True,
                       capture_output=True, timeout=60)
        assert before and service.sql(kept, record["id"]) != before
        assert sign_in(service, credentials, totp=code_at(shown)).status_code == 200


def test_login_role_reaches_no_other_key_of_the_vault(service, her):
    with service.connect() as connection:
        connection.execute("SET ROLE utvag_login")
        kept = {row[0] for row in connection.execute("SELECT record_id FROM vault.data_keys").fetchall()}
    assert kept and kept == {row[0] for row in service.sql("SELECT totp_id FROM credentials WHERE totp_id IS NOT NULL")}


# -- outside the demo -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(cluster):
    """A service as it is run for real: on a database that never held a demo. Its first administrator comes from the
    command line."""
    database = "utvag_real_" + secrets.token_hex(6)
    cluster.create(database)
    environment = cluster.environment(database) | {"UTVAG_DEMO": "0"}
    subprocess.run([binary(), "migrate"], env=environment, check=True)
    address = email()
    made = subprocess.run([binary(), "user", "add", "--name", "Första Admin", "--email", address, "--role", "admin"],
                          env=environment, check=True, capture_output=True, text=True).stdout
    service = Service(cluster, database, demo=0).start()
    try:
        yield service, {"email": address, "password": PASSWORD}, dict(line.split(": ") for line in made.splitlines())
    finally:
        service.stop()
        cluster.drop(database)


def test_outside_the_demo_nobody_signs_in_without_a_code(real):
    service, credentials, made = real
    answer = service.anyone().post("/invitations/accept", json={"token": made["invitation"], "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    without = sign_in(service, credentials)
    assert without.status_code == 401 and without.json()["code"] == "totp_required"
    assert service.sql("SELECT status, code FROM audit_events WHERE trace_id = %s", without.json()["trace_id"]) == \
        [(401, "totp_required")]
    unknown = sign_in(service, {"email": email(), "password": "fel lösenord helt"})
    assert unknown.json()["code"] == "totp_required", "it is told of no account in particular"
    assert refused(sign_in(service, credentials, totp="000000"))
    assert sign_in(service, credentials, totp=code_at(shown)).status_code == 200
    assert sign_in(service, credentials, recovery_code=shown["recovery_codes"][9]).status_code == 200
    # The rule is SQL's too, should the service ever forget to ask.
    assert service.sql("SELECT judge_login(%s, true, '{\"demo\": false}')", made["id"]) == [(False,)]
    service.sql("UPDATE credentials SET totp_confirmed_at = NULL WHERE principal_id = %s", made["id"])
    assert service.sql("SELECT judge_login(%s, true, '{\"demo\": false}')", made["id"]) == [(False,)]
