-- One row per token. The token itself is not in the table, so whoever reads the table cannot use it.
CREATE TABLE IF NOT EXISTS tokens (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the token
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT (unixepoch() + 3600), -- Unix time in seconds
    revoked BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX IF NOT EXISTS tokens_by_expiry ON tokens (expires_at);
CREATE INDEX IF NOT EXISTS tokens_by_subject ON tokens (subject);

-- Deletes expired rows whenever a token is issued, so the table does not grow without bound.
CREATE TRIGGER IF NOT EXISTS tokens_delete_expired AFTER INSERT ON tokens
BEGIN
    DELETE FROM tokens WHERE expires_at <= unixepoch();
END;
