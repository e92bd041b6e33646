-- Rules of decisions and money that held one by one, and could be walked around together: nobody overturns a decision at
-- night, a grant is within what was proposed, a night's grant is looked at whatever becomes of it, and preparing, certifying,
-- deciding and ratifying stay with different people.

SET LOCAL ROLE utvag_owner;

-- Who ----------------------------------------------------------------------------------------------------------------
-- A machine of the charity's own acts for nobody; one of an agency names its officer.
CREATE FUNCTION caller_is_our_machine() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(caller_officer() LIKE 'client:%', false);

CREATE FUNCTION caller_certified(wanted uuid[]) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM certifications c JOIN certification_needs cn ON cn.certification_id = c.id
                   WHERE cn.need_id = ANY (wanted) AND c.recorded_by = caller())
$$;

CREATE FUNCTION caller_proposed(wanted uuid[]) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM proposal_lines l JOIN proposals p ON p.id = l.proposal_id
                   WHERE l.need_id = ANY (wanted) AND p.proposed_by = caller())
$$;

-- Emergency grants ---------------------------------------------------------------------------------------------------
-- Whether another than the actor vouches for a need as it was granted: a decided need keeps its content (update_need).
CREATE FUNCTION grant_certified(need uuid, granted_at timestamptz, actor uuid) RETURNS boolean LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM certification_needs cn JOIN certifications c ON c.id = cn.certification_id
        JOIN needs n ON n.id = cn.need_id
        WHERE cn.need_id = need AND cn.content_version = n.content_version AND c.revoked_at IS NULL AND c.recorded_by <> actor
          AND c.certified_on <= today() AND c.expires_on >= (granted_at AT TIME ZONE 'Europe/Stockholm')::date);

-- Did the caller make an emergency grant that nobody ratified within 7 days, or no ombud certified within 14? She makes no
-- new one until that is put right, also when the grant was superseded since: the money went out.
CREATE OR REPLACE FUNCTION caller_is_overdue() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM decisions d JOIN decision_lines l ON l.decision_id = d.id
        WHERE d.decided_by = caller() AND d.kind = 'emergency'
          AND (d.ratified_at IS NULL AND d.decided_at < now() - interval '7 days'
               OR d.decided_at < now() - interval '14 days' AND NOT grant_certified(l.need_id, d.decided_at, d.decided_by)))
$$;

-- Records (of any agency) with the same identity number, one that was corrected since too.
CREATE OR REPLACE FUNCTION same_persons(of_persons uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT unnest(of_persons)
    UNION
    SELECT other.person_id FROM vault.blind_tokens own
    JOIN vault.blind_tokens other ON other.token = own.token
    WHERE own.person_id = ANY (of_persons) AND own.index IN ('identity_number', 'retired_identity_number')
        AND other.index IN ('identity_number', 'retired_identity_number') AND other.person_id IS NOT NULL
$$;

-- Those who may be one with the persons given: a name and the birth date, or a telephone, are the same. Twins and a mother
-- with her child are alike too, so this counts between applications only.
CREATE FUNCTION alike_persons(of_persons uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT other.person_id FROM vault.blind_tokens own
    JOIN vault.blind_tokens other ON other.token = own.token AND other.index = own.index
    WHERE own.person_id = ANY (of_persons) AND own.index IN ('name_birth_date', 'phone') AND other.person_id IS NOT NULL
$$;

-- Öre granted in emergencies: to the applicant, in this application and in all of hers in the last 30 days; and by the caller
-- in the last 30 days.
CREATE OR REPLACE FUNCTION emergency_spent(application uuid, OUT in_case bigint, OUT by_caller bigint) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT (SELECT coalesce(sum(l.amount_ore), 0) FROM decision_lines l JOIN decisions d ON d.id = l.decision_id
            WHERE l.application_id = ANY (ARRAY(SELECT a.id FROM applications a WHERE a.person_id = ANY (ARRAY(
                    SELECT same_persons(ARRAY[own.person_id]) FROM applications own WHERE own.id = application))))
              AND d.kind = 'emergency'
              AND (l.application_id = application OR d.decided_at > now() - interval '30 days')),
           (SELECT coalesce(sum(l.amount_ore), 0) FROM decisions d JOIN decision_lines l ON l.decision_id = d.id
            WHERE d.decided_by = caller() AND d.kind = 'emergency' AND d.decided_at > now() - interval '30 days')
$$;

-- Those of the needs about which a decision stands.
CREATE FUNCTION decided_needs(wanted uuid[]) RETURNS uuid[] LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce(array_agg(l.need_id), '{}') FROM decision_lines l WHERE l.need_id = ANY (wanted) AND l.superseded_by IS NULL
$$;

-- Which need could be granted so. What stands was decided by others, and is reconsidered, not overturned by one alone.
-- Without a body, when an application tells its actions: is there any?
CREATE FUNCTION emergency_need_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    pending uuid[] := ARRAY(SELECT n.id FROM needs n WHERE n.application_id = app.id AND n.status IN ('open', 'proposed')
                            AND (body IS NULL OR n.id = ANY (need_ids)));
    decided uuid[] := decided_needs(pending);
    asked uuid[] := CASE WHEN body IS NOT NULL THEN need_ids WHEN pending <@ decided THEN pending
        ELSE ARRAY(SELECT id FROM unnest(pending) AS id WHERE id <> ALL (decided)) END;
BEGIN
    RETURN array_remove(ARRAY[
        CASE WHEN pending = '{}' THEN 'need_not_open' WHEN pending <@ decided THEN 'decision_stands' END,
        CASE WHEN NOT EXISTS (SELECT FROM needs n JOIN need_categories c ON c.code = n.category_code
            WHERE n.id = ANY (asked) AND c.emergency) THEN 'not_an_emergency_category' END,
        CASE WHEN EXISTS (SELECT FROM needs n WHERE n.id = ANY (asked) AND (body->>'amount_ore')::bigint > n.requested_ore)
            THEN 'above_request' END
    ], NULL);
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
    ], NULL);
END $$;

CREATE OR REPLACE FUNCTION grant_emergency(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[] := ARRAY[(body->>'need_id')::uuid];
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
    PERFORM add_lines(decision, jsonb_build_array(jsonb_build_object('need_id', body->'need_id', 'outcome', 'granted',
        'amount_ore', body->'amount_ore')));
    -- The ledger pays the amount here, in the grant's own transaction: an account that lacks the money stops the grant.
    PERFORM touch_application(app.id);
    INSERT INTO application_steps (id, application_id, action, from_state, to_state)
    VALUES (gen_random_uuid(), app.id, 'emergency-grants', app.state, app.state);
    PERFORM emit(decision.id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT g.id, g.version, g.body, NULL::text FROM emergency_grant_bodies g WHERE g.id = decision.id;
END $$;

-- Whoever granted or certified does not ratify.
CREATE OR REPLACE FUNCTION ratify_emergency_grant(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application((SELECT d.application_id FROM decisions d WHERE d.id = subject AND d.kind = 'emergency'), NULL);
    decision decisions;
    codes text[];
BEGIN
    SELECT d.* INTO decision FROM decisions d WHERE d.id = subject;
    IF decision.version <> version THEN
        PERFORM refuse_stale();
    END IF;
    codes := array_remove(ARRAY[
        CASE WHEN decision.decided_by = caller()
            OR caller_certified(ARRAY(SELECT l.need_id FROM decision_lines l WHERE l.decision_id = subject)) THEN 'four_eyes_required' END,
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

CREATE OR REPLACE VIEW emergency_grant_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.application_id, d.application_id AS parent_id, d.ratification, d.decided_by, d.created_at,
        json_build_object(
            'id', d.id, 'application_id', d.application_id, 'need_id', l.need_id, 'category_code', l.category_code,
            'amount_ore', l.amount_ore, 'superseded_by', l.superseded_by,
            'decided_by', d.decided_by, 'decided_at', rfc3339(d.decided_at), 'ratification', d.ratification,
            'ratify_by', rfc3339(d.decided_at + interval '7 days'), 'certify_by', rfc3339(d.decided_at + interval '14 days'),
            'certified', grant_certified(l.need_id, d.decided_at, d.decided_by),
            'ratified_by', d.ratified_by, 'ratified_at', rfc3339(d.ratified_at),
            'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at), 'version', d.version,
            '$seal', vault.marker('decisions', d.id, 'sealed', k.wrapped, d.sealed),
            '$seal', vault.marker('decisions', d.id, 'sealed_payee', k.wrapped, d.sealed_payee))::text AS body
    FROM decisions d JOIN decision_lines l ON l.decision_id = d.id LEFT JOIN vault.data_keys k ON k.record_id = d.id
    WHERE d.kind = 'emergency';

-- Certifications -----------------------------------------------------------------------------------------------------
-- A night's grant is certified within 14 days also when its application has ended meanwhile; nothing else is by then.
INSERT INTO transitions (action, from_state, to_state)
SELECT 'certifications', s, s FROM unnest('{withdrawn,dismissed,closed}'::text[]) s;

CREATE FUNCTION awaits_certification(application uuid, need uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM decision_lines l JOIN decisions d ON d.id = l.decision_id
                   WHERE l.application_id = application AND l.need_id = need AND d.kind = 'emergency'
                     AND NOT grant_certified(need, d.decided_at, d.decided_by))
$$;

-- Whether the caller granted a need alone, or ratified that.
CREATE FUNCTION caller_signed_emergency(application uuid, need uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM decision_lines l JOIN decisions d ON d.id = l.decision_id
                   WHERE l.application_id = application AND l.need_id = need AND d.kind = 'emergency'
                     AND caller() IN (d.decided_by, d.ratified_by))
$$;

-- Of the needs that are named all must do; where none is named, when an application tells its actions, one must.
CREATE FUNCTION certification_gates(app applications, need_ids uuid[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    ended boolean := app.state IN ('withdrawn', 'dismissed', 'closed');
    asked uuid[] := coalesce(need_ids, ARRAY(SELECT n.id FROM needs n WHERE n.application_id = app.id));
    due uuid[] := ARRAY(SELECT id FROM unnest(asked) AS id WHERE NOT ended OR awaits_certification(app.id, id));
    hers uuid[] := ARRAY(SELECT id FROM unnest(due) AS id WHERE caller_signed_emergency(app.id, id));
BEGIN
    IF ended AND (due = '{}' OR need_ids IS NOT NULL AND due <> asked) THEN
        RETURN ARRAY['invalid_transition=' || app.state];
    END IF;
    RETURN CASE WHEN hers <> '{}' AND (need_ids IS NOT NULL OR hers = due) THEN ARRAY['four_eyes_required'] ELSE '{}' END;
END $$;

-- A mandate that has ended certifies nothing from that day on.
CREATE OR REPLACE FUNCTION store_certification(app applications, body jsonb, need_ids uuid[], base text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    ombud uuid := (body->>'representative_id')::uuid;
    evidence text := coalesce(body->>'evidence', CASE WHEN caller_agency() IS NOT NULL THEN 'own_knowledge' END);
    certified date := coalesce((body->>'certified_on')::date, today());
BEGIN
    IF caller_is_our_machine() THEN
        PERFORM refuse_gates('{natural_person_required}');
    ELSIF ombud IS NOT NULL AND NOT EXISTS (SELECT FROM representatives r WHERE r.id = ombud AND r.application_id = app.id) THEN
        PERFORM refuse_member(base || '/representative_id', 'reference_unknown');
    ELSIF ombud IS NOT NULL AND EXISTS (SELECT FROM representatives r
        WHERE r.id = ombud AND (certified < r.from_on OR certified > r.until_on
            OR certified >= (r.ended_at AT TIME ZONE 'Europe/Stockholm')::date)) THEN
        PERFORM refuse_member(base || '/representative_id', 'mandate_not_in_force');
    ELSIF evidence IS NULL OR (caller_agency() IS NULL AND evidence = 'own_knowledge') THEN
        PERFORM refuse_member(base || '/evidence', 'evidence_required');
    ELSIF certified > today() THEN
        PERFORM refuse_member(base || '/certified_on', 'date_in_future');
    END IF;
    INSERT INTO certifications (id, application_id, representative_id, evidence, certified_on, expires_on, sealed)
    VALUES ((body->>'id')::uuid, app.id, ombud, evidence, certified,
        coalesce((body->>'expires_on')::date, certified + (SELECT p.days FROM periods p WHERE p.code = 'certification_valid')),
        (body->>'sealed')::bytea);
    PERFORM vault.store(body, app.person_id);
    INSERT INTO certification_needs (certification_id, need_id, application_id, content_version)
    SELECT (body->>'id')::uuid, n.id, app.id, n.content_version FROM needs n WHERE n.id = ANY (need_ids);
END $$;

-- Proposals and decisions ----------------------------------------------------------------------------------------------
-- A part is less than the whole, where the whole is known.
CREATE FUNCTION part_gates(body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Read from the JSON first: a cast is not leakproof, and in the join it keeps row-level security from using the index.
    RETURN CASE WHEN EXISTS (
        WITH asked AS MATERIALIZED (
            SELECT (l->>'need_id')::uuid AS need_id, (l->>'amount_ore')::bigint AS amount_ore
            FROM jsonb_array_elements(body->'lines') l WHERE l->>'outcome' = 'partly_granted')
        SELECT FROM asked JOIN needs n ON n.id = asked.need_id WHERE asked.amount_ore >= n.requested_ore)
        THEN ARRAY['not_in_part'] ELSE '{}' END;
END $$;

-- The most that may be granted for a need that is proposed: what the proposal that stands says, nothing where it grants
-- nothing.
CREATE FUNCTION proposed_most(need uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT coalesce((SELECT l.amount_ore FROM proposal_lines l JOIN proposals p ON p.id = l.proposal_id
                     WHERE l.need_id = n.id AND p.returned_at IS NULL ORDER BY p.created_at DESC, p.id DESC LIMIT 1), 0)
    FROM needs n WHERE n.id = need AND n.status = 'proposed'
$$;

-- A decision maker may grant less than was proposed. Whoever would grant more returns it, and it is prepared anew.
CREATE OR REPLACE FUNCTION line_gates(app applications, body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    codes text[] := part_gates(body);
    exceptions text[] := ARRAY(SELECT e->>'code' FROM jsonb_array_elements(coalesce(body->'exceptions', '[]')) e);
    granted uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') l
                            WHERE l->>'outcome' IN ('granted', 'partly_granted'));
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(body->'lines') l WHERE l->>'outcome' IN ('granted', 'partly_granted')
               AND (l->>'amount_ore')::bigint > proposed_most((l->>'need_id')::uuid)) THEN
        codes := codes || 'above_proposal'::text;
    END IF;
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

-- Was the same kind of need granted within the set time to the same person, at whatever agency, or in another application to
-- someone linked to her, or alike? A family that asks in one application is seen whole and is no double grant.
CREATE OR REPLACE FUNCTION granted_elsewhere(application uuid, wanted uuid[]) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE
    since timestamptz := now() - make_interval(days => coalesce(house_rule('double_grant_days'), 365)::int);
    need needs;
    same uuid[];
    beside uuid[];
BEGIN
    FOR need IN SELECT * FROM needs WHERE id = ANY (wanted) LOOP
        same := ARRAY(SELECT same_persons(ARRAY[need.person_id]));
        beside := ARRAY(SELECT close_persons(same) UNION SELECT alike_persons(same));
        IF EXISTS (SELECT FROM decision_lines l
                   WHERE l.superseded_by IS NULL AND l.category_code = need.category_code AND l.need_id <> need.id
                     AND l.outcome IN ('granted', 'partly_granted') AND l.decided_at >= since
                     AND (l.person_id = ANY (same)
                          OR l.application_id <> application AND l.person_id = ANY (beside)))
            OR EXISTS (SELECT FROM needs other
                       WHERE other.id = ANY (wanted) AND other.id <> need.id
                         AND other.category_code = need.category_code AND other.person_id = ANY (same)) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- Whoever proposed what was decided does not open it again: another looks at it.
CREATE OR REPLACE FUNCTION reconsider_gates(app applications, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    decided uuid[] := ARRAY(SELECT n.id FROM needs n WHERE n.application_id = app.id
        AND (body IS NULL OR n.id = ANY (need_ids)) AND n.status IN ('granted', 'partly_granted', 'refused', 'referred'));
    hers uuid[] := ARRAY(SELECT id FROM unnest(CASE WHEN body IS NULL THEN decided ELSE need_ids END) AS id
        WHERE caller_proposed(ARRAY[id]));
BEGIN
    RETURN array_remove(ARRAY[
        CASE WHEN decided = '{}' OR body IS NOT NULL AND NOT need_ids <@ decided THEN 'need_not_decided' END,
        CASE WHEN hers <> '{}' AND (body IS NOT NULL OR hers = decided) THEN 'four_eyes_required' END], NULL);
END $$;

CREATE FUNCTION action_gates(app applications, action text, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
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
    ELSE
        -- The ledger adds to withdraw, dismiss and close here that no disbursement is unpaid.
        RETURN '{}';
    END CASE;
END $$;

-- A machine decides nothing, so it prepares nothing either: of the two pairs of eyes both are somebody's.
CREATE OR REPLACE FUNCTION application_gates(app applications, action text, need_ids uuid[], body jsonb) RETURNS text[]
    LANGUAGE sql STABLE
    RETURN CASE WHEN caller_is_our_machine()
            AND action IN ('propose', 'certifications', 'obligation-assessments', 'best-interest-assessments')
        THEN ARRAY['natural_person_required'] ELSE '{}' END || action_gates(app, action, need_ids, body);

CREATE OR REPLACE FUNCTION create_eligibility_assessment(subject uuid, body jsonb, expected int) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    assessment uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
BEGIN
    PERFORM require_person('/person_id', person);
    IF caller_is_our_machine() THEN
        PERFORM refuse_gates('{natural_person_required}');
    END IF;
    PERFORM lock_applications_of(person);
    INSERT INTO eligibility_assessments (id, person_id, outcome, exploited_in_sweden, sealed)
    VALUES (assessment, person, body->>'outcome', (body->>'exploited_in_sweden')::boolean, (body->>'sealed')::bytea);
    PERFORM vault.store(body, person);
    PERFORM emit(assessment, p.agency_id, p.protected) FROM persons p WHERE p.id = person;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM eligibility_assessment_bodies v WHERE v.id = assessment;
END $$;

-- Children -----------------------------------------------------------------------------------------------------------
-- Birth dates are sealed. The service opens them in a trip of its own, works out who is an adult, and says so together with
-- the version of the person's record that it read; without such a word, or with one about another version, a need concerns
-- a child.
CREATE OR REPLACE FUNCTION application_births(application uuid, person uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT a.id, 1, json_build_object('on', coalesce(a.submitted_on, today()), 'persons',
        (SELECT coalesce(json_agg(json_build_object('id', p.id, 'kind', p.kind, 'version', p.version,
                '$seal', vault.marker('persons', p.id, 'sealed', k.wrapped, p.sealed))), '[]')
         FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id
         WHERE p.id = ANY (ARRAY(SELECT n.person_id FROM needs n WHERE n.application_id = a.id UNION SELECT person))))::text, NULL::text
    FROM applications a WHERE a.id = application
$$;

-- The needs of an application whose row is locked, all or those for one person. adults: {person: version}. The persons are
-- locked in a statement of their own, so that a change of theirs is either seen or comes after, and settles again.
CREATE FUNCTION settle_children(application uuid, person uuid, adults jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE concerned uuid[] := ARRAY(SELECT DISTINCT n.person_id FROM needs n
    WHERE n.application_id = application AND (person IS NULL OR n.person_id = person));
BEGIN
    PERFORM FROM persons p WHERE p.id = ANY (concerned) ORDER BY p.id FOR SHARE;
    UPDATE needs n SET concerns_child = NOT coalesce(adults->>p.id::text = p.version::text, false)
    FROM persons p WHERE n.application_id = application AND p.id = ANY (concerned) AND p.id = n.person_id;
END $$;

-- Where a birth date that changes must be settled anew: the person's cases, and the day that counts in each. For the
-- service, which tells nobody.
CREATE FUNCTION person_cases(person uuid) RETURNS SETOF outcome LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT p.id, 1, json_build_object('kind', p.kind, 'cases',
        (SELECT coalesce(json_agg(json_build_object('id', a.id, 'on', coalesce(a.submitted_on, today()))), '[]')
         FROM applications a WHERE a.id = ANY (ARRAY(SELECT n.application_id FROM needs n WHERE n.person_id = p.id))))::text, NULL::text
    FROM persons p WHERE p.id = person
$$;

-- adult_in: the cases in which the new birth date makes her an adult. Decided needs too, since they may be reconsidered. Her
-- applications are locked, and their versions raised: whoever is about to decide looks again.
CREATE FUNCTION settle_person(person uuid, adult_in jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE touched uuid[];
BEGIN
    WITH changed AS (
        UPDATE needs n SET concerns_child = NOT n.concerns_child, version = n.version + 1, updated_at = clock_timestamp()
        WHERE n.person_id = person AND n.concerns_child = (adult_in ? n.application_id::text)
        RETURNING n.application_id)
    SELECT array_agg(DISTINCT application_id) INTO touched FROM changed;
    UPDATE applications a SET version = a.version + 1, updated_at = now() WHERE a.id = ANY (touched);
END $$;

CREATE OR REPLACE FUNCTION submit_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'submit', expected, NULL, body);
BEGIN
    UPDATE applications a SET submitted_on = (body->>'on')::date WHERE a.id = app.id;
    PERFORM settle_children(app.id, NULL, body->'adults');
    PERFORM end_action(app, 'submit', 'submitted', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE OR REPLACE FUNCTION add_need(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action(subject, 'needs', expected, NULL, body);
    need_id uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
BEGIN
    PERFORM require_person('/person_id', person);
    PERFORM require_code('/category_code', 'need-categories', body->>'category_code');
    INSERT INTO needs (id, application_id, person_id, category_code, requested_ore, sealed)
    VALUES (need_id, app.id, person, body->>'category_code', (body->>'requested_ore')::bigint, (body->>'sealed')::bytea);
    PERFORM settle_children(app.id, person, body->'adults');
    PERFORM vault.store(body, person);
    PERFORM touch_application(app.id);
    PERFORM emit(need_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM need_bodies v WHERE v.id = need_id;
END $$;

-- A need about which a decision stands keeps what it asks, also while it is reconsidered: what was granted and certified was
-- that, and something else is another need.
CREATE OR REPLACE FUNCTION update_need(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application((SELECT n.application_id FROM needs n WHERE n.id = subject), NULL);
    need needs;
    blockers text[];
BEGIN
    SELECT n.* INTO need FROM needs n WHERE n.id = subject FOR UPDATE;
    IF need.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    blockers := action_blockers(app, 'needs', NULL, body) || CASE WHEN need.status <> 'open' THEN ARRAY['need_not_open']
        WHEN decided_needs(ARRAY[subject]) <> '{}' THEN ARRAY['decision_stands'] ELSE '{}' END;
    IF blockers <> '{}' THEN
        PERFORM refuse_gates(blockers);
    END IF;
    PERFORM require_code('/category_code', 'need-categories', body->>'category_code');
    UPDATE needs n SET category_code = new.category_code, requested_ore = new.requested_ore, sealed = new.sealed,
        content_version = n.content_version + 1, version = n.version + 1, updated_at = now()
    FROM jsonb_populate_record(need, body) AS new WHERE n.id = subject;
    PERFORM vault.store(body || jsonb_build_object('id', subject), need.person_id);
    PERFORM touch_application(app.id);
    PERFORM emit(subject, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM need_bodies v WHERE v.id = subject;
END $$;

-- body.adult_in is there when the birth date changes.
CREATE OR REPLACE FUNCTION update_person(subject uuid, body jsonb, expected int, person_kind text) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    empty_seal CONSTANT int := 31;                   -- format, nonce, tag and {}: a place of which nothing is left
    old persons;
    new persons;
BEGIN
    IF body ? 'adult_in' THEN
        PERFORM lock_applications_of(subject);       -- before the person, as everywhere
    END IF;
    old := lock_person(subject, person_kind, expected);
    new := jsonb_populate_record(old, take_members(body, ARRAY['external_id', 'protection', 'birth_date_basis',
        'residence_status_code', 'residence_expires_on', 'school_year', 'sealed', 'sealed_place']));
    PERFORM require_code('/residence_status_code', 'residence-statuses', body->>'residence_status_code');
    IF octet_length(new.sealed_place) <= empty_seal THEN
        new.sealed_place := NULL;
    END IF;
    IF new.protection <> 'none' AND NOT old.protected THEN
        PERFORM require_officer(new.protection);
        PERFORM expect_protection(subject);
    END IF;
    UPDATE persons p SET external_id = new.external_id, protection = new.protection,
        birth_date_basis = new.birth_date_basis, residence_status_code = new.residence_status_code,
        residence_expires_on = new.residence_expires_on, school_year = new.school_year, sealed = new.sealed, sealed_place = new.sealed_place,
        version = p.version + 1, updated_at = now()
    WHERE p.id = subject;
    IF body ? 'adult_in' THEN
        PERFORM settle_person(subject, body->'adult_in');
    END IF;
    PERFORM vault.store(body || jsonb_build_object('id', subject), subject);
    PERFORM emit(p.id, p.agency_id, p.protected) FROM persons p WHERE p.id = subject;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = subject;
END $$;

-- Identity numbers ---------------------------------------------------------------------------------------------------
-- A number that another corrects stays as history. A search finds it no more, since it reads another index; whether somebody
-- was granted the same before is asked of it still.
CREATE OR REPLACE FUNCTION retire_identifier(person uuid, identifier uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE identifiers i SET replaced_at = now() WHERE i.id = identifier AND i.person_id = person AND i.replaced_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse_member('/replaces_id', 'reference_unknown');
    END IF;
    UPDATE vault.blind_tokens t SET index = 'retired_identity_number' WHERE t.record_id = identifier AND t.index = 'identity_number';
END $$;

GRANT EXECUTE ON FUNCTION caller_is_our_machine, grant_certified, awaits_certification, caller_signed_emergency,
    certification_gates, part_gates, action_gates, decided_needs, settle_children, person_cases, settle_person,
    lock_applications_of TO utvag_partner, utvag_case;
GRANT EXECUTE ON FUNCTION caller_certified, caller_proposed, emergency_need_gates, proposed_most TO utvag_case;

CALL guard_tables();
