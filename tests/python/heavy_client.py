"""Much at once: python heavy_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import json
import sys
import threading
import urllib.request

import psycopg
import pyarrow.ipc as ipc

PLACE = f"host=127.0.0.1 port={sys.argv[2]} dbname=main user=anybody"
ROWS = 20_000_000


def memory_mb():
    lines = open(f"/proc/{sys.argv[4]}/status").read().splitlines()
    [resident] = [line for line in lines if line.startswith("VmRSS")]
    return int(resident.split()[1]) // 1024


# Rows pass through: however many there are, memory stays.
before = memory_mb()
sql = f"SELECT value, value * 2 AS twice FROM generate_series(1, {ROWS})"
request = urllib.request.Request(
    f"http://127.0.0.1:{sys.argv[1]}/v1/sql",
    json.dumps({"sql": sql}).encode(),
    {"Content-Type": "application/json", "Accept": "application/vnd.apache.arrow.stream"},
)
count, most = 0, 0
for batch in ipc.open_stream(urllib.request.urlopen(request)):
    count, most = count + batch.num_rows, max(most, memory_mb())
assert count == ROWS and most < before + 200, (count, before, most)
with psycopg.connect(PLACE, autocommit=True) as connection:
    count = 0
    for _ in connection.cursor().stream(sql.replace(str(ROWS), "1000000"), size=1000):
        count += 1
    assert count == 1_000_000 and memory_mb() < before + 200, (count, memory_mb())

# Five hundred connections, each with a query.
errors = []


def one():
    try:
        with psycopg.connect(PLACE, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM rides WHERE hour = %s", (3,)).fetchone() == (429,)
    except Exception as error:
        # Beyond 256 that wait, the server may say that it is busy.
        if getattr(error, "sqlstate", None) != "53300":
            errors.append(error)


threads = [threading.Thread(target=one) for _ in range(500)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not errors, errors[:3]
assert memory_mb() < before + 500, memory_mb()
