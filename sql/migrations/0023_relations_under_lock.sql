-- A relation is made of persons as they are once their rows are locked: one who became protected while the lock was waited for is
-- as one who is not there, where it was a row that no policy let in.

SET LOCAL ROLE utvag_owner;

CREATE OR REPLACE FUNCTION create_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    relation uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
    related uuid := (body->>'related_person_id')::uuid;
BEGIN
    PERFORM FROM persons p WHERE p.id IN (person, related) ORDER BY p.id FOR NO KEY UPDATE;
    PERFORM require_code('/kind', 'relation-kinds', body->>'kind');
    PERFORM require_person('/person_id', person);
    PERFORM require_person('/related_person_id', related);
    INSERT INTO relations (id, person_id, related_person_id, agency_id, kind, access, deceased, from_on, until_on, sealed)
    SELECT relation, person, related, p.agency_id, r.kind, coalesce(r.access, 'unknown'), coalesce(r.deceased, false),
        r.from_on, r.until_on, r.sealed
    FROM persons p, jsonb_to_record(body) AS r (kind text, access text, deceased boolean, from_on date, until_on date,
        sealed bytea)
    WHERE p.id = person;
    PERFORM vault.store(body, person);
    PERFORM emit_relation(r) FROM relations r WHERE r.id = relation;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM relation_bodies v WHERE v.id = relation;
END $$;

CALL guard_tables();
