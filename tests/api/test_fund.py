"""What the fund tells: everyone in old quarters and thousands, a donor of eleven people or more, its keepers to the öre."""

import concurrent.futures
import secrets
import uuid

import pytest

from casework import done, keyed

CHILDREN, GENERAL = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01", "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402"


@pytest.fixture
def gift(service):
    body = {"kind": "gift", "account_id": GENERAL, "amount_ore": 90_000_000, "channel_code": "swish", "received_on": "2026-01-02",
            "channel_reference": "SW-" + secrets.token_hex(8), "anonymous": True}
    return done(service.as_("fund_manager").post("/donations", json=body, headers=keyed()), 201)["id"]


def pay(service, gift, category, people, ore=100_000, on="2026-02-01", account=GENERAL, each=1, at_once=False, settled=None):
    """So many people helped by a gift, a day after each other or in one moment: rows as payments leave them."""
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for n in range(people):
            person = uuid.uuid4()
            for _ in range(each):
                line, paid = uuid.uuid4(), uuid.uuid4()
                connection.execute(
                    "INSERT INTO decision_lines (id, decision_id, application_id, need_id, person_id, category_code, position, outcome,"
                    " amount_ore) VALUES (%s, %s, %s, %s, %s, %s, 1, 'granted', %s)", [line, line, line, line, person, category, ore])
                connection.execute("INSERT INTO line_sources (line_id, account_id, paid_ore) VALUES (%s, %s, %s)", [line, account, ore])
                connection.execute("INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore, created_at)"
                                   " VALUES (%s, %s, %s, %s, %s)", [gift, line, account, ore, settled or on])
                connection.execute(
                    "INSERT INTO disbursements (id, application_id, amount_ore, status, due_on, approvals_needed, paid_ore, paid_at)"
                    " VALUES (%s, %s, %s, 'paid', %s, 1, %s, %s::timestamptz + %s * interval '1 day')", [paid, line, ore, on, ore, on, 0 if at_once else n])
                connection.execute(
                    "INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, ordered_by, method, payee_kind)"
                    " VALUES (%s, %s, %s, false, %s, 'at_once', 'vendor')", [paid, line, line, line])


def uses(service, gift):
    return done(service.anyone().get(f"/fund/donations/{gift}/uses"))


def told(service, gift):
    answer = uses(service, gift)
    return answer["level"], {use["code"]: (use["beneficiaries"], use["paid_ore"]) for use in answer["uses"]}


def test_anyone_reads_the_fund(service):
    fund = done(service.anyone().get("/fund"))
    assert fund["quarters"] == [] and fund["children_helped"] is None and fund["suppressed"], "the demo's money came this quarter"


@pytest.mark.parametrize("day, until", [("2026-11-24", "2026-07-01"), ("2026-10-01", "2026-07-01"), ("2026-09-30", "2026-04-01"),
                                        ("2026-01-01", "2025-10-01")])
def test_quarter_is_told_when_it_is_over_since_a_quarter(service, day, until):
    assert service.sql("SELECT published_until(%s)::text", day) == [(until,)]


def test_quarters_are_whole_thousands_of_kronor(service):
    account = str(uuid.uuid4())
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("INSERT INTO account_months (account_id, month, opening_ore, received_ore, paid_out_ore, reserved_opening_ore,"
                           " reserved_ore) VALUES (%(a)s, '2025-01-01', 0, 1234567, 100000, 0, 60000), (%(a)s, '2025-03-01', 1134567, 0, 40000, 60000, 0),"
                           " (%(a)s, '2025-04-01', 1094567, 1, 0, 60000, 0)", {"a": account})
    [(quarters,)] = service.sql("SELECT quarters_of(%s, '2025-04-01')", account)
    assert quarters == [{"quarter": "2025-Q1", "opening_ore": 0, "received_ore": 1_200_000, "paid_out_ore": 100_000,
                         "reserved_ore": 100_000, "closing_ore": 1_100_000}]


@pytest.mark.parametrize("role", ["fund_manager", "decision_maker", "auditor"])
def test_keepers_see_the_fund_as_it_stands(service, role):
    live = done(service.as_(role).get("/fund/live"))
    account = service.as_("fund_manager").get("/accounts/" + CHILDREN).json()
    assert (live["posted_ore"], live["reserved_ore"]) == (account["posted_ore"], account["reserved_ore"])
    assert live["donated_ore"] - live["paid_out_ore"] == live["posted_ore"]


@pytest.mark.parametrize("role", ["case_worker", "project_manager", "partner", "admin"])
def test_others_do_not(service, role):
    assert service.as_(role, "handl-1" if role == "partner" else None).get("/fund/live").status_code == 403


# -- a gift's uses -----------------------------------------------------------------------------------------------------------

def test_unknown_gift_is_unknown(service):
    assert service.anyone().get(f"/fund/donations/{uuid.uuid4()}/uses").status_code == 404


def test_gift_that_helped_few_tells_nothing(service, gift):
    pay(service, gift, "food", 10)
    assert told(service, gift) == ("none", {}) and uses(service, gift)["suppressed"]


def test_kinds_of_need_that_each_helped_eleven_are_told(service, gift):
    pay(service, gift, "food", 11)
    pay(service, gift, "glasses", 12)
    assert told(service, gift) == ("category", {"food": (11, 1_100_000), "glasses": (11, 1_100_000)})


def test_one_kind_of_few_hides_every_kind(service, gift):
    """Else what is missing could be taken from the sum."""
    pay(service, gift, "food", 22)
    pay(service, gift, "glasses", 3)
    level, cells = told(service, gift)
    assert level in ("group", "all") and sum(people for people, _ in cells.values()) == 22


def test_steps_are_of_eleven_people_and_their_money(service, gift):
    """The twelfth changes nothing, and neither does what is paid to somebody who counts already."""
    pay(service, gift, "food", 11, ore=300_000)
    before = told(service, gift)
    pay(service, gift, "food", 10, ore=900_000, on="2026-03-01", each=2)
    assert told(service, gift) == before == ("category", {"food": (11, 3_300_000)})
    pay(service, gift, "food", 1, ore=900_000, on="2026-04-01")
    assert told(service, gift) == ("category", {"food": (22, 3_300_000 + 21 * 900_000)})


def test_what_was_told_stands_whatever_comes_back(service, gift):
    """Of a refund the difference would tell, and of who takes the place of somebody whose money came back."""
    pay(service, gift, "food", 16)
    before = told(service, gift)
    [(line,)] = service.sql("SELECT u.line_id::text FROM donation_uses u WHERE donation_id = %s ORDER BY created_at LIMIT 1", gift)
    service.sql("INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore) SELECT donation_id, line_id, account_id, -100000"
                " FROM donation_uses WHERE line_id = %s", line)
    pay(service, gift, "food", 3, ore=900_000, on="2026-05-01")
    assert told(service, gift) == before == ("category", {"food": (11, 1_100_000)})


def test_level_stays_as_it_was_told(service, gift):
    pay(service, gift, "food", 11)
    before = told(service, gift)
    pay(service, gift, "glasses", 2, on="2026-03-01")
    assert told(service, gift) == before == ("category", {"food": (11, 1_100_000)})


def test_many_who_ask_at_once_are_told_the_same(service, gift):
    pay(service, gift, "food", 25)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: str(told(service, gift)), range(16)))
    assert answers == {str(("category", {"food": (22, 2_200_000)}))}


def test_those_who_are_paid_in_one_moment_count_in_their_own_step(service, gift):
    """Were all told with the first eleven, the next step would tell of one person's money alone."""
    pay(service, gift, "food", 21, at_once=True)
    assert told(service, gift) == ("category", {"food": (11, 1_100_000)})
    pay(service, gift, "food", 1, ore=900_000, on="2026-03-01")
    assert told(service, gift) == ("category", {"food": (22, 21 * 100_000 + 900_000)})


def test_line_that_is_settled_late_leaves_what_was_told(service, gift):
    """In the order of its payment it would put the eleventh out of her step, and the difference would tell of two."""
    pay(service, gift, "food", 11)
    before = told(service, gift)
    pay(service, gift, "food", 1, ore=900_000, on="2026-01-15", settled="2026-05-10")
    assert told(service, gift) == before == ("category", {"food": (11, 1_100_000)})


def test_recent_payments_are_not_told(service, gift):
    pay(service, gift, "food", 11, on="2026-10-05")
    assert told(service, gift) == ("none", {})


def test_line_that_is_not_wholly_paid_is_not_told(service, gift):
    pay(service, gift, "food", 11)
    service.sql("UPDATE line_sources SET reserved_ore = 1 WHERE line_id IN (SELECT line_id FROM donation_uses WHERE donation_id = %s LIMIT 1)",
                gift)
    assert told(service, gift) == ("none", {})


def test_nothing_tells_of_a_place_or_a_donor(service, gift):
    pay(service, gift, "food", 11)
    assert set(uses(service, gift)) == {"donation_id", "told_until", "level", "uses", "suppressed"}
