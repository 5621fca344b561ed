-- +goose Up

-- Outcomes of one reason, whatever became of them: without this, a search for a reason that is rare or never was reads the index by
-- time of the whole workspace.
CREATE INDEX outcomes_by_reason ON outcomes (workspace, reason, decided_at, status) WHERE reason <> 0;

-- The days of one integration, among those of many.
CREATE INDEX integration_days_by_integration ON integration_days (workspace, integration, day, status);

-- A run log grows at one end, and people ask for what came last: by default, PostgreSQL would look at it anew only when a tenth of it,
-- or a fifth, is new. Then counting a part of an hour reads an index alone, and plans are made for the rows that there are.
ALTER TABLE outcomes SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
