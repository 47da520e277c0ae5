-- Who did what, provably: the audit rows become a chain of hashes. And what the administrators' pages read.

ALTER TABLE api_key_audit_logs
    -- NULL: an act on the whole house.
    ALTER COLUMN user_id DROP NOT NULL,
    -- Who did it. The command line says so once for each of its connections.
    ADD COLUMN actor text NOT NULL DEFAULT coalesce(nullif(current_setting('tollgate.actor', true), ''), 'owner'),
    -- Hides `details` in the chain; erased together with them when the account is deleted.
    ADD COLUMN salt uuid DEFAULT gen_random_uuid(),
    -- Neither has the bar that stands between the fields of a link.
    ADD CONSTRAINT audit_action_is_a_word CHECK (action ~ '^[a-z_]{1,50}$'),
    ADD CONSTRAINT audit_actor_is_known CHECK (actor ~ '^(owner|operator|command_line|admin [0-9]{1,19})$');

-- Whose traces are looked for again after the deletion.
CREATE INDEX api_key_audit_logs_deletions ON api_key_audit_logs (timestamp) WHERE action = 'delete_account';

-- One link for each row, in the order of the commits.
CREATE TABLE audit_links (
    sequence     bigint PRIMARY KEY,
    log_id       bigint NOT NULL UNIQUE,
    -- SHA-256(salt, details as PostgreSQL writes them): what is left of personal data that was erased.
    details_hash bytea  NOT NULL,
    -- SHA-256(hash before, content): see the function.
    hash         bytea  NOT NULL
);

-- What a link covers. `tollgate audit verify` computes the same by itself (store/src/audit/chain.rs).
CREATE FUNCTION add_audit_link(log api_key_audit_logs) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    head_sequence bigint;
    head_hash     bytea;
    of_details    bytea := sha256(uuid_send(log.salt) || convert_to(log.details::text, 'UTF8'));
    content       text;
BEGIN
    SELECT sequence, hash INTO head_sequence, head_hash FROM audit_links ORDER BY sequence DESC LIMIT 1;
    head_sequence := coalesce(head_sequence, 0);
    head_hash := coalesce(head_hash, decode(repeat('00', 32), 'hex'));
    content := concat_ws('|', head_sequence + 1, log.id, coalesce(log.user_id::text, ''), coalesce(log.api_key_id::text, ''),
        log.action, log.actor, (extract(epoch FROM log.timestamp) * 1000000)::bigint, encode(of_details, 'hex'));
    INSERT INTO audit_links (sequence, log_id, details_hash, hash)
    VALUES (head_sequence + 1, log.id, of_details, sha256(head_hash || convert_to(content, 'UTF8')));
END $$;

-- What was written before there was a chain stands in it as it is now.
DO $$
DECLARE
    log api_key_audit_logs;
BEGIN
    FOR log IN SELECT * FROM api_key_audit_logs ORDER BY id LOOP
        PERFORM add_audit_link(log);
    END LOOP;
END $$;

-- Runs as the owner, because the application may not write links. The lock is the last that a transaction takes and is
-- held for its commit only: nobody waits for anybody who could wait for them.
CREATE FUNCTION link_audit_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('tollgate.audit_links', 0));
    PERFORM add_audit_link(NEW);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER audit_rows_are_linked AFTER INSERT ON api_key_audit_logs
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION link_audit_row();

-- Of a row only the personal data may go, and only as a whole.
CREATE FUNCTION audit_row_is_only_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.details <> '{}' OR NEW.salt IS NOT NULL
        OR (NEW.id, NEW.user_id, NEW.api_key_id, NEW.action, NEW.timestamp, NEW.actor)
            IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.api_key_id, OLD.action, OLD.timestamp, OLD.actor) THEN
        RAISE EXCEPTION 'UPDATE of % is refused: history is append-only', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_rows_are_only_erased BEFORE UPDATE ON api_key_audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_row_is_only_erased();
CREATE TRIGGER audit_rows_are_final BEFORE DELETE OR TRUNCATE ON api_key_audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
CREATE TRIGGER audit_links_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();

-- The administrators' monitor sums the last days over all users.
CREATE INDEX activity_daily_of_day ON activity_daily (day);
-- An account that is deleted is looked for in them.
CREATE INDEX failed_attempts_of_user ON failed_attempts (user_id);
CREATE INDEX rate_limit_alerts_of_user ON rate_limit_alerts (user_id);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT ON audit_links TO tollgate_app;
        GRANT UPDATE (details, salt) ON api_key_audit_logs TO tollgate_app;
    END IF;
END $$;
