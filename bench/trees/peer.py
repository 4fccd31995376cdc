"""Fits and predicts the flights with LightGBM and XGBoost; prints one JSON line per peer and repetition.

    python bench/trees/peer.py FOLDER/flights.arrow [--threads 2] [--trees 200] [--leaves 63] [--repeat 3] [--rate 0.1]
                               [--peer lightgbm|xgboost]

`bench/trees/prepare.py` writes the file; `crates/learn/examples/bench_trees.rs` prints the same lines for Lakemill.
A caller that compares them alternates the contestants and takes medians. Fit seconds include binning. Predict rows
per second are measured from a matrix in memory, by the fastest way that each peer offers (the best of three calls).
`fit_cpu_s` and `predict_cpu_us_per_row` are processor times of all threads, which other load on the machine does not
distort as it does wall time. Needs: numpy, pyarrow, scikit-learn, lightgbm, xgboost.
"""

import argparse
import json
import resource
import time

import lightgbm
import numpy as np
import pyarrow as pa
import xgboost
from sklearn.metrics import log_loss, roc_auc_score


# Predictions are timed so often, and the best time counts.
CALLS = 3


def read(path):
    table = pa.ipc.open_file(path).read_all()
    names = [name for name in table.column_names if name not in ("label", "train")]
    values = np.ascontiguousarray(np.column_stack([table[name].to_numpy() for name in names]))
    train = table["train"].to_numpy(zero_copy_only=False).astype(bool)
    label = table["label"].to_numpy()
    return values[train], label[train], values[~train], label[~train]


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work):
    cpu_start, start = cpu(), time.perf_counter()
    result = work()
    return result, time.perf_counter() - start, cpu() - cpu_start


def fit_lightgbm(args, values, label):
    settings = {
        "objective": "binary", "num_leaves": args.leaves, "learning_rate": args.rate, "num_threads": args.threads,
        "lambda_l2": 1.0, "min_sum_hessian_in_leaf": 1.0, "min_data_in_leaf": 1, "max_bin": 255, "verbose": -1,
    }
    return lightgbm.train(settings, lightgbm.Dataset(values, label), args.trees)


def fit_xgboost(args, values, label):
    settings = {
        "objective": "binary:logistic", "tree_method": "hist", "grow_policy": "lossguide", "max_leaves": args.leaves,
        "max_depth": 0, "eta": args.rate, "nthread": args.threads, "max_bin": 256,
    }
    matrix = xgboost.QuantileDMatrix(values, label, nthread=args.threads)
    return xgboost.train(settings, matrix, args.trees)


def run(name, args, data):
    values, label, test_values, test_label = data
    if name == "lightgbm":
        version, (model, fit_s, fit_cpu_s) = lightgbm.__version__, timed(lambda: fit_lightgbm(args, values, label))
        ways = [lambda: model.predict(test_values, num_threads=args.threads)]
    else:
        version, (model, fit_s, fit_cpu_s) = xgboost.__version__, timed(lambda: fit_xgboost(args, values, label))
        single = test_values.astype(np.float32)
        # XGBoost remembers what it predicted for a DMatrix, so each is used once.
        matrices = [xgboost.DMatrix(single, nthread=args.threads) for _ in range(CALLS)]
        ways = [lambda: model.inplace_predict(single), lambda: model.predict(matrices.pop())]
    runs = [timed(way) for way in ways for _ in range(CALLS)]
    probability, predict_s, _ = min(runs, key=lambda run: run[1])
    print(json.dumps({
        "contestant": name, "version": version, "threads": args.threads, "trees": args.trees, "leaves": args.leaves,
        "learning_rate": args.rate, "train_rows": len(label), "test_rows": len(test_label),
        "features": values.shape[1], "fit_s": round(fit_s, 4), "fit_cpu_s": round(fit_cpu_s, 4),
        "predict_rows_per_s": round(len(test_label) / predict_s),
        "predict_cpu_us_per_row": round(min(run[2] for run in runs) / len(test_label) * 1e6, 4),
        "auc": round(roc_auc_score(test_label, probability), 6),
        "log_loss": round(log_loss(test_label, probability), 6),
    }), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=63)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--peer", choices=["lightgbm", "xgboost"])
    args = parser.parse_args()
    data = read(args.file)
    for _ in range(args.repeat):
        for name in [args.peer] if args.peer else ["lightgbm", "xgboost"]:
            run(name, args, data)


if __name__ == "__main__":
    main()
