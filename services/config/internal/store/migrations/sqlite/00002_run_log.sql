-- +goose Up

-- What became of events and writes. body is the outcome as it came; the columns beside it are for finding it. Ids are
-- found through 64-bit hashes of workspace and id, which make an index a quarter as large as the texts would; what is
-- found is compared with the text. Absent ids are NULL and not in any index. id_hash is the hash of the outcome's own id,
-- plus one for every other outcome that was there first.
--
-- Recording costs what it writes, and an insert at a random place of a large index writes a page of its own. So rows are
-- numbered into buckets, and an index by bucket and hash takes all of its inserts in one small region. A look-up tries
-- every bucket.
CREATE TABLE outcomes (
    id_hash         INTEGER NOT NULL UNIQUE,
    bucket          INTEGER NOT NULL,
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
    body            BLOB NOT NULL
);
CREATE TABLE outcome_buckets (bucket INTEGER PRIMARY KEY);
CREATE INDEX outcomes_by_time ON outcomes (workspace, decided_at);
CREATE INDEX outcomes_by_event ON outcomes (bucket, event_hash) WHERE event_hash IS NOT NULL;
CREATE INDEX outcomes_by_visit ON outcomes (bucket, visit_hash) WHERE visit_hash IS NOT NULL;
CREATE INDEX outcomes_by_engagement ON outcomes (bucket, engagement_hash) WHERE engagement_hash IS NOT NULL;
CREATE INDEX outcomes_by_write ON outcomes (bucket, write_hash) WHERE write_hash IS NOT NULL;
CREATE INDEX outcomes_by_record ON outcomes (bucket, record_hash) WHERE record_hash IS NOT NULL;
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
