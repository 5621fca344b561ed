-- +goose Up

-- Where the schedule of a report push stands. day is the newest day, counted from 1970, that had its run or was missed; number
-- that of the newest run; failed_days how many scheduled runs failed one after the other. The row stays when the push goes, for
-- number must only grow.
CREATE TABLE report_schedules (
    workspace   TEXT NOT NULL,
    push        TEXT NOT NULL,
    enabled     INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    failed_days INTEGER NOT NULL,
    PRIMARY KEY (workspace, push)
);
CREATE INDEX report_schedules_by_day ON report_schedules (enabled, day);

-- Complete deliveries of reports.
CREATE TABLE report_deliveries (
    workspace    TEXT NOT NULL,
    report       TEXT NOT NULL,
    id           TEXT NOT NULL,
    completed_at INTEGER NOT NULL,
    reason       INTEGER NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (workspace, report, id)
);
CREATE INDEX report_deliveries_by_time ON report_deliveries (workspace, report, completed_at);

-- Runs. day is NULL for those by hand, body what the run works with, NULL until it was handed out. What chunks decided is counted
-- apart from what the writer answered (w_): their difference is what is pending.
CREATE TABLE report_runs (
    workspace     TEXT NOT NULL,
    id            TEXT NOT NULL,
    push          TEXT NOT NULL,
    push_version  INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    cause         INTEGER NOT NULL,
    report        TEXT NOT NULL,
    report_name   TEXT NOT NULL,
    object        TEXT NOT NULL,
    connection    TEXT NOT NULL,
    day           INTEGER,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    status        INTEGER NOT NULL,
    reason        INTEGER NOT NULL,
    detail        TEXT NOT NULL,
    delivery      TEXT NOT NULL,
    body          BLOB,
    tolerated     REAL NOT NULL,
    worker        TEXT NOT NULL,
    claimed_until INTEGER NOT NULL,
    next_chunk    INTEGER NOT NULL,
    next_row      INTEGER NOT NULL,
    last          INTEGER NOT NULL,
    stop          TEXT NOT NULL,
    row_count     INTEGER NOT NULL,
    handed        INTEGER NOT NULL,
    unchanged     INTEGER NOT NULL,
    unmatched     INTEGER NOT NULL,
    ambiguous     INTEGER NOT NULL,
    blank_keys    INTEGER NOT NULL,
    repeated_keys INTEGER NOT NULL,
    equal_rows    INTEGER NOT NULL,
    failed        INTEGER NOT NULL,
    w_written     INTEGER NOT NULL,
    w_unchanged   INTEGER NOT NULL,
    w_failed      INTEGER NOT NULL,
    w_skipped     INTEGER NOT NULL,
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
    workspace TEXT NOT NULL,
    run       TEXT NOT NULL,
    number    INTEGER NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (workspace, run, number)
);

-- Rows that were not written for a reason of their own. outcome is the outcome that says so, '' when the run itself decided. In
-- body the key is sealed with the workspace's key.
CREATE TABLE report_run_rows (
    workspace TEXT NOT NULL,
    run       TEXT NOT NULL,
    number    INTEGER NOT NULL,
    outcome   TEXT NOT NULL,
    person_key TEXT NOT NULL, -- a keyed hash; empty where nobody knows
    body      BLOB NOT NULL,
    PRIMARY KEY (workspace, run, number, outcome)
);
CREATE INDEX report_run_rows_by_person ON report_run_rows (workspace, person_key) WHERE person_key <> '';

-- What became of the writes of rows that change several records.
CREATE TABLE report_run_writes (
    workspace TEXT NOT NULL,
    run       TEXT NOT NULL,
    number    INTEGER NOT NULL,
    outcome   TEXT NOT NULL,
    fate      INTEGER NOT NULL,
    PRIMARY KEY (workspace, run, number, outcome)
);
