-- What an idempotency key keeps holds wrapped data keys beside what they seal: its place is the vault, which has backups
-- of its own that end soon. Else a person whose keys are destroyed would live on in every long-lived backup.

SET LOCAL ROLE utvag_owner;

ALTER TABLE idempotency_keys SET SCHEMA vault;

-- Called by any instance, once a minute: what is over is gone within minutes of its 24 hours. SKIP LOCKED, so that two
-- instances share the work, and no replay waits for it.
CREATE FUNCTION forget_expired() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    WITH over AS (
        SELECT principal_id, operation, key FROM vault.idempotency_keys WHERE created_at <= now() - interval '24 hours'
        ORDER BY created_at LIMIT 10000 FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM vault.idempotency_keys k USING over
        WHERE (k.principal_id, k.operation, k.key) = (over.principal_id, over.operation, over.key) RETURNING 1)
    SELECT count(*) FROM gone
$$;
GRANT EXECUTE ON FUNCTION forget_expired TO utvag_app;
