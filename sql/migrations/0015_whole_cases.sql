-- Protection keeps a case together: whoever may not see one of those whom it concerns sees nothing of it. References, lists
-- and relations give no hidden record away, and nobody is lost because those who saw her are gone.

SET LOCAL ROLE utvag_owner;

-- Cases --------------------------------------------------------------------------------------------------------------
-- A case concerns its applicant and everyone whom a need is for. When one of them is protected the case is, as a whole: its
-- text, its certifications and its steps speak of them all, and cannot be told apart.

-- Whether the caller is on the list of every protected person concerned. Asked for protected cases only, row by row: not
-- inlined or hashed; the cost is measured, and tells the planner to walk an index in the list's order. The applicant is
-- given, since the row may be too new to be found. Each look-up stands on its own, and none
-- comes after the first person whom the caller does not see: lists ask it of every protected case that they pass.
CREATE FUNCTION caller_sees_case(application uuid, applicant uuid) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER COST 5000 SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM (
            SELECT applicant UNION ALL SELECT n.person_id FROM needs n WHERE n.application_id = application) AS concerned (id)
        WHERE (SELECT p.protected FROM persons p WHERE p.id = concerned.id)
            AND (SELECT count(*) FROM access_list l WHERE l.person_id = concerned.id AND l.officer = caller_officer()) = 0);
END $$;

CREATE OR REPLACE FUNCTION application_is_protected(application uuid) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM applications a WHERE a.id = application AND a.protected);
END $$;

-- Brings `protected` up to date. Locks the cases in the order of their ids, and looks only then: of two persons whose
-- protection changes at once, the second sees what the first did.
CREATE FUNCTION refresh_protection(cases uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM applications a WHERE a.id = ANY (cases) ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE applications a SET protected = NOT a.protected
    WHERE a.id = ANY (cases) AND a.protected <> EXISTS (SELECT FROM persons p WHERE p.protected
        AND p.id = ANY (ARRAY(SELECT n.person_id FROM needs n WHERE n.application_id = a.id UNION SELECT a.person_id)));
END $$;

CREATE OR REPLACE FUNCTION follow_protection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE changed uuid[] := ARRAY(SELECT id FROM was JOIN became USING (id) WHERE was.protected <> became.protected);
BEGIN
    IF changed <> '{}' THEN
        PERFORM refresh_protection(ARRAY(SELECT a.id FROM applications a WHERE a.person_id = ANY (changed)
            UNION SELECT n.application_id FROM needs n WHERE n.person_id = ANY (changed)));
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER protection_to_applications ON persons;
CREATE TRIGGER protection_to_applications AFTER UPDATE ON persons REFERENCING OLD TABLE AS was NEW TABLE AS became
    FOR EACH STATEMENT EXECUTE FUNCTION follow_protection();

-- A need is for somebody of the application's agency, else its officers could not see what they asked for; the charity's own
-- applications are for anyone. The lock makes a need and a change of protection wait for each other.
CREATE FUNCTION need_before_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    person persons;
    agency uuid := (SELECT a.agency_id FROM applications a WHERE a.id = NEW.application_id);
BEGIN
    SELECT p.* INTO person FROM persons p WHERE p.id = NEW.person_id FOR SHARE;
    IF agency <> person.agency_id OR agency IS NOT NULL AND person.agency_id IS NULL THEN
        PERFORM refuse_member('/person_id', 'person_of_another_agency');
    ELSIF person.protected THEN
        UPDATE applications a SET protected = true WHERE a.id = NEW.application_id AND NOT a.protected;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER protection_from_person BEFORE INSERT ON needs FOR EACH ROW EXECUTE FUNCTION need_before_insert();

-- Whoever waited for the lock is asked again. The first statement judged the row as it has become by what was there before
-- it waited: a need for a protected person, added meanwhile, it could not see.
CREATE OR REPLACE FUNCTION lock_application(subject uuid, expected int) RETURNS applications LANGUAGE plpgsql AS $$
DECLARE app applications;
BEGIN
    SELECT a.* INTO app FROM applications a WHERE a.id = subject FOR UPDATE;
    IF app.id IS NULL OR app.protected AND NOT caller_sees_case(app.id, app.person_id) THEN
        PERFORM refuse_not_found();
    ELSIF app.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN app;
END $$;

DROP POLICY see_own ON applications;
DROP POLICY see ON applications;
DROP POLICY change_own ON applications;
DROP POLICY change ON applications;
CREATE POLICY see_own ON applications FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_sees_case(id, person_id)));
CREATE POLICY see ON applications FOR SELECT TO utvag_case USING (NOT protected OR caller_sees_case(id, person_id));
CREATE POLICY change_own ON applications FOR UPDATE TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND (NOT protected OR caller_sees_case(id, person_id)))
    WITH CHECK (agency_id = (SELECT caller_agency()));
CREATE POLICY change ON applications FOR UPDATE TO utvag_case
    USING (NOT protected OR caller_sees_case(id, person_id)) WITH CHECK (true);

-- What a decision tells of its lines' persons follows from the case now, as everything below it.
DROP POLICY of_own_applications ON decisions;
DROP POLICY of_seen_applications ON decisions;
CREATE POLICY of_own_applications ON decisions FOR SELECT TO utvag_partner
    USING (agency_id = (SELECT caller_agency()) AND sees_application(application_id));
CREATE POLICY of_seen_applications ON decisions FOR SELECT TO utvag_case USING (sees_application(application_id));
DROP FUNCTION sees_concerned;
ALTER FUNCTION sees_application COST 5000;

-- References ---------------------------------------------------------------------------------------------------------
-- Unique among what everyone of the agency sees: were hidden records bound, a refusal would tell of them. The charity's own
-- are not bound at all: its public front end, which may know of nobody, registers there too.
DROP INDEX external_id_taken;
DROP INDEX application_external_id_taken;
CREATE UNIQUE INDEX external_id_taken ON persons (agency_id, kind, external_id)
    WHERE external_id IS NOT NULL AND agency_id IS NOT NULL AND NOT protected;
CREATE UNIQUE INDEX application_external_id_taken ON applications (agency_id, external_id)
    WHERE external_id IS NOT NULL AND agency_id IS NOT NULL AND NOT protected;

-- Access lists -------------------------------------------------------------------------------------------------------
-- Two at least on each list can work with a case, so that nobody is lost when one is away.

-- The charity's people who can, in the form of access lists; rank: who is asked first to keep lists.
CREATE FUNCTION case_officers() RETURNS TABLE (officer text, rank int) LANGUAGE sql STABLE AS $$
    SELECT 'user:' || p.id, CASE WHEN 'triage' = ANY (p.roles) THEN 1 WHEN 'decision_maker' = ANY (p.roles) THEN 2 ELSE 3 END
    FROM principals p
    WHERE p.kind = 'user' AND p.status = 'active' AND p.agency_id IS NULL
        AND p.roles && ARRAY['triage', 'decision_maker', 'case_worker']
$$;

-- Who keeps every list: the triage group; while it is fewer than two, the decision makers with them; and where there is
-- nobody of either, the case workers: a list that nobody reads is a person whom nobody helps.
CREATE FUNCTION list_keepers() RETURNS TABLE (officer text, reason text) LANGUAGE sql STABLE AS $$
    SELECT o.officer, (ARRAY['triage', 'decision', 'case_work'])[o.rank] FROM case_officers() o
    WHERE o.rank = 1
        OR o.rank = 2 AND (SELECT count(*) FROM case_officers() t WHERE t.rank = 1) < 2
        OR o.rank = 3 AND NOT EXISTS (SELECT FROM case_officers() t WHERE t.rank < 3)
$$;

-- Shared by whoever counts the staff on a list, alone for whoever changes who is staff: neither misses the other.
CREATE FUNCTION lock_keepers(alone boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF alone THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('keepers of access lists', 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('keepers of access lists', 0));
    END IF;
END $$;

-- Puts on the list who registered the person, who acts now, and who keeps lists. Machines are not officers.
CREATE OR REPLACE FUNCTION fill_access_list(person uuid, registrar text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM lock_keepers(false);
    INSERT INTO access_list (person_id, officer, reason_code)
    SELECT DISTINCT ON (o.officer) person, o.officer, o.reason FROM (
        SELECT 1, registrar, 'registration'
        UNION ALL SELECT 2, caller_officer(), 'protection'
        UNION ALL SELECT 3, k.officer, k.reason FROM list_keepers() k) AS o (rank, officer, reason)
    WHERE o.officer ~ '^(user|agency):' ORDER BY o.officer, o.rank
    ON CONFLICT (person_id, officer) DO NOTHING;
END $$;

-- Lists on which fewer than two of the staff are left get those who keep lists: when somebody leaves, and again when
-- somebody comes, for there may have been nobody before.
CREATE FUNCTION staff_access_lists() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_keepers(true);
    INSERT INTO access_list (person_id, officer, reason_code)
    SELECT few.id, k.officer, 'replacement' FROM list_keepers() k, (
        SELECT p.id FROM persons p
        LEFT JOIN (access_list l JOIN case_officers() o USING (officer)) ON l.person_id = p.id
        WHERE p.protected GROUP BY p.id HAVING count(l.id) < 2) AS few
    ON CONFLICT (person_id, officer) DO NOTHING;
END $$;

CREATE FUNCTION staff_after_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM staff_access_lists();
    RETURN NULL;
END $$;
CREATE TRIGGER staff_lists_anew AFTER INSERT ON principals FOR EACH ROW
    WHEN (NEW.status = 'active' AND NEW.roles && ARRAY['triage', 'decision_maker', 'case_worker'])
    EXECUTE FUNCTION staff_after_change();
CREATE TRIGGER staff_lists AFTER UPDATE ON principals FOR EACH ROW
    WHEN ((OLD.status <> NEW.status OR OLD.roles <> NEW.roles)
        AND (OLD.roles || NEW.roles) && ARRAY['triage', 'decision_maker', 'case_worker'])
    EXECUTE FUNCTION staff_after_change();

-- Whether an officer's key names somebody who can have use of seeing the person: one of ours who works with cases, or an
-- officer of her own agency.
CREATE FUNCTION officer_may_see(officer text, person uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM case_officers() o WHERE o.officer = officer_may_see.officer)
        OR EXISTS (SELECT FROM persons p WHERE p.id = person
                   AND starts_with(officer_may_see.officer, 'agency:' || p.agency_id || ':'))
$$;

CREATE FUNCTION staff_beside(person uuid, entry uuid) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM lock_keepers(false);
    RETURN (SELECT count(*) FROM access_list l JOIN case_officers() o USING (officer)
            WHERE l.person_id = person AND l.id <> entry);
END $$;

CREATE OR REPLACE FUNCTION create_access_grant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE
    person uuid := (body->>'person_id')::uuid;
    entry uuid := gen_random_uuid();
BEGIN
    PERFORM require_person('/person_id', person);
    IF NOT caller_is_listed(person) THEN
        PERFORM refuse_gates(ARRAY['not_on_access_list']);
    ELSIF NOT officer_may_see(body->>'officer', person) THEN
        PERFORM refuse_member('/officer', 'reference_unknown');
    END IF;
    INSERT INTO access_list (id, person_id, officer, reason_code)
    VALUES (entry, person, body->>'officer', body->>'reason_code');
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM access_grant_bodies v WHERE v.id = entry;
END $$;

CREATE OR REPLACE FUNCTION delete_access_grant(subject uuid, body jsonb, expected int) RETURNS SETOF outcome
    LANGUAGE plpgsql AS $$
DECLARE old access_list;
BEGIN
    SELECT * INTO old FROM access_list l WHERE l.id = subject;
    IF old.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND old.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    PERFORM FROM persons p WHERE p.id = old.person_id FOR NO KEY UPDATE;
    IF staff_beside(old.person_id, subject) < 2 THEN
        PERFORM refuse_gates(ARRAY['access_list_needs_two']);
    END IF;
    DELETE FROM access_list l WHERE l.id = subject;
    IF NOT FOUND THEN
        PERFORM refuse_not_found();
    END IF;
    RETURN QUERY SELECT subject, old.version, NULL::text, NULL::text;
END $$;
DROP FUNCTION officer_known, officer_is_staff;

-- Two administrators remain, for each approves what the other asks for. The command line, which is the owner, adds more.
CREATE OR REPLACE FUNCTION guard_principal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'utvag_admin' THEN
        RETURN NEW;
    ELSIF NOT NEW.roles <@ OLD.roles OR NEW.status NOT IN (OLD.status, 'suspended') THEN
        RAISE EXCEPTION 'only a second person gives roles' USING ERRCODE = 'UV409', DETAIL = 'four_eyes_required';
    ELSIF OLD.status = 'active' AND 'admin' = ANY (OLD.roles) AND NOT (NEW.status = 'active' AND 'admin' = ANY (NEW.roles)) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('administrators', 0));
        IF (SELECT count(*) FROM principals p
            WHERE p.id <> NEW.id AND p.kind = 'user' AND p.status = 'active' AND 'admin' = ANY (p.roles)) < 2 THEN
            PERFORM refuse_gates('{two_admins_remain}');
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- Relations ----------------------------------------------------------------------------------------------------------
-- An event of a relation tells of two persons: it is a bare hint when either is protected.
CREATE FUNCTION emit_relation(r relations) RETURNS void LANGUAGE sql AS $$
    SELECT emit(r.id, r.agency_id, EXISTS (SELECT FROM persons p WHERE p.id IN (r.person_id, r.related_person_id) AND p.protected))
$$;

-- Of persons as they are once their rows are locked: one who became protected while the lock was waited for is as one who is not
-- there.
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

-- Whether the relation would cease to pass protection on by becoming of another kind.
CREATE FUNCTION relation_unprotects(old relations, kind text) RETURNS boolean LANGUAGE sql STABLE
    RETURN old.kind IN ('parent', 'guardian') AND kind NOT IN ('parent', 'guardian')
        AND EXISTS (SELECT FROM persons p WHERE p.id = old.related_person_id AND p.protected);

CREATE OR REPLACE FUNCTION update_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old relations := lock_relation(subject, expected);
    new relations := jsonb_populate_record(old, take_members(body, ARRAY['kind', 'access', 'deceased', 'from_on',
        'until_on', 'sealed']));
BEGIN
    PERFORM require_code('/kind', 'relation-kinds', body->>'kind');
    IF relation_unprotects(old, new.kind) THEN
        PERFORM refuse_gates(ARRAY['relation_passes_protection']);
    END IF;
    UPDATE relations r SET kind = new.kind, access = new.access, deceased = new.deceased, from_on = new.from_on,
        until_on = new.until_on, sealed = new.sealed, version = r.version + 1, updated_at = now()
    WHERE r.id = subject;
    PERFORM vault.store(body || jsonb_build_object('id', subject), old.person_id);
    PERFORM emit_relation(old);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM relation_bodies v WHERE v.id = subject;
END $$;

CREATE OR REPLACE FUNCTION delete_relation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE old relations := lock_relation(subject, expected);
BEGIN
    PERFORM emit_relation(old);
    DELETE FROM vault.blind_tokens t WHERE t.record_id = subject;
    DELETE FROM vault.data_keys k WHERE k.record_id = subject;
    DELETE FROM relations r WHERE r.id = subject;
    RETURN QUERY SELECT subject, old.version, NULL::text, NULL::text;
END $$;

-- What was there before ----------------------------------------------------------------------------------------------
DO $$
BEGIN
    PERFORM refresh_protection(ARRAY(SELECT id FROM applications));
    PERFORM staff_access_lists();
END $$;

GRANT EXECUTE ON FUNCTION caller_sees_case, emit_relation, relation_unprotects TO utvag_partner, utvag_case;
GRANT EXECUTE ON FUNCTION officer_may_see, staff_beside TO utvag_case;

CALL guard_tables();
