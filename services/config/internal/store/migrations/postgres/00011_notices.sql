-- +goose Up

-- What is in the way of a workspace, or was: one row per thing, however often it comes back. body is the notice as it was found.
-- ended_at and quiet_until are 0 while it is in the way and people are told.
CREATE TABLE notices (
    workspace   TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    began_at    BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    quiet_until BIGINT NOT NULL,
    quiet_by    TEXT COLLATE "C" NOT NULL,
    body        BYTEA NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX notices_by_end ON notices (ended_at);

-- Who was told of what, and when they may be told next. The time is moved ahead before a message is sent, so that of several
-- replicas one sends it.
CREATE TABLE notice_tellings (
    workspace TEXT COLLATE "C" NOT NULL,
    notice    TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    told_at   BIGINT NOT NULL,
    next_at   BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    PRIMARY KEY (workspace, notice, recipient)
);
