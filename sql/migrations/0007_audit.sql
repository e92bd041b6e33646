-- The audit log as auditors read it: who did what with which records, when and why. It holds ids, never content.

SET LOCAL ROLE utvag_owner;

CREATE INDEX audit_events_by_operation ON audit_events (operation, occurred_at, id);
CREATE INDEX audit_events_by_outcome ON audit_events (outcome, occurred_at, id);

CREATE VIEW audit_event_bodies WITH (security_invoker = true) AS
    SELECT id, 1 AS version, principal_id, operation, outcome, occurred_at, -- a row is never changed
        json_build_object('id', id, 'occurred_at', rfc3339(occurred_at), 'operation', operation, 'outcome', outcome,
            'status', status, 'code', code, 'principal_id', principal_id, 'officer', officer, 'agency_id', agency_id,
            'role', role, 'purpose', purpose, 'record_ids', record_ids, 'address', address, 'trace_id', trace_id)::text AS body
    FROM audit_events;

GRANT SELECT ON audit_event_bodies TO utvag_auditor;

CALL guard_tables();
