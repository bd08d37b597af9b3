-- Several instances of the service may start at the same time.
SELECT pg_advisory_xact_lock(8751620461230948);

-- One row per token. The token itself is not in the table, so whoever reads the table cannot use it.
CREATE TABLE IF NOT EXISTS tokens (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the token
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM now()))::BIGINT + 3600, -- Unix time in seconds
    revoked BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX IF NOT EXISTS tokens_by_expiry ON tokens (expires_at);
CREATE INDEX IF NOT EXISTS tokens_by_subject ON tokens (subject);

-- Deletes expired rows whenever a token is issued, so the table does not grow without bound. Two inserts at the same time skip
-- each other's rows instead of waiting for them.
CREATE OR REPLACE FUNCTION tokens_delete_expired() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tokens WHERE hash IN (
        SELECT hash FROM tokens WHERE expires_at <= floor(extract(epoch FROM now()))::BIGINT
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tokens_delete_expired AFTER INSERT ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION tokens_delete_expired();

-- Tells all instances which token changed, whoever changed it: an instance, an operator with psql, or a script.
CREATE OR REPLACE FUNCTION tokens_notify() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('tokens_changed', 'all');
    ELSE
        PERFORM pg_notify('tokens_changed', encode(OLD.hash, 'hex'));
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tokens_notify_update AFTER UPDATE ON tokens
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tokens_notify();

-- Not for expired rows: nobody uses a verdict after its token expired.
CREATE OR REPLACE TRIGGER tokens_notify_delete AFTER DELETE ON tokens
    FOR EACH ROW WHEN (OLD.expires_at > floor(extract(epoch FROM now()))::BIGINT) EXECUTE FUNCTION tokens_notify();

CREATE OR REPLACE TRIGGER tokens_notify_truncate AFTER TRUNCATE ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION tokens_notify();
