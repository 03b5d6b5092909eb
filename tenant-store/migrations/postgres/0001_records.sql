-- A record's row is never removed: deleted ones stay as tombstones, and of purged ones the revision
-- stays, so that revisions only rise. Ids are compared by byte, whatever the database's language.
CREATE TABLE mirador_records (
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    revision   BIGINT           NOT NULL CHECK (revision > 0),
    status     TEXT COLLATE "C" NOT NULL,
    document   TEXT             NOT NULL,     -- JSON; as text, as numbers and escapes stay what they are
    tier       TEXT COLLATE "C",              -- what listings choose by, out of the document
    tenant     TEXT COLLATE "C",
    labels     JSONB,
    created_at TIMESTAMPTZ      NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL,
    used_at    TIMESTAMPTZ,                   -- noted now and then, by no revision
    PRIMARY KEY (kind, id)
);

CREATE INDEX mirador_records_by_status ON mirador_records (kind, status, id);
CREATE INDEX mirador_records_by_tenant ON mirador_records (kind, tenant, id) WHERE tenant IS NOT NULL;

-- The change feed's position, in one row. A writer moves it on as the last thing before it commits,
-- and holds the row until then: positions are seen in the order they were given, and none is
-- missing that a later one was seen after. (A sequence promises neither.)
CREATE TABLE mirador_feed (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    position BIGINT NOT NULL
);

INSERT INTO mirador_feed (position) VALUES (0);

-- One row for each write that changed something, in the same transaction.
CREATE TABLE mirador_events (
    sequence        BIGINT PRIMARY KEY,
    at              TIMESTAMPTZ      NOT NULL,
    author          TEXT             NOT NULL, -- `\` is written `\\` in these three, and NUL `\0`
    origin          TEXT             NOT NULL,
    request_id      TEXT             NOT NULL,
    outcome         TEXT             NOT NULL
        CHECK (outcome IN ('created', 'updated', 'deleted', 'restored', 'purged')),
    kind            TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    before_revision BIGINT,
    after_revision  BIGINT           NOT NULL,
    changes         TEXT
);

CREATE INDEX mirador_events_by_subject ON mirador_events (kind, id, sequence);

-- The account of writes is only ever added to.
CREATE FUNCTION mirador_events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are append-only';
END
$$;

CREATE TRIGGER mirador_events_are_append_only
    BEFORE UPDATE OR DELETE ON mirador_events
    FOR EACH ROW EXECUTE FUNCTION mirador_events_are_append_only();
CREATE TRIGGER mirador_events_are_not_truncated
    BEFORE TRUNCATE ON mirador_events
    FOR EACH STATEMENT EXECUTE FUNCTION mirador_events_are_append_only();
