"""Builders of payments: money on accounts, a case's line that holds some of it, and disbursements."""

import itertools
import secrets
import threading

from casework import Case, done, keyed, principal

GENERAL_FUND = "a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402"
VENDOR = {"kind": "vendor", "name": "Optikern i Hamnen AB", "organisation_number": "556677-8899"}
BANKGIRO = {"bankgiro": "5050-1055"}
FOREIGN = {"foreign": {"iban": "RO49AAAA1B31007593840000", "bic": "AAAAROBU", "country": "RO", "amount_minor": 450_000,
                       "currency_code": "RON"}}
REFERENCES = itertools.count(4_471_920_000)


def reference():
    return str(next(REFERENCES))


def give(service, ore, account=GENERAL_FUND):
    body = {"kind": "gift", "account_id": account, "amount_ore": ore, "channel_code": "swish", "received_on": "2026-01-02",
            "channel_reference": "SW-" + secrets.token_hex(8), "anonymous": True}
    return done(service.as_("fund_manager").post("/donations", json=body, headers=keyed()), 201)


def project_account(service, ore=100_000):
    """The account, with money on it, of a project for everybody."""
    body = {"name_sv": "Vägar", "name_en": "Paths", "funder": "Gålöstiftelsen", "starts_on": "2020-01-01", "ends_on": "2099-12-31",
            "pay_until_on": "2099-12-31", "catchment": {"national": True}, "target_groups": ["adults"]}
    made = done(service.as_("project_manager").post("/projects", json=body, headers=keyed()), 201)
    [(account,)] = service.sql("SELECT id::text FROM accounts WHERE project_id = %s", made["id"])
    give(service, ore, account)
    return account


class Payable(Case):
    """A case with one granted need, paid of the general fund or, as sources say, of these accounts: {account: öre}."""

    def __init__(self, service, sources=None, as_advance=False, **person):
        super().__init__(service, **person)
        self.fund, self.other_fund = service.as_("fund_manager"), service.as_("fund_manager_2")
        self.need("glasses").submit().review().certify().eligible()
        self.obligation("obliged" if as_advance else "not_obliged").propose()
        give(service, 50_000)
        wanted = [{"account_id": account, "amount_ore": ore} for account, ore in (sources or {GENERAL_FUND: 50_000}).items()]
        self.decision = self.decide(self.line("glasses", as_advance=as_advance, sources=wanted))
        self.line_id = self.decision["lines"][0]["id"]

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
    """What the checks of the ledger and of the payments find wrong."""
    return service.sql("SELECT * FROM ledger_faults() UNION ALL SELECT * FROM payment_faults()")


def balance(service, account=GENERAL_FUND):
    [row] = service.sql("SELECT posted_ore, reserved_ore FROM accounts WHERE id = %s", account)
    return row


def kind_balance(service, kind):
    return service.sql("SELECT posted_ore FROM accounts WHERE kind = %s", kind)[0][0]
