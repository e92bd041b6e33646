-- What must hold between payments, claims and the books, always: `utvag check` and the tests ask.

SET LOCAL ROLE utvag_owner;

-- What a kind of transactions about a record did to the bank.
CREATE FUNCTION bank_moved(kind text, about uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(e.amount_ore), 0)::bigint FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
    WHERE t.about = bank_moved.about AND t.kind = bank_moved.kind AND e.account_id = account_of('bank')
$$;

-- One row for each rule that does not hold, with what it is about.
CREATE FUNCTION payment_faults() RETURNS TABLE (rule text, about text) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, vault, pg_temp AS $$
    SELECT 'payment_is_what_was_booked', d.id::text FROM disbursements d
        WHERE coalesce(d.paid_ore, 0) <> -bank_moved('payment', d.id) OR d.refunded_ore <> bank_moved('refund', d.id)
    UNION ALL
    SELECT 'payment_is_its_sources', d.id::text FROM disbursements d LEFT JOIN disbursement_sources s ON s.disbursement_id = d.id
        GROUP BY d.id HAVING d.amount_ore <> coalesce(sum(s.amount_ore), 0) OR coalesce(d.paid_ore, 0) <> coalesce(sum(s.paid_ore), 0)
            OR d.refunded_ore <> coalesce(sum(s.refunded_ore), 0)
    UNION ALL
    SELECT 'refunds_are_what_came_back', d.id::text FROM disbursements d LEFT JOIN refunds r ON r.disbursement_id = d.id
        GROUP BY d.id HAVING d.refunded_ore <> coalesce(sum(r.amount_ore), 0)
    UNION ALL
    SELECT 'orders_are_within_what_the_line_holds', s.line_id::text FROM line_sources s
        WHERE s.reserved_ore < (SELECT coalesce(sum(x.amount_ore), 0) FROM disbursement_cases c
            JOIN disbursements d ON d.id = c.disbursement_id AND d.status IN ('planned', 'approved', 'sent')
            JOIN disbursement_sources x ON x.disbursement_id = d.id AND x.account_id = s.account_id WHERE c.line_id = s.line_id)
    UNION ALL
    SELECT 'approved_by_as_many_as_it_needs', d.id::text FROM disbursements d
        WHERE d.status IN ('approved', 'sent', 'paid')
          AND d.approvals_needed > (SELECT count(*) FROM disbursement_approvals a WHERE a.disbursement_id = d.id)
    UNION ALL
    SELECT 'sent_in_the_file_that_it_says', d.id::text FROM disbursements d
        LEFT JOIN payment_file_rows r ON r.file_id = d.file_id AND r.disbursement_id = d.id
        WHERE d.file_id IS NOT NULL AND r.outcome IS DISTINCT FROM CASE d.status WHEN 'paid' THEN 'paid' END
            OR d.file_id IS NOT NULL AND r.file_id IS NULL
    UNION ALL
    SELECT 'claim_is_what_was_repaid_and_given_up', r.id::text FROM recoveries r
        WHERE r.repaid_ore <> (SELECT coalesce(sum(p.amount_ore), 0) FROM repayments p WHERE p.recovery_id = r.id)
            OR r.repaid_ore <> bank_moved('repayment', r.id)
            OR r.written_off_ore <> (SELECT coalesce(sum(w.amount_ore), 0) FROM write_offs w WHERE w.recovery_id = r.id)
    UNION ALL
    SELECT 'receivables_are_what_is_owed', 'receivables'
        WHERE (SELECT a.posted_ore FROM accounts a WHERE a.kind = 'receivables')
            <> (SELECT coalesce(sum(r.amount_ore - r.repaid_ore - r.written_off_ore), 0) FROM recoveries r)
$$;
GRANT EXECUTE ON FUNCTION payment_faults TO utvag_auditor;

CALL guard_tables();
