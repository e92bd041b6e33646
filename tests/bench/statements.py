"""What an account's balance and its statement cost, by the number of entries: the same, however many there are.

`build/venv/bin/python tests/bench/statements.py [ENTRIES…]` (default 10 000 and 10 000 000), with UTVAG_BINARY a release build. Each size has
a database of its own on a private cluster, filled past the triggers by the sums that they would have kept; `utvag check` then holds
it to the ledger's rules, but for those of gifts, of which there are none here. Prints a table.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent)]

import cluster as clusters  # noqa: E402
from service import Service  # noqa: E402

FUND = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01"
BANK = "e37b2a90-64cd-4e1f-b5a8-0c9d41f7a803"
MONTHS = 96  # of entries, up to the last one
EACH = 10  # entries of a transaction
TIMES = 300
OPTIONS = clusters.FAST + " -c shared_buffers=1GB -c max_wal_size=8GB -c maintenance_work_mem=512MB"

LOAD = [
    "SET session_replication_role = replica",
    "DELETE FROM ledger_entries", "DELETE FROM ledger_transactions", "DELETE FROM account_months",
    "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey, DROP CONSTRAINT ledger_entries_transaction_id_fkey",
    "DROP INDEX ledger_entries_by_account",
    """CREATE TABLE public.load AS SELECT n, gen_random_uuid() AS id, (date_trunc('month', now()) - interval '{months} months')::date
        + (n::bigint * ({months} * 30) / {transactions})::int AS day FROM generate_series(0, {transactions} - 1) n""",
    "INSERT INTO ledger_transactions (id, kind, about, booked_on) SELECT id, 'gift', id, day FROM load",
    f"""INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)
        SELECT l.id, e.position, CASE WHEN e.position % 2 = 1 THEN '{BANK}' ELSE '{FUND}' END::uuid, 'free',
            CASE WHEN e.position % 2 = 1 THEN 100 ELSE -100 END, l.day
        FROM load l, generate_series(1, {{each}}) AS e (position)""",
    "ALTER TABLE ledger_entries ADD PRIMARY KEY (transaction_id, position)",
    "CREATE INDEX ledger_entries_by_account ON ledger_entries (account_id, booked_on, transaction_id)",
    """INSERT INTO account_months (account_id, month, opening_ore, received_ore, reserved_opening_ore)
        SELECT account_id, month, coalesce(sum(sum) OVER (PARTITION BY account_id ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0),
            sum, 0 FROM (SELECT e.account_id, date_trunc('month', e.booked_on)::date AS month, a.sign * sum(e.amount_ore) AS sum
                         FROM ledger_entries e JOIN accounts a ON a.id = e.account_id GROUP BY 1, 2, a.sign) s""",
    """UPDATE accounts a SET reserved_ore = 0, posted_ore = coalesce((SELECT a.sign * sum(e.amount_ore) FROM ledger_entries e
        WHERE e.account_id = a.id), 0)""",
    "DROP TABLE public.load", "VACUUM ANALYZE ledger_entries, ledger_transactions, account_months, accounts",
]


def load(cluster, entries):
    """A database with that many entries on two accounts, over eight years."""
    name = cluster.clone()
    with cluster.connect(name) as connection:
        for statement in LOAD:
            connection.execute(statement.format(months=MONTHS, transactions=entries // EACH, each=EACH))
    return name


def median(client, path, **query):
    """Of the answers to one client on one connection, in ms; and the largest of the fastest 99 in a hundred."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = client.get(path, params=query)
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
    return statistics.median(took), sorted(took)[TIMES * 99 // 100]


def month(back):
    years, months = divmod(time.gmtime().tm_year * 12 + time.gmtime().tm_mon - 1 - back, 12)
    return f"{years}-{months + 1:02}"


def measure(cluster, entries):
    began = time.time()
    name = load(cluster, entries)
    filled = time.time() - began
    service = Service(cluster, name).start()
    try:
        client, account = service.as_("fund_manager"), f"/accounts/{FUND}"
        figures = {"balance": median(client, account),
                   "statement of a month": median(client, account + "/statement", from_month=month(9), to_month=month(9)),
                   "statement of a year": median(client, account + "/statement", from_month=month(23), to_month=month(12)),
                   "ratio of a year": median(client, "/ledger/ratio", from_month=month(23), to_month=month(12)),
                   "newest 20 transactions": median(client, account + "/ledger-transactions")}
    finally:
        service.stop()
    checked = subprocess.run([clusters.binary(), "check"], env=cluster.environment(name), capture_output=True, text=True, check=False)
    wrong = {line.split(" ")[0] for line in checked.stdout.splitlines()} - {"ledger and catalogue hold"}
    assert wrong <= {"available_is_what_donations_have_left", "reserved_is_what_lines_hold"}, (wrong, checked.stderr)
    cluster.drop(name)
    return filled, figures


def main(sizes):
    with tempfile.TemporaryDirectory(prefix="utvag-statements-") as folder:
        cluster = clusters.Cluster(pathlib.Path(folder, "cluster"))
        cluster.start(OPTIONS)
        try:
            cluster.make_template()
            results = {size: measure(cluster, size) for size in sizes}
        finally:
            cluster.stop()
    print("| median / p99, ms | " + " | ".join(f"{size:,} entries".replace(",", " ") for size in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for what in next(iter(results.values()))[1]:
        print(f"| {what} | " + " | ".join("{:.2f} / {:.2f}".format(*results[size][1][what]) for size in sizes) + " |")
    print("filled in " + ", ".join(f"{results[size][0]:.0f} s" for size in sizes))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 10_000_000])
