-- +goose Up

-- What became of events and writes. body is the outcome as it came; the columns beside it are for finding it. Absent ids
-- are NULL, so that the partial indexes stay small.
CREATE TABLE outcomes (
    workspace     TEXT COLLATE "C" NOT NULL,
    outcome_id    TEXT COLLATE "C" NOT NULL,
    decided_at    BIGINT NOT NULL,
    stage         TEXT COLLATE "C" NOT NULL,
    status        BIGINT NOT NULL,
    reason        BIGINT NOT NULL,
    event_id      TEXT COLLATE "C",
    visit_id      TEXT COLLATE "C",
    engagement_id TEXT COLLATE "C",
    write_key     TEXT COLLATE "C",
    record_id     TEXT COLLATE "C",
    body          BYTEA NOT NULL,
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
    workspace TEXT COLLATE "C" NOT NULL,
    hour      BIGINT NOT NULL,
    stage     TEXT COLLATE "C" NOT NULL,
    status    BIGINT NOT NULL,
    reason    BIGINT NOT NULL,
    n         BIGINT NOT NULL,
    PRIMARY KEY (workspace, hour, stage, status, reason)
);
