-- Changes of tenants' health. Bounded: the newest of each tenant, and no older than configured.
CREATE TABLE health_changes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   TEXT    NOT NULL,
    at       INTEGER NOT NULL,                -- microseconds since the epoch
    router   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    signal   TEXT,
    endpoint TEXT,
    was      TEXT    NOT NULL,
    became   TEXT    NOT NULL,
    cause    TEXT    NOT NULL,
    sentence TEXT    NOT NULL
) STRICT;

CREATE INDEX health_changes_by_tenant ON health_changes (tenant, at, id);
CREATE INDEX health_changes_by_age ON health_changes (at);

-- Requests that were served well, and that were not, by time: each in a row of five minutes, of an
-- hour and of a day, the finer ones kept for less long.
CREATE TABLE request_counts (
    tenant TEXT    NOT NULL,
    span   INTEGER NOT NULL,                  -- seconds
    start  INTEGER NOT NULL,                  -- seconds since the epoch
    signal TEXT    NOT NULL,
    good   INTEGER NOT NULL,
    bad    INTEGER NOT NULL,
    PRIMARY KEY (tenant, span, start, signal)
) STRICT, WITHOUT ROWID;

CREATE INDEX request_counts_by_age ON request_counts (span, start);

-- The last batch of each process that wrote any: one that is sent again is known by it.
CREATE TABLE history_writers (
    writer TEXT    NOT NULL PRIMARY KEY,
    batch  INTEGER NOT NULL,
    at     INTEGER NOT NULL                   -- seconds since the epoch
) STRICT, WITHOUT ROWID;
