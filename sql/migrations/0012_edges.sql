-- An identity number stands once with a person.

SET LOCAL ROLE utvag_owner;

-- Whoever adds a number to somebody holds the lock of her row (lock_person), so that two at once see each other. No unique
-- index: numbers that were added twice before this rule may stay until they are corrected.
CREATE FUNCTION refuse_repeated_number(person uuid, identifier uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM vault.blind_tokens mine
            JOIN vault.blind_tokens other ON other.token = mine.token AND other.index = mine.index
            WHERE mine.record_id = identifier AND mine.index = 'identity_number'
                AND other.person_id = person AND other.record_id <> identifier) THEN
        RAISE unique_violation USING CONSTRAINT = 'identifier_exists';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION insert_identifiers(person uuid, records jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE record jsonb;
BEGIN
    FOR record IN SELECT value FROM jsonb_array_elements(records) LOOP
        INSERT INTO identifiers (id, person_id, kind, identity_level, dormant, valid_from, valid_until, sealed)
        SELECT i.id, person, i.kind, i.identity_level, coalesce(i.dormant, false), i.valid_from, i.valid_until, i.sealed
        FROM jsonb_to_record(record) AS i (id uuid, kind text, identity_level text, dormant boolean, valid_from date,
            valid_until date, sealed bytea);
        PERFORM vault.store(record, person);
        PERFORM refuse_repeated_number(person, (record->>'id')::uuid);
    END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION refuse_repeated_number TO utvag_partner, utvag_case;

CALL guard_tables();
