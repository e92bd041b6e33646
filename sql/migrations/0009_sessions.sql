-- Signing in: each sign-in is a row that can be ended, with refresh tokens and, for people, a second factor.

SET LOCAL ROLE utvag_owner;

-- What a token comes from, of a person or of a machine. Whoever enters with a token of one that is ended, has expired or is
-- not here (any more) is nobody. Nothing here says more than that somebody was signed in.
CREATE TABLE sign_ins (
    id uuid PRIMARY KEY,                             -- the `sid` of its tokens
    principal_id uuid NOT NULL REFERENCES principals,
    certificate text,                                -- the only one that its tokens may come with (RFC 8705); NULL: any
    officer text,                                    -- whom the machine said that it acts for
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_reason text CHECK (ended_reason IN ('log_out', 'revoked', 'refresh_token_reused', 'signed_out', 'not_active')),
    CONSTRAINT sign_in_ends_for_a_reason CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE INDEX sign_ins_of_principal ON sign_ins (principal_id) WHERE ended_at IS NULL;
CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);

-- Each works once; those that were used stay for as long as their sign-in, so that a second use is known for what it is.
CREATE TABLE refresh_tokens (
    digest text PRIMARY KEY,
    sign_in_id uuid NOT NULL REFERENCES sign_ins ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_by_sign_in ON refresh_tokens (sign_in_id);

-- The second factor (RFC 6238). Its secret is sealed under a data key of its own, so that a reset erases it.
ALTER TABLE credentials
    ADD COLUMN totp_id uuid,                         -- the key's record in the vault
    ADD COLUMN totp_sealed bytea,
    ADD COLUMN totp_step bigint,                     -- the last that was accepted: each is, once
    ADD COLUMN totp_confirmed_at timestamptz,        -- when the first code was
    ADD CONSTRAINT totp_has_its_key CHECK ((totp_id IS NULL) = (totp_sealed IS NULL));

-- For whoever lost her telephone.
CREATE TABLE recovery_codes (
    principal_id uuid NOT NULL REFERENCES principals,
    digest text NOT NULL,
    PRIMARY KEY (principal_id, digest)
);

-- Beginning and ending -------------------------------------------------------------------------------------------
CREATE FUNCTION end_sign_ins(holder uuid, reason text) RETURNS void LANGUAGE sql AS $$
    UPDATE sign_ins SET ended_at = now(), ended_reason = reason WHERE principal_id = holder AND ended_at IS NULL
$$;

-- The table stays as large as what is signed in: each sign-in takes away a few that have expired, more than it adds, and
-- never waits for another one that does the same.
CREATE FUNCTION prune_sign_ins() RETURNS void LANGUAGE sql AS $$
    DELETE FROM sign_ins WHERE id IN (
        SELECT id FROM sign_ins WHERE expires_at <= now() ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)
$$;

-- False if she is not active, or her tokens became void since `epoch` was read.
CREATE FUNCTION open_sign_in(sid uuid, holder uuid, epoch int, terms jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM prune_sign_ins();
    INSERT INTO sign_ins (id, principal_id, certificate, officer, expires_at)
    VALUES (sid, holder, terms->>'certificate', terms->>'officer', now() + make_interval(secs => (terms->>'seconds')::int));
    -- The foreign key has waited for whoever was suspending her, and whoever does so from now on waits for us, and ends
    -- this one too: what is asked here, by a statement of its own, is final.
    IF EXISTS (SELECT FROM principals WHERE id = holder AND status = 'active' AND token_epoch = epoch) THEN
        RETURN true;
    END IF;
    UPDATE sign_ins SET ended_at = now(), ended_reason = 'not_active' WHERE id = sid;
    RETURN false;
END $$;

-- What a token says: roles and epoch as they are now.
CREATE FUNCTION sign_in_outcome(sid uuid) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('agency_id', coalesce(p.agency_id::text, ''), 'roles', p.roles,
        'session', s.id, 'certificate', s.certificate,
        'refresh_seconds', floor(extract(epoch FROM least(s.expires_at - now(), interval '1 hour'))))::text, NULL::text
    FROM sign_ins s
    JOIN principals p ON p.id = s.principal_id
    LEFT JOIN agencies a ON a.id = p.agency_id
    WHERE s.id = sid AND s.ended_at IS NULL AND s.expires_at > now()
        AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
$$;

CREATE FUNCTION sign_in_client(sid uuid, holder uuid, epoch int, terms jsonb) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
BEGIN
    IF open_sign_in(sid, holder, epoch, terms) THEN RETURN QUERY SELECT * FROM sign_in_outcome(sid); END IF;
END $$;

-- A password -----------------------------------------------------------------------------------------------------
-- Where a password is tried, the log says whose, and what came of it.
CREATE FUNCTION audit_sign_in(holder uuid, refused_status int DEFAULT NULL, refused_code text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit_events (record_ids, outcome, status, code)
    VALUES (array_remove(ARRAY[holder], NULL), CASE WHEN refused_code IS NULL THEN 'ok' ELSE 'refused' END, refused_status,
        refused_code)
$$;

-- What trying a password needs to know of an active user. Nothing is decided or counted here.
CREATE OR REPLACE FUNCTION begin_login(email bytea) RETURNS SETOF outcome LANGUAGE sql STABLE AS $$
    SELECT p.id, p.token_epoch, json_build_object('hash', c.password_hash, 'agency_id', coalesce(p.agency_id::text, ''),
        'roles', p.roles, '$seal', vault.marker('credentials', c.totp_id, 'totp_sealed', k.wrapped, c.totp_sealed))::text,
        NULL::text
    FROM vault.blind_tokens b
    JOIN principals p ON p.id = b.principal_id
    JOIN credentials c ON c.principal_id = p.id
    LEFT JOIN agencies a ON a.id = p.agency_id
    LEFT JOIN vault.data_keys k ON k.record_id = c.totp_id
    WHERE b.index = 'user_email' AND b.token = email AND c.password_hash IS NOT NULL
        AND p.kind = 'user' AND p.status = 'active' AND coalesce(a.status, 'active') = 'active'
$$;

-- After five it waits, longer each time, at most 15 minutes.
CREATE FUNCTION count_failure(kept credentials) RETURNS void LANGUAGE sql AS $$
    UPDATE credentials SET failed_count = kept.failed_count + 1, locked_until = CASE WHEN kept.failed_count >= 4 THEN
        clock_timestamp() + least(interval '15 minutes', interval '30 seconds' * 2 ^ (least(kept.failed_count, 10) - 4)) END
    WHERE principal_id = kept.principal_id
$$;

-- Whether what she showed beside her password is enough: a step's code that nobody has used before, a code of recovery,
-- or, in the demo alone and until she has confirmed her secret, nothing.
CREATE FUNCTION second_factor_holds(kept credentials, terms jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF terms ? 'recovery' THEN
        DELETE FROM recovery_codes WHERE principal_id = kept.principal_id AND digest = terms->>'recovery';
        RETURN FOUND;
    ELSIF terms ? 'step' THEN
        RETURN (terms->>'step')::bigint > coalesce(kept.totp_step, -1);
    END IF;
    RETURN (terms->>'demo')::boolean AND kept.totp_confirmed_at IS NULL;
END $$;

-- An attempt is judged at its end, under the row's lock, one after the other: five that failed, and those that were tried
-- at the same time learn nothing either, right or wrong. Those that are right count for nothing, however many at once.
-- `passed`: the password was right, and so was the code if there was one. Whom nobody knows (NULL) goes the same way.
CREATE FUNCTION judge_login(holder uuid, passed boolean, terms jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE kept credentials; holds boolean := passed;
BEGIN
    SELECT * INTO kept FROM credentials WHERE principal_id = holder FOR UPDATE;
    IF NOT FOUND OR kept.locked_until > clock_timestamp() THEN RETURN false; END IF;
    IF passed THEN holds := second_factor_holds(kept, terms); END IF; -- which uses up a code
    IF NOT holds THEN
        PERFORM count_failure(kept);
        RETURN false;
    END IF;
    UPDATE credentials SET failed_count = 0, locked_until = NULL,
        totp_step = coalesce((terms->>'step')::bigint, totp_step),
        totp_confirmed_at = CASE WHEN terms ? 'step' THEN coalesce(totp_confirmed_at, now()) ELSE totp_confirmed_at END
    WHERE principal_id = holder;
    RETURN true;
END $$;

DROP FUNCTION end_login(uuid);
CREATE FUNCTION end_login(holder uuid, passed boolean, terms jsonb) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE sid uuid := (terms->>'session')::uuid;
BEGIN
    IF judge_login(holder, passed, terms) AND open_sign_in(sid, holder, (terms->>'epoch')::int, terms) THEN
        PERFORM add_refresh_token(sid, terms->>'refresh');
        PERFORM audit_sign_in(holder);
        RETURN QUERY SELECT * FROM sign_in_outcome(sid);
    ELSE
        PERFORM audit_sign_in(holder, 401, 'login_failed');
    END IF;
END $$;

-- Refresh tokens ---------------------------------------------------------------------------------------------------
CREATE FUNCTION add_refresh_token(sid uuid, fresh text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO refresh_tokens (digest, sign_in_id, expires_at)
    SELECT fresh, s.id, least(s.expires_at, now() + interval '1 hour') FROM sign_ins s WHERE s.id = sid
$$;

-- The answer's key is NULL for what was refreshed; `invalid_scope` for roles that she does not hold, with nothing used up;
-- and `reused` when somebody had used the token before, and has now lost the
-- whole sign-in with it (RFC 9700, 4.14.2): which of the two is the thief, nobody can tell. No row: not to be refreshed.
CREATE FUNCTION refresh_sign_in(shown text, fresh text, terms jsonb) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE family sign_ins; token refresh_tokens; told outcome;
BEGIN
    -- The family's lock first: of two uses at one time, the second one finds the token used.
    SELECT s.* INTO family FROM sign_ins s JOIN refresh_tokens t ON t.sign_in_id = s.id WHERE t.digest = shown FOR UPDATE OF s;
    IF NOT FOUND OR family.ended_at IS NOT NULL OR family.expires_at <= now() THEN RETURN; END IF;
    SELECT * INTO token FROM refresh_tokens WHERE digest = shown;
    IF token.used_at IS NOT NULL THEN
        UPDATE sign_ins SET ended_at = now(), ended_reason = 'refresh_token_reused' WHERE id = family.id;
        PERFORM audit_sign_in(family.principal_id, 400, 'refresh_token_reused');
        RETURN QUERY SELECT family.principal_id, 0, NULL::text, 'reused';
        RETURN;
    END IF;
    IF token.expires_at <= now() OR family.certificate <> coalesce(terms->>'certificate', '') THEN RETURN; END IF;
    SELECT * INTO told FROM sign_in_outcome(family.id);
    IF told.id IS NULL THEN RETURN; END IF;
    IF NOT array_remove(string_to_array(coalesce(terms->>'scope', ''), ' '), '') <@
        (SELECT roles FROM principals WHERE id = family.principal_id) THEN
        RETURN QUERY SELECT family.principal_id, 0, NULL::text, 'invalid_scope';
        RETURN;
    END IF;
    UPDATE refresh_tokens SET used_at = now() WHERE digest = shown;
    PERFORM add_refresh_token(family.id, fresh);
    PERFORM audit_sign_in(family.principal_id);
    RETURN NEXT told;
END $$;

-- Ending one: by whoever holds a token of it (RFC 7009), or by its own person.
CREATE FUNCTION revoke_sign_in(sid uuid, shown text) RETURNS SETOF outcome LANGUAGE sql AS $$
    UPDATE sign_ins SET ended_at = now(), ended_reason = 'revoked'
    WHERE id = coalesce(sid, (SELECT sign_in_id FROM refresh_tokens WHERE digest = shown)) AND ended_at IS NULL
    RETURNING principal_id, 1, NULL::text, NULL::text
$$;

CREATE FUNCTION end_own_sign_in(sid uuid) RETURNS SETOF outcome LANGUAGE sql AS $$
    UPDATE sign_ins SET ended_at = now(), ended_reason = 'log_out'
    WHERE id = sid AND principal_id = caller() AND ended_at IS NULL
    RETURNING principal_id, 1, NULL::text, NULL::text
$$;

-- What an administrator takes away ---------------------------------------------------------------------------------
-- Whoever is active again has to sign in anew.
CREATE FUNCTION end_sign_ins_of_inactive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_sign_ins(new.id, 'not_active');
    RETURN NULL;
END $$;
CREATE TRIGGER end_sign_ins_of_inactive AFTER UPDATE OF status ON principals FOR EACH ROW
    WHEN (old.status = 'active' AND new.status <> 'active') EXECUTE FUNCTION end_sign_ins_of_inactive();

-- It takes away only, so that one person is enough, and she need not have read first.
CREATE FUNCTION sign_out_principal(subject uuid, wanted text, expected int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE changed principals := lock_principal(subject, wanted, expected);
BEGIN
    changed.token_epoch := changed.token_epoch + 1;
    PERFORM save_principal(changed);
    PERFORM end_sign_ins(subject, 'signed_out');
    PERFORM emit(subject, NULL, false);
    RETURN QUERY SELECT * FROM principal_outcome(subject);
END $$;

CREATE FUNCTION sign_out_user(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM sign_out_principal(subject, 'user', expected) $$;
CREATE FUNCTION sign_out_client(subject uuid, body jsonb, expected int) RETURNS SETOF outcome LANGUAGE sql AS
    $$ SELECT * FROM sign_out_principal(subject, 'client', expected) $$;

-- Invitations ------------------------------------------------------------------------------------------------------
CREATE FUNCTION forget_second_factor(holder uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM recovery_codes WHERE principal_id = holder;
    DELETE FROM vault.data_keys WHERE record_id = (SELECT totp_id FROM credentials WHERE principal_id = holder);
    UPDATE credentials SET totp_id = NULL, totp_sealed = NULL, totp_step = NULL, totp_confirmed_at = NULL
    WHERE principal_id = holder
$$;

-- An invitation replaces every secret before it: the second factor too.
CREATE OR REPLACE FUNCTION invite(holder uuid, digest text) RETURNS void LANGUAGE sql AS $$
    SELECT forget_second_factor(holder);
    INSERT INTO credentials (principal_id, invitation_digest, invitation_expires_at)
    VALUES (holder, digest, now() + interval '72 hours')
    ON CONFLICT (principal_id) DO UPDATE SET invitation_digest = excluded.invitation_digest,
        invitation_expires_at = excluded.invitation_expires_at, password_hash = NULL, secret_digest = NULL,
        failed_count = 0, locked_until = NULL
$$;

-- With her address, which stands in the name of her new secret: read with the owner's eyes, since the login role sees no
-- user's sealed members, and by whoever holds the invitation alone.
CREATE OR REPLACE FUNCTION find_invitation(digest text) RETURNS SETOF outcome LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
    SELECT p.id, p.version, json_build_object('kind', p.kind,
        '$seal', vault.marker('principals', p.id, 'sealed', k.wrapped, p.sealed))::text, NULL::text
    FROM credentials c JOIN principals p ON p.id = c.principal_id
    LEFT JOIN vault.data_keys k ON k.record_id = p.id AND p.kind = 'user'
    WHERE c.invitation_digest = digest AND c.invitation_expires_at > now() AND p.status = 'invited'
$$;

-- A user's password comes with her second factor, a client's secret without.
DROP FUNCTION accept_invitation(text, text, text);
CREATE FUNCTION accept_invitation(digest text, password text, secret text, factor jsonb) RETURNS SETOF outcome
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, vault, pg_temp AS $$
DECLARE holder uuid;
BEGIN
    UPDATE credentials c SET password_hash = password, secret_digest = secret, invitation_digest = NULL,
        invitation_expires_at = NULL, failed_count = 0, locked_until = NULL,
        totp_id = (factor->>'id')::uuid, totp_sealed = (factor->>'sealed')::bytea, totp_step = NULL, totp_confirmed_at = NULL
    FROM principals p
    WHERE c.invitation_digest = digest AND c.invitation_expires_at > now() AND p.id = c.principal_id
        AND p.status = 'invited' AND (p.kind = 'user') = (password IS NOT NULL AND factor IS NOT NULL)
        AND (p.kind = 'client') = (secret IS NOT NULL)
    RETURNING p.id INTO holder;
    IF holder IS NULL THEN RETURN; END IF;
    PERFORM vault.store(factor, NULL, holder);
    INSERT INTO recovery_codes (principal_id, digest)
    SELECT holder, jsonb_array_elements_text(factor->'recovery') WHERE factor IS NOT NULL;
    RETURN QUERY UPDATE principals SET status = 'active', token_epoch = token_epoch + 1, version = version + 1,
        updated_at = now() WHERE id = holder AND status = 'invited' RETURNING id, version, NULL::text, NULL::text;
END $$;

-- Who may ---------------------------------------------------------------------------------------------------------
GRANT SELECT (id, principal_id, ended_at, expires_at) ON sign_ins TO utvag_app;
CREATE POLICY enter ON sign_ins FOR SELECT TO utvag_app USING (true);

-- Whoever signs in, opens, ends and clears away; nobody opens again what was ended.
GRANT SELECT, DELETE ON sign_ins TO utvag_login;
GRANT INSERT (id, principal_id, certificate, officer, expires_at) ON sign_ins TO utvag_login;
GRANT UPDATE (ended_at, ended_reason) ON sign_ins TO utvag_login;
CREATE POLICY sign_in_reads ON sign_ins FOR SELECT TO utvag_login USING (true);
CREATE POLICY sign_in_opens ON sign_ins FOR INSERT TO utvag_login WITH CHECK (true);
CREATE POLICY sign_in_ends ON sign_ins FOR UPDATE TO utvag_login USING (true) WITH CHECK (ended_at IS NOT NULL);
CREATE POLICY sign_in_clears ON sign_ins FOR DELETE TO utvag_login USING (expires_at <= now());

GRANT SELECT, INSERT ON refresh_tokens TO utvag_login;
GRANT UPDATE (used_at) ON refresh_tokens TO utvag_login;
CREATE POLICY sign_in ON refresh_tokens TO utvag_login USING (true);
GRANT SELECT, DELETE ON recovery_codes TO utvag_login;
CREATE POLICY sign_in ON recovery_codes TO utvag_login USING (true);
GRANT UPDATE (totp_step, totp_confirmed_at) ON credentials TO utvag_login;
-- Of the vault, the login role reaches the keys of second factors alone.
GRANT SELECT ON vault.data_keys TO utvag_login;
CREATE POLICY sign_in ON vault.data_keys FOR SELECT TO utvag_login USING (principal_id IS NOT NULL
    AND EXISTS (SELECT FROM credentials c WHERE c.principal_id = data_keys.principal_id AND c.totp_id = record_id));

-- Everyone may end her own; an administrator everyone's.
GRANT SELECT (id, principal_id, ended_at), UPDATE (ended_at, ended_reason) ON sign_ins TO utvag_partner, utvag_public,
    utvag_case, utvag_finance, utvag_project, utvag_auditor, utvag_admin;
CREATE POLICY own ON sign_ins FOR SELECT
    TO utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project, utvag_auditor
    USING (principal_id = (SELECT caller()));
CREATE POLICY end_own ON sign_ins FOR UPDATE
    TO utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project, utvag_auditor
    USING (principal_id = (SELECT caller())) WITH CHECK (principal_id = (SELECT caller()) AND ended_at IS NOT NULL);
CREATE POLICY read_all ON sign_ins FOR SELECT TO utvag_admin USING (true);
CREATE POLICY end_all ON sign_ins FOR UPDATE TO utvag_admin USING (true) WITH CHECK (ended_at IS NOT NULL);

GRANT EXECUTE ON FUNCTION begin_login, end_login, judge_login, second_factor_holds, count_failure, audit_sign_in, open_sign_in,
    prune_sign_ins, sign_in_outcome, sign_in_client, add_refresh_token, refresh_sign_in, revoke_sign_in, find_invitation,
    accept_invitation TO utvag_login;
GRANT EXECUTE ON FUNCTION end_own_sign_in TO utvag_partner, utvag_public, utvag_case, utvag_finance, utvag_project,
    utvag_auditor, utvag_admin;
GRANT EXECUTE ON FUNCTION end_sign_ins, sign_out_principal, sign_out_user, sign_out_client TO utvag_admin;

CALL guard_tables();
