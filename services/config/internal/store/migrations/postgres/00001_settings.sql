-- +goose Up

-- Raised by every save, within its transaction. The row lock puts saves in order.
CREATE TABLE revision (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO revision (id, value) VALUES (1, 1);

-- The newest version of every setting. sealed holds what the database must not be able to read: a workspace's keys, a
-- connection's credentials. sealed_generation grows whenever sealed changes, also without a new version (token rotation).
CREATE TABLE documents (
    workspace         TEXT COLLATE "C" NOT NULL,
    kind              TEXT COLLATE "C" NOT NULL,
    id                TEXT COLLATE "C" NOT NULL,
    version           BIGINT NOT NULL,
    body              BYTEA NOT NULL,
    sealed            BYTEA,
    sealed_generation BIGINT NOT NULL,
    saved_at          BIGINT NOT NULL,
    saved_by          TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);

-- Every version of every setting, without what is sealed.
CREATE TABLE history (
    workspace      TEXT COLLATE "C" NOT NULL,
    kind           TEXT COLLATE "C" NOT NULL,
    id             TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    body           BYTEA NOT NULL,
    sealed_changed BIGINT NOT NULL,
    saved_at       BIGINT NOT NULL,
    saved_by       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, kind, id, version)
);

-- The access token in use per connection, sealed. It counts only while generation is the credentials' one.
CREATE TABLE access_tokens (
    workspace  TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    sealed     BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, connection)
);

-- Who may ask Salesforce for a token just now.
CREATE TABLE refresh_leases (
    workspace  TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    holder     TEXT COLLATE "C" NOT NULL,
    until      BIGINT NOT NULL,
    PRIMARY KEY (workspace, connection)
);
