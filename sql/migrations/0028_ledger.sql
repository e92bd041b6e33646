-- The ledger: whose money there is, where it came from, what it is promised to, and where it went. Double entry, immutable,
-- never overdrawn. What the charity spends is known to the krona, and each krona from the gift to the need.

SET LOCAL ROLE utvag_owner;

-- Projects: efforts with a funder, a period, a catchment, target groups and money of their own -----------------------
CREATE TABLE projects (
    id uuid PRIMARY KEY,
    name_sv text NOT NULL,
    name_en text NOT NULL,
    description_sv text,
    description_en text,
    funder text NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    pay_until_on date NOT NULL,                      -- what was decided within the period is paid until then
    county_codes text[] NOT NULL DEFAULT '{}',       -- the catchment: counties and municipalities, or, with neither, Sweden
    municipality_codes text[] NOT NULL DEFAULT '{}',
    target_groups text[] NOT NULL,
    closed_on date,                                  -- before its time
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT project_period_invalid CHECK (ends_on >= starts_on AND pay_until_on >= ends_on),
    CONSTRAINT project_has_target_group CHECK (target_groups <> '{}'
        AND target_groups <@ ARRAY['adults', 'mothers_and_fathers', 'children', 'young_people', 'professionals'])
);
CREATE INDEX projects_in_order ON projects (starts_on, id);

-- Accounts -----------------------------------------------------------------------------------------------------------
-- The amounts are kept by the entries' trigger and are their sums: nobody else writes them. bank and receivables hold what
-- the charity has (debit), the others whose it is (credit). `claims` stands against receivables, so that a claim becomes
-- money of the account that paid only when it is paid back.
CREATE TABLE accounts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL CHECK (kind IN ('children_fund', 'general_fund', 'project', 'bank', 'receivables', 'claims')),
    project_id uuid CONSTRAINT one_account_of_project UNIQUE REFERENCES projects,
    number text NOT NULL CONSTRAINT account_number_malformed CHECK (number ~ '^[1-8][0-9]{3}$'), -- the BAS chart of accounts
    name_sv text NOT NULL,
    name_en text NOT NULL,
    sign int NOT NULL GENERATED ALWAYS AS (CASE WHEN kind IN ('bank', 'receivables') THEN 1 ELSE -1 END) STORED,
    posted_ore bigint NOT NULL DEFAULT 0,
    reserved_ore bigint NOT NULL DEFAULT 0,
    available_ore bigint NOT NULL GENERATED ALWAYS AS (posted_ore - reserved_ore) STORED,
    booked_on date NOT NULL DEFAULT '2010-01-01',    -- the latest: an account is never booked on backwards
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_of_project CHECK ((kind = 'project') = (project_id IS NOT NULL)),
    CONSTRAINT insufficient_funds CHECK (posted_ore - reserved_ore >= 0),
    CONSTRAINT reserved_below_zero CHECK (reserved_ore >= 0)
);
CREATE UNIQUE INDEX one_account_of_kind ON accounts (kind) WHERE kind <> 'project';
CREATE INDEX accounts_in_order ON accounts (created_at, id);
-- Their ids are the same everywhere, so that scripts may name them.
INSERT INTO accounts (id, kind, number, name_sv, name_en) VALUES
    ('5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01', 'children_fund', '2061', 'IMTs fond för barn i människohandel',
        'IMT''s fund for children in trafficking'),
    ('a9e4b7c3-2d18-4f5a-8c60-7b91d0e3f402', 'general_fund', '2067', 'Allmänna medel', 'General fund'),
    ('e37b2a90-64cd-4e1f-b5a8-0c9d41f7a803', 'bank', '1930', 'Bank', 'Bank'),
    ('1d86c5f4-b3e2-47a9-96f7-52ae0b8cd904', 'receivables', '1680', 'Fordringar', 'Receivables'),
    ('c2f97e08-5a41-4d3c-8b1e-e60374da2b05', 'claims', '2990', 'Fordringar som inte är betalda', 'Claims not yet paid');

CREATE FUNCTION account_of(kind text) RETURNS uuid LANGUAGE sql STABLE
    RETURN (SELECT a.id FROM accounts a WHERE a.kind = account_of.kind AND a.kind <> 'project');

-- Transactions -------------------------------------------------------------------------------------------------------
CREATE TABLE ledger_transactions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL CHECK (kind IN ('gift', 'reservation', 'release', 'payment', 'refund', 'claim', 'repayment', 'write_off',
        'reversal')),
    about uuid NOT NULL,                             -- the donation, decision line, disbursement or recovery behind it
    -- What a voucher says in the bookkeeping, and a payment in the bank: never a name or a case, and not to be guessed.
    voucher text NOT NULL DEFAULT upper(left(replace(gen_random_uuid()::text, '-', ''), 12)) CONSTRAINT voucher_taken UNIQUE,
    booked_on date NOT NULL,
    reverses_id uuid CONSTRAINT reversed_already UNIQUE REFERENCES ledger_transactions,
    made_by uuid DEFAULT caller(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT reversal_reverses CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL))
);
CREATE INDEX ledger_transactions_in_order ON ledger_transactions (booked_on, id);
CREATE INDEX ledger_transactions_by_kind ON ledger_transactions (kind, booked_on, id);
CREATE INDEX ledger_transactions_about ON ledger_transactions (about);

-- amount_ore: debit above zero, credit below. layer: `reserved` is the part of an account that is promised.
CREATE TABLE ledger_entries (
    transaction_id uuid NOT NULL REFERENCES ledger_transactions,
    position int NOT NULL,
    account_id uuid NOT NULL REFERENCES accounts,
    layer text NOT NULL CHECK (layer IN ('free', 'reserved')),
    amount_ore bigint NOT NULL CHECK (amount_ore <> 0),
    booked_on date NOT NULL,
    PRIMARY KEY (transaction_id, position)
);
CREATE INDEX ledger_entries_by_account ON ledger_entries (account_id, booked_on, transaction_id);

-- Each account's month, kept as it goes, so that a statement costs the same however many entries there are. paid_out_ore and
-- received_ore are above zero; a refund or a reversal lessens what it takes back.
CREATE TABLE account_months (
    account_id uuid NOT NULL REFERENCES accounts,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    opening_ore bigint NOT NULL,
    received_ore bigint NOT NULL DEFAULT 0,
    paid_out_ore bigint NOT NULL DEFAULT 0,
    closing_ore bigint NOT NULL GENERATED ALWAYS AS (opening_ore + received_ore - paid_out_ore) STORED,
    reserved_opening_ore bigint NOT NULL,
    reserved_ore bigint NOT NULL DEFAULT 0,          -- promised in the month, less what was taken back
    settled_ore bigint NOT NULL DEFAULT 0,           -- promises that were paid
    reserved_closing_ore bigint NOT NULL GENERATED ALWAYS AS (reserved_opening_ore + reserved_ore - settled_ore) STORED,
    PRIMARY KEY (account_id, month)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A transaction is whole when its database transaction ends: whoever's it is then, all its entries count.
CREATE FUNCTION guard_transaction() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    sum bigint;
    entries bigint;
BEGIN
    SELECT coalesce(sum(e.amount_ore), 0), count(*) INTO sum, entries FROM ledger_entries e WHERE e.transaction_id = NEW.id;
    IF sum <> 0 OR entries < 2 THEN
        RAISE EXCEPTION 'transaction % has % entries with the sum %', NEW.id, entries, sum USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER sums_to_zero AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION guard_transaction();

-- What the new entries do to their accounts. Nothing is added to a transaction that was committed, nor booked backwards.
CREATE FUNCTION move_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added e JOIN ledger_transactions t ON t.id = e.transaction_id
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
CREATE TRIGGER moves_accounts AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION move_accounts();

-- Locks accounts in the order in which everybody does. As late as can be: the others who want the same account wait from
-- here until the commit.
CREATE FUNCTION lock_accounts(wanted uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM FROM accounts a WHERE a.id = ANY (wanted) ORDER BY a.id FOR NO KEY UPDATE;
END $$;

CREATE TYPE ledger_entry AS (account_id uuid, layer text, amount_ore bigint);

-- Books one transaction, today or on the latest day of an account that is ahead of the clock. No role of the service may
-- call this or write the tables: they call what is made of it, which knows what the money is for.
CREATE FUNCTION book(kind text, about uuid, entries ledger_entry[], reverses uuid DEFAULT NULL) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made uuid := gen_random_uuid();
    day date;
BEGIN
    PERFORM lock_accounts(ARRAY(SELECT e.account_id FROM unnest(entries) e));
    SELECT greatest((clock_timestamp() AT TIME ZONE 'Europe/Stockholm')::date, max(a.booked_on)) INTO day
    FROM accounts a WHERE a.id = ANY (ARRAY(SELECT e.account_id FROM unnest(entries) e));
    INSERT INTO ledger_transactions (id, kind, about, booked_on, reverses_id) VALUES (made, kind, about, day, reverses);
    INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)
    SELECT made, e.position, e.account_id, e.layer, e.amount_ore, day
    FROM unnest(entries) WITH ORDINALITY AS e (account_id, layer, amount_ore, position);
    RETURN made;
END $$;

-- Gifts and grants ---------------------------------------------------------------------------------------------------
-- The donor's is the key of what is sealed about her.
ALTER TABLE vault.data_keys ADD COLUMN donation_id uuid, DROP CONSTRAINT data_key_has_one_owner,
    ADD CONSTRAINT data_key_has_one_owner CHECK (num_nonnulls(person_id, principal_id, donation_id) = 1);

CREATE TABLE donations (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('gift', 'grant')),
    account_id uuid NOT NULL REFERENCES accounts,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    channel_code text NOT NULL CHECK (channel_code IN ('bankgiro', 'swish', 'card', 'transfer')),
    reference text NOT NULL,                         -- the channel's own: a file that is loaded twice counts once
    received_on date NOT NULL,
    anonymous boolean NOT NULL,
    sealed bytea,                                    -- the donor
    -- The restriction: what it may be used for. Never one municipality: its use would point at someone.
    children_only boolean NOT NULL DEFAULT false,
    county_codes text[] NOT NULL DEFAULT '{}',
    category_codes text[] NOT NULL DEFAULT '{}',
    use_by date,
    remaining_ore bigint NOT NULL,                   -- neither promised nor paid
    reversed_at timestamptz,
    registered_by uuid NOT NULL DEFAULT caller(),
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT donation_reference_taken UNIQUE (channel_code, reference),
    CONSTRAINT donor_or_anonymous CHECK (anonymous = (sealed IS NULL)),
    CONSTRAINT remaining_within_amount CHECK (remaining_ore BETWEEN 0 AND amount_ore)
);
CREATE INDEX donations_in_order ON donations (received_on, id);
CREATE INDEX donations_by_account ON donations (account_id, received_on, id);
CREATE INDEX donations_left ON donations (account_id, received_on, id) WHERE remaining_ore > 0;

-- What a donation was promised to or paid for, as it happened: below zero when it came back.
CREATE TABLE donation_uses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    donation_id uuid NOT NULL REFERENCES donations,
    line_id uuid NOT NULL REFERENCES decision_lines,
    account_id uuid NOT NULL REFERENCES accounts,
    amount_ore bigint NOT NULL CHECK (amount_ore <> 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX donation_uses_by_donation ON donation_uses (donation_id);
CREATE INDEX donation_uses_by_line ON donation_uses (line_id, account_id, created_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON donation_uses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a line holds of each account.
CREATE TABLE line_sources (
    line_id uuid NOT NULL REFERENCES decision_lines,
    account_id uuid NOT NULL REFERENCES accounts,
    reserved_ore bigint NOT NULL DEFAULT 0 CHECK (reserved_ore >= 0),
    paid_ore bigint NOT NULL DEFAULT 0 CHECK (paid_ore >= 0),
    PRIMARY KEY (line_id, account_id)
);
CREATE INDEX line_sources_by_account ON line_sources (account_id) WHERE reserved_ore > 0;

-- What a reservation is for: what gifts' restrictions and accounts' purposes are about. county is NULL where it is not known,
-- or not to be told.
CREATE TYPE purpose AS (child boolean, category_code text, county_code text);

CREATE FUNCTION donation_admits(d donations, p purpose) RETURNS boolean LANGUAGE sql STABLE
    RETURN d.reversed_at IS NULL AND (NOT d.children_only OR p.child)
        AND (d.county_codes = '{}' OR coalesce(p.county_code = ANY (d.county_codes), false))
        AND (d.category_codes = '{}' OR p.category_code = ANY (d.category_codes))
        AND coalesce(d.use_by >= today(), true);

-- First in, first out among the gifts whose restriction admits the purpose. The account's row is locked. What it lacks.
CREATE FUNCTION use_donations(line uuid, account uuid, amount bigint, p purpose) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    d donations;
    part bigint;
BEGIN
    FOR d IN SELECT * FROM donations WHERE account_id = account AND remaining_ore > 0 ORDER BY received_on, id LOOP
        CONTINUE WHEN NOT donation_admits(d, p);
        part := least(d.remaining_ore, amount);
        UPDATE donations SET remaining_ore = remaining_ore - part, version = version + 1, updated_at = now() WHERE id = d.id;
        INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore) VALUES (d.id, line, account, part);
        amount := amount - part;
        EXIT WHEN amount = 0;
    END LOOP;
    RETURN amount;
END $$;

-- Gives back to the gifts what a line took of an account, last out first.
CREATE FUNCTION return_donations(line uuid, account uuid, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    used record;
    part bigint;
BEGIN
    FOR used IN SELECT u.donation_id, sum(u.amount_ore) AS held FROM donation_uses u
                WHERE u.line_id = line AND u.account_id = account GROUP BY u.donation_id HAVING sum(u.amount_ore) > 0
                ORDER BY max(u.created_at) DESC, u.donation_id LOOP
        part := least(used.held, amount);
        EXIT WHEN part = 0;
        UPDATE donations SET remaining_ore = remaining_ore + part, version = version + 1, updated_at = now()
        WHERE id = used.donation_id;
        INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore) VALUES (used.donation_id, line, account, -part);
        amount := amount - part;
    END LOOP;
    IF amount <> 0 THEN
        RAISE EXCEPTION 'line % returns more of account % than it took', line, account;
    END IF;
END $$;

-- Promises an amount of an account to a line, or says what stands in the way.
CREATE FUNCTION reserve(line uuid, account uuid, amount bigint, p purpose) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_accounts(ARRAY[account]);
    IF (SELECT a.available_ore < amount FROM accounts a WHERE a.id = account) THEN
        PERFORM refuse_gates('{insufficient_funds}');
    ELSIF use_donations(line, account, amount, p) > 0 THEN
        PERFORM refuse_gates('{fund_purpose_violation}');
    END IF;
    PERFORM book('reservation', line, ARRAY[(account, 'free', amount), (account, 'reserved', -amount)]::ledger_entry[]);
    INSERT INTO line_sources AS s (line_id, account_id, reserved_ore) VALUES (line, account, amount)
    ON CONFLICT (line_id, account_id) DO UPDATE SET reserved_ore = s.reserved_ore + amount;
END $$;

-- Takes back a promise.
CREATE FUNCTION release(line uuid, account uuid, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_accounts(ARRAY[account]);
    UPDATE line_sources s SET reserved_ore = s.reserved_ore - amount WHERE s.line_id = line AND s.account_id = account;
    PERFORM return_donations(line, account, amount);
    PERFORM book('release', line, ARRAY[(account, 'reserved', amount), (account, 'free', -amount)]::ledger_entry[]);
END $$;

-- Pays what was promised to a line. The transaction's id.
CREATE FUNCTION pay(line uuid, account uuid, amount bigint, disbursement uuid) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_accounts(ARRAY[account, account_of('bank')]);
    UPDATE line_sources s SET reserved_ore = s.reserved_ore - amount, paid_ore = s.paid_ore + amount
    WHERE s.line_id = line AND s.account_id = account;
    RETURN book('payment', disbursement,
                ARRAY[(account, 'reserved', amount), (account_of('bank'), 'free', -amount)]::ledger_entry[]);
END $$;

-- Money that came back for a line, from whom it was paid to (refund) or from whoever owed it (repayment): free again on the
-- account that paid, for the gifts that it came from.
CREATE FUNCTION take_back(kind text, line uuid, account uuid, amount bigint, about uuid, claimed bigint DEFAULT 0) RETURNS uuid
    LANGUAGE plpgsql AS $$
DECLARE entries ledger_entry[] := ARRAY[(account_of('bank'), 'free', amount), (account, 'free', -amount)]::ledger_entry[];
BEGIN
    IF claimed > 0 THEN
        entries := entries || ARRAY[(account_of('claims'), 'free', claimed), (account_of('receivables'), 'free', -claimed)]::ledger_entry[];
    END IF;
    PERFORM lock_accounts(ARRAY(SELECT e.account_id FROM unnest(entries) e));
    UPDATE line_sources s SET paid_ore = s.paid_ore - amount WHERE s.line_id = line AND s.account_id = account;
    PERFORM return_donations(line, account, amount);
    RETURN book(kind, about, entries);
END $$;

-- What must hold, always: `utvag check` and the tests ask. One row for each rule that does not, with what it is about.
CREATE FUNCTION ledger_faults() RETURNS TABLE (rule text, about text) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT 'transaction_sums_to_zero', t.id::text FROM ledger_transactions t LEFT JOIN ledger_entries e ON e.transaction_id = t.id
        GROUP BY t.id HAVING coalesce(sum(e.amount_ore), 0) <> 0 OR count(e.account_id) < 2
    UNION ALL
    SELECT 'account_is_the_sum_of_its_entries', a.id::text FROM accounts a LEFT JOIN ledger_entries e ON e.account_id = a.id
        GROUP BY a.id HAVING a.posted_ore <> a.sign * coalesce(sum(e.amount_ore), 0)
            OR a.reserved_ore <> a.sign * coalesce(sum(e.amount_ore) FILTER (WHERE e.layer = 'reserved'), 0)
    UNION ALL
    SELECT 'account_not_overdrawn', a.id::text FROM accounts a WHERE a.available_ore < 0 OR a.reserved_ore < 0
    UNION ALL
    SELECT 'month_follows_month', m.account_id || ' ' || m.month FROM (
        SELECT m.*, lag(m.closing_ore, 1, 0::bigint) OVER w AS before, lag(m.reserved_closing_ore, 1, 0::bigint) OVER w AS reserved_before
        FROM account_months m WINDOW w AS (PARTITION BY m.account_id ORDER BY m.month)) m
        WHERE m.opening_ore <> m.before OR m.reserved_opening_ore <> m.reserved_before
    UNION ALL
    SELECT 'last_month_is_the_account', a.id::text FROM accounts a
        LEFT JOIN LATERAL (SELECT * FROM account_months m WHERE m.account_id = a.id ORDER BY m.month DESC LIMIT 1) m ON true
        WHERE coalesce(m.closing_ore, 0) <> a.posted_ore OR coalesce(m.reserved_closing_ore, 0) <> a.reserved_ore
    UNION ALL
    SELECT 'available_is_what_donations_have_left', a.id::text FROM accounts a LEFT JOIN donations d ON d.account_id = a.id
            AND d.reversed_at IS NULL
        WHERE a.kind IN ('children_fund', 'general_fund', 'project')
        GROUP BY a.id HAVING a.available_ore <> coalesce(sum(d.remaining_ore), 0)
    UNION ALL
    SELECT 'donation_is_what_is_left_and_used', d.id::text FROM donations d LEFT JOIN donation_uses u ON u.donation_id = d.id
        GROUP BY d.id HAVING d.reversed_at IS NULL AND d.remaining_ore + coalesce(sum(u.amount_ore), 0) <> d.amount_ore
    UNION ALL
    SELECT 'reserved_is_what_lines_hold', a.id::text FROM accounts a LEFT JOIN line_sources s ON s.account_id = a.id
        GROUP BY a.id HAVING a.reserved_ore <> coalesce(sum(s.reserved_ore), 0)
    UNION ALL
    SELECT 'bank_is_what_the_others_have', 'bank' WHERE
        (SELECT coalesce(sum(a.posted_ore), 0) FROM accounts a WHERE a.kind = 'bank')
        <> (SELECT coalesce(sum(a.posted_ore), 0) FROM accounts a WHERE a.kind IN ('children_fund', 'general_fund', 'project'))
    UNION ALL
    SELECT 'receivables_are_the_claims', 'receivables' WHERE
        (SELECT a.posted_ore FROM accounts a WHERE a.kind = 'receivables')
        <> (SELECT a.posted_ore FROM accounts a WHERE a.kind = 'claims')
$$;

-- Who may see -------------------------------------------------------------------------------------------------------------
GRANT SELECT ON accounts, projects TO utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT SELECT ON ledger_transactions, ledger_entries, account_months TO utvag_finance, utvag_auditor;
GRANT SELECT ON donations, donation_uses TO utvag_finance, utvag_auditor;
GRANT SELECT ON account_months TO utvag_project;
DO $$
DECLARE home text;
BEGIN
    FOREACH home IN ARRAY ARRAY['accounts', 'projects'] LOOP
        EXECUTE format('CREATE POLICY read_all ON %I FOR SELECT TO utvag_case, utvag_finance, utvag_project, utvag_auditor USING (true)', home);
    END LOOP;
    FOREACH home IN ARRAY ARRAY['ledger_transactions', 'ledger_entries', 'account_months', 'donations', 'donation_uses'] LOOP
        EXECUTE format('CREATE POLICY read_all ON %I FOR SELECT TO utvag_finance, utvag_auditor USING (true)', home);
    END LOOP;
END $$;
CREATE POLICY of_projects ON account_months FOR SELECT TO utvag_project
    USING (EXISTS (SELECT FROM accounts a WHERE a.id = account_id AND a.kind = 'project'));
GRANT EXECUTE ON FUNCTION account_of TO utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT EXECUTE ON FUNCTION ledger_faults TO utvag_auditor;

CALL guard_tables();
