-- The books: what there is on each account, how it got there, and the same for the bookkeeping.

SET LOCAL ROLE utvag_owner;

-- Who may see -------------------------------------------------------------------------------------------------------------
-- Whoever runs projects sees their accounts and no other. Decision makers see what an account has, and its months.
DROP POLICY read_all ON accounts;
CREATE POLICY read_all ON accounts FOR SELECT TO utvag_case, utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_projects ON accounts FOR SELECT TO utvag_project USING (kind = 'project');
GRANT SELECT ON account_months TO utvag_case;
CREATE POLICY read_months ON account_months FOR SELECT TO utvag_case USING (true);

-- Accounts ----------------------------------------------------------------------------------------------------------------
CREATE INDEX accounts_by_number ON accounts (number, id);

CREATE VIEW account_bodies WITH (security_invoker = true) AS
    SELECT a.id, a.version, a.number, a.kind,
        json_build_object('id', a.id, 'kind', a.kind, 'number', a.number, 'name_sv', a.name_sv, 'name_en', a.name_en,
            'project_id', a.project_id, 'posted_ore', a.posted_ore, 'reserved_ore', a.reserved_ore,
            'available_ore', a.available_ore, 'version', a.version, 'created_at', rfc3339(a.created_at),
            'updated_at', rfc3339(a.updated_at))::text AS body
    FROM accounts a;

-- The movement table of K3 for an account's months (each given by its first day), and for all of them. A month in which
-- nothing moved is as the latest before it left the account: one look into an index a month, however many entries there are.
CREATE FUNCTION account_statement(account uuid, from_month date, to_month date)
    RETURNS TABLE (id uuid, version int, body text) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.id, a.version, json_build_object('account_id', a.id, 'from_month', to_char(from_month, 'YYYY-MM'),
        'to_month', to_char(to_month, 'YYYY-MM'), 'total', s.total, 'months', s.months)::text
    FROM accounts a CROSS JOIN LATERAL (
        SELECT json_agg(json_build_object('month', to_char(m.month, 'YYYY-MM'), 'opening_ore', m.opening, 'received_ore', m.received,
                'paid_out_ore', m.paid_out, 'closing_ore', m.closing, 'reserved_opening_ore', m.reserved_opening,
                'reserved_ore', m.reserved, 'settled_ore', m.settled, 'reserved_closing_ore', m.reserved_closing)
                ORDER BY m.month) AS months,
            json_build_object('opening_ore', (array_agg(m.opening ORDER BY m.month))[1], 'received_ore', sum(m.received),
                'paid_out_ore', sum(m.paid_out), 'closing_ore', (array_agg(m.closing ORDER BY m.month DESC))[1],
                'reserved_opening_ore', (array_agg(m.reserved_opening ORDER BY m.month))[1], 'reserved_ore', sum(m.reserved),
                'settled_ore', sum(m.settled),
                'reserved_closing_ore', (array_agg(m.reserved_closing ORDER BY m.month DESC))[1]) AS total
        FROM (
            SELECT g.month::date AS month,
                CASE WHEN l.month = g.month THEN l.opening_ore ELSE coalesce(l.closing_ore, 0) END AS opening,
                CASE WHEN l.month = g.month THEN l.received_ore ELSE 0 END AS received,
                CASE WHEN l.month = g.month THEN l.paid_out_ore ELSE 0 END AS paid_out,
                coalesce(l.closing_ore, 0) AS closing,
                CASE WHEN l.month = g.month THEN l.reserved_opening_ore ELSE coalesce(l.reserved_closing_ore, 0) END AS reserved_opening,
                CASE WHEN l.month = g.month THEN l.reserved_ore ELSE 0 END AS reserved,
                CASE WHEN l.month = g.month THEN l.settled_ore ELSE 0 END AS settled,
                coalesce(l.reserved_closing_ore, 0) AS reserved_closing
            FROM generate_series(from_month::timestamp, to_month::timestamp, interval '1 month') AS g (month)
            LEFT JOIN LATERAL (SELECT * FROM account_months k WHERE k.account_id = a.id AND k.month <= g.month::date
                               ORDER BY k.month DESC LIMIT 1) AS l ON true
        ) AS m
    ) AS s
    WHERE a.id = account;
END;

-- What the funds took in, and what of it went to their purpose: at least three quarters, says Svensk Insamlingskontroll of
-- whoever has a 90-konto. Months are given by their first days.
CREATE FUNCTION fund_ratio(from_month date, to_month date) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT json_build_object('from_month', to_char(from_month, 'YYYY-MM'), 'to_month', to_char(to_month, 'YYYY-MM'),
        'income_ore', s.income, 'purpose_ore', s.purpose, 'promised_ore', s.promised,
        'purpose_per_mille', CASE WHEN s.income > 0 THEN floor(s.purpose * 1000 / s.income) END,
        'required_per_mille', 750,
        'meets_requirement', CASE WHEN s.income > 0 THEN s.purpose * 1000 >= s.income * 750 END)::text
    FROM (SELECT coalesce(sum(m.received_ore), 0) AS income, coalesce(sum(m.paid_out_ore), 0) AS purpose,
                 coalesce(sum(m.reserved_ore - m.settled_ore), 0) AS promised
          FROM accounts a JOIN account_months m ON m.account_id = a.id
          WHERE a.kind IN ('children_fund', 'general_fund', 'project') AND m.month BETWEEN from_month AND to_month) AS s;
END;

-- Transactions: never what or whom they are about, but for the gift that the fund's people registered themselves ---------------
CREATE VIEW ledger_transaction_bodies WITH (security_invoker = true) AS
    SELECT t.id, t.version, t.booked_on, t.kind,
        json_build_object('id', t.id, 'kind', t.kind, 'voucher', t.voucher, 'booked_on', t.booked_on,
            'reverses_id', t.reverses_id, 'donation_id', CASE WHEN t.kind = 'gift' THEN t.about END,
            'entries', (SELECT json_agg(json_build_object('account_id', e.account_id, 'layer', e.layer, 'amount_ore', e.amount_ore)
                                        ORDER BY e.position) FROM ledger_entries e WHERE e.transaction_id = t.id),
            'version', t.version)::text AS body
    FROM ledger_transactions t;

-- An account's, each once though it may have several entries there.
CREATE VIEW account_transaction_bodies WITH (security_invoker = true) AS
    SELECT e.transaction_id AS id, t.version, e.account_id AS parent_id, e.booked_on, t.kind, t.body
    FROM ledger_entries e JOIN ledger_transaction_bodies t ON t.id = e.transaction_id
    WHERE NOT EXISTS (SELECT FROM ledger_entries f WHERE f.transaction_id = e.transaction_id AND f.account_id = e.account_id
                          AND f.position < e.position);

-- The ledger of a period as CSV (RFC 4180), a line an entry ----------------------------------------------------------------------
-- A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection).
CREATE FUNCTION csv_cell(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value ~ E'["\r\n,]' THEN '"' || replace(CASE WHEN value ~ E'^[=+@\t\r-]' THEN '''' || value ELSE value END, '"', '""') || '"'
        WHEN value ~ E'^[=+@\t\r-]' THEN '''' || value ELSE coalesce(value, '') END;

CREATE VIEW ledger_csv_lines WITH (security_invoker = true) AS
    SELECT t.booked_on, t.id, e.position, concat_ws(',', t.voucher, t.kind, t.booked_on, a.number, csv_cell(a.name_sv), e.layer,
        e.amount_ore, e.account_id, coalesce(a.project_id::text, ''), t.id, coalesce(t.reverses_id::text, '')) || E'\r\n' AS line
    FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id JOIN accounts a ON a.id = e.account_id;

-- The same as SIE 4E (SIE-gruppen, format 4B of 2008): what moves between accounts --------------------------------------------
-- In quotes, which may not hold what ends them.
CREATE FUNCTION sie_text(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '"' || replace(replace(regexp_replace(value, '[[:cntrl:]]', ' ', 'g'), '\', '/'), '"', '\"') || '"';
-- Kronor; debit above zero.
CREATE FUNCTION sie_amount(ore numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(ore / 100, 2)::text;
-- A project is an object of dimension 6.
CREATE FUNCTION sie_project(project uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN upper(left(project::text, 8));

-- What an account had when a day was over, as bookkeeping has it: debit above zero.
CREATE FUNCTION balance_on(a accounts, day date) RETURNS bigint LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.sign * coalesce((
        SELECT CASE WHEN (m.month + interval '1 month')::date <= day + 1 THEN m.closing_ore
            ELSE m.opening_ore + a.sign * (SELECT coalesce(sum(e.amount_ore), 0) FROM ledger_entries e
                                           WHERE e.account_id = a.id AND e.booked_on BETWEEN m.month AND day) END
        FROM account_months m WHERE m.account_id = a.id AND m.month <= day ORDER BY m.month DESC LIMIT 1), 0)::bigint;
END;

-- Accounts, projects and balances of the calendar year, up to to_on, and of the year before. Projects share an account there,
-- and are told apart by their object.
CREATE FUNCTION sie_head(from_on date, to_on date, organisation text, organisation_number text, program_version text)
    RETURNS TABLE (line text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    starts date := date_trunc('year', to_on);
    b record;
BEGIN
    RETURN QUERY SELECT unnest(ARRAY['#FLAGGA 0', '#PROGRAM ' || sie_text('Utväg') || ' ' || sie_text(program_version), '#FORMAT PC8',
        '#GEN ' || to_char(today(), 'YYYYMMDD'), '#SIETYP 4']);
    IF organisation_number <> '' THEN
        line := '#ORGNR ' || organisation_number;
        RETURN NEXT;
    END IF;
    RETURN QUERY SELECT unnest(ARRAY['#FNAMN ' || sie_text(organisation),
        format('#RAR 0 %s %s', to_char(starts, 'YYYYMMDD'), to_char(starts, 'YYYY') || '1231'),
        format('#RAR -1 %s %s', to_char(starts - interval '1 year', 'YYYYMMDD'), to_char(starts - 1, 'YYYYMMDD')),
        '#OMFATTN ' || to_char(to_on, 'YYYYMMDD'), '#KPTYP EUBAS97', '#VALUTA SEK']);
    RETURN QUERY SELECT unnest(ARRAY[format('#KONTO %s %s', a.number,
            sie_text(CASE WHEN count(*) = 1 THEN min(a.name_sv) ELSE 'Projektmedel' END)),
        format('#KTYP %s %s', a.number, CASE left(a.number, 1) WHEN '1' THEN 'T' WHEN '2' THEN 'S' WHEN '3' THEN 'I' ELSE 'K' END)])
    FROM accounts a GROUP BY a.number ORDER BY a.number;
    RETURN QUERY SELECT '#DIM 6 ' || sie_text('Projekt');
    RETURN QUERY SELECT format('#OBJEKT 6 %s %s', sie_text(sie_project(a.project_id)), sie_text(p.name_sv))
    FROM accounts a JOIN projects p ON p.id = a.project_id ORDER BY 1;
    FOR b IN SELECT * FROM (VALUES ('IB', 0, starts - 1), ('UB', 0, to_on), ('IB', -1, (starts - interval '1 year')::date - 1),
                                   ('UB', -1, starts - 1)) AS v (label, year, day) LOOP
        RETURN QUERY SELECT format('#%s %s %s %s', b.label, b.year, a.number, sie_amount(sum(balance_on(a, b.day))))
        FROM accounts a GROUP BY a.number ORDER BY a.number;
        RETURN QUERY SELECT format('#O%s %s %s {6 %s} %s', b.label, b.year, a.number, sie_text(sie_project(a.project_id)),
            sie_amount(balance_on(a, b.day)))
        FROM accounts a WHERE a.project_id IS NOT NULL ORDER BY a.number, a.id;
    END LOOP;
END $$;

-- A promise moves nothing between accounts, so it is no voucher there: nor is what takes one back.
CREATE VIEW sie_vouchers WITH (security_invoker = true) AS
    SELECT t.booked_on, t.id, format(E'#VER U "" %s %s\r\n{\r\n%s}\r\n', to_char(t.booked_on, 'YYYYMMDD'), sie_text(t.voucher), l.lines) AS text
    FROM ledger_transactions t CROSS JOIN LATERAL (
        SELECT string_agg(format(E'#TRANS %s {%s} %s\r\n', a.number, '6 ' || sie_text(sie_project(a.project_id)), sie_amount(s.amount)),
                          '' ORDER BY s.position) AS lines
        FROM (SELECT e.account_id, sum(e.amount_ore) AS amount, min(e.position) AS position FROM ledger_entries e
              WHERE e.transaction_id = t.id GROUP BY e.account_id HAVING sum(e.amount_ore) <> 0) AS s
        JOIN accounts a ON a.id = s.account_id) AS l
    WHERE t.kind NOT IN ('reservation', 'release') AND l.lines IS NOT NULL;

-- What PostgreSQL's own catalogue must say, always: `utvag check` asks. One row for each rule that does not hold.
CREATE FUNCTION catalogue_faults() RETURNS TABLE (rule text, about text) LANGUAGE sql STABLE AS $$
    WITH ours AS (SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'vault')),
    roles AS (SELECT r.* FROM pg_roles r WHERE r.rolname IN ('utvag_app', 'utvag_login', 'utvag_partner', 'utvag_public', 'utvag_case',
        'utvag_finance', 'utvag_project', 'utvag_auditor', 'utvag_admin')),
    money AS (SELECT c.* FROM ours c WHERE c.relname IN ('accounts', 'ledger_transactions', 'ledger_entries', 'account_months',
        'donations', 'donation_uses', 'line_sources')),
    guards (home, name) AS (VALUES ('ledger_transactions', 'append_only'), ('ledger_transactions', 'sums_to_zero'),
        ('ledger_entries', 'append_only'), ('ledger_entries', 'moves_accounts'), ('donation_uses', 'append_only'),
        ('audit_events', 'append_only'))
    SELECT 'table_is_guarded_and_forced', c.oid::regclass::text FROM ours c
        WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    UNION ALL
    SELECT 'policy_names_its_roles', p.polrelid::regclass || ' ' || p.polname FROM pg_policy p JOIN ours c ON c.oid = p.polrelid
        WHERE 0 = ANY (p.polroles)
    UNION ALL
    SELECT 'view_reads_as_its_caller', c.oid::regclass::text FROM ours c WHERE c.relkind = 'v'
        AND NOT coalesce(c.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']
    UNION ALL
    SELECT 'owners_eyes_fix_their_search_path', p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('public', 'vault') AND p.prosecdef
          AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search\_path=%')
    UNION ALL
    SELECT 'role_is_bound_by_the_policies', r.rolname FROM roles r WHERE r.rolsuper OR r.rolbypassrls OR r.rolinherit
    UNION ALL
    SELECT 'role_owns_no_table', r.rolname || ' ' || c.oid::regclass FROM ours c JOIN roles r ON r.oid = c.relowner
    UNION ALL
    SELECT 'role_writes_no_ledger', r.rolname || ' ' || w.kind || ' ' || c.oid::regclass FROM money c CROSS JOIN roles r
        CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS w (kind)
        WHERE has_table_privilege(r.oid, c.oid, w.kind)
            OR w.kind IN ('INSERT', 'UPDATE') AND has_any_column_privilege(r.oid, c.oid, w.kind)
    UNION ALL
    SELECT 'role_changes_no_audit_event', r.rolname || ' ' || w.kind FROM ours c CROSS JOIN roles r
        CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS w (kind)
        WHERE c.relname = 'audit_events' AND has_table_privilege(r.oid, c.oid, w.kind)
    UNION ALL
    SELECT 'guard_is_on', g.home || ' ' || g.name FROM guards g WHERE NOT EXISTS (SELECT FROM pg_trigger t
        WHERE t.tgrelid = to_regclass('public.' || g.home) AND t.tgname = g.name AND t.tgenabled IN ('O', 'A'))
$$;

GRANT SELECT ON account_bodies TO utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT EXECUTE ON FUNCTION account_statement TO utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT SELECT ON ledger_transaction_bodies, account_transaction_bodies, ledger_csv_lines, sie_vouchers TO utvag_finance, utvag_auditor;
GRANT EXECUTE ON FUNCTION today, fund_ratio, balance_on, sie_head, csv_cell, sie_text, sie_amount, sie_project TO utvag_finance, utvag_auditor;

CALL guard_tables();
