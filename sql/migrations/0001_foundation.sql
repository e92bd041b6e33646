-- The ground that every resource stands on: roles, the caller's settings, audit, idempotency, outbox, vault.

-- Roles belong to the cluster; several databases, migrated side by side, share them.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['utvag_owner', 'utvag_app', 'utvag_login', 'utvag_partner', 'utvag_public', 'utvag_case',
                                'utvag_finance', 'utvag_project', 'utvag_auditor', 'utvag_admin'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        -- utvag_app becomes one of these for each transaction, and inherits none: a session that entered no role
        -- sees nothing.
        IF name NOT IN ('utvag_owner', 'utvag_app') AND NOT pg_has_role('utvag_app', name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO utvag_app', name);
        END IF;
    END LOOP;
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = 'utvag_app') THEN
        ALTER ROLE utvag_app LOGIN;
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO utvag_owner', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO utvag_owner;
GRANT USAGE ON SCHEMA public TO utvag_app, utvag_login, utvag_partner, utvag_public, utvag_case, utvag_finance,
    utvag_project, utvag_auditor, utvag_admin;

SET LOCAL ROLE utvag_owner;

-- Keys and blind indexes, apart, so that they can be backed up apart and shorter: erasing there erases for good.
CREATE SCHEMA vault;
GRANT USAGE ON SCHEMA vault TO utvag_login, utvag_partner, utvag_public, utvag_case, utvag_admin;

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What every write function gives back, and every read view begins with.
CREATE TYPE outcome AS (id uuid, version int, body text, key text);

-- The caller ---------------------------------------------------------------------------------------------------
-- A custom setting reads as '' after the transaction that set it: '' and NULL both mean nobody.
CREATE FUNCTION caller() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('utvag.principal', true), '')::uuid;
CREATE FUNCTION caller_agency() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('utvag.agency', true), '')::uuid;
-- user:<id>, agency:<id>:<acting officer's reference>, or client:<id>: the form in which an access list names a person
CREATE FUNCTION caller_officer() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('utvag.officer', true), '');
-- The actions of applications that the contract allows to the caller's roles.
CREATE FUNCTION caller_actions() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN string_to_array(nullif(current_setting('utvag.actions', true), ''), ',');
-- A rule of the house that is configuration: set for the session when it is opened.
CREATE FUNCTION house_rule(name text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('utvag.' || name, true), '')::bigint;

-- How functions say no; db.c turns each into its problem.
CREATE FUNCTION refuse_not_found() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'not found' USING ERRCODE = 'UV404'; END $$;
CREATE FUNCTION refuse_stale() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'stale version' USING ERRCODE = 'UV412'; END $$;
-- codes: each `code`, or `code=argument`
CREATE FUNCTION refuse_gates(codes text[]) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'gates' USING ERRCODE = 'UV409', DETAIL = array_to_string(codes, ','); END $$;
CREATE FUNCTION refuse_member(pointer text, code text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'member' USING ERRCODE = 'UV422', DETAIL = pointer || ' ' || code; END $$;

-- Whoever may sign in or act: people (users) and machines (clients) -------------------------------------------------
CREATE TABLE agencies (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL CONSTRAINT agency_kind_unknown CHECK (kind IN ('municipality', 'region', 'authority', 'ngo')),
    organisation_number text CONSTRAINT organisation_number_taken UNIQUE,
    municipality_code text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    demo boolean NOT NULL DEFAULT false,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE principals (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('user', 'client')),
    agency_id uuid REFERENCES agencies,              -- NULL: staff, or a machine of our own
    label text,                                      -- of a client; a user's name is sealed
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'invited', 'active', 'suspended')),
    roles text[] NOT NULL DEFAULT '{}',              -- in force
    pending_roles text[],                            -- asked for: all that are in force when another person approves
    pending_reset boolean NOT NULL DEFAULT false,    -- asked for: a new invitation, and an end to the secret of now
    pending_activation boolean NOT NULL DEFAULT false, -- asked for: an end to the suspension
    requested_by uuid,                               -- who asked for what is pending
    approved_by uuid,
    token_epoch int NOT NULL DEFAULT 1,              -- raised: every token out there is void
    sealed bytea,
    demo boolean NOT NULL DEFAULT false,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_has_agency
        CHECK (NOT 'partner' = ANY (roles || coalesce(pending_roles, '{}')) OR agency_id IS NOT NULL),
    CONSTRAINT agency_holds_partner_only
        CHECK (agency_id IS NULL OR roles || coalesce(pending_roles, '{}') <@ ARRAY['partner']),
    CONSTRAINT machine_never_decides
        CHECK (kind = 'user' OR NOT roles || coalesce(pending_roles, '{}')
            && ARRAY['decision_maker', 'triage', 'admin', 'fund_manager']),
    CONSTRAINT intake_is_a_machine CHECK (kind = 'client' OR NOT 'intake' = ANY (roles || coalesce(pending_roles, '{}')))
);
CREATE INDEX principals_by_agency ON principals (agency_id);

-- Only the login role reads these.
CREATE TABLE credentials (
    principal_id uuid PRIMARY KEY REFERENCES principals,
    password_hash text,
    secret_digest text,
    invitation_digest text CONSTRAINT invitation_taken UNIQUE,
    invitation_expires_at timestamptz,
    failed_count int NOT NULL DEFAULT 0,
    locked_until timestamptz
);

-- Keys and blind indexes -----------------------------------------------------------------------------------------
CREATE TABLE vault.data_keys (
    record_id uuid PRIMARY KEY,
    person_id uuid,                                  -- whose record it is: erasing her is deleting these rows
    principal_id uuid,
    wrapped bytea NOT NULL,                          -- under a key-encryption key that is not in the database
    CONSTRAINT data_key_has_one_owner CHECK (num_nonnulls(person_id, principal_id) = 1)
);
CREATE INDEX data_keys_by_person ON vault.data_keys (person_id);

CREATE TABLE vault.blind_tokens (
    index text NOT NULL,
    token bytea NOT NULL,
    record_id uuid NOT NULL,
    person_id uuid,
    principal_id uuid,
    PRIMARY KEY (token, index, record_id)
);
CREATE INDEX blind_tokens_by_record ON vault.blind_tokens (record_id);
CREATE INDEX blind_tokens_by_person ON vault.blind_tokens (person_id);

-- Stores what record_seal put into a record's object: its data key and its blind tokens.
CREATE FUNCTION vault.store(record jsonb, person uuid, principal uuid DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF record ? 'data_key' THEN
        INSERT INTO vault.data_keys (record_id, person_id, principal_id, wrapped)
        VALUES ((record->>'id')::uuid, person, principal, (record->>'data_key')::bytea)
        ON CONFLICT (record_id) DO UPDATE SET wrapped = excluded.wrapped;
    END IF;
    IF record ? 'blind' THEN
        DELETE FROM vault.blind_tokens WHERE record_id = (record->>'id')::uuid;
        INSERT INTO vault.blind_tokens (index, token, record_id, person_id, principal_id)
        SELECT DISTINCT b.index, b.token, (record->>'id')::uuid, person, principal
        FROM jsonb_to_recordset(record->'blind') AS b (index text, token bytea);
    END IF;
END $$;

-- What record_open in the service replaces by the members inside. NULL where the key is gone or nothing is sealed.
-- Immutable in every part (so the cast), else it could not be inlined, and cost a fifth of a read.
CREATE FUNCTION vault.marker(home text, record uuid, sealed_column text, wrapped bytea, sealed bytea)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN home || '/' || record::text || '/' || sealed_column || '/' || encode(wrapped, 'hex') || '/' || encode(sealed, 'hex');

-- Audit ------------------------------------------------------------------------------------------------------------
-- One row for each request on case data, made by the statement that reads or writes. Append-only.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY DEFAULT current_setting('utvag.audit_id')::uuid,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- the order in which batches are sealed
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal_id uuid DEFAULT caller(),
    officer text DEFAULT nullif(current_setting('utvag.officer', true), ''),
    agency_id uuid DEFAULT caller_agency(),
    role text DEFAULT nullif(current_setting('utvag.role', true), ''),
    purpose text DEFAULT nullif(current_setting('utvag.purpose', true), ''),
    operation text NOT NULL DEFAULT current_setting('utvag.operation'),
    record_ids uuid[] NOT NULL DEFAULT '{}',
    trace_id text NOT NULL DEFAULT current_setting('utvag.trace'),
    address text NOT NULL DEFAULT current_setting('utvag.address'),
    outcome text NOT NULL CHECK (outcome IN ('ok', 'not_found', 'refused', 'replayed')),
    status int,                                      -- of a refusal
    code text                                        -- of a refusal
);
CREATE INDEX audit_events_in_order ON audit_events (occurred_at, id);
CREATE INDEX audit_events_by_principal ON audit_events (principal_id, occurred_at, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT INSERT ON audit_events TO utvag_login, utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project,
    utvag_auditor, utvag_admin, utvag_app;
CREATE POLICY write_own ON audit_events FOR INSERT
    TO utvag_login, utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project, utvag_auditor, utvag_admin
    WITH CHECK (principal_id IS NOT DISTINCT FROM (SELECT caller()));
-- Of one who could not enter: nobody is the caller then.
CREATE POLICY write_refusal ON audit_events FOR INSERT TO utvag_app WITH CHECK (outcome = 'refused');
GRANT SELECT ON audit_events TO utvag_auditor;
CREATE POLICY read_all ON audit_events FOR SELECT TO utvag_auditor USING (true);

-- Idempotency (draft-ietf-httpapi-idempotency-key-header) -----------------------------------------------------------
-- A key is claimed in the transaction of its effect; the statement's row is kept as it came: never opened.
CREATE TABLE idempotency_keys (
    principal_id uuid NOT NULL DEFAULT caller(),
    operation text NOT NULL DEFAULT current_setting('utvag.operation'),
    key text NOT NULL,
    request_mac bytea NOT NULL,
    record_id uuid,
    version int,
    body text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_key_claimed PRIMARY KEY (principal_id, operation, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO utvag_partner, utvag_public, utvag_case, utvag_finance,
    utvag_project, utvag_admin;
CREATE POLICY own ON idempotency_keys
    TO utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project, utvag_admin
    USING (principal_id = (SELECT caller())) WITH CHECK (principal_id = (SELECT caller()));

-- Outbox -----------------------------------------------------------------------------------------------------------
-- What happened, without personal data. Read in the order of (xid, id), as the audit is.
CREATE TABLE outbox (
    id uuid PRIMARY KEY DEFAULT current_setting('utvag.audit_id')::uuid,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    type text NOT NULL,
    record_id uuid,                                  -- NULL for a protected person's: a bare hint
    agency_id uuid,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_in_order ON outbox (xid, id);

-- Called by write functions. The type is the contract's x-event, set when the caller entered; without one, nothing.
CREATE FUNCTION emit(record uuid, agency uuid, protected boolean) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    INSERT INTO outbox (type, record_id, agency_id)
    SELECT CASE WHEN protected THEN 'worklist.changed' ELSE e END, CASE WHEN protected THEN NULL ELSE record END, agency
    FROM nullif(current_setting('utvag.event', true), '') AS e WHERE e IS NOT NULL
$$;

-- Row-level security on every table, forced on the owner too; definer functions and migrations pass as the owner.
CREATE PROCEDURE guard_tables() LANGUAGE plpgsql AS $$
DECLARE home regclass;
BEGIN
    FOR home IN SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('public', 'vault') AND c.relkind IN ('r', 'p') AND NOT c.relforcerowsecurity
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', home);
        EXECUTE format('CREATE POLICY owner ON %s TO utvag_owner USING (true) WITH CHECK (true)', home);
    END LOOP;
END $$;

-- Entering: utvag_app looks the caller up, and becomes her role.
GRANT SELECT (id, kind, agency_id, status, roles, token_epoch, demo) ON principals TO utvag_app;
CREATE POLICY enter ON principals FOR SELECT TO utvag_app USING (true);
GRANT SELECT (id, status, demo) ON agencies TO utvag_app;
CREATE POLICY enter ON agencies FOR SELECT TO utvag_app USING (true);

-- `serve` refuses a database that holds demo rows, outside the demo.
CREATE FUNCTION holds_demo() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN EXISTS (SELECT FROM agencies WHERE demo) OR EXISTS (SELECT FROM principals WHERE demo);

-- Before anyone has entered, utvag_app looks callers up and audits refusals: nothing else.
GRANT EXECUTE ON FUNCTION caller, caller_agency, holds_demo TO utvag_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, vault TO utvag_login, utvag_partner, utvag_public, utvag_case,
    utvag_finance, utvag_project, utvag_auditor, utvag_admin;

CALL guard_tables();
