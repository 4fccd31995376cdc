"""A served language model under everything at once: python storm.py FOLDER THREADS LAKEMILL MINUTES [SEED].

Clients send what is right (completions, chats, streams, several answers, forms, stop strings), what is wrong (JSON that
breaks off, bytes that are no UTF-8, types that do not fit, prompts longer than any context, models that do not exist), go
away in the middle, and ask for more at once than the queue takes; meanwhile SQL makes, replaces and drops models, which
are loaded and unloaded. Every accepted request must be answered, every refusal must be a refusal in OpenAI's shape, the
log must tell of no panic, and when all is quiet the key-value cache and the queue are empty and memory is where it was
after the first minutes. Prints one line of JSON; exits with 1 where something is wrong.
"""

import asyncio
import collections
import json
import random
import re
import sys
import time
from pathlib import Path

import client
import serve

CLIENTS = 24
# What a server may say to a request that is right while it is under this load.
BUSY = {429, 503}
# More requests at once than it takes, from time to time.
BURST, BURST_EVERY_S = 120, 45
# Models that SQL makes, each with another size of its cache: more than are kept loaded.
MADE, MADE_EVERY_S = 12, 4
# The time that memory has to come to rest, as a share of all; and what it may grow by from then on.
SETTLED, GROWTH, GROWTH_MB = 0.25, 1.1, 96
# The server's limits, which the bursts go beyond; SQL may read models' files beside the lake.
LIMITS = ["--max-running", "32", "--max-waiting", "64", "--allow-path"]
# Seconds that the server has to forget requests whose clients went away.
QUIET_S = 30


class Storm:
    def __init__(self, address, prompts, dice, until):
        self.address, self.prompts, self.dice, self.until = address, prompts, dice, until
        self.count, self.wrong, self.first_s = collections.Counter(), [], []
        # Prompts that begin alike, so that blocks are shared, kept and thrown away.
        self.prefixes = [self.window(self.dice.randrange(16, 700)) for _ in range(12)]

    def window(self, length):
        begin = self.dice.randrange(len(self.prompts) - length)
        return self.prompts[begin : begin + length]

    def request(self):
        """A completion that is right."""
        prompt = self.dice.choice(self.prefixes) + self.window(self.dice.randrange(1, 200))
        request = {"model": serve.MODEL, "prompt": prompt, "max_tokens": self.dice.randrange(1, 96)}
        if self.dice.random() < 0.5:
            request |= {"temperature": self.dice.choice([0, 0.3, 1.5]), "seed": self.dice.randrange(1 << 40)}
        if self.dice.random() < 0.3:
            request |= {"top_p": 0.9, "top_k": 40, "min_p": 0.02, "repetition_penalty": 1.1, "presence_penalty": 0.5}
        if self.dice.random() < 0.2:
            request["n"] = self.dice.randrange(2, 5)
        if self.dice.random() < 0.2:
            request["stop"] = [".", "\n\n"]
        if self.dice.random() < 0.2:
            request["logprobs"] = 3
        if self.dice.random() < 0.1:
            request |= {"response_format": {"type": "json_object"}}
        return request

    def chat(self):
        said = "What is " + self.dice.choice(["a coroutine", "a tuple 🐍", "наследование", "例外", "an l-value", "٣ + ٤"]) + "?"
        request = {"model": serve.MODEL, "messages": [{"role": "user", "content": said}], "max_tokens": 48}
        if self.dice.random() < 0.3:
            schema = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 40}}, "required": ["answer"]}
            form = {"name": "answer", "schema": {**schema, "additionalProperties": False}}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return request

    async def whole(self):
        path, request = self.dice.choice([("/v1/completions", self.request()), ("/v1/chat/completions", self.chat())])
        status, _, body = await client.whole(self.address, "POST", path, request)
        if status == 200:
            answer = json.loads(body)
            assert len(answer["choices"]) == request.get("n", 1), answer
            assert all(choice["finish_reason"] in ("stop", "length") for choice in answer["choices"]), answer
            self.count["answered"] += 1
        else:
            self.refused(status, body, BUSY)

    async def streamed(self):
        path, request = self.dice.choice([("/v1/completions", self.request()), ("/v1/chat/completions", self.chat())])
        try:
            answer = await client.stream(self.address, path, request)
        except client.Refused as refused:
            return self.refused(refused.status, refused.body, BUSY)
        assert answer.reason in ("stop", "length"), f"a stream ended without a reason: {answer.reason}"
        assert answer.usage, "a stream ended without its usage"
        self.first_s.append(answer.first_s)
        self.count["streamed"] += 1

    async def hang_up(self):
        """Goes away before, while or after the answer comes."""
        request = {**self.request(), "stream": self.dice.random() < 0.7, "max_tokens": 400, "ignore_eos": True}
        body = json.dumps(request).encode()
        host, port = self.address
        reader, writer = await asyncio.open_connection(host, port)
        try:
            head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            sent = head.encode() + body
            writer.write(sent[: self.dice.randrange(1, len(sent))] if self.dice.random() < 0.2 else sent)
            await writer.drain()
            try:
                await asyncio.wait_for(reader.read(self.dice.randrange(1, 4000)), self.dice.random() * 3)
            except TimeoutError:
                pass
        finally:
            if self.dice.random() < 0.5:
                writer.transport.abort()
            writer.close()
        self.count["hung up"] += 1

    async def broken(self):
        """What no server may take: the answer is 4xx in OpenAI's shape."""
        right = json.dumps(self.request()).encode()
        kinds = [
            right[: self.dice.randrange(len(right))],
            right.replace(b'"prompt"', b'"pr\xff\xfempt"'),
            b'{"model": "smollm2", "prompt": "\xc3\x28\xa0\xa1"}',
            b'{"model": "smollm2", "prompt": "\\ud800"}',
            b"[" * 20000,
            b"\x00" * 100,
            json.dumps({"model": "nobody", "prompt": "Hello"}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": self.window(20000)}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "a " * 300000}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": [1 << 31]}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": [49152 + 7]}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "x", "max_tokens": -1}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "x", "temperature": "hot"}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "x", "n": 1000000}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "x", "no_such_parameter": 1}).encode(),
            json.dumps({"model": serve.MODEL, "prompt": "x", "logit_bias": {"x": 1}}).encode(),
        ]
        status, _, body = await client.whole(self.address, "POST", "/v1/completions", self.dice.choice(kinds))
        self.refused(status, body, range(400, 500))

    async def sql(self):
        """A model is made or replaced, used at once and sometimes dropped."""
        number = self.dice.randrange(MADE)
        file, cache = serve.gguf(FOLDER), (16 + number) << 20
        options = f"model_type = 'LANGUAGE_MODEL', model_path = '{file}', kv_cache_bytes = {cache}"
        await self.statement(f"CREATE OR REPLACE MODEL made_{number} OPTIONS ({options})")
        request = {"model": f"made_{number}", "prompt": self.window(30), "max_tokens": 8}
        status, _, body = await client.whole(self.address, "POST", "/v1/completions", request)
        # Another client may have dropped it.
        if status != 200:
            self.refused(status, body, {*BUSY, 404, 507})
        if self.dice.random() < 0.3:
            await self.statement(f"DROP MODEL IF EXISTS made_{number}")
        self.count["made"] += 1

    async def statement(self, text):
        status, _, body = await client.whole(self.address, "POST", "/v1/sql", {"sql": text})
        # 409: another client was quicker.
        if status not in (200, 409, 404, *BUSY):
            self.wrong.append(f"{text}: {status} {body[:300]}")

    def refused(self, status, body, allowed):
        self.count[f"refused with {status}"] += 1
        if status not in allowed:
            self.wrong.append(f"{status}: {body[:300]}")
            return
        try:
            assert json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError, AssertionError):
            # What is no HTTP request at all may be answered by fewer words.
            self.wrong.append(f"a refusal in another shape: {status} {body[:300]}")

    async def guarded(self, work):
        try:
            await asyncio.wait_for(work, 300)
        except Exception as error:
            self.wrong.append(f"{work.__name__}: {error!r}")

    async def client(self):
        kinds = [(self.whole, 30), (self.streamed, 30), (self.hang_up, 25), (self.broken, 15)]
        works, weights = zip(*kinds)
        while time.monotonic() < self.until:
            await self.guarded(self.dice.choices(works, weights)[0]())
            if self.dice.random() < 0.1:
                await asyncio.sleep(self.dice.random() * 5)

    async def every(self, seconds, work):
        while time.monotonic() + seconds < self.until:
            await asyncio.sleep(seconds)
            await work()

    async def burst(self):
        await asyncio.gather(*[self.guarded(self.dice.choice([self.whole, self.hang_up])()) for _ in range(BURST)])

    async def run(self):
        clients = [self.client() for _ in range(CLIENTS)]
        made = self.every(MADE_EVERY_S, lambda: self.guarded(self.sql()))
        await asyncio.gather(*clients, made, self.every(BURST_EVERY_S, self.burst))


async def metrics(address):
    """The values of the metrics that must come to nothing."""
    status, _, body = await client.whole(address, "GET", "/metrics")
    assert status == 200, body[:300]
    names = "vllm:num_requests_running|vllm:num_requests_waiting|vllm:kv_cache_usage_perc"
    return {f"{name}{labels}": float(value) for name, labels, value in re.findall(rf"^({names})(\S*) (\S+)$", body.decode(), re.M)}


async def quiet(address):
    """What is left in the engines when nobody asks any more."""
    until = time.monotonic() + QUIET_S
    while True:
        left = {name: value for name, value in (await metrics(address)).items() if value != 0}
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(0.5)


async def watch(server, address, seconds, seed):
    begun = time.monotonic()
    prompts = json.loads((FOLDER / "prompts.json").read_text())["tokens"]
    storm = Storm(address, prompts, random.Random(seed), begun + seconds)
    running, memory = asyncio.ensure_future(storm.run()), []
    while not running.done():
        await asyncio.wait([running], timeout=2)
        memory.append((time.monotonic() - begun, serve.memory_mb(server.pid)))
        if len(memory) % 30 == 0:
            done = ", ".join(f"{what} {count}" for what, count in sorted(storm.count.items()))
            print(f"{memory[-1][0]:.0f} s: {done}; {memory[-1][1]:.0f} MB; wrong {len(storm.wrong)}", file=sys.stderr)
    await running
    return storm, memory, await quiet(address)


def main(threads, binary, minutes, seed):
    with serve.running("lakemill", FOLDER, threads, binary, more=[*LIMITS, FOLDER]) as (server, address):
        storm, memory, left = asyncio.run(watch(server, address, 60 * float(minutes), seed))
        alive = server.poll() is None
        end = serve.memory_mb(server.pid) if alive else 0.0
    log = (FOLDER / "lakemill.log").read_text(errors="replace")
    settled = [megabytes for at, megabytes in memory if at > SETTLED * memory[-1][0]]
    first_ms = sorted(1000 * seconds for seconds in storm.first_s) or [0.0]
    figures = {name.replace(" ", "_"): count for name, count in sorted(storm.count.items())}
    figures |= {"first_token_p50_ms": first_ms[len(first_ms) // 2], "first_token_p99_ms": first_ms[len(first_ms) * 99 // 100]}
    figures |= {"memory_settled_mb": settled[0], "memory_highest_mb": max(settled), "memory_end_mb": end}
    print(json.dumps({"version": serve.version("lakemill", FOLDER, binary), "figures": figures}))
    wrong = [f"{len(storm.wrong)} wrong answers, such as {storm.wrong[:5]}"] if storm.wrong else []
    wrong += [] if alive else [f"the server died: {log[-1000:]}"]
    wrong += [f"requests or blocks are left when all is quiet: {left}"] if left else []
    wrong += [f"a panic in the log: {log[log.find('panicked') - 200 :][:800]}"] if "panicked" in log else []
    if end > GROWTH * settled[0] + GROWTH_MB:
        wrong.append(f"memory has grown from {settled[0]:.0f} MB to {end:.0f} MB")
    if alive and server.returncode != 0:
        wrong.append(f"the server ended with {server.returncode}")
    if wrong:
        sys.exit("; ".join(wrong))


FOLDER = Path(sys.argv[1])
main(*sys.argv[2:5], int(sys.argv[5]) if len(sys.argv) > 5 else 1)
