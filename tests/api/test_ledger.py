"""The ledger as its readers get it: transactions, the year's ratio, and the whole of a period as JSON, NDJSON, CSV and SIE."""

import collections
import concurrent.futures
import csv
import datetime
import decimal
import io
import json
import pathlib
import socket
import time
import uuid

import pytest
import requests

import sie
from books import (BANK, CHILDREN_FUND, GENERAL_FUND, TODAY, book, empty, gift, month, name, pay, project, refund, release, reserve)
from casework import done
from cluster import binary

FORMS = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv", "sie": "application/x-sie"}
NUMBERS = {CHILDREN_FUND: "2061", GENERAL_FUND: "2067", BANK: "1930"}
NAME = '=Unga, "IMT" & Åsa €\r\n'
YEAR = month(0).replace(month=1)
LAST_YEAR, MIDDLE = datetime.date(YEAR.year - 1, 7, 1), datetime.date(YEAR.year - 1, 7, 15)


@pytest.fixture(scope="module")
def books(serving):
    """A gift and a promise of last year; this year more of both, a payment, money back, a reversal, and a project's own."""
    with serving(organisation_name='Föreningen "IMT"', organisation_number="802000-0009") as service:
        empty(service)
        service.account, service.project = project(service, NAME)
        service.other_account, service.other_project = project(service, "Stockholm")
        service.about = str(uuid.uuid4())
        gift(service, LAST_YEAR, CHILDREN_FUND, 100_050)
        reserve(service, LAST_YEAR, CHILDREN_FUND, 40_000)
        gift(service, LAST_YEAR, service.account, 60_000)
        gift(service, MIDDLE, CHILDREN_FUND, 900)
        pay(service, YEAR, CHILDREN_FUND, 30_001)
        refund(service, YEAR, CHILDREN_FUND, 5_000)
        gift(service, TODAY, service.other_account, 2_000)
        reserve(service, TODAY, service.account, 20_000)
        book(service, "payment", TODAY, (service.account, "reserved", 20_000), (service.account, "free", -500), (BANK, "free", -19_500),
             about=service.about)
        release(service, TODAY, CHILDREN_FUND, 2_500)
        mistaken = gift(service, TODAY, GENERAL_FUND, 7_000)
        book(service, "reversal", TODAY, (BANK, "free", -7_000), (GENERAL_FUND, "free", 7_000), reverses=mistaken)
        yield service


@pytest.fixture
def manager(books):
    return books.as_("fund_manager")


def export(client, form="json", status=200, **query):
    answer = client.get("/ledger", params=query, headers={"Accept": FORMS[form]})
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.headers["Content-Type"] == FORMS[form] and answer.headers["Transfer-Encoding"] == "chunked"
    return answer


def kronor(ore):
    return decimal.Decimal(ore) / 100


# -- transactions ----------------------------------------------------------------------------------------------------

def test_transaction_tells_what_was_booked_and_not_whom_it_concerns(books, manager):
    listed = done(manager.get("/ledger-transactions", params={"kind": "payment"}))["ledger_transactions"]
    assert len(listed) == 2
    one = done(manager.get("/ledger-transactions/" + listed[0]["id"]))
    assert one == listed[0]
    assert set(one) == {"id", "kind", "voucher", "booked_on", "reverses_id", "donation_id", "entries", "version"}
    assert one["donation_id"] is None and books.about not in json.dumps(listed)


def test_gift_names_its_donation_and_a_reversal_what_it_reverses(books, manager):
    [reversal] = done(manager.get("/ledger-transactions", params={"kind": "reversal"}))["ledger_transactions"]
    mistaken = done(manager.get("/ledger-transactions/" + reversal["reverses_id"]))
    assert mistaken["kind"] == "gift" and reversal["donation_id"] is None
    [(about,)] = books.sql("SELECT about::text FROM ledger_transactions WHERE id = %s", mistaken["id"])
    assert mistaken["donation_id"] == about


def test_transactions_are_found_by_kind_and_day(books, manager):
    def days(**query):
        return [one["booked_on"] for one in done(manager.get("/ledger-transactions", params={"limit": 100} | query))["ledger_transactions"]]

    assert days() == sorted(days(), reverse=True) and len(days()) == 12
    assert days(sort="booked_on") == sorted(days())
    assert set(days(booked_to=str(LAST_YEAR))) == {str(LAST_YEAR)}
    assert days(booked_from=str(YEAR), booked_to=str(YEAR)) == [str(YEAR)] * 2
    assert len(days(kind="gift")) == 5


@pytest.mark.parametrize("path", ["/ledger-transactions", "/ledger", "/ledger/ratio", f"/accounts/{BANK}/ledger-transactions"])
@pytest.mark.parametrize("role", ["decision_maker", "project_manager", "case_worker", "partner", "admin"])
def test_only_the_funds_keepers_and_auditors_read_the_ledger(books, path, role):
    assert books.as_(role).get(path).status_code == 403
    assert books.as_("auditor").get(path).status_code == 200


# -- the ratio ---------------------------------------------------------------------------------------------------------

def test_ratio_is_what_was_paid_out_of_what_came_in(manager):
    told = done(manager.get("/ledger/ratio", params={"from_month": name(LAST_YEAR), "to_month": name(TODAY)}))
    income, purpose = 100_050 + 60_000 + 900 + 2_000, 30_001 - 5_000 + 19_500
    assert (told["income_ore"], told["purpose_ore"]) == (income, purpose)
    assert told["purpose_per_mille"] == purpose * 1000 // income and told["required_per_mille"] == 750
    assert told["meets_requirement"] is False
    assert told["promised_ore"] == 40_000 - 30_001 - 2_500


def test_ratio_holds_when_three_quarters_went_to_the_purpose(manager):
    told = done(manager.get("/ledger/ratio", params={"from_month": name(YEAR)}))
    assert told["purpose_ore"] > told["income_ore"] and told["meets_requirement"] is True


def test_without_income_there_is_no_ratio(manager):
    told = done(manager.get("/ledger/ratio", params={"from_month": "2020-01", "to_month": "2020-12"}))
    assert (told["income_ore"], told["purpose_per_mille"], told["meets_requirement"]) == (0, None, None)


# -- the whole of a period -----------------------------------------------------------------------------------------------

def transactions(client, **query):
    return export(client, **query).json()["ledger_transactions"]


def test_export_is_the_period_in_the_order_of_its_days(books, manager):
    everything = transactions(manager, from_on=str(LAST_YEAR))
    days = [one["booked_on"] for one in everything]
    assert len(everything) == 12 and days == sorted(days)
    assert {one["id"]: one for one in everything} == {
        one["id"]: one for one in done(manager.get("/ledger-transactions", params={"limit": 100}))["ledger_transactions"]}
    assert len(transactions(manager)) == 8, "this year's"
    assert len(transactions(manager, from_on=str(LAST_YEAR), to_on=str(YEAR))) == 6
    assert transactions(manager, from_on="2020-01-01", to_on="2020-12-31") == []


def test_lines_are_the_same_transactions(manager):
    lines = export(manager, "ndjson", from_on=str(LAST_YEAR)).text
    assert lines.endswith("\n") and [json.loads(line) for line in lines.splitlines()] == transactions(manager, from_on=str(LAST_YEAR))


def test_csv_is_the_same_entries(books, manager):
    answer = export(manager, "csv", from_on=str(LAST_YEAR))
    text = answer.content.decode()
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    expected = [(one["id"], one["voucher"], one["kind"], one["booked_on"], one["reverses_id"] or "", entry["account_id"], entry["layer"],
                 str(entry["amount_ore"])) for one in transactions(manager, from_on=str(LAST_YEAR)) for entry in one["entries"]]
    assert [(row["transaction_id"], row["voucher"], row["kind"], row["booked_on"], row["reverses_id"], row["account_id"], row["layer"],
             row["amount_ore"]) for row in rows] == expected
    assert {row["project_id"] for row in rows} == {"", books.project, books.other_project}
    assert {NUMBERS.get(row["account_id"], "2070") == row["account_number"] for row in rows} == {True}


def test_csv_holds_no_formula(books, manager):
    rows = csv.DictReader(io.StringIO(export(manager, "csv", from_on=str(LAST_YEAR)).content.decode(), newline=""))
    names = {row["account_name"] for row in rows if row["account_id"] == books.account}
    assert names == {"'" + NAME}
    for cell in ("=1", "+1", "-1", "@A1", "\t=1", "\r=1"):
        assert books.sql("SELECT csv_cell(%s)", cell)[0][0].strip('"').startswith("'")
    assert books.sql("SELECT csv_cell(%s), csv_cell(NULL)", "a-b") == [("a-b", "")]


def read_sie(client, **query):
    return sie.File(export(client, "sie", **query).content)


def test_sie_says_what_it_is(books, manager):
    file = read_sie(manager)
    assert file.one("#FLAGGA") == ["0"] and file.one("#FORMAT") == ["PC8"] and file.one("#SIETYP") == ["4"]
    assert file.one("#PROGRAM")[0] == "Utväg" and file.one("#GEN") == [f"{TODAY:%Y%m%d}"]
    assert file.one("#FNAMN") == ['Föreningen "IMT"'] and file.one("#ORGNR") == ["802000-0009"]
    assert file.labels["#RAR"] == [["0", f"{YEAR:%Y%m%d}", f"{YEAR:%Y}1231"], ["-1", f"{LAST_YEAR:%Y}0101", f"{LAST_YEAR:%Y}1231"]]
    assert file.one("#OMFATTN") == [f"{TODAY:%Y%m%d}"]
    assert file.one("#DIM") == ["6", "Projekt"]
    assert ["1930", "Bank"] in file.labels["#KONTO"] and ["2061", "IMTs fond för barn i människohandel"] in file.labels["#KONTO"]
    objects = {row[1]: row[2] for row in file.labels["#OBJEKT"]}
    assert objects[books.project[:8].upper()] == '=Unga, "IMT" & Åsa ?  ' and objects[books.other_project[:8].upper()] == "Stockholm"


def test_sie_begins_with_its_flag(manager):
    assert export(manager, "sie").content.startswith(b"#FLAGGA 0\r\n")


@pytest.mark.parametrize("query", [{}, {"to_on": str(YEAR)}, {"from_on": str(LAST_YEAR), "to_on": f"{LAST_YEAR:%Y}-12-31"}])
def test_sie_vouchers_sum_to_zero_and_are_what_moved_between_accounts(books, manager, query):
    file = read_sie(manager, **query)
    number = collections.defaultdict(lambda: "2070", NUMBERS)
    projects = {books.account: books.project, books.other_account: books.other_project}
    expected = {}
    for one in transactions(manager, **query):
        moved = collections.Counter()
        for entry in one["entries"]:
            moved[entry["account_id"]] += entry["amount_ore"]
        rows = sorted((number[account], ["6", projects[account][:8].upper()] if account in projects else [], kronor(ore))
                      for account, ore in moved.items() if ore)
        if rows:
            expected[one["voucher"]] = (one["booked_on"].replace("-", ""), rows)
    assert {voucher.text: (voucher.day, sorted(voucher.rows)) for voucher in file.vouchers} == expected
    assert len(expected) > 0 and all(sum(row[2] for row in voucher.rows) == 0 for voucher in file.vouchers)
    assert {(voucher.series, voucher.number) for voucher in file.vouchers} == {("U", "")}


def test_sie_balances_are_those_of_the_statements(books, manager):
    file = read_sie(manager)
    totals = collections.defaultdict(collections.Counter)
    for account in done(manager.get("/accounts", params={"limit": 100}))["accounts"]:
        sign = 1 if account["kind"] in ("bank", "receivables") else -1
        for year, first, last in ((0, YEAR, TODAY), (-1, LAST_YEAR.replace(month=1), LAST_YEAR.replace(month=12))):
            months = {"from_month": name(first), "to_month": name(last)}
            total = done(manager.get(f"/accounts/{account['id']}/statement", params=months))["total"]
            totals["#IB", year][account["number"]] += sign * total["opening_ore"]
            totals["#UB", year][account["number"]] += sign * total["closing_ore"]
            if account["project_id"]:
                there = account["number"], account["project_id"][:8].upper()
                totals["#OIB", year][there] += sign * total["opening_ore"]
                totals["#OUB", year][there] += sign * total["closing_ore"]
    assert set(file.balances) == set(totals)
    for label, amounts in totals.items():
        assert file.balances[label] == {account: kronor(ore) for account, ore in amounts.items()}, label
    for label in ("#IB", "#UB"):
        assert sum(file.balances[label, 0].values()) == 0


def test_sie_balances_and_vouchers_agree(manager):
    """What the year began with and its vouchers make what it ended with, on any day of it."""
    for last in (TODAY, YEAR, LAST_YEAR, LAST_YEAR + datetime.timedelta(days=13), MIDDLE, LAST_YEAR.replace(day=31)):
        file = read_sie(manager, to_on=str(last))
        moved = collections.Counter(file.balances["#IB", 0])
        for voucher in file.vouchers:
            for account, _, amount in voucher.rows:
                moved[account] += amount
        assert dict(moved) == file.balances["#UB", 0]


def test_sie_is_of_one_year(manager):
    refused = export(manager, "sie", 422, from_on=str(LAST_YEAR))
    assert [(fault["parameter"], fault["code"]) for fault in refused.json()["errors"]] == [("to_on", "period_of_two_years")]


@pytest.mark.parametrize("query, code", [({"to_on": str(TODAY + datetime.timedelta(days=1))}, "period_not_begun"),
                                         ({"from_on": str(TODAY), "to_on": str(YEAR)}, "period_backwards"),
                                         ({"from_on": str(TODAY.replace(year=TODAY.year - 11))}, "period_too_long")])
def test_period_is_of_days_that_have_been(manager, query, code):
    if TODAY == YEAR:
        pytest.skip("on New Year's Day nothing is backwards within the year")
    assert export(manager, "json", 422, **query).json()["errors"][0]["code"] == code


@pytest.mark.parametrize("accept, kind", [
    ("*/*", "json"), ("text/csv, application/json;q=0.5", "csv"), ("application/*;q=0.2, text/*;q=0.9", "csv"),
    ("application/json;q=0, application/*", "ndjson"), ("application/x-sie", "sie"), ("text/csv;q=0.1, application/x-sie;q=0.2", "sie"),
    ("image/png, text/csv;q=0.001", "csv")])
def test_accept_chooses_the_form(manager, accept, kind):
    assert manager.get("/ledger", headers={"Accept": accept}).headers["Content-Type"] == FORMS[kind]


def test_form_that_there_is_not_is_406(manager):
    for accept in ("image/png", "text/csv;q=0", "application/xml, text/html"):
        answer = manager.get("/ledger", headers={"Accept": accept})
        assert answer.status_code == 406 and answer.json()["code"] == "not_acceptable"


@pytest.mark.parametrize("form", FORMS)
def test_export_never_says_whom_it_concerns(books, manager, form):
    assert books.about.encode() not in export(manager, form).content


def test_head_is_the_head_of_the_export(manager):
    answer = manager.head("/ledger", headers={"Accept": "text/csv"})
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/csv" and not answer.content
    assert done(manager.get("/accounts/" + BANK))["id"] == BANK, "the connection goes on"


def test_export_is_in_the_audit_log_before_its_first_byte(books, manager):
    answer = manager.get("/ledger", stream=True)
    first = next(answer.iter_content(1))
    trace = answer.headers["traceparent"].split("-")[1]
    assert first == b"{" and "no-store" in answer.headers["Cache-Control"]
    assert books.sql("SELECT operation, outcome, purpose FROM audit_events WHERE trace_id = %s", trace) == [
        ("exportLedger", "ok", "supervision")]
    answer.close()


def test_balances_and_vouchers_are_of_one_moment(serving):
    """What is booked after the balances were read, and before the vouchers are, is in neither."""
    with serving() as service:
        empty(service)
        gift(service, TODAY, GENERAL_FUND, 100)
        manager = service.as_("fund_manager")
        done(manager.get("/accounts"))
        with concurrent.futures.ThreadPoolExecutor() as pool, service.connect() as connection:
            with connection.transaction():
                connection.execute("ALTER VIEW sie_vouchers SET (security_invoker = true)")  # as it is: for the lock
                asked = pool.submit(read_sie, manager)
                until = time.time() + 10
                while not connection.execute("SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
                                             " WHERE datname = current_database())").fetchall():
                    assert time.time() < until and not asked.done(), "the export waits for nobody"
                    time.sleep(0.01)
                connection.execute("SELECT book('gift', gen_random_uuid(), ARRAY[(account_of('bank'), 'free', 7), (account_of('general_fund'),"
                                   " 'free', -7)]::ledger_entry[])")
            file = asked.result(10)
        assert len(file.vouchers) == 1 and file.balances["#UB", 0]["1930"] == decimal.Decimal("1.00")
        assert len(read_sie(manager).vouchers) == 2, "and in the next"


# -- what is long ------------------------------------------------------------------------------------------------------

ENTRIES = 200_000
LARGE = [
    """CREATE TABLE public.large AS SELECT n, gen_random_uuid() AS id, date '2015-01-01' + n / 100 AS day FROM generate_series(1, 100000) n""",
    "INSERT INTO ledger_transactions (id, kind, about, booked_on) SELECT id, 'gift', gen_random_uuid(), day FROM large",
    f"""INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)
        SELECT l.id, e.position, CASE WHEN e.position = 1 THEN '{BANK}' ELSE '{CHILDREN_FUND}' END::uuid, 'free', 3 - 2 * e.position, l.day
        FROM large l, generate_series(1, 2) AS e (position)""",
    "DROP TABLE public.large", "ANALYZE ledger_transactions", "ANALYZE ledger_entries",
]
PERIOD = {"from_on": "2015-01-01", "to_on": "2017-12-31"}


def fill(service):
    """Two hundred thousand entries."""
    empty(service)
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in LARGE:
            connection.execute(statement)


@pytest.fixture(scope="module")
def large(serving):
    """Two hundred thousand entries, one stream at a time, for five seconds; and two connections for all else."""
    with serving(streams=1, stream_seconds=5, pool=2, pool_wait_ms=300, statement_ms=20000) as service:
        fill(service)
        yield service


@pytest.fixture(scope="module")
def patient(serving):
    """As many entries, and time to read them all however busy the machine is."""
    with serving(streams=1, pool=2, statement_ms=60000) as service:
        fill(service)
        yield service


class Reader:
    """A client that reads the export as slowly as it likes."""

    def __init__(self, service, version="1.1", form="csv", slow=True):
        period = PERIOD if form != "sie" else {}
        client = service.as_("fund_manager")
        client.get("/accounts")
        self.socket = socket.socket()
        if slow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", service.port))
        query = "&".join(f"{key}={value}" for key, value in period.items())
        self.socket.sendall(f"GET /v1/ledger?{query} HTTP/{version}\r\nHost: 127.0.0.1\r\nAccept: {FORMS[form]}\r\n"
                            f"Authorization: {client.headers['Authorization']}\r\n\r\n".encode())
        self.got = self.socket.recv(100)
        assert b" 200 " in self.got, self.got

    def rest(self):
        """Everything up to the end of the connection; raises when that is a reset."""
        while piece := self.socket.recv(1 << 16):
            self.got += piece
        return self.got


def sessions(service):
    """The sessions of PostgreSQL that hold an export open."""
    return [row[0] for row in service.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'utvag_app'"
                                          " AND (query LIKE 'FETCH%%' OR query LIKE 'DECLARE%%')")]


def ends(service, seconds):
    """Waits until no export holds a session."""
    until = time.time() + seconds
    while sessions(service):
        assert time.time() < until, "an export still holds a session"
        time.sleep(0.1)


def memory(service, kind="VmHWM"):
    status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split(kind + ":")[1].split()[0])


def test_long_export_needs_no_memory_for_its_length(patient):
    client = patient.as_("auditor")
    export(client, "csv", from_on="2015-01-01", to_on="2015-01-10")
    pathlib.Path(f"/proc/{patient.process.pid}/clear_refs").write_text("5")  # the peak was a password's
    before = memory(patient)
    for form in FORMS:
        if form == "sie":
            continue
        size = len(export(client, form, **PERIOD).content)
        assert size > 15_000_000
    assert len(export(client, "sie", from_on="2015-01-01", to_on="2015-12-31").content) > 2_000_000
    grown = memory(patient) - before
    print(f"peak {memory(patient)} KiB, {grown} KiB above that of a short export")
    assert len(export(client, "csv", **PERIOD).content.splitlines()) == ENTRIES + 1
    if b"__asan_init" not in pathlib.Path(binary()).read_bytes():  # it keeps what was freed, to see who uses it
        assert grown < 8_000


def test_export_is_of_one_moment(patient):
    answer = patient.as_("fund_manager").get("/ledger", params=PERIOD, headers={"Accept": "text/csv"}, stream=True)
    pieces = answer.iter_content(1 << 16)
    told = next(pieces)
    patient.sql("UPDATE accounts SET name_sv = 'Efteråt' WHERE id = %s", CHILDREN_FUND)
    try:
        told += b"".join(pieces)
    finally:
        patient.sql("UPDATE accounts SET name_sv = 'IMTs fond för barn i människohandel' WHERE id = %s", CHILDREN_FUND)
    assert told.count(b"\r\n") == ENTRIES + 1 and "Efteråt".encode() not in told
    ends(patient, 3)


def test_one_who_leaves_leaves_nothing_behind(large):
    for _ in range(3):  # each in the only place
        reader = Reader(large)
        assert sessions(large)
        reader.socket.close()
        ends(large, 3)
    assert [line["end"] for line in large.log("stream")][-1] == "left"


def test_slow_reader_is_cut_off_and_keeps_nobody_waiting(large):
    reader, began, ended = Reader(large), time.time(), len(large.log("stream"))
    client = large.as_("auditor")
    for _ in range(20):
        assert client.get("/accounts").elapsed.total_seconds() < 1
    refused = client.get("/ledger", params=PERIOD)
    assert refused.status_code == 503 and refused.json()["code"] == "overloaded" and refused.headers["Retry-After"] == "5"
    ends(large, 8)
    while len(large.log("stream")) == ended:
        assert time.time() - began < 8, "the connection goes on"
        time.sleep(0.1)
    try:
        assert not reader.rest().endswith(b"0\r\n\r\n")
    except ConnectionResetError:
        pass
    export(client, "csv", from_on="2015-01-01", to_on="2015-01-10")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_export_that_loses_postgresql_does_not_look_whole(large, version):
    reader = Reader(large, version)
    [pid] = sessions(large)
    assert large.sql("SELECT pg_terminate_backend(%s)", pid) == [(True,)]
    with pytest.raises(ConnectionResetError):
        reader.rest()
    assert not reader.got.endswith(b"0\r\n\r\n")
    ends(large, 3)
    assert large.log("stream lost PostgreSQL") and [line["end"] for line in large.log("stream")][-1] == "broken"
    export(large.as_("auditor"), "csv", from_on="2015-01-01", to_on="2015-01-10")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_export_that_has_no_time_left_does_not_look_whole(serving, version):
    """Though its client has taken all there was: the vouchers wait for a lock, until the time is up."""
    with serving(stream_seconds=2, lock_ms=20000, statement_ms=20000) as service:
        service.as_("fund_manager").get("/accounts")
        with service.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute("ALTER VIEW sie_vouchers SET (security_invoker = true)")
            reader = Reader(service, version, "sie")
            with pytest.raises(ConnectionResetError):
                reader.rest()


def test_broken_export_is_an_error_to_a_usual_client(large):
    answer = large.as_("fund_manager").get("/ledger", params=PERIOD, stream=True)
    pieces = answer.iter_content(1000)
    next(pieces)
    [pid] = sessions(large)
    large.sql("SELECT pg_terminate_backend(%s)", pid)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        for _ in pieces:
            pass


def test_export_ends_before_the_service_does(serving):
    with serving(drain_seconds=30) as service:
        fill(service)
        reader = Reader(service, slow=False)
        service.process.terminate()
        assert reader.rest().endswith(b"0\r\n\r\n")
