"""psycopg 3 against a server: python psycopg_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import datetime as dt
import decimal
import sys
import threading

import psycopg
from psycopg.rows import dict_row

PLACE = f"host=127.0.0.1 port={sys.argv[2]} dbname=main user=anybody"
FOREVER = "SELECT sum(value) FROM generate_series(1, 1000000000000)"
connection = psycopg.connect(PLACE, autocommit=True)

VALUES = [
    (1, "INT"),
    (2**40, "BIGINT"),
    (-1.5, "DOUBLE"),
    ("it's", "VARCHAR"),
    (True, "BOOLEAN"),
    (dt.date(1969, 1, 2), "DATE"),
    (dt.time(1, 2, 3, 4), "TIME"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 678), "TIMESTAMP"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=dt.timezone.utc), "TIMESTAMP WITH TIME ZONE"),
    (decimal.Decimal("-12.34"), "DECIMAL(10, 2)"),
    (decimal.Decimal("1234567890123456789012345678901234.5678"), "DECIMAL(38, 4)"),
    (b"\x00\\\xff", "BYTEA"),
    (dt.timedelta(days=1, seconds=5), "INTERVAL"),
    ([1, None, 2], "INT[]"),
    (["a", 'b"c,', None], "VARCHAR[]"),
    (None, "INT"),
]


def raises(error, *query):
    try:
        connection.execute(*query)
    except error as raised:
        return raised
    raise AssertionError(f"{query} is not refused")


for binary in (False, True):
    cursor = connection.cursor(binary=binary)
    for value, data_type in VALUES:
        for placeholder in ("%s", "%b", "%t"):
            query = f"SELECT CAST({placeholder} AS {data_type})"
            [seen] = cursor.execute(query, (value,)).fetchone()
            # A lake's times with a zone are kept in UTC, without it.
            value = value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value
            assert seen == value, (query, binary, value, seen)
    for value in (1, 2**40, 1.5, "x", True, dt.date(2024, 1, 2), decimal.Decimal("12.34"), b"ab", [1, 2], None):
        [seen] = cursor.execute("SELECT %s", (value,)).fetchone()
        assert seen == value, (value, seen)
    counts = [cursor.execute("SELECT count(*) FROM rides WHERE hour = %s", (hour,)).fetchone()[0] for hour in range(12)]
    assert sum(counts) == 3000 and counts[7:] == [0] * 5, counts
    assert cursor.execute("SELECT id FROM rides ORDER BY id LIMIT %s OFFSET %s", (2, 1)).fetchall() == [(2,), (3,)]
    assert cursor.execute("SELECT count(*) FROM rides WHERE at < %s", (dt.datetime(2024, 1, 2),)).fetchone() == (23,)
    assert cursor.execute("SELECT count(*) FROM rides WHERE id = ANY(%s)", ([1, 2, 9999],)).fetchone() == (2,)
    assert cursor.execute("SELECT count(*) FROM rides WHERE id = %s", ("7",)).fetchone() == (1,)

cursor = connection.cursor()
cursor.execute(
    "CREATE TABLE all_types (a INT, b VARCHAR, c DOUBLE, d DATE, e TIMESTAMP, f DECIMAL(10, 2), g BOOLEAN, h BYTEA, i INT[])"
)
row = (1, "x", 1.5, dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 2, 3, 4, 5), decimal.Decimal("3.14"), True, b"ab", [1, 2])
insert = "INSERT INTO all_types VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
assert cursor.execute(insert, row).rowcount == 1
cursor.executemany(insert, [(2, *row[1:])])
cursor.execute("INSERT INTO all_types (b) VALUES (%s)", (None,))
for binary in (False, True):
    seen = connection.cursor(binary=binary).execute("SELECT * FROM all_types ORDER BY a").fetchall()
    assert seen == [row, (2, *row[1:]), (None,) * 9], seen
assert cursor.execute("UPDATE all_types SET b = %s WHERE a = %s", ("y", 2)).rowcount == 1

with cursor.copy("COPY all_types (a, b) FROM STDIN") as copy:
    for number in range(1000):
        copy.write_row((number, "tab\t\\%d" % number if number % 2 else None))
assert cursor.rowcount == 1000
with cursor.copy("COPY (SELECT a, b FROM all_types WHERE b LIKE 'tab%' ORDER BY a LIMIT 2) TO STDOUT") as copy:
    assert list(copy.rows()) == [("1", "tab\t\\1"), ("3", "tab\t\\3")]
try:
    with cursor.copy("COPY (SELECT a.value, b.value FROM generate_series(1, 3000) a, generate_series(1, 3000) b) TO STDOUT") as copy:
        next(iter(copy))
        raise KeyError("enough")
except KeyError:
    pass
try:
    with cursor.copy("COPY all_types (a, b) FROM STDIN") as copy:
        copy.write("no number\tx\n")
    raise AssertionError("a text for a number")
except psycopg.DataError:
    pass
try:
    with cursor.copy("COPY all_types (a, b) FROM STDIN (FORMAT binary)") as copy:
        copy.write_row((1, "x"))
    raise AssertionError("binary COPY")
except psycopg.NotSupportedError as error:
    assert "FORMAT csv" in str(error)
assert cursor.execute("SELECT count(*) FROM all_types").fetchone() == (1003,)

threading.Timer(0.5, connection.cancel).start()
raises(psycopg.errors.QueryCanceled, FOREVER)
connection.execute("SET statement_timeout = '300ms'")
raises(psycopg.errors.QueryCanceled, FOREVER)
connection.execute("RESET statement_timeout")
assert "id" in str(raises(psycopg.errors.UndefinedColumn, "SELECT nothing FROM rides WHERE id = %s", (1,)))
raises(psycopg.errors.UndefinedTable, "SELECT * FROM nothing")
raises(psycopg.errors.SyntaxError, "SELEC 1")
raises(psycopg.DataError, "SELECT CAST(%s AS INT)", ("x",))

rows = connection.cursor(row_factory=dict_row).execute("SELECT id, vehicle FROM rides WHERE id <= 2 ORDER BY id").fetchall()
assert rows == [{"id": 1, "vehicle": "car"}, {"id": 2, "vehicle": None}], rows
with connection.pipeline():
    first, second = connection.execute("SELECT %s", (1,)), connection.execute("SELECT %s", ("x",))
    assert (first.fetchone(), second.fetchone()) == ((1,), ("x",))

with psycopg.connect(PLACE) as block:
    block.execute("INSERT INTO all_types (a) VALUES (-1)")
with psycopg.connect(PLACE) as block:
    try:
        with block.transaction():
            block.execute("SELECT nothing")
    except psycopg.errors.UndefinedColumn:
        pass
    assert block.execute("SELECT count(*) FROM all_types WHERE a = -1").fetchone() == (1,)
    with block.transaction(), block.transaction():
        block.execute("SELECT 1")
block = psycopg.connect(PLACE)
block.execute("DELETE FROM all_types WHERE a = -1")
try:
    block.rollback()
    raise AssertionError("a change was rolled back")
except psycopg.NotSupportedError as error:
    assert "RESTORE TABLE" in str(error)
assert block.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

cursor.execute("CREATE MODEL far OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['distance']) AS SELECT id, distance FROM rides")
query = "SELECT predicted_distance FROM ML.PREDICT(MODEL far, (SELECT CAST(%s AS INT) AS id))"
[predicted] = cursor.execute(query, (100,)).fetchone()
assert abs(predicted - 50) < 1, predicted
