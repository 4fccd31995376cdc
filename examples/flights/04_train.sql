-- 4. Train: two models of one question.

-- A logistic regression wants every number filled in and on one scale, and hours as steps rather than a straight line.
-- What these functions learn from the training rows is stored with the model and applied again at prediction.
CREATE OR REPLACE MODEL delay_linear
TRANSFORM (
  carrier, origin, dest,
  CAST(day_of_week AS VARCHAR) AS day_of_week,
  ML.QUANTILE_BUCKETIZE(dep_minute, 20) OVER () AS dep_bucket,
  ML.QUANTILE_BUCKETIZE(arr_minute, 20) OVER () AS arr_bucket,
  ML.STANDARD_SCALER(distance) OVER () AS distance,
  ML.STANDARD_SCALER(ML.IMPUTER(temp, 'median') OVER ()) OVER () AS temp,
  ML.STANDARD_SCALER(ML.IMPUTER(dewp, 'median') OVER ()) OVER () AS dewp,
  ML.STANDARD_SCALER(ML.IMPUTER(humid, 'median') OVER ()) OVER () AS humid,
  ML.STANDARD_SCALER(ML.IMPUTER(wind_speed, 'median') OVER ()) OVER () AS wind_speed,
  ML.STANDARD_SCALER(ML.IMPUTER(precip, 'median') OVER ()) OVER () AS precip,
  ML.STANDARD_SCALER(ML.IMPUTER(pressure, 'median') OVER ()) OVER () AS pressure,
  ML.STANDARD_SCALER(ML.IMPUTER(visib, 'median') OVER ()) OVER () AS visib,
  ML.STANDARD_SCALER(ML.IMPUTER(plane_age, 'median') OVER ()) OVER () AS plane_age,
  late, held_out
)
OPTIONS (
  model_type = 'LOGISTIC_REG',
  input_label_cols = ['late'],
  data_split_method = 'CUSTOM',
  data_split_col = 'held_out',
  l2_reg = 0.0001,
  max_iterations = 50
)
AS SELECT * FROM features WHERE late IS NOT NULL;

-- Trees take the columns as they are: NULL goes its own way, a category is a set, a scale does not matter. The month
-- and the day stay out: November and December are months that no tree has seen.
CREATE OR REPLACE MODEL delay_trees
TRANSFORM (
  * EXCEPT (year, month, day, flight, tailnum)
)
OPTIONS (
  model_type = 'BOOSTED_TREE_CLASSIFIER',
  input_label_cols = ['late'],
  data_split_method = 'CUSTOM',
  data_split_col = 'held_out',
  max_iterations = 200,
  max_tree_depth = 6,
  learn_rate = 0.1,
  early_stop = FALSE
)
AS SELECT * FROM features WHERE late IS NOT NULL;
