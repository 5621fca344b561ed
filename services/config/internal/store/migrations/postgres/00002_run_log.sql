-- +goose Up

-- What became of events and writes. body is the outcome as it came; the columns beside it are for finding it. Ids are
-- found through 64-bit hashes of workspace and id, which make an index a quarter as large as the texts would; what is
-- found is compared with the text. Absent ids are NULL and not in any index. id_hash is the hash of the outcome's own id,
-- plus one for every other outcome that was there first.
--
-- bucket numbers groups of rows in the order in which they came; only SQLite's indexes make use of it.
CREATE TABLE outcomes (
    id_hash         BIGINT NOT NULL UNIQUE,
    bucket          BIGINT NOT NULL,
    workspace       TEXT COLLATE "C" NOT NULL,
    outcome_id      TEXT COLLATE "C" NOT NULL,
    decided_at      BIGINT NOT NULL,
    stage           TEXT COLLATE "C" NOT NULL,
    status          BIGINT NOT NULL,
    reason          BIGINT NOT NULL,
    event_id        TEXT COLLATE "C",
    visit_id        TEXT COLLATE "C",
    engagement_id   TEXT COLLATE "C",
    write_key       TEXT COLLATE "C",
    record_id       TEXT COLLATE "C",
    event_hash      BIGINT,
    visit_hash      BIGINT,
    engagement_hash BIGINT,
    write_hash      BIGINT,
    record_hash     BIGINT,
    body            BYTEA NOT NULL
);
CREATE TABLE outcome_buckets (bucket BIGINT PRIMARY KEY);
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
    workspace TEXT COLLATE "C" NOT NULL,
    hour      BIGINT NOT NULL,
    stage     TEXT COLLATE "C" NOT NULL,
    status    BIGINT NOT NULL,
    reason    BIGINT NOT NULL,
    n         BIGINT NOT NULL,
    PRIMARY KEY (workspace, hour, stage, status, reason)
);
