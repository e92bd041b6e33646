-- Payments: what is ordered of a decision's line, who approved it, the files that carry it to the bank and what became of it
-- there; receipts and money that came back; and claims on those who owe what the charity paid.
--
-- The fund's people see what concerns a protected person as an amount and a voucher number, and nothing else: what tells more
-- stands in a table of its own beside (…_cases), whose rows of such cases they do not see. Columns that they have no grant on
-- tell the policies of the others whose case it is.
--
-- Locks are taken in this order: the application, the payment file, disbursements and recoveries by id, accounts, gifts.

SET LOCAL ROLE utvag_owner;

-- The payment files ----------------------------------------------------------------------------------------------------
CREATE TABLE payment_files (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    message text NOT NULL DEFAULT upper(left(replace(gen_random_uuid()::text, '-', ''), 16)) CONSTRAINT message_taken UNIQUE,
    pay_on date NOT NULL,
    protected boolean NOT NULL,                      -- of protected persons: made by one who is on their lists
    payments int NOT NULL,
    total_ore bigint NOT NULL,
    made_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payment_files_in_order ON payment_files (created_at, id);
CREATE INDEX payment_files_by_protection ON payment_files (protected, created_at, id);

-- Disbursements --------------------------------------------------------------------------------------------------------
CREATE TABLE disbursements (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    -- What the payment is called at the bank.
    voucher text NOT NULL DEFAULT upper(left(replace(gen_random_uuid()::text, '-', ''), 12))
        CONSTRAINT disbursement_voucher_taken UNIQUE,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    status text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'approved', 'sent', 'paid', 'cancelled')),
    due_on date NOT NULL,
    approvals_needed int NOT NULL CHECK (approvals_needed BETWEEN 0 AND 2),
    paid_ore bigint,                                 -- abroad it may be less than what was ordered
    paid_at timestamptz,
    refunded_ore bigint NOT NULL DEFAULT 0,
    file_id uuid REFERENCES payment_files,           -- that it is in, or was paid by
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT paid_when_paid CHECK ((status = 'paid') = (paid_ore IS NOT NULL) AND (status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT above_ordered CHECK (paid_ore BETWEEN 1 AND amount_ore),
    CONSTRAINT above_paid CHECK (refunded_ore BETWEEN 0 AND coalesce(paid_ore, 0)),
    CONSTRAINT unsent_in_no_file CHECK (status NOT IN ('planned', 'approved', 'cancelled') OR file_id IS NULL),
    CONSTRAINT sent_in_file CHECK (status <> 'sent' OR file_id IS NOT NULL)
);
CREATE INDEX disbursements_in_order ON disbursements (created_at, id);
CREATE INDEX disbursements_by_status ON disbursements (status, created_at, id);
CREATE INDEX disbursements_by_due ON disbursements (due_on, created_at, id);
CREATE INDEX disbursements_by_application ON disbursements (application_id, created_at, id);
CREATE INDEX disbursements_by_file ON disbursements (file_id);

-- Of what and to whom.
CREATE TABLE disbursement_cases (
    disbursement_id uuid PRIMARY KEY REFERENCES disbursements,
    application_id uuid NOT NULL REFERENCES applications,
    line_id uuid NOT NULL REFERENCES decision_lines,
    protected boolean NOT NULL,
    ordered_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    method text NOT NULL CHECK (method IN ('bankgiro', 'plusgiro', 'account', 'foreign', 'at_once')),
    payee_kind text NOT NULL CHECK (payee_kind IN ('vendor', 'ombud', 'agency', 'applicant')),
    payee_agency_id uuid CONSTRAINT payee_agency_unknown REFERENCES agencies,
    sealed bytea,                                    -- payee and number; of what was paid at once, the grant has them
    CONSTRAINT only_agencies_have_ids CHECK (payee_kind = 'agency' OR payee_agency_id IS NULL),
    CONSTRAINT payee_is_told CHECK ((method = 'at_once') = (sealed IS NULL))
);
CREATE INDEX disbursement_cases_by_line ON disbursement_cases (line_id);
CREATE INDEX disbursement_cases_by_application ON disbursement_cases (application_id);

CREATE TABLE disbursement_sources (
    disbursement_id uuid NOT NULL REFERENCES disbursements,
    account_id uuid NOT NULL REFERENCES accounts,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    paid_ore bigint NOT NULL DEFAULT 0,
    refunded_ore bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (disbursement_id, account_id),
    CONSTRAINT above_ordered CHECK (paid_ore BETWEEN 0 AND amount_ore),
    CONSTRAINT above_paid CHECK (refunded_ore BETWEEN 0 AND paid_ore)
);
CREATE INDEX disbursement_sources_by_account ON disbursement_sources (account_id);

CREATE TABLE disbursement_approvals (
    disbursement_id uuid NOT NULL REFERENCES disbursements,
    approved_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    approved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT approved_already PRIMARY KEY (disbursement_id, approved_by)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON disbursement_approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A file says for ever what it said; a payment is in one file at a time, and in another only when the bank could not pay it.
CREATE TABLE payment_file_rows (
    file_id uuid NOT NULL REFERENCES payment_files,
    disbursement_id uuid NOT NULL REFERENCES disbursements,
    position int NOT NULL,
    outcome text CHECK (outcome IN ('paid', 'failed')),
    confirmed_by uuid REFERENCES principals,
    confirmed_at timestamptz,
    PRIMARY KEY (file_id, disbursement_id),
    CONSTRAINT confirmed_by_someone CHECK (num_nonnulls(outcome, confirmed_by, confirmed_at) IN (0, 3))
);
CREATE UNIQUE INDEX in_one_file_at_a_time ON payment_file_rows (disbursement_id) WHERE outcome IS NULL OR outcome = 'paid';

CREATE FUNCTION keep_disbursement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (OLD.id, OLD.application_id, OLD.voucher, OLD.amount_ore, OLD.due_on, OLD.created_at)
        IS DISTINCT FROM (NEW.id, NEW.application_id, NEW.voucher, NEW.amount_ore, NEW.due_on, NEW.created_at)
        OR OLD.paid_ore <> NEW.paid_ore OR OLD.refunded_ore > NEW.refunded_ore OR OLD.approvals_needed > NEW.approvals_needed
        OR OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (('planned', 'approved'), ('planned', 'cancelled'),
            ('approved', 'cancelled'), ('approved', 'sent'), ('sent', 'paid'), ('sent', 'approved')) THEN
        RAISE EXCEPTION 'a disbursement goes its way, and is never edited';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_edited BEFORE UPDATE OR DELETE ON disbursements FOR EACH ROW EXECUTE FUNCTION keep_disbursement();

-- Receipts, and money back ---------------------------------------------------------------------------------------------
CREATE TABLE receipts (
    id uuid PRIMARY KEY,
    disbursement_id uuid NOT NULL REFERENCES disbursements,
    application_id uuid NOT NULL REFERENCES applications,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    received_on date NOT NULL,
    recorded_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    sealed bytea,                                    -- what it is of
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX receipts_by_disbursement ON receipts (disbursement_id, created_at, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- reference: the bank's own, so that what came back once is booked once.
CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    disbursement_id uuid NOT NULL REFERENCES disbursements,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    received_on date NOT NULL,
    reference text NOT NULL CONSTRAINT refund_reference_taken UNIQUE,
    registered_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX refunds_by_disbursement ON refunds (disbursement_id, created_at, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refunds FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Recoveries -----------------------------------------------------------------------------------------------------------
CREATE TABLE recoveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    application_id uuid NOT NULL REFERENCES applications,
    voucher text NOT NULL DEFAULT upper(left(replace(gen_random_uuid()::text, '-', ''), 12))
        CONSTRAINT recovery_voucher_taken UNIQUE,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    repaid_ore bigint NOT NULL DEFAULT 0,
    written_off_ore bigint NOT NULL DEFAULT 0,
    status text NOT NULL GENERATED ALWAYS AS (CASE WHEN repaid_ore + written_off_ore < amount_ore THEN 'open'
        WHEN written_off_ore > 0 THEN 'written_off' ELSE 'repaid' END) STORED,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT above_claim CHECK (repaid_ore >= 0 AND written_off_ore >= 0 AND repaid_ore + written_off_ore <= amount_ore)
);
CREATE INDEX recoveries_in_order ON recoveries (created_at, id);
CREATE INDEX recoveries_by_status ON recoveries (status, created_at, id);
CREATE INDEX recoveries_by_application ON recoveries (application_id, created_at, id);

-- An advance is owed by the body that is obliged; what was paid above the decision that stands now, by whoever got it.
CREATE TABLE recovery_cases (
    recovery_id uuid PRIMARY KEY REFERENCES recoveries,
    application_id uuid NOT NULL REFERENCES applications,
    line_id uuid NOT NULL REFERENCES decision_lines,
    disbursement_id uuid REFERENCES disbursements,   -- of an advance
    protected boolean NOT NULL,
    kind text NOT NULL CHECK (kind IN ('advance', 'overpayment')),
    body_code text
);
CREATE INDEX recovery_cases_by_line ON recovery_cases (line_id);
CREATE INDEX recovery_cases_by_disbursement ON recovery_cases (disbursement_id);
CREATE INDEX recovery_cases_by_application ON recovery_cases (application_id);

CREATE TABLE repayments (
    id uuid PRIMARY KEY,
    recovery_id uuid NOT NULL REFERENCES recoveries,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    received_on date NOT NULL,
    reference text NOT NULL CONSTRAINT repayment_reference_taken UNIQUE,
    registered_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX repayments_by_recovery ON repayments (recovery_id, created_at, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON repayments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is given up, and why; or what is not owed any more, since the payment that it was for came back (refund_id).
CREATE TABLE write_offs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    recovery_id uuid NOT NULL REFERENCES recoveries,
    amount_ore bigint NOT NULL CONSTRAINT amount_not_positive CHECK (amount_ore > 0),
    refund_id uuid REFERENCES refunds,
    written_off_by uuid NOT NULL DEFAULT caller() REFERENCES principals,
    sealed bytea,                                    -- the reason
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT reason_or_refund CHECK ((sealed IS NULL) = (refund_id IS NOT NULL))
);
CREATE INDEX write_offs_by_recovery ON write_offs (recovery_id, created_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON write_offs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Protection follows the case. Whoever adds a row has the application locked.
CREATE FUNCTION follow_case_protection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    UPDATE disbursement_cases SET protected = NEW.protected WHERE application_id = NEW.id;
    UPDATE recovery_cases SET protected = NEW.protected WHERE application_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER protection_to_payments AFTER UPDATE OF protected ON applications
    FOR EACH ROW WHEN (OLD.protected <> NEW.protected) EXECUTE FUNCTION follow_case_protection();

-- What other parts of the ledger call, as its owner --------------------------------------------------------------------

-- Öre that lines hold of each account and that no payment is ordered of.
CREATE FUNCTION line_left(line uuid) RETURNS TABLE (account_id uuid, left_ore bigint) LANGUAGE sql STABLE AS $$
    SELECT s.account_id, s.reserved_ore - coalesce((
        SELECT sum(x.amount_ore) FROM disbursement_cases c JOIN disbursements d ON d.id = c.disbursement_id
        JOIN disbursement_sources x ON x.disbursement_id = d.id
        WHERE c.line_id = s.line_id AND x.account_id = s.account_id AND d.status IN ('planned', 'approved', 'sent')), 0)
    FROM line_sources s WHERE s.line_id = line
$$;

-- Whether a payment of the case is under way: what withdraws, dismisses or closes it waits for that.
CREATE FUNCTION has_unpaid(application uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT EXISTS (SELECT FROM disbursements d
                   WHERE d.application_id = application AND d.status IN ('planned', 'approved', 'sent'))
$$;

-- Cancels what is ordered and not sent of lines that will not stand, all of one decision at once; what is at the bank stops
-- the caller. The application is locked, and no account is yet.
CREATE FUNCTION cancel_unpaid(lines uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    of_lines uuid[] := ARRAY(SELECT c.disbursement_id FROM disbursement_cases c WHERE c.line_id = ANY (lines));
BEGIN
    PERFORM FROM disbursements d WHERE d.id = ANY (of_lines) ORDER BY d.id FOR UPDATE;
    IF EXISTS (SELECT FROM disbursements d WHERE d.id = ANY (of_lines) AND d.status = 'sent') THEN
        PERFORM refuse_gates('{payment_sent}');
    END IF;
    UPDATE disbursements d SET status = 'cancelled', version = d.version + 1, updated_at = now()
    WHERE d.id = ANY (of_lines) AND d.status IN ('planned', 'approved');
END $$;
CREATE FUNCTION cancel_unpaid(line uuid) RETURNS void LANGUAGE sql AS 'SELECT cancel_unpaid(ARRAY[line])';

-- Opens a claim on the body that is obliged (advance) or on whoever was paid too much (overpayment). The application is
-- locked. The recovery's id.
CREATE FUNCTION open_claim(line uuid, kind text, amount bigint, disbursement uuid DEFAULT NULL) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE made uuid := gen_random_uuid();
BEGIN
    INSERT INTO recoveries (id, application_id, amount_ore)
    SELECT made, l.application_id, amount FROM decision_lines l WHERE l.id = line;
    INSERT INTO recovery_cases (recovery_id, application_id, line_id, disbursement_id, protected, kind, body_code)
    SELECT made, l.application_id, l.id, disbursement, a.protected, open_claim.kind,
        CASE WHEN open_claim.kind = 'advance' THEN (SELECT o.body_code FROM obligation_assessments o
            WHERE o.need_id = l.need_id ORDER BY o.created_at DESC, o.id DESC LIMIT 1) END
    FROM decision_lines l JOIN applications a ON a.id = l.application_id WHERE l.id = line;
    PERFORM book('claim', made, ARRAY[(account_of('receivables'), 'free', amount), (account_of('claims'), 'free', -amount)]::ledger_entry[]);
    RETURN made;
END $$;

-- Every account that paying from these touches, in one go.
CREATE FUNCTION lock_for_payment(from_accounts uuid[]) RETURNS void LANGUAGE sql AS $$
    SELECT lock_accounts(from_accounts || ARRAY[account_of('bank'), account_of('receivables'), account_of('claims')])
$$;

-- Pays what a disbursement was ordered for, or less abroad: its sources in the order of their ids until the amount is met.
-- Its row, its application and every account are locked.
CREATE FUNCTION pay_out(disbursement uuid, actual bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source disbursement_sources;
    rest bigint := actual;
    part bigint;
    line decision_lines;
BEGIN
    SELECT l.* INTO line FROM disbursement_cases c JOIN decision_lines l ON l.id = c.line_id WHERE c.disbursement_id = disbursement;
    FOR source IN SELECT * FROM disbursement_sources s WHERE s.disbursement_id = disbursement ORDER BY s.account_id LOOP
        part := least(source.amount_ore, rest);
        EXIT WHEN part = 0;
        PERFORM pay(line.id, source.account_id, part, disbursement);
        UPDATE disbursement_sources s SET paid_ore = part
        WHERE s.disbursement_id = disbursement AND s.account_id = source.account_id;
        rest := rest - part;
    END LOOP;
    IF rest <> 0 THEN
        RAISE EXCEPTION 'disbursement % has not the sources for what was paid', disbursement;
    ELSIF line.as_advance THEN
        PERFORM open_claim(line.id, 'advance', actual, disbursement);
    END IF;
END $$;

-- Pays at once all that is reserved for a line: an emergency grant's, whose payee the grant names. The application is locked.
-- The disbursement's id.
CREATE FUNCTION pay_at_once(line uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made uuid := gen_random_uuid();
    total bigint := (SELECT sum(l.left_ore) FROM line_left(line) l);
BEGIN
    INSERT INTO disbursements (id, application_id, amount_ore, status, due_on, approvals_needed, paid_ore, paid_at)
    SELECT made, l.application_id, total, 'paid', today(), 0, total, clock_timestamp() FROM decision_lines l WHERE l.id = line;
    INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, method, payee_kind)
    SELECT made, l.application_id, l.id, a.protected, 'at_once', 'vendor'
    FROM decision_lines l JOIN applications a ON a.id = l.application_id WHERE l.id = line;
    INSERT INTO disbursement_sources (disbursement_id, account_id, amount_ore)
    SELECT made, l.account_id, l.left_ore FROM line_left(line) l WHERE l.left_ore > 0;
    PERFORM lock_for_payment(ARRAY(SELECT s.account_id FROM disbursement_sources s WHERE s.disbursement_id = made));
    PERFORM pay_out(made, total);
    RETURN made;
END $$;

-- Code lists -----------------------------------------------------------------------------------------------------------
INSERT INTO code_lists (list, label_sv, label_en) VALUES
    ('disbursement-statuses', 'Utbetalningens status', 'Statuses of a disbursement'),
    ('payee-kinds', 'Betalningsmottagare', 'Payees'),
    ('payment-methods', 'Betalningssätt', 'Methods of payment'),
    ('recovery-kinds', 'Återkrav', 'Claims'),
    ('recovery-statuses', 'Återkravets status', 'Statuses of a claim');
INSERT INTO code_items (list, position, code, label_sv, label_en) VALUES
    ('disbursement-statuses', 1, 'planned', 'Planerad', 'Planned'),
    ('disbursement-statuses', 2, 'approved', 'Attesterad', 'Approved'),
    ('disbursement-statuses', 3, 'sent', 'Skickad till banken', 'Sent to the bank'),
    ('disbursement-statuses', 4, 'paid', 'Betald', 'Paid'),
    ('disbursement-statuses', 5, 'cancelled', 'Makulerad', 'Cancelled'),
    ('payee-kinds', 1, 'vendor', 'Leverantör', 'Vendor'),
    ('payee-kinds', 2, 'ombud', 'Ombud', 'Representative (ombud)'),
    ('payee-kinds', 3, 'agency', 'Myndighet eller organisation', 'Agency'),
    ('payee-kinds', 4, 'applicant', 'Den sökande', 'The applicant'),
    ('payment-methods', 1, 'bankgiro', 'Bankgiro', 'Bankgiro'),
    ('payment-methods', 2, 'plusgiro', 'Plusgiro', 'Plusgiro'),
    ('payment-methods', 3, 'account', 'Bankkonto', 'Bank account'),
    ('payment-methods', 4, 'foreign', 'Till utlandet', 'Abroad'),
    ('payment-methods', 5, 'at_once', 'Betald vid akut stöd', 'Paid with an emergency grant'),
    ('recovery-kinds', 1, 'advance', 'Förskott för samhället', 'Advance for society'),
    ('recovery-kinds', 2, 'overpayment', 'För mycket utbetalt', 'Overpayment'),
    ('recovery-statuses', 1, 'open', 'Öppet', 'Open'),
    ('recovery-statuses', 2, 'repaid', 'Återbetalt', 'Repaid'),
    ('recovery-statuses', 3, 'written_off', 'Avskrivet', 'Written off');

-- Who may see ----------------------------------------------------------------------------------------------------------
GRANT USAGE ON SCHEMA vault TO utvag_finance, utvag_auditor;
GRANT SELECT ON disbursements, disbursement_cases, disbursement_sources, disbursement_approvals, payment_files, payment_file_rows,
    receipts, refunds, recoveries, recovery_cases, repayments, write_offs TO utvag_case;
GRANT SELECT (id, voucher, amount_ore, status, due_on, approvals_needed, paid_ore, paid_at, refunded_ore, file_id, version,
    created_at, updated_at) ON disbursements TO utvag_finance, utvag_auditor;
GRANT SELECT (id, voucher, amount_ore, repaid_ore, written_off_ore, status, version, created_at, updated_at) ON recoveries
    TO utvag_finance, utvag_auditor;
GRANT SELECT ON disbursement_cases, disbursement_sources, disbursement_approvals, payment_files, payment_file_rows, refunds,
    recovery_cases, repayments TO utvag_finance, utvag_auditor;

-- Seen with the disbursement or the recovery. Called for each row, on purpose, as sees_application is.
CREATE FUNCTION sees_disbursement(disbursement uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM disbursements d WHERE d.id = disbursement);
END $$;
-- Whether the caller may know what it is about.
CREATE FUNCTION sees_disbursement_case(disbursement uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM disbursement_cases c WHERE c.disbursement_id = disbursement);
END $$;
CREATE FUNCTION sees_recovery(recovery uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM recoveries r WHERE r.id = recovery);
END $$;
-- A file of protected persons' payments is there for whoever is on all their lists.
CREATE FUNCTION sees_payment_file(file uuid) RETURNS boolean LANGUAGE plpgsql STABLE COST 5000 SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM payment_file_rows r JOIN disbursements d ON d.id = r.disbursement_id
                       JOIN applications a ON a.id = d.application_id
                       WHERE r.file_id = file AND a.protected AND NOT caller_sees_case(a.id, a.person_id));
END $$;

CREATE POLICY of_seen_applications ON disbursements FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY read_all ON disbursements FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_seen_applications ON disbursement_cases FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY of_nobody_protected ON disbursement_cases FOR SELECT TO utvag_finance, utvag_auditor USING (NOT protected);
CREATE POLICY with_case ON disbursement_sources FOR SELECT TO utvag_case, utvag_finance, utvag_auditor
    USING (sees_disbursement_case(disbursement_id));
CREATE POLICY with_disbursement ON disbursement_approvals FOR SELECT TO utvag_case USING (sees_disbursement(disbursement_id));
CREATE POLICY read_all ON disbursement_approvals FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_seen_payments ON payment_files FOR SELECT TO utvag_case USING (sees_payment_file(id));
CREATE POLICY read_all ON payment_files FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY with_disbursement ON payment_file_rows FOR SELECT TO utvag_case USING (sees_disbursement(disbursement_id));
CREATE POLICY read_all ON payment_file_rows FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_seen_applications ON receipts FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY with_disbursement ON refunds FOR SELECT TO utvag_case USING (sees_disbursement(disbursement_id));
CREATE POLICY read_all ON refunds FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_seen_applications ON recoveries FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY read_all ON recoveries FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY of_seen_applications ON recovery_cases FOR SELECT TO utvag_case USING (sees_application(application_id));
CREATE POLICY of_nobody_protected ON recovery_cases FOR SELECT TO utvag_finance, utvag_auditor USING (NOT protected);
CREATE POLICY with_recovery ON repayments FOR SELECT TO utvag_case USING (sees_recovery(recovery_id));
CREATE POLICY read_all ON repayments FOR SELECT TO utvag_finance, utvag_auditor USING (true);
CREATE POLICY with_recovery ON write_offs FOR SELECT TO utvag_case USING (sees_recovery(recovery_id));

-- The key of a payee, for those of the fund's people who pay her: not where the person is protected.
GRANT SELECT ON vault.data_keys TO utvag_finance, utvag_auditor; -- an auditor passes no policy: she sees that there is a payee
CREATE POLICY of_payees ON vault.data_keys FOR SELECT TO utvag_finance USING (sees_disbursement_case(record_id));

GRANT EXECUTE ON FUNCTION has_unpaid TO utvag_partner, utvag_case;
GRANT EXECUTE ON FUNCTION sees_disbursement, sees_recovery TO utvag_case;
GRANT EXECUTE ON FUNCTION sees_disbursement_case TO utvag_case, utvag_finance, utvag_auditor;
GRANT EXECUTE ON FUNCTION sees_payment_file TO utvag_case;

CALL guard_tables();
