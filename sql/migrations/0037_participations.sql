-- Who takes part in a project and how it goes for her, what the projects do for others, and what comes of it in figures that
-- point at nobody.

SET LOCAL ROLE utvag_owner;

-- Participations -------------------------------------------------------------------------------------------------------
CREATE TABLE participations (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects,
    person_id uuid NOT NULL REFERENCES persons,
    target_group text NOT NULL,
    from_on date NOT NULL,
    ended_on date,
    outcome_code text,
    recorded_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    sealed bytea,                                    -- goal and plan
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ended_before_it_began CHECK (ended_on >= from_on),
    CONSTRAINT end_has_outcome CHECK ((ended_on IS NULL) = (outcome_code IS NULL))
);
CREATE INDEX participations_by_project ON participations (project_id, created_at, id);
CREATE INDEX participations_by_person ON participations (person_id);
CREATE UNIQUE INDEX participates_already ON participations (project_id, person_id) WHERE ended_on IS NULL;

-- What was done on the way, in order; added to, never changed.
CREATE TABLE participation_steps (
    id uuid PRIMARY KEY,
    participation_id uuid NOT NULL REFERENCES participations,
    kind_code text NOT NULL,
    taken_on date NOT NULL,
    recorded_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    sealed bytea,                                    -- the note
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX participation_steps_in_order ON participation_steps (participation_id, created_at, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON participation_steps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whether there is such a person and she is not hidden from the caller: all that who runs projects learns of anybody by her id.
CREATE FUNCTION caller_may_see_person(person uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM persons p WHERE p.id = person AND (NOT p.protected OR caller_is_listed(p.id)));
END $$;
-- A participation is seen with its person, and a step with its participation. Called for each row, on purpose, as sees_person is.
CREATE FUNCTION sees_participation(participation uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM participations t WHERE t.id = participation);
END $$;
-- Of a data key: whether it is that of a participation or a step that the caller sees, and its person's.
CREATE FUNCTION keys_participation(record uuid, person uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM participations t WHERE t.id = record AND t.person_id = person)
        OR EXISTS (SELECT FROM participation_steps s JOIN participations t ON t.id = s.participation_id
                   WHERE s.id = record AND t.person_id = person);
END $$;

-- Tells that something happened to a record of a person's, as little as her protection allows.
CREATE FUNCTION emit_of_person(record uuid, person uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT emit(record, NULL, p.protected) FROM persons p WHERE p.id = person
$$;

-- The project, which is not closed or changed until the caller is done.
CREATE FUNCTION hold_project(project uuid) RETURNS SETOF projects LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS 'SELECT * FROM projects p WHERE p.id = project FOR SHARE';

CREATE VIEW participation_bodies WITH (security_invoker = true) AS
    SELECT t.id, t.version, t.project_id AS parent_id, t.person_id, t.created_at, json_build_object('id', t.id,
        'project_id', t.project_id, 'person_id', t.person_id, 'target_group', t.target_group, 'from_on', t.from_on,
        'ended_on', t.ended_on, 'outcome_code', t.outcome_code, 'recorded_by', t.recorded_by, 'version', t.version,
        'created_at', rfc3339(t.created_at), 'updated_at', rfc3339(t.updated_at),
        '$seal', vault.marker('participations', t.id, 'sealed', k.wrapped, t.sealed))::text AS body
    FROM participations t LEFT JOIN vault.data_keys k ON k.record_id = t.id;

CREATE VIEW participation_step_bodies WITH (security_invoker = true) AS
    SELECT s.id, s.version, s.participation_id AS parent_id, s.created_at, json_build_object('id', s.id,
        'participation_id', s.participation_id, 'kind_code', s.kind_code, 'taken_on', s.taken_on, 'recorded_by', s.recorded_by,
        'version', s.version, 'created_at', rfc3339(s.created_at),
        '$seal', vault.marker('participation_steps', s.id, 'sealed', k.wrapped, s.sealed))::text AS body
    FROM participation_steps s LEFT JOIN vault.data_keys k ON k.record_id = s.id;

CREATE FUNCTION create_participation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    project projects;
    new participations := jsonb_populate_record(NULL::participations, take_members(body, ARRAY['id', 'person_id', 'target_group',
        'from_on', 'sealed']));
BEGIN
    SELECT * INTO project FROM hold_project(subject);
    IF project.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF NOT caller_may_see_person(new.person_id) THEN
        PERFORM refuse_member('/person_id', 'reference_unknown');
    ELSIF project.closed_on IS NOT NULL THEN
        PERFORM refuse_gates('{project_is_closed}');
    ELSIF new.from_on NOT BETWEEN project.starts_on AND project.ends_on THEN
        PERFORM refuse_member('/from_on', 'outside_project_period');
    ELSIF new.target_group <> ALL (project.target_groups) THEN
        PERFORM refuse_member('/target_group', 'group_not_of_project');
    END IF;
    INSERT INTO participations (id, project_id, person_id, target_group, from_on, sealed)
    VALUES (new.id, subject, new.person_id, new.target_group, new.from_on, new.sealed);
    PERFORM vault.store(body - 'blind', new.person_id);
    PERFORM emit_of_person(new.id, new.person_id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM participation_bodies v WHERE v.id = new.id;
END $$;

-- One that goes on, for whoever changes it.
CREATE FUNCTION lock_participation(subject uuid, expected int) RETURNS participations LANGUAGE plpgsql AS $$
DECLARE participation participations;
BEGIN
    SELECT * INTO participation FROM participations t WHERE t.id = subject FOR UPDATE;
    IF participation.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND participation.version <> expected THEN
        PERFORM refuse_stale();
    ELSIF participation.ended_on IS NOT NULL THEN
        PERFORM refuse_gates('{participation_ended}');
    END IF;
    RETURN participation;
END $$;

CREATE FUNCTION update_participation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old participations := lock_participation(subject, expected);
    new participations := jsonb_populate_record(old, take_members(body, ARRAY['sealed']));
BEGIN
    UPDATE participations t SET sealed = new.sealed, version = t.version + 1, updated_at = now() WHERE t.id = subject;
    PERFORM vault.store((body || jsonb_build_object('id', subject)) - 'blind', old.person_id);
    PERFORM emit_of_person(subject, old.person_id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM participation_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION add_participation_step(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    participation participations := lock_participation(subject, expected);
    new_id uuid := (body->>'id')::uuid;
BEGIN
    PERFORM require_code('/kind_code', 'participation-steps', body->>'kind_code');
    IF (body->>'taken_on')::date < participation.from_on THEN
        PERFORM refuse_member('/taken_on', 'before_participation');
    END IF;
    INSERT INTO participation_steps (id, participation_id, kind_code, taken_on, sealed)
    VALUES (new_id, subject, body->>'kind_code', (body->>'taken_on')::date, (body->>'sealed')::bytea);
    PERFORM vault.store(body - 'blind', participation.person_id);
    UPDATE participations t SET version = t.version + 1, updated_at = now() WHERE t.id = subject;
    PERFORM emit_of_person(new_id, participation.person_id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM participation_step_bodies v WHERE v.id = new_id;
END $$;

CREATE FUNCTION end_participation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE participation participations := lock_participation(subject, expected);
BEGIN
    PERFORM require_code('/outcome_code', 'participation-outcomes', body->>'outcome_code');
    UPDATE participations t SET ended_on = coalesce((body->>'ended_on')::date, today()), outcome_code = body->>'outcome_code',
        version = t.version + 1, updated_at = now() WHERE t.id = subject;
    PERFORM emit_of_person(subject, participation.person_id);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM participation_bodies v WHERE v.id = subject;
END $$;

-- Activities -----------------------------------------------------------------------------------------------------------
-- Lectures and the like, of a project or of none: what is public of them, and nobody's name.
CREATE TABLE activities (
    id uuid PRIMARY KEY,
    project_id uuid REFERENCES projects,
    kind text NOT NULL CHECK (kind IN ('lecture', 'survey', 'publication', 'event')),
    title_sv text NOT NULL,
    title_en text NOT NULL,
    held_on date NOT NULL,
    audience_count int CHECK (audience_count >= 0),
    target_group text,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX activities_in_order ON activities (held_on, id);
CREATE INDEX activities_by_project ON activities (project_id, held_on, id) WHERE project_id IS NOT NULL;
CREATE INDEX activities_by_kind ON activities (kind, held_on, id);

CREATE VIEW activity_bodies WITH (security_invoker = true) AS
    SELECT a.id, a.version, a.project_id, a.kind, a.held_on, json_build_object('id', a.id, 'project_id', a.project_id, 'kind', a.kind,
        'title_sv', a.title_sv, 'title_en', a.title_en, 'held_on', a.held_on, 'audience_count', a.audience_count,
        'target_group', a.target_group, 'version', a.version, 'created_at', rfc3339(a.created_at),
        'updated_at', rfc3339(a.updated_at))::text AS body
    FROM activities a;

CREATE FUNCTION require_project(pointer text, project uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF project IS NOT NULL AND NOT EXISTS (SELECT FROM projects p WHERE p.id = project) THEN
        PERFORM refuse_member(pointer, 'reference_unknown');
    END IF;
END $$;

CREATE FUNCTION create_activity(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    new activities := jsonb_populate_record(NULL::activities, take_members(body, ARRAY['project_id', 'kind', 'title_sv', 'title_en',
        'held_on', 'audience_count', 'target_group']));
BEGIN
    PERFORM require_project('/project_id', new.project_id);
    new.id := gen_random_uuid();
    INSERT INTO activities (id, project_id, kind, title_sv, title_en, held_on, audience_count, target_group)
    VALUES (new.id, new.project_id, new.kind, new.title_sv, new.title_en, new.held_on, new.audience_count, new.target_group);
    PERFORM emit(new.id, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM activity_bodies v WHERE v.id = new.id;
END $$;

CREATE FUNCTION update_activity(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old activities;
    new activities;
BEGIN
    SELECT * INTO old FROM activities a WHERE a.id = subject FOR UPDATE;
    IF old.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF old.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    new := jsonb_populate_record(old, take_members(body, ARRAY['project_id', 'kind', 'title_sv', 'title_en', 'held_on',
        'audience_count', 'target_group']));
    PERFORM require_project('/project_id', new.project_id);
    UPDATE activities a SET project_id = new.project_id, kind = new.kind, title_sv = new.title_sv, title_en = new.title_en,
        held_on = new.held_on, audience_count = new.audience_count, target_group = new.target_group, version = a.version + 1,
        updated_at = now()
    WHERE a.id = subject;
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM activity_bodies v WHERE v.id = subject;
END $$;

-- The report -----------------------------------------------------------------------------------------------------------
-- Which cells of a table are not told, of pairs (cell, person): those of fewer than 11 persons, and of the others the smallest,
-- until what is not told is of 11 together. So neither a cell nor all that is left of the total when the others are taken from
-- it is about fewer.
CREATE FUNCTION hidden_cells(cells text[], persons uuid[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    fewest CONSTANT int := 11;
    hidden text[] := ARRAY(SELECT u.cell FROM unnest(cells, persons) AS u (cell, person)
                           GROUP BY u.cell HAVING count(DISTINCT u.person) < fewest);
    another text;
BEGIN
    WHILE hidden <> '{}' AND (SELECT count(DISTINCT u.person) < fewest FROM unnest(cells, persons) AS u (cell, person)
                              WHERE u.cell = ANY (hidden)) LOOP
        SELECT u.cell INTO another FROM unnest(cells, persons) AS u (cell, person) WHERE u.cell <> ALL (hidden)
            GROUP BY u.cell ORDER BY count(DISTINCT u.person), u.cell LIMIT 1;
        EXIT WHEN another IS NULL;
        hidden := hidden || another;
    END LOOP;
    RETURN hidden;
END $$;

-- What a project's account gave, öre by kind of need and person. What is for anybody protected has neither: it is told of
-- nobody's case, and counts nobody.
CREATE FUNCTION project_money(project uuid, from_on date, to_on date)
    RETURNS TABLE (category_code text, person_id uuid, granted_ore bigint, paid_ore bigint) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN s.hidden THEN '' ELSE l.category_code END, CASE WHEN s.hidden THEN NULL ELSE l.person_id END,
        sum(m.granted)::bigint, sum(m.paid)::bigint
    FROM accounts a CROSS JOIN LATERAL (
        SELECT u.line_id, u.amount_ore AS granted, 0 AS paid, u.created_at AS moment
        FROM line_sources h JOIN donation_uses u ON u.line_id = h.line_id AND u.account_id = h.account_id WHERE h.account_id = a.id
        UNION ALL
        SELECT c.line_id, 0, x.paid_ore - x.refunded_ore, d.paid_at
        FROM disbursement_sources x JOIN disbursements d ON d.id = x.disbursement_id
        JOIN disbursement_cases c ON c.disbursement_id = d.id WHERE x.account_id = a.id AND d.status = 'paid') AS m
    JOIN decision_lines l ON l.id = m.line_id JOIN applications i ON i.id = l.application_id JOIN persons p ON p.id = l.person_id
    CROSS JOIN LATERAL (SELECT i.protected OR p.protected AS hidden) AS s
    WHERE a.project_id = project AND (m.moment AT TIME ZONE 'Europe/Stockholm')::date BETWEEN from_on AND to_on
    GROUP BY 1, 2
$$;

-- Kinds of need of 11 persons or more; the others together, unnamed; nothing where all of it is of fewer.
CREATE FUNCTION project_money_report(project uuid, from_on date, to_on date) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    cells text[];
    persons uuid[];
    hidden text[];
    untold boolean;
BEGIN
    SELECT coalesce(array_agg(m.category_code), '{}'), coalesce(array_agg(m.person_id), '{}') INTO cells, persons
    FROM project_money(project, from_on, to_on) m;
    hidden := hidden_cells(cells, persons);
    untold := cells <> '{}' AND (SELECT count(DISTINCT u.person) < 11 FROM unnest(persons) AS u (person));
    RETURN (SELECT jsonb_build_object(
        'granted_ore', CASE WHEN NOT untold THEN coalesce(sum(c.granted), 0) END,
        'paid_ore', CASE WHEN NOT untold THEN coalesce(sum(c.paid), 0) END,
        'categories', coalesce(jsonb_agg(jsonb_build_object('category_code', c.category_code, 'granted_ore', c.granted,
            'paid_ore', c.paid, 'persons_count', c.persons) ORDER BY c.category_code) FILTER (WHERE c.category_code <> ALL (hidden)), '[]'),
        'other_granted_ore', CASE WHEN NOT untold THEN sum(c.granted) FILTER (WHERE c.category_code = ANY (hidden)) END,
        'other_paid_ore', CASE WHEN NOT untold THEN sum(c.paid) FILTER (WHERE c.category_code = ANY (hidden)) END)
    FROM (SELECT m.category_code, sum(m.granted_ore) AS granted, sum(m.paid_ore) AS paid, count(DISTINCT m.person_id) AS persons
          FROM project_money(project, from_on, to_on) m GROUP BY m.category_code) AS c);
END $$;

-- Who took part, by target group, of those who are not protected.
CREATE FUNCTION project_participant_report(project uuid, from_on date, to_on date) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    cells text[];
    persons uuid[];
    hidden text[];
    total int;
BEGIN
    SELECT coalesce(array_agg(t.target_group), '{}'), coalesce(array_agg(t.person_id), '{}'), count(DISTINCT t.person_id)
    INTO cells, persons, total
    FROM participations t JOIN persons p ON p.id = t.person_id
    WHERE t.project_id = project AND NOT p.protected AND t.from_on <= project_participant_report.to_on
        AND coalesce(t.ended_on >= project_participant_report.from_on, true);
    hidden := hidden_cells(cells, persons);
    RETURN jsonb_build_object('participants_count', CASE WHEN total = 0 OR total >= 11 THEN total END,
        'groups', (SELECT jsonb_agg(jsonb_build_object('target_group', g.name, 'participants_count',
                CASE WHEN total >= 11 AND g.name <> ALL (hidden) OR total = 0 THEN (SELECT count(DISTINCT u.person)
                    FROM unnest(cells, persons) AS u (cell, person) WHERE u.cell = g.name) END) ORDER BY g.at)
            FROM projects p CROSS JOIN unnest(p.target_groups) WITH ORDINALITY AS g (name, at) WHERE p.id = project));
END $$;

-- With the owner's eyes, since whoever runs projects sees neither cases nor payments; what it tells points at nobody.
CREATE FUNCTION project_report(project uuid, from_on date, to_on date) RETURNS TABLE (id uuid, version int, body text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT p.id, p.version, (jsonb_build_object('project_id', p.id, 'from_on', from_on, 'to_on', to_on,
        'status', project_status(p.starts_on, p.ends_on, p.pay_until_on, p.closed_on))
        || project_money_report(p.id, from_on, to_on)
        || jsonb_build_object('budgets', coalesce((SELECT jsonb_agg(jsonb_build_object('category_code', b.category_code,
            'group_code', b.group_code, 'amount_ore', b.amount_ore) ORDER BY b.position) FROM project_budgets b WHERE b.project_id = p.id), '[]'))
        || project_participant_report(p.id, from_on, to_on)
        || jsonb_build_object('activities', coalesce((SELECT jsonb_agg(jsonb_build_object('kind', k.kind, 'activities_count', k.held,
            'audience_count', k.audience) ORDER BY k.kind)
            FROM (SELECT a.kind, count(*) AS held, coalesce(sum(a.audience_count), 0) AS audience FROM activities a
                  WHERE a.project_id = p.id AND a.held_on BETWEEN from_on AND to_on GROUP BY a.kind) AS k), '[]')))::text
    FROM projects p WHERE p.id = project
$$;

-- Codes ----------------------------------------------------------------------------------------------------------------
INSERT INTO code_lists (list, label_sv, label_en) VALUES
    ('participation-steps', 'Steg på vägen', 'Steps of a participation'),
    ('participation-outcomes', 'Deltagandets utfall', 'Outcomes of a participation'),
    ('activity-kinds', 'Utåtriktat arbete', 'Kinds of activities');
INSERT INTO code_items (list, position, code, label_sv, label_en) VALUES
    ('participation-steps', 1, 'mapping', 'Kartläggning', 'Mapping'),
    ('participation-steps', 2, 'planning', 'Planering', 'Planning'),
    ('participation-steps', 3, 'guidance', 'Vägledning', 'Guidance'),
    ('participation-steps', 4, 'authority_contact', 'Kontakt med myndighet', 'Contact with an authority'),
    ('participation-steps', 5, 'education', 'Utbildning', 'Education'),
    ('participation-steps', 6, 'placement', 'Praktik', 'Work placement'),
    ('participation-steps', 7, 'employment', 'Anställning', 'Employment'),
    ('participation-steps', 8, 'follow_up', 'Uppföljning', 'Follow-up'),
    ('participation-steps', 9, 'other', 'Annat', 'Other'),
    ('participation-outcomes', 1, 'self_sufficient', 'Egen försörjning', 'Self-sufficient'),
    ('participation-outcomes', 2, 'in_education', 'Studerar', 'In education'),
    ('participation-outcomes', 3, 'in_placement', 'Praktik eller arbetsträning', 'In placement or training'),
    ('participation-outcomes', 4, 'passed_on', 'Stöd av annan', 'Supported by others'),
    ('participation-outcomes', 5, 'returned_home', 'Återvänt till hemlandet', 'Returned to the home country'),
    ('participation-outcomes', 6, 'interrupted', 'Avbrutet', 'Interrupted'),
    ('participation-outcomes', 7, 'other', 'Annat', 'Other'),
    ('activity-kinds', 1, 'lecture', 'Föreläsning', 'Lecture'),
    ('activity-kinds', 2, 'survey', 'Kartläggning', 'Survey'),
    ('activity-kinds', 3, 'publication', 'Publikation', 'Publication'),
    ('activity-kinds', 4, 'event', 'Evenemang', 'Event');

-- Who may --------------------------------------------------------------------------------------------------------------
GRANT SELECT, INSERT, UPDATE ON participations TO utvag_case, utvag_project;
GRANT SELECT, INSERT ON participation_steps TO utvag_case, utvag_project;
CREATE POLICY follow_person ON participations TO utvag_case, utvag_project USING (caller_may_see_person(person_id));
CREATE POLICY of_participation ON participation_steps TO utvag_case, utvag_project USING (sees_participation(participation_id));
GRANT SELECT, INSERT, UPDATE ON vault.data_keys TO utvag_project;
CREATE POLICY of_participations ON vault.data_keys TO utvag_project USING (keys_participation(record_id, person_id));
GRANT SELECT ON participation_bodies, participation_step_bodies TO utvag_case, utvag_project;
GRANT EXECUTE ON FUNCTION caller_may_see_person, sees_participation, emit_of_person, hold_project, create_participation,
    lock_participation, update_participation, add_participation_step, end_participation TO utvag_case, utvag_project;
GRANT EXECUTE ON FUNCTION keys_participation TO utvag_project;

GRANT SELECT ON activities, activity_bodies TO utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT INSERT, UPDATE ON activities TO utvag_project;
CREATE POLICY read_all ON activities FOR SELECT TO utvag_case, utvag_finance, utvag_auditor USING (true);
CREATE POLICY keep ON activities TO utvag_project USING (true) WITH CHECK (true);
GRANT EXECUTE ON FUNCTION require_project, create_activity, update_activity TO utvag_project;

GRANT EXECUTE ON FUNCTION project_report TO utvag_case, utvag_finance, utvag_project, utvag_auditor;

CALL guard_tables();
