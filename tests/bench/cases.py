"""The requests that are measured, each with the rows that vary it."""

import dataclasses
import hashlib
import json
import random
import uuid

AGENCY = "d0000000-0000-4000-8000-000000000001"  # the demo's first, which the demo's `partner` speaks for
MOST = 50_000
REASONING = "Behovet är styrkt och samhället täcker det inte."


def record(kind, number):
    """The id that load.c gives the record."""
    return str(uuid.UUID(hashlib.md5(f"{kind}{number}".encode()).hexdigest()))


@dataclasses.dataclass
class Case:
    name: str
    role: str
    method: str
    path: str
    all_rows: list                 # of what the request's gaps are filled with
    pgbench: dict                  # how pgbench draws the same: its \set commands, and an expression for each gap
    headers: dict = dataclasses.field(default_factory=dict)
    body: str = None
    status: int = 200
    once: bool = False             # each row can be used once only
    tokens: dict = None            # of a search: what stands in the statement for the row's value

    @property
    def row_kept(self):
        """For the capture."""
        return self.all_rows[-1]

    def parts(self, count):
        """Ranges of rows, one for each measurement."""
        each = (len(self.all_rows) - 1) // count
        return [range(each * i, each * (i + 1)) for i in range(count)]

    def rows(self, part):
        return [self.all_rows[i] for i in part] if part else self.all_rows

    def floor_row(self, _bench, row):
        return (self.tokens[row[0]],) if self.tokens else row

    def floor_rows(self, part):
        return [self.floor_row(None, row) for row in self.rows(part) if not self.tokens or row[0] in self.tokens]

    def request(self, token):
        headers = {"Host": "localhost", "Authorization": "Bearer " + token} | self.headers
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        lines = [f"{self.method} /v1{self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\n".join(lines) + ("\n\n" + self.body if self.body is not None else "")


def drawn(count, expression):
    """How pgbench draws an applicant whom everybody of the agency, or of the staff, may see."""
    return {"sets": [f"\\set n random(0, {count} - 1)", f"\\set i {expression}"], "{1}": "md5(:i::text)::uuid::text"}


def partner_numbers(size):
    return [i for i in range(0, size, 10) if i // 10 % 10 != 9]


def staff_numbers(size):
    return [i for i in range(size) if i // 10 % 10 != 9]


def ids(numbers):
    chosen = random.sample(numbers, min(MOST, len(numbers)))
    return [(record("", number),) for number in chosen]


def searches(bench, size):
    """Numbers that are there, and their blind tokens."""
    lines = [line.split("\t") for line in bench.known(size).read_text().splitlines()][:5000]
    numbers = dict(lines)
    tokens = bench.sql("bench", "SELECT person_id::text, '\\x' || encode(token, 'hex') FROM vault.blind_tokens"
                       " WHERE index = 'identity_number' AND person_id = ANY (%s::uuid[])", list(numbers))
    return {numbers[person]: token for person, token in tokens}


def make(bench, size):
    by_partner, by_staff = partner_numbers(size), staff_numbers(size)
    partner = drawn(len(by_partner), "(:n / 9) * 100 + (:n % 9) * 10")
    staff = drawn(len(by_staff), "(:n / 90) * 100 + :n % 90")
    officer = {"X-Acting-Officer": "handl-1"}
    found = searches(bench, size)
    ready = min(40_000, size * 5)
    decision = {"reasoning": REASONING, "lines": [{"need_id": "{2}", "outcome": "granted", "amount_ore": 50_000}]}
    decide = {"{1}": "md5('ready ' || :r::text)::uuid::text", "{2}": "md5('ready need ' || :r::text)::uuid::text"}
    confirmation = {"results": [{"disbursement_id": "{2}", "outcome": "paid"}]}
    pay = {"{1}": "md5('paid file ' || :r::text)::uuid::text", "{2}": "md5('paid disbursement ' || :r::text)::uuid::text"}
    decided = [(record("ready ", r), record("ready need ", r)) for r in range(ready - ready // 3)]  # the rest: contended
    return [
        Case("read one, partner", "partner", "GET", "/applicants/{1}", ids(by_partner), partner, officer),
        Case("read one, staff", "case_worker", "GET", "/applicants/{1}", ids(by_staff), staff),
        Case("list 25, partner", "partner", "GET", "/applicants?limit=25", [()], {}, officer),
        Case("list 25, staff", "case_worker", "GET", "/applicants?limit=25", [()], {}),
        Case("search by number", "partner", "POST", "/applicants/search", [(number,) for number in found],
             {"{1}": "'" + next(iter(found.values())) + "'"}, officer, '{"identifier":{"number":"{1}"}}', tokens=found),
        Case("create application", "partner", "POST", "/applications", ids(by_partner), partner,
             officer | {"Idempotency-Key": "{a}"},
             '{"person_id":"{1}","summary":"Mor med tre barn. Behöver glasögon till dottern."}', 201),
        Case("decide with reservation", "decision_maker", "POST", "/applications/{1}/decisions",
             decided, decide,
             {"Idempotency-Key": "{a}", "If-Match": '"1.00000000"'}, json.dumps(decision, ensure_ascii=False), 201, True),
        Case("pay", "fund_manager", "POST", "/payment-files/{1}/confirmations",
             [(record("paid file ", r), record("paid disbursement ", r)) for r in range(ready)], pay,
             {"Idempotency-Key": "{a}", "If-Match": '"1.00000000"'}, json.dumps(confirmation), 200, True),
    ]


def contended(size, accounts):
    """Decisions that promise of so many accounts, in turn: of one, each waits for the others."""
    ready = min(40_000, size * 5)
    first, count = ready - ready // 3, ready // 6
    first += count if accounts > 1 else 0
    rows = [(record("ready ", r), record("ready need ", r), record("project account ", r % accounts)) for r in range(first, first + count)]
    line = {"need_id": "{2}", "outcome": "granted", "amount_ore": 50_000, "sources": [{"account_id": "{3}", "amount_ore": 50_000}]}
    body = json.dumps({"reasoning": REASONING, "lines": [line]}, ensure_ascii=False)
    return Case("decide", "decision_maker", "POST", "/applications/{1}/decisions", rows, {},
                {"Idempotency-Key": "{a}", "If-Match": '"1.00000000"'}, body, 201, True)
