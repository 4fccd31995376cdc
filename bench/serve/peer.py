"""FastAPI before LightGBM or ONNX Runtime: `FOLDER`, `ENGINE` and `STYLE` in the environment.

Either as FastAPI's documentation writes it (`STYLE=declared`): the columns of a row and of an answer declared as types,
which FastAPI checks. Or as fast as it goes (`STYLE=bare`): orjson at both ends and no declared types, so that a wrong
row is an error of Python. Both have uvloop and httptools, one process per core, one thread per prediction. They code
the row as at training, by hand, which our server does by the model's own TRANSFORM.
"""

import json
import os
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, create_model

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


def predictions(instances):
    rows = np.array([[number(instance, name) for name in NAMES] for instance in instances], dtype=np.float32)
    return [{"late": bool(p > 0.5), "late_prob": float(p)} for p in predict(rows)]


async def bare(request: Request):
    instances = orjson.loads(await request.body())["instances"]
    return Response(orjson.dumps({"predictions": predictions(instances)}), media_type="application/json")


Instance = create_model("Instance", **{name: (str | None if name in CODE else float | None, ...) for name in NAMES})


class Instances(BaseModel):
    instances: list[Instance]


class Prediction(BaseModel):
    late: bool
    late_prob: float


class Predictions(BaseModel):
    predictions: list[Prediction]


def declared(body: Instances) -> Predictions:
    return {"predictions": predictions([instance.model_dump() for instance in body.instances])}


app.post("/predict")({"bare": bare, "declared": declared}[os.environ["STYLE"]])
