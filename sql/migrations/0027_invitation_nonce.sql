-- An invitation's token is drawn from chance that is kept with the answer, so that a repetition under the same
-- Idempotency-Key tells the same one, and nobody can have another told beforehand by the version that she states.

SET LOCAL ROLE utvag_owner;

DROP FUNCTION approval_outcome(uuid, text, text, int);

-- `invitation` is the answer's first member; the service puts the token there in place of the chance it was drawn from, which
-- is worth nothing without the key ring.
CREATE FUNCTION approval_outcome(subject uuid, wanted text, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE invitation text := 'null';
BEGIN
    IF approve_principal(subject, wanted, body->>'invitation_digest', expected) THEN
        invitation := json_build_object('expires_at', rfc3339(now() + interval '72 hours'), 'drawn_from', body->>'drawn_from')::text;
    END IF;
    RETURN QUERY SELECT o.id, o.version, '{"invitation" : ' || invitation || ', ' || substr(o.body, 2), o.key
        FROM principal_outcome(subject) o;
END $$;

CREATE OR REPLACE FUNCTION approve_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM approval_outcome(subject, 'user', body, expected) $$;
CREATE OR REPLACE FUNCTION approve_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM approval_outcome(subject, 'client', body, expected) $$;

GRANT EXECUTE ON FUNCTION approval_outcome(uuid, text, jsonb, int) TO utvag_admin;
