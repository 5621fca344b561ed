-- +goose Up

-- What is in the way of a workspace, or was: one row per thing, however often it comes back. body is the notice as it was found.
-- ended_at and quiet_until are 0 while it is in the way and people are told.
CREATE TABLE notices (
    workspace   TEXT NOT NULL,
    id          TEXT NOT NULL,
    began_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    quiet_until INTEGER NOT NULL,
    quiet_by    TEXT NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX notices_by_end ON notices (ended_at);

-- Who was told of what, and when they may be told next. The time is moved ahead before a message is sent, so that of several
-- replicas one sends it.
CREATE TABLE notice_tellings (
    workspace TEXT NOT NULL,
    notice    TEXT NOT NULL,
    recipient TEXT NOT NULL,
    told_at   INTEGER NOT NULL,
    next_at   INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    PRIMARY KEY (workspace, notice, recipient)
);
