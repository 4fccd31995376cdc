"""Predictions of single rows per second and their latency, over HTTP with 32 connections.

    python predict.py CONTENDER FOLDER THREADS LAKEMILL

CONTENDER is 'lakemill', 'fastapi+lightgbm' or 'fastapi+onnxruntime'; after 'bare-' the latter two do without declared
types (see `peer.py`). The server is started, its answers to 200 requests
are compared with what its model says of the same rows in one batch, and `wrk` sends requests for some seconds. The
server and wrk share the machine, in all contenders alike. It prints one line of JSON.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

PORT = 18750
CONNECTIONS = 32
WARM_S, MEASURED_S = 3, 10
CHECKED = 200
# ONNX Runtime adds its trees up in single precision.
TOLERANCE = 1e-5


@contextmanager
def running(command, environment):
    server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def post(url, body):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def wait(url, body):
    for _ in range(300):
        try:
            return post(url, body)
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def wrk(url, folder, seconds):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", "bench/serve/requests.lua", url, "--"]
    done = subprocess.run([*command, str(folder / "bodies.jsonl")], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"requests failed:\n{done.stdout}")
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    percentiles = {
        at: float(value) * unit[name] for at, value, name in re.findall(r"^ +(\d+)% +([\d.]+)(us|ms|s)$", done.stdout, re.M)
    }
    rate = float(re.search(r"Requests/sec: +([\d.]+)", done.stdout)[1])
    return {"predictions_per_s": rate, "p50_ms": percentiles["50"], "p99_ms": percentiles["99"]}


def lakemill(folder, threads, binary):
    lake = [binary, "--lake", str(folder / "lake"), "--threads", threads]
    address = f"127.0.0.1:{PORT}"
    command = [*lake, "serve", "--http", address, "--postgres", "off", "--flight", "off"]
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]

    def probability(prediction):
        return next(p["prob"] for p in prediction["predicted_late_probs"] if p["label"])

    def offline(instances):
        rows = folder / "checked.json"
        rows.write_text("\n".join(json.dumps({**row, "place": place}) for place, row in enumerate(instances)) + "\n")
        query = (
            "SELECT p.prob FROM (SELECT place, unnest(predicted_late_probs) AS p "
            f"FROM ML.PREDICT(MODEL delay_trees, (SELECT * FROM '{rows}'))) WHERE p.label ORDER BY place"
        )
        said = subprocess.run([*lake, "sql", "-q", "--format", "csv", "-c", query], capture_output=True, text=True)
        if said.returncode != 0:
            raise SystemExit(said.stderr)
        return [float(line[0]) for line in list(csv.reader(io.StringIO(said.stdout)))[1:]]

    return version, command, {}, f"http://{address}/v1/models/delay_trees:predict", probability, offline


def fastapi(style, engine, folder, threads):
    import fastapi as package

    environment = {"FOLDER": str(folder), "ENGINE": engine, "STYLE": style}
    os.environ.update(environment)
    sys.path.insert(0, "bench/serve")
    command = [sys.executable, "-m", "uvicorn", "--app-dir", "bench/serve", "--workers", threads, "--port", str(PORT),
               "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error", "peer:app"]

    def offline(instances):
        import lightgbm
        import numpy as np
        import peer

        rows = np.array([[peer.number(row, name) for name in peer.NAMES] for row in instances], dtype=np.float32)
        return list(lightgbm.Booster(model_file=folder / "model.txt").predict(rows))

    url = f"http://127.0.0.1:{PORT}/predict"
    return package.__version__, command, environment, url, lambda prediction: prediction["late_prob"], offline


def main(contender, folder, threads, binary):
    folder = Path(folder)
    known = {
        "lakemill": lambda: lakemill(folder, threads, binary),
        "fastapi+lightgbm": lambda: fastapi("declared", "lightgbm", folder, threads),
        "fastapi+onnxruntime": lambda: fastapi("declared", "onnxruntime", folder, threads),
        "bare-fastapi+lightgbm": lambda: fastapi("bare", "lightgbm", folder, threads),
        "bare-fastapi+onnxruntime": lambda: fastapi("bare", "onnxruntime", folder, threads),
    }
    version, command, environment, url, probability, offline = known[contender]()
    bodies = (folder / "bodies.jsonl").read_bytes().splitlines()[:CHECKED]
    with running(command, environment):
        wait(url, bodies[0])
        answered = [probability(post(url, body)[0]) for body in bodies]
        wrk(url, folder, WARM_S)
        figures = wrk(url, folder, MEASURED_S)
    expected = offline([json.loads(body)["instances"][0] for body in bodies])
    if len(expected) != len(answered) or max(abs(a - b) for a, b in zip(answered, expected)) > TOLERANCE:
        raise SystemExit(f"{contender} answers {answered[:5]}, and its model says {expected[:5]}")
    print(json.dumps({"version": version, "figures": figures}))


main(*sys.argv[1:])
