"""Gifts: registered once, booked as they are, taken back by another, and their donors seen by those who keep the funds."""

import concurrent.futures
import secrets
import uuid

import pytest

CHILDREN, GENERAL, BANK = ("5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01", "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402",
                           "e37b2a90-64cd-4e1f-b5a8-0c9d41f7a803")


def gift(**members):
    body = {"kind": "gift", "account_id": CHILDREN, "amount_ore": 50_000, "channel_code": "swish",
            "channel_reference": "SW-" + secrets.token_hex(8), "received_on": "2026-11-02",
            "donor": {"name": "Astrid Wallander", "email": "astrid.wallander@givare.example"}} | members
    return {name: value for name, value in body.items() if value is not None}


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def give(service, role="fund_manager", **members):
    return service.as_(role).post("/donations", json=gift(**members), headers=key())


def account(service, wanted):
    return service.as_("fund_manager").get("/accounts/" + wanted).json()


def faults(service):
    return service.sql("SELECT * FROM ledger_faults()")


def code(answer):
    told = answer.json()
    return answer.status_code, [error["code"] for error in told.get("errors", [])] or [told.get("code")]


def test_gift_is_registered_and_booked(service):
    before, bank = account(service, CHILDREN), account(service, BANK)
    made = give(service, restriction={"children_only": True, "county_codes": ["01"]})
    assert made.status_code == 201, made.text
    told = made.json()
    assert told["donor"]["name"] == "Astrid Wallander" and told["remaining_ore"] == 50_000
    assert told["restriction"] == {"children_only": True, "county_codes": ["01"], "category_codes": [], "use_by": None}
    assert service.as_("fund_manager").get("/donations/" + told["id"]).json() == told
    assert account(service, CHILDREN)["available_ore"] == before["available_ore"] + 50_000
    assert account(service, BANK)["posted_ore"] == bank["posted_ore"] + 50_000
    assert faults(service) == []


def test_reference_is_taken_once_in_its_channel(service):
    body = gift()
    manager = service.as_("fund_manager")
    assert manager.post("/donations", json=body, headers=key()).status_code == 201
    before = account(service, CHILDREN)
    assert code(manager.post("/donations", json=body, headers=key())) == (409, ["donation_reference_taken"])
    assert manager.post("/donations", json=body | {"channel_code": "bankgiro"}, headers=key()).status_code == 201
    assert account(service, CHILDREN)["posted_ore"] == before["posted_ore"] + 50_000


def test_same_key_registers_once(service):
    body, once = gift(), key()
    answers = [service.as_("fund_manager").post("/donations", json=body, headers=once) for _ in range(3)]
    assert [a.status_code for a in answers] == [201] * 3 and len({a.text for a in answers}) == 1


def test_registering_needs_a_key(service):
    assert service.as_("fund_manager").post("/donations", json=gift()).status_code == 400


@pytest.mark.parametrize("members, wrong", [
    ({"account_id": BANK}, "/account_id"),
    ({"account_id": str(uuid.uuid4())}, "/account_id"),
    ({"received_on": "2099-01-01"}, "/received_on"),
    ({"restriction": {"county_codes": ["02"]}}, "/restriction/county_codes/0"),
    ({"restriction": {"category_codes": ["pram", "nonsense"]}}, "/restriction/category_codes/1"),
    ({"restriction": {"use_by": "2026-11-01"}}, "/restriction/use_by"),
    ({"restriction": {"municipality_codes": ["0180"]}}, "/restriction"),
    ({"donor": None}, "/donor"),
    ({"anonymous": True}, "/donor"),
    ({"amount_ore": 0}, "/amount_ore"),
])
def test_what_is_wrong_is_told_and_books_nothing(service, members, wrong):
    before = account(service, BANK)["posted_ore"]
    answer = give(service, **members)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == wrong, answer.text
    assert account(service, BANK)["posted_ore"] == before


@pytest.mark.parametrize("role", ["case_worker", "decision_maker", "project_manager", "admin", "triage", "partner"])
def test_only_those_who_keep_the_funds_see_gifts(service, role):
    caller = service.as_(role, "handl-1" if role == "partner" else None)
    assert caller.get("/donations").status_code == 403
    assert caller.post("/donations", json=gift(), headers=key()).status_code == 403


def test_auditor_sees_no_donor(service):
    made = give(service).json()
    auditor = service.as_("auditor").get("/donations/" + made["id"])
    assert auditor.status_code == 200 and "donor" not in auditor.json() and "Wallander" not in auditor.text
    assert "Wallander" not in service.as_("auditor").get("/donations").text
    assert service.as_("auditor").post("/donations", json=gift(), headers=key()).status_code == 403


def test_database_holds_no_donor(service):
    made = give(service, donor={"name": "Ottilia Grönlund"}).json()
    [(row, sealed)] = service.sql("SELECT to_jsonb(d)::text, sealed FROM donations d WHERE id = %s", made["id"])
    assert "Ottilia" not in row and b"Ottilia" not in bytes(sealed)


# -- taking back -----------------------------------------------------------------------------------------------------------

def reverse(service, donation, role, tag=None):
    there = service.as_("fund_manager").get("/donations/" + donation["id"])
    headers = key() | {"If-Match": tag or there.headers["ETag"]}
    return service.as_(role).post(f"/donations/{donation['id']}/reverse", json={"reason_code": "bounced"}, headers=headers)


def test_another_person_takes_a_booking_back(service):
    before = account(service, CHILDREN)["posted_ore"]
    made = give(service).json()
    assert code(reverse(service, made, "fund_manager")) == (409, ["four_eyes_required"])
    answer = reverse(service, made, "fund_manager_2")
    assert answer.status_code == 200 and answer.json()["remaining_ore"] == 0
    assert answer.json()["reversal_reason_code"] == "bounced"
    assert account(service, CHILDREN)["posted_ore"] == before
    assert code(reverse(service, made, "fund_manager_2")) == (409, ["reversed_already"])
    assert faults(service) == []


def test_what_is_promised_is_not_taken_back(service):
    made = give(service).json()
    service.sql("UPDATE donations SET remaining_ore = remaining_ore - 1 WHERE id = %s", made["id"])
    assert code(reverse(service, made, "fund_manager_2")) == (409, ["donation_in_use"])
    service.sql("UPDATE donations SET remaining_ore = remaining_ore + 1 WHERE id = %s", made["id"])


def test_stale_reversal_is_refused(service):
    made = give(service).json()
    assert reverse(service, made, "fund_manager_2", '"7.00000000"').status_code == 412


def test_two_who_take_back_at_once_do_it_once(service):
    made, before = give(service).json(), account(service, CHILDREN)["posted_ore"]
    tag = service.as_("fund_manager").get("/donations/" + made["id"]).headers["ETag"]
    service.as_("fund_manager_2").get("/donations")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(a.status_code for a in pool.map(lambda _: reverse(service, made, "fund_manager_2", tag), range(8)))
    assert statuses[0] == 200 and set(statuses[1:]) <= {409, 412}
    assert account(service, CHILDREN)["posted_ore"] == before - 50_000 and faults(service) == []


# -- files -----------------------------------------------------------------------------------------------------------------

def load(service, rows, role="fund_manager"):
    return service.as_(role).post("/donation-files", json={"donations": rows}, headers=key())


def test_file_is_loaded_once(service):
    rows = [gift(channel_code="bankgiro", account_id=GENERAL) for _ in range(5)]
    before = account(service, GENERAL)["posted_ore"]
    first = load(service, rows)
    assert first.status_code == 200, first.text
    assert (first.json()["created"], first.json()["already_there"]) == (5, 0)
    assert [row["channel_reference"] for row in first.json()["donations"]] == [row["channel_reference"] for row in rows]
    again = load(service, rows[::-1] + [gift(account_id=GENERAL)])
    assert (again.json()["created"], again.json()["already_there"]) == (1, 5)
    assert {row["donation_id"] for row in first.json()["donations"]} < {row["donation_id"] for row in again.json()["donations"]}
    assert account(service, GENERAL)["posted_ore"] == before + 6 * 50_000 and faults(service) == []


def test_file_with_one_wrong_row_loads_nothing(service):
    rows, before = [gift() for _ in range(3)], account(service, CHILDREN)["posted_ore"]
    assert load(service, rows[:1]).status_code == 200
    answer = load(service, [rows[1], rows[0] | {"amount_ore": 1}])
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/donations/1/channel_reference", answer.text
    answer = load(service, [rows[1], rows[2] | {"received_on": "2099-01-01"}])
    assert answer.json()["errors"][0]["pointer"] == "/donations/1/received_on"
    assert account(service, CHILDREN)["posted_ore"] == before + 50_000


def test_file_that_many_load_at_once_counts_once(service):
    rows, before = [gift() for _ in range(20)], account(service, CHILDREN)["posted_ore"]
    service.as_("fund_manager").get("/donations")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: load(service, rows if n % 2 else rows[::-1]), range(8)))
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
    assert sum(a.json()["created"] for a in answers) == 20
    assert account(service, CHILDREN)["posted_ore"] == before + 20 * 50_000 and faults(service) == []
