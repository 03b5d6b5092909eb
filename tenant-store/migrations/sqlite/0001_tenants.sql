-- A tenant's row is never removed: deleted ones stay as tombstones, so that revisions only rise.
CREATE TABLE tenants (
    id         TEXT    NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL CHECK (revision > 0),
    status     TEXT    NOT NULL,              -- as in the spec, for listings by status
    spec       TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at TEXT    NOT NULL,              -- RFC 3339, UTC
    updated_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tenants_by_status ON tenants (status, id);

-- One row for each write that changed something, in the same transaction. Its sequence is the
-- change feed; AUTOINCREMENT never gives a number twice, even if old rows are pruned.
CREATE TABLE audit (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    at              TEXT    NOT NULL,         -- RFC 3339, UTC
    author          TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    outcome         TEXT    NOT NULL CHECK (outcome IN ('created', 'updated', 'deleted')),
    tenant          TEXT    NOT NULL REFERENCES tenants (id),
    before_revision INTEGER,
    after_revision  INTEGER NOT NULL
) STRICT;
