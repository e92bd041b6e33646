"""Builders of the ledger's tests: transactions booked on days of their own choice, as the database's owner, and what they must come to."""

import datetime
import uuid

CHILDREN_FUND = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01"
GENERAL_FUND = "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402"
BANK = "e37b2a90-64cd-4e1f-b5a8-0c9d41f7a803"
TODAY = datetime.date.today()


def month(back=0):
    """The first day of the month that many before this one."""
    years, months = divmod(TODAY.year * 12 + TODAY.month - 1 - back, 12)
    return datetime.date(years, months + 1, 1)


def name(day):
    return f"{day:%Y-%m}"


def empty(service):
    """Takes away what the demo has booked, so that days before it can be booked on: past every guard."""
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("ledger_entries", "ledger_transactions", "account_months", "donation_uses", "donations", "line_sources"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE accounts SET posted_ore = 0, reserved_ore = 0, booked_on = '2010-01-01'")


def project(service, name_sv="Unga IMT", number="2070"):
    """A project with an account: the account's id, and the project's."""
    made, account = str(uuid.uuid4()), str(uuid.uuid4())
    service.sql("INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)"
                " VALUES (%s, %s, 'Project', 'Gålöstiftelsen', '2016-01-01', '2099-12-31', '2099-12-31', '{children}')", made, name_sv)
    service.sql("INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en) VALUES (%s, 'project', %s, %s, %s, 'Project')",
                account, made, number, name_sv)
    return account, made


def book(service, kind, day, *entries, reverses=None, about=None):
    """One transaction of entries (account, layer, öre), each account's in the order of its days. Its id."""
    made = str(uuid.uuid4())
    with service.connect() as connection, connection.transaction():
        connection.execute("INSERT INTO ledger_transactions (id, kind, about, booked_on, reverses_id) VALUES (%s, %s, %s, %s, %s)",
                           [made, kind, about or uuid.uuid4(), day, reverses])
        connection.execute("INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)"
                           " SELECT %s, e.place, e.account, e.layer, e.amount, %s FROM unnest(%s::uuid[], %s::text[], %s::bigint[])"
                           " WITH ORDINALITY AS e (account, layer, amount, place)", [made, day, *map(list, zip(*entries))])
    return made


def gift(service, day, account, ore):
    return book(service, "gift", day, (BANK, "free", ore), (account, "free", -ore))


def reserve(service, day, account, ore):
    return book(service, "reservation", day, (account, "free", ore), (account, "reserved", -ore))


def release(service, day, account, ore):
    return book(service, "release", day, (account, "reserved", ore), (account, "free", -ore))


def pay(service, day, account, ore):
    return book(service, "payment", day, (account, "reserved", ore), (BANK, "free", -ore))


def refund(service, day, account, ore):
    return book(service, "refund", day, (BANK, "free", ore), (account, "free", -ore))
