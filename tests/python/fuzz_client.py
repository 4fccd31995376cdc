"""Messages that are almost right, to every port: python fuzz_client.py HTTP_PORT POSTGRES_PORT FLIGHT_PORT ROUNDS.

Each is made of a right one by a few changes. Whatever comes back is an answer or an error that says what was wrong: never
an internal error, and the server goes on."""

import http.client
import json
import random
import socket
import struct
import sys

import adbc_driver_flightsql.dbapi as flightsql

HTTP, POSTGRES, FLIGHT, ROUNDS = (int(argument) for argument in sys.argv[1:])
ODD = [b"\0", b"\xff", b"'", b'"', b"\\", b"{", b"[", b"(", b"-1", b"1e999", b"99999999999999999999", b"null", b"\xf0\x9f\x92\xa9", b";", b"%", b"\r\n"]
random.seed(7)


def changed(message):
    """The message with one to four changes."""
    message = bytearray(message)
    for _ in range(random.randint(1, 4)):
        at, to = sorted(random.randrange(len(message) + 1) for _ in range(2))
        match random.randrange(6):
            case 0:
                message[at:to] = b""
            case 1:
                message[at:at] = random.choice(ODD)
            case 2 if message:
                message[at % len(message)] = random.randrange(256)
            case 3:
                message[to:to] = message[at:to]
            case 4:
                message[at:to] = random.choice(ODD)
            case _:
                message[at:at] = random.choice(ODD) * random.randint(1, 300)
    return bytes(message)


def over_http():
    bodies = [
        ("/v1/sql", b'{"sql": "SELECT id, $1 AS a FROM rides WHERE id < $2", "parameters": ["x", 3]}'),
        ("/v1/models/lateness:predict", b'{"instances": [{"hour": 1, "distance": 2.5, "vehicle": "car"}], "threshold": 0.4}'),
        ("/v1/models/lateness:predict", b'{"instances": [{"id": 1}, {"id": 2}], "lookup": {"table": "rides", "key": ["id"]}, "version": 1}'),
        ("/v1/models/lateness@1:predict", b'{"instances": []}'),
        ("/v1/chat/completions", b'{"model": "none", "messages": [{"role": "user", "content": "Hi"}], "stop": ["x"], "stream": true}'),
        ("/v1/chat/completions", b'{"model": "none", "messages": [], "tools": [{"type": "function", "function": {"name": "f"}}]}'),
        ("/v1/completions", b'{"model": "none", "prompt": [1, 2], "logit_bias": {"7": -3}, "response_format": {"type": "text"}}'),
        ("/v1/embeddings", b'{"model": "none", "input": ["a", "b"], "encoding_format": "base64"}'),
    ]
    connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=20)
    for _ in range(ROUNDS):
        path, body = random.choice(bodies)
        connection.request("POST", path, changed(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        assert response.status < 500 and b'"internal"' not in answer, (body, response.status, answer)
    heads = [
        b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sql\r\nContent-Length: 8\r\nConnection: close\r\n\r\nSELECT 1",
        b"GET /v1/models/lateness HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        b"GET /console/assets/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ]
    for _ in range(ROUNDS):
        answer = spoken(HTTP, changed(random.choice(heads)))
        assert b"HTTP/1.1 5" not in answer and b"root:" not in answer, answer


def spoken(port, message):
    """What comes back for bytes after which nothing follows."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except TimeoutError:
            raise AssertionError(f"no answer to {message}") from None
        except OSError:
            # The server has heard enough.
            pass
    return answer


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def over_postgres():
    parameters = b"user\0a\0database\0main\0client_encoding\0UTF8\0\0"
    start = struct.pack("!ii", 8 + len(parameters), 196608) + parameters
    prepared = [
        (b"P", b"s\0SELECT id, $1::text FROM rides WHERE id < $2\0" + struct.pack("!hii", 2, 25, 23)),
        (b"B", b"p\0s\0" + struct.pack("!hhhhi1si4s", 2, 0, 1, 2, 1, b"x", 4, b"\0\0\0\7") + struct.pack("!hh", 1, 1)),
        (b"D", b"Pp\0"),
        (b"E", b"p\0" + struct.pack("!i", 3)),
        (b"C", b"Ss\0"),
        (b"S", b""),
    ]
    copied = [
        (b"Q", b"CREATE TEMP TABLE t (a INT, b VARCHAR, c TIMESTAMP)\0"),
        (b"Q", b"COPY t FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';')\0"),
        (b"d", b"a;b;c\n1;\"x;\"\"y\";2024-01-01 00:00:00\n2;;\n"),
        (b"c", b""),
    ]
    text = [
        (b"Q", b"CREATE TEMP TABLE t (a INT, b VARCHAR)\0"),
        (b"Q", b"COPY t FROM STDIN\0"),
        (b"d", b"1\tx\\ty\\134\n\\N\t\\x41\\101\n\\.\n"),
        (b"c", b""),
    ]
    script = [(b"Q", b"SELECT E'\\x41', $$a$$, U&'\\0041', * FROM rides /* c */ LIMIT 1; BEGIN; COMMIT -- end\0")]
    for _ in range(ROUNDS):
        parts = list(random.choice([prepared, prepared, copied, text, script]))
        at = random.randrange(len(parts))
        kind, body = parts[at]
        # Within the frame, so that the parser behind it sees the change; now and then the frame itself.
        whole = b"".join(message(k, changed(body) if place == at else b) for place, (k, b) in enumerate(parts))
        answer = spoken(POSTGRES, start + (whole if random.random() < 0.8 else changed(whole)) + message(b"X", b""))
        assert b"CXX000" not in answer, (kind, body, answer)


def over_flight():
    place = f"grpc://127.0.0.1:{FLIGHT}"
    queries = [b"SELECT id, hour FROM rides WHERE id < 5", b"SELECT 'a' || $1", b"DESCRIBE rides", b"SELECT * FROM \"rides\" VERSION AS OF 0"]
    with flightsql.connect(place) as connection, connection.cursor() as cursor:
        for _ in range(ROUNDS // 4):
            query = changed(random.choice(queries)).decode(errors="replace").replace("\0", "")
            try:
                cursor.execute(query)
                cursor.fetchall()
            except Exception as error:
                assert "INTERNAL" not in str(error), (query, error)


over_http()
over_postgres()
over_flight()
connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=20)
connection.request("POST", "/v1/sql", b"SELECT count(*) AS n FROM rides", {"Content-Type": "application/sql"})
assert json.loads(connection.getresponse().read()) == {"n": 3000}
assert b"C53300" not in spoken(POSTGRES, struct.pack("!ii", 16, 196608) + b"user\0a\0\0")
