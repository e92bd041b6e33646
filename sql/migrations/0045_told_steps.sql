-- What a donor was told stands. Each step of eleven people is kept when it is first told, with its money as it was then: a refund or a
-- line that is settled late changes no figure that was told, so no difference tells of fewer than the eleven of a new step. The level
-- stays too, since figures of two levels could be compared.

SET LOCAL ROLE utvag_owner;

CREATE TABLE told_steps (
    donation_id uuid NOT NULL REFERENCES donations,
    level text NOT NULL CHECK (level IN ('category', 'group', 'all')),
    code text NOT NULL,
    step int NOT NULL,
    person_ids uuid[] NOT NULL CHECK (cardinality(person_ids) = 11),
    amount_ore bigint NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (donation_id, code, step)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON told_steps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DROP FUNCTION donation_uses_told, cells_of;

-- Uses by the cells of a level.
CREATE FUNCTION uses_by(donation uuid, before date, level text)
    RETURNS TABLE (code text, person_id uuid, amount_ore bigint, settled_at timestamptz) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT CASE level WHEN 'category' THEN u.category_code WHEN 'group' THEN u.group_code ELSE 'all' END, u.person_id, u.amount_ore,
        u.paid_at
    FROM settled_uses(donation, before) u
$$;

-- The level that was told before, else the finest of which each cell has eleven people; NULL while none has.
CREATE FUNCTION level_of(donation uuid, before date) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce((SELECT t.level FROM told_steps t WHERE t.donation_id = donation LIMIT 1),
        (SELECT c.level FROM (SELECT l.level, l.rank, u.code, count(DISTINCT u.person_id) AS people
                              FROM (VALUES ('category', 1), ('group', 2), ('all', 3)) AS l (level, rank),
                                  LATERAL uses_by(donation, before, l.level) u GROUP BY l.level, l.rank, u.code) c
         GROUP BY c.level, c.rank HAVING min(c.people) >= 11 ORDER BY c.rank LIMIT 1))
$$;

-- Keeps the steps that are full now, of people who are in none yet, first come, first in. Two who ask at once wait for each other.
CREATE FUNCTION keep_steps(donation uuid, before date, level text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM FROM donations d WHERE d.id = donation FOR NO KEY UPDATE;
    INSERT INTO told_steps (donation_id, level, code, step, person_ids, amount_ore)
    SELECT donation, keep_steps.level, a.code, a.step + a.told, array_agg(a.person_id ORDER BY a.nth), sum(a.amount)
    FROM (SELECT f.*, row_number() OVER w AS nth, (row_number() OVER w - 1) / 11 AS step,
                 (SELECT count(*) FROM told_steps t WHERE t.donation_id = donation AND t.code = f.code) AS told
          FROM (SELECT u.code, u.person_id, min(u.settled_at) AS since, sum(u.amount_ore) AS amount
                FROM uses_by(donation, before, keep_steps.level) u
                WHERE NOT EXISTS (SELECT FROM told_steps t WHERE t.donation_id = donation AND t.code = u.code
                                  AND u.person_id = ANY (t.person_ids))
                GROUP BY u.code, u.person_id) f
          WINDOW w AS (PARTITION BY f.code ORDER BY f.since, f.person_id)) a
    GROUP BY a.code, a.step, a.told HAVING count(*) = 11;
END $$;

-- GET /fund/donations/{id}/uses
CREATE FUNCTION donation_uses_told(donation uuid) RETURNS SETOF outcome LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    before date := published_until(today());
    level text := level_of(donation, before);
BEGIN
    IF level IS NOT NULL THEN
        PERFORM keep_steps(donation, before, level);
    END IF;
    RETURN QUERY SELECT NULL::uuid, 0, json_build_object('donation_id', d.id, 'told_until', before - 1, 'level', coalesce(level, 'none'),
        'uses', (SELECT coalesce(json_agg(json_build_object('code', t.code, 'beneficiaries', t.people, 'paid_ore', t.paid) ORDER BY t.code), '[]')
            FROM (SELECT s.code, count(*) * 11 AS people, sum(whole_thousands(s.amount_ore)) AS paid FROM told_steps s
                  WHERE s.donation_id = donation GROUP BY s.code) t),
        'suppressed', level IS NULL)::text, NULL::text
    FROM donations d WHERE d.id = donation AND d.reversed_at IS NULL;
END $$;

GRANT EXECUTE ON FUNCTION donation_uses_told TO utvag_login;

CALL guard_tables();
