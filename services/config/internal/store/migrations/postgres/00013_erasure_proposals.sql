-- +goose Up

-- Whom an org says to forget (XC-32), for a privacy officer to decide on. The person key is a keyed hash. A dismissed one stays, so
-- that it does not come again at once.
CREATE TABLE erasure_proposals (
    workspace    TEXT COLLATE "C" NOT NULL,
    person_key   TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    connection   TEXT COLLATE "C" NOT NULL,
    object       TEXT COLLATE "C" NOT NULL,
    record_id    TEXT COLLATE "C" NOT NULL,
    proposed_at  BIGINT NOT NULL,
    dismissed_at BIGINT,
    PRIMARY KEY (workspace, person_key)
);
CREATE UNIQUE INDEX erasure_proposals_by_id ON erasure_proposals (workspace, id);
