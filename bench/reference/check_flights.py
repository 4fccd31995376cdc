"""Checks the linear and logistic models of the flights against scikit-learn, which is trained afresh.

    python check_flights.py LAKEMILL FOLDER

LAKEMILL is the binary, FOLDER an empty folder for its lake. Both sides see the same rows, prepared by Lakemill from
the raw files of examples/flights: January to October for training, November and December for the metrics. The
automatic preprocessing (means for missing numbers, standard scores, one-hot categories) is repeated here by hand, and
the reference is computed from the definitions: the penalty of our `l2_reg` is half the squares of the weights beside
the mean loss, so scikit-learn's alpha is n * l2_reg and its C is 1 / (n * l2_reg). Coefficients and metrics must agree
to four digits.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    explained_variance_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    median_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)

NUMBERS = ["dep_minute", "distance", "temp", "humid", "precip", "visib"]
CATEGORIES = ["carrier", "origin"]
PENALTIES = {"plain": 0.0, "l2": 0.001}
DIGITS = 1e-4

PREPARE = """
CREATE OR REPLACE EXTERNAL TABLE raw_flights STORED AS PARQUET LOCATION 'examples/flights/data/flights/';
CREATE OR REPLACE EXTERNAL TABLE raw_weather STORED AS CSV LOCATION 'examples/flights/data/weather.csv.gz'
  OPTIONS (has_header 'true', null_value 'NA');
CREATE OR REPLACE TABLE sample AS
SELECT CAST(f.month AS INT) >= 11 AS held_out, f.carrier, f.origin,
       CAST(f.sched_dep_time AS BIGINT) / 100 * 60 + CAST(f.sched_dep_time AS BIGINT) % 100 AS dep_minute,
       CAST(f.distance AS BIGINT) AS distance, w.temp, w.humid, w.precip, w.visib,
       CAST(f.arr_delay AS DOUBLE) AS arr_delay, f.arr_delay > 15 AS late
FROM raw_flights f
LEFT JOIN raw_weather w ON w.origin = f.origin AND CAST(w.time_hour AS TIMESTAMP) = CAST(f.time_hour AS TIMESTAMP)
WHERE f.arr_delay IS NOT NULL;
"""

TRAIN = """
CREATE OR REPLACE MODEL {name} OPTIONS (model_type = '{kind}', input_label_cols = ['{label}'], l2_reg = {l2},
  data_split_method = 'CUSTOM', data_split_col = 'held_out', max_iterations = 200, early_stop = FALSE)
AS SELECT held_out, carrier, origin, dep_minute, distance, temp, humid, precip, visib, {label} FROM sample;
"""


class Lakemill:
    def __init__(self, binary, folder):
        self.command = [binary, "--lake", f"{folder}/lake", "sql", "--quiet"]

    def run(self, sql, *arguments):
        done = subprocess.run([*self.command, *arguments, "-c", sql], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"lakemill failed on:\n{sql}\n{done.stdout}{done.stderr}")
        return done.stdout

    def rows(self, sql):
        text = self.run(sql, "--format", "json").strip()
        return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def design(rows, train):
    """The encoded columns by name, with statistics of the training rows alone."""
    columns = {}
    for name in NUMBERS:
        values = rows[name].astype(float)
        # Mean and deviation of the values that are there; a missing one becomes the mean, which is 0.
        columns[name] = ((values - values[train].mean()) / values[train].std(ddof=0)).fillna(0.0)
    for name in CATEGORIES:
        for category in sorted(rows[name][train].unique()):
            columns[f"{name}={category}"] = (rows[name] == category).astype(float)
    return pd.DataFrame(columns)


def reference(kind, l2, matrix, target):
    count = len(target)
    if kind == "LINEAR_REG":
        model = Ridge(alpha=count * l2, tol=1e-12) if l2 else LinearRegression()
    else:
        penalty = {"C": 1 / (count * l2)} if l2 else {"C": np.inf}
        model = LogisticRegression(**penalty, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    if l2:
        model.fit(matrix, target)
        return model, dict(zip(matrix.columns, np.ravel(model.coef_))), float(np.ravel(model.intercept_)[0])
    # Without a penalty a complete block of categories and the intercept share a direction: the first category is
    # left out to fit, and the block is then moved to the sum of zero that Lakemill chooses.
    dropped = [f"{name}={min(c.split('=')[1] for c in matrix if c.startswith(name + '='))}" for name in CATEGORIES]
    model.fit(matrix.drop(columns=dropped), target)
    weights = dict(zip(matrix.columns.drop(dropped), np.ravel(model.coef_))) | dict.fromkeys(dropped, 0.0)
    intercept = float(np.ravel(model.intercept_)[0])
    for name in CATEGORIES:
        block = [column for column in weights if column.startswith(name + "=")]
        mean = sum(weights[column] for column in block) / len(block)
        intercept += mean
        weights.update({column: weights[column] - mean for column in block})
    return model, weights, intercept


def metrics(kind, score, actual):
    if kind == "LINEAR_REG":
        return {
            "mean_absolute_error": mean_absolute_error(actual, score),
            "mean_squared_error": mean_squared_error(actual, score),
            "median_absolute_error": median_absolute_error(actual, score),
            "r2_score": r2_score(actual, score),
            "explained_variance": explained_variance_score(actual, score),
        }
    probability = 1 / (1 + np.exp(-score))
    called = probability > 0.5
    return {
        "precision": precision_score(actual, called, zero_division=0),
        "recall": recall_score(actual, called),
        "accuracy": accuracy_score(actual, called),
        "f1_score": f1_score(actual, called),
        "log_loss": log_loss(actual, probability),
        "roc_auc": roc_auc_score(actual, probability),
    }


def our_weights(lakemill, name):
    weights = {}
    for row in lakemill.rows(f"SELECT * FROM ML.WEIGHTS(MODEL {name}, STRUCT(TRUE AS standardize))"):
        if row.get("category_weights"):
            for entry in row["category_weights"]:
                weights[f"{row['processed_input']}={entry['category']}"] = entry["weight"]
        else:
            weights[row["processed_input"]] = row["weight"]
    return weights


def compare(what, ours, theirs, floor):
    """Differences beyond four digits, where figures far below `floor` count as zero."""
    wrong = []
    for name, expected in theirs.items():
        got = ours.get(name)
        if got is None or not abs(got - expected) <= DIGITS * max(abs(expected), floor):
            wrong.append(f"{what} {name}: {got}, scikit-learn has {expected}")
    return wrong


def main(binary, folder):
    lakemill = Lakemill(binary, folder)
    lakemill.run(PREPARE)
    sample = Path(folder) / "sample.parquet"
    lakemill.run("SELECT * FROM sample", "--format", "parquet", "--output", str(sample))
    rows = pd.read_parquet(sample)
    train = ~rows["held_out"].astype(bool)
    matrix = design(rows, train)
    wrong, figures = [], 0
    for kind, label in (("LINEAR_REG", "arr_delay"), ("LOGISTIC_REG", "late")):
        target = rows[label].astype(float if kind == "LINEAR_REG" else int)
        for penalty, l2 in PENALTIES.items():
            name = f"{kind.lower()}_{penalty}"
            lakemill.run(TRAIN.format(name=name, kind=kind, label=label, l2=l2))
            _, weights, intercept = reference(kind, l2, matrix[train], target[train])
            weights["__INTERCEPT__"] = intercept
            score = sum(matrix[~train][column] * weights[column] for column in matrix) + intercept
            theirs = metrics(kind, score.to_numpy(), target[~train].to_numpy())
            ours, [evaluated] = our_weights(lakemill, name), lakemill.rows(f"SELECT * FROM ML.EVALUATE(MODEL {name})")
            wrong += compare(f"{name}: weight of", ours, weights, 0.01 * max(map(abs, weights.values())))
            wrong += compare(f"{name}: ", evaluated, theirs, 0.01)
            figures += len(weights) + len(theirs)
            print(f"{name}: {len(weights)} weights, " + ", ".join(f"{key} {value:.5f}" for key, value in theirs.items()))
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"{figures} weights and metrics of 4 models are equal to scikit-learn's to 4 digits")


main(*sys.argv[1:])
