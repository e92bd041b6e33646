-- Payments, as they are done: ordered by one, approved by others, sent to the bank in a file, confirmed; and what comes back.

SET LOCAL ROLE utvag_owner;

-- It looks when everything else is done, as whoever the caller then is: a case worker reads no entries.
ALTER FUNCTION guard_transaction SECURITY DEFINER SET search_path = public, vault, pg_temp;

-- Who and whether ------------------------------------------------------------------------------------------------------
CREATE FUNCTION caller_is_fund() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('utvag.role', true) = 'fund_manager', false);

-- The case of a payment, locked. For the fund's people every case is one to pay; for the others it is there if they see it.
CREATE FUNCTION lock_paid_case(application uuid) RETURNS applications LANGUAGE plpgsql AS $$
DECLARE app applications;
BEGIN
    SELECT a.* INTO app FROM applications a WHERE a.id = application FOR UPDATE;
    IF app.id IS NULL OR app.protected AND NOT caller_is_fund() AND NOT caller_sees_case(app.id, app.person_id) THEN
        PERFORM refuse_not_found();
    END IF;
    RETURN app;
END $$;

-- What stands in the way of paying for a line from these accounts. The case is locked, or shared.
CREATE FUNCTION payment_gates(line uuid, from_accounts uuid[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN l.superseded_by IS NOT NULL OR l.outcome NOT IN ('granted', 'partly_granted') THEN 'line_not_granted' END,
        CASE WHEN l.superseded_by IS NULL AND l.outcome IN ('granted', 'partly_granted') AND n.status NOT IN ('granted', 'partly_granted') THEN 'payment_frozen' END,
        CASE WHEN a.state = 'closed' THEN 'application_closed' END,
        CASE WHEN EXISTS (SELECT FROM accounts x JOIN projects p ON p.id = x.project_id
                          WHERE x.id = ANY (from_accounts) AND p.pay_until_on < today()) THEN 'project_closed' END], NULL)
    FROM decision_lines l JOIN needs n ON n.id = l.need_id JOIN applications a ON a.id = l.application_id WHERE l.id = line
$$;

-- The agencies that vouch for a need: their officers recorded it, or are the representatives that it rests on.
CREATE FUNCTION certifying_agencies(need uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT agency) FROM certification_needs cn JOIN certifications c ON c.id = cn.certification_id
    LEFT JOIN representatives r ON r.id = c.representative_id LEFT JOIN principals p ON p.id = c.recorded_by
    CROSS JOIN LATERAL unnest(ARRAY[r.agency_id, p.agency_id]) AS agency
    WHERE cn.need_id = need AND agency IS NOT NULL
$$;

-- Two where much is paid, and where the payee is the one who certified: an ombud, or the agency that did; an agency that is not
-- told may be that one.
CREATE FUNCTION count_approvals(line uuid, amount bigint, payee_kind text, agency uuid) RETURNS int LANGUAGE sql STABLE
    RETURN CASE WHEN amount > coalesce(house_rule('two_approvers_above_ore'), 0) OR payee_kind = 'ombud'
            OR payee_kind = 'agency' AND coalesce(agency = ANY (certifying_agencies(
                (SELECT l.need_id FROM decision_lines l WHERE l.id = line))), agency IS NULL)
        THEN 2 ELSE 1 END;

-- Ordering -------------------------------------------------------------------------------------------------------------
-- What is ordered of each account: as the body says, or the line's in the order of their ids until the amount is met. Refuses
-- what the line does not hold.
CREATE FUNCTION split_payment(line uuid, amount bigint, wanted jsonb) RETURNS TABLE (account_id uuid, amount_ore bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    rest bigint := amount;
    part record;
BEGIN
    IF amount > (SELECT coalesce(sum(l.left_ore), 0) FROM line_left(line) l) THEN
        PERFORM refuse_gates('{above_line}');
    ELSIF wanted IS NULL THEN
        FOR part IN SELECT l.* FROM line_left(line) l WHERE l.left_ore > 0 ORDER BY l.account_id LOOP
            EXIT WHEN rest = 0;
            account_id := part.account_id;
            amount_ore := least(part.left_ore, rest);
            rest := rest - amount_ore;
            RETURN NEXT;
        END LOOP;
        RETURN;
    END IF;
    FOR part IN SELECT (w.value->>'account_id')::uuid AS id, (w.value->>'amount_ore')::bigint AS ore, w.at, l.left_ore,
                    count(*) OVER (PARTITION BY w.value->>'account_id') AS times
                FROM jsonb_array_elements(wanted) WITH ORDINALITY AS w (value, at)
                LEFT JOIN line_left(line) l ON l.account_id = (w.value->>'account_id')::uuid ORDER BY w.at LOOP
        IF part.left_ore IS NULL THEN
            PERFORM refuse_member(format('/sources/%s/account_id', part.at - 1), 'reference_unknown');
        ELSIF part.times > 1 THEN
            PERFORM refuse_member(format('/sources/%s/account_id', part.at - 1), 'account_repeated');
        ELSIF part.ore > part.left_ore THEN
            PERFORM refuse_gates('{above_line}');
        END IF;
        account_id := part.id;
        amount_ore := part.ore;
        rest := rest - part.ore;
        RETURN NEXT;
    END LOOP;
    IF rest <> 0 THEN
        PERFORM refuse_member('/sources', 'sources_are_not_the_amount');
    END IF;
END $$;

CREATE FUNCTION order_payment(line uuid, body jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    app applications := lock_paid_case((SELECT l.application_id FROM decision_lines l WHERE l.id = line));
    made uuid := (body->>'id')::uuid;
    amount bigint := (body->>'amount_ore')::bigint;
    agency uuid := (body->>'payee_agency_id')::uuid;
    sources jsonb;
    codes text[];
BEGIN
    IF agency IS NOT NULL AND NOT EXISTS (SELECT FROM agencies a WHERE a.id = agency) THEN
        PERFORM refuse_member('/payee/agency_id', 'reference_unknown');
    END IF;
    codes := payment_gates(line, '{}') || array_remove(ARRAY[
        CASE WHEN caller_is_our_machine() THEN 'natural_person_required' END,
        CASE WHEN app.protected AND body->>'payee_kind' = 'applicant' THEN 'payee_protected' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    sources := (SELECT jsonb_agg(s) FROM split_payment(line, amount, body->'sources') s);
    codes := payment_gates(line, ARRAY(SELECT (s->>'account_id')::uuid FROM jsonb_array_elements(sources) s));
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    INSERT INTO disbursements (id, application_id, amount_ore, due_on, approvals_needed)
    VALUES (made, app.id, amount, coalesce((body->>'due_on')::date, today()),
        count_approvals(line, amount, body->>'payee_kind', agency));
    INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, method, payee_kind, payee_agency_id, sealed)
    VALUES (made, app.id, line, app.protected, body->>'method', body->>'payee_kind', agency, (body->>'sealed')::bytea);
    INSERT INTO disbursement_sources (disbursement_id, account_id, amount_ore)
    SELECT made, s.account_id, s.amount_ore FROM jsonb_to_recordset(sources) AS s (account_id uuid, amount_ore bigint);
    PERFORM vault.store(body, app.person_id);
    PERFORM emit(made, NULL, app.protected);
END $$;

-- POST /decision-lines/{id}/disbursements
CREATE FUNCTION create_disbursement(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM order_payment(subject, body);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM disbursement_bodies v WHERE v.id = (create_disbursement.body->>'id')::uuid;
END $$;

-- Approving and cancelling ---------------------------------------------------------------------------------------------
-- A disbursement and its case, locked in that order's order.
CREATE FUNCTION lock_disbursement(disbursement uuid, expected int) RETURNS disbursements LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_paid_case((SELECT d.application_id FROM disbursements d WHERE d.id = disbursement));
    locked disbursements;
BEGIN
    SELECT d.* INTO locked FROM disbursements d WHERE d.id = disbursement FOR UPDATE;
    IF locked.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN locked;
END $$;

CREATE FUNCTION approve_payment(disbursement uuid, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked disbursements := lock_disbursement(disbursement, expected);
    of_case disbursement_cases;
    codes text[];
    needed int;
BEGIN
    SELECT c.* INTO of_case FROM disbursement_cases c WHERE c.disbursement_id = disbursement;
    codes := array_remove(ARRAY[
        CASE WHEN locked.status <> 'planned' THEN 'wrong_status=' || locked.status END,
        CASE WHEN caller() = of_case.ordered_by OR caller() = (SELECT e.decided_by FROM decisions e JOIN decision_lines l
            ON l.decision_id = e.id WHERE l.id = of_case.line_id) THEN 'four_eyes_required' END,
        CASE WHEN EXISTS (SELECT FROM disbursement_approvals a WHERE a.disbursement_id = disbursement AND a.approved_by = caller())
            THEN 'approved_already' END,
        CASE WHEN of_case.protected AND of_case.payee_kind = 'applicant' THEN 'payee_protected' END,
        CASE WHEN caller_is_our_machine() THEN 'natural_person_required' END], NULL)
        || payment_gates(of_case.line_id, ARRAY(SELECT s.account_id FROM disbursement_sources s WHERE s.disbursement_id = disbursement));
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    -- Counted again: another may have certified since, and the house may have become stricter.
    needed := greatest(locked.approvals_needed,
        count_approvals(of_case.line_id, locked.amount_ore, of_case.payee_kind, of_case.payee_agency_id));
    INSERT INTO disbursement_approvals (disbursement_id) VALUES (disbursement);
    UPDATE disbursements d SET approvals_needed = needed, version = d.version + 1, updated_at = now(),
        status = CASE WHEN (SELECT count(*) FROM disbursement_approvals a WHERE a.disbursement_id = d.id) >= needed
            THEN 'approved' ELSE 'planned' END
    WHERE d.id = disbursement;
    PERFORM emit(disbursement, NULL, of_case.protected);
END $$;

-- POST /disbursements/{id}/approve
CREATE FUNCTION approve_disbursement(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM approve_payment(subject, version);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM disbursement_bodies v WHERE v.id = subject;
END $$;

CREATE FUNCTION cancel_payment(disbursement uuid, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked disbursements := lock_disbursement(disbursement, expected);
    of_case disbursement_cases;
    codes text[];
BEGIN
    SELECT c.* INTO of_case FROM disbursement_cases c WHERE c.disbursement_id = disbursement;
    codes := array_remove(ARRAY[
        CASE WHEN locked.status NOT IN ('planned', 'approved') THEN 'wrong_status=' || locked.status END,
        CASE WHEN NOT caller_is_fund() AND caller() <> of_case.ordered_by THEN 'not_ordered_by_you' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    UPDATE disbursements d SET status = 'cancelled', version = d.version + 1, updated_at = now() WHERE d.id = disbursement;
    PERFORM emit(disbursement, NULL, of_case.protected);
END $$;

-- POST /disbursements/{id}/cancel
CREATE FUNCTION cancel_disbursement(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cancel_payment(subject, version);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM disbursement_bodies v WHERE v.id = subject;
END $$;

-- Payment files --------------------------------------------------------------------------------------------------------
-- Whether the caller makes files of this case's payments: the fund's people of those whom nobody must not find, and whoever is
-- on all the lists of a protected case of its payments.
CREATE FUNCTION caller_pays_case(a applications) RETURNS boolean LANGUAGE sql STABLE
    RETURN CASE WHEN caller_is_fund() THEN NOT a.protected
        WHEN a.protected THEN caller_sees_case(a.id, a.person_id) ELSE false END;

-- The cases whose payments may go now, held so that nobody reconsiders them meanwhile; those in somebody's hands wait for the
-- next file.
CREATE FUNCTION share_payable_cases() RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE waiting uuid[] := ARRAY(SELECT DISTINCT d.application_id FROM disbursements d WHERE d.status = 'approved');
BEGIN
    RETURN ARRAY(SELECT a.id FROM applications a WHERE a.id = ANY (waiting) AND caller_pays_case(a)
                 ORDER BY a.id FOR SHARE SKIP LOCKED);
END $$;

CREATE FUNCTION collect_payments(pay_on date) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    most CONSTANT int := 1000;                       -- the others are in the next file
    cases uuid[] := share_payable_cases();
    chosen uuid[];
    made uuid;
BEGIN
    chosen := ARRAY(
        SELECT d.id FROM disbursements d JOIN disbursement_cases c ON c.disbursement_id = d.id
        WHERE d.status = 'approved' AND d.application_id = ANY (cases) AND d.due_on <= collect_payments.pay_on
          AND NOT (c.protected AND c.payee_kind = 'applicant') -- who became protected after it was ordered
          AND payment_gates(c.line_id, ARRAY(SELECT s.account_id FROM disbursement_sources s WHERE s.disbursement_id = d.id)) = '{}'
        ORDER BY d.id LIMIT most FOR UPDATE OF d SKIP LOCKED);
    IF chosen = '{}' THEN
        PERFORM refuse_gates('{nothing_to_pay}');
    END IF;
    INSERT INTO payment_files (pay_on, protected, payments, total_ore)
    SELECT collect_payments.pay_on, NOT caller_is_fund(), count(*), sum(d.amount_ore) FROM disbursements d WHERE d.id = ANY (chosen)
    RETURNING id INTO made;
    INSERT INTO payment_file_rows (file_id, disbursement_id, position)
    SELECT made, d.id, row_number() OVER (ORDER BY d.voucher) FROM disbursements d WHERE d.id = ANY (chosen);
    UPDATE disbursements d SET status = 'sent', file_id = made, version = d.version + 1, updated_at = now() WHERE d.id = ANY (chosen);
    PERFORM emit(made, NULL, NOT caller_is_fund());
    RETURN made;
END $$;

-- POST /payment-files
CREATE FUNCTION create_payment_file(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE made uuid := collect_payments((body->>'pay_on')::date);
BEGIN
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM payment_file_bodies v WHERE v.id = made;
END $$;

-- The results that the bank told, as rows; refuses what the file does not hold.
CREATE FUNCTION read_results(file uuid, results jsonb) RETURNS TABLE (disbursement_id uuid, outcome text, actual_ore bigint)
    LANGUAGE plpgsql AS $$
DECLARE result record;
BEGIN
    FOR result IN SELECT (r.value->>'disbursement_id')::uuid AS id, r.value->>'outcome' AS became,
                      (r.value->>'actual_ore')::bigint AS actual, d.amount_ore, f.outcome AS known, f.file_id, r.at,
                      count(*) OVER (PARTITION BY r.value->>'disbursement_id') AS times
                  FROM jsonb_array_elements(results) WITH ORDINALITY AS r (value, at)
                  LEFT JOIN payment_file_rows f ON f.file_id = file AND f.disbursement_id = (r.value->>'disbursement_id')::uuid
                  LEFT JOIN disbursements d ON d.id = f.disbursement_id ORDER BY r.at LOOP
        IF result.file_id IS NULL THEN
            PERFORM refuse_member(format('/results/%s/disbursement_id', result.at - 1), 'reference_unknown');
        ELSIF result.times > 1 THEN
            PERFORM refuse_member(format('/results/%s/disbursement_id', result.at - 1), 'disbursement_repeated');
        ELSIF result.known IS NOT NULL THEN
            PERFORM refuse_gates('{confirmed_already}');
        ELSIF result.actual > result.amount_ore OR result.actual IS NOT NULL AND result.became = 'failed' THEN
            PERFORM refuse_member(format('/results/%s/actual_ore', result.at - 1),
                CASE result.became WHEN 'failed' THEN 'actual_when_paid' ELSE 'above_ordered' END);
        END IF;
        RETURN QUERY SELECT result.id, result.became, coalesce(result.actual, result.amount_ore);
    END LOOP;
END $$;

CREATE FUNCTION settle_payments(file uuid, results jsonb, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked payment_files;
    told record;
    confirmed jsonb;
BEGIN
    PERFORM FROM applications a WHERE a.id = ANY (ARRAY(SELECT d.application_id FROM payment_file_rows r
        JOIN disbursements d ON d.id = r.disbursement_id WHERE r.file_id = file)) ORDER BY a.id FOR SHARE;
    SELECT f.* INTO locked FROM payment_files f WHERE f.id = file FOR UPDATE;
    IF locked.id IS NULL OR NOT caller_is_fund() AND NOT sees_payment_file(file) THEN
        PERFORM refuse_not_found();
    ELSIF locked.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    IF NOT caller_is_fund() AND NOT locked.protected THEN
        PERFORM refuse_gates('{file_of_the_fund}');
    END IF;
    confirmed := (SELECT jsonb_agg(r) FROM read_results(file, results) r);
    PERFORM FROM disbursements d WHERE d.id = ANY (ARRAY(SELECT (r->>'disbursement_id')::uuid FROM jsonb_array_elements(confirmed) r))
        ORDER BY d.id FOR UPDATE;
    PERFORM lock_for_payment(ARRAY(SELECT s.account_id FROM disbursement_sources s
        WHERE s.disbursement_id = ANY (ARRAY(SELECT (r->>'disbursement_id')::uuid FROM jsonb_array_elements(confirmed) r))));
    FOR told IN SELECT r.* FROM jsonb_to_recordset(confirmed) AS r (disbursement_id uuid, outcome text, actual_ore bigint)
                ORDER BY r.disbursement_id LOOP
        IF told.outcome = 'paid' THEN
            PERFORM pay_out(told.disbursement_id, told.actual_ore);
        END IF;
        UPDATE disbursements d SET version = d.version + 1, updated_at = now(),
            status = CASE told.outcome WHEN 'paid' THEN 'paid' ELSE 'approved' END,
            paid_ore = CASE told.outcome WHEN 'paid' THEN told.actual_ore END,
            paid_at = CASE told.outcome WHEN 'paid' THEN clock_timestamp() END,
            file_id = CASE told.outcome WHEN 'paid' THEN file END
        WHERE d.id = told.disbursement_id;
        UPDATE payment_file_rows r SET outcome = told.outcome, confirmed_by = caller(), confirmed_at = clock_timestamp()
        WHERE r.file_id = file AND r.disbursement_id = told.disbursement_id;
    END LOOP;
    UPDATE payment_files f SET version = f.version + 1, updated_at = now() WHERE f.id = file;
    PERFORM emit(file, NULL, locked.protected);
END $$;

-- POST /payment-files/{id}/confirmations
CREATE FUNCTION confirm_payments(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settle_payments(subject, body->'results', version);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM payment_file_bodies v WHERE v.id = subject;
END $$;

-- What goes into a file, a row each after the file's own, for whoever may know every payee in it; else nothing.
CREATE FUNCTION payment_file_content(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    WITH file AS (
        SELECT f.* FROM payment_files f WHERE f.id = subject AND f.payments = (
            SELECT count(*) FROM payment_file_rows r JOIN disbursement_cases c ON c.disbursement_id = r.disbursement_id
            WHERE r.file_id = f.id))
    SELECT f.id, f.version, json_build_object('message', f.message, 'pay_on', f.pay_on, 'created_at', rfc3339(f.created_at))::text, NULL::text
    FROM file f
    UNION ALL (
    SELECT d.id, d.version, json_build_object('voucher', d.voucher, 'amount_ore', d.amount_ore,
        '$seal', vault.marker('disbursements', d.id, 'sealed', k.wrapped, c.sealed))::text, NULL::text
    FROM file f JOIN payment_file_rows r ON r.file_id = f.id JOIN disbursements d ON d.id = r.disbursement_id
    JOIN disbursement_cases c ON c.disbursement_id = d.id LEFT JOIN vault.data_keys k ON k.record_id = d.id
    ORDER BY r.position)
$$;

-- Receipts and refunds -------------------------------------------------------------------------------------------------
-- POST /disbursements/{id}/receipts
CREATE FUNCTION add_receipt(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
    paid disbursements;
    app applications;
BEGIN
    SELECT d.* INTO paid FROM disbursements d WHERE d.id = subject;
    app := lock_application(paid.application_id, NULL);
    IF paid.status <> 'paid' THEN
        PERFORM refuse_gates(ARRAY['wrong_status=' || paid.status]);
    END IF;
    INSERT INTO receipts (id, disbursement_id, application_id, amount_ore, received_on, sealed)
    VALUES ((body->>'id')::uuid, subject, app.id, (body->>'amount_ore')::bigint, (body->>'received_on')::date,
        (body->>'sealed')::bytea);
    PERFORM vault.store(body, app.person_id);
    PERFORM emit((body->>'id')::uuid, NULL, app.protected);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM receipt_bodies v WHERE v.id = (add_receipt.body->>'id')::uuid;
END $$;

-- Takes money back on the accounts that paid, in the order of their ids, at most `most` of each: [{account_id, most}]. The rest
-- that they did not pay.
CREATE FUNCTION spread_back(kind text, line uuid, about uuid, amount bigint, OUT rest bigint, OUT parts jsonb) LANGUAGE plpgsql AS $$
DECLARE
    source record;
    part bigint;
BEGIN
    rest := amount;
    parts := '[]';
    FOR source IN SELECT s.account_id, CASE kind WHEN 'refund'
                      THEN least(s.paid_ore, coalesce(x.paid_ore - x.refunded_ore, 0)) ELSE s.paid_ore END AS most
                  FROM line_sources s LEFT JOIN disbursement_sources x ON x.account_id = s.account_id AND x.disbursement_id = about
                  WHERE s.line_id = line ORDER BY s.account_id LOOP
        part := least(coalesce(source.most, 0), rest);
        CONTINUE WHEN part = 0;
        parts := parts || jsonb_build_object('account_id', source.account_id, 'amount_ore', part);
        rest := rest - part;
    END LOOP;
END $$;

-- Lowers or ends a claim, in the books too.
CREATE FUNCTION give_up(recovery uuid, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM book('write_off', recovery,
        ARRAY[(account_of('claims'), 'free', amount), (account_of('receivables'), 'free', -amount)]::ledger_entry[]);
    UPDATE recoveries r SET written_off_ore = r.written_off_ore + amount, version = r.version + 1, updated_at = now()
    WHERE r.id = recovery;
END $$;

-- What came back is not owed any more: of this payment's advance, or of what was paid too much for its line.
CREATE FUNCTION lower_claims(line uuid, disbursement uuid, amount bigint, refund uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE claim record;
BEGIN
    FOR claim IN SELECT r.id, least(r.amount_ore - r.repaid_ore - r.written_off_ore, amount) AS part
                 FROM recoveries r JOIN recovery_cases c ON c.recovery_id = r.id
                 WHERE c.line_id = line AND (c.disbursement_id = disbursement OR c.kind = 'overpayment') AND r.status = 'open'
                 ORDER BY r.id LOOP
        INSERT INTO write_offs (recovery_id, amount_ore, refund_id) VALUES (claim.id, claim.part, refund);
        PERFORM give_up(claim.id, claim.part);
    END LOOP;
END $$;

CREATE FUNCTION book_refund(disbursement uuid, body jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked disbursements := lock_disbursement(disbursement, NULL);
    made uuid := (body->>'id')::uuid;
    amount bigint := (body->>'amount_ore')::bigint;
    of_case disbursement_cases;
    spread record;
    part record;
BEGIN
    SELECT c.* INTO of_case FROM disbursement_cases c WHERE c.disbursement_id = disbursement;
    IF locked.status <> 'paid' THEN
        PERFORM refuse_gates(ARRAY['wrong_status=' || locked.status]);
    END IF;
    PERFORM FROM recoveries r JOIN recovery_cases c ON c.recovery_id = r.id WHERE c.line_id = of_case.line_id ORDER BY r.id FOR UPDATE OF r;
    PERFORM lock_for_payment(ARRAY(SELECT s.account_id FROM line_sources s WHERE s.line_id = of_case.line_id));
    spread := spread_back('refund', of_case.line_id, disbursement, amount);
    IF spread.rest > 0 THEN
        PERFORM refuse_gates('{above_paid}');
    END IF;
    INSERT INTO refunds (id, disbursement_id, amount_ore, received_on, reference)
    VALUES (made, disbursement, amount, (body->>'received_on')::date, body->>'reference');
    FOR part IN SELECT p.* FROM jsonb_to_recordset(spread.parts) AS p (account_id uuid, amount_ore bigint) LOOP
        PERFORM take_back('refund', of_case.line_id, part.account_id, part.amount_ore, disbursement);
        UPDATE disbursement_sources s SET refunded_ore = s.refunded_ore + part.amount_ore
        WHERE s.disbursement_id = disbursement AND s.account_id = part.account_id;
    END LOOP;
    PERFORM lower_claims(of_case.line_id, disbursement, amount, made);
    UPDATE disbursements d SET refunded_ore = d.refunded_ore + amount, version = d.version + 1, updated_at = now()
    WHERE d.id = disbursement;
    PERFORM emit(disbursement, NULL, of_case.protected);
END $$;

-- POST /disbursements/{id}/refunds. The service gives the refund its id.
CREATE FUNCTION add_refund(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE made uuid := gen_random_uuid();
BEGIN
    PERFORM book_refund(subject, body || jsonb_build_object('id', made));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM refund_bodies v WHERE v.id = made;
END $$;

-- Recoveries -----------------------------------------------------------------------------------------------------------
CREATE FUNCTION lock_recovery(recovery uuid, expected int) RETURNS recoveries LANGUAGE plpgsql AS $$
DECLARE
    app applications := lock_paid_case((SELECT r.application_id FROM recoveries r WHERE r.id = recovery));
    locked recoveries;
BEGIN
    SELECT r.* INTO locked FROM recoveries r WHERE r.id = recovery FOR UPDATE;
    IF locked.version <> expected THEN
        PERFORM refuse_stale();
    END IF;
    RETURN locked;
END $$;

CREATE FUNCTION book_repayment(recovery uuid, body jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked recoveries := lock_recovery(recovery, NULL);
    amount bigint := (body->>'amount_ore')::bigint;
    of_case recovery_cases;
    spread record;
    part record;
BEGIN
    SELECT c.* INTO of_case FROM recovery_cases c WHERE c.recovery_id = recovery;
    IF amount > locked.amount_ore - locked.repaid_ore - locked.written_off_ore THEN
        PERFORM refuse_gates('{above_claim}');
    END IF;
    PERFORM lock_for_payment(ARRAY(SELECT s.account_id FROM line_sources s WHERE s.line_id = of_case.line_id));
    spread := spread_back('repayment', of_case.line_id, recovery, amount);
    IF spread.rest > 0 THEN
        PERFORM refuse_gates('{above_paid}');
    END IF;
    INSERT INTO repayments (id, recovery_id, amount_ore, received_on, reference)
    VALUES ((body->>'id')::uuid, recovery, amount, (body->>'received_on')::date, body->>'reference');
    FOR part IN SELECT p.* FROM jsonb_to_recordset(spread.parts) AS p (account_id uuid, amount_ore bigint) LOOP
        PERFORM take_back('repayment', of_case.line_id, part.account_id, part.amount_ore, recovery, part.amount_ore);
    END LOOP;
    UPDATE recoveries r SET repaid_ore = r.repaid_ore + amount, version = r.version + 1, updated_at = now() WHERE r.id = recovery;
    PERFORM emit(recovery, NULL, of_case.protected);
END $$;

-- POST /recoveries/{id}/repayments
CREATE FUNCTION add_repayment(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM book_repayment(subject, body || jsonb_build_object('id', gen_random_uuid()));
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM recovery_bodies v WHERE v.id = subject;
END $$;

-- Whoever decided or ordered what is owed does not forgive it.
CREATE FUNCTION book_write_off(recovery uuid, body jsonb, expected int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
DECLARE
    locked recoveries := lock_recovery(recovery, expected);
    rest bigint := locked.amount_ore - locked.repaid_ore - locked.written_off_ore;
    of_case recovery_cases;
    codes text[];
BEGIN
    SELECT c.* INTO of_case FROM recovery_cases c WHERE c.recovery_id = recovery;
    codes := array_remove(ARRAY[
        CASE WHEN locked.status <> 'open' THEN 'recovery_not_open' END,
        CASE WHEN EXISTS (SELECT FROM decisions e JOIN decision_lines l ON l.decision_id = e.id
                WHERE l.id = of_case.line_id AND e.decided_by = caller())
            OR EXISTS (SELECT FROM disbursement_cases d WHERE d.line_id = of_case.line_id AND d.ordered_by = caller())
            THEN 'four_eyes_required' END], NULL);
    IF codes <> '{}' THEN
        PERFORM refuse_gates(codes);
    END IF;
    INSERT INTO write_offs (id, recovery_id, amount_ore, sealed) VALUES ((body->>'id')::uuid, recovery, rest, (body->>'sealed')::bytea);
    PERFORM vault.store(body, (SELECT a.person_id FROM applications a WHERE a.id = locked.application_id));
    PERFORM give_up(recovery, rest);
    PERFORM emit(recovery, NULL, of_case.protected);
END $$;

-- POST /recoveries/{id}/write-off
CREATE FUNCTION write_off_recovery(subject uuid, body jsonb, version int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    PERFORM book_write_off(subject, body, version);
    RETURN QUERY SELECT v.id, v.version, v.body, NULL::text FROM recovery_bodies v WHERE v.id = subject;
END $$;

-- What is shown --------------------------------------------------------------------------------------------------------
-- What stands in the …_cases is null for whoever does not see that row, and so is all else but amount, voucher, status and
-- approvals: when it was made or is due would tell of the case too.
CREATE FUNCTION approvals_of(disbursement uuid) RETURNS json LANGUAGE sql STABLE
    RETURN (SELECT coalesce(json_agg(json_build_object('approved_by', a.approved_by, 'approved_at', rfc3339(a.approved_at))
        ORDER BY a.approved_at, a.approved_by), '[]') FROM disbursement_approvals a WHERE a.disbursement_id = disbursement);

CREATE VIEW disbursement_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.status, d.due_on, d.created_at,
        CASE WHEN c.disbursement_id IS NULL THEN json_build_object('id', d.id, 'voucher', d.voucher, 'amount_ore', d.amount_ore,
            'status', d.status, 'approvals', approvals_of(d.id), 'approvals_needed', NULL, 'application_id', NULL, 'line_id', NULL,
            'payee_kind', NULL, 'method', NULL, 'sources', NULL, 'due_on', NULL, 'ordered_by', NULL, 'paid_ore', NULL,
            'paid_at', NULL, 'refunded_ore', NULL, 'payment_file_id', NULL, 'created_at', NULL, 'updated_at', NULL,
            'version', d.version)
        ELSE json_build_object('id', d.id, 'voucher', d.voucher, 'amount_ore', d.amount_ore,
            'status', d.status, 'approvals', approvals_of(d.id), 'approvals_needed', d.approvals_needed,
            'application_id', c.application_id, 'line_id', c.line_id, 'payee_kind', c.payee_kind, 'method', c.method,
            'sources', (SELECT json_agg(json_build_object('account_id', s.account_id, 'amount_ore', s.amount_ore, 'paid_ore', s.paid_ore)
                ORDER BY s.account_id) FROM disbursement_sources s WHERE s.disbursement_id = d.id),
            'due_on', d.due_on, 'ordered_by', c.ordered_by, 'paid_ore', d.paid_ore, 'paid_at', rfc3339(d.paid_at),
            'refunded_ore', d.refunded_ore, 'payment_file_id', d.file_id,
            'created_at', rfc3339(d.created_at), 'updated_at', rfc3339(d.updated_at), 'version', d.version,
            '$seal', vault.marker('disbursements', d.id, 'sealed', k.wrapped, c.sealed)) END::text AS body
    FROM disbursements d LEFT JOIN disbursement_cases c ON c.disbursement_id = d.id
    LEFT JOIN vault.data_keys k ON k.record_id = c.disbursement_id;

-- Those of an application, for whoever sees it.
CREATE VIEW application_disbursement_bodies WITH (security_invoker = true) AS
    SELECT d.id, d.version, d.application_id AS parent_id, d.status, d.due_on, d.created_at,
        (SELECT b.body FROM disbursement_bodies b WHERE b.id = d.id) AS body
    FROM disbursements d;

CREATE VIEW payment_file_summaries WITH (security_invoker = true) AS
    SELECT f.id, f.version, f.created_at,
        json_build_object('id', f.id, 'reference', f.message, 'pay_on', f.pay_on, 'payments', f.payments, 'total_ore', f.total_ore,
            'made_by', f.made_by, 'created_at', rfc3339(f.created_at), 'updated_at', rfc3339(f.updated_at), 'version', f.version)::text AS body
    FROM payment_files f;

CREATE VIEW payment_file_bodies WITH (security_invoker = true) AS
    SELECT f.id, f.version, f.created_at,
        json_build_object('id', f.id, 'reference', f.message, 'pay_on', f.pay_on, 'payments', f.payments, 'total_ore', f.total_ore,
            'rows', (SELECT json_agg(json_build_object('disbursement_id', d.id, 'voucher', d.voucher, 'amount_ore', d.amount_ore,
                    'outcome', r.outcome, 'confirmed_at', rfc3339(r.confirmed_at)) ORDER BY r.position)
                FROM payment_file_rows r JOIN disbursements d ON d.id = r.disbursement_id WHERE r.file_id = f.id),
            'made_by', f.made_by, 'created_at', rfc3339(f.created_at), 'updated_at', rfc3339(f.updated_at), 'version', f.version)::text AS body
    FROM payment_files f;

CREATE VIEW receipt_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.disbursement_id AS parent_id, r.created_at,
        json_build_object('id', r.id, 'disbursement_id', r.disbursement_id, 'amount_ore', r.amount_ore, 'received_on', r.received_on,
            'recorded_by', r.recorded_by, 'created_at', rfc3339(r.created_at), 'version', r.version,
            '$seal', vault.marker('receipts', r.id, 'sealed', k.wrapped, r.sealed))::text AS body
    FROM receipts r LEFT JOIN vault.data_keys k ON k.record_id = r.id;

CREATE VIEW refund_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.disbursement_id AS parent_id, r.created_at,
        json_build_object('id', r.id, 'disbursement_id', r.disbursement_id, 'amount_ore', r.amount_ore, 'received_on', r.received_on,
            'reference', r.reference, 'registered_by', r.registered_by, 'created_at', rfc3339(r.created_at), 'version', r.version)::text AS body
    FROM refunds r;

CREATE VIEW recovery_bodies WITH (security_invoker = true) AS
    SELECT r.id, r.version, r.status, r.created_at,
        json_build_object('id', r.id, 'voucher', r.voucher, 'amount_ore', r.amount_ore, 'repaid_ore', r.repaid_ore,
            'written_off_ore', r.written_off_ore, 'status', r.status, 'kind', c.kind, 'body_code', c.body_code,
            'application_id', c.application_id, 'line_id', c.line_id, 'disbursement_id', c.disbursement_id,
            'repayments', (SELECT coalesce(json_agg(json_build_object('id', p.id, 'amount_ore', p.amount_ore, 'received_on', p.received_on,
                    'reference', p.reference) ORDER BY p.created_at, p.id), '[]') FROM repayments p WHERE p.recovery_id = r.id),
            'write_offs', (SELECT coalesce(json_agg(json_build_object('id', w.id, 'amount_ore', w.amount_ore, 'refund_id', w.refund_id,
                    'written_off_by', w.written_off_by, 'written_off_at', rfc3339(w.created_at),
                    '$seal', vault.marker('write_offs', w.id, 'sealed', k.wrapped, w.sealed)) ORDER BY w.created_at, w.id), '[]')
                FROM write_offs w LEFT JOIN vault.data_keys k ON k.record_id = w.id WHERE w.recovery_id = r.id),
            'created_at', CASE WHEN c.recovery_id IS NOT NULL THEN rfc3339(r.created_at) END,
            'updated_at', CASE WHEN c.recovery_id IS NOT NULL THEN rfc3339(r.updated_at) END, 'version', r.version)::text AS body
    FROM recoveries r LEFT JOIN recovery_cases c ON c.recovery_id = r.id;

-- Who may ----------------------------------------------------------------------------------------------------------------
GRANT INSERT ON receipts TO utvag_case;
CREATE POLICY of_seen_applications_added ON receipts FOR INSERT TO utvag_case
    WITH CHECK (sees_application(application_id) AND recorded_by = (SELECT caller()));
GRANT SELECT ON write_offs TO utvag_finance, utvag_auditor;
CREATE POLICY read_all ON write_offs FOR SELECT TO utvag_finance, utvag_auditor USING (true);

GRANT SELECT ON disbursement_bodies, payment_file_summaries, payment_file_bodies, refund_bodies, recovery_bodies
    TO utvag_case, utvag_finance, utvag_auditor;
GRANT SELECT ON application_disbursement_bodies, receipt_bodies TO utvag_case;
GRANT EXECUTE ON FUNCTION approvals_of TO utvag_case, utvag_finance, utvag_auditor;
GRANT EXECUTE ON FUNCTION order_payment, create_disbursement, add_receipt, book_write_off, write_off_recovery TO utvag_case;
GRANT EXECUTE ON FUNCTION approve_payment, approve_disbursement, book_refund, add_refund, book_repayment, add_repayment TO utvag_finance;
GRANT EXECUTE ON FUNCTION cancel_payment, cancel_disbursement, collect_payments, create_payment_file, settle_payments,
    confirm_payments, payment_file_content TO utvag_case, utvag_finance;

CALL guard_tables();
