"""psql against a server: python psql_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import subprocess
import sys
import time

PORT, FOLDER = sys.argv[2], sys.argv[3]
FOREVER = "SELECT sum(value) FROM generate_series(1, 1000000000000)"


def psql(*commands, ok=True, interrupt=None):
    arguments = ["psql", "-X", "-h", "127.0.0.1", "-p", PORT, "-d", "main", "-U", "anybody", "-At"]
    for command in commands:
        arguments += ["-c", command]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if interrupt:
        time.sleep(interrupt)
        process.send_signal(2)
    output = process.communicate(timeout=20)[0]
    assert (process.returncode == 0) == ok, f"{commands}: {output}"
    return output.strip()


def has(output, *parts):
    for part in parts:
        assert part in output, f"'{part}' is not in: {output}"


assert psql("SELECT 1 AS a, 'x' AS b, NULL AS c") == "1|x|"
has(psql(r"\dt"), "main|rides|table")
has(psql(r"\dv"), "main|cars|view")
has(psql(r"\d rides"), "id|integer", "distance|", "at|timestamp")
has(psql(r"\dn"), "main|")
has(psql(r"\l"), "lake|")
assert psql("SELECT current_schema(), current_database()") == "main|lake"
has(psql("SELECT version()"), "PostgreSQL 16")

# A caret stands where the error is, whatever comes before it.
for text, column in [("SELECT nothing FROM rides", 8), ("SELECT 'äöü',\n nothing FROM rides", 2), ("SELEC 1", 1)]:
    output = psql(text, ok=False).splitlines()
    [at] = [index for index, line in enumerate(output) if line.startswith("LINE ")]
    caret = output[at + 1].index("^") - len(output[at].split(":")[0]) - 2
    assert caret == column - 1, output

# Several statements in one text: each answers, the rest is left at the first error.
has(psql("SELECT 1 AS a; SELECT nothing; SELECT 3", ok=False), "1\n", "unknown column")
psql("CREATE TABLE t (a INT, b VARCHAR)")
assert psql("BEGIN", "SELECT count(*) FROM t", "ROLLBACK") == "BEGIN\n0\nROLLBACK"
has(psql("BEGIN", "INSERT INTO t VALUES (1, 'x')", "ROLLBACK", "SELECT count(*) FROM t", ok=True), "cannot roll back", "\n1")
has(psql("BEGIN", "SELECT nothing", "SELECT 1", "COMMIT"), "current transaction is aborted", "ROLLBACK")
assert psql("BEGIN", "SAVEPOINT s", "SELECT 1", "ROLLBACK TO s", "COMMIT").endswith("ROLLBACK\nCOMMIT")

# Rows in and out of files, with what each form has to quote.
psql(r"""INSERT INTO t VALUES (2, E'tab\tquote"comma,line\nend'), (3, NULL), (4, '')""")
for options in ["", "csv header", "(FORMAT csv, DELIMITER ';')"]:
    assert psql(rf"\copy (SELECT * FROM t ORDER BY a) TO '{FOLDER}/t.out' {options}") == "COPY 4", options
    psql("CREATE OR REPLACE TABLE u (a INT, b VARCHAR)")
    assert psql(rf"\copy u FROM '{FOLDER}/t.out' {options}") == "COPY 4"
    assert psql("SELECT count(*) FROM t JOIN u ON t.a = u.a AND t.b IS NOT DISTINCT FROM u.b") == "4", options
has(psql(r"\copy t (a) FROM program 'printf x'", ok=False), "column 'a' is INT")

started = time.monotonic()
has(psql(FOREVER, ok=False, interrupt=0.7), "cancelled")
assert time.monotonic() - started < 5
has(psql("SELECT count(*) FROM ML.PREDICT(MODEL lateness, (SELECT * FROM rides))"), "3000")
