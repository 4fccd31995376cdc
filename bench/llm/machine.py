"""What this machine can do at most: python machine.py THREADS; prints one line of JSON.

`read_gb_per_s`: summing arrays far larger than the caches, one in each thread. `f32_gflop_per_s`: NumPy's matrix product.
`int8_gop_per_s`: ONNX Runtime's product of 8-bit integers, which uses the processor's dot products (VNNI) where it has
them. The best of several tries: a limit is what was reached once.
"""

import json
import os
import sys
import threading
import time

THREADS = int(sys.argv[1])
os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402 (the number of threads is read at import)

# Far beyond any cache that this process has for itself.
ARRAY_BYTES, TRIES, SIDE = 1 << 28, 7, 2048


def best(work):
    taken = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def reading():
    arrays = [np.ones(ARRAY_BYTES // 8, dtype=np.uint64) for _ in range(THREADS)]

    def all_threads():
        threads = [threading.Thread(target=np.bitwise_or.reduce, args=(array,)) for array in arrays]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    return THREADS * ARRAY_BYTES / best(all_threads) / 1e9


def f32():
    left, right = np.random.default_rng(1).random((2, SIDE, SIDE), dtype=np.float32)
    return 2 * SIDE**3 / best(lambda: left @ right) / 1e9


def int8():
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    dice = np.random.default_rng(2)
    # Seven bits: products of pairs then fit where a processor adds them up in 16 bits.
    weights = numpy_helper.from_array(dice.integers(-63, 64, (SIDE, SIDE), dtype=np.int8), "w")
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    given = helper.make_tensor_value_info("x", TensorProto.UINT8, [SIDE, SIDE])
    made = helper.make_tensor_value_info("y", TensorProto.INT32, [SIDE, SIDE])
    graph = helper.make_graph([node], "product", [given], [made], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = dice.integers(0, 128, (SIDE, SIDE), dtype=np.uint8)
    return 2 * SIDE**3 / best(lambda: session.run(None, {"x": rows})) / 1e9


figures = {"read_gb_per_s": reading(), "f32_gflop_per_s": f32(), "int8_gop_per_s": int8()}
print(json.dumps({"version": "", "figures": figures}))
