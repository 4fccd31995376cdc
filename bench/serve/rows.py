"""A million rows from a server into a client's memory.

    python rows.py CONTENDER FOLDER THREADS LAKEMILL

CONTENDER is one of

- 'stream': an Arrow stream over a plain socket, from a process that has the rows in memory: what loopback and Arrow's
  reader allow;
- 'stream-parquet': the same from a process that reads the rows from Parquet each time, as the servers do;
- 'flight': `lakemill serve` over Flight SQL, by ADBC's driver;
- 'flight-pyarrow': the same by Arrow's own client in C++, which takes fewer copies;
- 'duckdb': DuckDB in the client's own process, from a Parquet file, into Arrow;
- 'lakemill-pg': `lakemill serve` over PostgreSQL's protocol, by psycopg in its binary format, into Python's values;
- 'postgresql': PostgreSQL itself, the same way.

All hold the same rows, and each client sums a column up to show that it has them. The figure is the median of some
reads, in megabytes of the rows in Arrow. It prints one line of JSON.
"""

import glob
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1_000_000
READS = 7
PORT = 18762
QUERY = "SELECT * FROM numbers"
TABLE = f"""
SELECT value AS id, CAST(value % 1000 AS INT) AS class, sqrt(value) AS measure, value % 3 = 0 AS flag,
  'row ' || value AS text, CAST(to_timestamp(1700000000 + value) AS TIMESTAMP) AS at
FROM generate_series(1, {ROWS})"""


def said(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare(folder, binary):
    parquet = folder / "numbers.parquet"
    if not parquet.exists():
        lake = [binary, "--lake", str(folder / "lake"), "sql", "-q", "-c"]
        said([*lake, f"CREATE OR REPLACE TABLE numbers AS {TABLE}"])
        said([*lake, f"COPY (SELECT * FROM numbers) TO '{folder / 'numbers.csv'}'"])
        said([*lake, f"COPY (SELECT * FROM numbers) TO '{parquet}'"])
    return parquet


@contextmanager
def running(command, port, **options):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{command[0]} does not listen on port {port}")
        yield
    finally:
        server.terminate()
        server.wait()


def serve_stream(parquet, kept):
    """The other end of 'stream', in a process of its own; it keeps the rows in memory or reads them for each client."""
    known = plain(pq.read_table(parquet)) if kept else None
    with socket.create_server(("127.0.0.1", PORT)) as server:
        while True:
            client, _ = server.accept()
            # Whoever only asks whether the port is open goes away at once.
            with suppress(OSError), client, client.makefile("wb", buffering=1 << 20) as sink:
                rows = known or plain(pq.read_table(parquet))
                with pa.ipc.new_stream(sink, rows.schema) as out:
                    out.write_table(rows, max_chunksize=16384)


def plain(table):
    """The rows with texts as Utf8, as Flight sends them."""
    fields = [field.with_type(pa.string()) if field.type == pa.string_view() else field for field in table.schema]
    return table.cast(pa.schema(fields))


@contextmanager
def stream(folder, _threads, binary, name="serve-stream"):
    with running([sys.executable, __file__, name, str(prepare(folder, binary))], PORT):
        def read():
            with socket.create_connection(("127.0.0.1", PORT)) as client, client.makefile("rb", buffering=1 << 20) as source:
                table = pa.ipc.open_stream(source).read_all()
            return len(table), pa.compute.sum(table["id"]).as_py()

        yield pa.__version__, read


@contextmanager
def served(folder, threads, binary, face):
    others = [option for name in ("http", "postgres", "flight") if name != face for option in (f"--{name}", "off")]
    lake = [binary, "--lake", str(folder / "lake"), "--threads", threads]
    with running([*lake, "serve", f"--{face}", f"127.0.0.1:{PORT}", *others], PORT):
        yield said([binary, "--version"]).split()[1]


@contextmanager
def flight(folder, threads, binary):
    import adbc_driver_flightsql.dbapi as driver

    prepare(folder, binary)
    with served(folder, threads, binary, "flight") as version:
        with driver.connect(f"grpc://127.0.0.1:{PORT}", autocommit=True) as connection, connection.cursor() as cursor:

            def read():
                cursor.execute(QUERY)
                table = cursor.fetch_arrow_table()
                return len(table), pa.compute.sum(table["id"]).as_py()

            yield version, read


@contextmanager
def flight_pyarrow(folder, threads, binary):
    from pyarrow import flight as driver

    def field(number, value):
        """A field of Protocol Buffers: short texts are all that Flight SQL's command for a query has."""
        return bytes([number << 3 | 2, len(value)]) + value

    prepare(folder, binary)
    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, kind) + field(2, field(1, QUERY.encode()))
    with served(folder, threads, binary, "flight") as version:
        client = driver.FlightClient(f"grpc://127.0.0.1:{PORT}")

        def read():
            info = client.get_flight_info(driver.FlightDescriptor.for_command(command))
            table = client.do_get(info.endpoints[0].ticket).read_all()
            return len(table), pa.compute.sum(table["id"]).as_py()

        yield version, read


@contextmanager
def duckdb(folder, threads, binary):
    import duckdb as package

    parquet = prepare(folder, binary)
    connection = package.connect(config={"threads": int(threads)})

    def read():
        table = connection.sql(f"SELECT * FROM '{parquet}'").to_arrow_table()
        return len(table), pa.compute.sum(table["id"]).as_py()

    yield package.__version__, read


def by_psycopg(database):
    import psycopg

    connection = psycopg.connect(f"host=127.0.0.1 port={PORT} dbname={database} user=postgres", autocommit=True)

    def read():
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(QUERY).fetchall()
        return len(rows), sum(row[0] for row in rows)

    return read


@contextmanager
def lakemill_pg(folder, threads, binary):
    prepare(folder, binary)
    with served(folder, threads, binary, "postgres") as version:
        yield version, by_psycopg("main")


@contextmanager
def postgresql(folder, _threads, binary):
    prepare(folder, binary)
    programs = max(glob.glob("/usr/lib/postgresql/*/bin"), default=os.environ.get("LAKEMILL_POSTGRES_BIN"))
    if not programs:
        raise SystemExit("PostgreSQL's server programs are missing; on Debian: apt-get install postgresql")
    # PostgreSQL refuses to run as root.
    own = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    cluster = tempfile.mkdtemp()
    if own:
        shutil.chown(cluster, "postgres")
    said([*own, f"{programs}/initdb", "-D", cluster, "-U", "postgres", "--auth=trust", "--no-sync"])
    command = [*own, f"{programs}/postgres", "-D", cluster, "-p", str(PORT), "-k", cluster, "-c", "fsync=off"]
    try:
        with running(command, PORT, stderr=subprocess.DEVNULL):
            import psycopg

            with psycopg.connect(f"host=127.0.0.1 port={PORT} dbname=postgres user=postgres", autocommit=True) as loader:
                columns = "id bigint, class int, measure double precision, flag boolean, text text, at timestamp"
                loader.execute(f"CREATE TABLE numbers ({columns})")
                with loader.cursor().copy("COPY numbers FROM STDIN (FORMAT csv, HEADER)") as copy:
                    copy.write((folder / "numbers.csv").read_bytes())
                loader.execute("VACUUM ANALYZE numbers")
            yield said([f"{programs}/postgres", "--version"]).split()[2], by_psycopg("postgres")
    finally:
        shutil.rmtree(cluster, ignore_errors=True)


CONTENDERS = {
    "stream": stream,
    "stream-parquet": lambda *given: stream(*given, "serve-stream-parquet"),
    "flight": flight,
    "flight-pyarrow": flight_pyarrow,
    "duckdb": duckdb,
    "lakemill-pg": lakemill_pg,
    "postgresql": postgresql,
}


def main(contender, folder, threads="", binary=""):
    if contender.startswith("serve-stream"):
        return serve_stream(folder, kept=contender == "serve-stream")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    megabytes = plain(pq.read_table(prepare(folder, binary))).nbytes / 1e6
    with CONTENDERS[contender](folder, threads, binary) as (version, read):
        seconds = []
        for _ in range(READS):
            start = time.perf_counter()
            seen = read()
            seconds.append(time.perf_counter() - start)
            if seen != (ROWS, ROWS * (ROWS + 1) // 2):
                raise SystemExit(f"{contender} gave {seen}")
    taken = statistics.median(seconds)
    print(json.dumps({"version": version, "figures": {"mb_per_s": megabytes / taken, "seconds": taken}}))


main(*sys.argv[1:])
