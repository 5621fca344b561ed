-- +goose Up

-- Whose settings a revision changed, so that a watcher can be told what is new to it. The oldest rows go as new ones come.
CREATE TABLE changes (
    revision  BIGINT PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL
);

-- Which database this is: a revision means something only together with it.
CREATE TABLE lineage (id TEXT COLLATE "C" NOT NULL);
INSERT INTO lineage (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- With all that is counted in it, counting a part of an hour reads no rows.
DROP INDEX outcomes_by_time;
CREATE INDEX outcomes_by_time ON outcomes (workspace, decided_at, stage, status, reason);

-- With the reason in it, a search for a rare one reads no other rows.
DROP INDEX outcomes_by_trouble;
CREATE INDEX outcomes_by_trouble ON outcomes (workspace, status, decided_at, reason) WHERE status <> 1;

-- What an integration did per day. Each outcome counts once, under its newest status. first_id is the outcome of first_at.
CREATE TABLE integration_days (
    workspace   TEXT COLLATE "C" NOT NULL,
    day         BIGINT NOT NULL,
    integration TEXT COLLATE "C" NOT NULL,
    status      BIGINT NOT NULL,
    n           BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    first_id    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, day, integration, status)
);
