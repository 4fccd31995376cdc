-- 5. Select: both models side by side, and the better one chosen by a query.

CREATE OR REPLACE TABLE evaluation AS
SELECT 'delay_linear' AS model, * FROM ML.EVALUATE(MODEL delay_linear)
UNION ALL
SELECT 'delay_trees' AS model, * FROM ML.EVALUATE(MODEL delay_trees);

-- Both models on November and December
SELECT model, roc_auc, log_loss, accuracy, precision, recall FROM evaluation ORDER BY roc_auc DESC;

-- The choice is a row in a table: it has a version and a lineage, and whoever scores reads it.
CREATE OR REPLACE TABLE selection AS
SELECT model, roc_auc, log_loss FROM evaluation ORDER BY roc_auc DESC, log_loss LIMIT 1;
