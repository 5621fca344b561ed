-- +goose Up

-- Outcomes of one reason, whatever became of them: without this, a search for a reason that is rare or never was reads the index by
-- time of the whole workspace.
CREATE INDEX outcomes_by_reason ON outcomes (workspace, reason, decided_at, status) WHERE reason <> 0;

-- The days of one integration, among those of many.
CREATE INDEX integration_days_by_integration ON integration_days (workspace, integration, day, status);
