-- Persons: applicants and children, their numbers, relations and households, who may see the protected ones, and who is
-- eligible. Names, contact and what happened to them are sealed before they come here.

SET LOCAL ROLE utvag_owner;

CREATE TABLE persons (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT person_kind_unknown CHECK (kind IN ('applicant', 'child')),
    agency_id uuid REFERENCES agencies,              -- NULL: registered by the charity itself
    created_by uuid DEFAULT caller(),
    created_officer text DEFAULT caller_officer(),   -- first on the access list, whenever the person becomes protected
    external_id text CONSTRAINT external_id_resembles_identity_number
        CHECK (external_id !~ '^([0-9]{6}|[0-9]{8})[-+ ]?[0-9A-Za-z][0-9]{3}$'),
    protection text NOT NULL DEFAULT 'unknown' CONSTRAINT protection_unknown_level
        CHECK (protection IN ('none', 'unknown', 'sekretessmarkering', 'skyddad_folkbokforing', 'fingerade_personuppgifter')),
    protection_effective text NOT NULL DEFAULT 'unknown',
    protected boolean NOT NULL GENERATED ALWAYS AS (protection_effective <> 'none') STORED,
    birth_date_basis text CONSTRAINT birth_date_basis_unknown CHECK (birth_date_basis IN ('stated', 'estimated', 'unknown')),
    residence_status_code text,
    residence_expires_on date,
    sealed bytea,
    sealed_place bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT protected_person_has_no_place CHECK (NOT protected OR sealed_place IS NULL)
);
-- A reference is unique within its agency (the charity is one), and any number of persons may be without.
CREATE UNIQUE INDEX external_id_taken ON persons (agency_id, kind, external_id) NULLS NOT DISTINCT
    WHERE external_id IS NOT NULL;
-- The orders in which lists are read: by staff, and by an agency.
CREATE INDEX persons_by_created ON persons (kind, created_at, id);
CREATE INDEX persons_by_updated ON persons (kind, updated_at, id);
CREATE INDEX persons_by_protection ON persons (kind, protection, created_at, id);
CREATE INDEX persons_by_protection_updated ON persons (kind, protection, updated_at, id);
CREATE INDEX persons_of_agency_by_protection ON persons (agency_id, kind, protection, created_at, id);
CREATE INDEX persons_of_agency_by_protection_updated ON persons (agency_id, kind, protection, updated_at, id);
CREATE INDEX persons_by_external_id ON persons (kind, external_id, created_at, id) WHERE external_id IS NOT NULL;
CREATE INDEX persons_of_agency_by_created ON persons (agency_id, kind, created_at, id);
CREATE INDEX persons_of_agency_by_updated ON persons (agency_id, kind, updated_at, id);

-- What a record said before it was changed (GDPR, article 16: rectification keeps history). Sealed under the same key.
CREATE TABLE person_versions (
    person_id uuid NOT NULL REFERENCES persons,
    version int NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    record jsonb NOT NULL,
    PRIMARY KEY (person_id, version)
);

-- A person has several numbers, with history, or none.
CREATE TABLE identifiers (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES persons,
    kind text NOT NULL,
    identity_level text CONSTRAINT identity_level_unknown CHECK (identity_level IN ('styrkt', 'sannolik', 'osaker')),
    dormant boolean NOT NULL DEFAULT false,          -- vilande
    valid_from date,
    valid_until date,
    sealed bytea NOT NULL,
    replaced_at timestamptz,                         -- corrected: kept as history, and found by nobody
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT identifier_ends_after_it_begins CHECK (valid_until >= valid_from)
);
CREATE INDEX identifiers_by_person ON identifiers (person_id, created_at, id) WHERE replaced_at IS NULL;

-- related_person is the `kind` of person: her parent, guardian … . The other side may be unregistered (NULL) or deceased.
CREATE TABLE relations (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES persons,
    related_person_id uuid REFERENCES persons,
    agency_id uuid REFERENCES agencies,              -- the person's
    kind text NOT NULL,
    access text NOT NULL DEFAULT 'unknown'
        CONSTRAINT relation_access_unknown CHECK (access IN ('full', 'restricted', 'none', 'unknown')),
    deceased boolean NOT NULL DEFAULT false,
    from_on date,
    until_on date,
    sealed bytea,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT relation_exists UNIQUE (person_id, related_person_id, kind),
    CONSTRAINT relation_to_herself CHECK (person_id <> related_person_id),
    CONSTRAINT relation_ends_after_it_begins CHECK (until_on >= from_on)
);
CREATE INDEX relations_by_created ON relations (created_at, id);
CREATE INDEX relations_of_agency_by_created ON relations (agency_id, created_at, id);
CREATE INDEX relations_by_person ON relations (person_id, created_at, id);
CREATE INDEX relations_by_related_person ON relations (related_person_id, created_at, id);

-- Who lives together: protection is inherited here.
CREATE TABLE households (
    id uuid PRIMARY KEY,
    agency_id uuid REFERENCES agencies,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE household_members (
    household_id uuid NOT NULL REFERENCES households,
    person_id uuid NOT NULL REFERENCES persons,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (household_id, person_id)
);
CREATE INDEX household_members_by_person ON household_members (person_id, created_at, household_id);

-- The latest counts.
CREATE TABLE eligibility_assessments (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES persons,
    outcome text NOT NULL CONSTRAINT eligibility_outcome_unknown
        CHECK (outcome IN ('direct', 'second_generation', 'exception', 'not_eligible')),
    exploited_in_sweden boolean NOT NULL,            -- now or before: the charity's ground principle
    assessed_by uuid NOT NULL DEFAULT caller(),
    sealed bytea,                                    -- the reason
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- 31 bytes are a seal of nothing: format, nonce, tag and {}
    CONSTRAINT exception_has_reason CHECK (outcome <> 'exception' OR coalesce(octet_length(sealed) > 31, false)),
    CONSTRAINT eligible_only_if_exploited_in_sweden CHECK (outcome IN ('exception', 'not_eligible') OR exploited_in_sweden)
);
CREATE INDEX eligibility_assessments_by_created ON eligibility_assessments (created_at, id);
CREATE INDEX eligibility_assessments_by_person ON eligibility_assessments (person_id, created_at, id);

-- Who may see a protected person: named officers, in the form of caller_officer().
CREATE TABLE access_list (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    person_id uuid NOT NULL REFERENCES persons DEFERRABLE INITIALLY DEFERRED,
    officer text NOT NULL,
    reason_code text NOT NULL CONSTRAINT access_reason_unknown CHECK (reason_code IN ('registration', 'protection',
        'triage', 'assignment', 'case_work', 'decision', 'payment', 'supervision', 'replacement', 'ombud')),
    granted_by uuid DEFAULT caller(),
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT officer_listed_already UNIQUE (person_id, officer)
);
CREATE INDEX access_list_by_person ON access_list (person_id, created_at, id);

-- Who sees whom ----------------------------------------------------------------------------------------------------
-- These three are called for each row, on purpose: inlined or hashed, they would read every person for a page of twenty.

-- Whether the calling officer is on the person's access list.
CREATE FUNCTION caller_is_listed(person uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM access_list l WHERE l.person_id = person AND l.officer = caller_officer());
END $$;

-- Whether the caller sees the person: what hangs on a person is seen by whoever sees her.
CREATE FUNCTION sees_person(person uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM persons p WHERE p.id = person);
END $$;

-- A household is there for whoever sees a member; the others are absent and uncounted.
CREATE FUNCTION sees_household(household uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM household_members m WHERE m.household_id = household);
END $$;

-- Refuses a member that names a person whom the caller does not see, in the same words as for one who does not exist.
CREATE FUNCTION require_person(pointer text, person uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF person IS NOT NULL AND NOT sees_person(person) THEN
        PERFORM refuse_member(pointer, 'reference_unknown');
    END IF;
END $$;

-- Identity numbers go to those who look people up; others see that there is one.
CREATE FUNCTION caller_reads_numbers() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('utvag.role', true) IN ('partner', 'case_worker'), false);

CREATE POLICY see_own ON persons FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_is_listed(id)));
CREATE POLICY see ON persons FOR SELECT TO utvag_case USING (NOT protected OR caller_is_listed(id));
CREATE POLICY register ON persons FOR INSERT TO utvag_partner WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY register_here ON persons FOR INSERT TO utvag_case WITH CHECK (true);
CREATE POLICY change_own ON persons FOR UPDATE TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_is_listed(id)))
    WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY change ON persons FOR UPDATE TO utvag_case USING (NOT protected OR caller_is_listed(id)) WITH CHECK (true);

CREATE POLICY follow_person ON identifiers TO utvag_partner, utvag_case USING (sees_person(person_id));

CREATE POLICY follow_own ON relations TO utvag_partner USING (agency_id = (SELECT caller_agency())
    AND sees_person(person_id) AND (related_person_id IS NULL OR sees_person(related_person_id)));
CREATE POLICY follow_persons ON relations TO utvag_case
    USING (sees_person(person_id) AND (related_person_id IS NULL OR sees_person(related_person_id)));

CREATE POLICY follow_own ON households FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND sees_household(id));
CREATE POLICY follow_members ON households FOR SELECT TO utvag_case USING (sees_household(id));
CREATE POLICY form_own ON households FOR INSERT TO utvag_partner WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY form ON households FOR INSERT TO utvag_case WITH CHECK (true);
CREATE POLICY change_own ON households FOR UPDATE TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND sees_household(id)) WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY change ON households FOR UPDATE TO utvag_case USING (sees_household(id)) WITH CHECK (true);
CREATE POLICY follow_person ON household_members TO utvag_partner, utvag_case USING (sees_person(person_id));

CREATE POLICY follow_person ON eligibility_assessments TO utvag_case USING (sees_person(person_id));
CREATE POLICY kept_by_the_listed ON access_list TO utvag_case
    USING (sees_person(person_id) AND caller_is_listed(person_id));

-- Keys and blind indexes of a person's records, for whoever sees her: a search finds nobody else.
CREATE POLICY follow_person ON vault.data_keys TO utvag_partner, utvag_case USING (sees_person(person_id));
CREATE POLICY follow_person ON vault.blind_tokens TO utvag_partner, utvag_case USING (sees_person(person_id));

-- Protection: the strictest wins, and unknown is stricter than none -------------------------------------------------
CREATE FUNCTION protection_rank(level text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_position(ARRAY['none', 'unknown', 'sekretessmarkering', 'skyddad_folkbokforing',
        'fingerade_personuppgifter'], level);
CREATE FUNCTION protection_level(rank int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY['none', 'unknown', 'sekretessmarkering', 'skyddad_folkbokforing', 'fingerade_personuppgifter'])[rank];

-- The strictest of a person's own level and the levels of those she inherits from: parents and guardians, and everyone
-- in the household, each with theirs in turn. Relations that have ended still count.
CREATE FUNCTION protection_of(person uuid, own text) RETURNS text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE origin (id) AS (
        SELECT person
        UNION
        SELECT n.id FROM origin o CROSS JOIN LATERAL (
            SELECT r.related_person_id FROM relations r
            WHERE r.person_id = o.id AND r.kind IN ('parent', 'guardian') AND r.related_person_id IS NOT NULL
            UNION ALL
            SELECT b.person_id FROM household_members a JOIN household_members b USING (household_id)
            WHERE a.person_id = o.id) AS n (id))
    SELECT protection_level(greatest(protection_rank(own),
        (SELECT max(protection_rank(p.protection)) FROM origin JOIN persons p USING (id) WHERE p.id <> person)))
$$;

-- All whose protection may hang together with that of the seeds, in the order of their ids.
CREATE FUNCTION protection_component(seeds uuid[]) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE component (id) AS (
        SELECT unnest(seeds)
        UNION
        SELECT n.id FROM component c CROSS JOIN LATERAL (
            SELECT r.related_person_id FROM relations r
            WHERE r.person_id = c.id AND r.kind IN ('parent', 'guardian') AND r.related_person_id IS NOT NULL
            UNION ALL
            SELECT r.person_id FROM relations r WHERE r.related_person_id = c.id AND r.kind IN ('parent', 'guardian')
            UNION ALL
            SELECT b.person_id FROM household_members a JOIN household_members b USING (household_id)
            WHERE a.person_id = c.id) AS n (id))
    SELECT array_agg(id ORDER BY id) FROM component WHERE id IS NOT NULL
$$;

-- Brings the effective level of all who hang together up to date. Locks them in the order of their ids, and looks again
-- until nobody was added meanwhile: of two writers that join their families, the second sees what the first did.
CREATE FUNCTION spread_protection(seeds uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE members uuid[] := protection_component(seeds);
BEGIN
    LOOP
        PERFORM FROM persons WHERE id = ANY (members) ORDER BY id FOR NO KEY UPDATE;
        seeds := members;
        members := protection_component(seeds);
        EXIT WHEN members = seeds OR members IS NULL;
    END LOOP;
    UPDATE persons p SET protection_effective = protection_of(p.id, p.protection), version = p.version + 1, updated_at = now()
    WHERE p.id = ANY (members) AND p.protection_effective <> protection_of(p.id, p.protection);
END $$;

-- Puts on the list who registered the person, who acts now, and the triage group. Machines are not officers.
CREATE FUNCTION fill_access_list(person uuid, registrar text) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    INSERT INTO access_list (person_id, officer, reason_code)
    SELECT DISTINCT ON (o.officer) person, o.officer, o.reason FROM (
        SELECT 1, registrar, 'registration'
        UNION ALL SELECT 2, caller_officer(), 'protection'
        UNION ALL SELECT 3, 'user:' || p.id, 'triage' FROM principals p
            WHERE p.kind = 'user' AND p.status = 'active' AND 'triage' = ANY (p.roles)) AS o (rank, officer, reason)
    WHERE o.officer ~ '^(user|agency):' ORDER BY o.officer, o.rank
    ON CONFLICT (person_id, officer) DO NOTHING
$$;

-- Before a caller makes a person protected she must be on the list: row-level security looks at the row as it becomes.
CREATE FUNCTION expect_protection(person uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT fill_access_list(p.id, p.created_officer) FROM persons p
    WHERE p.id = person AND NOT p.protected AND (caller_agency() IS NULL OR p.agency_id = caller_agency())
$$;

-- Who becomes protected gets an access list and loses her place, in the history too.
CREATE FUNCTION person_before_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE was_protected boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.protection_effective := NEW.protection;
    ELSE
        was_protected := OLD.protection_effective <> 'none';
        NEW.protection_effective := protection_of(NEW.id, NEW.protection);
        IF NOT was_protected AND NEW.protection_effective <> 'none' THEN
            NEW.sealed_place := NULL;
            UPDATE person_versions SET record = record - 'sealed_place' WHERE person_id = NEW.id;
        END IF;
    END IF;
    IF NOT was_protected AND NEW.protection_effective <> 'none' THEN
        PERFORM fill_access_list(NEW.id, NEW.created_officer);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER protect_first BEFORE INSERT OR UPDATE ON persons FOR EACH ROW EXECUTE FUNCTION person_before_write();

CREATE FUNCTION person_after_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    INSERT INTO person_versions (person_id, version, record)
    VALUES (OLD.id, OLD.version, CASE WHEN NEW.protected THEN to_jsonb(OLD) - 'sealed_place' ELSE to_jsonb(OLD) END)
    ON CONFLICT (person_id, version) DO NOTHING;
    IF OLD.protection <> NEW.protection THEN
        PERFORM spread_protection(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_history AFTER UPDATE ON persons FOR EACH ROW EXECUTE FUNCTION person_after_update();

CREATE FUNCTION relations_after_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM spread_protection(array_agg(c.id)) FROM (
        SELECT person_id FROM changed UNION SELECT related_person_id FROM changed WHERE related_person_id IS NOT NULL) AS c (id);
    RETURN NULL;
END $$;
CREATE TRIGGER spread_new AFTER INSERT ON relations REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION relations_after_change();
CREATE TRIGGER spread_changed AFTER UPDATE ON relations REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION relations_after_change();
CREATE TRIGGER spread_old AFTER DELETE ON relations REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION relations_after_change();

CREATE FUNCTION household_members_after_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM spread_protection(array_agg(c.id)) FROM (
        SELECT person_id FROM changed
        UNION SELECT m.person_id FROM household_members m JOIN changed USING (household_id)) AS c (id);
    RETURN NULL;
END $$;
CREATE TRIGGER spread_new AFTER INSERT ON household_members REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION household_members_after_change();
CREATE TRIGGER spread_old AFTER DELETE ON household_members REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION household_members_after_change();

-- What is read -----------------------------------------------------------------------------------------------------
CREATE VIEW person_bodies WITH (security_invoker = true) AS
    SELECT p.id, p.kind, p.version, p.created_at, p.updated_at, p.external_id, p.protection, p.agency_id,
        json_build_object('id', p.id, 'kind', p.kind, 'external_id', p.external_id, 'agency_id', p.agency_id,
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
            '$seal', vault.marker('persons', p.id, 'sealed_place', k.wrapped, p.sealed_place))::text AS body
    FROM persons p LEFT JOIN vault.data_keys k ON k.record_id = p.id;

CREATE VIEW applicant_bodies WITH (security_invoker = true) AS SELECT * FROM person_bodies WHERE kind = 'applicant';
CREATE VIEW child_bodies WITH (security_invoker = true) AS SELECT * FROM person_bodies WHERE kind = 'child';

CREATE VIEW relation_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.created_at, r.person_id, r.related_person_id, r.agency_id,
        json_build_object('id', r.id, 'person_id', r.person_id, 'related_person_id', r.related_person_id, 'kind', r.kind,
            'access', r.access, 'deceased', r.deceased, 'from_on', r.from_on, 'until_on', r.until_on,
            'created_at', rfc3339(r.created_at), 'updated_at', rfc3339(r.updated_at), 'version', r.version,
            '$seal', vault.marker('relations', r.id, 'sealed', k.wrapped, r.sealed))::text AS body
    FROM relations r LEFT JOIN vault.data_keys k ON k.record_id = r.id;

CREATE VIEW household_bodies WITH (security_invoker = true) AS
    SELECT h.id, h.version, h.created_at, h.agency_id,
        json_build_object('id', h.id, 'agency_id', h.agency_id,
            'member_ids', (SELECT coalesce(json_agg(m.person_id ORDER BY m.created_at, m.person_id), '[]')
                FROM household_members m WHERE m.household_id = h.id),
            'created_at', rfc3339(h.created_at), 'updated_at', rfc3339(h.updated_at), 'version', h.version)::text AS body
    FROM households h;

-- The households of a person: a row for each membership.
CREATE VIEW membership_bodies WITH (security_invoker = true) AS
    SELECT b.id, b.version, m.created_at, m.person_id, b.body
    FROM household_members m JOIN household_bodies b ON b.id = m.household_id;

CREATE VIEW eligibility_assessment_bodies WITH (security_invoker = true) AS
    SELECT e.id, e.version, e.created_at, e.person_id,
        json_build_object('id', e.id, 'person_id', e.person_id, 'outcome', e.outcome,
            'exploited_in_sweden', e.exploited_in_sweden, 'assessed_by', e.assessed_by,
            'created_at', rfc3339(e.created_at), 'version', e.version,
            '$seal', vault.marker('eligibility_assessments', e.id, 'sealed', k.wrapped, e.sealed))::text AS body
    FROM eligibility_assessments e LEFT JOIN vault.data_keys k ON k.record_id = e.id;

CREATE VIEW access_grant_bodies WITH (security_invoker = true) AS
    SELECT l.id, l.version, l.created_at, l.person_id,
        json_build_object('id', l.id, 'person_id', l.person_id, 'officer', l.officer, 'reason_code', l.reason_code,
            'granted_by', l.granted_by, 'created_at', rfc3339(l.created_at), 'version', l.version)::text AS body
    FROM access_list l;

-- What is written --------------------------------------------------------------------------------------------------
-- The members of a body that may become columns; a merge patch may carry others, unchanged.
CREATE FUNCTION take_members(body jsonb, names text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') FROM jsonb_each(body) AS m WHERE m.key = ANY (names)
$$;

-- A caller who makes a person protected must be an officer, else nobody in her agency could see the person again.
CREATE FUNCTION require_officer(protection text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF protection <> 'none' AND coalesce(caller_officer() !~ '^(user|agency):', true) THEN
        PERFORM refuse_gates(ARRAY['acting_officer_required']);
    END IF;
END $$;

CREATE FUNCTION insert_identifiers(person uuid, records jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE record jsonb;
BEGIN
    FOR record IN SELECT value FROM jsonb_array_elements(records) LOOP
        INSERT INTO identifiers (id, person_id, kind, identity_level, dormant, valid_from, valid_until, sealed)
        SELECT i.id, person, i.kind, i.identity_level, coalesce(i.dormant, false), i.valid_from, i.valid_until, i.sealed
        FROM jsonb_to_record(record) AS i (id uuid, kind text, identity_level text, dormant boolean, valid_from date,
            valid_until date, sealed bytea);
        PERFORM vault.store(record, person);
    END LOOP;
END $$;

-- Registers a person from what record_seal made of her object, with her numbers. agency NULL: by the charity itself.
CREATE FUNCTION insert_person(record jsonb, person_kind text, agency uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE person uuid := (record->>'id')::uuid;
BEGIN
    PERFORM require_code('/residence_status_code', 'residence-statuses', record->>'residence_status_code');
    INSERT INTO persons (id, kind, agency_id, external_id, protection, birth_date_basis, residence_status_code,
        residence_expires_on, sealed, sealed_place)
    SELECT person, person_kind, agency, r.external_id, coalesce(r.protection, 'unknown'), r.birth_date_basis,
        r.residence_status_code, r.residence_expires_on, r.sealed, r.sealed_place
    FROM jsonb_to_record(record) AS r (external_id text, protection text, birth_date_basis text,
        residence_status_code text, residence_expires_on date, sealed bytea, sealed_place bytea);
    PERFORM vault.store(record, person);
    PERFORM insert_identifiers(person, coalesce(record->'identifiers', '[]'));
    RETURN person;
END $$;

CREATE FUNCTION create_person(body jsonb, person_kind text) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE person uuid;
BEGIN
    PERFORM require_officer(coalesce(body->>'protection', 'unknown'));
    person := insert_person(body, person_kind, caller_agency());
    PERFORM emit(p.id, p.agency_id, p.protected) FROM persons p WHERE p.id = person;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = person;
END $$;

CREATE FUNCTION create_applicant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM create_person(body, 'applicant'); END $$;
CREATE FUNCTION create_child(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM create_person(body, 'child'); END $$;

-- Locks a person for a change.
CREATE FUNCTION lock_person(subject uuid, person_kind text, expected int) RETURNS persons LANGUAGE plpgsql AS $$
DECLARE person persons;
BEGIN
    SELECT * INTO person FROM persons p WHERE p.id = subject AND p.kind = person_kind FOR NO KEY UPDATE;
    IF person.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND person.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN person;
END $$;

-- A number that another corrects stays as history, and is found no more.
CREATE FUNCTION retire_identifier(person uuid, identifier uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE identifiers i SET replaced_at = now() WHERE i.id = identifier AND i.person_id = person AND i.replaced_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse_member('/replaces_id', 'reference_unknown');
    END IF;
    DELETE FROM vault.blind_tokens t WHERE t.record_id = identifier;
END $$;

CREATE FUNCTION update_person(subject uuid, body jsonb, expected int, person_kind text) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    empty_seal CONSTANT int := 31;                   -- format, nonce, tag and {}: a place of which nothing is left
    old persons := lock_person(subject, person_kind, expected);
    new persons := jsonb_populate_record(old, take_members(body, ARRAY['external_id', 'protection', 'birth_date_basis',
        'residence_status_code', 'residence_expires_on', 'sealed', 'sealed_place']));
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
        residence_expires_on = new.residence_expires_on, sealed = new.sealed, sealed_place = new.sealed_place,
        version = p.version + 1, updated_at = now()
    WHERE p.id = subject;
    PERFORM vault.store(body || jsonb_build_object('id', subject), subject);
    PERFORM emit(p.id, p.agency_id, p.protected) FROM persons p WHERE p.id = subject;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION update_applicant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM update_person(subject, body, expected, 'applicant'); END $$;
CREATE FUNCTION update_child(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM update_person(subject, body, expected, 'child'); END $$;

-- One more number. The answer is the person, whose version is raised.
CREATE FUNCTION add_identifier(subject uuid, body jsonb, expected int, person_kind text) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE person persons := lock_person(subject, person_kind, expected);
BEGIN
    IF body->>'replaces_id' IS NOT NULL THEN
        PERFORM retire_identifier(subject, (body->>'replaces_id')::uuid);
    END IF;
    PERFORM insert_identifiers(subject, jsonb_build_array(body));
    UPDATE persons p SET version = p.version + 1, updated_at = now() WHERE p.id = subject;
    PERFORM emit(person.id, person.agency_id, person.protected);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION add_applicant_identifier(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM add_identifier(subject, body, expected, 'applicant'); END $$;
CREATE FUNCTION add_child_identifier(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT * FROM add_identifier(subject, body, expected, 'child'); END $$;

-- Persons in whose blind index every token asked for stands. Row-level security keeps out whom the caller may not see.
CREATE FUNCTION search_persons(body jsonb, person_kind text) RETURNS SETOF outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    tokens jsonb := body->'blind';
    wanted int := (SELECT count(DISTINCT value) FROM jsonb_array_elements(tokens));
BEGIN
    IF wanted = 0 THEN
        PERFORM refuse_member('', 'search_empty');
    END IF;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM person_bodies v
        WHERE v.kind = person_kind AND v.id IN (
            SELECT t.person_id FROM jsonb_to_recordset(tokens) AS asked (index text, token bytea)
            JOIN vault.blind_tokens t ON t.token = asked.token AND t.index = asked.index
            GROUP BY t.person_id HAVING count(DISTINCT (t.index, t.token)) = wanted)
        ORDER BY v.created_at DESC, v.id LIMIT 100;
END $$;

CREATE FUNCTION search_applicants(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN QUERY SELECT * FROM search_persons(body, 'applicant'); END $$;
CREATE FUNCTION search_children(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN QUERY SELECT * FROM search_persons(body, 'child'); END $$;

-- Relations --------------------------------------------------------------------------------------------------------
CREATE FUNCTION create_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    relation uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
    related uuid := (body->>'related_person_id')::uuid;
BEGIN
    PERFORM require_code('/kind', 'relation-kinds', body->>'kind');
    PERFORM require_person('/person_id', person);
    PERFORM require_person('/related_person_id', related);
    PERFORM FROM persons p WHERE p.id IN (person, related) ORDER BY p.id FOR NO KEY UPDATE;
    INSERT INTO relations (id, person_id, related_person_id, agency_id, kind, access, deceased, from_on, until_on, sealed)
    SELECT relation, person, related, p.agency_id, r.kind, coalesce(r.access, 'unknown'), coalesce(r.deceased, false),
        r.from_on, r.until_on, r.sealed
    FROM persons p, jsonb_to_record(body) AS r (kind text, access text, deceased boolean, from_on date, until_on date,
        sealed bytea)
    WHERE p.id = person;
    PERFORM vault.store(body, person);
    PERFORM emit(relation, p.agency_id, p.protected) FROM persons p WHERE p.id = person;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM relation_bodies v WHERE v.id = relation;
END $$;

CREATE FUNCTION lock_relation(subject uuid, expected int) RETURNS relations LANGUAGE plpgsql AS $$
DECLARE relation relations;
BEGIN
    SELECT * INTO relation FROM relations r WHERE r.id = subject FOR UPDATE;
    IF relation.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND relation.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN relation;
END $$;

CREATE FUNCTION update_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old relations := lock_relation(subject, expected);
    new relations := jsonb_populate_record(old, take_members(body, ARRAY['kind', 'access', 'deceased', 'from_on',
        'until_on', 'sealed']));
BEGIN
    PERFORM require_code('/kind', 'relation-kinds', body->>'kind');
    UPDATE relations r SET kind = new.kind, access = new.access, deceased = new.deceased, from_on = new.from_on,
        until_on = new.until_on, sealed = new.sealed, version = r.version + 1, updated_at = now()
    WHERE r.id = subject;
    PERFORM vault.store(body || jsonb_build_object('id', subject), old.person_id);
    PERFORM emit(subject, p.agency_id, p.protected) FROM persons p WHERE p.id = old.person_id;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM relation_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION delete_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE old relations := lock_relation(subject, expected);
BEGIN
    PERFORM emit(subject, p.agency_id, p.protected) FROM persons p WHERE p.id = old.person_id;
    DELETE FROM vault.blind_tokens t WHERE t.record_id = subject;
    DELETE FROM vault.data_keys k WHERE k.record_id = subject;
    DELETE FROM relations r WHERE r.id = subject;
    RETURN QUERY SELECT subject, old.version, NULL::text, NULL::text;
END $$;

-- Households -------------------------------------------------------------------------------------------------------
-- Sets the members whom the caller sees; others stay. Locks them in the order of their ids.
CREATE FUNCTION set_household_members(household uuid, members uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE at int;
BEGIN
    FOR at IN 1 .. cardinality(members) LOOP
        PERFORM require_person('/member_ids/' || at - 1, members[at]);
    END LOOP;
    PERFORM FROM persons p WHERE p.id = ANY (members) ORDER BY p.id FOR NO KEY UPDATE;
    INSERT INTO household_members (household_id, person_id) SELECT household, unnest(members)
        ON CONFLICT (household_id, person_id) DO NOTHING;
    DELETE FROM household_members m WHERE m.household_id = household AND m.person_id <> ALL (members);
END $$;

CREATE FUNCTION emit_household(household uuid) RETURNS void LANGUAGE sql AS $$
    SELECT emit(h.id, h.agency_id, EXISTS (SELECT FROM household_members m JOIN persons p ON p.id = m.person_id
        WHERE m.household_id = h.id AND p.protected)) FROM households h WHERE h.id = household
$$;

CREATE FUNCTION create_household(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    household uuid := gen_random_uuid();
    members uuid[] := ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(body->'member_ids'));
BEGIN
    PERFORM require_person('/member_ids/0', members[1]);
    INSERT INTO households (id, agency_id) SELECT household, p.agency_id FROM persons p WHERE p.id = members[1];
    PERFORM set_household_members(household, members);
    PERFORM emit_household(household);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM household_bodies v WHERE v.id = household;
END $$;

CREATE FUNCTION update_household(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE held int;
BEGIN
    SELECT h.version INTO held FROM households h WHERE h.id = subject FOR UPDATE;
    IF held IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND held <> expected THEN
        PERFORM refuse_stale();
    END IF;
    IF body ? 'member_ids' THEN
        PERFORM set_household_members(subject, ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(body->'member_ids')));
    END IF;
    UPDATE households h SET version = h.version + 1, updated_at = now() WHERE h.id = subject;
    PERFORM emit_household(subject);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM household_bodies v WHERE v.id = subject;
END $$;

-- Eligibility ------------------------------------------------------------------------------------------------------
-- Gates of an application read this: its row is locked first, so that no gate passes on what is about to change.
CREATE FUNCTION lock_applications_of(person uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    -- Two look-ups by index: as one condition with OR it read every application.
    PERFORM FROM applications a
    WHERE a.id = ANY (ARRAY(SELECT own.id FROM applications own WHERE own.person_id = person
                            UNION SELECT n.application_id FROM needs n WHERE n.person_id = person))
    ORDER BY a.id FOR UPDATE;
END $$;

CREATE FUNCTION create_eligibility_assessment(subject uuid, body jsonb, expected int) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    assessment uuid := (body->>'id')::uuid;
    person uuid := (body->>'person_id')::uuid;
BEGIN
    PERFORM require_person('/person_id', person);
    PERFORM lock_applications_of(person);
    INSERT INTO eligibility_assessments (id, person_id, outcome, exploited_in_sweden, sealed)
    VALUES (assessment, person, body->>'outcome', (body->>'exploited_in_sweden')::boolean, (body->>'sealed')::bytea);
    PERFORM vault.store(body, person);
    PERFORM emit(assessment, p.agency_id, p.protected) FROM persons p WHERE p.id = person;
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM eligibility_assessment_bodies v WHERE v.id = assessment;
END $$;

-- The access list --------------------------------------------------------------------------------------------------
-- Whether an officer's key names somebody there is: a person of ours, or an officer of an agency.
CREATE FUNCTION officer_known(officer text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT CASE split_part(officer, ':', 1)
        WHEN 'user' THEN EXISTS (SELECT FROM principals p WHERE 'user:' || p.id = officer AND p.kind = 'user'
            AND p.status = 'active' AND p.id = split_part(officer, ':', 2)::uuid)
        WHEN 'agency' THEN EXISTS (SELECT FROM agencies a WHERE a.id = split_part(officer, ':', 2)::uuid)
        ELSE false END
$$;

-- Only who is on the list herself lets another in.
CREATE FUNCTION create_access_grant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    person uuid := (body->>'person_id')::uuid;
    entry uuid := gen_random_uuid();
BEGIN
    PERFORM require_person('/person_id', person);
    IF NOT caller_is_listed(person) THEN
        PERFORM refuse_gates(ARRAY['not_on_access_list']);
    ELSIF NOT officer_known(body->>'officer') THEN
        PERFORM refuse_member('/officer', 'reference_unknown');
    END IF;
    INSERT INTO access_list (id, person_id, officer, reason_code)
    VALUES (entry, person, body->>'officer', body->>'reason_code');
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM access_grant_bodies v WHERE v.id = entry;
END $$;

-- Two of the staff remain on every list, so that nobody is lost when one is away.
CREATE FUNCTION delete_access_grant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old access_list;
    staff int;
BEGIN
    SELECT * INTO old FROM access_list l WHERE l.id = subject;
    IF old.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND old.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    PERFORM FROM persons p WHERE p.id = old.person_id FOR UPDATE;
    SELECT count(*) INTO staff FROM access_list l
        WHERE l.person_id = old.person_id AND l.id <> subject AND l.officer LIKE 'user:%' AND officer_is_staff(l.officer);
    IF staff < 2 THEN
        PERFORM refuse_gates(ARRAY['access_list_needs_two']);
    END IF;
    DELETE FROM access_list l WHERE l.id = subject;
    IF NOT FOUND THEN
        PERFORM refuse_not_found();
    END IF;
    RETURN QUERY SELECT subject, old.version, NULL::text, NULL::text;
END $$;

CREATE FUNCTION officer_is_staff(officer text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM principals p WHERE p.id = split_part(officer, ':', 2)::uuid AND p.agency_id IS NULL
        AND p.status = 'active')
$$;

-- Grants -----------------------------------------------------------------------------------------------------------
GRANT SELECT, INSERT, UPDATE ON persons, identifiers, households TO utvag_partner, utvag_case;
GRANT SELECT, INSERT, UPDATE, DELETE ON relations TO utvag_partner, utvag_case;
GRANT SELECT, INSERT, DELETE ON household_members TO utvag_partner, utvag_case;
GRANT SELECT, INSERT ON eligibility_assessments TO utvag_case;
GRANT SELECT, INSERT, DELETE ON access_list TO utvag_case;
GRANT SELECT, INSERT, UPDATE, DELETE ON vault.data_keys, vault.blind_tokens TO utvag_partner, utvag_case;
GRANT SELECT ON person_bodies, applicant_bodies, child_bodies, relation_bodies, household_bodies, membership_bodies
    TO utvag_partner, utvag_case;
GRANT SELECT ON eligibility_assessment_bodies, access_grant_bodies TO utvag_case;
GRANT EXECUTE ON FUNCTION caller_is_listed, sees_person, sees_household, require_person, caller_reads_numbers,
    expect_protection, take_members, require_officer, insert_identifiers, insert_person, create_person,
    create_applicant, create_child, lock_person, retire_identifier, update_person, update_applicant, update_child,
    add_identifier, add_applicant_identifier, add_child_identifier, search_persons, search_applicants, search_children,
    create_relation, lock_relation, update_relation, delete_relation, set_household_members, emit_household,
    create_household, update_household TO utvag_partner, utvag_case;
GRANT EXECUTE ON FUNCTION create_eligibility_assessment, lock_applications_of, officer_known, officer_is_staff,
    create_access_grant, delete_access_grant TO utvag_case;

CALL guard_tables();
