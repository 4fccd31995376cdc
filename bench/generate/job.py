"""Short answers to a thousand rows of a template: python job.py CONTENDER FOLDER THREADS LAKEMILL.

The template has a long instruction, the same for all rows, and a sentence, another in each. 'lakemill' answers with
ML.GENERATE_TEXT in one statement, from the start of its process until the table of answers is committed; the others are
servers, already running, that 16 clients ask one row after another as whoever has no such statement does. All give the
model the same conversation of one message at temperature 0. It prints one line of JSON and leaves the answers in
FOLDER/generated; `python job.py compare FOLDER THREADS LAKEMILL NAME...` says how many are equal
and, where an answer differs from one of the same file, how close the first choice was that did.
"""

import asyncio
import csv
import io
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "llm"))

import client  # noqa: E402 (it lies in another folder)
import serve  # noqa: E402

ROWS, CLIENTS, ANSWER_TOKENS = 1000, 16, 16
# Peers that read the very file that Lakemill reads.
SAME_FILE = {"llama.cpp", "xllamacpp"}
# About 300 tokens.
INSTRUCTION = """You sort sentences of the reference of a programming language for its editors. Read the sentence at the \
end and name its kind with one of these words.

definition: the sentence says what a word or a notation means, or gives the name of a thing that the reference uses \
later. Sentences of grammar belong here too.
rule: the sentence says what a program must do, may do or must not do, or when something is an error. Words such as \
must, should, may not and it is an error are signs of it.
behaviour: the sentence says what happens when a piece of a program runs: what is evaluated first, what is called, what \
is returned, which exception is raised, which value a name has afterwards.
example: the sentence shows a piece of a program, announces one, or says what the piece that was shown prints.
history: the sentence says in which version something was added, changed or removed, or why it is as it is.
advice: the sentence recommends a way of doing something, warns of a common mistake, or points to another place where \
the reader learns more.

Where two words fit, take the one that stands first in this list. Do not explain the choice, do not repeat the sentence, \
do not add a full stop and do not write anything after the word. Answer in lower case, with one word of the list and \
nothing else, and do so for every sentence, however short or unusual it is.

Sentence: """
# The margin, in nats, up to which llama.cpp's own rounding turned the order of two tokens round in 4,096 positions beside
# floats: a choice closer than that is no one's mistake.
NOISE = 0.48
# The token that ends an answer.
END = "<|im_end|>"
STATEMENT = f"""CREATE TABLE answers AS SELECT id, ml_generate_text_llm_result AS answer FROM ML.GENERATE_TEXT(
    MODEL writer, TABLE prompts, STRUCT(0.0 AS temperature, {ANSWER_TOKENS} AS max_output_tokens, TRUE AS flatten_json_output))"""


def rows(folder):
    """The rows' prompts, each another."""
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
    sentences = sorted({part for part in re.split(r"(?<=[.:]) (?=[A-Z])", text) if 30 < len(part) < 200})
    return [INSTRUCTION + sentence for sentence in random.Random(7).sample(sentences, ROWS)]


def lakemill(folder, threads, binary):
    lake = folder / "generate-lake"
    shutil.rmtree(lake, ignore_errors=True)
    file = folder / "rows.json"
    file.write_text("".join(json.dumps({"id": at, "prompt": prompt}) + "\n" for at, prompt in enumerate(rows(folder))))
    command = [binary, "--lake", str(lake), "--threads", threads, "sql", "-q"]

    def sql(*statement):
        done = subprocess.run([*command, *statement], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return done.stdout

    model = f"CREATE MODEL writer OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = '{serve.gguf(folder)}')"
    sql("-c", f"{model}; CREATE TABLE prompts AS SELECT * FROM '{file}'")
    begun = time.perf_counter()
    sql("-c", STATEMENT)
    seconds = time.perf_counter() - begun
    said = sql("--format", "csv", "-c", "SELECT id, answer FROM answers ORDER BY id")
    return seconds, [answer for _, answer in list(csv.reader(io.StringIO(said)))[1:]]


async def ask_all(address, prompts, **more):
    """Sixteen clients, each with one request at a time; gives the first choice of each answer."""
    queue, answers = iter(enumerate(prompts)), [None] * len(prompts)

    async def one():
        for at, prompt in queue:
            messages = [{"role": "user", "content": prompt}]
            request = {"model": serve.MODEL, "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0, **more}
            status, _, body = await client.whole(address, "POST", "/v1/chat/completions", request)
            if status != 200:
                raise SystemExit(f"row {at}: {status} {body[:500]}")
            answers[at] = json.loads(body)["choices"][0]

    await asyncio.gather(*[one() for _ in range(CLIENTS)])
    return answers


def peer(name, folder, threads, binary):
    prompts = rows(folder)
    with serve.running(name, folder, threads, binary) as (_, address):
        begun = time.perf_counter()
        choices = asyncio.run(ask_all(address, prompts))
        return time.perf_counter() - begun, [choice["message"]["content"] for choice in choices]


def margin(choice, other):
    """How much likelier, in nats, our token was than the other answer's where the two part; None if they do not.

    The other's token is the longest of the twenty likeliest that its text goes on with, or the end.
    """
    left = other.strip()
    for index, token in enumerate(choice["logprobs"]["content"]):
        fits = lambda top: left.startswith(top["token"].strip() if index == 0 else top["token"])  # noqa: E731
        ends = [top for top in token["top_logprobs"] if top["token"] == END]
        theirs = [top for top in token["top_logprobs"] if top["token"] and fits(top)] if left else ends
        # One that is not among the likeliest is at least as far as the last of them.
        theirs = max(theirs, key=lambda top: len(top["token"]), default=token["top_logprobs"][-1])
        if theirs["token"] != token["token"]:
            return token["logprob"] - theirs["logprob"]
        left = left.removeprefix(token["token"].strip() if index == 0 else token["token"])
    return None


def margins(folder, threads, binary, ours, theirs):
    """Where answers of the same file part, and how close the choice was."""
    part = [at for at, (left, right) in enumerate(zip(ours, theirs)) if left.strip() != right.strip()]
    prompts = rows(folder)
    with serve.running("lakemill", folder, threads, binary) as (_, address):
        asked = [prompts[at] for at in part]
        choices = asyncio.run(ask_all(address, asked, logprobs=True, top_logprobs=20))
    for at, choice in zip(part, choices):
        if choice["message"]["content"].strip() != ours[at].strip():
            raise SystemExit(f"row {at}: the server's answer is not that of ML.GENERATE_TEXT")
    found = [margin(choice, theirs[at]) for at, choice in zip(part, choices)]
    found = sorted(one for one in found if one is not None)
    wide = sum(one > NOISE for one in found)
    middle, widest = found[len(found) // 2], found[-1]
    print(f"    {len(part)} part at a choice between two tokens {middle:.2f} nats apart in the middle, {widest:.2f} at most;")
    print(f"    {wide} at one wider than {NOISE}, below which rounding decides; {len(part) - len(found)} in their end alone")


def compare(folder, threads, binary, *names):
    files = {name: Path(folder) / "generated" / f"{name}.json" for name in names}
    kept = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    print("\nanswers (temperature 0): share of the rows that are equal")
    for left, right in itertools.combinations(kept, 2):
        # A server may leave the space before an answer's first word, or take it away.
        same = sum(a.strip() == b.strip() for a, b in zip(kept[left], kept[right])) / ROWS
        print(f"  {left} and {right}: {same:.3f}")
        if left == "lakemill" and right in SAME_FILE and same < 1:
            margins(Path(folder), threads, binary, kept[left], kept[right])


def main(name, folder, *given):
    if name == "compare":
        return compare(folder, *given)
    folder, (threads, binary) = Path(folder), given
    seconds, answers = lakemill(folder, threads, binary) if name == "lakemill" else peer(name, folder, threads, binary)
    if len(answers) != ROWS:
        raise SystemExit(f"{name} answered {len(answers)} of {ROWS} rows")
    (folder / "generated").mkdir(exist_ok=True)
    (folder / "generated" / f"{name}.json").write_text(json.dumps(answers))
    figures = {"rows_per_s": ROWS / seconds, "seconds": seconds}
    print(json.dumps({"version": serve.version(name, folder, binary), "figures": figures}))


main(*sys.argv[1:])
