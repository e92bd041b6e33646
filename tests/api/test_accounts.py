"""Accounts and their statements: what there is, whose it is, and how it got there, always adding up."""

import uuid

import pytest

from books import BANK, CHILDREN_FUND, GENERAL_FUND, TODAY, book, empty, gift, month, name, pay, project, refund, release, reserve
from casework import done

SEEN_BY = ["fund_manager", "auditor", "decision_maker"]


@pytest.fixture(scope="module")
def books(service):
    """The children's fund: a gift and a promise three months ago, paid in part two months ago, nothing last month, and this
    month money back, a promise taken back, and a gift that was reversed. And a project with a gift."""
    empty(service)
    service.account, service.project = project(service)
    gift(service, month(3), CHILDREN_FUND, 100_000)
    reserve(service, month(3), CHILDREN_FUND, 40_000)
    pay(service, month(2), CHILDREN_FUND, 30_000)
    refund(service, month(0), CHILDREN_FUND, 5_000)
    release(service, month(0), CHILDREN_FUND, 2_500)
    mistaken = gift(service, month(0), CHILDREN_FUND, 7_000)
    book(service, "reversal", month(0), (BANK, "free", -7_000), (CHILDREN_FUND, "free", 7_000), reverses=mistaken)
    gift(service, TODAY, service.account, 60_000)
    return service


def statement(client, account, first, last):
    return done(client.get(f"/accounts/{account}/statement", params={"from_month": name(first), "to_month": name(last)}))


def adds_up(part):
    assert part["opening_ore"] + part["received_ore"] - part["paid_out_ore"] == part["closing_ore"]
    assert part["reserved_opening_ore"] + part["reserved_ore"] - part["settled_ore"] == part["reserved_closing_ore"]


def figures(part):
    return [part[member] for member in ("opening_ore", "received_ore", "paid_out_ore", "closing_ore", "reserved_opening_ore", "reserved_ore",
                                        "settled_ore", "reserved_closing_ore")]


@pytest.mark.parametrize("role", SEEN_BY)
def test_account_tells_what_is_posted_promised_and_left(books, role):
    account = done(books.as_(role).get("/accounts/" + CHILDREN_FUND))
    assert (account["kind"], account["number"], account["project_id"]) == ("children_fund", "2061", None)
    assert (account["posted_ore"], account["reserved_ore"], account["available_ore"]) == (75_000, 7_500, 67_500)
    assert account["name_sv"] == "IMTs fond för barn i människohandel"


@pytest.mark.parametrize("role", SEEN_BY)
def test_accounts_are_listed_by_number(books, role):
    accounts = done(books.as_(role).get("/accounts", params={"limit": 100}))["accounts"]
    numbers = [account["number"] for account in accounts]
    assert numbers == sorted(numbers) and {"1930", "2061", "2067", "2070"} <= set(numbers)
    [fund] = done(books.as_(role).get("/accounts", params={"kind": "general_fund"}))["accounts"]
    assert fund["id"] == GENERAL_FUND


def test_project_manager_sees_the_accounts_of_projects_only(books):
    manager = books.as_("project_manager")
    accounts = done(manager.get("/accounts"))["accounts"]
    assert {account["kind"] for account in accounts} == {"project"} and books.account in {account["id"] for account in accounts}
    assert done(manager.get("/accounts/" + books.account))["posted_ore"] == 60_000
    assert statement(manager, books.account, TODAY, TODAY)["total"]["closing_ore"] == 60_000
    months = {"from_month": name(TODAY), "to_month": name(TODAY)}
    for account in (CHILDREN_FUND, GENERAL_FUND, BANK):
        assert manager.get("/accounts/" + account).status_code == 404
        assert manager.get(f"/accounts/{account}/statement", params=months).status_code == 404


@pytest.mark.parametrize("role", ["partner", "case_worker", "triage", "admin"])
def test_nobody_else_sees_an_account(books, role):
    for path in ("/accounts", "/accounts/" + CHILDREN_FUND):
        assert books.as_(role).get(path).status_code == 403


@pytest.mark.parametrize("role", SEEN_BY)
def test_statement_is_the_movement_table_of_each_month(books, role):
    told = statement(books.as_(role), CHILDREN_FUND, month(4), month(0))
    assert [part["month"] for part in told["months"]] == [name(month(back)) for back in (4, 3, 2, 1, 0)]
    assert [figures(part) for part in told["months"]] == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 100_000, 0, 100_000, 0, 40_000, 0, 40_000],
        [100_000, 0, 30_000, 70_000, 40_000, 0, 30_000, 10_000],
        [70_000, 0, 0, 70_000, 10_000, 0, 0, 10_000],
        [70_000, 0, -5_000, 75_000, 10_000, -2_500, 0, 7_500],
    ]
    assert figures(told["total"]) == [0, 100_000, 25_000, 75_000, 0, 37_500, 30_000, 7_500]


def test_statement_adds_up_over_any_months(books):
    client = books.as_("fund_manager")
    for account in (CHILDREN_FUND, GENERAL_FUND, BANK, books.account):
        for first in range(5, -1, -1):
            for last in range(first, -1, -1):
                told = statement(client, account, month(first), month(last))
                assert len(told["months"]) == first - last + 1
                for part in (told["total"], *told["months"]):
                    adds_up(part)
                for earlier, later in zip(told["months"], told["months"][1:]):
                    assert earlier["closing_ore"] == later["opening_ore"]
                    assert earlier["reserved_closing_ore"] == later["reserved_opening_ore"]
                for member in ("received_ore", "paid_out_ore", "reserved_ore", "settled_ore"):
                    assert told["total"][member] == sum(part[member] for part in told["months"])
                assert told["total"]["opening_ore"] == told["months"][0]["opening_ore"]
                assert told["total"]["closing_ore"] == told["months"][-1]["closing_ore"]


def test_statement_ends_in_what_the_account_has(books):
    client = books.as_("auditor")
    for account in done(client.get("/accounts", params={"limit": 100}))["accounts"]:
        total = statement(client, account["id"], month(12), month(0))["total"]
        assert (total["closing_ore"], total["reserved_closing_ore"]) == (account["posted_ore"], account["reserved_ore"])


@pytest.mark.parametrize("months, code", [((month(0), month(-1)), "period_not_begun"), ((month(-1), month(-1)), "period_not_begun"),
                                          ((month(0), month(1)), "period_backwards"), ((month(120), month(0)), "period_too_long")])
def test_statement_is_of_months_that_have_begun_in_order(books, months, code):
    answer = books.as_("fund_manager").get(f"/accounts/{CHILDREN_FUND}/statement",
                                           params=dict(zip(("from_month", "to_month"), map(name, months))))
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["parameter"], fault["code"]) == ("to_month", code)


def test_statement_is_of_the_year_so_far(books):
    told = done(books.as_("fund_manager").get(f"/accounts/{CHILDREN_FUND}/statement"))
    assert (told["from_month"], told["to_month"]) == (f"{TODAY.year}-01", name(TODAY))
    told = done(books.as_("fund_manager").get(f"/accounts/{CHILDREN_FUND}/statement", params={"to_month": "2020-03"}))
    assert (told["from_month"], told["to_month"]) == ("2020-01", "2020-03")


@pytest.mark.parametrize("query", [{"from_month": "2026-13"}, {"from_month": "2026-1", "to_month": "2026-10"}, {"to_month": "2026-10-01"},
                                   {"from_month": "1999-12"}, {"from_month": ""}])
def test_month_is_a_year_and_a_month(books, query):
    assert books.as_("fund_manager").get(f"/accounts/{CHILDREN_FUND}/statement", params=query).status_code == 400


def test_balance_and_statement_read_no_entry(books):
    """So that they cost the same however many there are: nobody may read an entry now, and they answer at once."""
    client = books.as_("fund_manager")
    done(client.get("/accounts"))
    with books.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE ledger_entries, ledger_transactions IN ACCESS EXCLUSIVE MODE")
        assert done(client.get("/accounts/" + CHILDREN_FUND))["posted_ore"] == 75_000
        assert statement(client, CHILDREN_FUND, month(4), month(0))["total"]["closing_ore"] == 75_000
        assert client.get("/ledger/ratio").status_code == 200
        assert client.get("/ledger-transactions").status_code == 503, "which reads them"


def test_longest_statement_is_ten_years(books):
    assert len(statement(books.as_("fund_manager"), CHILDREN_FUND, month(119), month(0))["months"]) == 120


def test_unknown_account_has_no_statement(books):
    answer = books.as_("fund_manager").get(f"/accounts/{uuid.uuid4()}/statement", params={"from_month": "2026-01", "to_month": "2026-01"})
    assert answer.status_code == 404


def test_statement_that_is_known_is_not_sent_again(books):
    client, path = books.as_("fund_manager"), f"/accounts/{CHILDREN_FUND}/statement"
    months = {"from_month": name(month(3)), "to_month": name(month(1))}
    known = client.get(path, params=months).headers["ETag"]
    assert client.get(path, params=months, headers={"If-None-Match": known}).status_code == 304


def test_transactions_of_an_account_are_each_told_once(books):
    client, path = books.as_("auditor"), f"/accounts/{CHILDREN_FUND}/ledger-transactions"
    told = done(client.get(path, params={"limit": 100}))["ledger_transactions"]
    assert len({one["id"] for one in told}) == len(told) == 7
    assert [one["booked_on"] for one in told] == sorted((one["booked_on"] for one in told), reverse=True)
    for one in told:
        assert CHILDREN_FUND in {entry["account_id"] for entry in one["entries"]} and sum(entry["amount_ore"] for entry in one["entries"]) == 0
    page, paged = done(client.get(path, params={"limit": 2})), []
    while True:
        paged += page["ledger_transactions"]
        if "next" not in page["_links"]:
            break
        page = done(client.get(page["_links"]["next"]["href"].split("/v1", 1)[1]))
    assert paged == told
    since = done(client.get(path, params={"booked_from": str(month(2)), "booked_to": str(month(1))}))["ledger_transactions"]
    assert [one["kind"] for one in since] == ["payment"]
