"""Reads Delta tables with two other implementations and prints what each saw, as JSON.

    python read_delta.py LOCATION ORDER_COLUMN VERSION

VERSION is a number or 'latest'. Storage options come from the environment (AWS_*). The engines are delta-rs
(through its Python package) and delta-kernel (inside DuckDB's extension, which reads the latest version alone).
"""

import glob
import json
import os
import sys
import urllib.parse

import deltalake
import duckdb
import duckdb_extension_delta


def with_deltalake(location, column, version):
    options = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    table = deltalake.DeltaTable(location, version=version, storage_options=options or None)
    rows = duckdb.from_arrow(table.to_pyarrow_table())  # DuckDB only sorts and prints here
    return columns_and_rows(rows.order(column))


def with_duckdb(location, column):
    connection = duckdb.connect()
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    [extension] = glob.glob(f"{folder}/extensions/v{duckdb.__version__}/delta.duckdb_extension")
    connection.load_extension(extension)
    if location.startswith("s3://"):
        return None  # needs a second extension, which no package carries
    return columns_and_rows(connection.sql(f"SELECT * FROM delta_scan('{location}') ORDER BY \"{column}\""))


def columns_and_rows(relation):
    rows = [[value if value is None else str(value) for value in row] for row in relation.fetchall()]
    return {"columns": list(relation.columns), "rows": rows}


def main(location, column, version):
    if location.startswith("file://"):
        location = urllib.parse.unquote(urllib.parse.urlparse(location).path)
    number = None if version == "latest" else int(version)
    seen = {"deltalake": with_deltalake(location, column, number)}
    if number is None:
        seen["duckdb"] = with_duckdb(location, column)
    print(json.dumps({engine: result for engine, result in seen.items() if result is not None}))


main(*sys.argv[1:])
