-- +goose Up

-- Who was erased and must not be recorded again. The person key is a keyed hash; no table of this file names anybody.
-- What was before lifted_at stays erased.
CREATE TABLE suppressions (
    workspace  TEXT COLLATE "C" NOT NULL,
    person_key TEXT COLLATE "C" NOT NULL,
    erasure    TEXT COLLATE "C" NOT NULL,
    since      BIGINT NOT NULL,
    lifted_at  BIGINT,
    lifted_by  TEXT COLLATE "C",
    PRIMARY KEY (workspace, person_key)
);

-- Requests to erase. person_keys are sorted and separated by spaces; body is the erasure with its certificate.
CREATE TABLE erasures (
    workspace    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    done         BIGINT NOT NULL,
    person_keys  TEXT COLLATE "C" NOT NULL,
    body         BYTEA NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX erasures_by_time ON erasures (workspace, requested_at);
CREATE INDEX erasures_to_do ON erasures (requested_at) WHERE done = 0;

-- Requests for what is held of a person. sealed is the document, under the workspace's key; NULL until it is ready.
CREATE TABLE exports (
    workspace    TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    person_keys  TEXT COLLATE "C" NOT NULL,
    body         BYTEA NOT NULL,
    sealed       BYTEA,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX exports_by_expiry ON exports (expires_at);
