-- +goose Up

-- What became of events and writes. body is the outcome as it came; the columns beside it are for finding it.
-- Ids are found through 64-bit hashes of workspace and id: an index of random text would be four times as large, and
-- writing it is what recording an outcome costs. Absent ids are NULL and not in any index.
CREATE TABLE outcomes (
    workspace       TEXT NOT NULL,
    outcome_id      TEXT NOT NULL,
    decided_at      INTEGER NOT NULL,
    stage           TEXT NOT NULL,
    status          INTEGER NOT NULL,
    reason          INTEGER NOT NULL,
    event_id        TEXT,
    visit_id        TEXT,
    engagement_id   TEXT,
    write_key       TEXT,
    record_id       TEXT,
    event_hash      INTEGER,
    visit_hash      INTEGER,
    engagement_hash INTEGER,
    write_hash      INTEGER,
    record_hash     INTEGER,
    body            BLOB NOT NULL,
    PRIMARY KEY (workspace, outcome_id)
);
CREATE INDEX outcomes_by_time ON outcomes (workspace, decided_at);
CREATE INDEX outcomes_by_event ON outcomes (event_hash) WHERE event_hash IS NOT NULL;
CREATE INDEX outcomes_by_visit ON outcomes (visit_hash) WHERE visit_hash IS NOT NULL;
CREATE INDEX outcomes_by_engagement ON outcomes (engagement_hash) WHERE engagement_hash IS NOT NULL;
CREATE INDEX outcomes_by_write ON outcomes (write_hash) WHERE write_hash IS NOT NULL;
CREATE INDEX outcomes_by_record ON outcomes (record_hash) WHERE record_hash IS NOT NULL;
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
