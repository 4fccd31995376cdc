"""Programs that speak HTTP against a server: python http_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import json
import socket
import sys
import time
import urllib.error
import urllib.request

import pyarrow.ipc as ipc
from openapi_spec_validator import validate
from prometheus_client.openmetrics.parser import text_string_to_metric_families

PORT = int(sys.argv[1])
SERVER = f"http://127.0.0.1:{PORT}"
FOREVER = "SELECT value FROM generate_series(1, 1000000000000)"
ARROW = "application/vnd.apache.arrow.stream"


def ask(path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(SERVER + path, body, headers), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.read()


def rows(sql, *parameters):
    status, body = ask("/v1/sql", {"sql": sql, "parameters": parameters})
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def refused(status, part, path, body, **headers):
    seen, answer = ask(path, body, **headers)
    assert seen == status and part in json.loads(answer)["error"]["message"], (seen, answer)


def metric(name):
    families = text_string_to_metric_families(ask("/metrics")[1].decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


# Rows in both forms, from both kinds of request.
assert rows("SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e", 1, 1.5, "it's", True, None) == [
    {"a": 1, "b": 1.5, "c": "it's", "d": True, "e": None}
]
assert rows("CREATE TABLE t (a INT, b VARCHAR)")[0]["message"].startswith("created")
assert rows("INSERT INTO t VALUES (1, 'x'); SELECT * FROM t") == [{"a": 1, "b": "x"}]
assert ask("/v1/sql", b"SELECT 1 AS a; SELECT 2 AS b", Content_Type="application/sql") == (200, b'{"b":2}\n')
table = ipc.open_stream(ask("/v1/sql", {"sql": "SELECT * FROM rides"}, Accept=ARROW)[1]).read_all()
assert (table.num_rows, table.column_names[:2]) == (3000, ["id", "hour"])
assert ipc.open_stream(ask("/v1/sql", {"sql": "SELECT * FROM t WHERE a = 9"}, Accept=ARROW)[1]).read_all().num_rows == 0

# Errors, at the start and after rows were sent.
refused(404, "unknown column", "/v1/sql", {"sql": "SELECT nothing FROM t"})
refused(400, "takes 2 values", "/v1/sql", {"sql": "SELECT $1 + $2", "parameters": [1]})
refused(400, "list or an object", "/v1/sql", {"sql": "SELECT $1", "parameters": [[1]]})
refused(400, "Content-Type", "/v1/sql", b"SELECT 1", Content_Type="text/plain")
refused(400, "may not use", "/v1/sql", {"sql": "SELECT 1"}, Origin="http://elsewhere.example")
refused(400, "which this server is not", "/v1/sql", {"sql": "SELECT 1"}, Host="elsewhere.example")
# A refusal arrives while the request is still being sent.
large = b"x" * (17 << 20)
refused(413, "--max-message", "/v1/sql", large, Content_Type="application/sql")
refused(400, "may not use", "/v1/sql", large, Origin="http://elsewhere.example")
refused(404, "there is nothing at", "/v1/nothing", large)
broken = "SELECT 1 / (value - 90000) AS x FROM generate_series(1, 100000)"
assert "division by zero" in rows(broken)[-1]["error"]["message"]
try:
    ask("/v1/sql", {"sql": broken}, Accept=ARROW)
    raise AssertionError("a part was taken for the whole")
except Exception as error:
    # It is cut off, maybe before its first byte.
    assert type(error).__name__ in ("IncompleteRead", "RemoteDisconnected"), repr(error)

# The values that ML.PREDICT gives, bit for bit.
for query in ("SELECT hour, distance, vehicle FROM rides ORDER BY id LIMIT 2000", "SELECT 1 AS hour, NULL AS distance, 'boat' AS vehicle"):
    expected = rows(f"SELECT predicted_late, predicted_late_probs FROM ML.PREDICT(MODEL lateness, ({query}))")
    status, answer = ask("/v1/models/lateness:predict", {"instances": rows(query)})
    assert status == 200, answer
    assert json.loads(answer)["predictions"] == expected
one = {"hour": 3, "distance": 1.5, "vehicle": "car"}
predict = "/v1/models/lateness:predict"
low, high = [json.loads(ask(predict, {"instances": [one], "threshold": at})[1])["predictions"][0] for at in (0, 1)]
assert low["predicted_late"] and not high["predicted_late"]
refused(400, "lacks the column 'distance'", predict, {"instances": [{"hour": 3, "vehicle": "car"}]})
refused(422, "distance", predict, {"instances": [{**one, "distance": "far"}]})
refused(400, "from 1 to", predict, {"instances": []})
refused(404, "no version 9", predict, {"instances": [one], "version": 9})
refused(404, "no model", "/v1/models/nothing:predict", {"instances": [one]})
assert json.loads(ask("/v1/models")[1])["models"][0]["name"] == "lateness"

# A client that hangs up stops its query, whether rows have come or not.
for sql in (FOREVER, FOREVER.replace("value", "sum(value)", 1)):
    body = json.dumps({"sql": sql}).encode()
    with socket.create_connection(("127.0.0.1", PORT)) as connection:
        head = f"POST /v1/sql HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        time.sleep(0.4)
        assert metric("lakemill_statements_running") == 1
    for _ in range(40):
        time.sleep(0.05)
        if metric("lakemill_statements_running") == 0:
            break
    else:
        raise AssertionError("it still runs")

assert metric("lakemill_rows_total") > 3000
validate(json.loads(ask("/openapi.json")[1]))
assert (ask("/healthz")[0], ask("/readyz")[0]) == (200, 200)
