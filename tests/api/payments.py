"""Builders of payments: money on accounts, promised to a case's lines, and disbursements through the interface."""

import itertools
import threading
import uuid

from casework import Case, done, keyed, principal

CHILDREN_FUND = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01"
GENERAL_FUND = "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402"
VENDOR = {"kind": "vendor", "name": "Optikern i Hamnen AB", "organisation_number": "556677-8899"}
BANKGIRO = {"bankgiro": "5050-1055"}
FOREIGN = {"foreign": {"iban": "RO49AAAA1B31007593840000", "bic": "AAAAROBU", "country": "RO", "amount_minor": 450_000,
                       "currency_code": "RON"}}
REFERENCES = itertools.count(4_471_920_000)


def reference():
    return str(next(REFERENCES))


def give(service, ore, account=GENERAL_FUND):
    """A gift on the account, as the bank would tell of it."""
    with service.connect() as connection, connection.transaction():
        connection.execute("INSERT INTO donations (id, kind, account_id, amount_ore, channel_code, reference, received_on, anonymous,"
                           " remaining_ore, registered_by) SELECT %s, 'gift', %s, %s, 'swish', %s, current_date, true, %s, p.id"
                           " FROM principals p LIMIT 1", [uuid.uuid4(), account, ore, uuid.uuid4().hex, ore])
        connection.execute("SELECT book('gift', gen_random_uuid(), ARRAY[(account_of('bank'), 'free', %s::bigint),"
                           " (%s::uuid, 'free', -%s::bigint)]::ledger_entry[])", [ore, account, ore])


def promise(service, line, ore, account=GENERAL_FUND):
    """Reserves for a line, as a decision does."""
    service.sql("SELECT reserve(%s, %s, %s, (true, 'glasses', NULL)::purpose)", line, account, ore)


def project_account(service, pay_until="2099-12-31"):
    made, account = str(uuid.uuid4()), str(uuid.uuid4())
    service.sql("INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)"
                " VALUES (%s, 'Vägar', 'Paths', 'Gålöstiftelsen', '2016-01-01', least(%s::date, '2018-12-31'), %s, '{children}')",
                made, pay_until, pay_until)
    service.sql("INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en) VALUES (%s, 'project', %s, '2071', 'Vägar', 'Paths')",
                account, made)
    return account


class Payable(Case):
    """A case with one granted need, and money promised for it."""

    def __init__(self, service, ore=50_000, promised=True, as_advance=False, **person):
        super().__init__(service, **person)
        self.fund, self.other_fund = service.as_("fund_manager"), service.as_("fund_manager_2")
        self.need("glasses").submit().review().certify().eligible()
        self.obligation("obliged" if as_advance else "not_obliged").propose()
        self.decision = self.decide(self.line("glasses", amount_ore=ore, as_advance=as_advance))
        self.line_id = self.decision["lines"][0]["id"]
        if promised:
            give(service, ore)
            promise(service, self.line_id, ore)

    def try_order(self, amount_ore=50_000, client=None, line=None, **more):
        body = {"amount_ore": amount_ore, "payee": VENDOR, "pay_to": BANKGIRO} | more
        return (client or self.worker).post(f"/decision-lines/{line or self.line_id}/disbursements", json=body, headers=keyed())

    def order(self, *arguments, **more):
        return done(self.try_order(*arguments, **more), 201)["id"]

    def try_approve(self, disbursement, client=None, tag=None):
        return act(client or self.fund, disbursement, "approve", tag)

    def approved(self, *arguments, **more):
        made = self.order(*arguments, **more)
        approve_fully(self.service, made)
        return made

    def paid(self, *arguments, **more):
        made = self.approved(*arguments, **more)
        confirm(self.fund, send(self.fund), (made, "paid"))
        return made


def path(disbursement):
    return f"/disbursements/{disbursement}"


def read(client, disbursement):
    return done(client.get(path(disbursement)))


def tag(client, where):
    answer = client.get(where)
    done(answer)
    return answer.headers["ETag"]


def act(client, disbursement, action, match=None):
    match = match or tag(client, path(disbursement))
    return client.post(f"{path(disbursement)}/{action}", headers=keyed(**{"If-Match": match}))


def approve_fully(service, disbursement):
    for name in ("fund_manager", "fund_manager_2"):
        if done(act(service.as_(name), disbursement, "approve"))["status"] == "approved":
            return
    raise AssertionError("two do not suffice")


def try_send(client, pay_on="2099-12-31"):
    return client.post("/payment-files", json={"pay_on": pay_on}, headers=keyed())


def send(client):
    """A payment file of all that is approved: its id."""
    return done(try_send(client), 201)["id"]


def try_confirm(client, file, *results, match=None):
    """results: (disbursement, outcome) or (disbursement, outcome, actual_ore)"""
    rows = [dict(zip(("disbursement_id", "outcome", "actual_ore"), result)) for result in results]
    match = match or tag(client, f"/payment-files/{file}")
    return client.post(f"/payment-files/{file}/confirmations", json={"results": rows}, headers=keyed(**{"If-Match": match}))


def confirm(client, file, *results):
    return done(try_confirm(client, file, *results))


def at_once(*calls):
    """Carries the calls out in threads that begin together; their answers."""
    answers, start = [None] * len(calls), threading.Barrier(len(calls))

    def run(place):
        start.wait()
        answers[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


def faults(service):
    """What the ledger's own check finds wrong."""
    return service.sql("SELECT * FROM ledger_faults()")


def balance(service, account=GENERAL_FUND):
    [row] = service.sql("SELECT posted_ore, reserved_ore FROM accounts WHERE id = %s", account)
    return row


def kind_balance(service, kind):
    return service.sql("SELECT posted_ore FROM accounts WHERE kind = %s", kind)[0][0]
