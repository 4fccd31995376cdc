"""What is predicted is kept, and columns are looked up: python monitoring_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

SERVER = f"http://127.0.0.1:{sys.argv[1]}"
PROCESS = int(sys.argv[4])
LOOKUP = {"table": "rides", "key": ["id"]}


def ask(path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(SERVER + path, body, headers), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read()


def predict(instances, status=200, **more):
    request = more.pop("request", None)
    headers = {"x_request_id": request} if request else {}
    seen, headers, body = ask("/v1/models/lateness:predict", {"instances": instances, **more}, **headers)
    assert seen == status, body
    return headers["x-request-id"], json.loads(body)


def refused(part, instances, lookup, status=400):
    _, body = predict(instances, status, lookup=lookup)
    assert part in body["error"]["message"], body


def rows(sql):
    status, _, body = ask("/v1/sql", {"sql": sql})
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


# A row of a table, by its key, is predicted as it is when it is sent whole.
whole = rows("SELECT hour, distance, vehicle FROM rides WHERE id IN (1, 2, 3) ORDER BY id")
ids = [{"id": 1}, {"id": 2}, {"id": 3}]
given, sent = predict(whole, request="whole")
found, looked_up = predict(ids, request="by key", lookup=LOOKUP)
assert (given, found) == ("whole", "by key")
assert sent["predictions"] == looked_up["predictions"]
# What an instance says itself goes before what the table says; the order is the instances'.
_, mixed = predict([{"id": 2, **whole[0]}, {"id": 3}, {"id": 1}, {"id": 1}], lookup=LOOKUP)
expected = [sent["predictions"][place] for place in (0, 2, 0, 0)]
assert mixed["predictions"] == expected
refused("no row with the key (id) of instance 1", [{"id": 1}, {"id": -1}], LOOKUP)
refused("1000 rows with the key (vehicle) of instance 0", [{"vehicle": "bike"}], {"table": "rides", "key": ["vehicle"]})
refused("instance 0 lacks 'id'", [{"ids": 1}], LOOKUP)
refused("is null", [{"id": None}], LOOKUP)
refused("did you mean 'id'", ids, {"table": "rides", "key": ["ide"]})
refused("did you mean rides", ids, {"table": "ridess", "key": ["id"]}, 404)
refused("needs a key", ids, {"table": "rides", "key": []})
refused("at most 1000 instances", ids * 400, LOOKUP)
refused("there is no table", ids, {"table": 'rides" AS t; DROP TABLE rides; --', "key": ["id"]}, 404)
refused("cannot cast", [{"id": "1) OR (1=1"}], LOOKUP, 422)

# Requests from many sides at once, large ones and those with a threshold: each row is kept once.
instance = {"hour": 5, "distance": 1.5, "vehicle": None}


def many():
    for _ in range(50):
        predict([instance, instance])


threads = [threading.Thread(target=many) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
predict([instance] * 500, request="large")
own, _ = predict([instance], threshold=0.9)
assert len(own) == 36, own
predict([{"hour": "x", "distance": 1, "vehicle": "car"}], 422)

# They are written when the server ends, at the latest.
os.kill(PROCESS, signal.SIGTERM)
for _ in range(200):
    try:
        ask("/healthz")
    except OSError:
        break
    time.sleep(0.05)
