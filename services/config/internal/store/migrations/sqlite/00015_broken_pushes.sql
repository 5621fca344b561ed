-- +goose Up

-- Report pushes that do not fit their report or their org any more, or that the service has paused; as broken_integrations.
CREATE TABLE broken_pushes (
    workspace  TEXT NOT NULL,
    push       TEXT NOT NULL,
    connection TEXT NOT NULL,
    version    INTEGER NOT NULL,
    found_at   INTEGER NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (workspace, push)
);
