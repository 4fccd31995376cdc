-- 6. Score: December's flights, each with the probability that it arrives late.

-- Both models are written down and the join with `selection` keeps the chosen one. So the plan, and the lineage of
-- the result, are the same whoever wins; a new winner needs no new SQL.
CREATE OR REPLACE TABLE december_predictions AS
WITH december AS (
  SELECT * FROM features WHERE month = 12
),
scored AS (
  SELECT 'delay_linear' AS scored_by, * FROM ML.PREDICT(MODEL delay_linear, TABLE december)
  UNION ALL
  SELECT 'delay_trees' AS scored_by, * FROM ML.PREDICT(MODEL delay_trees, TABLE december)
)
SELECT
  s.scored_by AS model, s.year, s.month, s.day, s.carrier, s.flight, s.origin, s.dest, s.late,
  s.predicted_late,
  CASE WHEN s.predicted_late_probs[1]['label'] THEN s.predicted_late_probs[1]['prob']
       ELSE s.predicted_late_probs[2]['prob'] END AS probability
FROM scored s
JOIN selection c ON c.model = s.scored_by;

-- The flights that are most likely to be late
SELECT month || '-' || day AS date, carrier, flight, origin, dest, probability, late
FROM december_predictions
ORDER BY probability DESC, day, carrier, flight
LIMIT 10;
