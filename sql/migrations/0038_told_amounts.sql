-- What a report tells of money: granted and paid are each a table of its own. Of a kind of need that was granted to eleven and
-- paid to one, the payment would else be hers.

SET LOCAL ROLE utvag_owner;

CREATE INDEX line_sources_of_account ON line_sources (account_id, line_id);

-- Of (cell, person, öre): each cell that may be told, and in one without a name what the others are together; no row at all
-- where all of it is of fewer than 11.
CREATE FUNCTION told_amounts(cells text[], persons uuid[], amounts bigint[])
    RETURNS TABLE (cell text, ore bigint, persons_count bigint) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE hidden text[] := hidden_cells(cells, persons);
BEGIN
    IF (SELECT count(DISTINCT u.person) < 11 FROM unnest(persons) AS u (person)) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT s.cell, sum(s.ore)::bigint, count(DISTINCT s.person)
        FROM (SELECT CASE WHEN u.cell = ANY (hidden) THEN '' ELSE u.cell END AS cell, u.person, u.ore
              FROM unnest(cells, persons, amounts) AS u (cell, person, ore)) AS s
        GROUP BY s.cell;
END $$;

CREATE OR REPLACE FUNCTION project_money_report(project uuid, from_on date, to_on date) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH money AS MATERIALIZED (SELECT * FROM project_money(project, from_on, to_on)),
    granted AS (SELECT t.* FROM (SELECT array_agg(m.category_code) AS cells, array_agg(m.person_id) AS persons,
            array_agg(m.granted_ore) AS amounts FROM money m WHERE m.granted_ore <> 0) AS a
        CROSS JOIN LATERAL told_amounts(a.cells, a.persons, a.amounts) t WHERE a.cells IS NOT NULL),
    paid AS (SELECT t.* FROM (SELECT array_agg(m.category_code) AS cells, array_agg(m.person_id) AS persons,
            array_agg(m.paid_ore) AS amounts FROM money m WHERE m.paid_ore <> 0) AS a
        CROSS JOIN LATERAL told_amounts(a.cells, a.persons, a.amounts) t WHERE a.cells IS NOT NULL)
    SELECT jsonb_build_object(
        'granted_ore', CASE WHEN EXISTS (SELECT FROM granted) OR NOT EXISTS (SELECT FROM money m WHERE m.granted_ore <> 0)
            THEN (SELECT coalesce(sum(g.ore), 0) FROM granted g) END,
        'paid_ore', CASE WHEN EXISTS (SELECT FROM paid) OR NOT EXISTS (SELECT FROM money m WHERE m.paid_ore <> 0)
            THEN (SELECT coalesce(sum(p.ore), 0) FROM paid p) END,
        'categories', (SELECT coalesce(jsonb_agg(jsonb_build_object('category_code', c.cell, 'granted_ore', g.ore, 'paid_ore', p.ore,
                'granted_persons_count', g.persons_count, 'paid_persons_count', p.persons_count) ORDER BY c.cell), '[]')
            FROM (SELECT g.cell FROM granted g UNION SELECT p.cell FROM paid p) AS c
            LEFT JOIN granted g ON g.cell = c.cell LEFT JOIN paid p ON p.cell = c.cell WHERE c.cell <> ''),
        'other_granted_ore', (SELECT g.ore FROM granted g WHERE g.cell = ''),
        'other_paid_ore', (SELECT p.ore FROM paid p WHERE p.cell = ''))
$$;

CALL guard_tables();
