-- Projects: efforts with a funder, a period, a catchment and target groups. Each has an account of its own from its first day.

SET LOCAL ROLE utvag_owner;

-- What each is meant to spend on what: beside it the report says what was granted and paid.
CREATE TABLE project_budgets (
    project_id uuid NOT NULL REFERENCES projects,
    position int NOT NULL,
    category_code text REFERENCES need_categories,
    group_code text,
    amount_ore bigint NOT NULL CHECK (amount_ore > 0),
    PRIMARY KEY (project_id, position),
    CONSTRAINT budget_of_category_or_group CHECK (num_nonnulls(category_code, group_code) = 1),
    CONSTRAINT budget_repeated UNIQUE NULLS NOT DISTINCT (project_id, category_code, group_code)
);

CREATE FUNCTION project_status(starts_on date, ends_on date, pay_until_on date, closed_on date) RETURNS text LANGUAGE sql STABLE
    RETURN CASE WHEN closed_on IS NOT NULL THEN 'closed' WHEN today() < starts_on THEN 'planned' WHEN today() <= ends_on THEN 'active'
        WHEN today() <= pay_until_on THEN 'paying' ELSE 'ended' END;

-- What was promised of a project: the first and the last day, and what is not paid of it yet. Whoever reserves waits for us.
CREATE FUNCTION project_promises(project uuid) RETURNS TABLE (first_on date, last_on date, unpaid_ore bigint) LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM lock_accounts(ARRAY(SELECT a.id FROM accounts a WHERE a.project_id = project));
    RETURN QUERY SELECT min(e.booked_on), max(e.booked_on), a.reserved_ore
        FROM accounts a LEFT JOIN (ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id AND t.kind = 'reservation')
            ON e.account_id = a.id
        WHERE a.project_id = project GROUP BY a.id;
END $$;

-- The account of a project, made with it and named as it is.
CREATE FUNCTION keep_project_account(project uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    INSERT INTO accounts AS a (kind, project_id, number, name_sv, name_en)
    SELECT 'project', p.id, '2070', p.name_sv, p.name_en FROM projects p WHERE p.id = project
    ON CONFLICT (project_id) DO UPDATE SET name_sv = excluded.name_sv, name_en = excluded.name_en, version = a.version + 1,
        updated_at = now() WHERE (a.name_sv, a.name_en) <> (excluded.name_sv, excluded.name_en)
$$;

-- An agency sees which efforts there are, and nothing of their money: the tables of that have no policy for it.
CREATE VIEW project_bodies WITH (security_invoker = true) AS
    SELECT p.id, p.version, p.starts_on, project_status(p.starts_on, p.ends_on, p.pay_until_on, p.closed_on) AS status,
        json_build_object('id', p.id, 'name_sv', p.name_sv, 'name_en', p.name_en, 'description_sv', p.description_sv,
            'description_en', p.description_en, 'funder', p.funder, 'starts_on', p.starts_on, 'ends_on', p.ends_on,
            'pay_until_on', p.pay_until_on,
            'catchment', json_build_object('national', p.county_codes = '{}' AND p.municipality_codes = '{}',
                'county_codes', p.county_codes, 'municipality_codes', p.municipality_codes),
            'target_groups', p.target_groups,
            'status', project_status(p.starts_on, p.ends_on, p.pay_until_on, p.closed_on), 'closed_on', p.closed_on,
            'budgets', CASE WHEN current_setting('utvag.role', true) <> 'partner' THEN coalesce((
                SELECT json_agg(json_build_object('category_code', b.category_code, 'group_code', b.group_code,
                    'amount_ore', b.amount_ore) ORDER BY b.position) FROM project_budgets b WHERE b.project_id = p.id), '[]') END,
            'account_id', (SELECT a.id FROM accounts a WHERE a.project_id = p.id),
            'version', p.version, 'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at))::text AS body
    FROM projects p;

CREATE FUNCTION lock_project(subject uuid, expected int) RETURNS projects LANGUAGE plpgsql AS $$
DECLARE project projects;
BEGIN
    SELECT * INTO project FROM projects p WHERE p.id = subject FOR UPDATE;
    IF project.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF expected IS NOT NULL AND project.version <> expected THEN
        PERFORM refuse_stale();
    ELSIF project.closed_on IS NOT NULL THEN
        PERFORM refuse_gates('{project_is_closed}');
    END IF;
    RETURN project;
END $$;

CREATE FUNCTION catchment_codes(asked jsonb, member text, list text) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM require_code(format('/catchment/%s/%s', member, e.at - 1), list, e.code)
    FROM jsonb_array_elements_text(asked->member) WITH ORDINALITY AS e (code, at) ORDER BY e.at;
    RETURN ARRAY(SELECT DISTINCT e.code FROM jsonb_array_elements_text(asked->member) AS e (code) ORDER BY e.code);
END $$;

-- The project with the catchment that is asked for: Sweden, or what is listed.
CREATE FUNCTION with_catchment(project projects, asked jsonb) RETURNS projects LANGUAGE plpgsql STABLE AS $$
DECLARE national boolean := (asked->>'national')::boolean;
BEGIN
    IF national THEN
        project.county_codes := '{}';
        project.municipality_codes := '{}';
    END IF;
    IF asked ? 'county_codes' THEN
        project.county_codes := catchment_codes(asked, 'county_codes', 'counties');
    END IF;
    IF asked ? 'municipality_codes' THEN
        project.municipality_codes := catchment_codes(asked, 'municipality_codes', 'municipalities');
    END IF;
    IF national = (project.county_codes || project.municipality_codes <> '{}') THEN
        PERFORM refuse_member('/catchment/national', 'catchment_contradicts');
    END IF;
    RETURN project;
END $$;

-- Whether everybody whom the one reaches is reached by the other.
CREATE FUNCTION reaches_all_of(new projects, old projects) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN old.target_groups <@ new.target_groups AND (new.county_codes || new.municipality_codes = '{}'
        OR old.county_codes || old.municipality_codes <> '{}' AND old.county_codes <@ new.county_codes
            AND NOT EXISTS (SELECT FROM unnest(old.municipality_codes) AS m (code)
                            WHERE m.code <> ALL (new.municipality_codes) AND left(m.code, 2) <> ALL (new.county_codes)));

-- Once money is promised, a project goes on to cover what it was promised to: its beginning stands, its end may be moved but
-- not to before the latest promise, and its catchment and target groups may only grow.
CREATE FUNCTION project_change_gates(old projects, new projects) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE promised record;
BEGIN
    IF (old.starts_on, old.ends_on, old.pay_until_on, old.county_codes, old.municipality_codes, old.target_groups)
        IS NOT DISTINCT FROM (new.starts_on, new.ends_on, new.pay_until_on, new.county_codes, new.municipality_codes, new.target_groups) THEN
        RETURN '{}';
    END IF;
    SELECT * INTO promised FROM project_promises(old.id);
    RETURN array_remove(ARRAY[
        CASE WHEN promised.first_on IS NOT NULL AND old.starts_on <> new.starts_on THEN 'project_has_promises' END,
        CASE WHEN new.ends_on < old.ends_on AND new.ends_on < promised.last_on THEN 'promised_outside_period' END,
        CASE WHEN promised.first_on IS NOT NULL AND NOT reaches_all_of(new, old) THEN 'project_narrowed' END,
        CASE WHEN promised.unpaid_ore > 0 AND new.pay_until_on < least(today(), old.pay_until_on) THEN 'promises_unpaid' END], NULL);
END $$;

CREATE FUNCTION set_project_budgets(project uuid, budgets jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE budget record;
BEGIN
    DELETE FROM project_budgets b WHERE b.project_id = project;
    FOR budget IN SELECT e.at::int, e.value->>'category_code' AS category, e.value->>'group_code' AS kind, (e.value->>'amount_ore')::bigint AS ore
                  FROM jsonb_array_elements(budgets) WITH ORDINALITY AS e (value, at) ORDER BY e.at LOOP
        PERFORM require_code(format('/budgets/%s/category_code', budget.at - 1), 'need-categories', budget.category);
        IF budget.kind IS NOT NULL AND NOT EXISTS (SELECT FROM need_categories c WHERE c.group_code = budget.kind) THEN
            PERFORM refuse_member(format('/budgets/%s/group_code', budget.at - 1), 'code_unknown');
        ELSIF num_nonnulls(budget.category, budget.kind) <> 1 THEN
            PERFORM refuse_member(format('/budgets/%s', budget.at - 1), 'budget_of_category_or_group');
        END IF;
        INSERT INTO project_budgets (project_id, position, category_code, group_code, amount_ore)
        VALUES (project, budget.at, budget.category, budget.kind, budget.ore);
    END LOOP;
END $$;

CREATE FUNCTION create_project(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    new projects := jsonb_populate_record(NULL::projects, take_members(body, ARRAY['name_sv', 'name_en', 'description_sv',
        'description_en', 'funder', 'starts_on', 'ends_on', 'pay_until_on', 'target_groups']));
BEGIN
    new.id := gen_random_uuid();
    new.county_codes := '{}';
    new.municipality_codes := '{}';
    new := with_catchment(new, body->'catchment');
    INSERT INTO projects (id, name_sv, name_en, description_sv, description_en, funder, starts_on, ends_on, pay_until_on,
        county_codes, municipality_codes, target_groups)
    VALUES (new.id, new.name_sv, new.name_en, new.description_sv, new.description_en, new.funder, new.starts_on, new.ends_on,
        coalesce(new.pay_until_on, new.ends_on + 90), new.county_codes, new.municipality_codes, new.target_groups);
    PERFORM set_project_budgets(new.id, coalesce(body->'budgets', '[]'));
    PERFORM keep_project_account(new.id);
    PERFORM emit(new.id, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM project_bodies v WHERE v.id = new.id;
END $$;

CREATE FUNCTION update_project(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    old projects := lock_project(subject, expected);
    new projects := with_catchment(jsonb_populate_record(old, take_members(body, ARRAY['name_sv', 'name_en', 'description_sv',
        'description_en', 'funder', 'starts_on', 'ends_on', 'pay_until_on', 'target_groups'])), body->'catchment');
    gates text[];
BEGIN
    -- Unsaid, what is paid until then keeps its distance from the end; taken away, it has the usual one.
    new.pay_until_on := CASE WHEN body ? 'pay_until_on' THEN coalesce(new.pay_until_on, new.ends_on + 90)
        ELSE new.ends_on + (old.pay_until_on - old.ends_on) END;
    gates := project_change_gates(old, new);
    IF gates <> '{}' THEN
        PERFORM refuse_gates(gates);
    END IF;
    UPDATE projects p SET name_sv = new.name_sv, name_en = new.name_en, description_sv = new.description_sv,
        description_en = new.description_en, funder = new.funder, starts_on = new.starts_on, ends_on = new.ends_on,
        pay_until_on = new.pay_until_on, county_codes = new.county_codes, municipality_codes = new.municipality_codes,
        target_groups = new.target_groups, version = p.version + 1, updated_at = now()
    WHERE p.id = subject;
    IF body ? 'budgets' THEN
        PERFORM set_project_budgets(subject, coalesce(nullif(body->'budgets', 'null'), '[]'));
    END IF;
    PERFORM keep_project_account(subject);
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM project_bodies v WHERE v.id = subject;
END $$;

-- Before its time. What is promised is paid or taken back first.
CREATE FUNCTION close_project(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE project projects := lock_project(subject, expected);
BEGIN
    IF (SELECT p.unpaid_ore > 0 FROM project_promises(project.id) p) THEN
        PERFORM refuse_gates('{promises_unpaid}');
    END IF;
    UPDATE projects p SET closed_on = today(), version = p.version + 1, updated_at = now() WHERE p.id = subject;
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM project_bodies v WHERE v.id = subject;
END $$;

-- Codes ----------------------------------------------------------------------------------------------------------------
INSERT INTO code_lists (list, label_sv, label_en) VALUES
    ('project-target-groups', 'Målgrupper för satsningar', 'Target groups of projects'),
    ('project-statuses', 'Satsningens status', 'Statuses of a project');
INSERT INTO code_items (list, position, code, label_sv, label_en) VALUES
    ('project-target-groups', 1, 'adults', 'Vuxna', 'Adults'),
    ('project-target-groups', 2, 'mothers_and_fathers', 'Mammor och pappor', 'Mothers and fathers'),
    ('project-target-groups', 3, 'children', 'Barn', 'Children'),
    ('project-target-groups', 4, 'young_people', 'Unga', 'Young people'),
    ('project-target-groups', 5, 'professionals', 'Yrkesverksamma', 'Professionals'),
    ('project-statuses', 1, 'planned', 'Planerad', 'Planned'),
    ('project-statuses', 2, 'active', 'Pågår', 'Active'),
    ('project-statuses', 3, 'paying', 'Avslutad, betalas fortfarande', 'Ended, still being paid'),
    ('project-statuses', 4, 'ended', 'Avslutad', 'Ended'),
    ('project-statuses', 5, 'closed', 'Stängd i förtid', 'Closed before its time');

-- Who may --------------------------------------------------------------------------------------------------------------
GRANT USAGE ON SCHEMA vault TO utvag_project; -- where a repeated request finds its answer
GRANT INSERT, UPDATE ON projects TO utvag_project;
CREATE POLICY start ON projects FOR INSERT TO utvag_project WITH CHECK (true);
CREATE POLICY change ON projects FOR UPDATE TO utvag_project USING (true) WITH CHECK (true);
GRANT SELECT ON projects TO utvag_partner;
CREATE POLICY see_open ON projects FOR SELECT TO utvag_partner USING (closed_on IS NULL AND ends_on >= today());
GRANT SELECT ON project_budgets TO utvag_partner, utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT INSERT, DELETE ON project_budgets TO utvag_project;
CREATE POLICY read_all ON project_budgets FOR SELECT TO utvag_case, utvag_finance, utvag_auditor USING (true);
CREATE POLICY keep ON project_budgets TO utvag_project USING (true) WITH CHECK (true);
GRANT SELECT (id, project_id) ON accounts TO utvag_partner;
GRANT SELECT ON project_bodies TO utvag_partner, utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT EXECUTE ON FUNCTION today, project_status TO utvag_partner, utvag_case, utvag_finance, utvag_project, utvag_auditor;
GRANT EXECUTE ON FUNCTION project_promises, keep_project_account, lock_project, catchment_codes, with_catchment, reaches_all_of,
    project_change_gates, set_project_budgets, take_members, create_project, update_project, close_project TO utvag_project;

CALL guard_tables();
