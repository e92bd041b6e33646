"""The bank test: many clients give, decide, order, approve, send, confirm, refund and take back, at random and at once, while the
service is killed every few seconds and connections to PostgreSQL are cut. Every krona is accounted for in the end.

UTVAG_BANK_SECONDS: 60 unless told; 20 in a run of ctest."""

import collections
import os
import random
import secrets
import socket
import threading
import time

import pytest
import requests

from casework import REASON, keyed
from payments import BANKGIRO, GENERAL_FUND, VENDOR, faults, project_account
from ready import ready_cases
from replay import assert_told
from service import Client

CLIENTS, CASES, KILL_EVERY, CUT_EVERY = 16, 4_000, (2, 4), 1.5
ROLES = ["fund_manager", "fund_manager_2", "decision_maker", "decision_maker_2", "case_worker"]
LATER = {"database_away", "commit_in_doubt", "idempotency_in_flight"}  # the same request, again, says what became of it
BEGIN = '"1.00000000"'


def seconds():
    return float(os.environ.get("UTVAG_BANK_SECONDS", 20 if "UTVAG_TEST_CLUSTER" in os.environ else 60))


def free_port():
    """The service's each time that it starts: below those that the system gives out, lest somebody else gets it meanwhile."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is free")


class World:
    """What the clients know to have happened: acknowledged, all of it."""

    def __init__(self, accounts, cases):
        self.accounts, self.cases = accounts, cases
        self.lock = threading.Lock()
        self.gifts, self.reversed = {}, set()      # id: (account, öre, reference)
        self.lines, self.orders = {}, {}           # id: {account: öre}; id: (line, öre)
        self.approvals, self.cancelled = set(), set()
        self.files, self.outcomes = {}, {}         # id: payments; (file, disbursement): outcome
        self.refunds = {}                          # id: (disbursement, öre)
        self.done, self.refused = [], []           # (role, method, path, body, headers, answer); keys
        self.counts = collections.Counter()

    def some(self, of):
        with self.lock:
            return random.choice(list(of)) if of else None


class Teller(threading.Thread):
    """A client of the bank: one thing after the other, each until it is done or refused."""

    def __init__(self, service, world):
        super().__init__(daemon=True)
        self.world, self.ended, self.wrong = world, threading.Event(), None
        self.clients = {role: Client(service, service.cluster.credentials()[role]) for role in ROLES}

    def run(self):
        weighed = [(self.give, 4), (self.load, 2), (self.decide, 8), (self.order, 5), (self.approve, 7), (self.cancel, 1), (self.send, 1), (self.confirm, 5),
                   (self.refund, 2), (self.reverse, 2), (self.again, 3)]
        try:
            while not self.ended.is_set():
                random.choices([action for action, _ in weighed], [weight for _, weight in weighed])[0]()
        except BaseException as wrong:  # told by the main thread
            self.wrong = wrong

    # -- asking --

    def patiently(self, role, method, path, body, headers):
        """The same request until it has an answer that stands; how often it was sent."""
        for sent in range(1, 1_000):
            try:
                answer = self.clients[role].request(method, path, json=body, headers=headers)
                if answer.status_code != 503 and (answer.status_code != 409 or answer.json()["code"] not in LATER):
                    return answer
            except (requests.RequestException, AssertionError):  # a token that was asked for while the service was away
                self.world.counts["lost"] += 1
            time.sleep(random.uniform(0.02, 0.1))
        raise AssertionError(("no answer", method, path))

    def read(self, role, path):
        answer = self.patiently(role, "GET", path, None, {})
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json(), answer.headers["ETag"]

    def ask(self, role, path, body, wanted=(201, 200), **headers):
        """The answer's body, of what was done; None of what was refused, for a reason of the ledger's."""
        headers = keyed(**headers)
        answer = self.patiently(role, "POST", path, body, headers)
        with self.world.lock:
            if answer.status_code in wanted:
                self.world.done.append((role, path, body, headers, answer.text))
                self.world.counts[path.split("/")[-1] if path.count("/") > 1 else path] += 1
                return answer.json()
            assert answer.status_code in (409, 412), (path, body, answer.status_code, answer.text)
            self.world.refused.append(headers["Idempotency-Key"])
            self.world.counts[answer.json()["code"] if not answer.json().get("errors") else answer.json()["errors"][0]["code"]] += 1
        return None

    # -- doing --

    @staticmethod
    def gift(account, ore, reference):
        return {"kind": "gift", "account_id": account, "amount_ore": ore, "channel_code": "swish", "received_on": "2026-01-02",
                "channel_reference": reference, "anonymous": True}

    def give(self):
        account, ore, known = random.choice(self.world.accounts), random.randint(1, 200) * 100, self.world.some(self.world.gifts.values())
        reference = known[2] if known and random.random() < 0.1 else "SW-" + secrets.token_hex(8)
        if made := self.ask("fund_manager", "/donations", self.gift(account, ore, reference)):
            self.world.gifts[made["id"]] = (account, ore, reference)

    def load(self):
        """A file of gifts, some of them there already: registered by their references once, however often they are sent."""
        new = [(random.choice(self.world.accounts), random.randint(1, 100) * 100, "SW-" + secrets.token_hex(8))
               for _ in range(random.randint(1, 4))]
        known = [gift for gift in (self.world.some(self.world.gifts.values()) for _ in range(2)) if gift]
        rows = random.sample(new + known, len(new + known))
        told = self.ask("fund_manager", "/donation-files", {"donations": [self.gift(*gift) for gift in rows]})
        assert told["created"] == len(new) and told["already_there"] == len(known), (told, rows)
        for gift, one in zip(rows, told["donations"]):
            assert one["channel_reference"] == gift[2] and one["outcome"] == ("created" if gift in new else "already_there")
            self.world.gifts.setdefault(one["donation_id"], gift)

    def reverse(self):
        if gift := self.world.some(self.world.gifts):
            _, tag = self.read("fund_manager_2", f"/donations/{gift}")
            if self.ask("fund_manager_2", f"/donations/{gift}/reverse", {"reason_code": "bounced"}, **{"If-Match": tag}):
                self.world.reversed.add(gift)

    def decide(self):
        with self.world.lock:
            if not self.world.cases:
                return
            application, need = self.world.cases.pop()
        sources = {account: random.randint(1, 150) * 100 for account in random.sample(self.world.accounts, random.choice([1, 1, 2]))}
        line = {"need_id": need, "outcome": "granted", "amount_ore": sum(sources.values()),
                "sources": [{"account_id": account, "amount_ore": ore} for account, ore in sources.items()]}
        body = {"reasoning": REASON, "lines": [line]}
        made = self.ask(random.choice(["decision_maker", "decision_maker_2"]), f"/applications/{application}/decisions", body,
                        **{"If-Match": BEGIN})
        with self.world.lock:
            if made:
                self.world.lines[made["lines"][0]["id"]] = sources
            else:
                self.world.cases.insert(0, (application, need))

    def order(self):
        line = self.world.some(self.world.lines)
        if line:
            ore = max(1, int(sum(self.world.lines[line].values()) * random.choice([0.3, 0.5, 0.7, 1, 1.1])))
            body = {"amount_ore": ore, "payee": VENDOR, "pay_to": BANKGIRO}
            if made := self.ask("case_worker", f"/decision-lines/{line}/disbursements", body):
                self.world.orders[made["id"]] = (line, ore)

    def act(self, role, disbursement, action):
        _, tag = self.read(role, f"/disbursements/{disbursement}")
        return self.ask(role, f"/disbursements/{disbursement}/{action}", None, **{"If-Match": tag})

    def approve(self):
        role, approved = random.choice(["fund_manager", "fund_manager_2"]), {made for made, _ in self.world.approvals.copy()}
        made = self.world.some(set(self.world.orders) - approved - self.world.cancelled) or self.world.some(self.world.orders)
        if made and self.act(role, made, "approve"):
            self.world.approvals.add((made, role))

    def cancel(self):
        made = self.world.some(self.world.orders)
        if made and self.act("case_worker", made, "cancel"):
            self.world.cancelled.add(made)

    def send(self):
        if made := self.ask("fund_manager", "/payment-files", {"pay_on": "2099-12-31"}):
            self.world.files[made["id"]] = {row["disbursement_id"] for row in made["rows"]}

    def confirm(self):
        file = self.world.some(self.world.files)
        if not file:
            return
        told, tag = self.read("fund_manager_2", f"/payment-files/{file}")
        rows = [row for row in told["rows"] if not row["outcome"]]
        rows = random.sample(rows, random.randint(1, min(3, len(rows)))) if rows else told["rows"][:1]
        results = [{"disbursement_id": row["disbursement_id"], "outcome": random.choice(["paid", "paid", "paid", "failed"])} for row in rows]
        if self.ask("fund_manager_2", f"/payment-files/{file}/confirmations", {"results": results}, **{"If-Match": tag}):
            for result in results:
                self.world.outcomes[file, result["disbursement_id"]] = result["outcome"]

    def refund(self):
        paid = [made for (_, made), outcome in self.world.outcomes.copy().items() if outcome == "paid"]
        if paid:
            made = random.choice(paid)
            ore = max(1, int(self.world.orders[made][1] * random.choice([0.2, 0.5, 1])))
            body = {"amount_ore": ore, "received_on": "2026-01-12", "reference": str(secrets.randbelow(10**18)).zfill(18)}
            if told := self.ask("fund_manager", f"/disbursements/{made}/refunds", body):
                self.world.refunds[told["id"]] = (made, ore)

    def again(self):
        """What was done is asked for once more, with its key: told as it was, and done no second time."""
        if kept := self.world.some(self.world.done):
            role, path, body, headers, told = kept
            answer = self.patiently(role, "POST", path, body, headers)
            assert answer.status_code in (200, 201) and answer.headers.get("Idempotency-Replayed") == "true", (path, answer.text)
            assert answer.text == told, (path, answer.text, told)
            self.world.counts["replayed"] += 1


def disturb(service, until):
    """Kills the service every few seconds, and cuts one of its connections to PostgreSQL more often. How often each."""
    kills = cuts = 0
    while time.monotonic() < until:
        next_kill = time.monotonic() + random.uniform(*KILL_EVERY)
        while time.monotonic() < min(next_kill, until):
            time.sleep(CUT_EVERY * random.random())
            cuts += len(service.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'utvag_app'"
                                    " ORDER BY random() LIMIT 1", service.database))
        service.kill_and_start()
        kills += 1
    return kills, cuts


@pytest.fixture(scope="module")
def bank(serving):
    """The world as the clients left it, and the service."""
    with serving(pool=12, port=free_port()) as service:
        service.expects_error("statement failed")
        accounts = [GENERAL_FUND] + [project_account(service, 1) for _ in range(3)]
        before = {table: {row[0] for row in service.sql(f"SELECT id::text FROM {table}")}
                  for table in ("donations", "decision_lines", "disbursements", "payment_files", "refunds")}
        world = World(accounts, ready_cases(service, CASES))
        world.before = before
        for role in ROLES:
            service.as_(role).get("/codes")  # signs in
        tellers = [Teller(service, world) for _ in range(CLIENTS)]
        for teller in tellers:
            teller.start()
        world.kills, world.cuts = disturb(service, time.monotonic() + seconds())
        for teller in tellers:
            teller.ended.set()
        for teller in tellers:
            teller.join(120)
        assert not any(teller.is_alive() for teller in tellers)
        wrong = [str(teller.wrong) for teller in tellers if teller.wrong]
        assert not wrong, "\n".join(wrong)
        print(f"\n{world.kills} kills, {world.cuts} connections cut; {dict(world.counts)}")
        yield service, world


def test_the_books_are_sound_and_no_account_was_ever_below_zero(bank):
    service, _ = bank
    with service.connect() as connection:
        assert_told(connection)
        assert connection.execute("SELECT sum(amount_ore) FROM ledger_entries").fetchone()[0] == 0
    assert faults(service) == []


def test_much_was_done_and_much_was_refused(bank):
    _, world = bank
    assert world.kills >= 3 and world.cuts >= 3
    for kind in (world.gifts, world.lines, world.orders, world.approvals, world.files, world.outcomes, world.refunds, world.reversed):
        assert kind
    assert world.counts["insufficient_funds"] and world.counts["above_line"] and world.counts["replayed"] and world.counts["lost"]
    assert world.counts["/donation-files"]


def made(bank, table, columns):
    """The rows of a table that the clients' doings made."""
    service, world = bank
    rows = service.sql(f"SELECT id::text, {columns} FROM {table}")
    return {row[0]: row[1:] if len(row) > 2 else row[1] for row in rows if row[0] not in world.before[table]}


def test_every_gift_that_was_acknowledged_is_there_once_and_no_other(bank):
    service, world = bank
    assert made(bank, "donations", "account_id::text, amount_ore, reference") == world.gifts
    booked = service.sql("SELECT about::text, count(*) FROM ledger_transactions WHERE kind = 'gift' GROUP BY about")
    assert {gift: times for gift, times in booked if gift in world.gifts} == dict.fromkeys(world.gifts, 1)
    taken_back = {gift for (gift,) in service.sql("SELECT id::text FROM donations WHERE reversed_at IS NOT NULL")}
    assert taken_back - world.before["donations"] == world.reversed
    assert {about for (about,) in service.sql("SELECT about::text FROM ledger_transactions WHERE kind = 'reversal'")} >= world.reversed


def test_every_decision_that_was_acknowledged_promised_once_and_no_other(bank):
    service, world = bank
    assert made(bank, "decision_lines", "amount_ore") == {line: sum(sources.values()) for line, sources in world.lines.items()}
    promised = service.sql("SELECT t.about::text, e.account_id::text, e.amount_ore FROM ledger_transactions t JOIN ledger_entries e"
                           " ON e.transaction_id = t.id WHERE t.kind = 'reservation' AND e.layer = 'free'")
    assert sorted(row for row in promised if row[0] in world.lines) == sorted(
        (line, account, ore) for line, sources in world.lines.items() for account, ore in sources.items())


def test_every_payment_that_was_acknowledged_was_made_once_and_no_other(bank):
    service, world = bank
    assert made(bank, "disbursements", "amount_ore") == {one: ore for one, (_, ore) in world.orders.items()}
    approvals = service.sql("SELECT a.disbursement_id::text, count(*) FROM disbursement_approvals a GROUP BY 1")
    assert {one: times for one, times in approvals if one in world.orders} == collections.Counter(one for one, _ in world.approvals)
    rows = service.sql("SELECT file_id::text, disbursement_id::text, outcome FROM payment_file_rows")
    assert {(file, one): outcome for file, one, outcome in rows if file in world.files and outcome} == world.outcomes
    assert set(made(bank, "payment_files", "payments")) == set(world.files)
    assert {file: {one for other, one, _ in rows if other == file} for file in world.files} == world.files
    paid = {one for (_, one), outcome in world.outcomes.items() if outcome == "paid"}
    told = service.sql("SELECT about::text, sum(amount_ore) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id"
                       " WHERE t.kind = 'payment' AND e.layer = 'reserved' GROUP BY about")
    assert {one: ore for one, ore in told if one in world.orders} == {one: world.orders[one][1] for one in paid}
    statuses = dict(service.sql("SELECT id::text, status FROM disbursements"))
    assert {one for one in world.orders if statuses[one] == "cancelled"} == world.cancelled
    assert {one for one in world.orders if statuses[one] == "paid"} == paid


def test_every_refund_that_was_acknowledged_came_back_once_and_no_other(bank):
    service, world = bank
    assert made(bank, "refunds", "disbursement_id::text, amount_ore") == world.refunds
    back = service.sql("SELECT about::text, sum(e.amount_ore) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id"
                       " JOIN accounts a ON a.id = e.account_id AND a.kind = 'bank' WHERE t.kind = 'refund' GROUP BY about")
    wanted = collections.Counter()
    for one, ore in world.refunds.values():
        wanted[one] += ore
    assert {one: ore for one, ore in back if one in world.orders} == wanted


def test_each_line_is_what_is_promised_paid_and_came_back(bank):
    service, world = bank
    back = collections.Counter()
    for one, ore in world.refunds.values():
        back[world.orders[one][0]] += ore
    told = service.sql("SELECT line_id::text, sum(reserved_ore + paid_ore) FROM line_sources GROUP BY line_id")
    assert {line: ore + back[line] for line, ore in told if line in world.lines} == {
        line: sum(sources.values()) for line, sources in world.lines.items()}


def test_no_key_of_what_was_refused_is_kept_and_every_other_is_once(bank):
    service, world = bank
    kept = collections.Counter(key for (key,) in service.sql("SELECT key FROM vault.idempotency_keys"))
    done = {headers["Idempotency-Key"] for _, _, _, headers, _ in world.done}
    assert {key: kept[key] for key in done} == dict.fromkeys(done, 1)
    assert not [key for key in world.refused if kept[key]]
