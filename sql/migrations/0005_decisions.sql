-- Decisions: what was decided about each need, by whom and why; emergency grants and their ratification;
-- reconsideration. Decisions are superseded, never edited.

SET LOCAL ROLE utvag_owner;

-- A decision, or at night an emergency grant: made by one person alone within caps, certified within 14 days and
-- ratified by another within 7.
CREATE TABLE decisions (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    agency_id uuid REFERENCES agencies,              -- the application's, so that an agency's list needs no join
    kind text NOT NULL CHECK (kind IN ('decision', 'emergency')),
    decided_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    decided_at timestamptz NOT NULL DEFAULT now(),
    ratified_by uuid REFERENCES principals,
    ratified_at timestamptz,
    ratification text GENERATED ALWAYS AS (CASE WHEN kind = 'decision' THEN NULL
        WHEN ratified_at IS NULL THEN 'pending' ELSE 'ratified' END) STORED,
    sealed bytea,                                    -- the reasoning
    sealed_payee bytea,                              -- of an emergency grant: a place leaks through a vendor
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT four_eyes_required CHECK (ratified_by <> decided_by),
    CONSTRAINT only_emergencies_are_ratified CHECK (kind = 'emergency' OR ratified_by IS NULL),
    CONSTRAINT ratified_by_someone CHECK ((ratified_by IS NULL) = (ratified_at IS NULL))
);
CREATE INDEX decisions_by_application ON decisions (application_id, created_at, id);
CREATE INDEX decisions_in_order ON decisions (created_at, id);
CREATE INDEX decisions_by_kind ON decisions (kind, created_at, id);
CREATE INDEX decisions_by_agency ON decisions (agency_id, created_at, id);
CREATE INDEX decisions_by_agency_kind ON decisions (agency_id, kind, created_at, id);
CREATE INDEX decisions_by_agency_ratification ON decisions (agency_id, ratification, created_at, id) WHERE kind = 'emergency';
CREATE INDEX decisions_by_ratification ON decisions (ratification, created_at, id) WHERE kind = 'emergency';
CREATE INDEX decisions_by_decider ON decisions (decided_by, kind, decided_at);

-- Person and category are the need's; here, so that grants of a kind are found by person.
CREATE TABLE decision_lines (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    decision_id uuid NOT NULL REFERENCES decisions,
    application_id uuid NOT NULL REFERENCES applications,
    need_id uuid NOT NULL REFERENCES needs,
    person_id uuid NOT NULL REFERENCES persons,
    category_code text NOT NULL REFERENCES need_categories,
    position int NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('granted', 'partly_granted', 'refused', 'referred')),
    amount_ore bigint CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    as_advance boolean NOT NULL DEFAULT false,       -- society is obliged; to be recovered from it
    superseded_by uuid REFERENCES decision_lines DEFERRABLE INITIALLY DEFERRED,
    decided_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT need_once_in_decision UNIQUE (decision_id, need_id),
    CONSTRAINT amount_follows_outcome CHECK ((outcome IN ('granted', 'partly_granted')) = (amount_ore IS NOT NULL)),
    CONSTRAINT advance_when_granted CHECK (NOT as_advance OR outcome IN ('granted', 'partly_granted'))
);
-- What holds for a need is one line.
CREATE UNIQUE INDEX one_standing_line ON decision_lines (need_id) WHERE superseded_by IS NULL;
CREATE INDEX decision_lines_by_decision ON decision_lines (decision_id, position);
CREATE INDEX decision_lines_by_application ON decision_lines (application_id);
CREATE INDEX decision_lines_by_person ON decision_lines (person_id, category_code) WHERE superseded_by IS NULL;

-- A gate that the decision maker stepped over, and why.
CREATE TABLE decision_exceptions (
    id uuid PRIMARY KEY,
    decision_id uuid NOT NULL REFERENCES decisions,
    application_id uuid NOT NULL REFERENCES applications,
    code text NOT NULL CHECK (code IN ('eligibility', 'double_grant')),
    sealed bytea,                                    -- the reason
    CONSTRAINT exception_stated_twice UNIQUE (decision_id, code)
);
CREATE INDEX decision_exceptions_by_application ON decision_exceptions (application_id);

-- Which needs were opened again; why is told by the application's step.
CREATE TABLE reconsidered_needs (
    step_id uuid NOT NULL REFERENCES application_steps,
    need_id uuid NOT NULL REFERENCES needs,
    application_id uuid NOT NULL REFERENCES applications,
    PRIMARY KEY (step_id, need_id)
);
CREATE INDEX reconsidered_needs_by_application ON reconsidered_needs (application_id);

-- A decision is superseded by another, and ratified; nothing else of it ever changes.
CREATE FUNCTION keep_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD) - '{version,updated_at,ratification}'::text[];
    after jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        after := to_jsonb(NEW) - '{version,updated_at,ratification}'::text[];
        IF TG_TABLE_NAME = 'decisions' AND before->>'ratified_by' IS NULL THEN
            before := before - '{ratified_by,ratified_at}'::text[];
            after := after - '{ratified_by,ratified_at}'::text[];
        ELSIF TG_TABLE_NAME = 'decision_lines' AND before->>'superseded_by' IS NULL THEN
            before := before - 'superseded_by';
            after := after - 'superseded_by';
        END IF;
    END IF;
    IF before IS DISTINCT FROM after THEN
        RAISE EXCEPTION '% is never edited', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_edited BEFORE UPDATE OR DELETE ON decisions FOR EACH ROW EXECUTE FUNCTION keep_decision();
CREATE TRIGGER never_edited BEFORE UPDATE OR DELETE ON decision_lines FOR EACH ROW EXECUTE FUNCTION keep_decision();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decision_exceptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconsidered_needs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A need that is being reconsidered when its application is withdrawn or dismissed goes back to what stands: open needs
-- lapse, decided ones do not.
CREATE FUNCTION keep_what_stands() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    SELECT l.outcome INTO NEW.status FROM decision_lines l WHERE l.need_id = NEW.id AND l.superseded_by IS NULL
    UNION ALL SELECT NEW.status LIMIT 1;
    RETURN NEW;
END $$;
CREATE TRIGGER decided_need_never_lapses BEFORE UPDATE OF status ON needs
    FOR EACH ROW WHEN (NEW.status = 'lapsed') EXECUTE FUNCTION keep_what_stands();

-- An emergency grant may have settled the last open need; its ratification then decides the application.
INSERT INTO transitions (action, from_state, to_state)
SELECT 'ratify', s, 'decided' FROM unnest('{submitted,under_review,information_requested,ready_for_decision}'::text[]) s;

-- Gates: each returns the codes of the rules that stand in the way ---------------------------------------------------

-- Whoever prepares does not decide: did the caller propose one of these needs, assess what is asked about them, or
-- record their certification? Answered from every row, also those that the caller may no longer see.
CREATE FUNCTION caller_prepared(application uuid, wanted uuid[]) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM needs n WHERE n.id = ANY (wanted) AND n.proposed_by = caller())
        OR EXISTS (SELECT FROM proposal_lines l JOIN proposals p ON p.id = l.proposal_id
                   WHERE l.need_id = ANY (wanted) AND p.proposed_by = caller()) -- returned ones too
        OR EXISTS (SELECT FROM obligation_assessments o WHERE o.need_id = ANY (wanted) AND o.assessed_by = caller())
        OR EXISTS (SELECT FROM eligibility_assessments e JOIN needs n ON n.person_id = e.person_id
                   WHERE n.id = ANY (wanted) AND e.assessed_by = caller())
        OR EXISTS (SELECT FROM best_interest_assessments b JOIN needs n ON n.person_id = b.person_id
                   WHERE n.id = ANY (wanted) AND b.application_id = application AND b.assessed_by = caller())
        OR EXISTS (SELECT FROM certifications c JOIN certification_needs cn ON cn.certification_id = c.id
                   WHERE cn.need_id = ANY (wanted) AND c.recorded_by = caller())
$$;

-- Those who are one with the persons given: themselves, and records (of any agency) with the same identity number.
CREATE FUNCTION same_persons(of_persons uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT unnest(of_persons)
    UNION
    SELECT other.person_id FROM vault.blind_tokens own
    JOIN vault.blind_tokens other ON other.token = own.token AND other.index = own.index
    WHERE own.person_id = ANY (of_persons) AND own.index = 'identity_number' AND other.person_id IS NOT NULL
$$;

-- Those who stand next to the persons given, by relation or household.
CREATE FUNCTION close_persons(of_persons uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT r.related_person_id FROM relations r WHERE r.person_id = ANY (of_persons) AND r.related_person_id IS NOT NULL
    UNION
    SELECT r.person_id FROM relations r WHERE r.related_person_id = ANY (of_persons)
    UNION
    SELECT theirs.person_id FROM household_members own JOIN household_members theirs USING (household_id)
    WHERE own.person_id = ANY (of_persons)
$$;

-- Was the same kind of need granted within the set time to the same person, at whatever agency, or in another
-- application to someone linked to her? A family that asks in one application is seen whole and is no double grant.
CREATE FUNCTION granted_elsewhere(application uuid, wanted uuid[]) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    since timestamptz := now() - make_interval(days => coalesce(house_rule('double_grant_days'), 365)::int);
    need needs;
    same uuid[];
    linked uuid[];
BEGIN
    FOR need IN SELECT * FROM needs WHERE id = ANY (wanted) LOOP
        same := ARRAY(SELECT same_persons(ARRAY[need.person_id]));
        linked := ARRAY(SELECT close_persons(same));
        IF EXISTS (SELECT FROM decision_lines l
                   WHERE l.superseded_by IS NULL AND l.category_code = need.category_code AND l.need_id <> need.id
                     AND l.outcome IN ('granted', 'partly_granted') AND l.decided_at >= since
                     AND (l.person_id = ANY (same)
                          OR l.application_id <> application AND l.person_id = ANY (linked)))
            OR EXISTS (SELECT FROM needs other
                       WHERE other.id = ANY (wanted) AND other.id <> need.id
                         AND other.category_code = need.category_code AND other.person_id = ANY (same)) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION is_not_eligible(person uuid) RETURNS boolean LANGUAGE sql STABLE
    RETURN (SELECT e.outcome = 'not_eligible' FROM eligibility_assessments e WHERE e.person_id = person
            ORDER BY e.created_at DESC, e.id DESC LIMIT 1);

-- What the lines themselves run into. Only grants do: whoever is not eligible can be refused.
CREATE FUNCTION line_gates(app applications, body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    codes text[] := '{}';
    exceptions text[] := ARRAY(SELECT e->>'code' FROM jsonb_array_elements(coalesce(body->'exceptions', '[]')) e);
    granted uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') l
                            WHERE l->>'outcome' IN ('granted', 'partly_granted'));
BEGIN
    IF NOT 'eligibility' = ANY (exceptions)
        AND EXISTS (SELECT FROM needs n WHERE n.id = ANY (granted) AND is_not_eligible(n.person_id)) THEN
        codes := codes || 'not_eligible'::text;
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(body->'lines') l JOIN needs n ON n.id = (l->>'need_id')::uuid
               WHERE n.id = ANY (granted) AND need_obligation(n.id, n.content_version) = 'obliged'
                 AND NOT coalesce((l->>'as_advance')::boolean, false)) THEN
        codes := codes || 'society_obliged'::text;
    END IF;
    IF NOT 'double_grant' = ANY (exceptions) AND granted_elsewhere(app.id, granted) THEN
        codes := codes || 'possible_double_grant'::text;
    END IF;
    RETURN codes;
END $$;

-- Without a body, when an application tells its actions, for all its proposed needs.
CREATE FUNCTION decision_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
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
    RETURN codes || CASE WHEN body IS NULL THEN '{}' ELSE line_gates(app, body) END;
END $$;

-- Does the caller have an emergency grant that still stands and that nobody ratified within 7 days, or no ombud
-- certified within 14? She makes no new one until that is put right.
CREATE FUNCTION caller_is_overdue() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM decisions d JOIN decision_lines l ON l.decision_id = d.id AND l.superseded_by IS NULL
        WHERE d.decided_by = caller() AND d.kind = 'emergency'
          AND (d.ratified_at IS NULL AND d.decided_at < now() - interval '7 days'
               OR d.decided_at < now() - interval '14 days'
                  AND NOT EXISTS (SELECT FROM certification_needs cn JOIN certifications c ON c.id = cn.certification_id
                                  WHERE cn.need_id = l.need_id AND c.revoked_at IS NULL)))
$$;

-- Öre granted in emergencies: in an application, and by the caller in the last 30 days.
CREATE FUNCTION emergency_spent(application uuid, OUT in_case bigint, OUT by_caller bigint) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT (SELECT coalesce(sum(l.amount_ore), 0) FROM decision_lines l JOIN decisions d ON d.id = l.decision_id
            WHERE l.application_id = application AND d.kind = 'emergency'),
           (SELECT coalesce(sum(l.amount_ore), 0) FROM decisions d JOIN decision_lines l ON l.decision_id = d.id
            WHERE d.decided_by = caller() AND d.kind = 'emergency' AND d.decided_at > now() - interval '30 days')
$$;

-- Without a body, when an application tells its actions: is there any need that could be granted so?
CREATE FUNCTION emergency_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    codes text[] := '{}';
    amount bigint := coalesce((body->>'amount_ore')::bigint, 1);
    spent record := emergency_spent(app.id);
    wanted uuid[] := CASE WHEN body IS NULL
        THEN ARRAY(SELECT id FROM needs WHERE application_id = app.id AND status IN ('open', 'proposed'))
        ELSE need_ids END;
BEGIN
    IF NOT EXISTS (SELECT FROM needs n WHERE n.id = ANY (wanted) AND n.status IN ('open', 'proposed')) THEN
        codes := codes || 'need_not_open'::text;
    END IF;
    IF NOT EXISTS (SELECT FROM needs n JOIN need_categories c ON c.code = n.category_code
                   WHERE n.id = ANY (wanted) AND c.emergency) THEN
        codes := codes || 'not_an_emergency_category'::text;
    END IF;
    IF spent.in_case + amount > coalesce(house_rule('emergency_case_cap_ore'), 0) THEN
        codes := codes || 'emergency_case_cap'::text;
    END IF;
    IF spent.by_caller + amount > coalesce(house_rule('emergency_actor_cap_ore'), 0) THEN
        codes := codes || 'emergency_actor_cap'::text;
    END IF;
    IF caller_is_overdue() THEN
        codes := codes || 'ratification_overdue'::text;
    END IF;
    RETURN codes;
END $$;

CREATE FUNCTION reconsider_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE sql STABLE
    RETURN CASE WHEN EXISTS (SELECT FROM needs n WHERE n.application_id = app.id
            AND (body IS NULL OR n.id = ANY (need_ids)) AND n.status IN ('granted', 'partly_granted', 'refused', 'referred'))
        AND (body IS NULL OR NOT EXISTS (SELECT FROM needs n WHERE n.id = ANY (need_ids)
            AND n.status NOT IN ('granted', 'partly_granted', 'refused', 'referred')))
        THEN '{}'::text[] ELSE ARRAY['need_not_decided'] END;

-- What is done -------------------------------------------------------------------------------------------------------

-- Two decisions on the same kind of need must not pass each other unseen, whatever their applications are. Taken
-- before the first gate reads, so that its snapshot is fresh; in order, so that none waits for the other.
CREATE FUNCTION take_turns(wanted uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE category text;
BEGIN
    FOR category IN SELECT DISTINCT category_code FROM needs WHERE id = ANY (wanted) ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('grants of ' || category, 0));
    END LOOP;
END $$;

-- The lines of a decision; what stood for their needs is superseded, and each need takes its line's outcome.
CREATE FUNCTION add_lines(decision decisions, lines jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line record;
    made uuid;
    superseded uuid;
BEGIN
    -- Read from the JSON first: a cast is not leakproof, and in the join it kept row-level security from using the index.
    FOR line IN WITH asked AS MATERIALIZED (
                    SELECT (l.value->>'need_id')::uuid AS need_id, l.value->>'outcome' AS outcome, l.position,
                        (l.value->>'amount_ore')::bigint AS amount_ore,
                        coalesce((l.value->>'as_advance')::boolean, false) AS as_advance
                    FROM jsonb_array_elements(lines) WITH ORDINALITY AS l (value, position))
                SELECT asked.*, n.person_id, n.category_code FROM asked JOIN needs n ON n.id = asked.need_id
                ORDER BY asked.position LOOP
        made := gen_random_uuid();
        UPDATE decision_lines SET superseded_by = made WHERE need_id = line.need_id AND superseded_by IS NULL
        RETURNING decision_id INTO superseded;
        UPDATE decisions SET version = version + 1, updated_at = now() WHERE id = superseded;
        INSERT INTO decision_lines (id, decision_id, application_id, need_id, person_id, category_code, position, outcome,
                                    amount_ore, as_advance)
        VALUES (made, decision.id, decision.application_id, line.need_id, line.person_id, line.category_code, line.position,
                line.outcome, line.amount_ore, line.as_advance);
        UPDATE needs SET status = line.outcome, version = version + 1, updated_at = now() WHERE id = line.need_id;
    END LOOP;
END $$;

-- POST /applications/{id}/decisions
CREATE FUNCTION decide(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') l);
    app applications;
    decision decisions;
    stepped_over jsonb;
BEGIN
    PERFORM take_turns(wanted);
    app := begin_action(subject, 'decisions', version, wanted, body);
    INSERT INTO decisions (id, application_id, agency_id, kind, sealed)
    VALUES ((body->>'id')::uuid, app.id, app.agency_id, 'decision', (body->>'sealed')::bytea) RETURNING * INTO decision;
    PERFORM vault.store(body, app.person_id);
    FOR stepped_over IN SELECT jsonb_array_elements(coalesce(body->'exceptions', '[]')) LOOP
        INSERT INTO decision_exceptions (id, decision_id, application_id, code, sealed)
        VALUES ((stepped_over->>'id')::uuid, decision.id, app.id, stepped_over->>'code', (stepped_over->>'sealed')::bytea);
        PERFORM vault.store(stepped_over, app.person_id);
    END LOOP;
    PERFORM add_lines(decision, body->'lines');
    -- The ledger reserves each granted amount here, in the decision's own transaction: an account that lacks the money
    -- stops the decision.
    PERFORM end_action(app, 'decisions', CASE WHEN application_has_needs(app.id, '{open}') THEN 'under_review'
        WHEN application_has_needs(app.id, '{proposed}') THEN app.state ELSE 'decided' END, NULL);
    RETURN QUERY SELECT d.id, d.version, d.body, NULL::text FROM decision_bodies d WHERE d.id = decision.id;
END $$;

-- POST /applications/{id}/emergency-grants: decision and payment in one, by one person. The state stays.
CREATE FUNCTION grant_emergency(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY[(body->>'need_id')::uuid];
    app applications;
    decision decisions;
BEGIN
    -- One person's grants take turns: two at once in different applications would each see room under her cap.
    PERFORM pg_advisory_xact_lock(hashtextextended('emergency grants of ' || caller(), 0));
    PERFORM take_turns(wanted);
    app := begin_action(subject, 'emergency-grants', version, wanted, body);
    INSERT INTO decisions (id, application_id, agency_id, kind, sealed, sealed_payee)
    VALUES ((body->>'id')::uuid, app.id, app.agency_id, 'emergency', (body->>'sealed')::bytea, (body->>'sealed_payee')::bytea)
    RETURNING * INTO decision;
    PERFORM vault.store(body, app.person_id);
    PERFORM add_lines(decision, jsonb_build_array(jsonb_build_object('need_id', body->'need_id', 'outcome', 'granted',
        'amount_ore', body->'amount_ore')));
    -- The ledger pays the amount here, in the grant's own transaction: an account that lacks the money stops the grant.
    PERFORM touch_application(app.id);
    INSERT INTO application_steps (id, application_id, action, from_state, to_state)
    VALUES (gen_random_uuid(), app.id, 'emergency-grants', app.state, app.state);
    PERFORM emit(decision.id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT g.id, g.version, g.body, NULL::text FROM emergency_grant_bodies g WHERE g.id = decision.id;
END $$;

-- POST /emergency-grants/{id}/ratify: another looks at it afterwards. Decides the application if nothing is left to decide.
CREATE FUNCTION ratify_emergency_grant(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application((SELECT d.application_id FROM decisions d WHERE d.id = subject AND d.kind = 'emergency'), NULL);
    decision decisions;
    codes text[];
BEGIN
    SELECT d.* INTO decision FROM decisions d WHERE d.id = subject;
    IF decision.version <> version THEN
        PERFORM refuse_stale();
    END IF;
    codes := array_remove(ARRAY[CASE WHEN decision.decided_by = caller() THEN 'four_eyes_required' END,
                                CASE WHEN decision.ratified_at IS NOT NULL THEN 'already_ratified' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    UPDATE decisions d SET ratified_by = caller(), ratified_at = now(), version = d.version + 1, updated_at = now()
    WHERE d.id = subject;
    IF EXISTS (SELECT FROM transitions t WHERE t.action = 'ratify' AND t.from_state = app.state)
        AND NOT application_has_needs(app.id, '{open,proposed}') THEN
        PERFORM end_action(app, 'ratify', 'decided', NULL);
    ELSE
        PERFORM touch_application(app.id);
        PERFORM emit(subject, app.agency_id, application_is_protected(app.id));
    END IF;
    RETURN QUERY SELECT g.id, g.version, g.body, NULL::text FROM emergency_grant_bodies g WHERE g.id = subject;
END $$;

-- POST /applications/{id}/reconsider: the named needs are open again. What was decided stands until it is superseded;
-- the ledger freezes here what is decided and unpaid.
CREATE FUNCTION reconsider(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY(SELECT n::uuid FROM jsonb_array_elements_text(body->'need_ids') n);
    app applications := begin_action(subject, 'reconsider', version, wanted, body);
BEGIN
    UPDATE needs n SET status = 'open', version = n.version + 1, updated_at = now() WHERE n.id = ANY (wanted);
    UPDATE applications a SET reconsideration_requested_at = NULL WHERE a.id = app.id;
    PERFORM end_action(app, 'reconsider', 'under_review', body);
    INSERT INTO reconsidered_needs (step_id, need_id, application_id)
    SELECT (body->>'id')::uuid, n, app.id FROM unnest(wanted) n;
    RETURN QUERY SELECT a.id, a.version, a.body, NULL::text FROM application_bodies a WHERE a.id = app.id;
END $$;

-- What is shown ------------------------------------------------------------------------------------------------------

CREATE VIEW decision_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.application_id, d.application_id AS parent_id, d.kind, d.decided_by, d.created_at,
        json_build_object(
            'id', d.id, 'application_id', d.application_id, 'kind', d.kind,
            'lines', (SELECT json_agg(json_build_object('id', l.id, 'need_id', l.need_id, 'category_code', l.category_code,
                    'outcome', l.outcome, 'amount_ore', l.amount_ore, 'as_advance', l.as_advance,
                    'superseded_by', l.superseded_by) ORDER BY l.position)
                FROM decision_lines l WHERE l.decision_id = d.id),
            'exceptions', (SELECT coalesce(json_agg(json_build_object('id', e.id, 'code', e.code,
                    '$seal', vault.marker('decision_exceptions', e.id, 'sealed', ek.wrapped, e.sealed)) ORDER BY e.code), '[]')
                FROM decision_exceptions e LEFT JOIN vault.data_keys ek ON ek.record_id = e.id WHERE e.decision_id = d.id),
            'decided_by', d.decided_by, 'decided_at', rfc3339(d.decided_at),
            'ratified_by', d.ratified_by, 'ratified_at', rfc3339(d.ratified_at),
            'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at), 'version', d.version,
            '$seal', vault.marker('decisions', d.id, 'sealed', k.wrapped, d.sealed))::text AS body
    FROM decisions d LEFT JOIN vault.data_keys k ON k.record_id = d.id;

CREATE VIEW emergency_grant_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.application_id, d.application_id AS parent_id, d.ratification, d.decided_by, d.created_at,
        json_build_object(
            'id', d.id, 'application_id', d.application_id, 'need_id', l.need_id, 'category_code', l.category_code,
            'amount_ore', l.amount_ore, 'superseded_by', l.superseded_by,
            'decided_by', d.decided_by, 'decided_at', rfc3339(d.decided_at), 'ratification', d.ratification,
            'ratify_by', rfc3339(d.decided_at + interval '7 days'), 'certify_by', rfc3339(d.decided_at + interval '14 days'),
            'certified', EXISTS (SELECT FROM certification_needs cn JOIN certifications c ON c.id = cn.certification_id
                                 WHERE cn.need_id = l.need_id AND c.revoked_at IS NULL),
            'ratified_by', d.ratified_by, 'ratified_at', rfc3339(d.ratified_at),
            'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at), 'version', d.version,
            '$seal', vault.marker('decisions', d.id, 'sealed', k.wrapped, d.sealed),
            '$seal', vault.marker('decisions', d.id, 'sealed_payee', k.wrapped, d.sealed_payee))::text AS body
    FROM decisions d JOIN decision_lines l ON l.decision_id = d.id LEFT JOIN vault.data_keys k ON k.record_id = d.id
    WHERE d.kind = 'emergency';

-- Who may -------------------------------------------------------------------------------------------------------------

GRANT SELECT ON decisions, decision_lines, decision_exceptions TO utvag_partner, utvag_case;
GRANT SELECT ON reconsidered_needs TO utvag_case;
GRANT SELECT ON decision_bodies, emergency_grant_bodies TO utvag_partner, utvag_case;
GRANT INSERT ON decisions, decision_lines, decision_exceptions, reconsidered_needs TO utvag_case;
GRANT UPDATE (ratified_by, ratified_at, version, updated_at) ON decisions TO utvag_case;
GRANT UPDATE (superseded_by) ON decision_lines TO utvag_case;

-- A decision tells of everyone that its lines concern: whoever may not see one of them does not see the decision.
-- As the owner, since the lines themselves are seen with the decision. This and the next are called for each row; their
-- cost is measured, and tells the planner to walk an index in the list's order rather than look at every row and sort.
CREATE FUNCTION sees_concerned(decision uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER COST 5000
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM decision_lines l JOIN persons p ON p.id = l.person_id
                       WHERE l.decision_id = decision AND p.protected AND NOT caller_is_listed(p.id));
END $$;
CREATE FUNCTION sees_decision(decision uuid) RETURNS boolean LANGUAGE plpgsql STABLE COST 5000 AS $$
BEGIN
    RETURN EXISTS (SELECT FROM decisions d WHERE d.id = decision);
END $$;
GRANT EXECUTE ON FUNCTION sees_concerned, sees_decision TO utvag_partner, utvag_case;

-- Seen with the application; a partner's, besides, by its agency, so that the index serves its list.
CREATE POLICY of_own_applications ON decisions FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND sees_application(application_id) AND sees_concerned(id));
CREATE POLICY of_seen_applications ON decisions FOR SELECT TO utvag_case
    USING (sees_application(application_id) AND sees_concerned(id));
CREATE POLICY in_own_name ON decisions FOR INSERT TO utvag_case
    WITH CHECK (decided_by = (SELECT caller()) AND ratified_by IS NULL AND sees_application(application_id));
CREATE POLICY ratified ON decisions FOR UPDATE TO utvag_case USING (sees_application(application_id)) WITH CHECK (true);
CREATE POLICY with_decision ON decision_lines FOR SELECT TO utvag_partner, utvag_case USING (sees_decision(decision_id));
CREATE POLICY with_own_decision ON decision_lines FOR INSERT TO utvag_case
    WITH CHECK (EXISTS (SELECT FROM decisions d WHERE d.id = decision_id AND d.decided_by = (SELECT caller())));
CREATE POLICY with_superseded_decision ON decision_lines FOR UPDATE TO utvag_case USING (sees_decision(decision_id));
CREATE POLICY with_decision ON decision_exceptions FOR SELECT TO utvag_partner, utvag_case USING (sees_decision(decision_id));
CREATE POLICY with_own_decision ON decision_exceptions FOR INSERT TO utvag_case
    WITH CHECK (EXISTS (SELECT FROM decisions d WHERE d.id = decision_id AND d.decided_by = (SELECT caller())));
CREATE POLICY of_seen_applications ON reconsidered_needs TO utvag_case USING (sees_application(application_id));

GRANT EXECUTE ON FUNCTION caller_prepared, granted_elsewhere, is_not_eligible, line_gates, decision_gates,
    caller_is_overdue, emergency_spent, emergency_gates, reconsider_gates, take_turns, add_lines, decide, grant_emergency,
    ratify_emergency_grant, reconsider TO utvag_case;

CALL guard_tables();
