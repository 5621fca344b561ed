-- +goose Up

-- Where the schedule of a report push stands. day is the newest day, counted from 1970, that had its run or was missed; number
-- that of the newest run; failed_days how many scheduled runs failed one after the other. The row stays when the push goes, for
-- number must only grow.
CREATE TABLE report_schedules (
    workspace   TEXT COLLATE "C" NOT NULL,
    push        TEXT COLLATE "C" NOT NULL,
    enabled     BIGINT NOT NULL,
    day         BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    failed_days BIGINT NOT NULL,
    PRIMARY KEY (workspace, push)
);
CREATE INDEX report_schedules_by_day ON report_schedules (enabled, day);

-- Complete deliveries of reports.
CREATE TABLE report_deliveries (
    workspace    TEXT COLLATE "C" NOT NULL,
    report       TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    completed_at BIGINT NOT NULL,
    reason       BIGINT NOT NULL,
    body         BYTEA NOT NULL,
    PRIMARY KEY (workspace, report, id)
);
CREATE INDEX report_deliveries_by_time ON report_deliveries (workspace, report, completed_at);

-- Runs. day is NULL for those by hand, body what the run works with, NULL until it was handed out. What chunks decided is counted
-- apart from what the writer answered (w_): their difference is what is pending.
CREATE TABLE report_runs (
    workspace     TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    push          TEXT COLLATE "C" NOT NULL,
    push_version  BIGINT NOT NULL,
    number        BIGINT NOT NULL,
    cause         BIGINT NOT NULL,
    report        TEXT COLLATE "C" NOT NULL,
    report_name   TEXT COLLATE "C" NOT NULL,
    object        TEXT COLLATE "C" NOT NULL,
    connection    TEXT COLLATE "C" NOT NULL,
    day           BIGINT,
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT,
    status        BIGINT NOT NULL,
    reason        BIGINT NOT NULL,
    detail        TEXT COLLATE "C" NOT NULL,
    delivery      TEXT COLLATE "C" NOT NULL,
    body          BYTEA,
    tolerated     DOUBLE PRECISION NOT NULL,
    worker        TEXT COLLATE "C" NOT NULL,
    claimed_until BIGINT NOT NULL,
    next_chunk    BIGINT NOT NULL,
    next_row      BIGINT NOT NULL,
    last          BIGINT NOT NULL,
    stop          TEXT COLLATE "C" NOT NULL,
    row_count     BIGINT NOT NULL,
    handed        BIGINT NOT NULL,
    unchanged     BIGINT NOT NULL,
    unmatched     BIGINT NOT NULL,
    ambiguous     BIGINT NOT NULL,
    blank_keys    BIGINT NOT NULL,
    repeated_keys BIGINT NOT NULL,
    equal_rows    BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    w_written     BIGINT NOT NULL,
    w_unchanged   BIGINT NOT NULL,
    w_failed      BIGINT NOT NULL,
    w_skipped     BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
-- One run a push and day, one at a time, and no number twice. Status 1 is RUNNING; a missed day has no number.
CREATE UNIQUE INDEX report_runs_by_day ON report_runs (workspace, push, day) WHERE day IS NOT NULL;
CREATE UNIQUE INDEX report_runs_active ON report_runs (workspace, push) WHERE status = 1;
CREATE UNIQUE INDEX report_runs_by_number ON report_runs (workspace, push, number) WHERE number > 0;
CREATE INDEX report_runs_to_do ON report_runs (claimed_until) WHERE status = 1;
CREATE INDEX report_runs_by_time ON report_runs (workspace, started_at, id);
CREATE INDEX report_runs_by_push ON report_runs (workspace, push, started_at, id);

CREATE TABLE report_run_chunks (
    workspace TEXT COLLATE "C" NOT NULL,
    run       TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    body      BYTEA NOT NULL,
    PRIMARY KEY (workspace, run, number)
);

-- Rows that were not written for a reason of their own. outcome is the outcome that says so, '' when the run itself decided. In
-- body the key is sealed with the workspace's key.
CREATE TABLE report_run_rows (
    workspace TEXT COLLATE "C" NOT NULL,
    run       TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    outcome   TEXT COLLATE "C" NOT NULL,
    person_key TEXT COLLATE "C" NOT NULL, -- a keyed hash; empty where nobody knows
    body      BYTEA NOT NULL,
    PRIMARY KEY (workspace, run, number, outcome)
);
CREATE INDEX report_run_rows_by_person ON report_run_rows (workspace, person_key) WHERE person_key <> '';

-- What became of the writes of rows that change several records.
CREATE TABLE report_run_writes (
    workspace TEXT COLLATE "C" NOT NULL,
    run       TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    outcome   TEXT COLLATE "C" NOT NULL,
    fate      BIGINT NOT NULL,
    PRIMARY KEY (workspace, run, number, outcome)
);
