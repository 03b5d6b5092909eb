-- Tenants become records of one kind among several; what was there moves over as it is.
--
-- A record's row is never removed: deleted ones stay as tombstones, and of purged ones the revision
-- stays, so that revisions only rise.
CREATE TABLE records (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    revision   INTEGER NOT NULL CHECK (revision > 0),
    status     TEXT    NOT NULL,
    document   TEXT    NOT NULL CHECK (json_valid(document)),
    created_at TEXT    NOT NULL,              -- RFC 3339, UTC, as all times here
    updated_at TEXT    NOT NULL,
    used_at    TEXT,                          -- noted now and then, by no revision
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_status ON records (kind, status, id);

-- Hosting that nobody had chosen was written down as `dedicated`; left out, it is the tier's.
INSERT INTO records (kind, id, revision, status, document, created_at, updated_at)
SELECT 'tenant', id, revision, status,
       CASE WHEN json_extract(spec, '$.deployments.traces.hosting') = 'dedicated'
            THEN json_remove(spec, '$.deployments.traces.hosting') ELSE spec END,
       created_at, updated_at
FROM (SELECT id, revision, status, created_at, updated_at,
             CASE WHEN json_extract(spec, '$.deployments.logs.hosting') = 'dedicated'
                  THEN json_remove(spec, '$.deployments.logs.hosting') ELSE spec END AS spec
      FROM (SELECT id, revision, status, created_at, updated_at,
                   CASE WHEN json_extract(spec, '$.deployments.metrics.hosting') = 'dedicated'
                        THEN json_remove(spec, '$.deployments.metrics.hosting') ELSE spec END AS spec
            FROM tenants));

-- One row for each write that changed something, in the same transaction. Its sequence is the
-- change feed; AUTOINCREMENT never gives a number twice, even if old rows are pruned.
CREATE TABLE events (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    at              TEXT    NOT NULL,         -- always with nine decimals, to be compared as text
    author          TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    outcome         TEXT    NOT NULL
        CHECK (outcome IN ('created', 'updated', 'deleted', 'restored', 'purged')),
    kind            TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    before_revision INTEGER,
    after_revision  INTEGER NOT NULL,
    changes         TEXT    CHECK (json_valid(changes))
) STRICT;

INSERT INTO events (sequence, at, author, origin, request_id, outcome, kind, id, before_revision,
                    after_revision)
SELECT sequence,
       substr(replace(at, 'Z', '') || CASE WHEN instr(at, '.') > 0 THEN '' ELSE '.' END
              || '000000000', 1, 29) || 'Z',
       author, origin, request_id, outcome, 'tenant', tenant, before_revision, after_revision
FROM audit ORDER BY sequence;

-- Numbers that were given once are not given again, whatever became of their rows.
INSERT INTO sqlite_sequence (name, seq)
SELECT 'events', seq FROM sqlite_sequence
WHERE name = 'audit' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events');
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'audit')
WHERE name = 'events' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'audit');

CREATE INDEX events_by_subject ON events (kind, id, sequence);

DROP TABLE audit;
DROP TABLE tenants;

-- The account of writes is only ever added to.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
