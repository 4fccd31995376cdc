-- Indexes over columns of vectors. `relation` is the folder of a table, which is unique for ever: a table that is renamed keeps
-- its indexes. `location` is the folder of an index's files relative to the lake, `definition` the index as JSON.

CREATE TABLE vector_indexes (
    relation TEXT NOT NULL,
    name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    location TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (relation, name)
);

UPDATE lakemill_catalog SET value = 3 WHERE name = 'schema_version';
