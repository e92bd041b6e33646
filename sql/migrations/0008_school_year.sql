-- A child's school year: 0 is the preschool class, 10 to 12 are upper secondary school.

SET LOCAL ROLE utvag_owner;

ALTER TABLE persons ADD COLUMN school_year int,
    ADD CONSTRAINT school_year_is_a_childs CHECK (school_year IS NULL OR kind = 'child' AND school_year BETWEEN 0 AND 12);

-- A child's representation has one member more than an applicant's.
CREATE FUNCTION child_member(p persons, body text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE p.kind WHEN 'child' THEN left(body, -1) || ', "school_year" : ' || coalesce(p.school_year::text, 'null') || '}'
        ELSE body END;

CREATE OR REPLACE VIEW person_bodies WITH (security_invoker = true) AS
    SELECT p.id, p.kind, p.version, p.created_at, p.updated_at, p.external_id, p.protection, p.agency_id,
        child_member(p, json_build_object('id', p.id, 'kind', p.kind, 'external_id', p.external_id, 'agency_id', p.agency_id,
            'protection', p.protection, 'protection_effective', p.protection_effective,
            'residence_status_code', p.residence_status_code, 'residence_expires_on', p.residence_expires_on,
            'birth_date_basis', p.birth_date_basis,
            'identifiers', (
                SELECT coalesce(json_agg(json_build_object('id', i.id, 'kind', i.kind, 'identity_level', i.identity_level,
                    'dormant', i.dormant, 'valid_from', i.valid_from, 'valid_until', i.valid_until, '$seal',
                    CASE WHEN caller_reads_numbers() THEN vault.marker('identifiers', i.id, 'sealed', ik.wrapped, i.sealed)
                    END) ORDER BY i.created_at, i.id), '[]')
                FROM identifiers i LEFT JOIN vault.data_keys ik ON ik.record_id = i.id
                WHERE i.person_id = p.id AND i.replaced_at IS NULL),
            'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at), 'version', p.version,
            '$seal', vault.marker('persons', p.id, 'sealed', k.wrapped, p.sealed),
            '$seal', vault.marker('persons', p.id, 'sealed_place', k.wrapped, p.sealed_place))::text) AS body
    FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id;

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
    PERFORM insert_identifiers(person, coalesce(record->'identifiers', '[]'));
    RETURN person;
END $$;

CREATE OR REPLACE FUNCTION update_person(subject uuid, body jsonb, expected int, person_kind text) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    empty_seal CONSTANT int := 31;                   -- format, nonce, tag and {}: a place of which nothing is left
    old persons := lock_person(subject, person_kind, expected);
    new persons := jsonb_populate_record(old, take_members(body, ARRAY['external_id', 'protection', 'birth_date_basis',
        'residence_status_code', 'residence_expires_on', 'school_year', 'sealed', 'sealed_place']));
BEGIN
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
    PERFORM vault.store(body || jsonb_build_object('id', subject), subject);
    PERFORM emit(p.id, p.agency_id, p.protected) FROM persons p WHERE p.id = subject;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = subject;
END $$;

GRANT EXECUTE ON FUNCTION child_member TO utvag_partner, utvag_case;
