-- Who may do what. Users and roles share one set of names, so that a grant names its grantee without saying which.

-- `kind` is user or role. `verifier` is a user's SCRAM-SHA-256 verifier as PostgreSQL writes it; '' cannot log in by
-- password.
CREATE TABLE principals (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    verifier TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

INSERT INTO principals (name, kind, verifier, created_ms) VALUES ('admin', 'role', '', 0);

CREATE TABLE memberships (
    role TEXT NOT NULL REFERENCES principals (name),
    member TEXT NOT NULL REFERENCES principals (name),
    granted_ms BIGINT NOT NULL,
    PRIMARY KEY (role, member)
);

CREATE INDEX memberships_by_member ON memberships (member);

-- `kind` is table (views and external tables included), model or namespace. An empty `object` of a table or a model
-- means all of the namespace, those to come included; that of a namespace is always empty.
CREATE TABLE grants (
    grantee TEXT NOT NULL REFERENCES principals (name),
    privilege TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    object TEXT NOT NULL,
    granted_ms BIGINT NOT NULL,
    PRIMARY KEY (grantee, kind, namespace, object, privilege)
);

CREATE INDEX grants_by_object ON grants (kind, namespace, object);

CREATE TABLE owners (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    object TEXT NOT NULL,
    owner TEXT NOT NULL REFERENCES principals (name),
    PRIMARY KEY (kind, namespace, object)
);

CREATE INDEX owners_by_owner ON owners (owner);

-- `digest` is the SHA-256 of a token in hexadecimal: the token itself is nowhere. `expires_ms` is 0 of one that does not
-- expire.
CREATE TABLE tokens (
    name TEXT NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL REFERENCES principals (name),
    digest TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    principal TEXT NOT NULL,
    address TEXT NOT NULL,
    protocol TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL
);

CREATE INDEX audit_by_time ON audit (at_ms);

-- What the servers of a lake have in common and nobody else knows.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

UPDATE lakemill_catalog SET value = 2 WHERE name = 'schema_version';
