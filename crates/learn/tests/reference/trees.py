"""Computes what XGBoost makes of small tables, afresh; `tests/it/trees.rs` compares our forests with it.

    python crates/learn/tests/reference/trees.py > crates/learn/tests/reference/trees.json

Every table has few distinct values, so that both cut the same bins. The values are rounded so that floats and doubles
agree on them. Needs: numpy, xgboost.
"""

import json
import sys

import numpy as np
import xgboost


def table(seed, rows, missing):
    random = np.random.default_rng(seed)
    values = random.integers(0, 24, size=(rows, 4)).astype(float) / 4.0
    noise = random.normal(size=rows)
    score = np.sin(values[:, 0]) + 0.5 * values[:, 1] - 0.2 * values[:, 2] * values[:, 0] + 0.3 * noise
    values[random.random(values.shape) < missing] = np.nan
    return values, score


def case(name, seed, rows, missing, objective, settings, rounds):
    values, score = table(seed, rows, missing)
    base = {"max_depth": 3, "eta": 0.3, "lambda": 1.0, "tree_method": "hist", "max_bin": 256, "nthread": 1, "seed": 0}
    if objective == "squared_error":
        target = np.round(score, 3)
        base |= {"objective": "reg:squarederror", "base_score": float(target.mean())}
    elif objective == "binary_logistic":
        target = (score > np.median(score)).astype(float)
        base |= {"objective": "binary:logistic", "base_score": float(target.mean())}
    weights = np.round(np.random.default_rng(seed + 1).uniform(0.5, 2.0, rows), 2) if "weights" in settings else None
    base |= {key: value for key, value in settings.items() if key != "weights"}
    if weights is not None:
        base["base_score"] = float(np.average(target, weights=weights))
    matrix = xgboost.DMatrix(values, target, weight=weights)
    model = xgboost.train(base, matrix, rounds)
    number = lambda value: None if np.isnan(value) else float(value)
    importance = {kind: model.get_score(importance_type=kind) for kind in ["weight", "gain", "cover"]}
    return {
        "name": name, "objective": objective, "settings": base, "rounds": rounds,
        "columns": [[number(value) for value in column] for column in values.T],
        "target": target.tolist(), "weights": None if weights is None else weights.tolist(),
        "prediction": [float(value) for value in model.predict(matrix)],
        "importance": [[importance[kind].get(f"f{i}", 0.0) for kind in ["weight", "gain", "cover"]] for i in range(4)],
    }


def main():
    cases = [
        case("regression", 1, 120, 0.0, "squared_error", {}, 10),
        case("regression with missing values", 2, 150, 0.2, "squared_error", {}, 10),
        case("regression with l1, gamma and child weight", 3, 150, 0.1, "squared_error",
             {"alpha": 0.5, "gamma": 0.2, "min_child_weight": 6, "lambda": 2.5}, 8),
        case("classes", 4, 150, 0.1, "binary_logistic", {"max_depth": 4}, 10),
        case("weighted classes", 5, 150, 0.1, "binary_logistic", {"weights": True}, 10),
    ]
    json.dump({"xgboost": xgboost.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
