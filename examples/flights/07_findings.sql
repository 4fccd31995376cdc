-- 7. Findings: small tables that the report draws (see pipeline.toml).

CREATE OR REPLACE TABLE late_by_hour AS
SELECT sched_dep_time / 100 AS hour,
       avg(CASE WHEN arr_delay > 15 THEN 1.0 ELSE 0.0 END) AS late,
       count(*) AS flights
FROM flights
WHERE arr_delay IS NOT NULL
GROUP BY 1
HAVING count(*) >= 100;

CREATE OR REPLACE TABLE late_by_airline AS
SELECT l.name AS airline,
       avg(CASE WHEN f.arr_delay > 15 THEN 1.0 ELSE 0.0 END) AS late,
       count(*) AS flights
FROM flights f
JOIN airlines l ON l.carrier = f.carrier
WHERE f.arr_delay IS NOT NULL
GROUP BY 1;

CREATE OR REPLACE TABLE late_by_month AS
SELECT month,
       avg(CASE WHEN origin = 'EWR' THEN CAST(arr_delay > 15 AS INT) END) AS "Newark",
       avg(CASE WHEN origin = 'JFK' THEN CAST(arr_delay > 15 AS INT) END) AS "Kennedy",
       avg(CASE WHEN origin = 'LGA' THEN CAST(arr_delay > 15 AS INT) END) AS "LaGuardia"
FROM flights
WHERE arr_delay IS NOT NULL
GROUP BY 1;

-- What December was like, day by day: the mean of the probabilities against what happened.
CREATE OR REPLACE TABLE december_by_day AS
SELECT day, avg(probability) AS predicted, avg(CAST(late AS INT)) AS happened
FROM december_predictions
GROUP BY 1;
