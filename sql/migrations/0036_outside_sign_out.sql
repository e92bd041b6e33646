-- Signing somebody out reaches what her own issuer gave out before, whether or not it was shown here yet.

SET LOCAL ROLE utvag_owner;

ALTER TABLE principals ADD COLUMN signed_out_at timestamptz; -- the latest time that all her sign-ins were ended

CREATE OR REPLACE FUNCTION end_sign_ins(holder uuid, reason text) RETURNS void LANGUAGE sql AS $$
    UPDATE sign_ins SET ended_at = now(), ended_reason = reason WHERE principal_id = holder AND ended_at IS NULL;
    UPDATE principals SET signed_out_at = clock_timestamp() WHERE id = holder
$$;

-- issued: seconds since 1970, as the token has them. One of the second in which she was signed out may be of before.
DROP FUNCTION find_outside_user;
CREATE FUNCTION find_outside_user(email bytea, issued bigint) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('agency_id', coalesce(p.agency_id::text, ''), 'roles', p.roles)::text, NULL::text
    FROM vault.blind_tokens b
    JOIN principals p ON p.id = b.principal_id
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE b.index = 'user_email' AND b.token = email
        AND p.kind = 'user' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
        AND coalesce(to_timestamp(issued) > p.signed_out_at, true)
$$;

GRANT UPDATE (signed_out_at) ON principals TO utvag_admin;
GRANT SELECT (signed_out_at) ON principals TO utvag_login;
GRANT EXECUTE ON FUNCTION find_outside_user TO utvag_login;
