-- What the children's fund tells everyone, and a donor of her gift: never of one person, nor of a few. Figures are of quarters that
-- closed a quarter ago, in whole thousands of kronor; people are counted in steps of eleven, and money only up to the payment with
-- which a step was full, so that the difference between two days never tells of fewer than eleven either.

SET LOCAL ROLE utvag_owner;

-- The first day that is not told of yet.
CREATE FUNCTION published_until(day date) RETURNS date LANGUAGE sql IMMUTABLE
    RETURN (date_trunc('quarter', day::timestamp) - interval '3 months')::date;

CREATE FUNCTION whole_thousands(ore numeric) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN (round(ore / 100000) * 100000)::bigint;

-- Whom an account's payments helped before a day: each person once, with the day that she was first paid for. What was all paid
-- back counts no more.
CREATE FUNCTION helped_by(account uuid, before date) RETURNS TABLE (person_id uuid, since timestamptz) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT l.person_id, min(d.paid_at)
    FROM line_sources s JOIN decision_lines l ON l.id = s.line_id
    JOIN disbursement_cases c ON c.line_id = l.id
    JOIN disbursements d ON d.id = c.disbursement_id AND d.status = 'paid'
    WHERE s.account_id = account AND s.paid_ore > 0 AND (d.paid_at AT TIME ZONE 'Europe/Stockholm')::date < before
    GROUP BY l.person_id
$$;

-- An account's quarters before a day, each figure rounded by itself.
CREATE FUNCTION quarters_of(account uuid, before date) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce(json_agg(json_build_object('quarter', to_char(q.first, 'YYYY"-Q"Q'), 'opening_ore', whole_thousands(q.opening),
            'received_ore', whole_thousands(q.received), 'paid_out_ore', whole_thousands(q.paid_out),
            'reserved_ore', whole_thousands(q.reserved), 'closing_ore', whole_thousands(q.closing)) ORDER BY q.first), '[]')
    FROM (SELECT date_trunc('quarter', m.month::timestamp)::date AS first, (array_agg(m.opening_ore ORDER BY m.month))[1] AS opening,
                 sum(m.received_ore) AS received, sum(m.paid_out_ore) AS paid_out,
                 (array_agg(m.reserved_closing_ore ORDER BY m.month DESC))[1] AS reserved,
                 (array_agg(m.closing_ore ORDER BY m.month DESC))[1] AS closing
          FROM account_months m WHERE m.account_id = account AND m.month < before GROUP BY 1) AS q
$$;

-- GET /fund
CREATE FUNCTION fund_public() RETURNS SETOF outcome LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT NULL::uuid, 0, json_build_object('told_until', published_until(today()) - 1, 'quarters', quarters_of(a.id, published_until(today())),
        'children_helped', CASE WHEN h.count >= 11 THEN h.count - h.count % 11 END, 'suppressed', h.count < 11)::text, NULL::text
    FROM accounts a, LATERAL (SELECT count(*) AS count FROM helped_by(a.id, published_until(today()))) h
    WHERE a.kind = 'children_fund'
$$;

-- GET /fund/live
CREATE FUNCTION fund_live() RETURNS SETOF outcome LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT NULL::uuid, 0, json_build_object('told_at', rfc3339(now()), 'posted_ore', a.posted_ore, 'reserved_ore', a.reserved_ore,
        'available_ore', a.available_ore, 'donations', g.count, 'donated_ore', g.sum,
        'paid_out_ore', (SELECT coalesce(sum(m.paid_out_ore), 0) FROM account_months m WHERE m.account_id = a.id),
        'children_helped', (SELECT count(*) FROM helped_by(a.id, today() + 1)))::text, NULL::text
    FROM accounts a, LATERAL (SELECT count(*) AS count, coalesce(sum(d.amount_ore), 0) AS sum FROM donations d
                              WHERE d.account_id = a.id AND d.reversed_at IS NULL) g
    WHERE a.kind = 'children_fund'
$$;

-- A gift's uses ------------------------------------------------------------------------------------------------------------
-- What a donation paid for before a day, a row a line: lines that are wholly paid, since only then is it settled which gift paid.
CREATE FUNCTION settled_uses(donation uuid, before date)
    RETURNS TABLE (person_id uuid, category_code text, group_code text, amount_ore bigint, paid_at timestamptz) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT l.person_id, l.category_code, c.group_code, u.amount, p.paid_at
    FROM (SELECT x.line_id, x.account_id, sum(x.amount_ore)::bigint AS amount FROM donation_uses x WHERE x.donation_id = donation
          GROUP BY x.line_id, x.account_id HAVING sum(x.amount_ore) > 0) u
    JOIN line_sources s ON s.line_id = u.line_id AND s.account_id = u.account_id AND s.reserved_ore = 0 AND s.paid_ore > 0
    JOIN decision_lines l ON l.id = u.line_id JOIN need_categories c ON c.code = l.category_code,
    LATERAL (SELECT max(d.paid_at) AS paid_at FROM disbursement_cases k JOIN disbursements d ON d.id = k.disbursement_id
             WHERE k.line_id = l.id AND d.status = 'paid') p
    WHERE (p.paid_at AT TIME ZONE 'Europe/Stockholm')::date < before
$$;

-- The uses in the cells of one level, each cut at its last full step of eleven people: of a cell that has no step, a NULL.
CREATE FUNCTION cells_of(donation uuid, before date, level text) RETURNS TABLE (code text, people bigint, amount_ore numeric)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    WITH uses AS (SELECT CASE level WHEN 'category' THEN u.category_code WHEN 'group' THEN u.group_code ELSE 'all' END AS code,
                         u.person_id, u.amount_ore, u.paid_at FROM settled_uses(donation, before) u),
    arrivals AS (SELECT f.code, f.since, row_number() OVER (PARTITION BY f.code ORDER BY f.since, f.person_id) AS nth
                 FROM (SELECT u.code, u.person_id, min(u.paid_at) AS since FROM uses u GROUP BY u.code, u.person_id) f),
    steps AS (SELECT a.code, max(a.nth) - max(a.nth) % 11 AS people FROM arrivals a GROUP BY a.code)
    SELECT s.code, nullif(s.people, 0), (SELECT sum(u.amount_ore) FROM uses u JOIN arrivals a ON a.code = s.code AND a.nth = s.people
                                        WHERE u.code = s.code AND u.paid_at <= a.since)
    FROM steps s
$$;

-- GET /fund/donations/{id}/uses: by kind of need, else by group, else in all: the finest of which each cell has eleven people.
CREATE FUNCTION donation_uses_told(donation uuid) RETURNS SETOF outcome LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    WITH levels AS (SELECT l.level, l.rank, c.* FROM (VALUES ('category', 1), ('group', 2), ('all', 3)) AS l (level, rank),
                    LATERAL cells_of(donation, published_until(today()), l.level) c),
    told AS (SELECT l.level FROM levels l GROUP BY l.level, l.rank HAVING bool_and(l.people IS NOT NULL) ORDER BY l.rank LIMIT 1)
    SELECT NULL::uuid, 0, json_build_object('donation_id', d.id, 'told_until', published_until(today()) - 1,
        'level', coalesce((SELECT level FROM told), 'none'),
        'uses', (SELECT coalesce(json_agg(json_build_object('code', l.code, 'beneficiaries', l.people,
                'paid_ore', whole_thousands(l.amount_ore)) ORDER BY l.code), '[]')
            FROM levels l JOIN told USING (level)),
        'suppressed', NOT EXISTS (SELECT FROM told))::text, NULL::text
    FROM donations d WHERE d.id = donation AND d.reversed_at IS NULL
$$;

GRANT EXECUTE ON FUNCTION fund_public, donation_uses_told TO utvag_login;
GRANT EXECUTE ON FUNCTION fund_live TO utvag_case, utvag_finance, utvag_auditor;
