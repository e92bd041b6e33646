-- A machine client replaces its own keys, by an assertion signed with one of them.

SET LOCAL ROLE utvag_owner;

-- Every token and sign-in before it is void: a key may be replaced because somebody else has it. So of two who replace by the
-- same key, the second comes too late: epoch is what it was when her key was found, and each replacement raises it. A definer,
-- since the login role changes no principal; called in one statement with use_assertion, which found the client active.
CREATE FUNCTION replace_client_keys(client uuid, epoch int, keys jsonb) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
BEGIN
    PERFORM FROM principals WHERE id = client AND kind = 'client' AND status = 'active' AND token_epoch = epoch FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    DELETE FROM client_keys WHERE principal_id = client;
    PERFORM store_client_keys(client, keys);
    PERFORM end_sign_ins(client, 'signed_out');
    RETURN QUERY UPDATE principals SET token_epoch = token_epoch + 1, version = version + 1, updated_at = now()
        WHERE id = client RETURNING id, version, NULL::text, NULL::text;
END $$;

GRANT EXECUTE ON FUNCTION replace_client_keys TO utvag_login;
