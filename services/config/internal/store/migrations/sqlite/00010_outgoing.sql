-- +goose Up

-- The networks that our calls to Salesforce come from, since when they are announced and from when on they are used: a network
-- that customers could not allow in time is refused.
CREATE TABLE outgoing_networks (
    network      TEXT PRIMARY KEY,
    announced_at INTEGER NOT NULL,
    used_from    INTEGER NOT NULL
);
