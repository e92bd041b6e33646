-- Registrations: whether a need is a child's hangs on the child, not on how the need names her, and a refusal says where in
-- the body it is. An identity number stands once with a person. And times of change do not lie before those of creation.

SET LOCAL ROLE utvag_owner;

-- A rule of a table that a part of the body breaks; base: the pointer of the part.
CREATE FUNCTION refuse_rule(base text, rule text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'rule' USING ERRCODE = 'UV423', CONSTRAINT = rule, DETAIL = base; END $$;

-- Only a machine of the charity's own comes here without an officer; one of an agency was asked for hers before.
CREATE OR REPLACE FUNCTION require_officer(protection text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF protection <> 'none' AND coalesce(caller_officer() !~ '^(user|agency):', true) THEN
        PERFORM refuse_gates(ARRAY['protected_needs_officer']);
    END IF;
END $$;

CREATE FUNCTION person_has_number(person uuid, identifier uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM vault.blind_tokens mine
        JOIN vault.blind_tokens other ON other.token = mine.token AND other.index = mine.index
        WHERE mine.record_id = identifier AND mine.index = 'identity_number'
            AND other.person_id = person AND other.record_id <> identifier)
$$;

-- place: the pointer of a record, with %s for its number where there are several. Whoever adds a number to somebody holds the
-- lock of her row (lock_person), so that two at once see each other.
CREATE FUNCTION insert_identifiers(person uuid, records jsonb, place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE record jsonb;
BEGIN
    FOR at IN 0 .. jsonb_array_length(records) - 1 LOOP
        record := records->at;
        IF (record->>'valid_until')::date < (record->>'valid_from')::date THEN
            PERFORM refuse_member(format(place, at) || '/valid_until', 'identifier_ends_after_it_begins');
        END IF;
        INSERT INTO identifiers (id, person_id, kind, identity_level, dormant, valid_from, valid_until, sealed)
        SELECT i.id, person, i.kind, i.identity_level, coalesce(i.dormant, false), i.valid_from, i.valid_until, i.sealed
        FROM jsonb_to_record(record) AS i (id uuid, kind text, identity_level text, dormant boolean, valid_from date,
            valid_until date, sealed bytea);
        PERFORM vault.store(record, person);
        IF person_has_number(person, (record->>'id')::uuid) THEN
            PERFORM refuse_rule(format(place, at), 'identifier_exists');
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION insert_person(record jsonb, person_kind text, agency uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE person uuid := (record->>'id')::uuid;
BEGIN
    PERFORM require_code('/residence_status_code', 'residence-statuses', record->>'residence_status_code');
    INSERT INTO persons (id, kind, agency_id, external_id, protection, birth_date_basis, residence_status_code,
        residence_expires_on, school_year, sealed, sealed_place)
    SELECT person, person_kind, agency, r.external_id, coalesce(r.protection, 'unknown'), r.birth_date_basis,
        r.residence_status_code, r.residence_expires_on, r.school_year, r.sealed, r.sealed_place
    FROM jsonb_to_record(record) AS r (external_id text, protection text, birth_date_basis text,
        residence_status_code text, residence_expires_on date, school_year int, sealed bytea, sealed_place bytea);
    PERFORM vault.store(record, person);
    PERFORM insert_identifiers(person, coalesce(record->'identifiers', '[]'), '/identifiers/%s');
    RETURN person;
END $$;

CREATE OR REPLACE FUNCTION add_identifier(subject uuid, body jsonb, expected int, person_kind text) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE person persons := lock_person(subject, person_kind, expected);
BEGIN
    IF body->>'replaces_id' IS NOT NULL THEN
        PERFORM retire_identifier(subject, (body->>'replaces_id')::uuid);
    END IF;
    PERFORM insert_identifiers(subject, jsonb_build_array(body), '');
    UPDATE persons p SET version = p.version + 1, updated_at = now() WHERE p.id = subject;
    PERFORM emit(person.id, person.agency_id, person.protected);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = subject;
END $$;

-- Registrations ------------------------------------------------------------------------------------------------------
-- Whoever the front end registers is the triage group's to see; everybody else must name an officer.
CREATE FUNCTION register_person(record jsonb, person_kind text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('utvag.role') <> 'intake' THEN
        PERFORM require_officer(coalesce(record->>'protection', 'unknown'));
    END IF;
    RETURN insert_person(record, person_kind, caller_agency());
END $$;

CREATE FUNCTION register_child(record jsonb, mother uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO relations (id, person_id, related_person_id, agency_id, kind)
    VALUES (gen_random_uuid(), register_person(record, 'child'), mother, caller_agency(), 'parent');
END $$;

CREATE FUNCTION register_application(record jsonb, person uuid) RETURNS applications LANGUAGE plpgsql AS $$
DECLARE app applications;
BEGIN
    INSERT INTO applications (id, person_id, agency_id, external_id, state, submitted_on, sealed)
    VALUES ((record->>'id')::uuid, person, caller_agency(), record->>'external_id', 'submitted', today(),
        (record->>'sealed')::bytea)
    RETURNING * INTO app;
    PERFORM vault.store(record, person);
    INSERT INTO application_steps (id, application_id, action, from_state, to_state)
    VALUES (gen_random_uuid(), app.id, 'submit', 'draft', 'submitted');
    RETURN app;
END $$;

-- whom: the person's or the child's own object, NULL if there is none. Its `minor` is from the service, which knows the birth
-- dates; without a word from it, the need concerns a child.
CREATE FUNCTION register_need(app applications, need jsonb, whom jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE person uuid := (whom->>'id')::uuid;
BEGIN
    IF person IS NULL THEN
        PERFORM refuse_member('/for', 'reference_unknown');
    END IF;
    PERFORM require_code('/category_code', 'need-categories', need->>'category_code');
    INSERT INTO needs (id, application_id, person_id, category_code, requested_ore, concerns_child, sealed)
    VALUES ((need->>'id')::uuid, app.id, person, need->>'category_code', (need->>'requested_ore')::bigint,
        coalesce((whom->>'minor')::boolean, true), (need->>'sealed')::bytea);
    PERFORM vault.store(need, person);
END $$;

-- The parts in turn. Each speaks of its own members when it refuses; base says where in the body it stands.
CREATE FUNCTION register_parts(body jsonb, need_ids uuid[]) RETURNS applications LANGUAGE plpgsql AS $$
DECLARE
    base text := '/person';
    children jsonb := coalesce(body->'children', '[]');
    need jsonb;
    app applications;
    broken text;
    inner_base text;
BEGIN
    PERFORM register_person(body->'person', 'applicant');
    FOR at IN 0 .. jsonb_array_length(children) - 1 LOOP
        base := '/children/' || at;
        PERFORM register_child(children->at, (body->'person'->>'id')::uuid);
    END LOOP;
    base := '/application';
    app := register_application(body->'application', (body->'person'->>'id')::uuid);
    FOR at IN 0 .. jsonb_array_length(body->'needs') - 1 LOOP
        base := '/needs/' || at;
        need := body->'needs'->at;
        -- for: "person", or "child:0" and on, the child's place in the list.
        PERFORM register_need(app, need, CASE WHEN need->>'for' = 'person' THEN body->'person'
            ELSE children->(substr(need->>'for', 7)::int) END);
    END LOOP;
    IF body ? 'certification' THEN
        base := '/certification';
        PERFORM store_certification(app, body->'certification', need_ids, '');
    END IF;
    RETURN app;
EXCEPTION
    WHEN integrity_constraint_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
        PERFORM refuse_rule(base, broken);
    WHEN SQLSTATE 'UV423' THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME, inner_base = PG_EXCEPTION_DETAIL;
        PERFORM refuse_rule(base || inner_base, broken);
    WHEN SQLSTATE 'UV422' THEN
        GET STACKED DIAGNOSTICS broken = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION 'member' USING ERRCODE = 'UV422', DETAIL = base || broken;
END $$;

CREATE OR REPLACE FUNCTION create_registration(subject uuid, body jsonb, expected int) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE
    intake boolean := current_setting('utvag.role') = 'intake';
    need_ids uuid[] := ARRAY(SELECT (n->>'id')::uuid FROM jsonb_array_elements(body->'needs') WITH ORDINALITY AS x (n, at) ORDER BY at);
    app applications;
BEGIN
    IF intake AND body ? 'certification' THEN
        PERFORM refuse_member('/certification', 'certification_needs_ombud');
    END IF;
    app := register_parts(body, need_ids);
    PERFORM emit(app.id, app.agency_id, application_is_protected(app.id));
    -- A front end gets nothing that would open anything.
    RETURN QUERY SELECT app.id, NULL::int, CASE WHEN intake
        THEN json_build_object('reference', application_reference(app.id))
        ELSE json_build_object('reference', application_reference(app.id), 'application_id', app.id,
            'person_id', app.person_id,
            'child_ids', (SELECT coalesce(json_agg(c->'id'), '[]') FROM jsonb_array_elements(coalesce(body->'children', '[]')) AS c),
            'need_ids', need_ids, 'certification_id', body->'certification'->'id') END::text, NULL::text;
END $$;

DROP FUNCTION register_family, register_needs, registered_person;
DROP FUNCTION insert_identifiers(uuid, jsonb);

-- Times --------------------------------------------------------------------------------------------------------------
-- created_at is the moment, so that what one request makes stays in order; now() is the transaction's beginning, before it.
ALTER TABLE needs ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE representatives ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE certifications ALTER COLUMN updated_at SET DEFAULT clock_timestamp();

-- May have waited for the lock while a need was added.
CREATE OR REPLACE FUNCTION lapse_needs(application uuid) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    UPDATE needs n SET status = 'lapsed', version = n.version + 1, updated_at = clock_timestamp()
    WHERE n.application_id = application AND n.status IN ('open', 'proposed')
      AND EXISTS (SELECT FROM applications a WHERE a.id = application AND a.state IN ('withdrawn', 'dismissed'));
END $$;

GRANT EXECUTE ON FUNCTION insert_identifiers, person_has_number, refuse_rule TO utvag_partner, utvag_case;

CALL guard_tables();
