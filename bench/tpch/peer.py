"""Runs the TPC-H queries in DuckDB or Polars on Parquet files and prints one line of JSON.

    python peer.py ENGINE DATA QUERIES ANSWERS THREADS

DATA holds TABLE.parquet, QUERIES q1.sql .. q22.sql. Seconds are those of each query, once, in one process; the
answers go to ANSWERS/ENGINE.json so that they can be compared.
"""

import datetime
import decimal
import glob
import json
import os
import sys
import time
from pathlib import Path


def plain(value):
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return str(value)[:10]
    return value


def duckdb_engine(files, threads):
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    for name, path in files.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    return duckdb.__version__, lambda query: connection.execute(query).fetchall()


def polars_engine(files, threads):
    os.environ["POLARS_MAX_THREADS"] = threads
    import polars

    context = polars.SQLContext({name: polars.scan_parquet(path) for name, path in files.items()})
    return polars.__version__, lambda query: context.execute(query).collect(engine="streaming").rows()


def main(engine, data, queries, answers, threads):
    files = {Path(path).stem: path for path in glob.glob(f"{data}/*.parquet")}
    version, run = {"duckdb": duckdb_engine, "polars": polars_engine}[engine](files, threads)
    seconds, rows = {}, {}
    for number in range(1, 23):
        query = Path(f"{queries}/q{number}.sql").read_text()
        start = time.perf_counter()
        result = run(query)
        seconds[f"q{number}"] = time.perf_counter() - start
        rows[f"q{number}"] = [[plain(value) for value in row] for row in result]
    Path(f"{answers}/{engine}.json").write_text(json.dumps(rows))
    print(json.dumps({"version": version, "figures": seconds}))


main(*sys.argv[1:])
