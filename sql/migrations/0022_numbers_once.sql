-- An identity number stands once with a person, wherever in a body it comes: 0014 had put its own insert_identifiers in the
-- place of the one that asks.

SET LOCAL ROLE utvag_owner;

CREATE FUNCTION person_has_number(person uuid, identifier uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM vault.blind_tokens mine
        JOIN vault.blind_tokens other ON other.token = mine.token AND other.index = mine.index
        WHERE mine.record_id = identifier AND mine.index = 'identity_number'
            AND other.person_id = person AND other.record_id <> identifier)
$$;

-- place: the pointer of a record, with %s for its number where there are several. Whoever adds a number to somebody holds the
-- lock of her row (lock_person), so that two at once see each other.
CREATE OR REPLACE FUNCTION insert_identifiers(person uuid, records jsonb, place text) RETURNS void LANGUAGE plpgsql AS $$
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

-- The parts in turn. Each speaks of its own members when it refuses; base says where in the body it stands.
CREATE OR REPLACE FUNCTION register_parts(body jsonb, need_ids uuid[]) RETURNS applications LANGUAGE plpgsql AS $$
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

DROP FUNCTION refuse_repeated_number;

GRANT EXECUTE ON FUNCTION person_has_number, refuse_rule TO utvag_partner, utvag_case;

CALL guard_tables();
