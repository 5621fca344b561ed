-- +goose Up

-- Whose settings a revision changed, so that a watcher can be told what is new to it. The oldest rows go as new ones come.
CREATE TABLE changes (
    revision  BIGINT PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL
);

-- Which database this is: a revision means something only together with it.
CREATE TABLE lineage (id TEXT COLLATE "C" NOT NULL);
INSERT INTO lineage (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- With the reason in it, a search for a rare one reads no other rows.
DROP INDEX outcomes_by_trouble;
CREATE INDEX outcomes_by_trouble ON outcomes (workspace, status, decided_at, reason) WHERE status <> 1;
