"""A user who asks too often: python rate_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS, with --max-rate 20."""

import json
import sys
import time
import urllib.error
import urllib.request

import psycopg

SERVER = f"http://127.0.0.1:{sys.argv[1]}"
INSTANCES = {"instances": [{"hour": 1, "distance": 2.5, "vehicle": "car"}]}


def ask(path, body):
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        assert error.headers["Retry-After"] == "1"
        return error.code, error.read()


answers = [ask("/v1/models/lateness:predict", INSTANCES) for _ in range(30)]
answers += [ask("/v1/sql", {"sql": "SELECT 1 AS a"}) for _ in range(30)]
refused = [body for status, body in answers if status == 429]
assert len(refused) >= 15, [status for status, _ in answers]
assert {status for status, _ in answers} == {200, 429}
assert "asked more than 20 times a second (--max-rate)" in json.loads(refused[0])["error"]["message"]
time.sleep(1.1)
with psycopg.connect(f"host=127.0.0.1 port={sys.argv[2]} dbname=main user=anybody", autocommit=True) as connection:
    seen = set()
    for _ in range(60):
        try:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            seen.add("done")
        except psycopg.Error as error:
            seen.add(error.sqlstate)
    assert seen == {"done", "53300"}, seen
time.sleep(1.1)
assert ask("/v1/sql", {"sql": "SELECT 1 AS a"}) == (200, b'{"a":1}\n')
