"""A server as people write it: FastAPI before LightGBM or ONNX Runtime, `FOLDER` and `ENGINE` in the environment.

It is given the better of each choice: orjson at both ends instead of declared types, uvloop and httptools, one process
per core, one thread per prediction. It codes the row as at training, by hand, which our server does by the model's own
TRANSFORM.
"""

import json
import os
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

FOLDER = Path(os.environ["FOLDER"])
CODES = json.loads((FOLDER / "codes.json").read_text())
NAMES = CODES["names"]
CODE = {name: {value: index for index, value in enumerate(values)} for name, values in CODES["codes"].items()}


def lightgbm_model():
    import lightgbm

    model = lightgbm.Booster(model_file=FOLDER / "model.txt")
    return lambda rows: model.predict(rows, num_threads=1)


def onnx_model():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = onnxruntime.InferenceSession(FOLDER / "model.onnx", options, providers=["CPUExecutionProvider"])
    name = model.get_inputs()[0].name
    return lambda rows: model.run(None, {name: rows})[1][:, 1]


predict = {"lightgbm": lightgbm_model, "onnxruntime": onnx_model}[os.environ["ENGINE"]]()
app = FastAPI()


def number(instance, name):
    value = instance[name]
    if value is None:
        return np.nan
    return CODE[name].get(value, np.nan) if name in CODE else value


@app.post("/predict")
async def answer(request: Request):
    instances = orjson.loads(await request.body())["instances"]
    rows = np.array([[number(instance, name) for name in NAMES] for instance in instances], dtype=np.float32)
    predictions = [{"late": bool(p > 0.5), "late_prob": float(p)} for p in predict(rows)]
    return Response(orjson.dumps({"predictions": predictions}), media_type="application/json")
