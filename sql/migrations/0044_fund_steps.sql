-- Steps that were told stay as they are. A line of which a part is released, or that another gift takes over, after it was paid
-- came into the order of its old payment: it put one person out of a step that was told, and the difference told of those two.
-- And a step's money is that of the people in it, also where two were paid in the same microsecond.

SET LOCAL ROLE utvag_owner;

-- paid_at: when it was settled that the gift paid it, the payment or what last changed the gift's part of the line.
CREATE OR REPLACE FUNCTION settled_uses(donation uuid, before date)
    RETURNS TABLE (person_id uuid, category_code text, group_code text, amount_ore bigint, paid_at timestamptz) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT l.person_id, l.category_code, c.group_code, u.amount, p.settled_at
    FROM (SELECT x.line_id, x.account_id, sum(x.amount_ore)::bigint AS amount, max(x.created_at) AS changed_at
          FROM donation_uses x WHERE x.donation_id = donation
          GROUP BY x.line_id, x.account_id HAVING sum(x.amount_ore) > 0) u
    JOIN line_sources s ON s.line_id = u.line_id AND s.account_id = u.account_id AND s.reserved_ore = 0 AND s.paid_ore > 0
    JOIN decision_lines l ON l.id = u.line_id JOIN need_categories c ON c.code = l.category_code,
    LATERAL (SELECT greatest(max(d.paid_at), u.changed_at) AS settled_at
             FROM disbursement_cases k JOIN disbursements d ON d.id = k.disbursement_id
             WHERE k.line_id = l.id AND d.status = 'paid' HAVING count(*) > 0) p
    WHERE (p.settled_at AT TIME ZONE 'Europe/Stockholm')::date < before
$$;

CREATE OR REPLACE FUNCTION cells_of(donation uuid, before date, level text) RETURNS TABLE (code text, people bigint, amount_ore numeric)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    WITH uses AS (SELECT CASE level WHEN 'category' THEN u.category_code WHEN 'group' THEN u.group_code ELSE 'all' END AS code,
                         u.person_id, u.amount_ore, u.paid_at FROM settled_uses(donation, before) u),
    arrivals AS (SELECT f.code, f.person_id, f.since, row_number() OVER (PARTITION BY f.code ORDER BY f.since, f.person_id) AS nth
                 FROM (SELECT u.code, u.person_id, min(u.paid_at) AS since FROM uses u GROUP BY u.code, u.person_id) f),
    steps AS (SELECT a.code, max(a.nth) - max(a.nth) % 11 AS people FROM arrivals a GROUP BY a.code)
    SELECT s.code, nullif(s.people, 0), (SELECT sum(u.amount_ore) FROM uses u
                                        JOIN arrivals p ON p.code = u.code AND p.person_id = u.person_id AND p.nth <= s.people
                                        JOIN arrivals a ON a.code = s.code AND a.nth = s.people
                                        WHERE u.code = s.code AND u.paid_at <= a.since)
    FROM steps s
$$;
