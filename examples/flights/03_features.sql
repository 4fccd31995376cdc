-- 3. Features: what is known on the day before, and what is to be predicted.

-- `late` is the label: more than 15 minutes after the scheduled arrival, as the US Department of Transportation counts
-- it. `held_out` splits by time, as in life: learn from January to October, be judged on November and December.
-- A random split would let the model peek at other flights of the same stormy day.
CREATE OR REPLACE TABLE features AS
SELECT
  year, month, day, flight, tailnum,
  arr_delay > 15 AS late,
  month >= 11 AS held_out,
  carrier, origin, dest, distance,
  date_part('dow', time_hour) AS day_of_week,
  sched_dep_time / 100 * 60 + sched_dep_time % 100 AS dep_minute,
  sched_arr_time / 100 * 60 + sched_arr_time % 100 AS arr_minute,
  temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib,
  year - plane_year AS plane_age, manufacturer, plane_model, engines, seats,
  dest_lat, dest_lon, dest_alt
FROM journeys;
