-- +goose Up

-- When a setting was made and by whom: its first version may be too old to be there. 0 and '' where it is already.
ALTER TABLE documents ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
UPDATE documents SET
    created_at = COALESCE((SELECT h.saved_at FROM history h
        WHERE h.workspace = documents.workspace AND h.kind = documents.kind AND h.id = documents.id AND h.version = 1), 0),
    created_by = COALESCE((SELECT h.saved_by FROM history h
        WHERE h.workspace = documents.workspace AND h.kind = documents.kind AND h.id = documents.id AND h.version = 1), '');
