"""Reference values for the estimators, transforms and metrics, computed afresh by scikit-learn.

usage: python learn_reference.py [OUTPUT.json]      (default: learn_reference.json beside this file)

The inputs come from a small linear congruential generator, so that they are the same everywhere. The Rust tests read
the inputs and the expected numbers from the JSON file and compare to four digits and more.
"""

import json
import math
import platform
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn import linear_model, metrics, preprocessing
from sklearn.impute import SimpleImputer

ROWS = 160


def uniforms(seed):
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 11) / 2**53


def inputs():
    u = uniforms(42)
    normal = lambda: math.sqrt(-2 * math.log(1 - next(u))) * math.cos(2 * math.pi * next(u))
    rows = []
    for _ in range(ROWS):
        x1, x2, x3 = round(normal(), 4), round(2 * normal() + 1, 4), round(100 * normal() + 500, 2)
        cat = "abcd"[int(4 * next(u))]
        effect = {"a": -0.8, "b": 0.1, "c": 0.9, "d": 0.3}[cat]
        y = round(1.5 * x1 - 0.7 * x2 + 0.01 * x3 + effect + 0.3 * normal() + 3, 4)
        b = int(next(u) < 1 / (1 + math.exp(-(0.9 * x1 - 0.4 * x2 + 0.004 * (x3 - 500) + effect))))
        scores = [0.8 * x1, 0.5 * x2 - 0.3, -0.4 * x1 + 0.005 * (x3 - 500)]
        gumbels = [s - math.log(-math.log(next(u))) for s in scores]
        m = ["blue", "green", "red"][int(np.argmax(gumbels))]
        w = round(0.25 + 2 * next(u), 3)
        rows.append((x1, x2, x3, cat, y, b, m, w))
    names = ["x1", "x2", "x3", "cat", "y", "b", "m", "w"]
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def weights(model):
    coef = np.atleast_2d(model.coef_)
    intercept = np.atleast_1d(model.intercept_)
    return {"coef": coef.tolist(), "intercept": intercept.tolist()}


def linear(data):
    X = np.array([data["x1"], data["x2"], data["x3"]]).T
    y, w = np.array(data["y"]), np.array(data["w"])
    n = len(y)
    one_hot = preprocessing.OneHotEncoder(sparse_output=False).fit_transform(np.array(data["cat"])[:, None])
    full = np.hstack([X, one_hot])
    out = {
        "plain": weights(linear_model.LinearRegression().fit(X, y)),
        "weighted": weights(linear_model.LinearRegression().fit(X, y, sample_weight=w)),
        "ridge_0.1": weights(linear_model.Ridge(alpha=0.1 * n, solver="svd").fit(X, y)),
        "lasso_0.05": weights(linear_model.Lasso(alpha=0.05, tol=1e-14, max_iter=1_000_000).fit(X, y)),
        "elastic_0.05_0.1": weights(
            linear_model.ElasticNet(alpha=0.15, l1_ratio=1 / 3, tol=1e-14, max_iter=1_000_000).fit(X, y)
        ),
        "no_intercept": weights(linear_model.LinearRegression(fit_intercept=False).fit(X, y)),
        "one_hot": weights(linear_model.LinearRegression().fit(full, y)),
        "one_hot_ridge_0.1": weights(linear_model.Ridge(alpha=0.1 * n, solver="svd").fit(full, y)),
    }
    predicted = linear_model.LinearRegression().fit(full, y).predict(full)
    shift = 20.0  # mean_squared_log_error is for numbers of at least 0
    out["metrics"] = {
        "mean_absolute_error": metrics.mean_absolute_error(y, predicted),
        "mean_squared_error": metrics.mean_squared_error(y, predicted),
        "mean_squared_log_error": metrics.mean_squared_log_error(y + shift, predicted + shift),
        "median_absolute_error": metrics.median_absolute_error(y, predicted),
        "r2_score": metrics.r2_score(y, predicted),
        "explained_variance": metrics.explained_variance_score(y, predicted),
    }
    out["metrics_shift"] = shift
    return out


def logistic(data):
    X = np.array([data["x1"], data["x2"], data["x3"]]).T
    scaled = preprocessing.StandardScaler().fit_transform(X)
    b, m, w = np.array(data["b"]), np.array(data["m"]), np.array(data["w"])
    n = len(b)
    fit = lambda X, y, sample_weight=None, **settings: linear_model.LogisticRegression(
        tol=1e-12, max_iter=1_000_000, **{"C": np.inf, **settings}
    ).fit(X, y, sample_weight=sample_weight)
    # On standardised columns; weights and intercept are then those of the standardised columns.
    out = {
        "plain": weights(fit(scaled, b, solver="newton-cholesky")),
        "weighted": weights(fit(scaled, b, sample_weight=w, solver="newton-cholesky")),
        "balanced": weights(fit(scaled, b, class_weight="balanced", solver="newton-cholesky")),
        "l2_0.02": weights(fit(scaled, b, C=1 / (0.02 * n), solver="newton-cholesky")),
        "l1_0.02": weights(fit(scaled, b, C=1 / (0.02 * n), l1_ratio=1.0, solver="saga")),
        "softmax_plain": weights(fit(scaled, m, solver="lbfgs")),
        "softmax_l2_0.02": weights(fit(scaled, m, C=1 / (0.02 * n), solver="newton-cg")),
    }
    model = fit(scaled, b, solver="newton-cholesky")
    p, guess = model.predict_proba(scaled), model.predict(scaled)
    out["binary_metrics"] = {
        "precision": metrics.precision_score(b, guess),
        "recall": metrics.recall_score(b, guess),
        "accuracy": metrics.accuracy_score(b, guess),
        "f1_score": metrics.f1_score(b, guess),
        "log_loss": metrics.log_loss(b, p),
        "roc_auc": metrics.roc_auc_score(b, p[:, 1]),
    }
    out["confusion_at_0.3"] = metrics.confusion_matrix(b, p[:, 1] >= 0.3).tolist()
    false_rate, true_rate, thresholds = metrics.roc_curve(b, p[:, 1], drop_intermediate=False)
    out["roc_curve"] = {"fpr": false_rate[1:].tolist(), "tpr": true_rate[1:].tolist(), "threshold": thresholds[1:].tolist()}
    model = fit(scaled, m, C=1 / (0.02 * n), solver="newton-cg")
    p, guess = model.predict_proba(scaled), model.predict(scaled)
    out["softmax_metrics"] = {
        "precision": metrics.precision_score(m, guess, average="macro"),
        "recall": metrics.recall_score(m, guess, average="macro"),
        "accuracy": metrics.accuracy_score(m, guess),
        "f1_score": metrics.f1_score(m, guess, average="macro"),
        "log_loss": metrics.log_loss(m, p),
        "roc_auc": metrics.roc_auc_score(m, p, multi_class="ovr", average="macro"),
    }
    return out


def transforms():
    x = np.array([3.5, -1.25, np.nan, 8.0, 0.5, 0.5, 12.75, -4.0, np.nan, 2.0])
    column = x[:, None]
    kept = column[~np.isnan(x)]
    flat = lambda scaler: [None if math.isnan(v) else v for v in scaler.fit_transform(column)[:, 0]]
    vectors = [[3.0, -4.0], [0.0, 0.0], [1.0, 1.0], [-2.0, 0.5]]
    ab = np.array([[2.0, 3.0], [-1.5, 0.25]])
    names = np.array(["oak", "ash", "oak", "elm", "ash", "oak", "fir"])[:, None]
    return {
        "x": [None if math.isnan(v) else v for v in x],
        "standard": flat(preprocessing.StandardScaler()),
        "min_max": flat(preprocessing.MinMaxScaler()),
        "max_abs": flat(preprocessing.MaxAbsScaler()),
        "robust": flat(preprocessing.RobustScaler()),
        "robust_10_90": flat(preprocessing.RobustScaler(quantile_range=(10, 90), with_centering=False)),
        "impute_mean": SimpleImputer(strategy="mean").fit_transform(column)[:, 0].tolist(),
        "impute_median": SimpleImputer(strategy="median").fit_transform(column)[:, 0].tolist(),
        "impute_most_frequent": SimpleImputer(strategy="most_frequent").fit_transform(column)[:, 0].tolist(),
        "vectors": vectors,
        "l1": preprocessing.normalize(vectors, norm="l1").tolist(),
        "l2": preprocessing.normalize(vectors, norm="l2").tolist(),
        "max": preprocessing.normalize(vectors, norm="max").tolist(),
        "ab": ab.tolist(),
        "polynomial_3": dict(
            zip(
                preprocessing.PolynomialFeatures(3, include_bias=False).fit(ab).get_feature_names_out(["a", "b"]).tolist(),
                preprocessing.PolynomialFeatures(3, include_bias=False).fit_transform(ab).T.tolist(),
            )
        ),
        "names": names[:, 0].tolist(),
        "one_hot_columns": preprocessing.OneHotEncoder().fit(names).categories_[0].tolist(),
        "one_hot_index": preprocessing.OrdinalEncoder().fit_transform(names)[:, 0].astype(int).tolist(),
        "kept_quantiles": np.quantile(kept, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist(),
    }


def main():
    data = inputs()
    reference = {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "data": data,
        "linear": linear(data),
        "logistic": logistic(data),
        "transforms": transforms(),
    }
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("learn_reference.json")
    output.write_text(json.dumps(reference, indent=None, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"wrote {output} with scikit-learn {sklearn.__version__}")


if __name__ == "__main__":
    main()
