"""One contender through the scenarios: python driver.py NAME FOLDER THREADS LAKEMILL [SCENARIOS [REQUESTS_PER_S]].

SCENARIOS is 'speed' (all but the last), 'arrivals' (Poisson arrivals at REQUESTS_PER_S, the same moments for all) or
names with commas between. Every scenario has its own prompts, so that no cache helps where it should not; answers are
greedy and of a fixed length; tokens are counted by the server's own `usage`. It prints one line of JSON and leaves the
answers in FOLDER/answers for `compare.py`.
"""

import asyncio
import json
import random
import statistics
import sys
import threading
import time
from pathlib import Path

import client
import serve

PREFILL_TOKENS, PREFILLS = 512, 5
DECODED_TOKENS, DECODES = 128, 3
# Sixteen streams: tokens in and out of each.
STREAMS, STREAM_IN, STREAM_OUT = serve.STREAMS, 128, 64
# What the sixteen have in common in the scenario of the shared prefix.
COMMON_TOKENS = 400
USERS, TURNS, TURN_OUT = 8, 4, 48
ARRIVALS = 40
# Seconds between looks at a server's memory.
LOOK_S = 0.02


class Prompts:
    """Windows of the run of tokens, each given out once; every scenario has a part of the run to itself."""

    PARTS = ["warm", "prefill", "decode", "streams", "shared", "arrivals"]

    def __init__(self, folder):
        kept = json.loads((folder / "prompts.json").read_text())
        self.tokens, self.paragraphs, self.given = kept["tokens"], kept["paragraphs"], dict.fromkeys(self.PARTS, 0)

    def take(self, part, count):
        room = len(self.tokens) // len(self.PARTS)
        begin, self.given[part] = self.given[part], self.given[part] + count
        if self.given[part] > room:
            raise SystemExit(f"the {room} tokens of '{part}' are used up: prepare a longer run")
        begin += room * self.PARTS.index(part)
        return self.tokens[begin : begin + count]


class Scenarios:
    def __init__(self, name, address, prompts):
        self.name, self.address, self.prompts, self.answers, self.figures = name, address, prompts, {}, {}

    async def complete(self, prompt, tokens, **more):
        request = {"model": serve.MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        answer = await client.stream(self.address, "/v1/completions", {**request, **more})
        if answer.tokens != tokens:
            raise SystemExit(f"{self.name} was asked for {tokens} tokens and gave {answer.tokens}")
        return answer

    def keep(self, scenario, answers):
        self.answers[scenario] = [answer.text for answer in answers]

    async def prefill(self):
        rates = []
        for _ in range(PREFILLS):
            answer = await self.complete(self.prompts.take("prefill", PREFILL_TOKENS), 1)
            rates.append(PREFILL_TOKENS / answer.seconds)
        self.figures["prefill_tok_per_s"] = statistics.median(rates)

    async def decode(self, scenario="decode", **more):
        answers = [await self.complete(self.prompts.take("decode", 32), DECODED_TOKENS, **more) for _ in range(DECODES)]
        rates = [(DECODED_TOKENS - 1) / (answer.last - answer.first) for answer in answers]
        self.figures[f"{scenario}_tok_per_s"] = statistics.median(rates)
        self.keep(scenario, answers)

    async def together(self, scenario, prompts):
        begun = time.perf_counter()
        answers = await asyncio.gather(*[self.complete(prompt, STREAM_OUT) for prompt in prompts])
        seconds = time.perf_counter() - begun
        self.keep(scenario, answers)
        self.figures[f"{scenario}_tok_per_s"] = STREAM_OUT * len(prompts) / seconds
        return seconds, answers

    async def streams(self):
        seconds, answers = await self.together("streams", [self.prompts.take("streams", STREAM_IN) for _ in range(STREAMS)])
        self.figures["streams_in_and_out_tok_per_s"] = STREAMS * (STREAM_IN + STREAM_OUT) / seconds
        self.figures["streams_requests_per_s"] = STREAMS / seconds
        gaps_ms = [1000 * (answer.last - answer.first) / (STREAM_OUT - 1) for answer in answers]
        self.figures["streams_token_gap_ms"] = statistics.median(gaps_ms)

    async def shared(self):
        common = self.prompts.take("shared", COMMON_TOKENS)
        await self.together("shared", [common + self.prompts.take("shared", STREAM_IN) for _ in range(STREAMS)])

    async def trace(self):
        """Conversations side by side, each of several turns, each turn with all that was said before."""
        paragraphs = random.Random(4).sample(self.prompts.paragraphs, USERS * TURNS)

        async def user(number):
            said, answers = [], []
            for turn in range(TURNS):
                question = f"In a sentence or two, what does this mean? {paragraphs[number * TURNS + turn]}"
                said.append({"role": "user", "content": question})
                request = {"model": serve.MODEL, "messages": said, "max_tokens": TURN_OUT, "temperature": 0, "ignore_eos": True}
                answer = await client.stream(self.address, "/v1/chat/completions", request)
                said.append({"role": "assistant", "content": answer.text})
                answers.append(answer)
            return answers

        begun = time.perf_counter()
        talks = await asyncio.gather(*map(user, range(USERS)))
        self.figures["trace_s"] = time.perf_counter() - begun
        answers = [answer for talk in talks for answer in talk]
        self.keep("trace", answers)
        asked = sum(answer.usage["prompt_tokens"] for answer in answers)
        reused = sum((answer.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for answer in answers)
        self.figures |= {"trace_prompt_tokens": asked, "trace_reused_share": reused / asked}

    async def arrivals(self, requests_per_s):
        dice, begun = random.Random(1), time.perf_counter()

        async def one(after, prompt):
            await asyncio.sleep(begun + after - time.perf_counter())
            return await self.complete(prompt, STREAM_OUT)

        moments, now = [], 0.0
        for _ in range(ARRIVALS):
            now += dice.expovariate(requests_per_s)
            moments.append(now)
        answers = await asyncio.gather(*[one(after, self.prompts.take("arrivals", STREAM_IN)) for after in moments])
        first_ms = sorted(1000 * answer.first_s for answer in answers)
        self.figures["first_token_p50_ms"] = statistics.median(first_ms)
        self.figures["first_token_p95_ms"] = first_ms[int(0.95 * (len(first_ms) - 1) + 0.5)]


class Memory:
    """A server's resident memory at its highest, from now on."""

    def __init__(self, pid):
        self.pid, self.begun, self.done = pid, serve.memory_mb(pid), threading.Event()
        self.highest, self.watch = self.begun, threading.Thread(target=self.look)

    def look(self):
        while not self.done.wait(LOOK_S):
            self.highest = max(self.highest, serve.memory_mb(self.pid))

    def __enter__(self):
        self.watch.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watch.join()


async def speed(server, scenarios, wanted):
    await scenarios.complete(scenarios.prompts.take("warm", 64), 8)  # whatever is made at the first request
    if "prefill" in wanted:
        await scenarios.prefill()
    if "decode" in wanted:
        # The others guess ahead only where they are started so.
        plain = {"speculation": False} if scenarios.name == "lakemill" else {}
        await scenarios.decode(**plain)
    if "streams" in wanted:
        with Memory(server.pid) as memory:
            await scenarios.streams()
        scenarios.figures["stream_memory_mb"] = (memory.highest - memory.begun) / STREAMS
    if "shared" in wanted:
        await scenarios.shared()
    if "trace" in wanted:
        await scenarios.trace()
    scenarios.figures["memory_mb"] = serve.memory_mb(server.pid)


SPEED = ["prefill", "decode", "streams", "shared", "trace", "speculation"]


def main(name, folder, threads, binary, wanted="speed", requests_per_s="1"):
    folder = Path(folder)
    wanted = SPEED if wanted == "speed" else wanted.split(",")
    figures, answers, prompts = {}, {}, Prompts(folder)
    if set(wanted) - {"arrivals", "speculation"}:
        with serve.running(name, folder, threads, binary) as (server, address):
            scenarios = Scenarios(name, address, prompts)
            asyncio.run(speed(server, scenarios, wanted))
            figures, answers = scenarios.figures, scenarios.answers
    if "speculation" in wanted and name != "xllamacpp":
        with serve.running(name, folder, threads, binary, speculation=True) as (server, address):
            scenarios = Scenarios(name, address, Prompts(folder))
            asyncio.run(scenarios.decode("speculation"))
            figures |= scenarios.figures
            answers |= scenarios.answers
    if "arrivals" in wanted:
        with serve.running(name, folder, threads, binary) as (server, address):
            scenarios = Scenarios(name, address, Prompts(folder))
            asyncio.run(scenarios.arrivals(float(requests_per_s)))
            figures |= scenarios.figures
    if answers:
        (folder / "answers").mkdir(exist_ok=True)
        (folder / "answers" / f"{name}.json").write_text(json.dumps(answers))
    print(json.dumps({"version": serve.version(name, folder, binary), "figures": figures}))


main(*sys.argv[1:])
