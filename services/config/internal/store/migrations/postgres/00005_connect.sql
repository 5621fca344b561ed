-- +goose Up

-- Where every connection stands; see package connstate. check_at is when it is to be diagnosed next, seq the number of its
-- newest change of state.
CREATE TABLE connection_states (
    workspace        TEXT COLLATE "C" NOT NULL,
    connection       TEXT COLLATE "C" NOT NULL,
    state            BIGINT NOT NULL,
    reason           BIGINT NOT NULL,
    cause            TEXT COLLATE "C" NOT NULL,
    actor            TEXT COLLATE "C" NOT NULL,
    since            BIGINT NOT NULL,
    held_until       BIGINT NOT NULL,
    better_since     BIGINT NOT NULL,
    recoveries       BIGINT NOT NULL,
    recovering_since BIGINT NOT NULL,
    check_at         BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    PRIMARY KEY (workspace, connection)
);
CREATE INDEX connection_states_by_check ON connection_states (check_at);

-- Every change of state.
CREATE TABLE connection_history (
    workspace  TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    was        BIGINT NOT NULL,
    state      BIGINT NOT NULL,
    reason     BIGINT NOT NULL,
    cause      TEXT COLLATE "C" NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    manual     BIGINT NOT NULL,
    PRIMARY KEY (workspace, connection, seq)
);

-- Attempts at connecting an org. The link, the state parameter and the browser's cookie are kept as hashes; sealed holds what
-- the attempt needs and the database must not be able to read. Statuses below 5 are pending: one per connection.
CREATE TABLE connect_flows (
    id          TEXT COLLATE "C" PRIMARY KEY,
    workspace   TEXT COLLATE "C" NOT NULL,
    connection  TEXT COLLATE "C" NOT NULL,
    actor       TEXT COLLATE "C" NOT NULL,
    setup_link  BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    ticket_hash BYTEA,
    state_hash  BYTEA,
    cookie_hash BYTEA,
    sealed      BYTEA,
    result      BYTEA,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX connect_flows_by_ticket ON connect_flows (ticket_hash);
CREATE UNIQUE INDEX connect_flows_by_state ON connect_flows (state_hash);
CREATE UNIQUE INDEX connect_flows_pending ON connect_flows (workspace, connection) WHERE status < 5;
CREATE INDEX connect_flows_by_expiry ON connect_flows (expires_at);

-- What the last diagnosis of every connection found.
CREATE TABLE connection_diagnoses (
    workspace  TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    body       BYTEA NOT NULL,
    PRIMARY KEY (workspace, connection)
);

-- Tokens that are forgotten here and still have to be revoked at Salesforce, sealed.
CREATE TABLE revocations (
    id         TEXT COLLATE "C" PRIMARY KEY,
    workspace  TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    sealed     BYTEA NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX revocations_by_next ON revocations (next_at);
