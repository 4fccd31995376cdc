"""A client of OpenAI's HTTP API that costs next to nothing: the servers that it measures have the same two cores.

Of HTTP/1.1 it speaks what these servers do: one request per connection, bodies with a length or in chunks, server-sent
events.
"""

import asyncio
import json
import time

# No answer of a benchmark takes longer; one that does is an error, and so is a server that hangs.
PATIENCE_S = 600


class Refused(Exception):
    """An answer other than 200: its status, its headers and its body."""

    def __init__(self, status, headers, body):
        super().__init__(f"{status}: {body[:300].decode(errors='replace')}")
        self.status, self.headers, self.body = status, headers, body


class Answer:
    """What came of one request: its text, when its first and last pieces came, and its usage."""

    def __init__(self):
        self.text, self.usage, self.begun, self.first, self.last = "", {}, time.perf_counter(), None, None
        self.reason = None

    def piece(self, text):
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.text += text

    @property
    def tokens(self):
        return self.usage["completion_tokens"]

    @property
    def first_s(self):
        return self.first - self.begun

    @property
    def seconds(self):
        return self.last - self.begun


async def pieces(reader, headers):
    """The body of an answer, as it comes."""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await reader.readline()).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    elif "content-length" in headers:
        yield await reader.readexactly(int(headers["content-length"]))
    else:
        while block := await reader.read(1 << 16):
            yield block


async def begin(address, method, path, body=b"", more=()):
    """Sends a request; gives the reader, the writer, the status and the headers of its answer."""
    host, port = address
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 22)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", *more]
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        headers = {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip().lower()
    except BaseException:
        writer.close()
        raise
    return reader, writer, status, headers


async def whole(address, method, path, value=None):
    """An answer in one piece: its status, its headers and its bytes."""
    body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
    reader, writer, status, headers = await asyncio.wait_for(begin(address, method, path, body), PATIENCE_S)
    try:
        return status, headers, b"".join([piece async for piece in pieces(reader, headers)])
    finally:
        writer.close()


async def events(reader, headers):
    """The data of server-sent events."""
    rest = b""
    async for piece in pieces(reader, headers):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


async def stream(address, path, request):
    """Streams the answer of a completion or a chat: an `Answer`."""
    answer = Answer()
    body = json.dumps({**request, "stream": True, "stream_options": {"include_usage": True}}).encode()
    reader, writer, status, headers = await asyncio.wait_for(begin(address, "POST", path, body), PATIENCE_S)
    try:
        if status != 200:
            raise Refused(status, headers, b"".join([piece async for piece in pieces(reader, headers)]))
        async for data in events(reader, headers):
            if data == b"[DONE]":
                break
            event = json.loads(data)
            if "error" in event:
                raise Refused(500, headers, data)
            answer.usage = event.get("usage") or answer.usage
            for choice in event.get("choices", []):
                text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
                if text:
                    answer.piece(text)
                answer.reason = choice.get("finish_reason") or answer.reason
    finally:
        writer.close()
    # An answer of nothing but the end.
    answer.last = answer.last or time.perf_counter()
    answer.first = answer.first or answer.last
    return answer
