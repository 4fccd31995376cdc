"""A server with one place, no queue and two seconds a statement: python limits_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg

PLACE = f"host=127.0.0.1 port={sys.argv[2]} dbname=main user=anybody"
PROCESS = int(sys.argv[4])
FOREVER = "SELECT sum(value) FROM generate_series(1, 1000000000000)"


def http(sql):
    body = json.dumps({"sql": sql}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/sql", body, {"Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request).status, {}
    except urllib.error.HTTPError as error:
        return error.status, error.headers


def running():
    body = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics").read().decode()
    return "\nlakemill_statements_running 0" not in body


def wait(condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it does not happen")


results = []
thread = threading.Thread(target=lambda: results.append(http(FOREVER)[0]))
thread.start()
wait(running)
connection = psycopg.connect(PLACE, autocommit=True)
status, headers = http("SELECT 1")
assert (status, headers["Retry-After"]) == (429, "1"), status
try:
    connection.execute("SELECT 1")
    raise AssertionError("a second one was let in")
except psycopg.errors.TooManyConnections:
    pass
thread.join()
assert results == [504], results
# The client is told at once; the place is free when the query has noticed.
wait(lambda: not running())
try:
    connection.execute(FOREVER)
    raise AssertionError("it ended")
except psycopg.errors.QueryCanceled as error:
    assert "--statement-timeout" in str(error)
wait(lambda: not running())

# A PostgreSQL client that is gone stops its query.
gone = subprocess.Popen([sys.executable, "-c", f"import psycopg; psycopg.connect('{PLACE}').execute('{FOREVER}')"])
wait(running)
gone.kill()
gone.wait()
started = time.monotonic()
wait(lambda: not running())
assert time.monotonic() - started < 1.6, "its time has run out"

# SIGTERM: what runs has a second to end, and is told so.
http("SELECT 1")
thread = threading.Thread(target=lambda: results.append(http(FOREVER)[0]))
thread.start()
wait(running)
os.kill(PROCESS, signal.SIGTERM)
thread.join()
assert results[1:] == [503], results
