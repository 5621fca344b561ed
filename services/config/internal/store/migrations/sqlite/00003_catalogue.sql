-- +goose Up

-- What a connection's org said of an object; object '' is the list of objects. body is empty for an object that is not
-- there. connection_version is the connection's when it was asked: another user may see something else.
CREATE TABLE describes (
    workspace          TEXT NOT NULL,
    connection         TEXT NOT NULL,
    object             TEXT NOT NULL,
    connection_version INTEGER NOT NULL,
    body               BLOB NOT NULL,
    modified_at        INTEGER NOT NULL,
    asked_at           INTEGER NOT NULL,
    read_at            INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection, object)
);

-- The integrations whose newest version does not fit its org any more, with the problems.
CREATE TABLE broken_integrations (
    workspace   TEXT NOT NULL,
    integration TEXT NOT NULL,
    connection  TEXT NOT NULL,
    version     INTEGER NOT NULL,
    found_at    INTEGER NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (workspace, integration)
);
