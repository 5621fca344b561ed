-- +goose Up

-- What became of events and writes. body is the outcome as it came; the columns beside it are for finding it. Absent ids
-- are NULL, so that the partial indexes stay small.
CREATE TABLE outcomes (
    workspace     TEXT NOT NULL,
    outcome_id    TEXT NOT NULL,
    decided_at    INTEGER NOT NULL,
    stage         TEXT NOT NULL,
    status        INTEGER NOT NULL,
    reason        INTEGER NOT NULL,
    event_id      TEXT,
    visit_id      TEXT,
    engagement_id TEXT,
    write_key     TEXT,
    record_id     TEXT,
    body          BLOB NOT NULL,
    PRIMARY KEY (workspace, outcome_id)
);
CREATE INDEX outcomes_by_time ON outcomes (workspace, decided_at);
CREATE INDEX outcomes_by_event ON outcomes (workspace, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX outcomes_by_visit ON outcomes (workspace, visit_id) WHERE visit_id IS NOT NULL;
CREATE INDEX outcomes_by_engagement ON outcomes (workspace, engagement_id) WHERE engagement_id IS NOT NULL;
CREATE INDEX outcomes_by_write ON outcomes (workspace, write_key) WHERE write_key IS NOT NULL;
CREATE INDEX outcomes_by_record ON outcomes (workspace, record_id) WHERE record_id IS NOT NULL;
-- Status 1 is WRITTEN, almost every row: a search for it reads the index by time.
CREATE INDEX outcomes_by_trouble ON outcomes (workspace, status, decided_at) WHERE status <> 1;

-- How many outcomes per hour. Each outcome counts once, under its newest status.
CREATE TABLE outcome_counts (
    workspace TEXT NOT NULL,
    hour      INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    status    INTEGER NOT NULL,
    reason    INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (workspace, hour, stage, status, reason)
);
