-- Changes of tenants' health. Bounded: the newest of each tenant, and no older than configured.
CREATE TABLE mirador_health_changes (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   TEXT COLLATE "C" NOT NULL,
    at       BIGINT           NOT NULL,       -- microseconds since the epoch
    router   TEXT             NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    signal   TEXT COLLATE "C",
    endpoint TEXT,
    was      TEXT             NOT NULL,
    became   TEXT             NOT NULL,
    cause    TEXT             NOT NULL,
    sentence TEXT             NOT NULL
);

CREATE INDEX mirador_health_changes_by_tenant ON mirador_health_changes (tenant, at, id);
CREATE INDEX mirador_health_changes_by_age ON mirador_health_changes (at);

-- Requests that were served well, and that were not, by time: each in a row of five minutes, of an
-- hour and of a day, the finer ones kept for less long. Rows are updated in place over and over,
-- and no index holds what is updated, so there is room left for that.
CREATE TABLE mirador_request_counts (
    tenant TEXT COLLATE "C" NOT NULL,
    span   INTEGER          NOT NULL,         -- seconds
    start  BIGINT           NOT NULL,         -- seconds since the epoch
    signal TEXT COLLATE "C" NOT NULL,
    good   BIGINT           NOT NULL,
    bad    BIGINT           NOT NULL,
    PRIMARY KEY (tenant, span, start, signal)
) WITH (fillfactor = 80);

CREATE INDEX mirador_request_counts_by_age ON mirador_request_counts (span, start);

-- The last batch of each process that wrote any: one that is sent again is known by it.
CREATE TABLE mirador_history_writers (
    writer TEXT   NOT NULL PRIMARY KEY,
    batch  BIGINT NOT NULL,
    at     BIGINT NOT NULL                    -- seconds since the epoch
);
