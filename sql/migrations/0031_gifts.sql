-- Gifts and grants: what came in, from whom, and for what. Registered as they stand at the bank, by reference, so that what is
-- loaded twice counts once; taken back by another person when it was wrong.

SET LOCAL ROLE utvag_owner;

ALTER TABLE donations
    ADD COLUMN reversed_by uuid,
    ADD COLUMN reversal_reason_code text,
    ADD CONSTRAINT reversed_by_another CHECK (reversed_by <> registered_by),
    ADD CONSTRAINT reversal_has_reason CHECK (num_nonnulls(reversed_at, reversed_by, reversal_reason_code) IN (0, 3));
CREATE INDEX donations_by_channel ON donations (channel_code, received_on, id);

INSERT INTO code_lists (list, label_sv, label_en) VALUES
    ('donation-kinds', 'Slag av gåvor', 'Kinds of donations'),
    ('donation-channels', 'Betalvägar in', 'Channels of donations'),
    ('reversal-reasons', 'Skäl att ta tillbaka en bokning', 'Reasons to take back a booking');
INSERT INTO code_items (list, position, code, label_sv, label_en) VALUES
    ('donation-kinds', 1, 'gift', 'Gåva', 'Gift'),
    ('donation-kinds', 2, 'grant', 'Bidrag', 'Grant'),
    ('donation-channels', 1, 'bankgiro', 'Bankgiro', 'Bankgiro'),
    ('donation-channels', 2, 'swish', 'Swish', 'Swish'),
    ('donation-channels', 3, 'card', 'Kort', 'Card'),
    ('donation-channels', 4, 'transfer', 'Överföring', 'Transfer'),
    ('reversal-reasons', 1, 'registered_wrongly', 'Felregistrerad', 'Registered wrongly'),
    ('reversal-reasons', 2, 'bounced', 'Kom aldrig fram', 'Bounced'),
    ('reversal-reasons', 3, 'paid_back', 'Återbetald till givaren', 'Paid back to the donor');

-- Registering --------------------------------------------------------------------------------------------------------------
-- What is wrong with a donation that was sent in; base: where it is in the body.
CREATE FUNCTION check_donation(body jsonb, base text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    restriction jsonb := coalesce(body->'restriction', '{}');
    code record;
BEGIN
    IF NOT EXISTS (SELECT FROM accounts a WHERE a.id = (body->>'account_id')::uuid
                   AND a.kind IN ('children_fund', 'general_fund', 'project')) THEN
        PERFORM refuse_member(base || '/account_id', 'reference_unknown');
    ELSIF (body->>'received_on')::date > today() THEN
        PERFORM refuse_member(base || '/received_on', 'date_in_future');
    ELSIF (restriction->>'use_by')::date < (body->>'received_on')::date THEN
        PERFORM refuse_member(base || '/restriction/use_by', 'ends_before_it_begins');
    END IF;
    FOR code IN SELECT value, position FROM jsonb_array_elements_text(coalesce(restriction->'county_codes', '[]'))
                WITH ORDINALITY AS c (value, position) LOOP
        PERFORM require_code(base || '/restriction/county_codes/' || code.position - 1, 'counties', code.value);
    END LOOP;
    FOR code IN SELECT value, position FROM jsonb_array_elements_text(coalesce(restriction->'category_codes', '[]'))
                WITH ORDINALITY AS c (value, position) LOOP
        PERFORM require_code(base || '/restriction/category_codes/' || code.position - 1, 'need-categories', code.value);
    END LOOP;
END $$;

-- The row and its donor's key, if no donation of the channel has the reference yet; whether it had none.
CREATE FUNCTION insert_donation(body jsonb, base text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    empty_seal CONSTANT int := 31;                   -- format, nonce, tag and {}: of nobody
    donor bytea := (body->>'sealed')::bytea;
    nameless boolean := coalesce((body->>'anonymous')::boolean, false);
BEGIN
    IF nameless <> (coalesce(octet_length(donor), 0) <= empty_seal) THEN
        PERFORM refuse_member(base || '/donor', 'donor_or_anonymous');
    END IF;
    INSERT INTO donations (id, kind, account_id, amount_ore, channel_code, reference, received_on, anonymous, sealed,
        children_only, county_codes, category_codes, use_by, remaining_ore)
    SELECT d.id, d.kind, d.account_id, d.amount_ore, d.channel_code, d.channel_reference, d.received_on, nameless,
        CASE WHEN NOT nameless THEN donor END, coalesce(r.children_only, false), coalesce(r.county_codes, '{}'),
        coalesce(r.category_codes, '{}'), r.use_by, d.amount_ore
    FROM jsonb_to_record(body) AS d (id uuid, kind text, account_id uuid, amount_ore bigint, channel_code text,
            channel_reference text, received_on date),
        jsonb_to_record(coalesce(body->'restriction', '{}')) AS r (children_only boolean, county_codes text[], category_codes text[],
            use_by date)
    ON CONFLICT ON CONSTRAINT donation_reference_taken DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT nameless THEN
        INSERT INTO vault.data_keys (record_id, donation_id, wrapped)
        VALUES ((body->>'id')::uuid, (body->>'id')::uuid, (body->>'data_key')::bytea);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION book_donation(body jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT book('gift', (body->>'id')::uuid, ARRAY[(account_of('bank'), 'free', (body->>'amount_ore')::bigint),
        ((body->>'account_id')::uuid, 'free', -(body->>'amount_ore')::bigint)]::ledger_entry[])
$$;

CREATE FUNCTION register_donation(body jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM check_donation(body, '');
    IF NOT insert_donation(body, '') THEN
        PERFORM refuse_gates('{donation_reference_taken}');
    END IF;
    PERFORM book_donation(body);
END $$;

-- POST /donations
CREATE FUNCTION create_donation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE donation uuid := (body->>'id')::uuid;
BEGIN
    PERFORM register_donation(body);
    PERFORM emit(donation, NULL, false);
    RETURN QUERY SELECT d.id, d.version, d.body, NULL::text FROM donation_bodies d WHERE d.id = donation;
END $$;

-- A file's rows, in the order in which everybody inserts, so that two who load it at once wait for each other and no more;
-- then all bookings. What was there already must say the same.
CREATE FUNCTION register_donations(rows jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    line record;
    created uuid[] := '{}';
    there donations;
    told jsonb := '{}';
BEGIN
    FOR line IN SELECT r.value AS body, r.position - 1 AS at FROM jsonb_array_elements(rows) WITH ORDINALITY AS r (value, position)
                ORDER BY r.value->>'channel_code', r.value->>'channel_reference', r.position LOOP
        PERFORM check_donation(line.body, '/donations/' || line.at);
        IF insert_donation(line.body, '/donations/' || line.at) THEN
            created := created || (line.body->>'id')::uuid;
            there.id := (line.body->>'id')::uuid;
        ELSE
            SELECT d.* INTO there FROM donations d
            WHERE d.channel_code = line.body->>'channel_code' AND d.reference = line.body->>'channel_reference';
            IF (there.amount_ore, there.account_id, there.received_on)
                IS DISTINCT FROM ((line.body->>'amount_ore')::bigint, (line.body->>'account_id')::uuid, (line.body->>'received_on')::date) THEN
                PERFORM refuse_member('/donations/' || line.at || '/channel_reference', 'donation_reference_taken');
            END IF;
        END IF;
        told := told || jsonb_build_object(line.at::text, jsonb_build_object('channel_reference', line.body->>'channel_reference', 'donation_id', there.id,
            'outcome', CASE WHEN there.id = ANY (created) AND there.id = (line.body->>'id')::uuid THEN 'created' ELSE 'already_there' END));
    END LOOP;
    PERFORM lock_accounts(ARRAY(SELECT DISTINCT d.account_id FROM donations d WHERE d.id = ANY (created)) || account_of('bank'));
    PERFORM book_donation(r.value) FROM jsonb_array_elements(rows) r WHERE (r.value->>'id')::uuid = ANY (created);
    RETURN told;
END $$;

-- POST /donation-files: all or nothing.
CREATE FUNCTION load_donations(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE told jsonb := register_donations(body->'donations');
BEGIN
    PERFORM emit(NULL, NULL, false);
    RETURN QUERY SELECT NULL::uuid, 0, json_build_object(
        'created', (SELECT count(*) FROM jsonb_each(told) t WHERE t.value->>'outcome' = 'created'),
        'already_there', (SELECT count(*) FROM jsonb_each(told) t WHERE t.value->>'outcome' = 'already_there'),
        'donations', (SELECT json_agg(t.value ORDER BY t.key::int) FROM jsonb_each(told) t))::text, NULL::text;
END $$;

-- Taking back --------------------------------------------------------------------------------------------------------------
CREATE FUNCTION take_back_donation(donation uuid, reason text, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    d donations;
    codes text[];
BEGIN
    PERFORM lock_accounts(ARRAY(SELECT o.account_id FROM donations o WHERE o.id = donation) || account_of('bank'));
    SELECT o.* INTO d FROM donations o WHERE o.id = donation FOR UPDATE;
    IF d.id IS NULL THEN
        PERFORM refuse_not_found();
    ELSIF d.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    codes := array_remove(ARRAY[
        CASE WHEN d.registered_by = caller() THEN 'four_eyes_required' END,
        CASE WHEN d.reversed_at IS NOT NULL THEN 'reversed_already' END,
        CASE WHEN d.reversed_at IS NULL AND d.remaining_ore <> d.amount_ore THEN 'donation_in_use' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    PERFORM book('reversal', donation, ARRAY[(d.account_id, 'free', d.amount_ore), (account_of('bank'), 'free', -d.amount_ore)]::ledger_entry[],
        (SELECT t.id FROM ledger_transactions t WHERE t.about = donation AND t.kind = 'gift'));
    UPDATE donations o SET reversed_at = now(), reversed_by = caller(), reversal_reason_code = reason, remaining_ore = 0,
        version = o.version + 1, updated_at = now() WHERE o.id = donation;
END $$;

-- POST /donations/{id}/reverse
CREATE FUNCTION reverse_donation(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take_back_donation(subject, body->>'reason_code', expected);
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT d.id, d.version, d.body, NULL::text FROM donation_bodies d WHERE d.id = subject;
END $$;

-- What is shown ------------------------------------------------------------------------------------------------------------
CREATE VIEW donation_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.account_id, d.channel_code, d.received_on,
        json_build_object('id', d.id, 'kind', d.kind, 'account_id', d.account_id, 'amount_ore', d.amount_ore,
            'channel_code', d.channel_code, 'channel_reference', d.reference, 'received_on', d.received_on, 'anonymous', d.anonymous,
            'restriction', json_build_object('children_only', d.children_only, 'county_codes', d.county_codes,
                'category_codes', d.category_codes, 'use_by', d.use_by),
            'remaining_ore', d.remaining_ore, 'registered_by', d.registered_by, 'reversed_at', rfc3339(d.reversed_at),
            'reversed_by', d.reversed_by, 'reversal_reason_code', d.reversal_reason_code,
            'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at), 'version', d.version,
            '$seal', vault.marker('donations', d.id, 'sealed', k.wrapped, d.sealed))::text AS body
    FROM donations d LEFT JOIN vault.data_keys k ON k.record_id = d.id;

-- Who may ------------------------------------------------------------------------------------------------------------------
GRANT SELECT ON donation_bodies TO utvag_finance, utvag_auditor;
CREATE POLICY of_donors ON vault.data_keys FOR SELECT TO utvag_finance USING (donation_id IS NOT NULL);
GRANT EXECUTE ON FUNCTION register_donation, create_donation, register_donations, load_donations, take_back_donation,
    reverse_donation TO utvag_finance;

CALL guard_tables();
