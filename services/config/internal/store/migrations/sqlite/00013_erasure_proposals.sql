-- +goose Up

-- Whom an org says to forget (XC-32), for a privacy officer to decide on. The person key is a keyed hash. A dismissed one stays, so
-- that it does not come again at once.
CREATE TABLE erasure_proposals (
    workspace    TEXT NOT NULL,
    person_key   TEXT NOT NULL,
    id           TEXT NOT NULL,
    connection   TEXT NOT NULL,
    object       TEXT NOT NULL,
    record_id    TEXT NOT NULL,
    proposed_at  INTEGER NOT NULL,
    dismissed_at INTEGER,
    PRIMARY KEY (workspace, person_key)
);
CREATE UNIQUE INDEX erasure_proposals_by_id ON erasure_proposals (workspace, id);
