"""Writes tiny models of every family with random weights, as Hugging Face stores them, and the logits of transformers.

    python language_families.py OUT

OUT is crates/model/tests/reference/families. Each folder has config.json, model.safetensors, tokenizer.json and
logits.json: 40 token ids, the float logits [40, vocabulary] that PyTorch computes from the stored weights, and the
versions that made them. What differs among the families is in them: rope scaling, biases of q, k and v, norms of q and
k, heads wider than the width asks for, sliding windows, tied embeddings, and the types of elements.
"""

import base64
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

VOCABULARY, TOKENS = 96, 40
SIZES = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
FAMILIES = {
    "llama2": (LlamaConfig(**SIZES, tie_word_embeddings=False, rms_norm_eps=1e-5), torch.float32),
    "llama3": (LlamaConfig(**SIZES, tie_word_embeddings=False, rope_parameters=LLAMA3), torch.bfloat16),
    "llama-linear": (LlamaConfig(**SIZES, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)), torch.float32),
    "mistral": (MistralConfig(**SIZES, sliding_window=8, tie_word_embeddings=False), torch.float16),
    "qwen2": (Qwen2Config(**SIZES, tie_word_embeddings=True, rope_parameters=YARN), torch.float32),
    "qwen3": (Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True), torch.bfloat16),
}


def tokenizer():
    texts = ["<end>"] + [chr(code) for code in range(33, 33 + VOCABULARY - 2)] + ["Ġ"]
    made = Tokenizer(models.BPE(vocab={text: id for id, text in enumerate(texts)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def main():
    out = Path(sys.argv[1])
    for number, (name, (config, kind)) in enumerate(FAMILIES.items()):
        torch.manual_seed(number)
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() == 1:
                    weights.copy_(torch.randn_like(weights) * 0.3 + 1)
        model = model.to(kind)
        folder = out / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        tokenizer().save(str(folder / "tokenizer.json"), pretty=False)
        ids = torch.randint(0, VOCABULARY, (1, TOKENS))
        # Read again, since the frequencies of the rotation were rounded with the weights.
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            logits = model(ids).logits[0]
        record = {
            "versions": {name: version(name) for name in ("torch", "transformers")},
            "ids": ids[0].tolist(),
            "logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode(),
        }
        (folder / "logits.json").write_text(json.dumps(record) + "\n")
        print(name, logits.abs().mean().item(), sorted(path.name for path in folder.iterdir()))


main()
