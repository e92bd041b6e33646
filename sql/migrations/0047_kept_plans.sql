-- What is asked of lines for every decision, partly while its accounts are locked, in functions whose plans a session keeps. One in
-- SQL that is SECURITY DEFINER is planned anew at each call, which cost more than what it asks: need_paid alone a quarter of a
-- decision.

SET LOCAL ROLE utvag_owner;

-- Öre that were paid for a need by whatever was decided before, but for what is claimed back and not written off. An advance that
-- society paid back to the fund was paid for the need all the same.
CREATE OR REPLACE FUNCTION need_paid(need uuid) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT sum(s.paid_ore) FROM decision_lines l JOIN line_sources s ON s.line_id = l.id WHERE l.need_id = need), 0)
        + coalesce((SELECT sum(CASE c.kind WHEN 'advance' THEN r.repaid_ore ELSE r.repaid_ore + r.written_off_ore - r.amount_ore END)
                    FROM decision_lines l JOIN recovery_cases c ON c.line_id = l.id JOIN recoveries r ON r.id = c.recovery_id
                    WHERE l.need_id = need), 0);
END $$;

-- Öre that the standing lines of needs hold of an account: free again when they are superseded.
CREATE OR REPLACE FUNCTION held_by_needs(account uuid, of_needs uuid[]) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(sum(s.reserved_ore), 0)::bigint FROM line_sources s JOIN decision_lines l ON l.id = s.line_id
            WHERE s.account_id = account AND l.need_id = ANY (of_needs) AND l.superseded_by IS NULL);
END $$;

CALL guard_tables();
