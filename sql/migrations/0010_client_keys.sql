-- Machine clients that sign in with keys of their own (private_key_jwt, RFC 7523): the public halves, and the assertions
-- that have been used.

SET LOCAL ROLE utvag_owner;

-- Two, so that a client can roll over from one to the other.
CREATE TABLE client_keys (
    principal_id uuid NOT NULL REFERENCES principals,
    place smallint NOT NULL CHECK (place IN (1, 2)),
    kid text NOT NULL,
    public_pem text NOT NULL,
    PRIMARY KEY (principal_id, place),
    CONSTRAINT client_key_named_once UNIQUE (principal_id, kid)
);

-- The jti of each assertion that signed a client in, until long after it has expired by anyone's clock: across instances
-- and restarts it works once. Another client may use the same jti.
CREATE TABLE client_assertions (
    principal_id uuid NOT NULL,
    jti_digest bytea NOT NULL,                       -- SHA-256
    expires_at timestamptz NOT NULL,
    CONSTRAINT assertion_replayed PRIMARY KEY (principal_id, jti_digest)
);
CREATE INDEX client_assertions_by_end ON client_assertions (expires_at);

-- An invitation replaces every secret before it, and so every key.
CREATE FUNCTION drop_client_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM client_keys WHERE principal_id = new.principal_id;
    RETURN NULL;
END $$;
CREATE TRIGGER drop_client_keys AFTER INSERT OR UPDATE OF invitation_digest ON credentials
    FOR EACH ROW WHEN (new.invitation_digest IS NOT NULL) EXECUTE FUNCTION drop_client_keys();

-- Whoever is to be active again needs an invitation only if she has nothing to sign in with.
CREATE FUNCTION has_credentials(subject uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM client_keys WHERE principal_id = subject) OR EXISTS (
        SELECT FROM credentials WHERE principal_id = subject AND num_nonnulls(password_hash, secret_digest) > 0)
$$;

-- As it was (0006_identity.sql), but for what it asks of credentials.
CREATE OR REPLACE FUNCTION approve_principal(subject uuid, wanted text, digest text, expected int) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE
    changed principals := lock_principal(subject, wanted, expected);
    invited boolean;
BEGIN
    IF changed.requested_by IS NULL THEN PERFORM refuse_gates(ARRAY['nothing_pending']); END IF;
    IF caller() IS NULL OR caller() IN (changed.requested_by, subject) THEN
        PERFORM refuse_gates(ARRAY['four_eyes_required']);
    END IF;
    invited := changed.status = 'pending' OR changed.pending_reset OR (changed.pending_activation AND NOT has_credentials(subject));
    IF invited THEN PERFORM invite(subject, digest); END IF;
    UPDATE principals SET roles = coalesce(changed.pending_roles, changed.roles),
        status = CASE WHEN invited THEN 'invited' WHEN changed.pending_activation THEN 'active' ELSE changed.status END,
        pending_roles = NULL, pending_reset = false, pending_activation = false, requested_by = NULL,
        approved_by = caller(), token_epoch = token_epoch + 1, version = version + 1, updated_at = now()
    WHERE id = subject;
    PERFORM emit(subject, NULL, false);
    RETURN invited;
END $$;

-- What is read ---------------------------------------------------------------------------------------------------
-- Whether there is a secret may be known; the secret's digest may not.
ALTER TABLE credentials ADD has_secret boolean GENERATED ALWAYS AS (secret_digest IS NOT NULL) STORED;

CREATE OR REPLACE VIEW client_bodies WITH (security_invoker = true) AS
SELECT p.id, p.version, p.agency_id, p.status, p.created_at, p.updated_at,
    json_build_object(
        'id', p.id, 'label', p.label, 'agency_id', p.agency_id, 'status', p.status, 'roles', p.roles,
        'authentication', CASE WHEN EXISTS (SELECT FROM client_keys k WHERE k.principal_id = p.id) THEN 'private_key_jwt'
            WHEN (SELECT c.has_secret FROM credentials c WHERE c.principal_id = p.id) THEN 'client_secret' END,
        'key_ids', ARRAY(SELECT k.kid FROM client_keys k WHERE k.principal_id = p.id ORDER BY k.place),
        'pending_roles', p.pending_roles, 'pending_reset', p.pending_reset,
        'pending_activation', p.pending_activation, 'requested_by', p.requested_by, 'approved_by', p.approved_by,
        'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at), 'version', p.version)::text AS body
FROM principals p
WHERE p.kind = 'client';

-- Signing in: as utvag_login ---------------------------------------------------------------------------------------
-- keys: [{kid, public_pem}], one or two.
CREATE FUNCTION store_client_keys(client uuid, keys jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO client_keys (principal_id, place, kid, public_pem)
    SELECT client, k.place, k.key->>'kid', k.key->>'public_pem'
    FROM jsonb_array_elements(keys) WITH ORDINALITY AS k (key, place)
$$;

-- As accept_invitation, for a client that has keys: it gets no secret.
CREATE FUNCTION accept_invitation_with_keys(digest text, keys jsonb) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE holder uuid;
BEGIN
    UPDATE credentials c SET secret_digest = NULL, invitation_digest = NULL, invitation_expires_at = NULL,
        failed_count = 0, locked_until = NULL
    FROM principals p
    WHERE c.invitation_digest = digest AND c.invitation_expires_at > now() AND p.id = c.principal_id
        AND p.status = 'invited' AND p.kind = 'client'
    RETURNING p.id INTO holder;
    IF holder IS NULL THEN RETURN; END IF;
    PERFORM store_client_keys(holder, keys);
    RETURN QUERY UPDATE principals SET status = 'active', token_epoch = token_epoch + 1, version = version + 1,
        updated_at = now() WHERE id = holder AND status = 'invited' RETURNING id, version, NULL::text, NULL::text;
END $$;

-- An active client that has keys.
CREATE FUNCTION find_client_keys(client uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('agency_id', coalesce(p.agency_id::text, ''), 'roles', p.roles,
        'keys', k.keys)::text, NULL::text
    FROM principals p
    JOIN (SELECT json_agg(json_build_object('kid', kid, 'public_pem', public_pem)) AS keys
          FROM client_keys WHERE principal_id = client) k ON k.keys IS NOT NULL
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE p.id = client AND p.kind = 'client' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
$$;

-- Uses an assertion up: of the same one, a second transaction waits for the first, and then fails (assertion_replayed).
-- The client and its key are asked for anew, since time has passed. A few that expired long ago are forgotten on the
-- way; others at it take others.
CREATE FUNCTION use_assertion(client uuid, key_id text, digest bytea, ends bigint) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM client_assertions WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM client_assertions WHERE expires_at < now() - interval '10 minutes'
        ORDER BY expires_at LIMIT 8 FOR UPDATE SKIP LOCKED));
    INSERT INTO client_assertions (principal_id, jti_digest, expires_at) VALUES (client, digest, to_timestamp(ends));
    RETURN QUERY SELECT f.* FROM find_client_keys(client) f
        WHERE EXISTS (SELECT FROM client_keys WHERE principal_id = client AND kid = key_id);
END $$;

-- Who may ---------------------------------------------------------------------------------------------------------
GRANT SELECT (principal_id, has_secret) ON credentials TO utvag_admin;
CREATE POLICY read_kind ON credentials FOR SELECT TO utvag_admin USING (true);
GRANT SELECT (principal_id, place, kid) ON client_keys TO utvag_admin;
CREATE POLICY read_all ON client_keys FOR SELECT TO utvag_admin USING (true);
GRANT SELECT ON client_keys TO utvag_login;
CREATE POLICY sign_in ON client_keys FOR SELECT TO utvag_login USING (true);
GRANT SELECT, INSERT, DELETE ON client_assertions TO utvag_login;
GRANT UPDATE (expires_at) ON client_assertions TO utvag_login; -- without it, no row can be locked
CREATE POLICY sign_in ON client_assertions TO utvag_login USING (true) WITH CHECK (true);
GRANT EXECUTE ON FUNCTION accept_invitation_with_keys, find_client_keys, use_assertion TO utvag_login;

CALL guard_tables();
