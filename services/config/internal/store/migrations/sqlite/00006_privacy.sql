-- +goose Up

-- Who was erased and must not be recorded again. The person key is a keyed hash; no table of this file names anybody.
-- What was before lifted_at stays erased.
CREATE TABLE suppressions (
    workspace  TEXT NOT NULL,
    person_key TEXT NOT NULL,
    erasure    TEXT NOT NULL,
    since      INTEGER NOT NULL,
    lifted_at  INTEGER,
    lifted_by  TEXT,
    PRIMARY KEY (workspace, person_key)
);

-- Requests to erase. person_keys are sorted and separated by spaces; body is the erasure with its certificate.
CREATE TABLE erasures (
    workspace    TEXT NOT NULL,
    id           TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    done         INTEGER NOT NULL,
    person_keys  TEXT NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX erasures_by_time ON erasures (workspace, requested_at);
CREATE INDEX erasures_to_do ON erasures (requested_at) WHERE done = 0;

-- Requests for what is held of a person. sealed is the document, under the workspace's key; NULL until it is ready.
CREATE TABLE exports (
    workspace    TEXT NOT NULL,
    id           TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    person_keys  TEXT NOT NULL,
    body         BLOB NOT NULL,
    sealed       BLOB,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX exports_by_expiry ON exports (expires_at);
