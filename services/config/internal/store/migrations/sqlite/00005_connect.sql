-- +goose Up

-- Where every connection stands; see package connstate. check_at is when it is to be diagnosed next, seq the number of its
-- newest change of state.
CREATE TABLE connection_states (
    workspace        TEXT NOT NULL,
    connection       TEXT NOT NULL,
    state            INTEGER NOT NULL,
    reason           INTEGER NOT NULL,
    cause            TEXT NOT NULL,
    actor            TEXT NOT NULL,
    since            INTEGER NOT NULL,
    held_until       INTEGER NOT NULL,
    better_since     INTEGER NOT NULL,
    recoveries       INTEGER NOT NULL,
    recovering_since INTEGER NOT NULL,
    check_at         INTEGER NOT NULL,
    seq              INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection)
);
CREATE INDEX connection_states_by_check ON connection_states (check_at);

-- Every change of state.
CREATE TABLE connection_history (
    workspace  TEXT NOT NULL,
    connection TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    was        INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    reason     INTEGER NOT NULL,
    cause      TEXT NOT NULL,
    actor      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    manual     INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection, seq)
);

-- Attempts at connecting an org. The link, the state parameter and the browser's cookie are kept as hashes; sealed holds what
-- the attempt needs and the database must not be able to read. Statuses below 5 are pending: one per connection.
CREATE TABLE connect_flows (
    id          TEXT PRIMARY KEY,
    workspace   TEXT NOT NULL,
    connection  TEXT NOT NULL,
    actor       TEXT NOT NULL,
    setup_link  INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    ticket_hash BLOB,
    state_hash  BLOB,
    cookie_hash BLOB,
    sealed      BLOB,
    result      BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX connect_flows_by_ticket ON connect_flows (ticket_hash);
CREATE UNIQUE INDEX connect_flows_by_state ON connect_flows (state_hash);
CREATE UNIQUE INDEX connect_flows_pending ON connect_flows (workspace, connection) WHERE status < 5;
CREATE INDEX connect_flows_by_expiry ON connect_flows (expires_at);

-- What the last diagnosis of every connection found.
CREATE TABLE connection_diagnoses (
    workspace  TEXT NOT NULL,
    connection TEXT NOT NULL,
    at         INTEGER NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (workspace, connection)
);

-- Tokens that are forgotten here and still have to be revoked at Salesforce, sealed.
CREATE TABLE revocations (
    id         TEXT PRIMARY KEY,
    workspace  TEXT NOT NULL,
    connection TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    attempts   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX revocations_by_next ON revocations (next_at);
