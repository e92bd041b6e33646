-- Identity: agencies, users, machine clients; second approval; invitations, logins.

SET LOCAL ROLE utvag_owner;

ALTER TABLE agencies ADD CONSTRAINT agency_municipality_unknown FOREIGN KEY (municipality_code) REFERENCES municipalities;
ALTER TABLE agencies ADD CONSTRAINT municipality_has_code CHECK (kind <> 'municipality' OR municipality_code IS NOT NULL);
CREATE INDEX agencies_in_order ON agencies (created_at, id);
CREATE INDEX agencies_by_change ON agencies (updated_at, id);
CREATE INDEX agencies_by_name ON agencies (name, id);
CREATE INDEX agencies_by_kind ON agencies (kind, created_at, id);
CREATE INDEX agencies_by_municipality ON agencies (municipality_code, created_at, id);
CREATE INDEX principals_in_order ON principals (kind, created_at, id);
CREATE INDEX principals_by_change ON principals (kind, updated_at, id);
CREATE INDEX principals_by_status ON principals (kind, status, created_at, id);
CREATE INDEX principals_of_agency ON principals (agency_id, kind, created_at, id);
-- An address signs one user in.
CREATE UNIQUE INDEX email_taken ON vault.blind_tokens (token) WHERE index = 'user_email';
CREATE INDEX blind_tokens_by_principal ON vault.blind_tokens (principal_id) WHERE principal_id IS NOT NULL;

-- What is read ---------------------------------------------------------------------------------------------------
CREATE VIEW agency_bodies WITH (security_invoker = true) AS
SELECT a.id, a.version, a.name, a.kind, a.municipality_code, a.status, a.created_at, a.updated_at,
    json_build_object(
        'id', a.id, 'name', a.name, 'kind', a.kind, 'organisation_number', a.organisation_number,
        'municipality_code', a.municipality_code, 'status', a.status,
        'created_at', rfc3339(a.created_at), 'updated_at', rfc3339(a.updated_at), 'version', a.version)::text AS body
FROM agencies a;

CREATE VIEW user_bodies WITH (security_invoker = true) AS
SELECT p.id, p.version, p.agency_id, p.status, p.created_at, p.updated_at,
    json_build_object(
        'id', p.id, 'agency_id', p.agency_id, 'status', p.status, 'roles', p.roles, 'pending_roles', p.pending_roles,
        'pending_reset', p.pending_reset, 'pending_activation', p.pending_activation,
        'requested_by', p.requested_by, 'approved_by', p.approved_by,
        'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at), 'version', p.version,
        '$seal', vault.marker('principals', p.id, 'sealed', k.wrapped, p.sealed))::text AS body
FROM principals p LEFT JOIN vault.data_keys k ON k.record_id = p.id
WHERE p.kind = 'user';

CREATE VIEW client_bodies WITH (security_invoker = true) AS
SELECT p.id, p.version, p.agency_id, p.status, p.created_at, p.updated_at,
    json_build_object(
        'id', p.id, 'label', p.label, 'agency_id', p.agency_id, 'status', p.status, 'roles', p.roles,
        'pending_roles', p.pending_roles, 'pending_reset', p.pending_reset,
        'pending_activation', p.pending_activation, 'requested_by', p.requested_by, 'approved_by', p.approved_by,
        'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at), 'version', p.version)::text AS body
FROM principals p
WHERE p.kind = 'client';

-- Either of the two, for the functions that serve both.
CREATE FUNCTION principal_outcome(subject uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT id, version, body, NULL::text FROM user_bodies WHERE id = subject
    UNION ALL
    SELECT id, version, body, NULL::text FROM client_bodies WHERE id = subject
$$;

-- Agencies -------------------------------------------------------------------------------------------------------
CREATE FUNCTION create_agency(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE made agencies := jsonb_populate_record(NULL::agencies, body);
BEGIN
    INSERT INTO agencies (id, name, kind, organisation_number, municipality_code)
    VALUES (made.id, made.name, made.kind, made.organisation_number, made.municipality_code);
    PERFORM emit(made.id, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM agency_bodies v WHERE v.id = made.id;
END $$;

CREATE FUNCTION update_agency(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE old agencies; changed agencies;
BEGIN
    SELECT * INTO old FROM agencies WHERE id = subject FOR UPDATE;
    IF NOT FOUND THEN PERFORM refuse_not_found(); END IF;
    IF old.version <> expected THEN PERFORM refuse_stale(); END IF;
    changed := jsonb_populate_record(old, body);
    UPDATE agencies SET name = changed.name, kind = changed.kind, organisation_number = changed.organisation_number,
        municipality_code = changed.municipality_code, status = changed.status, version = old.version + 1, updated_at = now()
    WHERE id = subject;
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM agency_bodies v WHERE v.id = subject;
END $$;

-- Users and clients ----------------------------------------------------------------------------------------------
CREATE FUNCTION principal_roles(body jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE
    RETURN ARRAY(SELECT jsonb_array_elements_text(body->'roles'));

-- Whoever is made holds nothing: her roles are asked for, and in force when another person approves.
CREATE FUNCTION ask_principal(kind text, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made principals := jsonb_populate_record(NULL::principals, body - 'roles');
BEGIN
    IF made.agency_id IS NOT NULL AND NOT EXISTS (SELECT FROM agencies WHERE id = made.agency_id) THEN
        PERFORM refuse_member('/agency_id', 'reference_unknown');
    END IF;
    INSERT INTO principals (id, kind, agency_id, label, sealed, pending_roles, requested_by)
    VALUES (made.id, ask_principal.kind, made.agency_id, made.label, made.sealed, principal_roles(body), caller());
    PERFORM emit(made.id, NULL, false);
END $$;

CREATE FUNCTION create_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ask_principal('user', body);
    PERFORM vault.store(body, NULL, (body->>'id')::uuid);
    RETURN QUERY SELECT * FROM principal_outcome((body->>'id')::uuid);
END $$;

CREATE FUNCTION create_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ask_principal('client', body);
    RETURN QUERY SELECT * FROM principal_outcome((body->>'id')::uuid);
END $$;

CREATE FUNCTION lock_principal(subject uuid, wanted text, expected int) RETURNS principals LANGUAGE plpgsql AS $$
DECLARE found_one principals;
BEGIN
    SELECT * INTO found_one FROM principals WHERE id = subject AND kind = wanted FOR UPDATE;
    IF NOT FOUND THEN PERFORM refuse_not_found(); END IF;
    IF found_one.version <> expected THEN PERFORM refuse_stale(); END IF;
    RETURN found_one;
END $$;

-- One request at a time, and it is one person's: had two a part in it, either could approve her own part with the other's.
CREATE FUNCTION ask_change(INOUT changed principals) LANGUAGE plpgsql AS $$
BEGIN
    IF changed.requested_by <> caller() THEN PERFORM refuse_gates(ARRAY['request_pending']); END IF;
    changed.requested_by := caller();
END $$;

CREATE FUNCTION settle_requests(INOUT changed principals) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF changed.pending_roles IS NULL AND NOT changed.pending_reset AND NOT changed.pending_activation THEN
        changed.requested_by := NULL;
    END IF;
END $$;

-- What is taken away is gone at once, with every token; what is added waits for another person.
CREATE FUNCTION change_roles(INOUT changed principals, wanted text[]) LANGUAGE plpgsql AS $$
DECLARE kept text[] := ARRAY(SELECT r FROM unnest(changed.roles) r WHERE r = ANY (wanted));
BEGIN
    IF NOT wanted <@ changed.roles THEN changed := ask_change(changed); END IF;
    IF kept <> changed.roles THEN changed.token_epoch := changed.token_epoch + 1; END IF;
    changed.pending_roles := CASE WHEN wanted <@ changed.roles THEN NULL ELSE wanted END;
    changed.roles := kept;
    changed := settle_requests(changed);
END $$;

CREATE FUNCTION change_status(INOUT changed principals, wanted text) LANGUAGE plpgsql AS $$
BEGIN
    IF wanted = 'suspended' AND changed.status <> 'suspended' THEN
        changed.status := 'suspended';
        changed.token_epoch := changed.token_epoch + 1;
        changed.pending_reset := false;
        changed.pending_roles := NULL;
        changed.requested_by := NULL;
    ELSIF wanted = 'active' AND changed.status = 'suspended' THEN
        changed := ask_change(changed);
        changed.pending_activation := true;
    ELSIF wanted <> changed.status THEN
        PERFORM refuse_gates(ARRAY['invalid_status=' || changed.status]);
    END IF;
END $$;

CREATE FUNCTION save_principal(changed principals) RETURNS void LANGUAGE sql AS $$
    UPDATE principals SET label = changed.label, status = changed.status, roles = changed.roles,
        pending_roles = changed.pending_roles, pending_reset = changed.pending_reset,
        pending_activation = changed.pending_activation, requested_by = changed.requested_by,
        token_epoch = changed.token_epoch, sealed = changed.sealed, version = version + 1, updated_at = now()
    WHERE id = changed.id
$$;

CREATE FUNCTION change_principal(subject uuid, wanted text, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE changed principals := lock_principal(subject, wanted, expected);
BEGIN
    IF body ? 'label' THEN changed.label := body->>'label'; END IF;
    IF body ? 'sealed' THEN changed.sealed := (body->>'sealed')::bytea; END IF;
    IF body ? 'status' THEN changed := change_status(changed, body->>'status'); END IF;
    IF body ? 'roles' THEN changed := change_roles(changed, principal_roles(body)); END IF;
    PERFORM save_principal(changed);
    IF wanted = 'user' THEN PERFORM vault.store(body, NULL, subject); END IF;
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT * FROM principal_outcome(subject);
END $$;

CREATE FUNCTION update_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM change_principal(subject, 'user', body, expected) $$;
CREATE FUNCTION update_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM change_principal(subject, 'client', body, expected) $$;

-- A new invitation is asked for: the holder lost her secret, or someone else has it.
CREATE FUNCTION ask_reset(subject uuid, wanted text, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE changed principals := lock_principal(subject, wanted, expected);
BEGIN
    IF changed.status NOT IN ('active', 'invited') THEN
        PERFORM refuse_gates(ARRAY['invalid_status=' || changed.status]);
    END IF;
    changed := ask_change(changed);
    changed.pending_reset := true;
    PERFORM save_principal(changed);
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT * FROM principal_outcome(subject);
END $$;

CREATE FUNCTION reset_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM ask_reset(subject, 'user', expected) $$;
CREATE FUNCTION reset_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM ask_reset(subject, 'client', expected) $$;

-- What is asked for is withdrawn or turned down; whoever was never approved is then suspended.
CREATE FUNCTION reject_principal(subject uuid, wanted text, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE changed principals := lock_principal(subject, wanted, expected);
BEGIN
    IF changed.requested_by IS NULL THEN PERFORM refuse_gates(ARRAY['nothing_pending']); END IF;
    changed.pending_roles := NULL;
    changed.pending_reset := false;
    changed.pending_activation := false;
    changed.requested_by := NULL;
    IF changed.status = 'pending' THEN changed.status := 'suspended'; END IF;
    PERFORM save_principal(changed);
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT * FROM principal_outcome(subject);
END $$;

CREATE FUNCTION reject_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM reject_principal(subject, 'user', expected) $$;
CREATE FUNCTION reject_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM reject_principal(subject, 'client', expected) $$;

-- Nobody signs alone: utvag_admin itself can neither give a role nor activate anyone. Only approve_principal can, which
-- passes here as the owner.
CREATE FUNCTION guard_principal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'utvag_admin' AND (NOT new.roles <@ old.roles OR new.status NOT IN (old.status, 'suspended')) THEN
        RAISE EXCEPTION 'only a second person gives roles' USING ERRCODE = 'UV409', DETAIL = 'four_eyes_required';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER guard_principal BEFORE UPDATE ON principals FOR EACH ROW EXECUTE FUNCTION guard_principal();

-- An invitation replaces every secret before it.
CREATE FUNCTION invite(holder uuid, digest text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credentials (principal_id, invitation_digest, invitation_expires_at)
    VALUES (holder, digest, now() + interval '72 hours')
    ON CONFLICT (principal_id) DO UPDATE SET invitation_digest = excluded.invitation_digest,
        invitation_expires_at = excluded.invitation_expires_at, password_hash = NULL, secret_digest = NULL,
        failed_count = 0, locked_until = NULL
$$;

-- The second person. A definer, since credentials and roles are beyond utvag_admin's own reach; everything that it relies
-- on is checked here, under the lock.
CREATE FUNCTION approve_principal(subject uuid, wanted text, digest text, expected int) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE
    changed principals := lock_principal(subject, wanted, expected);
    invited boolean;
BEGIN
    IF changed.requested_by IS NULL THEN PERFORM refuse_gates(ARRAY['nothing_pending']); END IF;
    IF caller() IS NULL OR caller() IN (changed.requested_by, subject) THEN
        PERFORM refuse_gates(ARRAY['four_eyes_required']);
    END IF;
    invited := changed.status = 'pending' OR changed.pending_reset OR (changed.pending_activation AND NOT EXISTS (
        SELECT FROM credentials WHERE principal_id = subject AND num_nonnulls(password_hash, secret_digest) > 0));
    IF invited THEN PERFORM invite(subject, digest); END IF;
    UPDATE principals SET roles = coalesce(changed.pending_roles, changed.roles),
        status = CASE WHEN invited THEN 'invited' WHEN changed.pending_activation THEN 'active' ELSE changed.status END,
        pending_roles = NULL, pending_reset = false, pending_activation = false, requested_by = NULL,
        approved_by = caller(), token_epoch = token_epoch + 1, version = version + 1, updated_at = now()
    WHERE id = subject;
    PERFORM emit(subject, NULL, false);
    RETURN invited;
END $$;

-- `invitation` is the answer's last member but the seal; the service puts the secret there, whose digest alone is here.
CREATE FUNCTION approval_outcome(subject uuid, wanted text, digest text, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE invitation text := 'null';
BEGIN
    IF approve_principal(subject, wanted, digest, expected) THEN
        invitation := json_build_object('expires_at', rfc3339(now() + interval '72 hours'))::text;
    END IF;
    RETURN QUERY SELECT o.id, o.version, '{"invitation" : ' || invitation || ', ' || substr(o.body, 2), o.key
        FROM principal_outcome(subject) o;
END $$;

CREATE FUNCTION approve_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM approval_outcome(subject, 'user', body->>'invitation_digest', expected) $$;
CREATE FUNCTION approve_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM approval_outcome(subject, 'client', body->>'invitation_digest', expected) $$;

-- Signing in: as utvag_login ---------------------------------------------------------------------------------------
-- What a login needs to know of an active user. The attempt counts before the password is tried, so that many tries at
-- once are counted too; after five it waits, longer each time, at most 15 minutes.
CREATE FUNCTION begin_login(email bytea) RETURNS SETOF outcome LANGUAGE sql AS $$
    UPDATE credentials c SET failed_count = c.failed_count + 1,
        locked_until = CASE WHEN c.failed_count >= 4 THEN
            clock_timestamp() + least(interval '15 minutes', interval '30 seconds' * 2 ^ (least(c.failed_count, 10) - 4)) END
    FROM vault.blind_tokens b
    JOIN principals p ON p.id = b.principal_id
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE b.index = 'user_email' AND b.token = email AND c.principal_id = p.id AND c.password_hash IS NOT NULL
        AND (c.locked_until IS NULL OR c.locked_until <= clock_timestamp())
        AND p.kind = 'user' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
    RETURNING p.id, p.token_epoch, json_build_object('hash', c.password_hash, 'agency_id', coalesce(p.agency_id::text, ''),
        'roles', p.roles)::text, NULL::text
$$;

CREATE FUNCTION end_login(holder uuid) RETURNS SETOF outcome LANGUAGE sql AS $$
    UPDATE credentials SET failed_count = 0, locked_until = NULL WHERE principal_id = holder
    RETURNING principal_id, 1, NULL::text, NULL::text
$$;

CREATE FUNCTION find_client(client uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('hash', c.secret_digest, 'agency_id', coalesce(p.agency_id::text, ''),
        'roles', p.roles)::text, NULL::text
    FROM principals p
    JOIN credentials c ON c.principal_id = p.id
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE p.id = client AND p.kind = 'client' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
        AND c.secret_digest IS NOT NULL
$$;

-- Invitations: once, within their time, and only while their holder waits for one.
CREATE FUNCTION find_invitation(digest text) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.version, json_build_object('kind', p.kind)::text, NULL::text
    FROM credentials c JOIN principals p ON p.id = c.principal_id
    WHERE c.invitation_digest = digest AND c.invitation_expires_at > now() AND p.status = 'invited'
$$;

CREATE FUNCTION accept_invitation(digest text, password text, secret text) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE holder uuid;
BEGIN
    UPDATE credentials c SET password_hash = password, secret_digest = secret, invitation_digest = NULL,
        invitation_expires_at = NULL, failed_count = 0, locked_until = NULL
    FROM principals p
    WHERE c.invitation_digest = digest AND c.invitation_expires_at > now() AND p.id = c.principal_id
        AND p.status = 'invited' AND (p.kind = 'user') = (password IS NOT NULL) AND (p.kind = 'client') = (secret IS NOT NULL)
    RETURNING p.id INTO holder;
    IF holder IS NULL THEN RETURN; END IF;
    RETURN QUERY UPDATE principals SET status = 'active', token_epoch = token_epoch + 1, version = version + 1,
        updated_at = now() WHERE id = holder AND status = 'invited' RETURNING id, version, NULL::text, NULL::text;
END $$;

-- The command line, as the owner -----------------------------------------------------------------------------------
-- The first users and clients, and those of the demo, have nobody to approve them: the audit log says so.
CREATE FUNCTION cli_add_principal(body jsonb) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE made principals := jsonb_populate_record(NULL::principals, body);
BEGIN
    INSERT INTO principals (id, kind, agency_id, label, status, roles, sealed, demo)
    VALUES (made.id, made.kind, made.agency_id, made.label, made.status, principal_roles(body), made.sealed,
        coalesce(made.demo, false));
    PERFORM vault.store(body, NULL, made.id);
    INSERT INTO credentials (principal_id, password_hash, secret_digest, invitation_digest, invitation_expires_at)
    VALUES (made.id, body->>'password_hash', body->>'secret_digest', body->>'invitation_digest',
        CASE WHEN body ? 'invitation_digest' THEN now() + interval '72 hours' END);
    INSERT INTO audit_events (id, operation, record_ids, trace_id, address, outcome)
    VALUES ((body->>'audit_id')::uuid, body->>'operation', ARRAY[made.id], body->>'trace', 'cli', 'ok');
    RETURN QUERY SELECT made.id, 1, NULL::text, NULL::text;
END $$;

CREATE FUNCTION cli_renew_credentials(body jsonb) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE credentials c SET password_hash = body->>'password_hash', secret_digest = body->>'secret_digest',
        failed_count = 0, locked_until = NULL
    FROM principals p WHERE p.id = c.principal_id AND p.id = (body->>'id')::uuid AND p.demo
    RETURNING p.id, p.version, NULL::text, NULL::text;
END $$;

-- Demo data keeps to databases of its own: `serve` and `demo` ask.
CREATE OR REPLACE FUNCTION holds_demo() RETURNS boolean LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM principals WHERE demo) OR EXISTS (SELECT FROM agencies WHERE demo);
GRANT EXECUTE ON FUNCTION holds_demo TO utvag_app;

-- Who may ---------------------------------------------------------------------------------------------------------
GRANT SELECT ON agencies TO utvag_partner, utvag_case, utvag_finance, utvag_project, utvag_auditor, utvag_admin, utvag_login;
CREATE POLICY read_own ON agencies FOR SELECT TO utvag_partner USING (id = (SELECT caller_agency()));
CREATE POLICY read_all ON agencies FOR SELECT
    TO utvag_case, utvag_finance, utvag_project, utvag_auditor, utvag_admin, utvag_login USING (true);
GRANT INSERT, UPDATE ON agencies TO utvag_admin;
CREATE POLICY make ON agencies FOR INSERT TO utvag_admin WITH CHECK (NOT demo);
CREATE POLICY change ON agencies FOR UPDATE TO utvag_admin USING (true);

-- utvag_admin asks and takes away; it gives nothing.
GRANT SELECT ON principals TO utvag_admin;
CREATE POLICY read_all ON principals FOR SELECT TO utvag_admin USING (true);
GRANT INSERT (id, kind, agency_id, label, sealed, pending_roles, requested_by) ON principals TO utvag_admin;
CREATE POLICY ask ON principals FOR INSERT TO utvag_admin WITH CHECK (
    status = 'pending' AND roles = '{}' AND requested_by = (SELECT caller()));
GRANT UPDATE (label, status, roles, pending_roles, pending_reset, pending_activation, requested_by, token_epoch, sealed,
    version, updated_at) ON principals TO utvag_admin;
CREATE POLICY change ON principals FOR UPDATE TO utvag_admin USING (true);

-- Of the vault, utvag_admin reaches users' keys alone: no person's.
GRANT SELECT, INSERT, UPDATE ON vault.data_keys TO utvag_admin;
CREATE POLICY of_users ON vault.data_keys TO utvag_admin
    USING (principal_id IS NOT NULL) WITH CHECK (principal_id IS NOT NULL);
GRANT SELECT, INSERT, DELETE ON vault.blind_tokens TO utvag_admin;
CREATE POLICY of_users ON vault.blind_tokens TO utvag_admin
    USING (principal_id IS NOT NULL) WITH CHECK (principal_id IS NOT NULL);

GRANT SELECT (id, kind, agency_id, status, roles, token_epoch, version) ON principals TO utvag_login;
CREATE POLICY sign_in ON principals FOR SELECT TO utvag_login USING (true);
GRANT SELECT ON vault.blind_tokens TO utvag_login;
CREATE POLICY sign_in ON vault.blind_tokens FOR SELECT TO utvag_login USING (index = 'user_email');
GRANT SELECT ON credentials TO utvag_login;
GRANT UPDATE (failed_count, locked_until) ON credentials TO utvag_login;
CREATE POLICY sign_in ON credentials TO utvag_login USING (true);

GRANT SELECT ON agency_bodies TO utvag_partner, utvag_case, utvag_finance, utvag_project, utvag_auditor, utvag_admin;
GRANT SELECT ON user_bodies, client_bodies TO utvag_admin;
GRANT EXECUTE ON FUNCTION principal_outcome, create_agency, update_agency, principal_roles, ask_principal, create_user,
    create_client, lock_principal, ask_change, settle_requests, change_roles, change_status, save_principal,
    change_principal, update_user, update_client, ask_reset, reset_user, reset_client, reject_principal, reject_user,
    reject_client, approve_principal, approval_outcome, approve_user, approve_client TO utvag_admin;
GRANT EXECUTE ON FUNCTION begin_login, end_login, find_client, find_invitation, accept_invitation TO utvag_login;

CALL guard_tables();
