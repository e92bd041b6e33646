-- Applications for support: what is asked, for whom, who vouches for it, and how it is prepared for decision.

SET LOCAL ROLE utvag_owner;

-- The day in Sweden, where all the service's dates are meant.
CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (now() AT TIME ZONE 'Europe/Stockholm')::date;

-- Periods that no law fixes for us, or that may change: data.
CREATE TABLE periods (
    code text PRIMARY KEY,
    days int NOT NULL CHECK (days > 0),
    note text NOT NULL
);
INSERT INTO periods (code, days, note) VALUES
    ('certification_valid', 90, 'How long a certification holds that does not say so itself.'),
    ('refusal_appeal', 21, 'How long a body''s refusal may be appealed, from the answer.');

CREATE TABLE applications (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES persons,
    agency_id uuid REFERENCES agencies,              -- NULL: opened by the charity itself
    external_id text,
    state text NOT NULL DEFAULT 'draft' CONSTRAINT application_state_unknown CHECK (state IN ('draft', 'submitted', 'under_review',
        'information_requested', 'ready_for_decision', 'decided', 'closed', 'withdrawn', 'dismissed')),
    resume_state text,                               -- where information_requested goes back to
    submitted_on date,
    assigned_to uuid REFERENCES principals,
    dismissal_reason_code text,
    reconsideration_requested_at timestamptz,
    protected boolean NOT NULL DEFAULT true,         -- the person's, kept by triggers, so that lists need no join
    created_by text DEFAULT caller_officer(),
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT submitted_application_has_date CHECK (state = 'draft' OR submitted_on IS NOT NULL OR state IN ('withdrawn', 'dismissed')),
    CONSTRAINT dismissed_application_has_reason CHECK ((state = 'dismissed') = (dismissal_reason_code IS NOT NULL)),
    CONSTRAINT waiting_application_knows_where_it_goes CHECK ((state = 'information_requested') = (resume_state IS NOT NULL))
);
CREATE UNIQUE INDEX application_external_id_taken ON applications (agency_id, external_id) WHERE external_id IS NOT NULL;
-- One index for each filter and order of the lists, for staff and for an agency: none of them sorts.
CREATE INDEX applications_by_creation ON applications (created_at, id);
CREATE INDEX applications_by_change ON applications (updated_at, id);
CREATE INDEX applications_by_state_creation ON applications (state, created_at, id);
CREATE INDEX applications_by_state_change ON applications (state, updated_at, id);
CREATE INDEX applications_by_assignee_creation ON applications (assigned_to, created_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX applications_by_assignee_change ON applications (assigned_to, updated_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX applications_by_person_creation ON applications (person_id, created_at, id);
CREATE INDEX applications_by_person_change ON applications (person_id, updated_at, id);
CREATE INDEX applications_by_reference_creation ON applications (external_id, created_at, id) WHERE external_id IS NOT NULL;
CREATE INDEX applications_by_reference_change ON applications (external_id, updated_at, id) WHERE external_id IS NOT NULL;
CREATE INDEX applications_by_agency_creation ON applications (agency_id, created_at, id);
CREATE INDEX applications_by_agency_change ON applications (agency_id, updated_at, id);
CREATE INDEX applications_by_agency_assignee_creation ON applications (agency_id, assigned_to, created_at, id)
    WHERE assigned_to IS NOT NULL;
CREATE INDEX applications_by_agency_assignee_change ON applications (agency_id, assigned_to, updated_at, id)
    WHERE assigned_to IS NOT NULL;
CREATE INDEX applications_by_agency_state_creation ON applications (agency_id, state, created_at, id);
CREATE INDEX applications_by_agency_state_change ON applications (agency_id, state, updated_at, id);

-- What people say a case by.
CREATE FUNCTION application_reference(id uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'IMT-' || upper(left(replace(id::text, '-', ''), 10));

CREATE TABLE needs (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    person_id uuid NOT NULL REFERENCES persons,      -- for whom
    category_code text NOT NULL CONSTRAINT need_category_unknown REFERENCES need_categories,
    status text NOT NULL DEFAULT 'open' CONSTRAINT need_status_unknown CHECK (status IN ('open', 'proposed', 'granted',
        'partly_granted', 'refused', 'referred', 'lapsed')),
    requested_ore bigint CONSTRAINT requested_ore_not_positive CHECK (requested_ore > 0),
    proposed_by uuid,
    concerns_child boolean NOT NULL DEFAULT true,    -- under 18 when the application came in; until it is known, yes
    content_version int NOT NULL DEFAULT 1,          -- raised when what is asked changes: what was certified or assessed no longer is
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT need_of_its_application UNIQUE (id, application_id),
    CONSTRAINT proposed_need_has_proposer CHECK (status <> 'proposed' OR proposed_by IS NOT NULL)
);
CREATE INDEX needs_by_application ON needs (application_id, created_at, id);
CREATE INDEX needs_by_person ON needs (person_id);

CREATE TABLE representatives (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    mandate_code text NOT NULL,
    from_on date NOT NULL DEFAULT today(),
    until_on date,
    ended_at timestamptz,
    agency_id uuid REFERENCES agencies,              -- whose officer it is, if an agency's
    created_by text DEFAULT caller_officer(),
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT representative_of_its_application UNIQUE (id, application_id),
    CONSTRAINT mandate_period_invalid CHECK (until_on >= from_on)
);
CREATE INDEX representatives_by_application ON representatives (application_id, created_at, id);

CREATE TABLE certifications (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    representative_id uuid,
    evidence text NOT NULL CHECK (evidence IN ('own_knowledge', 'document', 'ombud_confirmation')),
    certified_on date NOT NULL,
    expires_on date NOT NULL,
    recorded_by uuid NOT NULL DEFAULT caller(),
    recorded_officer text DEFAULT caller_officer(),
    revoked_at timestamptz,
    revoked_by uuid,
    revocation_reason_code text,
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT certification_of_its_application UNIQUE (id, application_id),
    CONSTRAINT certifier_of_its_application FOREIGN KEY (representative_id, application_id)
        REFERENCES representatives (id, application_id),
    CONSTRAINT certification_period_invalid CHECK (expires_on >= certified_on),
    CONSTRAINT revocation_has_reason CHECK ((revoked_at IS NULL) = (revocation_reason_code IS NULL))
);
CREATE INDEX certifications_by_application ON certifications (application_id, created_at, id);

CREATE TABLE certification_needs (
    certification_id uuid NOT NULL,
    need_id uuid NOT NULL,
    application_id uuid NOT NULL,
    content_version int NOT NULL,
    PRIMARY KEY (certification_id, need_id),
    FOREIGN KEY (certification_id, application_id) REFERENCES certifications (id, application_id),
    FOREIGN KEY (need_id, application_id) REFERENCES needs (id, application_id)
);
CREATE INDEX certification_needs_by_need ON certification_needs (need_id);

-- Is society obliged? Appended, never changed: the latest for each need counts.
CREATE TABLE obligation_assessments (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL,
    need_id uuid NOT NULL,
    body_code text NOT NULL,
    asked_on date,
    answered_on date,
    outcome text NOT NULL CHECK (outcome IN ('obliged', 'not_obliged', 'refused', 'pending')),
    appeal_by date,                                  -- of a refusal
    content_version int NOT NULL,
    assessed_by uuid NOT NULL DEFAULT caller(),
    sealed bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (need_id, application_id) REFERENCES needs (id, application_id),
    CONSTRAINT answered_before_asked CHECK (answered_on >= asked_on),
    CONSTRAINT pending_has_no_answer CHECK (outcome <> 'pending' OR answered_on IS NULL)
);
CREATE INDEX obligation_assessments_by_application ON obligation_assessments (application_id, created_at, id);
CREATE INDEX obligation_assessments_by_need ON obligation_assessments (need_id, created_at);

-- The best interests of a child that a decision touches (the Convention on the Rights of the Child, article 3; law 2018:1197).
CREATE TABLE best_interest_assessments (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    person_id uuid NOT NULL REFERENCES persons,
    child_heard text NOT NULL CHECK (child_heard IN ('in_person', 'through_representative', 'in_writing', 'not_heard')),
    outcome text NOT NULL CHECK (outcome IN ('supports', 'supports_in_part', 'speaks_against')),
    assessed_by uuid NOT NULL DEFAULT caller(),
    sealed bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX best_interest_assessments_by_application ON best_interest_assessments (application_id, created_at, id);
CREATE INDEX best_interest_assessments_by_person ON best_interest_assessments (person_id);

CREATE TABLE proposals (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    proposed_by uuid NOT NULL DEFAULT caller(),
    returned_at timestamptz,                         -- when a decision maker sent it back
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT proposal_of_its_application UNIQUE (id, application_id)
);
CREATE INDEX proposals_by_application ON proposals (application_id, created_at, id);

CREATE TABLE proposal_lines (
    proposal_id uuid NOT NULL,
    need_id uuid NOT NULL,
    application_id uuid NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('granted', 'partly_granted', 'refused', 'referred')),
    amount_ore bigint,
    CONSTRAINT need_repeated PRIMARY KEY (proposal_id, need_id),
    FOREIGN KEY (proposal_id, application_id) REFERENCES proposals (id, application_id),
    FOREIGN KEY (need_id, application_id) REFERENCES needs (id, application_id),
    CONSTRAINT amount_follows_outcome CHECK (coalesce(amount_ore > 0, false) = (outcome IN ('granted', 'partly_granted'))
        AND (amount_ore IS NULL OR outcome IN ('granted', 'partly_granted')))
);
CREATE INDEX proposal_lines_by_need ON proposal_lines (need_id);

-- What was done with an application, in order, each step with what was said to the other side.
CREATE TABLE application_steps (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    action text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    role text NOT NULL DEFAULT current_setting('utvag.role'),
    made_by uuid DEFAULT caller(),
    sealed bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX application_steps_by_application ON application_steps (application_id, created_at, id);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON obligation_assessments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON best_interest_assessments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON proposal_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON application_steps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- States ---------------------------------------------------------------------------------------------------------
-- Which actions each state allows, and where they may lead. Nothing else happens to an application.
CREATE TABLE transitions (
    action text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    PRIMARY KEY (action, from_state, to_state)
);
INSERT INTO transitions (action, from_state, to_state)
SELECT action, from_state, coalesce(to_state, from_state)
FROM (VALUES
    ('submit', '{draft}', 'submitted'),
    ('start-review', '{submitted}', 'under_review'),
    ('request-information', '{submitted,under_review}', 'information_requested'),
    ('answer-information', '{information_requested}', 'submitted'),
    ('answer-information', '{information_requested}', 'under_review'),
    ('propose', '{under_review}', 'under_review'),
    ('propose', '{under_review}', 'ready_for_decision'),
    ('return', '{under_review,ready_for_decision}', 'under_review'),
    ('decisions', '{under_review,ready_for_decision}', 'under_review'),
    ('decisions', '{ready_for_decision}', 'ready_for_decision'),
    ('decisions', '{under_review,ready_for_decision}', 'decided'),
    ('withdraw', '{draft,submitted,under_review,information_requested,ready_for_decision}', 'withdrawn'),
    ('dismiss', '{draft,submitted,under_review,information_requested,ready_for_decision}', 'dismissed'),
    ('close', '{decided}', 'closed'),
    ('reconsider', '{decided,closed}', 'under_review'),
    -- actions that change no state
    ('assign', '{submitted,under_review,information_requested,ready_for_decision,decided}', NULL),
    ('request-reconsideration', '{decided,closed}', NULL),
    ('emergency-grants', '{submitted,under_review,information_requested,ready_for_decision}', NULL),
    ('needs', '{draft,submitted,under_review,information_requested}', NULL),
    ('representatives', '{draft,submitted,under_review,information_requested,ready_for_decision,decided}', NULL),
    -- also afterwards: an emergency grant is certified within 14 days
    ('certifications', '{draft,submitted,under_review,information_requested,ready_for_decision,decided}', NULL),
    ('obligation-assessments', '{submitted,under_review,information_requested,ready_for_decision,decided}', NULL),
    ('best-interest-assessments', '{submitted,under_review,information_requested,ready_for_decision,decided}', NULL)
) AS t (action, from_states, to_state), unnest(from_states::text[]) AS from_state;

-- Last line of defence: a state changes along a transition, or not at all.
CREATE FUNCTION guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM transitions t WHERE t.from_state = OLD.state AND t.to_state = NEW.state) THEN
        RAISE EXCEPTION 'no transition from % to %', OLD.state, NEW.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER state_follows_transitions BEFORE UPDATE OF state ON applications
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION guard_state();

-- Protection comes from the person. The lock makes a new application and a person who becomes protected wait for each
-- other: neither can miss the other.
CREATE FUNCTION copy_protection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    SELECT p.protected INTO STRICT NEW.protected FROM persons p WHERE p.id = NEW.person_id FOR SHARE;
    RETURN NEW;
END $$;
CREATE TRIGGER protection_from_person BEFORE INSERT OR UPDATE OF person_id ON applications
    FOR EACH ROW EXECUTE FUNCTION copy_protection();

CREATE FUNCTION follow_protection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    UPDATE applications a SET protected = NEW.protected WHERE a.person_id = NEW.id AND a.protected <> NEW.protected;
    RETURN NULL;
END $$;
CREATE TRIGGER protection_to_applications AFTER UPDATE ON persons
    FOR EACH ROW WHEN (OLD.protected <> NEW.protected) EXECUTE FUNCTION follow_protection();

-- What holds for the whole application, whether or not the caller sees every part of it.
CREATE FUNCTION application_has_needs(application uuid, statuses text[]) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM needs n WHERE n.application_id = application AND n.status = ANY (statuses));
END $$;

CREATE FUNCTION application_is_protected(application uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM applications a WHERE a.id = application AND a.protected)
        OR EXISTS (SELECT FROM needs n JOIN persons p ON p.id = n.person_id WHERE n.application_id = application AND p.protected);
END $$;

CREATE FUNCTION lapse_needs(application uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    UPDATE needs n SET status = 'lapsed', version = n.version + 1, updated_at = now()
    WHERE n.application_id = application AND n.status IN ('open', 'proposed')
      AND EXISTS (SELECT FROM applications a WHERE a.id = application AND a.state IN ('withdrawn', 'dismissed'));
END $$;

-- Gates ----------------------------------------------------------------------------------------------------------
-- Until when a need is certified: NULL if it is not now.
CREATE FUNCTION need_certified_until(need uuid, content int) RETURNS date LANGUAGE sql STABLE
    RETURN (SELECT max(c.expires_on) FROM certification_needs cn JOIN certifications c ON c.id = cn.certification_id
            WHERE cn.need_id = need AND cn.content_version = content AND c.revoked_at IS NULL
              AND c.certified_on <= today() AND c.expires_on >= today());

-- The outcome that counts for a need: the latest, if it is about what the need asks now.
CREATE FUNCTION need_obligation(need uuid, content int) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT CASE WHEN o.content_version = content THEN o.outcome END FROM obligation_assessments o
            WHERE o.need_id = need ORDER BY o.created_at DESC LIMIT 1);

-- Whether the needs are prepared: before they are proposed, and again when they are decided.
CREATE FUNCTION preparation_gates(need_ids uuid[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN array_remove(ARRAY[
        CASE WHEN EXISTS (SELECT FROM needs n WHERE n.id = ANY (need_ids) AND NOT EXISTS (
            SELECT FROM eligibility_assessments e WHERE e.person_id = n.person_id)) THEN 'eligibility_missing' END,
        CASE WHEN EXISTS (SELECT FROM needs n WHERE n.id = ANY (need_ids)
            AND need_certified_until(n.id, n.content_version) IS NULL) THEN 'certification_missing' END,
        CASE WHEN EXISTS (SELECT FROM needs n WHERE n.id = ANY (need_ids)
            AND coalesce(need_obligation(n.id, n.content_version), 'pending') = 'pending') THEN 'assessment_missing' END,
        CASE WHEN EXISTS (SELECT FROM needs n WHERE n.id = ANY (need_ids) AND n.concerns_child AND NOT EXISTS (
            SELECT FROM best_interest_assessments b WHERE b.application_id = n.application_id AND b.person_id = n.person_id))
            THEN 'best_interest_missing' END
    ], NULL);
END $$;

CREATE FUNCTION proposal_gates(app applications, need_ids uuid[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE named uuid[] := coalesce(need_ids,
    (SELECT array_agg(n.id) FROM needs n WHERE n.application_id = app.id AND n.status = 'open'));
BEGIN
    IF named IS NULL THEN
        RETURN ARRAY['needs_missing'];
    END IF;
    RETURN preparation_gates(named) || CASE WHEN EXISTS (
        SELECT FROM needs n WHERE n.id = ANY (named) AND n.status <> 'open') THEN ARRAY['need_not_open'] ELSE '{}' END;
END $$;

-- What stops an action that the state allows: the one place. Under the lock of the application when it is carried out;
-- without it in `actions`, where the application tells what may be done with it.
CREATE FUNCTION application_gates(app applications, action text, need_ids uuid[], body jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE action
    WHEN 'submit' THEN
        RETURN CASE WHEN EXISTS (SELECT FROM needs n WHERE n.application_id = app.id) THEN '{}'::text[] ELSE ARRAY['needs_missing'] END;
    WHEN 'start-review' THEN
        RETURN CASE WHEN app.assigned_to = caller() THEN '{}'::text[] ELSE ARRAY['not_assigned'] END;
    WHEN 'propose' THEN
        RETURN proposal_gates(app, need_ids);
    WHEN 'return' THEN
        RETURN CASE WHEN app.state = 'ready_for_decision' OR application_has_needs(app.id, '{proposed}') THEN '{}'::text[]
            ELSE ARRAY['need_not_proposed'] END;
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

-- State first: the gates of an action mean something only where the state allows it.
CREATE FUNCTION action_blockers(app applications, action text, need_ids uuid[], body jsonb) RETURNS text[] LANGUAGE sql STABLE
    RETURN CASE WHEN EXISTS (SELECT FROM transitions t WHERE t.action = action_blockers.action AND t.from_state = (app).state)
        THEN application_gates(app, action, need_ids, body) ELSE ARRAY['invalid_transition=' || (app).state] END;

-- Locks the application in a statement of its own, so that what follows sees what others committed before. Whoever
-- changes what a gate reads takes this lock too.
CREATE FUNCTION lock_application(subject uuid, expected int) RETURNS applications LANGUAGE plpgsql AS $$
DECLARE app applications;
BEGIN
    SELECT a.* INTO app FROM applications a WHERE a.id = subject FOR UPDATE;
    IF app.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF app.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN app;
END $$;

-- Refuses a body that names a need of another application, one that is not there, or one twice.
CREATE FUNCTION require_own_needs(application uuid, need_ids uuid[], body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at int;
    pattern text := CASE WHEN body ? 'lines' THEN '/lines/%s/need_id' WHEN body ? 'need_ids' THEN '/need_ids/%s' ELSE '/need_id' END;
BEGIN
    FOR at IN 1 .. coalesce(cardinality(need_ids), 0) LOOP
        IF NOT EXISTS (SELECT FROM needs n WHERE n.id = need_ids[at] AND n.application_id = application) THEN
            PERFORM refuse_member(format(pattern, at - 1), 'reference_unknown');
        ELSIF need_ids[at] = ANY (need_ids[:at - 1]) THEN
            PERFORM refuse_member(format(pattern, at - 1), 'need_repeated');
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION begin_action(subject uuid, action text, expected int, need_ids uuid[], body jsonb) RETURNS applications
    LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application(subject, expected);
    blockers text[];
BEGIN
    PERFORM require_own_needs(app.id, need_ids, body);
    blockers := action_blockers(app, action, need_ids, body);
    IF blockers <> '{}' THEN
        PERFORM refuse_gates(blockers);
    END IF;
    RETURN app;
END $$;

-- A change below an application raises its version.
CREATE FUNCTION touch_application(application uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE applications a SET version = a.version + 1, updated_at = now() WHERE a.id = application;
END $$;

-- Carries an action's change of state out and writes the step. step: the body; its sealed message, if any, is kept there.
CREATE FUNCTION end_action(app applications, action text, to_state text, step jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE applications a SET state = to_state, version = a.version + 1, updated_at = now(),
        resume_state = CASE WHEN to_state = 'information_requested' THEN coalesce(app.resume_state, app.state) END
    WHERE a.id = app.id;
    INSERT INTO application_steps (id, application_id, action, from_state, to_state, sealed)
    VALUES (coalesce((step->>'id')::uuid, gen_random_uuid()), app.id, end_action.action, app.state, end_action.to_state,
        (step->>'sealed')::bytea);
    IF step ? 'sealed' THEN
        PERFORM vault.store(step, app.person_id);
    END IF;
    PERFORM emit(app.id, app.agency_id, application_is_protected(app.id));
END $$;

-- Representations -----------------------------------------------------------------------------------------------
CREATE FUNCTION need_body(n needs, wrapped bytea) RETURNS json LANGUAGE sql STABLE
    RETURN json_build_object('id', n.id, 'application_id', n.application_id, 'person_id', n.person_id,
        'category_code', n.category_code, 'status', n.status, 'requested_ore', n.requested_ore,
        'concerns_child', n.concerns_child, 'certified_until', need_certified_until(n.id, n.content_version),
        'created_at', rfc3339(n.created_at), 'updated_at', rfc3339(n.updated_at), 'version', n.version,
        '$seal', vault.marker('needs', n.id, 'sealed', wrapped, n.sealed));

CREATE VIEW need_bodies WITH (security_invoker = true) AS
    SELECT n.id, n.version, n.application_id AS parent_id, n.created_at, n.updated_at, need_body(n, k.wrapped)::text AS body
    FROM needs n LEFT JOIN vault.data_keys k ON k.record_id = n.id;

-- A list tells where each case stands; what it is about, and what may be done with it, is told one by one.
CREATE VIEW application_summaries WITH (security_invoker = true) AS
    SELECT a.id, a.version, a.created_at, a.updated_at, a.state, a.assigned_to, a.person_id, a.external_id,
        json_build_object('id', a.id, 'reference', application_reference(a.id), 'external_id', a.external_id,
            'agency_id', a.agency_id, 'person_id', a.person_id, 'state', a.state, 'submitted_on', a.submitted_on,
            'assigned_to', a.assigned_to, 'dismissal_reason_code', a.dismissal_reason_code,
            'reconsideration_requested_at', rfc3339(a.reconsideration_requested_at),
            'created_at', rfc3339(a.created_at), 'updated_at', rfc3339(a.updated_at), 'version', a.version)::text AS body
    FROM applications a;

CREATE VIEW application_bodies WITH (security_invoker = true) AS
    SELECT a.id, a.version,
        json_build_object('id', a.id, 'reference', application_reference(a.id), 'external_id', a.external_id,
            'agency_id', a.agency_id, 'person_id', a.person_id, 'state', a.state, 'submitted_on', a.submitted_on,
            'assigned_to', a.assigned_to, 'dismissal_reason_code', a.dismissal_reason_code,
            'reconsideration_requested_at', rfc3339(a.reconsideration_requested_at),
            'needs', (SELECT coalesce(json_agg(need_body(n, nk.wrapped) ORDER BY n.created_at, n.id), '[]')
                FROM needs n LEFT JOIN vault.data_keys nk ON nk.record_id = n.id WHERE n.application_id = a.id),
            'actions', (SELECT coalesce(json_agg(json_build_object('name', t.action, 'allowed', t.blockers = '{}',
                    'blocked_by', ARRAY(SELECT split_part(b, '=', 1) FROM unnest(t.blockers) AS b)) ORDER BY t.action), '[]')
                FROM (SELECT c.action, action_blockers(a, c.action, NULL, NULL) AS blockers
                      FROM unnest(caller_actions()) AS c (action) OFFSET 0) AS t),
            'created_at', rfc3339(a.created_at), 'updated_at', rfc3339(a.updated_at), 'version', a.version,
            '$seal', vault.marker('applications', a.id, 'sealed', k.wrapped, a.sealed))::text AS body
    FROM applications a LEFT JOIN vault.data_keys k ON k.record_id = a.id;

CREATE VIEW representative_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.application_id AS parent_id, r.created_at,
        json_build_object('id', r.id, 'application_id', r.application_id, 'mandate_code', r.mandate_code,
            'from_on', r.from_on, 'until_on', r.until_on, 'ended_at', rfc3339(r.ended_at), 'agency_id', r.agency_id,
            'created_at', rfc3339(r.created_at), 'updated_at', rfc3339(r.updated_at), 'version', r.version,
            '$seal', vault.marker('representatives', r.id, 'sealed', k.wrapped, r.sealed))::text AS body
    FROM representatives r LEFT JOIN vault.data_keys k ON k.record_id = r.id;

CREATE VIEW certification_bodies WITH (security_invoker = true) AS
    SELECT c.id, c.version, c.application_id AS parent_id, c.created_at,
        json_build_object('id', c.id, 'application_id', c.application_id, 'representative_id', c.representative_id,
            'need_ids', (SELECT coalesce(json_agg(cn.need_id ORDER BY cn.need_id), '[]') FROM certification_needs cn WHERE cn.certification_id = c.id),
            'evidence', c.evidence, 'certified_on', c.certified_on, 'expires_on', c.expires_on,
            'recorded_by', c.recorded_by, 'revoked_at', rfc3339(c.revoked_at), 'revocation_reason_code', c.revocation_reason_code,
            'created_at', rfc3339(c.created_at), 'updated_at', rfc3339(c.updated_at), 'version', c.version,
            '$seal', vault.marker('certifications', c.id, 'sealed', k.wrapped, c.sealed))::text AS body
    FROM certifications c LEFT JOIN vault.data_keys k ON k.record_id = c.id;

CREATE VIEW obligation_assessment_bodies WITH (security_invoker = true) AS
    SELECT o.id, 1 AS version, o.application_id AS parent_id, o.created_at,
        json_build_object('id', o.id, 'application_id', o.application_id, 'need_id', o.need_id, 'body_code', o.body_code,
            'asked_on', o.asked_on, 'answered_on', o.answered_on, 'outcome', o.outcome,
            'appeal_by', o.appeal_by, 'assessed_by', o.assessed_by, 'created_at', rfc3339(o.created_at),
            '$seal', vault.marker('obligation_assessments', o.id, 'sealed', k.wrapped, o.sealed))::text AS body
    FROM obligation_assessments o LEFT JOIN vault.data_keys k ON k.record_id = o.id;

CREATE VIEW best_interest_assessment_bodies WITH (security_invoker = true) AS
    SELECT b.id, 1 AS version, b.application_id AS parent_id, b.created_at,
        json_build_object('id', b.id, 'application_id', b.application_id, 'person_id', b.person_id,
            'child_heard', b.child_heard, 'outcome', b.outcome, 'assessed_by', b.assessed_by,
            'created_at', rfc3339(b.created_at),
            '$seal', vault.marker('best_interest_assessments', b.id, 'sealed', k.wrapped, b.sealed))::text AS body
    FROM best_interest_assessments b LEFT JOIN vault.data_keys k ON k.record_id = b.id;

CREATE VIEW proposal_bodies WITH (security_invoker = true) AS
    SELECT p.id, p.version, p.application_id AS parent_id, p.created_at,
        json_build_object('id', p.id, 'application_id', p.application_id,
            'lines', (SELECT coalesce(json_agg(json_build_object('need_id', l.need_id, 'outcome', l.outcome, 'amount_ore', l.amount_ore)
                ORDER BY l.need_id), '[]') FROM proposal_lines l WHERE l.proposal_id = p.id),
            'proposed_by', p.proposed_by, 'returned_at', rfc3339(p.returned_at),
            'created_at', rfc3339(p.created_at), 'version', p.version,
            '$seal', vault.marker('proposals', p.id, 'sealed', k.wrapped, p.sealed))::text AS body
    FROM proposals p LEFT JOIN vault.data_keys k ON k.record_id = p.id;

CREATE VIEW application_step_bodies WITH (security_invoker = true) AS
    SELECT s.id, 1 AS version, s.application_id AS parent_id, s.created_at,
        json_build_object('id', s.id, 'application_id', s.application_id, 'action', s.action, 'from_state', s.from_state,
            'to_state', s.to_state, 'role', s.role, 'created_at', rfc3339(s.created_at),
            '$seal', vault.marker('application_steps', s.id, 'sealed', k.wrapped, s.sealed))::text AS body
    FROM application_steps s LEFT JOIN vault.data_keys k ON k.record_id = s.id;

-- The sealed birth dates of those whom an application's needs are for, and of one person more if named: the service opens
-- them, and tells who is under 18. `on`: the day that counts.
CREATE FUNCTION application_births(application uuid, person uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT a.id, 1, json_build_object('on', coalesce(a.submitted_on, today()), 'persons',
        (SELECT coalesce(json_agg(json_build_object('id', p.id, 'kind', p.kind,
                '$seal', vault.marker('persons', p.id, 'sealed', k.wrapped, p.sealed))), '[]')
         FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id
         WHERE p.id = ANY (ARRAY(SELECT n.person_id FROM needs n WHERE n.application_id = a.id UNION SELECT person))))::text, NULL::text
    FROM applications a WHERE a.id = application
$$;

-- What is done -----------------------------------------------------------------------------------------------------
CREATE FUNCTION create_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    new_id uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
BEGIN
    PERFORM require_person('/person_id', person);
    INSERT INTO applications (id, person_id, agency_id, external_id, sealed)
    VALUES (new_id, person, caller_agency(), body->>'external_id', (body->>'sealed')::bytea);
    PERFORM vault.store(body, person);
    PERFORM emit(new_id, caller_agency(), application_is_protected(new_id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = new_id;
END $$;

-- The agency's own reference at any time; what is asked for only in a draft.
CREATE FUNCTION update_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := lock_application(subject, expected);
BEGIN
    IF body ? 'sealed' AND app.state <> 'draft' THEN
        PERFORM refuse_gates(ARRAY['invalid_transition=' || app.state]);
    END IF;
    UPDATE applications a SET external_id = new.external_id, sealed = new.sealed, version = a.version + 1, updated_at = now()
    FROM jsonb_populate_record(app, body) AS new WHERE a.id = subject;
    PERFORM vault.store(body || jsonb_build_object('id', subject), app.person_id);
    PERFORM emit(app.id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- body.minors: ids of those under 18 on body.on, as the service found by opening their birth dates.
CREATE FUNCTION submit_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'submit', expected, NULL, body);
BEGIN
    UPDATE applications a SET submitted_on = (body->>'on')::date WHERE a.id = app.id;
    UPDATE needs n SET concerns_child = coalesce(body->'minors', '[]') ? n.person_id::text WHERE n.application_id = app.id;
    PERFORM end_action(app, 'submit', 'submitted', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- Whether this is a person of ours who may work with cases.
CREATE FUNCTION is_case_worker(principal uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM principals p WHERE p.id = principal AND p.kind = 'user' AND p.status = 'active'
        AND p.roles && ARRAY['case_worker', 'decision_maker']);
END $$;

CREATE FUNCTION assign_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action(subject, 'assign', expected, NULL, body);
    worker uuid := (body->>'assigned_to')::uuid;
BEGIN
    IF NOT is_case_worker(worker) THEN
        PERFORM refuse_member('/assigned_to', 'reference_unknown');
    END IF;
    -- Who works with a case sees those whom it concerns, as far as she who assigns it does.
    INSERT INTO access_list (person_id, officer, reason_code) SELECT p.id, 'user:' || worker, 'assignment' FROM persons p
    WHERE p.protected AND p.id = ANY (ARRAY(SELECT n.person_id FROM needs n WHERE n.application_id = app.id UNION SELECT app.person_id))
    ON CONFLICT (person_id, officer) DO NOTHING;
    UPDATE applications a SET assigned_to = worker WHERE a.id = app.id;
    PERFORM end_action(app, 'assign', app.state, body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION start_review(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'start-review', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'start-review', 'under_review', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION request_information(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'request-information', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'request-information', 'information_requested', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION answer_information(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'answer-information', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'answer-information', app.resume_state, body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- Named needs only, so that food does not wait for rehabilitation.
CREATE FUNCTION propose_decision(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    need_ids uuid[] := ARRAY(SELECT (l->>'need_id')::uuid FROM jsonb_array_elements(body->'lines') WITH ORDINALITY AS x (l, at) ORDER BY at);
    app applications := begin_action(subject, 'propose', expected, need_ids, body);
BEGIN
    INSERT INTO proposals (id, application_id, sealed) VALUES ((body->>'id')::uuid, app.id, (body->>'sealed')::bytea);
    PERFORM vault.store(body, app.person_id);
    INSERT INTO proposal_lines (proposal_id, need_id, application_id, outcome, amount_ore)
    SELECT (body->>'id')::uuid, l.need_id, app.id, l.outcome, l.amount_ore
    FROM jsonb_to_recordset(body->'lines') AS l (need_id uuid, outcome text, amount_ore bigint);
    UPDATE needs n SET status = 'proposed', proposed_by = caller(), version = n.version + 1, updated_at = now()
    WHERE n.id = ANY (need_ids);
    PERFORM end_action(app, 'propose',
        CASE WHEN application_has_needs(app.id, '{open}') THEN 'under_review' ELSE 'ready_for_decision' END, NULL);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION return_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'return', expected, NULL, body);
BEGIN
    UPDATE needs n SET status = 'open', proposed_by = NULL, version = n.version + 1, updated_at = now()
    WHERE n.application_id = app.id AND n.status = 'proposed';
    UPDATE proposals p SET returned_at = now(), version = p.version + 1 WHERE p.application_id = app.id AND p.returned_at IS NULL;
    PERFORM end_action(app, 'return', 'under_review', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- Open needs lapse, granted ones stand.
CREATE FUNCTION withdraw_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'withdraw', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'withdraw', 'withdrawn', body);
    PERFORM lapse_needs(app.id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION dismiss_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'dismiss', expected, NULL, body);
BEGIN
    PERFORM require_code('/reason_code', 'dismissal-reasons', body->>'reason_code');
    UPDATE applications a SET state = 'dismissed', resume_state = NULL, dismissal_reason_code = body->>'reason_code' WHERE a.id = app.id;
    PERFORM end_action(app, 'dismiss', 'dismissed', body);
    PERFORM lapse_needs(app.id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION close_application(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'close', expected, NULL, body);
BEGIN
    PERFORM end_action(app, 'close', 'closed', body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- Asked for by whoever applied; whether to reconsider is the decision maker's.
CREATE FUNCTION request_reconsideration(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE app applications := begin_action(subject, 'request-reconsideration', expected, NULL, body);
BEGIN
    UPDATE applications a SET reconsideration_requested_at = now() WHERE a.id = app.id;
    PERFORM end_action(app, 'request-reconsideration', app.state, body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM application_bodies v WHERE v.id = subject;
END $$;

-- body.minors as in submit_application; who is under 18 counts on the day the application came in.
CREATE FUNCTION add_need(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action(subject, 'needs', expected, NULL, body);
    need_id uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
BEGIN
    PERFORM require_person('/person_id', person);
    PERFORM require_code('/category_code', 'need-categories', body->>'category_code');
    INSERT INTO needs (id, application_id, person_id, category_code, requested_ore, concerns_child, sealed)
    VALUES (need_id, app.id, person, body->>'category_code', (body->>'requested_ore')::bigint,
        coalesce(body->'minors', '[]') ? person::text, (body->>'sealed')::bytea);
    PERFORM vault.store(body, person);
    PERFORM touch_application(app.id);
    PERFORM emit(need_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM need_bodies v WHERE v.id = need_id;
END $$;

-- While it is open. What was certified or assessed before was something else.
CREATE FUNCTION update_need(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application((SELECT n.application_id FROM needs n WHERE n.id = subject), NULL);
    need needs;
    blockers text[];
BEGIN
    SELECT n.* INTO need FROM needs n WHERE n.id = subject FOR UPDATE;
    IF need.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    blockers := action_blockers(app, 'needs', NULL, body) || CASE WHEN need.status <> 'open' THEN ARRAY['need_not_open'] ELSE '{}' END;
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

CREATE FUNCTION add_representative(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action(subject, 'representatives', expected, NULL, body);
    new_id uuid := (body->>'id')::uuid;
BEGIN
    PERFORM require_code('/mandate_code', 'mandates', body->>'mandate_code');
    INSERT INTO representatives (id, application_id, mandate_code, from_on, until_on, agency_id, sealed)
    VALUES (new_id, app.id, body->>'mandate_code', coalesce((body->>'from_on')::date, today()), (body->>'until_on')::date,
        caller_agency(), (body->>'sealed')::bytea);
    PERFORM vault.store(body, app.person_id);
    PERFORM touch_application(app.id);
    PERFORM emit(new_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM representative_bodies v WHERE v.id = new_id;
END $$;

-- A mandate ends; what the representative certified while it held stays certified.
CREATE FUNCTION end_representative(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action((SELECT r.application_id FROM representatives r WHERE r.id = subject), 'representatives', NULL, NULL, body);
    ombud representatives;
BEGIN
    SELECT r.* INTO ombud FROM representatives r WHERE r.id = subject FOR UPDATE;
    IF ombud.version <> expected THEN
        PERFORM refuse_stale();
    ELSIF ombud.ended_at IS NOT NULL THEN
        PERFORM refuse_gates('{mandate_ended}');
    END IF;
    UPDATE representatives r SET ended_at = now(), until_on = coalesce((body->>'until_on')::date, greatest(today(), r.from_on)),
        version = r.version + 1, updated_at = now()
    WHERE r.id = subject;
    PERFORM touch_application(app.id);
    PERFORM emit(subject, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM representative_bodies v WHERE v.id = subject;
END $$;

-- Records what vouches for the needs. Staff do so on a document or the ombud's own confirmation; an agency's officer may
-- vouch of her own knowledge. base: where in the request's body the certification stands.
CREATE FUNCTION store_certification(app applications, body jsonb, need_ids uuid[], base text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ombud uuid := (body->>'representative_id')::uuid;
    evidence text := coalesce(body->>'evidence', CASE WHEN caller_agency() IS NOT NULL THEN 'own_knowledge' END);
    certified date := coalesce((body->>'certified_on')::date, today());
BEGIN
    IF ombud IS NOT NULL AND NOT EXISTS (SELECT FROM representatives r WHERE r.id = ombud AND r.application_id = app.id) THEN
        PERFORM refuse_member(base || '/representative_id', 'reference_unknown');
    ELSIF ombud IS NOT NULL AND EXISTS (SELECT FROM representatives r
        WHERE r.id = ombud AND (certified < r.from_on OR certified > r.until_on)) THEN
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

CREATE FUNCTION add_certification(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    need_ids uuid[] := ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(body->'need_ids') WITH ORDINALITY ORDER BY ordinality);
    app applications := begin_action(subject, 'certifications', expected, need_ids, body);
    new_id uuid := (body->>'id')::uuid;
BEGIN
    PERFORM store_certification(app, body, need_ids, '');
    PERFORM touch_application(app.id);
    PERFORM emit(new_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM certification_bodies v WHERE v.id = new_id;
END $$;

CREATE FUNCTION revoke_certification(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_application((SELECT c.application_id FROM certifications c WHERE c.id = subject), NULL);
    certification certifications;
BEGIN
    SELECT c.* INTO certification FROM certifications c WHERE c.id = subject FOR UPDATE;
    IF certification.version <> expected THEN
        PERFORM refuse_stale();
    ELSIF certification.revoked_at IS NOT NULL THEN
        PERFORM refuse_gates('{already_revoked}');
    END IF;
    UPDATE certifications c SET revoked_at = now(), revoked_by = caller(), revocation_reason_code = body->>'reason_code',
        version = c.version + 1, updated_at = now()
    WHERE c.id = subject;
    PERFORM touch_application(app.id);
    PERFORM emit(subject, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM certification_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION add_obligation_assessment(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    need uuid := (body->>'need_id')::uuid;
    app applications := begin_action(subject, 'obligation-assessments', expected, ARRAY[need], body);
    new_id uuid := (body->>'id')::uuid;
BEGIN
    PERFORM require_code('/body_code', 'bodies', body->>'body_code');
    IF (body->>'answered_on')::date > today() THEN
        PERFORM refuse_member('/answered_on', 'date_in_future');
    END IF;
    INSERT INTO obligation_assessments (id, application_id, need_id, body_code, asked_on, answered_on, outcome,
        appeal_by, content_version, sealed)
    SELECT new_id, app.id, need, body->>'body_code', (body->>'asked_on')::date, (body->>'answered_on')::date,
        body->>'outcome', CASE WHEN body->>'outcome' = 'refused' THEN coalesce((body->>'answered_on')::date, today()) + p.days END,
        n.content_version, (body->>'sealed')::bytea
    FROM needs n, periods p WHERE n.id = need AND p.code = 'refusal_appeal';
    PERFORM vault.store(body, (SELECT n.person_id FROM needs n WHERE n.id = need));
    PERFORM touch_application(app.id);
    PERFORM emit(new_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM obligation_assessment_bodies v WHERE v.id = new_id;
END $$;

CREATE FUNCTION add_best_interest_assessment(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    app applications := begin_action(subject, 'best-interest-assessments', expected, NULL, body);
    new_id uuid := (body->>'id')::uuid;
    child uuid := (body->>'person_id')::uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM needs n WHERE n.application_id = app.id AND n.person_id = child) THEN
        PERFORM refuse_member('/person_id', 'reference_unknown');
    END IF;
    INSERT INTO best_interest_assessments (id, application_id, person_id, child_heard, outcome, sealed)
    VALUES (new_id, app.id, child, body->>'child_heard', body->>'outcome', (body->>'sealed')::bytea);
    PERFORM vault.store(body, child);
    PERFORM touch_application(app.id);
    PERFORM emit(new_id, app.agency_id, application_is_protected(app.id));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM best_interest_assessment_bodies v WHERE v.id = new_id;
END $$;

-- Registrations ------------------------------------------------------------------------------------------------------
-- A person, her children, their application, its needs and perhaps a certification: all or nothing. Runs as the owner,
-- since the public front end may create and see nothing; the agency is always the caller's own.
-- for: "person", or "child:0" and on, the child's place in the list; minors: those keys of whoever is under 18 today.
CREATE FUNCTION registered_person(body jsonb, who text) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN who = 'person' THEN body->'person'->>'id'
                 ELSE body->'children'->(substr(who, 7)::int)->>'id' END)::uuid;

CREATE FUNCTION register_family(body jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    person jsonb;
    mother uuid;
    child uuid;
BEGIN
    FOR person IN SELECT body->'person' UNION ALL SELECT jsonb_array_elements(coalesce(body->'children', '[]')) LOOP
        -- Whoever the front end registers is the triage group's to see; everybody else must name an officer.
        IF current_setting('utvag.role') <> 'intake' THEN
            PERFORM require_officer(coalesce(person->>'protection', 'unknown'));
        END IF;
    END LOOP;
    mother := insert_person(body->'person', 'applicant', caller_agency());
    FOR person IN SELECT jsonb_array_elements(coalesce(body->'children', '[]')) LOOP
        child := insert_person(person, 'child', caller_agency());
        INSERT INTO relations (id, person_id, related_person_id, agency_id, kind)
        VALUES (gen_random_uuid(), child, mother, caller_agency(), 'parent');
    END LOOP;
    RETURN mother;
END $$;

CREATE FUNCTION register_needs(app applications, body jsonb) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    need jsonb;
    person uuid;
    at int := 0;
    made uuid[] := '{}';
BEGIN
    FOR need IN SELECT jsonb_array_elements(body->'needs') LOOP
        person := registered_person(body, need->>'for');
        IF person IS NULL THEN
            PERFORM refuse_member(format('/needs/%s/for', at), 'reference_unknown');
        END IF;
        PERFORM require_code(format('/needs/%s/category_code', at), 'need-categories', need->>'category_code');
        INSERT INTO needs (id, application_id, person_id, category_code, requested_ore, concerns_child, sealed)
        VALUES ((need->>'id')::uuid, app.id, person, need->>'category_code', (need->>'requested_ore')::bigint,
            coalesce(body->'minors', '[]') ? (need->>'for'), (need->>'sealed')::bytea);
        PERFORM vault.store(need, person);
        made := made || (need->>'id')::uuid;
        at := at + 1;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION create_registration(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    intake boolean := current_setting('utvag.role') = 'intake';
    asked jsonb := body->'application';
    app applications;
    need_ids uuid[];
BEGIN
    IF intake AND body ? 'certification' THEN
        PERFORM refuse_member('/certification', 'certification_needs_ombud');
    END IF;
    INSERT INTO applications (id, person_id, agency_id, external_id, state, submitted_on, sealed)
    VALUES ((asked->>'id')::uuid, register_family(body), caller_agency(), asked->>'external_id', 'submitted', today(),
        (asked->>'sealed')::bytea)
    RETURNING * INTO app;
    PERFORM vault.store(asked, app.person_id);
    need_ids := register_needs(app, body);
    IF body ? 'certification' THEN
        PERFORM store_certification(app, body->'certification', need_ids, '/certification');
    END IF;
    INSERT INTO application_steps (id, application_id, action, from_state, to_state)
    VALUES (gen_random_uuid(), app.id, 'submit', 'draft', 'submitted');
    PERFORM emit(app.id, app.agency_id, application_is_protected(app.id));
    -- A front end gets nothing that would open anything.
    RETURN QUERY SELECT app.id, NULL::int, CASE WHEN intake
        THEN json_build_object('reference', application_reference(app.id))
        ELSE json_build_object('reference', application_reference(app.id), 'application_id', app.id,
            'person_id', app.person_id,
            'child_ids', (SELECT coalesce(json_agg(c->'id'), '[]') FROM jsonb_array_elements(coalesce(body->'children', '[]')) AS c),
            'need_ids', need_ids, 'certification_id', body->'certification'->'id') END::text, NULL::text;
END $$;

-- Who may -------------------------------------------------------------------------------------------------------------
-- What hangs on an application is seen by whoever sees it. Called for each row, on purpose: hashed, it would read them all.
CREATE FUNCTION sees_application(application uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM applications a WHERE a.id = application);
END $$;

CREATE POLICY see_own ON applications FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_is_listed(person_id)));
CREATE POLICY see ON applications FOR SELECT TO utvag_case USING (NOT protected OR caller_is_listed(person_id));
CREATE POLICY open_own ON applications FOR INSERT TO utvag_partner
    WITH CHECK (agency_id = (SELECT caller_agency()) AND sees_person(person_id));
CREATE POLICY open ON applications FOR INSERT TO utvag_case WITH CHECK (agency_id IS NULL AND sees_person(person_id));
CREATE POLICY change_own ON applications FOR UPDATE TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_is_listed(person_id)))
    WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY change ON applications FOR UPDATE TO utvag_case USING (NOT protected OR caller_is_listed(person_id)) WITH CHECK (true);

CREATE POLICY of_application ON needs TO utvag_partner, utvag_case
    USING (sees_application(application_id) AND sees_person(person_id));
CREATE POLICY of_application ON representatives TO utvag_partner, utvag_case USING (sees_application(application_id));
CREATE POLICY of_application ON certifications TO utvag_partner, utvag_case USING (sees_application(application_id));
CREATE POLICY of_application ON certification_needs TO utvag_partner, utvag_case USING (sees_application(application_id)
    AND EXISTS (SELECT FROM needs n WHERE n.id = need_id));
CREATE POLICY of_application ON obligation_assessments TO utvag_case USING (sees_application(application_id)
    AND EXISTS (SELECT FROM needs n WHERE n.id = need_id));
CREATE POLICY of_application ON best_interest_assessments TO utvag_case
    USING (sees_application(application_id) AND sees_person(person_id));
CREATE POLICY of_application ON proposals TO utvag_case USING (sees_application(application_id));
CREATE POLICY of_application ON proposal_lines TO utvag_case USING (sees_application(application_id)
    AND EXISTS (SELECT FROM needs n WHERE n.id = need_id));
-- How the charity works among itself is not an agency's to read.
CREATE POLICY of_own_application ON application_steps TO utvag_partner
    USING (sees_application(application_id) AND action NOT IN ('assign', 'propose', 'return'));
CREATE POLICY of_application ON application_steps TO utvag_case USING (sees_application(application_id));
CREATE POLICY read_all ON transitions FOR SELECT TO utvag_partner, utvag_case USING (true);
CREATE POLICY read_all ON periods FOR SELECT TO utvag_partner, utvag_case USING (true);

GRANT SELECT ON transitions, periods TO utvag_partner, utvag_case;
GRANT SELECT, INSERT, UPDATE ON applications, needs, representatives, certifications TO utvag_partner, utvag_case;
GRANT SELECT, INSERT ON certification_needs, application_steps TO utvag_partner, utvag_case;
GRANT SELECT, INSERT ON obligation_assessments, best_interest_assessments, proposal_lines TO utvag_case;
GRANT SELECT, INSERT, UPDATE ON proposals TO utvag_case;
GRANT SELECT ON need_bodies, application_summaries, application_bodies, representative_bodies, certification_bodies,
    application_step_bodies TO utvag_partner, utvag_case;
GRANT SELECT ON obligation_assessment_bodies, best_interest_assessment_bodies, proposal_bodies TO utvag_case;
GRANT EXECUTE ON FUNCTION today, application_reference, application_has_needs, application_is_protected, lapse_needs,
    need_certified_until, need_obligation, preparation_gates, proposal_gates, application_gates, action_blockers,
    lock_application, require_own_needs, begin_action, touch_application, end_action, need_body, application_births,
    create_application, update_application, submit_application, answer_information, withdraw_application,
    request_reconsideration, add_need, update_need, add_representative, end_representative, store_certification,
    add_certification, revoke_certification, sees_application, create_registration TO utvag_partner, utvag_case;
GRANT EXECUTE ON FUNCTION is_case_worker, assign_application, start_review, request_information, propose_decision,
    return_application, dismiss_application, close_application, add_obligation_assessment, add_best_interest_assessment
    TO utvag_case;
GRANT EXECUTE ON FUNCTION create_registration TO utvag_public;

CALL guard_tables();
