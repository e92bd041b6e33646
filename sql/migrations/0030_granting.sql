-- What is granted is promised of an account in the decision's own transaction: of which accounts, what each may be used for, and
-- what becomes of a promise when the decision is superseded, the case closed, or the project's time is over.

SET LOCAL ROLE utvag_owner;

-- Where a protected applicant is stands nowhere. That she is in a project's catchment is what her case worker vouches for.
CREATE TABLE catchment_attestations (
    application_id uuid NOT NULL REFERENCES applications,
    project_id uuid NOT NULL REFERENCES projects,
    attested_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (application_id, project_id)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catchment_attestations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the service opens before a decision -----------------------------------------------------------------------------------
-- Places and birth dates are sealed. The service opens them in a trip of its own and says what rules ask for, each with the
-- version of the record that says so: where the applicant is, and who of those concerned is young.
CREATE FUNCTION application_circumstances(application uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT a.id, 1, json_build_object('today', today(),
        'applicant', (SELECT json_build_object('id', p.id, 'version', p.version,
                '$seal', vault.marker('persons', p.id, 'sealed_place', k.wrapped, p.sealed_place))
            FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id WHERE p.id = a.person_id),
        'persons', (SELECT coalesce(json_agg(json_build_object('id', p.id, 'version', p.version,
                '$seal', vault.marker('persons', p.id, 'sealed', k.wrapped, p.sealed))), '[]')
            FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id
            WHERE p.id = ANY (ARRAY(SELECT n.person_id FROM needs n WHERE n.application_id = a.id))))::text, NULL::text
    FROM applications a WHERE a.id = application
$$;

-- The municipality that the service read of the applicant's record, if that is the record still.
CREATE FUNCTION applicant_municipality(app applications, circumstances jsonb) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT circumstances->>'municipality_code' FROM persons p
            WHERE p.id = app.person_id AND NOT p.protected AND circumstances->>'version' = p.version::text);

-- What a need is, for accounts and gifts that serve some purposes only.
CREATE FUNCTION purpose_of(n needs, municipality text) RETURNS purpose LANGUAGE sql IMMUTABLE
    RETURN (n.concerns_child, n.category_code, left(municipality, 2))::purpose;

CREATE FUNCTION is_in_catchment(app applications, p projects, municipality text) RETURNS boolean LANGUAGE sql STABLE
    RETURN p.county_codes = '{}' AND p.municipality_codes = '{}'
        OR coalesce(municipality = ANY (p.municipality_codes) OR left(municipality, 2) = ANY (p.county_codes), false)
        OR app.protected AND EXISTS (SELECT FROM catchment_attestations c WHERE c.application_id = app.id AND c.project_id = p.id);

-- In relations the related person is the parent of the person.
CREATE FUNCTION is_in_target_group(n needs, p projects, circumstances jsonb) RETURNS boolean LANGUAGE sql STABLE
    RETURN 'children' = ANY (p.target_groups) AND n.concerns_child
        OR 'adults' = ANY (p.target_groups) AND NOT n.concerns_child
        OR 'mothers_and_fathers' = ANY (p.target_groups) AND NOT n.concerns_child
            AND EXISTS (SELECT FROM relations r WHERE r.related_person_id = n.person_id AND r.kind = 'parent')
        OR 'young_people' = ANY (p.target_groups)
            AND EXISTS (SELECT FROM persons b WHERE b.id = n.person_id AND circumstances->'young'->>b.id::text = b.version::text);

-- What is asked of accounts ------------------------------------------------------------------------------------------------
-- Öre that were paid for a need by whatever was decided before, but for what is claimed back and not written off. An advance that
-- society paid back to the fund was paid for the need all the same.
CREATE FUNCTION need_paid(need uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce((SELECT sum(s.paid_ore) FROM decision_lines l JOIN line_sources s ON s.line_id = l.id WHERE l.need_id = need), 0)
        + coalesce((SELECT sum(CASE c.kind WHEN 'advance' THEN r.repaid_ore ELSE r.repaid_ore + r.written_off_ore - r.amount_ore END)
                    FROM decision_lines l JOIN recovery_cases c ON c.line_id = l.id JOIN recoveries r ON r.id = c.recovery_id
                    WHERE l.need_id = need), 0)
$$;

-- Of which accounts each granted line is to be paid, as far as it is not paid yet: as the caller says, else of the children's fund
-- for a child, and of the general fund for others.
CREATE FUNCTION asked_sources(lines jsonb) RETURNS TABLE (need_id uuid, at bigint, account_id uuid, amount_ore bigint)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    WITH granted AS MATERIALIZED (
        SELECT (l.value->>'need_id')::uuid AS need, l.position AS nth, (l.value->>'amount_ore')::bigint AS amount, l.value->'sources' AS sources
        FROM jsonb_array_elements(lines) WITH ORDINALITY AS l (value, position)
        WHERE l.value->>'outcome' IN ('granted', 'partly_granted'))
    SELECT g.need, g.nth, (s->>'account_id')::uuid, (s->>'amount_ore')::bigint
    FROM granted g, jsonb_array_elements(g.sources) s WHERE g.sources IS NOT NULL
    UNION ALL
    SELECT g.need, g.nth, account_of(CASE WHEN n.concerns_child THEN 'children_fund' ELSE 'general_fund' END), g.amount - need_paid(g.need)
    FROM granted g JOIN needs n ON n.id = g.need WHERE g.sources IS NULL AND g.amount > need_paid(g.need);
END $$;

-- Sources name accounts that may pay, each once, and make up what is not paid yet.
CREATE FUNCTION check_sources(lines jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    line record;
    wrong bigint;
BEGIN
    FOR line IN SELECT l.value, '/lines/' || l.position - 1 || '/sources' AS place FROM jsonb_array_elements(lines)
                WITH ORDINALITY AS l (value, position) WHERE l.value ? 'sources' LOOP
        IF line.value->>'outcome' NOT IN ('granted', 'partly_granted') THEN
            PERFORM refuse_member(line.place, 'sources_when_granted');
        END IF;
        SELECT min(s.position) - 1 INTO wrong FROM jsonb_array_elements(line.value->'sources') WITH ORDINALITY AS s (value, position)
        WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = (s.value->>'account_id')::uuid
                          AND a.kind IN ('children_fund', 'general_fund', 'project'));
        IF wrong IS NOT NULL THEN
            PERFORM refuse_member(line.place || '/' || wrong || '/account_id', 'reference_unknown');
        ELSIF (SELECT count(*) <> count(DISTINCT s->>'account_id') FROM jsonb_array_elements(line.value->'sources') s) THEN
            PERFORM refuse_member(line.place, 'account_repeated');
        ELSIF (SELECT coalesce(sum((s->>'amount_ore')::bigint), 0) FROM jsonb_array_elements(line.value->'sources') s)
            <> greatest((line.value->>'amount_ore')::bigint - need_paid((line.value->>'need_id')::uuid), 0) THEN
            PERFORM refuse_member(line.place, 'sources_are_not_the_amount');
        END IF;
    END LOOP;
END $$;

-- Öre that the standing lines of needs hold of an account: free again when they are superseded.
CREATE FUNCTION held_by_needs(account uuid, of_needs uuid[]) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce(sum(s.reserved_ore), 0)::bigint FROM line_sources s JOIN decision_lines l ON l.id = s.line_id
    WHERE s.account_id = account AND l.need_id = ANY (of_needs) AND l.superseded_by IS NULL
$$;

-- Whether so much of an account came for such a purpose and is not promised. Reads no further than that, however many gifts wait.
CREATE FUNCTION gifts_admit(account uuid, amount bigint, p purpose) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE d donations;
BEGIN
    FOR d IN SELECT * FROM donations WHERE account_id = account AND remaining_ore > 0 ORDER BY received_on, id LOOP
        EXIT WHEN amount <= 0;
        CONTINUE WHEN NOT donation_admits(d, p);
        amount := amount - d.remaining_ore;
    END LOOP;
    RETURN amount <= 0;
END $$;

-- Whether a project's money may go to a need today.
CREATE FUNCTION project_gates(app applications, n needs, p projects, municipality text, circumstances jsonb) RETURNS text[]
    LANGUAGE sql STABLE
    RETURN array_remove(ARRAY[
        CASE WHEN today() NOT BETWEEN p.starts_on AND p.ends_on OR p.closed_on <= today() THEN 'project_closed' END,
        CASE WHEN NOT is_in_catchment(app, p, municipality) THEN 'outside_catchment' END,
        CASE WHEN NOT is_in_target_group(n, p, circumstances) THEN 'outside_target_group' END], NULL);

-- What stands in the way of paying so. The accounts are looked at again, locked, when the amounts are reserved.
CREATE FUNCTION funding_gates(app applications, body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    circumstances jsonb := coalesce(body->'circumstances', '{}');
    municipality text := applicant_municipality(app, circumstances);
    wanted uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') l);
    codes text[] := '{}';
    asked record;
BEGIN
    FOR asked IN SELECT s.account_id, s.amount_ore, s.need, a.kind, p FROM (
                     SELECT s.account_id, s.amount_ore, n AS need FROM asked_sources(body->'lines') s JOIN needs n ON n.id = s.need_id) AS s
                 JOIN accounts a ON a.id = s.account_id AND a.kind IN ('children_fund', 'general_fund', 'project')
                 LEFT JOIN projects p ON p.id = a.project_id LOOP
        IF asked.kind = 'children_fund' AND NOT (asked.need).concerns_child
            OR (SELECT available_ore FROM accounts WHERE id = asked.account_id) >= asked.amount_ore
                AND NOT gifts_admit(asked.account_id, asked.amount_ore - held_by_needs(asked.account_id, wanted),
                                    purpose_of(asked.need, municipality)) THEN
            codes := codes || 'fund_purpose_violation'::text;
        END IF;
        IF asked.kind = 'project' THEN
            codes := codes || project_gates(app, asked.need, asked.p, municipality, circumstances);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM asked_sources(body->'lines') s JOIN accounts a ON a.id = s.account_id
               WHERE a.kind IN ('children_fund', 'general_fund', 'project') GROUP BY a.id, a.available_ore HAVING sum(s.amount_ore) > a.available_ore + held_by_needs(a.id, wanted)) THEN
        codes := codes || 'insufficient_funds'::text;
    END IF;
    RETURN ARRAY(SELECT DISTINCT c FROM unnest(codes) c ORDER BY c);
END $$;

CREATE OR REPLACE FUNCTION decision_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    wanted uuid[] := coalesce(need_ids, ARRAY(SELECT id FROM needs WHERE application_id = app.id AND status = 'proposed'));
    codes text[] := preparation_gates(wanted);
BEGIN
    IF cardinality(wanted) = 0
        OR EXISTS (SELECT FROM needs n WHERE n.id = ANY (wanted) AND n.status <> 'proposed') THEN
        codes := codes || 'need_not_proposed'::text;
    END IF;
    IF caller_prepared(app.id, wanted) THEN
        codes := codes || 'four_eyes_required'::text;
    END IF;
    RETURN codes || CASE WHEN body IS NULL THEN '{}' ELSE line_gates(app, body) || funding_gates(app, body) END;
END $$;

CREATE OR REPLACE FUNCTION emergency_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    amount bigint := coalesce((body->>'amount_ore')::bigint, 1);
    spent record := emergency_spent(app.id);
BEGIN
    RETURN emergency_need_gates(app, need_ids, body) || array_remove(ARRAY[
        CASE WHEN spent.in_case + amount > coalesce(house_rule('emergency_case_cap_ore'), 0) THEN 'emergency_case_cap' END,
        CASE WHEN spent.by_caller + amount > coalesce(house_rule('emergency_actor_cap_ore'), 0) THEN 'emergency_actor_cap' END,
        CASE WHEN caller_is_overdue() THEN 'ratification_overdue' END
    ], NULL) || CASE WHEN body IS NULL THEN '{}' ELSE funding_gates(app, jsonb_build_object('lines', jsonb_build_array(
        jsonb_build_object('need_id', body->'need_id', 'outcome', 'granted', 'amount_ore', body->'amount_ore')))) END;
END $$;

CREATE INDEX decision_lines_by_need ON decision_lines (need_id);
CREATE INDEX decision_lines_by_successor ON decision_lines (superseded_by) WHERE superseded_by IS NOT NULL;

-- Reserving ------------------------------------------------------------------------------------------------------------------
-- Whether the caller is making the decision, in this very transaction: what may be called to reserve for it.
CREATE FUNCTION caller_is_deciding(d decisions) RETURNS boolean LANGUAGE sql STABLE
    RETURN d.decided_by = caller() AND d.decided_at = now()
        AND NOT EXISTS (SELECT FROM line_sources s JOIN decision_lines l ON l.id = s.line_id WHERE l.decision_id = d.id);

-- What was asked to be moved of lines that hold nothing any more. The case is locked, and no account is yet.
CREATE FUNCTION cancel_refinancings(lines uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE refinancings r SET cancelled_at = now(), version = r.version + 1, updated_at = now()
    FROM refinancing_lines l WHERE l.refinancing_id = r.id AND l.line_id = ANY (lines) AND r.status = 'requested';
END $$;

-- Claims back what was paid for a need above what is granted now: of each line that was paid, since there it comes back to, the
-- latest first, and no more than it paid and nobody is asked for yet. The case is locked, and so are the accounts of claims.
CREATE FUNCTION claim_overpaid(need uuid, granted bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rest bigint := need_paid(need) - granted;
    paid record;
    part bigint;
BEGIN
    FOR paid IN SELECT l.id, sum(s.paid_ore) - coalesce((SELECT sum(r.amount_ore - r.repaid_ore - r.written_off_ore)
                    FROM recovery_cases c JOIN recoveries r ON r.id = c.recovery_id
                    WHERE c.line_id = l.id AND c.kind = 'overpayment'), 0) AS most
                FROM decision_lines l JOIN line_sources s ON s.line_id = l.id JOIN decisions d ON d.id = l.decision_id
                WHERE l.need_id = need GROUP BY l.id, d.decided_at ORDER BY d.decided_at DESC, l.id LOOP
        part := least(paid.most, rest);
        CONTINUE WHEN part <= 0;
        PERFORM open_claim(paid.id, 'overpayment', part);
        rest := rest - part;
    END LOOP;
END $$;

-- Takes back what the lines hold that this decision supersedes, promises what it grants, and claims back what was paid above it.
-- The last thing that a decision does: from here on, whoever wants one of the accounts waits for it.
CREATE FUNCTION fund_decision(decision uuid, lines jsonb, municipality text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    made decisions;
    old uuid[];
    part record;
BEGIN
    SELECT d.* INTO made FROM decisions d WHERE d.id = decision;
    IF NOT caller_is_deciding(made) THEN
        RAISE EXCEPTION 'only a decision that is being made is funded';
    END IF;
    old := ARRAY(SELECT o.id FROM decision_lines o JOIN decision_lines l ON o.superseded_by = l.id WHERE l.decision_id = decision);
    PERFORM cancel_unpaid(old);
    PERFORM cancel_refinancings(old);
    PERFORM lock_accounts(ARRAY(SELECT s.account_id FROM line_sources s WHERE s.line_id = ANY (old)
                                UNION SELECT s.account_id FROM asked_sources(lines) s
                                UNION SELECT account_of(k) FROM unnest(ARRAY['receivables', 'claims']) k WHERE cardinality(old) > 0));
    PERFORM release(s.line_id, s.account_id, s.reserved_ore) FROM line_sources s
        WHERE s.line_id = ANY (old) AND s.reserved_ore > 0;
    FOR part IN SELECT l.id AS line, s.account_id, s.amount_ore, n AS need
                FROM asked_sources(lines) s JOIN decision_lines l ON l.decision_id = decision AND l.need_id = s.need_id
                JOIN needs n ON n.id = s.need_id ORDER BY s.at, s.account_id LOOP
        PERFORM reserve(part.line, part.account_id, part.amount_ore, purpose_of(part.need, municipality));
    END LOOP;
    PERFORM claim_overpaid(l.need_id, coalesce(l.amount_ore, 0)) FROM decision_lines l WHERE l.decision_id = decision;
END $$;

-- POST /applications/{id}/decisions
CREATE OR REPLACE FUNCTION decide(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') l);
    app applications;
    decision decisions;
    stepped_over jsonb;
BEGIN
    PERFORM take_turns(wanted);
    app := begin_action(subject, 'decisions', version, wanted, body);
    PERFORM check_sources(body->'lines');
    INSERT INTO decisions (id, application_id, agency_id, kind, sealed)
    VALUES ((body->>'id')::uuid, app.id, app.agency_id, 'decision', (body->>'sealed')::bytea) RETURNING * INTO decision;
    PERFORM vault.store(body, app.person_id);
    FOR stepped_over IN SELECT jsonb_array_elements(coalesce(body->'exceptions', '[]')) LOOP
        INSERT INTO decision_exceptions (id, decision_id, application_id, code, sealed)
        VALUES ((stepped_over->>'id')::uuid, decision.id, app.id, stepped_over->>'code', (stepped_over->>'sealed')::bytea);
        PERFORM vault.store(stepped_over, app.person_id);
    END LOOP;
    PERFORM add_lines(decision, body->'lines');
    PERFORM end_action(app, 'decisions', CASE WHEN application_has_needs(app.id, '{open}') THEN 'under_review'
        WHEN application_has_needs(app.id, '{proposed}') THEN app.state ELSE 'decided' END, NULL);
    PERFORM fund_decision(decision.id, body->'lines', applicant_municipality(app, body->'circumstances'));
    RETURN QUERY SELECT d.id, d.version, d.body, NULL::text FROM decision_bodies d WHERE d.id = decision.id;
END $$;

-- What an emergency grant promises it pays in the same step. Its decision is being made by the caller.
CREATE FUNCTION pay_emergency(decision uuid, lines jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    IF (SELECT d.kind FROM decisions d WHERE d.id = decision) <> 'emergency' THEN
        RAISE EXCEPTION 'only an emergency grant is paid at once';
    END IF;
    PERFORM lock_for_payment(ARRAY(SELECT s.account_id FROM asked_sources(lines) s));
    PERFORM fund_decision(decision, lines, NULL);
    PERFORM pay_at_once(l.id) FROM decision_lines l WHERE l.decision_id = decision;
END $$;

CREATE OR REPLACE FUNCTION grant_emergency(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY[(body->>'need_id')::uuid];
    lines jsonb := jsonb_build_array(jsonb_build_object('need_id', body->'need_id', 'outcome', 'granted', 'amount_ore', body->'amount_ore'));
    app applications;
    decision decisions;
BEGIN
    -- They are few, and all take turns: two at once would each see room under the actor's cap, or under the person's.
    PERFORM pg_advisory_xact_lock(hashtextextended('emergency grants', 0));
    PERFORM take_turns(wanted);
    app := begin_action(subject, 'emergency-grants', version, wanted, body);
    INSERT INTO decisions (id, application_id, agency_id, kind, sealed, sealed_payee)
    VALUES ((body->>'id')::uuid, app.id, app.agency_id, 'emergency', (body->>'sealed')::bytea, (body->>'sealed_payee')::bytea)
    RETURNING * INTO decision;
    PERFORM vault.store(body, app.person_id);
    PERFORM add_lines(decision, lines);
    PERFORM touch_application(app.id);
    INSERT INTO application_steps (id, application_id, action, from_state, to_state)
    VALUES (gen_random_uuid(), app.id, 'emergency-grants', app.state, app.state);
    PERFORM emit(decision.id, app.agency_id, application_is_protected(app.id));
    PERFORM pay_emergency(decision.id, lines);
    RETURN QUERY SELECT g.id, g.version, g.body, NULL::text FROM emergency_grant_bodies g WHERE g.id = decision.id;
END $$;

-- POST /applications/{id}/propose
CREATE FUNCTION attest_catchments(app applications, projects uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE unknown bigint;
BEGIN
    SELECT min(p.position) - 1 INTO unknown FROM unnest(projects) WITH ORDINALITY AS p (id, position)
    WHERE NOT EXISTS (SELECT FROM projects q WHERE q.id = p.id);
    IF unknown IS NOT NULL THEN
        PERFORM refuse_member('/catchment_project_ids/' || unknown, 'reference_unknown');
    ELSIF cardinality(projects) > 0 AND NOT app.protected THEN
        PERFORM refuse_member('/catchment_project_ids', 'place_answers');
    END IF;
    INSERT INTO catchment_attestations (application_id, project_id) SELECT app.id, p FROM unnest(projects) p
    ON CONFLICT DO NOTHING;
END $$;

CREATE OR REPLACE FUNCTION propose_decision(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    need_ids uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') WITH ORDINALITY AS x (l, at) ORDER BY at);
    app applications := begin_action(subject, 'propose', expected, need_ids, body);
BEGIN
    INSERT INTO proposals (id, application_id, sealed) VALUES ((body->>'id')::uuid, app.id, (body->>'sealed')::bytea);
    PERFORM vault.store(body, app.person_id);
    INSERT INTO proposal_lines (proposal_id, need_id, application_id, outcome, amount_ore)
    SELECT (body->>'id')::uuid, l.need_id, app.id, l.outcome, l.amount_ore
    FROM jsonb_to_recordset(body->'lines') AS l (need_id uuid, outcome text, amount_ore bigint);
    PERFORM attest_catchments(app, ARRAY(SELECT p::uuid FROM jsonb_array_elements_text(coalesce(body->'catchment_project_ids', '[]')) p));
    UPDATE needs n SET status = 'proposed', proposed_by = caller(), version = n.version + 1, updated_at = now()
    WHERE n.id = ANY (need_ids);
    PERFORM end_action(app, 'propose',
        CASE WHEN application_has_needs(app.id, '{open}') THEN 'under_review' ELSE 'ready_for_decision' END, NULL);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- The end of a case ----------------------------------------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION action_gates(app applications, action text, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE action
    WHEN 'submit' THEN
        RETURN CASE WHEN EXISTS (SELECT FROM needs n WHERE n.application_id = app.id) THEN '{}'::text[] ELSE ARRAY['needs_missing'] END;
    WHEN 'start-review' THEN
        RETURN CASE WHEN app.assigned_to = caller() THEN '{}'::text[] ELSE ARRAY['not_assigned'] END;
    WHEN 'propose' THEN
        RETURN proposal_gates(app, need_ids) || part_gates(body);
    WHEN 'return' THEN
        RETURN CASE WHEN app.state = 'ready_for_decision' OR application_has_needs(app.id, '{proposed}') THEN '{}'::text[]
            ELSE ARRAY['need_not_proposed'] END;
    WHEN 'certifications' THEN
        RETURN certification_gates(app, need_ids);
    WHEN 'decisions' THEN
        RETURN decision_gates(app, need_ids, body);
    WHEN 'emergency-grants' THEN
        RETURN emergency_gates(app, need_ids, body);
    WHEN 'reconsider' THEN
        RETURN reconsider_gates(app, need_ids, body);
    WHEN 'withdraw', 'dismiss', 'close' THEN
        RETURN CASE WHEN has_unpaid(app.id) THEN ARRAY['disbursements_open'] ELSE '{}'::text[] END;
    ELSE
        RETURN '{}';
    END CASE;
END $$;

-- What was promised and never ordered is free for others when a case is closed.
CREATE FUNCTION release_closed(application uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE held uuid[] := ARRAY(SELECT l.id FROM decision_lines l WHERE l.application_id = application);
BEGIN
    IF (SELECT a.state FROM applications a WHERE a.id = application) <> 'closed' THEN
        RAISE EXCEPTION 'the application is not closed';
    END IF;
    PERFORM cancel_refinancings(held);
    PERFORM lock_accounts(ARRAY(SELECT s.account_id FROM line_sources s WHERE s.line_id = ANY (held) AND s.reserved_ore > 0));
    PERFORM release(s.line_id, s.account_id, s.reserved_ore) FROM line_sources s WHERE s.line_id = ANY (held) AND s.reserved_ore > 0;
END $$;

CREATE OR REPLACE FUNCTION close_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'close', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'close', 'closed', body);
    PERFORM release_closed(app.id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- What is shown --------------------------------------------------------------------------------------------------------------
-- A line with the accounts that pay it: staff's business, and nothing that an agency need know.
CREATE VIEW decision_line_bodies WITH (security_invoker = true) AS
    SELECT l.id, d.version,
        json_build_object('id', l.id, 'decision_id', l.decision_id, 'application_id', l.application_id, 'need_id', l.need_id,
            'category_code', l.category_code, 'outcome', l.outcome, 'amount_ore', l.amount_ore, 'as_advance', l.as_advance,
            'superseded_by', l.superseded_by, 'sources', (SELECT coalesce(json_agg(json_build_object('account_id', s.account_id,
                'reserved_ore', s.reserved_ore, 'paid_ore', s.paid_ore) ORDER BY s.account_id), '[]')
                FROM line_sources s WHERE s.line_id = l.id), 'version', d.version)::text AS body
    FROM decision_lines l JOIN decisions d ON d.id = l.decision_id;

-- Refinancing ----------------------------------------------------------------------------------------------------------------
-- What a line still holds, and is not ordered, moves to other accounts: when a project's time is over before all is paid. One asks,
-- another approves. Whose line it is stands beside, where the fund's people do not see it.
INSERT INTO code_lists (list, label_sv, label_en) VALUES
    ('refinancing-reasons', 'Skäl till omfinansiering', 'Reasons to refinance'),
    ('refinancing-statuses', 'Omfinansieringens status', 'Statuses of a refinancing');
INSERT INTO code_items (list, position, code, label_sv, label_en) VALUES
    ('refinancing-reasons', 1, 'project_ended', 'Projektets tid är slut', 'The project''s time is over'),
    ('refinancing-reasons', 2, 'other_means', 'Andra medel passar bättre', 'Other means fit better'),
    ('refinancing-reasons', 3, 'wrong_account', 'Fel konto angavs', 'A wrong account was named'),
    ('refinancing-statuses', 1, 'requested', 'Begärd', 'Requested'),
    ('refinancing-statuses', 2, 'approved', 'Godkänd', 'Approved'),
    ('refinancing-statuses', 3, 'cancelled', 'Förfallen', 'Cancelled');

CREATE TABLE refinancings (
    id uuid PRIMARY KEY,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    reason_code text NOT NULL CHECK (reason_code IN ('project_ended', 'other_means', 'wrong_account')),
    requested_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    approved_by uuid REFERENCES principals,
    approved_at timestamptz,
    cancelled_at timestamptz,                        -- when the line was superseded, or its case closed
    status text NOT NULL GENERATED ALWAYS AS (CASE WHEN approved_at IS NOT NULL THEN 'approved'
        WHEN cancelled_at IS NOT NULL THEN 'cancelled' ELSE 'requested' END) STORED,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT four_eyes_required CHECK (approved_by <> requested_by),
    CONSTRAINT approved_by_someone CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT approved_or_cancelled CHECK (num_nonnulls(approved_at, cancelled_at) <= 1)
);
CREATE INDEX refinancings_in_order ON refinancings (created_at, id);
CREATE INDEX refinancings_by_status ON refinancings (status, created_at, id);

CREATE TABLE refinancing_lines (
    refinancing_id uuid PRIMARY KEY REFERENCES refinancings,
    line_id uuid NOT NULL REFERENCES decision_lines,
    application_id uuid NOT NULL REFERENCES applications
);
CREATE INDEX refinancing_lines_by_line ON refinancing_lines (line_id);
CREATE INDEX refinancing_lines_by_application ON refinancing_lines (application_id);

CREATE TABLE refinancing_sources (
    refinancing_id uuid NOT NULL REFERENCES refinancings,
    account_id uuid NOT NULL REFERENCES accounts,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    PRIMARY KEY (refinancing_id, account_id)
);
CREATE INDEX refinancing_sources_by_account ON refinancing_sources (account_id);

CREATE FUNCTION sees_refinancing(refinancing uuid) RETURNS boolean LANGUAGE plpgsql STABLE COST 5000 SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM refinancing_lines l JOIN applications a ON a.id = l.application_id
                   WHERE l.refinancing_id = refinancing AND (NOT a.protected OR caller_sees_case(a.id, a.person_id)));
END $$;

CREATE VIEW refinancing_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.status, r.created_at,
        json_build_object('id', r.id, 'line_id', l.line_id, 'application_id', l.application_id, 'amount_ore', r.amount_ore,
            'sources', (SELECT json_agg(json_build_object('account_id', s.account_id, 'amount_ore', s.amount_ore) ORDER BY s.account_id)
                FROM refinancing_sources s WHERE s.refinancing_id = r.id),
            'reason_code', r.reason_code, 'status', r.status, 'requested_by', r.requested_by, 'approved_by', r.approved_by,
            'approved_at', rfc3339(r.approved_at), 'cancelled_at', rfc3339(r.cancelled_at), 'created_at', rfc3339(r.created_at), 'updated_at', rfc3339(r.updated_at),
            'version', r.version)::text AS body
    FROM refinancings r LEFT JOIN refinancing_lines l ON l.refinancing_id = r.id;

-- Öre that a line holds and that no payment is ordered of.
CREATE FUNCTION line_movable(line uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce(sum(l.left_ore), 0)::bigint FROM line_left(line) l
$$;

-- POST /decision-lines/{id}/refinancings: for a line that stands, of all that it still holds.
CREATE FUNCTION request_refinancing(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    refinancing uuid := gen_random_uuid();
    app applications := lock_application((SELECT l.application_id FROM decision_lines l WHERE l.id = subject), NULL);
    line decision_lines;
    amount bigint := line_movable(subject);
    asked jsonb := body->'sources';
    codes text[];
BEGIN
    SELECT l.* INTO line FROM decision_lines l WHERE l.id = subject;
    IF line.superseded_by IS NOT NULL OR amount = 0 THEN
        PERFORM refuse_gates('{nothing_to_refinance}');
    END IF;
    PERFORM check_refinancing_sources(asked, amount);
    codes := funding_gates_of(app, line, asked, body->'circumstances');
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    INSERT INTO refinancings (id, amount_ore, reason_code) VALUES (refinancing, amount, body->>'reason_code');
    INSERT INTO refinancing_lines (refinancing_id, line_id, application_id) VALUES (refinancing, subject, app.id);
    INSERT INTO refinancing_sources (refinancing_id, account_id, amount_ore)
    SELECT refinancing, (s->>'account_id')::uuid, (s->>'amount_ore')::bigint FROM jsonb_array_elements(asked) s;
    PERFORM emit(refinancing, NULL, app.protected);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM refinancing_bodies v WHERE v.id = refinancing;
END $$;

CREATE FUNCTION check_refinancing_sources(asked jsonb, amount bigint) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE wrong bigint;
BEGIN
    SELECT min(s.position) - 1 INTO wrong FROM jsonb_array_elements(asked) WITH ORDINALITY AS s (value, position)
    WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = (s.value->>'account_id')::uuid
                      AND a.kind IN ('children_fund', 'general_fund', 'project'));
    IF wrong IS NOT NULL THEN
        PERFORM refuse_member('/sources/' || wrong || '/account_id', 'reference_unknown');
    ELSIF (SELECT count(*) <> count(DISTINCT s->>'account_id') FROM jsonb_array_elements(asked) s) THEN
        PERFORM refuse_member('/sources', 'account_repeated');
    ELSIF (SELECT sum((s->>'amount_ore')::bigint) FROM jsonb_array_elements(asked) s) <> amount THEN
        PERFORM refuse_member('/sources', 'sources_are_not_the_amount');
    END IF;
END $$;

-- The gates of a decision that would pay the line so. What it holds now is not counted: it may be of the same accounts.
CREATE FUNCTION funding_gates_of(app applications, line decision_lines, asked jsonb, circumstances jsonb) RETURNS text[]
    LANGUAGE sql STABLE
    RETURN funding_gates(app, jsonb_build_object('circumstances', circumstances, 'lines', jsonb_build_array(
        jsonb_build_object('need_id', line.need_id, 'outcome', line.outcome, 'amount_ore', line.amount_ore, 'sources', asked))));

-- POST /refinancings/{id}/approve
CREATE FUNCTION approve_refinancing(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM refinancings r WHERE r.id = subject;
    IF NOT FOUND THEN
        PERFORM refuse_not_found();
    END IF;
    PERFORM carry_out_refinancing(subject, expected);
    PERFORM emit(subject, NULL, true);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM refinancing_bodies v WHERE v.id = subject;
END $$;

-- The case first, as everywhere, then the request. Where she is whom it is for is not known here, so gifts for one county stay.
CREATE FUNCTION carry_out_refinancing(refinancing uuid, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    line decision_lines;
    need needs;
    asked refinancings;
    codes text[];
BEGIN
    PERFORM FROM applications a WHERE a.id = (SELECT l.application_id FROM refinancing_lines l WHERE l.refinancing_id = refinancing)
    FOR UPDATE;
    SELECT r.* INTO asked FROM refinancings r WHERE r.id = refinancing FOR UPDATE;
    SELECT l.* INTO line FROM refinancing_lines x JOIN decision_lines l ON l.id = x.line_id WHERE x.refinancing_id = refinancing;
    SELECT n.* INTO need FROM needs n WHERE n.id = line.need_id;
    IF NOT caller_is_fund() AND NOT sees_refinancing(refinancing) THEN
        PERFORM refuse_not_found();
    ELSIF asked.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    codes := array_remove(ARRAY[
        CASE WHEN asked.requested_by = caller() THEN 'four_eyes_required' END,
        CASE WHEN asked.status = 'approved' THEN 'approved_already' END,
        CASE WHEN asked.status = 'cancelled' OR asked.status = 'requested' AND (line.superseded_by IS NOT NULL OR line_movable(line.id) <> asked.amount_ore)
            THEN 'nothing_to_refinance' END,
        CASE WHEN EXISTS (SELECT FROM refinancing_sources s JOIN accounts a ON a.id = s.account_id JOIN projects p ON p.id = a.project_id
            WHERE s.refinancing_id = refinancing AND (today() NOT BETWEEN p.starts_on AND p.ends_on OR p.closed_on <= today()))
            THEN 'project_closed' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    UPDATE refinancings r SET approved_by = caller(), approved_at = now(), version = r.version + 1, updated_at = now()
    WHERE r.id = refinancing;
    PERFORM lock_accounts(ARRAY(SELECT l.account_id FROM line_left(line.id) l
                                UNION SELECT s.account_id FROM refinancing_sources s WHERE s.refinancing_id = refinancing));
    PERFORM release(line.id, l.account_id, l.left_ore) FROM line_left(line.id) l WHERE l.left_ore > 0;
    PERFORM reserve(line.id, s.account_id, s.amount_ore, purpose_of(need, NULL)) FROM refinancing_sources s
    WHERE s.refinancing_id = refinancing ORDER BY s.account_id;
END $$;

-- Who may --------------------------------------------------------------------------------------------------------------------
GRANT SELECT ON line_sources, catchment_attestations, decision_line_bodies TO utvag_case;
GRANT INSERT ON catchment_attestations TO utvag_case;
CREATE POLICY with_line ON line_sources FOR SELECT TO utvag_case
    USING (EXISTS (SELECT FROM decision_lines l WHERE l.id = line_id));
CREATE POLICY of_seen_applications ON catchment_attestations FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY in_own_name ON catchment_attestations FOR INSERT TO utvag_case
    WITH CHECK (attested_by = (SELECT caller()) AND sees_application(application_id));

GRANT SELECT ON refinancings, refinancing_lines, refinancing_sources, refinancing_bodies TO utvag_case, utvag_finance;
GRANT INSERT ON refinancings, refinancing_lines, refinancing_sources TO utvag_case;
CREATE POLICY of_seen_applications ON refinancings FOR SELECT TO utvag_case USING (sees_refinancing(id));
CREATE POLICY read_all ON refinancings FOR SELECT TO utvag_finance USING (true);
CREATE POLICY in_own_name ON refinancings FOR INSERT TO utvag_case WITH CHECK (requested_by = (SELECT caller()) AND approved_by IS NULL);
CREATE POLICY of_seen_applications ON refinancing_lines TO utvag_case
    USING (sees_application(application_id)) WITH CHECK (sees_application(application_id));
CREATE POLICY with_refinancing ON refinancing_sources TO utvag_case
    USING (EXISTS (SELECT FROM refinancings r WHERE r.id = refinancing_id))
    WITH CHECK (EXISTS (SELECT FROM refinancings r WHERE r.id = refinancing_id AND r.requested_by = (SELECT caller())));
CREATE POLICY read_all ON refinancing_sources FOR SELECT TO utvag_finance USING (true);

GRANT EXECUTE ON FUNCTION sees_refinancing TO utvag_case;
GRANT EXECUTE ON FUNCTION approve_refinancing, carry_out_refinancing TO utvag_case, utvag_finance;
GRANT EXECUTE ON FUNCTION application_circumstances, applicant_municipality, purpose_of, is_in_catchment, is_in_target_group, need_paid,
    asked_sources, check_sources, held_by_needs, gifts_admit, project_gates, funding_gates, fund_decision, pay_emergency,
    attest_catchments, release_closed, line_movable, request_refinancing, check_refinancing_sources, funding_gates_of TO utvag_case;

CALL guard_tables();
