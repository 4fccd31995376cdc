"""Clients that mean no good: python hostile_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import os
import random
import socket
import struct
import sys

import psycopg

PORT, FOLDER, PROCESS = int(sys.argv[2]), sys.argv[3], sys.argv[4]
PLACE = f"host=127.0.0.1 port={PORT} dbname=main user=anybody"


def say(*messages):
    """Sends bytes and gives what comes back, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", PORT)) as connection:
        connection.settimeout(0.3)
        answer = b""
        try:
            for message in messages:
                connection.sendall(message)
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError):
            pass
        return answer


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


START = struct.pack("!ii", 8 + len(b"user\0a\0database\0main\0\0"), 196608) + b"user\0a\0database\0main\0\0"
random.seed(1)
say(b"")
say(b"GET / HTTP/1.1\r\n\r\n")
say(struct.pack("!ii", 2**31 - 1, 196608))
say(struct.pack("!ii", -1, 196608))
say(START[:20])
for _ in range(5):
    say(random.randbytes(200))
    say(START, random.randbytes(200))
assert b"SELECT 1" in say(START, message(b"Q", b"SELECT 1\0"))
say(START, message(b"Q", b"SELECT '\xff\xfe'\0"))
say(START, message(b"Q", b"SELECT 1"))
say(START, b"Q" + struct.pack("!i", 2**31 - 1) + b"SELECT")
say(START, message(b"B", b"\0nothing\0" + struct.pack("!hhh", -1, 9, 9)))
say(START, message(b"E", b"nothing\0\0\0\0\0"), message(b"S", b""))
say(START, message(b"d", b"rows"), message(b"c", b""), message(b"f", b"\0"))
say(START, message(b"P", b"\0SELECT $1, $70000\0\0\0"), message(b"S", b""))
nested = say(START, message(b"Q", b"SELECT " + b"(" * 10_000 + b"1" + b")" * 10_000 + b"\0"))
assert b"ERROR" in nested, nested[-200:]

# Nothing of the machine but the lake.
connection = psycopg.connect(PLACE, autocommit=True)
link = os.path.join(FOLDER, "link")
os.symlink("/etc", link)
for query in [
    "SELECT * FROM '/etc/passwd'",
    f"SELECT * FROM '{link}/passwd'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('file:///etc/passwd')",
    f"COPY rides TO '{FOLDER}/x.csv'",
    f"COPY rides FROM '{FOLDER}/x.csv'",
    "CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '/etc/passwd'",
    f"EXPORT MODEL lateness TO '{FOLDER}/model'",
    "SET memory_limit = '1TB'",
    "SET threads = 64",
    "SET temp_directory = '/tmp'",
    "LISTEN x",
    "LOCK TABLE rides",
]:
    try:
        connection.execute(query)
    except psycopg.Error as error:
        assert error.sqlstate != "XX000", f"{query}: {error}"
    else:
        raise AssertionError(f"{query} is allowed")
assert not os.path.exists(f"{FOLDER}/x.csv") and not os.path.exists(f"{FOLDER}/model")
assert connection.execute("SELECT count(*) FROM rides").fetchone() == (3000,)
assert os.path.exists(f"/proc/{PROCESS}")
