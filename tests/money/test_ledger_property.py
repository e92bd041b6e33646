"""The ledger in SQL, by itself: whatever is asked of it, in whatever order and amounts, by however many at once, it stays true."""

import concurrent.futures
import datetime
import json
import secrets
import threading
import uuid

import psycopg
import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from replay import assert_told

EXAMPLES, STEPS = 40, 40
KEEPER, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
APPEND_ONLY = ["ledger_transactions", "ledger_entries", "donation_uses"]
KEPT = [*APPEND_ONLY, "accounts", "account_months", "donations", "line_sources", "disbursements", "disbursement_sources", "recoveries"]
INTERNAL = ["book", "reserve", "release", "pay", "take_back", "use_donations", "return_donations", "move_accounts",
            "book_donation", "insert_donation", "pay_out", "pay_at_once", "open_claim", "give_up", "cancel_unpaid"]
ROLES = ["utvag_app", "utvag_login", "utvag_public", "utvag_partner", "utvag_case", "utvag_finance", "utvag_project", "utvag_auditor",
         "utvag_admin"]
# Of a child or not, for what and where. Each line serves one.
PURPOSES = [(True, "pram", "01"), (False, "glasses", "01"), (False, "food", None)]
USE_BY = {"use_by": "2026-01-03"}
RESTRICTIONS = [{}, {}, {"children_only": True}, {"county_codes": ["01"]}, {"category_codes": ["pram", "food"]}, USE_BY]
AMOUNTS = strategies.integers(-50, 150) | strategies.sampled_from([0, 60, 100, 2**62])


@pytest.fixture(scope="module")
def database(cluster):
    name = cluster.clone()
    yield lambda: cluster.connect(name)
    cluster.drop(name)


@pytest.fixture
def own_database(cluster):
    """For what leaves a faulty ledger behind when it fails."""
    name = cluster.clone()
    yield lambda: cluster.connect(name)
    cluster.drop(name)


def make_account(connection):
    """An account of a new project."""
    project, account = str(uuid.uuid4()), str(uuid.uuid4())
    connection.execute("INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)"
                       " VALUES (%s, 'Prov', 'Trial', 'Stiftelsen', '2020-01-01', '2099-12-31', '2099-12-31', '{adults}')", [project])
    connection.execute("INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en)"
                       " VALUES (%s, 'project', %s, '2070', 'Prov', 'Trial')", [account, project])
    return account


def make_line(connection):
    """A decision's line, without the decision: the ledger asks only that it is there."""
    line = str(uuid.uuid4())
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("INSERT INTO decision_lines (id, decision_id, application_id, need_id, person_id, category_code, position,"
                           " outcome, amount_ore) VALUES (%s, %s, %s, %s, %s, 'food', 1, 'granted', 1)",
                           [line, *(uuid.uuid4() for _ in range(4))])
    return line


def give(connection, account, amount, restriction=None, received_on="2026-01-02"):
    gift = str(uuid.uuid4())
    body = {"id": gift, "kind": "gift", "account_id": account, "amount_ore": amount, "channel_code": "swish", "anonymous": True,
            "channel_reference": secrets.token_hex(8), "received_on": received_on, "restriction": restriction or {}}
    connection.execute("SELECT set_config('utvag.principal', %s, false), register_donation(%s)", [KEEPER, json.dumps(body)])
    return gift


def admits(restriction, purpose):
    child, category, county = purpose
    return ((child or not restriction.get("children_only")) and county in restriction.get("county_codes", [county])
            and category in restriction.get("category_codes", [category]) and "use_by" not in restriction)


class Ledger(RuleBasedStateMachine):
    """A few accounts, gifts and lines, and what is held of them as this reckons. Every step is tried on the database: it does what
    the reckoning says, or, where that says it cannot be done, is refused and changes nothing."""

    connection = None

    @initialize()
    def begin(self):
        self.accounts = [make_account(self.connection) for _ in range(3)]
        self.lines = [(make_line(self.connection), purpose) for purpose in PURPOSES * 2]
        self.free = dict.fromkeys(self.accounts, 0)
        self.reserved, self.paid = {}, {}
        self.gifts = {}
        self.connection.execute("SELECT set_config('utvag.principal', %s, false)", [KEEPER])
        # So much at once that whatever is drawn first has something to work on.
        restrictions = [{"children_only": True}, {"county_codes": ["01"]}, USE_BY]
        for account, (line, purpose), restriction in zip(self.accounts, self.lines, restrictions):
            for ore, serves, day in ((40, restriction, "2026-01-01"), (60, {}, "2026-01-02")):
                self.gifts[give(self.connection, account, ore, serves, day)] = (account, ore, serves)
                self.free[account] += ore
            self.promise(account, line, purpose, 40)
            self.settle((line, account), 20)

    def seen(self):
        """All that a refused operation leaves as it was."""
        statements = ["SELECT * FROM accounts ORDER BY id", "SELECT count(*) FROM ledger_transactions", "SELECT count(*) FROM ledger_entries",
                      "SELECT count(*) FROM donation_uses", "SELECT sum(remaining_ore), sum(version) FROM donations",
                      "SELECT sum(reserved_ore), sum(paid_ore) FROM line_sources"]
        return [self.connection.execute(statement).fetchall() for statement in statements]

    def tried(self, possible, statement, *values):
        """Carries a statement out, which succeeds if, and only if, it is possible. What it gave, or how it was refused."""
        before = None if possible else self.seen()
        try:
            given = self.connection.execute(statement, values).fetchone()[0]
        except psycopg.Error as refusal:
            assert not possible, (statement, values, refusal)
            assert self.seen() == before
            return refusal.diag.message_detail
        assert possible, ("was not refused", statement, values)
        return given

    def left(self, account):
        """What gifts have left, in the order in which they are used."""
        rows = self.connection.execute("SELECT id::text, remaining_ore FROM donations WHERE account_id = %s AND reversed_at IS NULL"
                                       " ORDER BY received_on, id", [account])
        return dict(rows.fetchall())

    @rule(at=strategies.integers(0, 2), amount=AMOUNTS, restriction=strategies.sampled_from(RESTRICTIONS),
          received_on=strategies.sampled_from(["2026-01-01", "2026-01-02"]))
    def gift(self, at, amount, restriction, received_on):
        account = self.accounts[at]
        if amount <= 0:
            with pytest.raises(psycopg.Error):
                give(self.connection, account, amount)
        elif amount < 2**40:
            self.gifts[give(self.connection, account, amount, restriction, received_on)] = (account, amount, restriction)
            self.free[account] += amount

    @rule(at=strategies.integers(0, 2), of=strategies.integers(0, 5), data=strategies.data())
    def reserve(self, at, of, data):
        self.promise(self.accounts[at], *self.lines[of], self.amount(data, self.free[self.accounts[at]]))

    def promise(self, account, line, purpose, amount):
        left = self.left(account)
        admitted = {gift: rest for gift, rest in left.items() if admits(self.gifts[gift][2], purpose)}
        possible = 0 < amount <= sum(admitted.values())
        detail = self.tried(possible, "SELECT reserve(%s, %s, %s, %s::purpose)", line, account, amount, self.purpose(purpose))
        if amount > self.free[account]:
            assert detail == "insufficient_funds"
        elif not possible and amount > 0:
            assert detail == "fund_purpose_violation"
        elif possible:
            self.assert_first_in_first_out(account, left, admitted, amount)
            self.free[account] -= amount
            self.reserved[line, account] = self.reserved.get((line, account), 0) + amount

    @staticmethod
    def purpose(purpose):
        child, category, county = purpose
        return f"({'t' if child else 'f'},{category},{county or ''})"

    def assert_first_in_first_out(self, account, left, admitted, amount):
        after = self.left(account)
        for gift, rest in left.items():
            used = min(rest, amount) if gift in admitted else 0
            assert after[gift] == rest - used
            amount -= used

    @staticmethod
    def amount(data, most):
        """Mostly one that there is, else one just beside it, or none at all."""
        beside = strategies.sampled_from([-most, -1, 0, most, most + 1, 2**62])
        return data.draw(strategies.integers(1, most) if most and data.draw(strategies.integers(0, 2)) else beside)

    def some(self, data, kept):
        """A line and an account, mostly where something is kept for the line, and an amount about as large as that is."""
        there = [held for held, ore in kept.items() if ore]
        anything = strategies.tuples(strategies.sampled_from([line for line, _ in self.lines]), strategies.sampled_from(self.accounts))
        held = data.draw(strategies.sampled_from(there) if there and data.draw(strategies.integers(0, 4)) else anything)
        return held, self.amount(data, kept.get(held, 0))

    @rule(data=strategies.data())
    def release(self, data):
        held, amount = self.some(data, self.reserved)
        possible = 0 < amount <= self.reserved.get(held, 0)
        self.tried(possible, "SELECT release(%s, %s, %s)", *held, amount)
        if possible:
            self.reserved[held] -= amount
            self.free[held[1]] += amount

    @rule(data=strategies.data())
    def pay(self, data):
        self.settle(*self.some(data, self.reserved))

    def settle(self, held, amount):
        possible = 0 < amount <= self.reserved.get(held, 0)
        self.tried(possible, "SELECT pay(%s, %s, %s, gen_random_uuid())", *held, amount)
        if possible:
            self.reserved[held] -= amount
            self.paid[held] = self.paid.get(held, 0) + amount

    @rule(data=strategies.data())
    def refund(self, data):
        held, amount = self.some(data, self.paid)
        possible = 0 < amount <= self.paid.get(held, 0)
        self.tried(possible, "SELECT take_back('refund', %s, %s, %s, gen_random_uuid())", *held, amount)
        if possible:
            self.paid[held] -= amount
            self.free[held[1]] += amount

    def claims(self):
        return self.connection.execute("SELECT available_ore FROM accounts WHERE kind = 'claims'").fetchone()[0]

    @rule(amount=AMOUNTS.filter(lambda amount: amount < 2**40))
    def claim_or_write_off(self, amount):
        kind, entries = "claim" if amount > 0 else "write_off", "(account_of('receivables'), 'free', %s), (account_of('claims'), 'free', %s)"
        self.tried(amount != 0 and self.claims() + amount >= 0,
                   f"SELECT book('{kind}', gen_random_uuid(), ARRAY[{entries}]::ledger_entry[])", amount, -amount)

    @rule(data=strategies.data())
    def repayment(self, data):
        held, amount = self.some(data, self.paid)
        owed = self.claims()
        possible = 0 < amount <= min(self.paid.get(held, 0), owed)
        self.tried(possible, "SELECT take_back('repayment', %s, %s, %s, gen_random_uuid(), %s)", *held, amount, amount)
        if possible:
            self.paid[held] -= amount
            self.free[held[1]] += amount
            assert self.claims() == owed - amount

    @rule(data=strategies.data(), by=strategies.sampled_from([OTHER, KEEPER]))
    def reversal(self, data, by):
        if not self.gifts:
            return
        gift = data.draw(strategies.sampled_from(list(self.gifts)))
        account, amount, _ = self.gifts[gift]
        possible = by == OTHER and self.left(account).get(gift) == amount
        version = self.connection.execute("SELECT version FROM donations WHERE id = %s", [gift]).fetchone()[0]
        self.connection.execute("SELECT set_config('utvag.principal', %s, false)", [by])
        self.tried(possible, "SELECT take_back_donation(%s, 'bounced', %s)::text", gift, version)
        if possible:
            self.free[account] -= amount

    @rule(at=strategies.sampled_from([0, 1, 2, None]), days=strategies.sampled_from([1, 20, 31, 75, 400]))
    def time_passes(self, at, days):
        """For one account or for all: what is booked next is booked no earlier."""
        self.connection.execute("UPDATE accounts SET booked_on = greatest(booked_on, today()) + %s WHERE id = ANY (%s)",
                                [days, self.accounts if at is None else [self.accounts[at]]])

    @invariant()
    def what_is_kept_is_what_was_done(self):
        if not hasattr(self, "accounts"):
            return
        told = {account: (available, reserved) for account, available, reserved in self.connection.execute(
            "SELECT id::text, available_ore, reserved_ore FROM accounts WHERE id = ANY (%s::uuid[])", [self.accounts])}
        assert told == {account: (self.free[account], sum(ore for (_, of), ore in self.reserved.items() if of == account))
                        for account in self.accounts}
        sources = {(line, account): (reserved, paid) for line, account, reserved, paid in self.connection.execute(
            "SELECT line_id::text, account_id::text, reserved_ore, paid_ore FROM line_sources WHERE account_id = ANY (%s::uuid[])"
            " AND reserved_ore + paid_ore <> 0", [self.accounts])}
        assert sources == {held: (self.reserved.get(held, 0), self.paid.get(held, 0)) for held in {*self.reserved, *self.paid}
                           if self.reserved.get(held, 0) + self.paid.get(held, 0)}
        assert self.connection.execute("SELECT * FROM ledger_faults()").fetchall() == []

    def teardown(self):
        if hasattr(self, "accounts"):
            assert_told(self.connection, self.accounts)


def test_whatever_is_asked_of_it_the_ledger_stays_true(own_database):
    with own_database() as Ledger.connection:
        run_state_machine_as_test(Ledger, settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, print_blob=True,
            suppress_health_check=list(HealthCheck)))
        assert_told(Ledger.connection)


def test_what_comes_back_is_the_last_gifts_first(database):
    with database() as connection:
        account, line = make_account(connection), make_line(connection)
        first, last = (give(connection, account, 50, received_on=day) for day in ("2026-01-01", "2026-01-02"))
        connection.execute("SELECT reserve(%s, %s, 80, '(f,food,)')", [line, account])
        connection.execute("SELECT release(%s, %s, 40)", [line, account])
        left = connection.execute("SELECT id::text, remaining_ore FROM donations WHERE account_id = %s", [account]).fetchall()
        assert dict(left) == {first: 10, last: 50}
        assert_told(connection, [account])


# -- at once ---------------------------------------------------------------------------------------------------------------

def at_once(database, calls, width=50):
    """Carries out each call (a statement and its values) on connections that begin together; their refusals, None where done."""
    start = threading.Barrier(width)

    def run(some):
        told = []
        with database() as connection:
            start.wait()
            for statement, values in some:
                try:
                    connection.execute(statement, values)
                    told.append(None)
                except psycopg.Error as refusal:
                    told.append(refusal.diag.message_detail or str(refusal))
        return told

    with concurrent.futures.ThreadPoolExecutor(width) as threads:
        return [answer for answers in threads.map(run, [calls[at::width] for at in range(width)]) for answer in answers]


def test_of_200_who_want_60_of_100_at_once_one_gets_it(database):
    with database() as connection:
        account, lines = make_account(connection), [make_line(connection) for _ in range(200)]
        give(connection, account, 100)
        told = at_once(database, [("SELECT reserve(%s, %s, 60, '(f,food,)')", (line, account)) for line in lines])
        assert sorted(told, key=str) == [None] + ["insufficient_funds"] * 199
        [(available, reserved)] = connection.execute("SELECT available_ore, reserved_ore FROM accounts WHERE id = %s", [account])
        assert (available, reserved) == (40, 60)
        assert_told(connection)


def test_opposite_ways_over_the_same_accounts_neither_lock_each_other_out_nor_lose(database):
    """Everybody locks in one order: no deadlock however the accounts were named."""
    with database() as connection:
        accounts, line = [make_account(connection) for _ in range(4)], make_line(connection)
        for account in accounts:
            give(connection, account, 10_000)
        forth = "SELECT lock_accounts(%s::uuid[]), reserve(%s, %s, 10, '(f,food,)'), reserve(%s, %s, 10, '(f,food,)')"
        calls = []
        for at in range(200):
            first, second = accounts[at % 4], accounts[(at * 3 + 1) % 4]
            calls.append((forth, ([second, first], line, first, line, second)))
        assert at_once(database, calls, 40) == [None] * 200
        assert_told(connection)


# -- what is booked stays ----------------------------------------------------------------------------------------------------

@pytest.fixture
def booked(database):
    """A connection, as the tables' owner, to a ledger that holds something."""
    with database() as connection:
        account, line = make_account(connection), make_line(connection)
        give(connection, account, 100)
        connection.execute("SELECT reserve(%s, %s, 60, '(f,food,)')", [line, account])
        connection.execute("SET ROLE utvag_owner")
        yield connection, account
        connection.execute("RESET ROLE")
        assert_told(connection)


@pytest.mark.parametrize("role", ["utvag_owner", None])
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "UPDATE {} SET amount_ore = amount_ore + 1", "DELETE FROM {}",
                                       "DELETE FROM {} WHERE false", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_nobody_edits_what_is_booked(booked, table, statement, role):
    connection, _ = booked
    connection.execute("SET ROLE utvag_owner" if role else "RESET ROLE")
    columns = {name for (name,) in connection.execute("SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass", [table])}
    if "SET id" in statement and "id" not in columns or "amount_ore" in statement and "amount_ore" not in columns:
        statement = "UPDATE {} SET " + ("booked_on = booked_on + 1" if "booked_on" in columns else "created_at = now()")
    with pytest.raises(psycopg.Error, match="append"):
        connection.execute(statement.format(table))


def add(connection, transaction, day, *entries, first=1):
    connection.execute("INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)"
                       " SELECT %s, %s + e.at, e.account, e.layer, e.ore, %s FROM unnest(%s::uuid[], %s::text[], %s::bigint[])"
                       " WITH ORDINALITY AS e (account, layer, ore, at)", [transaction, first, day, *map(list, zip(*entries))])


def begin(connection, day, kind="reservation"):
    made = uuid.uuid4()
    connection.execute("INSERT INTO ledger_transactions (id, kind, about, booked_on) VALUES (%s, %s, %s, %s)",
                       [made, kind, uuid.uuid4(), day])
    return made


def today(connection):
    return connection.execute("SELECT today()").fetchone()[0]


def test_nothing_is_added_to_what_is_booked(booked):
    connection, account = booked
    for transaction, day in connection.execute("SELECT id, booked_on FROM ledger_transactions").fetchall():
        with pytest.raises(psycopg.errors.CheckViolation):
            add(connection, transaction, day, (account, "free", 1), (account, "reserved", -1), first=10)


UNBALANCED = [[], [("free", 1)], [("free", 1), ("reserved", -2)], [("free", -1), ("free", -1)], [("free", 1), ("reserved", -1), ("free", -1)]]


@pytest.mark.parametrize("entries", UNBALANCED)
@pytest.mark.parametrize("apart", [False, True])
def test_what_does_not_add_up_is_never_booked(booked, entries, apart):
    connection, account = booked
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        made = begin(connection, today(connection))
        groups = [[entry] for entry in entries] if apart else [entries]
        for place, group in enumerate(group for group in groups if group):
            add(connection, made, today(connection), *[(account, *entry) for entry in group], first=10 * place)


def test_what_adds_up_and_was_checked_gets_nothing_more(booked):
    """A check that is made early is not made again at the commit."""
    connection, account = booked
    day = today(connection)
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        made = begin(connection, day)
        add(connection, made, day, (account, "free", 1), (account, "reserved", -1))
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        add(connection, made, day, (account, "free", -1), first=10)


@pytest.mark.parametrize("shift", [-1, -40, 1])
def test_nothing_is_booked_backwards_or_on_another_day_than_its_transaction(booked, shift):
    connection, account = booked
    day = today(connection)
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        made = begin(connection, day + datetime.timedelta(shift) if shift < 0 else day)
        add(connection, made, day + datetime.timedelta(shift), (account, "free", 1), (account, "reserved", -1))


def test_a_transaction_is_reversed_once(booked):
    connection, account = booked
    [(gift,)] = connection.execute("SELECT t.id FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id"
                                   " WHERE t.kind = 'gift' AND e.account_id = %s", [account])
    entries = "ARRAY[(%s, 'free', 1), (account_of('bank'), 'free', -1)]::ledger_entry[]"
    with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
        for _ in range(2):
            connection.execute(f"SELECT book('reversal', gen_random_uuid(), {entries}, %s)", [account, gift])


# -- who may ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("role", ROLES)
def test_no_role_of_the_service_writes_money(database, role):
    with database() as connection:
        granted = connection.execute(
            "SELECT t, p FROM unnest(%s::text[]) t, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER,REFERENCES}'::text[]) p"
            " WHERE has_table_privilege(%s, t, p) OR p IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(%s, t, p)",
            [KEPT, role, role]).fetchall()
        assert granted == []
        connection.execute(f"SET ROLE {role}")
        for table in KEPT:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_of_the_service_books_by_itself(database, role):
    with database() as connection:
        found = {name for (name,) in connection.execute("SELECT proname::text FROM pg_proc WHERE proname = ANY (%s)", [INTERNAL])}
        assert found == set(INTERNAL)
        assert connection.execute("SELECT p.oid::regprocedure::text FROM pg_proc p WHERE proname = ANY (%s)"
                                  " AND has_function_privilege(%s, p.oid, 'EXECUTE')", [INTERNAL, role]).fetchall() == []
