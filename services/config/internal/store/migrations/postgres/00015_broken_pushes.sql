-- +goose Up

-- Report pushes that do not fit their report or their org any more, or that the service has paused; as broken_integrations.
CREATE TABLE broken_pushes (
    workspace  TEXT COLLATE "C" NOT NULL,
    push       TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    found_at   BIGINT NOT NULL,
    body       BYTEA NOT NULL,
    PRIMARY KEY (workspace, push)
);
