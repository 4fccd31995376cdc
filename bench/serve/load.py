"""Many clients for long: python load.py LAKEMILL FOLDER SECONDS CONNECTIONS.

A server on two threads, CONNECTIONS open connections of PostgreSQL's protocol and a few of HTTP; each sends a statement,
waits a while and sends the next: reads by key and sums, inserts, predictions in SQL and by :predict, queries that fail.
Nothing may fail but what is meant to and what the server says it refuses (53300, 429), every acknowledged row must be
there, and the server's memory must come to rest. Prints one line of JSON; exits with 1 where something is wrong.
"""

import asyncio
import json
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import asyncpg

LAKE = """
    CREATE TABLE rides AS
      SELECT CAST(value AS INT) AS id, CAST(value % 24 AS INT) AS hour, value * 0.5 AS distance, value % 7 > 3 AS late
      FROM generate_series(1, 200000);
    CREATE TABLE notes (connection INT, text VARCHAR);
    CREATE MODEL lateness OPTIONS (model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['late'], max_iterations = 20)
      AS SELECT hour, distance, late FROM rides;
"""
# Statements a second, all connections together: what two cores do at ease with a client beside them.
RATE = 60
# Connections that send their first statement at once.
WARMED_TOGETHER = 8

binary, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
seconds, connections = float(sys.argv[3]), int(sys.argv[4])


class Tally:
    def __init__(self):
        self.done, self.refused, self.notes, self.errors, self.took_s = 0, 0, 0, [], []

    async def time(self, work):
        begun = time.monotonic()
        try:
            await work()
            self.done += 1
            self.took_s.append(time.monotonic() - begun)
        except asyncpg.TooManyConnectionsError:
            self.refused += 1
        except urllib.error.HTTPError as error:
            if error.code == 429:
                self.refused += 1
            else:
                self.errors.append(repr(error))
        except Exception as error:
            self.errors.append(repr(error))


def start():
    lake = folder / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([binary, "--lake", lake, "sql", "-q"], input=LAKE, text=True, check=True)
    ports = ["--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0", "--flight", "off"]
    limits = ["--max-connections", str(connections + 100)]
    server = subprocess.Popen(
        [binary, "--lake", lake, "--threads", "2", "serve", *ports, *limits],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    addresses = dict(server.stdout.readline().split() for _ in range(2))
    return server, addresses["http"], int(addresses["postgres"].rsplit(":", 1)[1])


def memory_mb(server):
    with open(f"/proc/{server.pid}/status") as status:
        [resident] = [line for line in status if line.startswith("VmRSS")]
    return int(resident.split()[1]) / 1024


def predict(http, number):
    instances = [{"hour": number % 24, "distance": number * 0.5}]
    body = json.dumps({"instances": instances}).encode()
    with urllib.request.urlopen(f"http://{http}/v1/models/lateness:predict", body, timeout=60) as answer:
        assert len(json.load(answer)["predictions"]) == 1


async def client(number, connection, http, tally, until, dice):
    async def by_key():
        key = dice.randrange(1, 200001)
        assert await connection.fetchval("SELECT distance FROM rides WHERE id = $1", key) == key * 0.5

    async def hours():
        rows = await connection.fetch("SELECT hour, count(*), avg(distance) FROM rides GROUP BY hour ORDER BY hour")
        assert len(rows) == 24

    async def insert():
        await connection.execute("INSERT INTO notes VALUES ($1, $2)", number, "x" * 100)
        tally.notes += 1

    async def score():
        query = "SELECT predicted_late FROM ML.PREDICT(MODEL lateness, (SELECT * FROM rides WHERE id = $1))"
        assert await connection.fetchval(query, dice.randrange(1, 200001)) is not None

    async def over_http():
        await asyncio.to_thread(predict, http, number)

    async def wrong():
        try:
            await connection.fetchval("SELECT nothing FROM rides")
        except asyncpg.UndefinedColumnError:
            return
        raise AssertionError("an unknown column was found")

    kinds = [(by_key, 50), (hours, 15), (insert, 5), (score, 10), (over_http, 15), (wrong, 5)]
    works, weights = zip(*kinds)
    while True:
        pause = dice.expovariate(RATE / connections)
        if time.monotonic() + pause > until:
            break
        await asyncio.sleep(pause)
        await tally.time(dice.choices(works, weights)[0])


async def load(server, http, postgres):
    place = {"host": "127.0.0.1", "port": postgres, "database": "main", "user": "anybody", "ssl": False}
    opened = [await asyncpg.connect(timeout=60, command_timeout=120, **place) for _ in range(connections)]
    # What a connection takes once, with its first statement, is no growth.
    for first in range(0, connections, WARMED_TOGETHER):
        some = opened[first : first + WARMED_TOGETHER]
        await asyncio.gather(*[one.fetchval("SELECT distance FROM rides WHERE id = $1", first + 1) for one in some])
    tally, begun = Tally(), time.monotonic()
    clients = [
        asyncio.ensure_future(client(number, connection, http, tally, begun + seconds, random.Random(number)))
        for number, connection in enumerate(opened)
    ]
    memory = []
    while time.monotonic() < begun + seconds:
        await asyncio.sleep(min(5, seconds / 10))
        memory.append(memory_mb(server))
        if len(memory) % 12 == 0:
            print(f"{time.monotonic() - begun:.0f} s: {tally.done} statements, {memory[-1]:.0f} MB", file=sys.stderr)
    await asyncio.gather(*clients)
    notes = await opened[0].fetchval("SELECT count(*) FROM notes")
    await asyncio.gather(*[connection.close() for connection in opened])
    return tally, memory, notes


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * connections + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    server, http, postgres = start()
    try:
        tally, memory, notes = asyncio.run(load(server, http, postgres))
    finally:
        server.terminate()
        server.wait(60)
    took_ms = sorted(1000 * took for took in tally.took_s)
    half, tail = memory[len(memory) // 2], max(memory[-max(1, len(memory) // 10) :])
    figures = {
        "statements": tally.done,
        "refused": tally.refused,
        "errors": len(tally.errors),
        "p50_ms": took_ms[len(took_ms) // 2],
        "p99_ms": took_ms[len(took_ms) * 99 // 100],
        "memory_half_mb": half,
        "memory_end_mb": tail,
    }
    print(json.dumps({"version": "", "figures": figures}))
    wrong = []
    if tally.errors:
        wrong.append(f"{len(tally.errors)} errors, such as {tally.errors[:3]}")
    if notes != tally.notes:
        wrong.append(f"{tally.notes} rows were acknowledged and {notes} are there")
    # What is kept for speed (versions of tables that were read, compiled statements) has its limits.
    if tail > 1.1 * half + 50:
        wrong.append(f"memory has grown from {half:.0f} MB at half time to {tail:.0f} MB")
    if server.returncode != 0:
        wrong.append(f"the server ended with {server.returncode}")
    if wrong:
        sys.exit("; ".join(wrong))


main()
