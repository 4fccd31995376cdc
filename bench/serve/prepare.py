"""What the contenders of `cargo xtask bench serve` answer from: a lake with the flights' models, and LightGBM's twin.

    python prepare.py FOLDER LAKEMILL

FOLDER gets `lake` (the example's run), `bodies.jsonl` (requests of one December flight each), `features.parquet`, and a
LightGBM model of as many trees as `delay_trees` over the same columns: `model.txt`, `model.onnx` and `codes.json`, which
numbers the categories. What is there already is kept.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.parquet as pq

REQUESTS = 2000
CATEGORIES = ["carrier", "origin", "dest", "manufacturer", "plane_model"]
SPLIT = ["late", "held_out", "year", "month", "day", "flight", "tailnum"]


def lake(folder, binary):
    command = [binary, "--lake", str(folder / "lake")]
    subprocess.run([*command, "run", "examples/flights"], check=True, capture_output=True)
    query = "SELECT * FROM features WHERE late IS NOT NULL"
    text = f"COPY ({query}) TO '{folder / 'features.parquet'}'"
    (folder / "features.parquet").unlink(missing_ok=True)
    subprocess.run([*command, "sql", "-q", "-c", text], check=True, capture_output=True)


def requests(folder, table):
    rows = [row for row in table.to_pylist() if row["month"] == 12]
    chosen = [rows[place] for place in np.random.default_rng(7).permutation(len(rows))[:REQUESTS]]
    instances = [{name: value for name, value in row.items() if name not in SPLIT} for row in chosen]
    lines = [json.dumps({"instances": [instance]}, separators=(",", ":")) for instance in instances]
    (folder / "bodies.jsonl").write_text("\n".join(lines) + "\n")


def twin(folder, table):
    names = [name for name in table.column_names if name not in SPLIT]
    codes = {name: sorted(set(table[name].to_pylist()) - {None}) for name in CATEGORIES}
    coded = []
    for name in names:
        values = table[name].to_pylist()
        if name in codes:
            code = {value: index for index, value in enumerate(codes[name])}
            values = [code.get(value) for value in values]
        coded.append(np.array([np.nan if value is None else value for value in values], dtype=np.float32))
    matrix, label = np.column_stack(coded), np.array(table["late"], dtype=float)
    train = ~np.array(table["held_out"])
    settings = {"objective": "binary", "max_depth": 6, "num_leaves": 64, "learning_rate": 0.1, "verbose": -1}
    model = lightgbm.train(settings, lightgbm.Dataset(matrix[train], label[train]), 200)
    model.save_model(folder / "model.txt")
    (folder / "codes.json").write_text(json.dumps({"names": names, "codes": codes}))

    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    inputs = [("input", FloatTensorType([None, len(names)]))]
    onnx = onnxmltools.convert_lightgbm(model, initial_types=inputs, zipmap=False)
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())


def main(folder, binary):
    folder = Path(folder)
    if (folder / "ready").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lake(folder, binary)
    table = pq.read_table(folder / "features.parquet")
    requests(folder, table)
    twin(folder, table)
    (folder / "ready").touch()


main(*sys.argv[1:])
