-- +goose Up

-- What a connection's org said of an object; object '' is the list of objects. body is empty for an object that is not
-- there. connection_version is the connection's when it was asked: another user may see something else.
CREATE TABLE describes (
    workspace          TEXT COLLATE "C" NOT NULL,
    connection         TEXT COLLATE "C" NOT NULL,
    object             TEXT COLLATE "C" NOT NULL,
    connection_version BIGINT NOT NULL,
    body               BYTEA NOT NULL,
    modified_at        BIGINT NOT NULL,
    asked_at           BIGINT NOT NULL,
    read_at            BIGINT NOT NULL,
    PRIMARY KEY (workspace, connection, object)
);

-- The integrations whose newest version does not fit its org any more, with the problems.
CREATE TABLE broken_integrations (
    workspace   TEXT COLLATE "C" NOT NULL,
    integration TEXT COLLATE "C" NOT NULL,
    connection  TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    found_at    BIGINT NOT NULL,
    body        BYTEA NOT NULL,
    PRIMARY KEY (workspace, integration)
);
