"""What a ledger must come to, reckoned anew from its entries: in the order in which they were booked, and not in SQL."""

import collections

KINDS_IN = {"gift", "repayment", "claim"}
KINDS_SETTLING = {"payment", "refund"}
ENTRIES = """SELECT a.id::text, a.sign, t.id::text, t.kind, coalesce(r.kind, t.kind), t.booked_on, e.layer, e.amount_ore
    FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id JOIN accounts a ON a.id = e.account_id
    LEFT JOIN ledger_transactions r ON r.id = t.reverses_id
    WHERE %s::uuid[] IS NULL OR a.id = ANY (%s::uuid[]) ORDER BY t.created_at, t.id, e.position"""
MONTH = ["opening", "received", "paid_out", "reserved_opening", "reserved", "settled"]


class Account:
    def __init__(self):
        self.posted = self.reserved = 0
        self.day, self.months = None, {}

    def move(self, sign, kind, origin, day, entries):
        """One transaction's entries on the account."""
        assert self.day is None or day >= self.day, "booked backwards"
        self.day = day
        month = self.months.setdefault(day.replace(day=1), dict.fromkeys(MONTH, 0) | {
            "opening": self.posted, "reserved_opening": self.reserved})
        posted = sign * sum(amount for _, amount in entries)
        reserved = sign * sum(amount for layer, amount in entries if layer == "reserved")
        month["received" if origin in KINDS_IN else "paid_out"] += posted if origin in KINDS_IN else -posted
        month["settled" if kind in KINDS_SETTLING else "reserved"] += -reserved if kind in KINDS_SETTLING else reserved
        self.posted += posted
        self.reserved += reserved


def replay(connection, accounts=None):
    """Every account as it was after each transaction: never below zero. The accounts as they are in the end."""
    told, grouped = collections.defaultdict(Account), {}
    for account, sign, transaction, kind, origin, day, layer, amount in connection.execute(ENTRIES, [accounts, accounts]):
        grouped.setdefault((transaction, account), (sign, kind, origin, day, []))[4].append((layer, amount))
    for (transaction, account), moved in grouped.items():
        told[account].move(*moved)
        assert told[account].reserved >= 0, f"{account} owes a promise after {transaction}"
        assert told[account].posted >= told[account].reserved, f"{account} is below zero after {transaction}"
    return told


def assert_told(connection, accounts=None):
    """The database keeps of each account, and of each of its months, what the entries come to."""
    told = replay(connection, accounts)
    kept = connection.execute("SELECT id::text, posted_ore, reserved_ore FROM accounts"
                              " WHERE %s::uuid[] IS NULL OR id = ANY (%s::uuid[])", [accounts, accounts]).fetchall()
    for account, posted, reserved in kept:
        assert (posted, reserved) == (told[account].posted, told[account].reserved), account
    months = connection.execute("SELECT account_id::text, month, opening_ore, received_ore, paid_out_ore, reserved_opening_ore,"
                                " reserved_ore, settled_ore FROM account_months"
                                " WHERE %s::uuid[] IS NULL OR account_id = ANY (%s::uuid[])", [accounts, accounts]).fetchall()
    assert {(account, month): dict(zip(MONTH, amounts)) for account, month, *amounts in months} == {
        (account, month): amounts for account, one in told.items() for month, amounts in one.months.items()}
    assert connection.execute("SELECT * FROM ledger_faults()").fetchall() == []
    return told
