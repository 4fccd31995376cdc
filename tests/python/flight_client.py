"""Does what clients of Arrow Flight SQL do, through ADBC's driver, and prints the name of each check that passed.

    python flight_client.py URI

The lake has a table `seen` (id, text) with five rows and a view `few` of it.
"""

import contextlib
import sys
import threading
import warnings

import adbc_driver_flightsql.dbapi as flight
import pyarrow as pa
from adbc_driver_manager import AdbcStatement, DatabaseError, Error, NotSupportedError

warnings.simplefilter("ignore")  # transactions are not supported, which the driver says once for each connection


@contextlib.contextmanager
def refused(*parts):
    try:
        yield
    except Error as error:
        missing = [part for part in parts if part not in str(error)]
        assert not missing, f"{missing} is not in: {error}"
    else:
        raise AssertionError(f"should fail with {parts}")


def query(connection, sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetch_arrow_table()


def rows_and_types(connection):
    table = query(connection, "SELECT id, text FROM seen ORDER BY id DESC LIMIT 2")
    assert table.to_pylist() == [{"id": 5, "text": "row 5"}, {"id": 4, "text": "row 4"}], table
    assert table.schema.types == [pa.int64(), pa.string()], table.schema
    nested = "SELECT ['a', 'b'] AS list, named_struct('x', 'y') AS pair, arrow_cast('v', 'Utf8View') AS view"
    table = query(connection, nested)
    assert table.schema.field("list").type.value_type == pa.string(), table.schema
    assert table.schema.field("view").type == pa.string(), table.schema
    assert table.to_pylist() == [{"list": ["a", "b"], "pair": {"x": "y"}, "view": "v"}], table
    assert query(connection, "SELECT id FROM seen WHERE id > 99").num_rows == 0


def many_rows(connection):
    sql = "SELECT value, CAST(value AS VARCHAR) AS text FROM generate_series(1, 1000000) ORDER BY value"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        count = total = 0
        for batch in cursor.fetch_record_batch():
            count += batch.num_rows
            total += pa.compute.sum(batch.column(0)).as_py()
    assert (count, total) == (1_000_000, 500_000_500_000), (count, total)


def parameters(connection):
    table = query(connection, "SELECT text FROM seen WHERE id = $1 AND text LIKE $2", 3, "row%")
    assert table.to_pylist() == [{"text": "row 3"}], table
    with connection.cursor() as cursor:
        for id in (1, 2):
            cursor.execute("SELECT $1 + 1 AS next", (id,))
            assert cursor.fetchone() == (id + 1,)
        schema = cursor.adbc_prepare("SELECT id FROM seen WHERE text = $1 AND id < $2")
        assert schema.types == [pa.string(), pa.int64()], schema
    with connection.cursor() as cursor, refused("one row"):
        cursor.execute("SELECT $1 AS x", pa.record_batch({"x": [1, 2]}))
        cursor.fetchall()
    with refused("takes 2 values, but 1 are given"):
        query(connection, "SELECT $1 + $2", 1)


def updates(connection):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changed (id BIGINT, text VARCHAR)")
        cursor.executemany("INSERT INTO changed VALUES ($1, $2)", [(1, "one"), (2, "two"), (3, "three")])
        assert cursor.rowcount == 3, cursor.rowcount
        cursor.execute("INSERT INTO changed VALUES ($1, $2)", (4, "four"))
        statement = AdbcStatement(connection.adbc_connection)
        statement.set_sql_query("UPDATE changed SET text = upper(text) WHERE id = 2")
        assert statement.execute_update() == 1
        statement.close()
    assert query(connection, "SELECT count(*) AS n FROM changed").to_pylist() == [{"n": 4}]
    with connection.cursor() as cursor, refused("row 2 of the values", "before it are committed"):
        cursor.executemany("INSERT INTO changed SELECT $1, CAST($2 AS BIGINT) LIMIT 0", [(1, "1"), (2, "two")])


def ingest(connection):
    with connection.cursor() as cursor:
        sent = pa.table({"id": pa.array(range(10), pa.int64()), "text": ["x"] * 10})
        assert cursor.adbc_ingest("sent", sent, mode="create") == 10
        with refused("already exists"):
            cursor.adbc_ingest("sent", sent, mode="create")
        # Columns are matched by name; a dictionary is the values that it has.
        text = pa.array(["y"] * 100_000).dictionary_encode()
        more = pa.table({"text": text, "id": pa.array(range(10, 100_010), pa.int32())})
        assert cursor.adbc_ingest("sent", more, mode="append") == 100_000
        for mode in ("create_append", "replace"):
            assert cursor.adbc_ingest("replaced", pa.table({"id": [7]}), mode=mode, db_schema_name="main") == 1
        assert cursor.adbc_ingest("empty", pa.record_batch({"id": pa.array([], pa.int64())}), mode="create") == 0


def ingest_of_what_is_wrong(connection):
    def broken():
        yield pa.record_batch({"id": pa.array([1], pa.int64()), "text": ["z"]})
        raise ValueError("the client's own")

    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    good = pa.table({"id": pa.array([1], pa.int64()), "text": ["z"]})
    with connection.cursor() as cursor:
        with refused("id", "BIGINT"):
            cursor.adbc_ingest("sent", pa.table({"id": ["no number"]}), mode="append")
        with refused("unknown column 'idd'", "did you mean 'id'"):
            cursor.adbc_ingest("sent", pa.table({"idd": [1]}), mode="append")
        with refused("the client's own"):
            cursor.adbc_ingest("sent", pa.RecordBatchReader.from_batches(schema, broken()), mode="append")
        with refused("no_such"):
            cursor.adbc_ingest("no_such", good, mode="append")
        with refused("temporary"):
            cursor.adbc_ingest("sent", good, mode="append", temporary=True)
        with refused("no catalog 'elsewhere'"):
            cursor.adbc_ingest("sent", good, mode="append", catalog_name="elsewhere")
    assert query(connection, "SELECT count(*) AS n FROM sent").to_pylist() == [{"n": 100_010}]


def catalog(connection):
    [lake] = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    assert lake["catalog_name"] == "lake", lake
    [main] = [schema for schema in lake["catalog_db_schemas"] if schema["db_schema_name"] == "main"]
    tables = {table["table_name"]: table["table_type"] for table in main["db_schema_tables"]}
    assert (tables["seen"], tables["few"]) == ("TABLE", "VIEW"), tables
    [lake] = connection.adbc_get_objects(depth="columns", table_name_filter="s%n").read_all().to_pylist()
    [main] = [schema for schema in lake["catalog_db_schemas"] if schema["db_schema_name"] == "main"]
    [seen] = main["db_schema_tables"]
    assert [column["column_name"] for column in seen["table_columns"]] == ["id", "text"], seen
    assert connection.adbc_get_table_schema("few") == pa.schema({"id": pa.int64()})
    assert sorted(connection.adbc_get_table_types()) == ["TABLE", "VIEW"]
    assert connection.adbc_get_info()["vendor_name"] == "Lakemill"


def schema_without_running(connection):
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT id, text FROM seen")
        assert schema.types == [pa.int64(), pa.string()], schema
        with refused("did not provide schema"):
            cursor.adbc_execute_schema("DROP TABLE seen")
    assert query(connection, "SELECT count(*) AS n FROM seen").to_pylist() == [{"n": 5}]


def errors(connection):
    with refused("INVALID_ARGUMENT", "line 2, column 6"):
        query(connection, "SELECT 1\nFORM seen WHERE")
    with refused("NOT_FOUND", "unknown column 'idd'", "did you mean 'id'", "line 1, column 8"):
        query(connection, "SELECT idd FROM seen")
    with refused("not a number"):
        query(connection, "SELECT CAST('not a number' AS BIGINT) + id FROM seen")
    with refused("one statement at a time"):
        query(connection, "SELECT 1; SELECT 2")
    with refused("no statement"):
        query(connection, "-- nothing")
    with refused("each call has a session of its own"):
        query(connection, "SET datafusion.execution.batch_size = 10")
    with refused("out of reach"):
        query(connection, "SELECT * FROM '/etc/passwd'")
    with refused("already exists"):
        query(connection, "CREATE TABLE seen (id BIGINT)")


def cancel(connection):
    endless = "SELECT sum(value % 7) AS n FROM generate_series(1, 1000000000000)"
    with connection.cursor() as cursor:
        timer = threading.Timer(0.5, cursor.adbc_cancel)
        timer.start()
        with refused("CANCELLED"):
            cursor.execute(endless)
            cursor.fetchall()
        timer.join()
    # A reader that goes away stops its query as well: more of them than may run at a time find a place each.
    for _ in range(20):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM generate_series(1, 100000000)")
            next(iter(cursor.fetch_record_batch()))
    assert query(connection, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


def transactions(connection):
    with contextlib.suppress(NotSupportedError):
        connection.adbc_connection.set_autocommit(False)
        raise AssertionError("there are no transactions")


CHECKS = [
    rows_and_types,
    many_rows,
    parameters,
    updates,
    ingest,
    ingest_of_what_is_wrong,
    catalog,
    schema_without_running,
    errors,
    cancel,
    transactions,
]


def main(uri):
    with flight.connect(uri, autocommit=True) as connection:
        for check in CHECKS:
            check(connection)
            print(check.__name__)
    # Whoever logs in may, whatever the name and the password.
    with flight.connect(uri, db_kwargs={"username": "anyone", "password": "any"}, autocommit=True) as connection:
        assert query(connection, "SELECT 1 AS one").to_pylist() == [{"one": 1}]
        print("login")


main(*sys.argv[1:])
