// Lakemill's SQL for the editor: PostgreSQL's words and those of lakes and models.

import { PostgreSQL, SQLDialect } from "@codemirror/lang-sql";

const WORDS = `describe history lineage optimize zorder vacuum restore version timestamp overwrite merge matched
  model models transform options namespace namespaces tables schemas external stored location partitioned
  copy explain analyze dry run retain hours except replace qualify system_time struct parquet csv json`;

const TYPES = "tinyint bigint double string array struct map";

export const dialect = SQLDialect.define({
  ...PostgreSQL.spec,
  keywords: `${PostgreSQL.spec.keywords ?? ""} ${WORDS}`,
  types: `${PostgreSQL.spec.types ?? ""} ${TYPES}`,
});

/** Relations and functions over models, with what stands between their parentheses. */
export const ML_FUNCTIONS: readonly (readonly [name: string, form: string, about: string])[] = [
  ["ML.PREDICT", "(MODEL m, TABLE t)", "predictions for rows"],
  ["ML.EVALUATE", "(MODEL m)", "measures on held-out rows"],
  ["ML.CONFUSION_MATRIX", "(MODEL m)", "expected and predicted classes"],
  ["ML.ROC_CURVE", "(MODEL m)", "recall and false positives by threshold"],
  ["ML.CALIBRATION", "(MODEL m)", "predicted and true shares by bin"],
  ["ML.TRAINING_INFO", "(MODEL m)", "loss of each iteration"],
  ["ML.FEATURE_INFO", "(MODEL m)", "statistics of each feature"],
  ["ML.WEIGHTS", "(MODEL m)", "weights of a linear model"],
  ["ML.FEATURE_IMPORTANCE", "(MODEL m)", "importance in a boosted model"],
  ["ML.TRANSFORM", "(MODEL m, TABLE t)", "features as the model sees them"],
  ["ML.VALIDATE_DATA_SKEW", "(MODEL m, TABLE t)", "how far rows are from those of training"],
  ["ML.VALIDATE_DATA_DRIFT", "(TABLE t, TABLE u)", "how far rows are from other rows"],
  ["ML.STANDARD_SCALER", "(x) OVER ()", "mean 0, deviation 1"],
  ["ML.MIN_MAX_SCALER", "(x) OVER ()", "from 0 to 1"],
  ["ML.MAX_ABS_SCALER", "(x) OVER ()", "largest size 1"],
  ["ML.ROBUST_SCALER", "(x) OVER ()", "by quantiles"],
  ["ML.IMPUTER", "(x, 'mean') OVER ()", "NULL replaced"],
  ["ML.QUANTILE_BUCKETIZE", "(x, n) OVER ()", "the quantile of x"],
  ["ML.BUCKETIZE", "(x, [a, b])", "the bucket of x"],
  ["ML.ONE_HOT_ENCODER", "(x) OVER ()", "the category of x"],
  ["ML.LABEL_ENCODER", "(x) OVER ()", "the category of x"],
  ["ML.FEATURE_CROSS", "(STRUCT(a, b))", "categories combined"],
  ["ML.HASH_BUCKETIZE", "(x, n)", "a hash of x"],
  ["ML.POLYNOMIAL_EXPAND", "(STRUCT(a, b))", "products of numbers"],
  ["ML.NORMALIZER", "([a, b])", "a vector of length 1"],
];
