-- Of two who replace a client's keys by the same one, the second comes too late: its key is asked for again under the lock.
-- Else whoever stole a key could still replace those that its owner had just put in its place.

SET LOCAL ROLE utvag_owner;

DROP FUNCTION replace_client_keys(uuid, jsonb);

-- Every token and sign-in before it is void: a key may be replaced because somebody else has it. A definer, since the login
-- role changes no principal; called in one statement with use_assertion, which found the client active.
CREATE FUNCTION replace_client_keys(client uuid, by_key text, keys jsonb) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM FROM principals WHERE id = client AND kind = 'client' AND status = 'active' FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    DELETE FROM client_keys WHERE principal_id = client
        AND EXISTS (SELECT FROM client_keys k WHERE k.principal_id = client AND k.kid = by_key);
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM store_client_keys(client, keys);
    PERFORM end_sign_ins(client, 'signed_out');
    RETURN QUERY UPDATE principals SET token_epoch = token_epoch + 1, version = version + 1, updated_at = now()
        WHERE id = client RETURNING id, version, NULL::text, NULL::text;
END $$;

GRANT EXECUTE ON FUNCTION replace_client_keys TO utvag_login;
