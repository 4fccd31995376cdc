-- One text for SQLite and PostgreSQL: only TEXT and BIGINT, times in milliseconds since the epoch, JSON as TEXT.

CREATE TABLE lakemill_catalog (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO lakemill_catalog (name, value) VALUES ('schema_version', 1);

CREATE TABLE namespaces (
    name TEXT NOT NULL PRIMARY KEY,
    created_ms BIGINT NOT NULL
);

-- Tables, views and external tables share one set of names. `location` is a table's folder relative to the lake, or an
-- external table's files; `definition` is a view's query or an external table's JSON.
CREATE TABLE relations (
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    location TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (namespace, name)
);

CREATE TABLE models (
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    model_type TEXT NOT NULL,
    location TEXT NOT NULL,
    lineage TEXT NOT NULL,
    summary TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (namespace, name, version)
);

CREATE TABLE lineage (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    statement TEXT NOT NULL,
    inputs TEXT NOT NULL,
    options TEXT NOT NULL,
    seed TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);

CREATE INDEX lineage_by_output ON lineage (kind, namespace, name, at_ms);

CREATE TABLE step_states (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (pipeline, step)
);

-- `finished_ms` is 0 while a run is under way.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    finished_ms BIGINT NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX runs_by_pipeline ON runs (pipeline, started_ms);
