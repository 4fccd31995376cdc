"""Writes two small SentencePiece tokenizers as GGUF files, and the ids that SentencePiece itself gives.

    python language_sentencepiece.py LINES OUT

LINES is what language_lines.py wrote, OUT crates/model/tests/reference. One tokenizer is BPE with a fallback to bytes, as
Llama 2's and Mistral's are, the other has unigrams, as T5's has. sentencepiece.json has the SHA-256 of the ids of every 100 lines
(of each line its count of ids first), beside the versions that made them. They are trained on the lines of mostly Latin letters. Lines with characters that SentencePiece
takes for its own (U+2581 and control characters) are left out. `tied` are the lines that can be split in two ways of
equal probability (`www` as `w`, `ww` or as `ww`, `w`): those where Hugging Face's library finds the same pieces in another order.
"""

import hashlib
import io
import json
import struct
import sys
from importlib.metadata import version
from pathlib import Path

import sentencepiece
from gguf import GGUFWriter
from tokenizers import Tokenizer, models

KINDS = {"bpe": "llama", "unigram": "t5"}
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def train(kind, lines):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type=kind, vocab_size=1200, byte_fallback=True,
        character_coverage=0.999, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        num_threads=1, minloglevel=2, allow_whitespace_only_pieces=True,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())


def write(path, family, pieces):
    writer = GGUFWriter(path, "llama")
    count = pieces.get_piece_size()
    writer.add_tokenizer_model(family)
    writer.add_token_list([pieces.id_to_piece(id) for id in range(count)])
    writer.add_token_scores([float(pieces.get_score(id)) for id in range(count)])
    writer.add_token_types([
        UNKNOWN if pieces.is_unknown(id) else CONTROL if pieces.is_control(id) else BYTE if pieces.is_byte(id) else NORMAL
        for id in range(count)
    ])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def is_tied(pieces, line, ids, cache={}):
    if "other" not in cache:
        count = pieces.get_piece_size()
        special = [pieces.is_control(id) or pieces.is_byte(id) or pieces.is_unknown(id) for id in range(count)]
        scores = [(pieces.id_to_piece(id), -1e5 if special[id] else pieces.get_score(id)) for id in range(count)]
        cache["other"] = Tokenizer(models.Unigram(scores, unk_id=pieces.unk_id(), byte_fallback=True))
    other = cache["other"].encode("▁" + line.replace(" ", "▁")).ids
    return other != ids and sorted(other) == sorted(ids)


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = source.read_bytes().decode("utf-8").split("\n")[:-1]
    lines = [line for line in lines if "▁" not in line and not any(ord(letter) < 32 for letter in line)]
    record = {"versions": {name: version(name) for name in ("sentencepiece", "gguf", "tokenizers")}, "lines": len(lines)}
    for kind, family in KINDS.items():
        pieces = train(kind, [line for line in lines if sum(map(ord, line)) < 300 * len(line)])
        write(out / f"sentencepiece-{kind}.gguf", family, pieces)
        digests, texts = [], hashlib.sha256()
        encoded = [pieces.encode(line) for line in lines]
        tied = [number for number, line in enumerate(lines) if kind == "unigram" and is_tied(pieces, line, encoded[number])]
        encoded = [ids for number, ids in enumerate(encoded) if number not in tied]
        for first in range(0, len(encoded), 100):
            digest = hashlib.sha256()
            for ids in encoded[first : first + 100]:
                digest.update(struct.pack(f"<{len(ids) + 1}I", len(ids), *ids))
            digests.append(digest.hexdigest())
        for ids in encoded:
            texts.update((pieces.decode(ids) + "\n").encode())
        record[kind] = {"tied": tied, "ids": digests, "decoded": texts.hexdigest()}
    (out / "sentencepiece.json").write_text(json.dumps(record, indent=1) + "\n")
    print(record["lines"], sum(map(len, encoded)))


main()
