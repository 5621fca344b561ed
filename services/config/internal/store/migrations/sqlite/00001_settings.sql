-- +goose Up

-- Raised by every save, within its transaction. The row lock puts saves in order.
CREATE TABLE revision (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
);
INSERT INTO revision (id, value) VALUES (1, 1);

-- The newest version of every setting. sealed holds what the database must not be able to read: a workspace's keys, a
-- connection's credentials. sealed_generation grows whenever sealed changes, also without a new version (token rotation).
CREATE TABLE documents (
    workspace         TEXT NOT NULL,
    kind              TEXT NOT NULL,
    id                TEXT NOT NULL,
    version           INTEGER NOT NULL,
    body              BLOB NOT NULL,
    sealed            BLOB,
    sealed_generation INTEGER NOT NULL,
    saved_at          INTEGER NOT NULL,
    saved_by          TEXT NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);

-- Every version of every setting, without what is sealed.
CREATE TABLE history (
    workspace      TEXT NOT NULL,
    kind           TEXT NOT NULL,
    id             TEXT NOT NULL,
    version        INTEGER NOT NULL,
    body           BLOB NOT NULL,
    sealed_changed INTEGER NOT NULL,
    saved_at       INTEGER NOT NULL,
    saved_by       TEXT NOT NULL,
    PRIMARY KEY (workspace, kind, id, version)
);

-- The access token in use per connection, sealed. It counts only while generation is the credentials' one.
CREATE TABLE access_tokens (
    workspace  TEXT NOT NULL,
    connection TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection)
);

-- Who may ask Salesforce for a token just now.
CREATE TABLE refresh_leases (
    workspace  TEXT NOT NULL,
    connection TEXT NOT NULL,
    holder     TEXT NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection)
);
