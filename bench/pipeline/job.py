"""The whole flights job, timed from an empty folder to the written outputs, as one process each.

    python job.py CONTENDER FOLDER THREADS LAKEMILL

CONTENDER is 'lakemill', which runs examples/flights, or 'polars+lightgbm', which does the same work by hand: the same
raw files, cleaning, four-way join, features, time split, a logistic regression and boosted trees, evaluation of
both, and December scored by the better one, with every table written as Parquet and both models saved. It prints
one line of JSON with the wall time and the quality reached.
"""

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

RAW = Path("examples/flights/data")


def lakemill(folder, threads, binary):
    command = [binary, "--lake", f"{folder}/lake", "--threads", threads]
    seconds = timed([*command, "run", "examples/flights"])
    query = "SELECT model, roc_auc, log_loss FROM evaluation"
    rows = list(csv.DictReader(io.StringIO(said([*command, "sql", "-q", "--format", "csv", "-c", query]))))
    scored = said([*command, "sql", "-q", "--format", "csv", "-c", "SELECT count(*) AS n FROM december_predictions"])
    version = said([binary, "--version"]).split()[1]
    by_model = {row["model"]: row for row in rows}
    trees, linear = by_model["delay_trees"], by_model["delay_linear"]
    return version, {
        "seconds": seconds,
        "auc": float(trees["roc_auc"]),
        "log_loss": float(trees["log_loss"]),
        "logistic_auc": float(linear["roc_auc"]),
        "scored_rows": int(scored.split()[-1]),
    }


def by_hand(folder, threads, _):
    import lightgbm
    import polars

    seconds = timed([sys.executable, __file__, "work", str(folder), threads, ""])
    figures = json.loads((folder / "figures.json").read_text())
    return f"{polars.__version__}+{lightgbm.__version__}", {"seconds": seconds, **figures}


def timed(command):
    start = time.perf_counter()
    said(command)
    return time.perf_counter() - start


def said(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


NUMBERS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib", "plane_age"]
CATEGORIES = ["carrier", "origin", "dest", "manufacturer", "model"]


def journeys(pl, folder):
    flights = pl.scan_parquet(RAW / "flights", hive_partitioning=True).select(
        *[pl.col(name).cast(pl.Int32) for name in ("year", "month", "day", "sched_dep_time", "sched_arr_time")],
        *[pl.col(name).cast(pl.Int32) for name in ("arr_delay", "flight", "distance")],
        "carrier", "tailnum", "origin", "dest", pl.col("time_hour").dt.replace_time_zone(None),
    )
    weather = pl.read_csv(RAW / "weather.csv.gz", null_values="NA", try_parse_dates=True, infer_schema_length=None)
    planes = pl.read_csv(RAW / "planes.csv", null_values="NA", infer_schema_length=None)
    airports = pl.read_ndjson(RAW / "airports.jsonl", infer_schema_length=None)
    airlines = pl.read_ndjson(RAW / "airlines.jsonl")
    flights = flights.collect()
    tables = {"flights": flights, "weather": weather, "planes": planes, "airports": airports, "airlines": airlines}
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    weather = weather.drop("year", "month", "day", "hour").with_columns(
        pl.when(pl.col("wind_speed") <= 200).then(pl.col("wind_speed")).alias("wind_speed"),
        pl.col("time_hour").dt.replace_time_zone(None).cast(flights.schema["time_hour"]),
    )
    planes = planes.select("tailnum", pl.col("year").alias("plane_year"), "manufacturer", "model", "engines", "seats")
    airports = airports.select("faa", dest_lat="lat", dest_lon="lon", dest_alt="alt")
    joined = flights.join(weather, on=["origin", "time_hour"], how="left").join(planes, on="tailnum", how="left")
    joined = joined.join(airports, left_on="dest", right_on="faa", how="left")
    joined.write_parquet(folder / "journeys.parquet")
    return joined


def features(pl, joined, folder):
    table = joined.select(
        "year", "month", "day", "flight", "tailnum", "carrier", "origin", "dest", "distance",
        (pl.col("arr_delay") > 15).alias("late"),
        (pl.col("month") >= 11).alias("held_out"),
        pl.col("time_hour").dt.weekday().alias("day_of_week"),
        (pl.col("sched_dep_time") // 100 * 60 + pl.col("sched_dep_time") % 100).alias("dep_minute"),
        (pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100).alias("arr_minute"),
        *NUMBERS[:-1], "wind_dir", "wind_gust", "manufacturer", "model", "engines", "seats",
        (pl.col("year") - pl.col("plane_year")).alias("plane_age"), "dest_lat", "dest_lon", "dest_alt",
    )
    table.write_parquet(folder / "features.parquet")
    return table


def logistic(train, threads):
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

    bins = KBinsDiscretizer(20, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf")
    prepare = ColumnTransformer([
        ("category", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin", "dest", "day_of_week"]),
        ("bins", bins, ["dep_minute", "arr_minute"]),
        ("number", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["distance", *NUMBERS]),
    ])
    model = make_pipeline(prepare, LogisticRegression(C=1.0, max_iter=50))
    return model.fit(pd.DataFrame(train), train["late"])


def work(folder, threads, _):
    import os

    os.environ["POLARS_MAX_THREADS"] = threads
    import lightgbm
    import numpy as np
    import pickle
    import polars as pl
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    table = features(pl, journeys(pl, folder), folder)
    known = table.filter(pl.col("late").is_not_null())
    names = [name for name in table.columns if name not in ("late", "held_out", "year", "day", "flight", "tailnum")]
    # One coding of the categories for training and scoring.
    codes = {name: pl.Enum(table[name].drop_nulls().unique().sort()) for name in CATEGORIES}

    def matrix(rows):
        coded = [pl.col(name).cast(codes[name]).to_physical().cast(pl.Float64) for name in CATEGORIES]
        return rows.select(names).with_columns(coded).cast(pl.Float64).fill_null(float("nan")).to_numpy()

    train, test = known.filter(~pl.col("held_out")), known.filter("held_out")
    settings = {"objective": "binary", "max_depth": 6, "num_leaves": 64, "learning_rate": 0.1, "verbose": -1,
                "num_threads": int(threads), "lambda_l2": 1.0, "min_sum_hessian_in_leaf": 1.0, "min_data_in_leaf": 1}
    columns = [names.index(name) for name in CATEGORIES]
    trees = lightgbm.train(settings, lightgbm.Dataset(matrix(train), train["late"].to_numpy(), categorical_feature=columns), 200)
    line = logistic(train.to_pandas(), threads)
    actual = test["late"].to_numpy()
    scores = {"delay_trees": trees.predict(matrix(test)), "delay_linear": line.predict_proba(test.to_pandas())[:, 1]}
    metrics = {name: (roc_auc_score(actual, p), log_loss(actual, p), accuracy_score(actual, p > 0.5)) for name, p in scores.items()}
    pl.DataFrame([{"model": name, "roc_auc": m[0], "log_loss": m[1], "accuracy": m[2]} for name, m in metrics.items()]).write_parquet(folder / "evaluation.parquet")
    december = table.filter(pl.col("month") == 12)
    better = max(metrics, key=lambda name: metrics[name][0])
    probability = trees.predict(matrix(december)) if better == "delay_trees" else line.predict_proba(december.to_pandas())[:, 1]
    scored = december.with_columns(pl.Series("probability", probability), pl.Series("predicted_late", np.asarray(probability) > 0.5))
    scored.write_parquet(folder / "december_predictions.parquet")
    trees.save_model(folder / "delay_trees.txt")
    (folder / "delay_linear.pickle").write_bytes(pickle.dumps(line))
    auc, loss, _ = metrics["delay_trees"]
    figures = {"auc": auc, "log_loss": loss, "logistic_auc": metrics["delay_linear"][0], "scored_rows": len(scored)}
    (folder / "figures.json").write_text(json.dumps(figures))


def main(contender, folder, threads, binary):
    folder = Path(folder)
    if contender == "work":
        return work(folder, threads, binary)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    version, figures = {"lakemill": lakemill, "polars+lightgbm": by_hand}[contender](folder, threads, binary)
    print(json.dumps({"version": version, "figures": figures}))


main(*sys.argv[1:])
