-- Who a token of an outside issuer stands for: the active user with its address, never a machine. What she may is hers here.

SET LOCAL ROLE utvag_owner;

CREATE FUNCTION find_outside_user(email bytea) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('agency_id', coalesce(p.agency_id::text, ''), 'roles', p.roles)::text, NULL::text
    FROM vault.blind_tokens b
    JOIN principals p ON p.id = b.principal_id
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE b.index = 'user_email' AND b.token = email
        AND p.kind = 'user' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
$$;
GRANT EXECUTE ON FUNCTION find_outside_user TO utvag_login;
