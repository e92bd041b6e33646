-- Three things that the ledger let its owner do, found by asking it for everything in every order: pay for a line what other
-- lines hold of the account; take a promise, a payment or a refund back by an amount below zero; and add to a transaction whose
-- sum had been checked early (SET CONSTRAINTS).

SET LOCAL ROLE utvag_owner;

-- What the new entries do to their accounts. A transaction's come together, nothing is added to one that was committed, and
-- nothing is booked backwards.
CREATE OR REPLACE FUNCTION move_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added e GROUP BY e.transaction_id HAVING sum(e.amount_ore) <> 0) THEN
        RAISE EXCEPTION 'entries come together, and sum to zero' USING ERRCODE = 'check_violation';
    ELSIF EXISTS (SELECT FROM added e JOIN ledger_transactions t ON t.id = e.transaction_id
               WHERE t.xid <> pg_current_xact_id() OR t.booked_on <> e.booked_on)
        OR EXISTS (SELECT FROM added e JOIN accounts a ON a.id = e.account_id WHERE e.booked_on < a.booked_on) THEN
        RAISE EXCEPTION 'entries belong to their transaction and its day' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO account_months AS m (account_id, month, opening_ore, reserved_opening_ore, received_ore, paid_out_ore,
        reserved_ore, settled_ore)
    SELECT a.id, date_trunc('month', s.booked_on)::date, a.posted_ore, a.reserved_ore,
        CASE WHEN s.income THEN a.sign * s.posted ELSE 0 END, CASE WHEN s.income THEN 0 ELSE -a.sign * s.posted END,
        CASE WHEN s.kind IN ('payment', 'refund') THEN 0 ELSE a.sign * s.reserved END,
        CASE WHEN s.kind IN ('payment', 'refund') THEN -a.sign * s.reserved ELSE 0 END
    FROM (SELECT e.account_id, e.booked_on, t.kind, sum(e.amount_ore) AS posted,
                 coalesce(sum(e.amount_ore) FILTER (WHERE e.layer = 'reserved'), 0) AS reserved,
                 CASE coalesce(r.kind, t.kind) WHEN 'gift' THEN true WHEN 'repayment' THEN true WHEN 'claim' THEN true ELSE false END AS income
          FROM added e JOIN ledger_transactions t ON t.id = e.transaction_id
          LEFT JOIN ledger_transactions r ON r.id = t.reverses_id
          GROUP BY e.account_id, e.booked_on, t.kind, r.kind) AS s
    JOIN accounts a ON a.id = s.account_id
    ON CONFLICT (account_id, month) DO UPDATE SET received_ore = m.received_ore + excluded.received_ore,
        paid_out_ore = m.paid_out_ore + excluded.paid_out_ore, reserved_ore = m.reserved_ore + excluded.reserved_ore,
        settled_ore = m.settled_ore + excluded.settled_ore;
    UPDATE accounts a SET posted_ore = a.posted_ore + a.sign * s.posted, reserved_ore = a.reserved_ore + a.sign * s.reserved,
        booked_on = s.booked_on, version = a.version + 1, updated_at = clock_timestamp()
    FROM (SELECT e.account_id, max(e.booked_on) AS booked_on, sum(e.amount_ore) AS posted,
                 coalesce(sum(e.amount_ore) FILTER (WHERE e.layer = 'reserved'), 0) AS reserved
          FROM added e GROUP BY e.account_id) AS s
    WHERE a.id = s.account_id;
    RETURN NULL;
END $$;

-- Takes back a promise.
CREATE OR REPLACE FUNCTION release(line uuid, account uuid, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_accounts(ARRAY[account]);
    UPDATE line_sources s SET reserved_ore = s.reserved_ore - amount WHERE s.line_id = line AND s.account_id = account AND amount > 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'line % has no % öre of account % to %', line, amount, account, 'release' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM return_donations(line, account, amount);
    PERFORM book('release', line, ARRAY[(account, 'reserved', amount), (account, 'free', -amount)]::ledger_entry[]);
END $$;

-- Pays what was promised to a line. The transaction's id.
CREATE OR REPLACE FUNCTION pay(line uuid, account uuid, amount bigint, disbursement uuid) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_accounts(ARRAY[account, account_of('bank')]);
    UPDATE line_sources s SET reserved_ore = s.reserved_ore - amount, paid_ore = s.paid_ore + amount
    WHERE s.line_id = line AND s.account_id = account AND amount > 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'line % has no % öre of account % to %', line, amount, account, 'pay' USING ERRCODE = 'check_violation';
    END IF;
    RETURN book('payment', disbursement,
                ARRAY[(account, 'reserved', amount), (account_of('bank'), 'free', -amount)]::ledger_entry[]);
END $$;

-- Money that came back for a line, from whom it was paid to (refund) or from whoever owed it (repayment): free again on the
-- account that paid, for the gifts that it came from.
CREATE OR REPLACE FUNCTION take_back(kind text, line uuid, account uuid, amount bigint, about uuid, claimed bigint DEFAULT 0) RETURNS uuid
    LANGUAGE plpgsql AS $$
DECLARE entries ledger_entry[] := ARRAY[(account_of('bank'), 'free', amount), (account, 'free', -amount)]::ledger_entry[];
BEGIN
    IF claimed > 0 THEN
        entries := entries || ARRAY[(account_of('claims'), 'free', claimed), (account_of('receivables'), 'free', -claimed)]::ledger_entry[];
    END IF;
    PERFORM lock_accounts(ARRAY(SELECT e.account_id FROM unnest(entries) e));
    UPDATE line_sources s SET paid_ore = s.paid_ore - amount WHERE s.line_id = line AND s.account_id = account AND amount > 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'line % has no % öre of account % to %', line, amount, account, 'take back' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM return_donations(line, account, amount);
    RETURN book(kind, about, entries);
END $$;

CALL guard_tables();
