-- 2. Prepare: one clean row for each flight, with its weather, its plane and its destination.

-- A left join keeps a flight whose plane or weather nobody wrote down; its columns are NULL, and the models know what
-- to do with that. The wind of 1,048 mph that one February morning claims is a slip, so it counts as not measured.
CREATE OR REPLACE TABLE journeys AS
SELECT
  f.year, f.month, f.day, f.sched_dep_time, f.sched_arr_time, f.arr_delay,
  f.carrier, f.flight, f.tailnum, f.origin, f.dest, f.distance, f.time_hour,
  w.time_hour IS NOT NULL AS has_weather,
  w.temp, w.dewp, w.humid, w.wind_dir, w.wind_gust, w.precip, w.pressure, w.visib,
  CASE WHEN w.wind_speed <= 200 THEN w.wind_speed END AS wind_speed,
  p.tailnum IS NOT NULL AS has_plane,
  p.year AS plane_year, p.manufacturer, p.model AS plane_model, p.engines, p.seats,
  a.faa IS NOT NULL AS has_airport,
  a.lat AS dest_lat, a.lon AS dest_lon, a.alt AS dest_alt
FROM flights f
LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
LEFT JOIN planes p ON p.tailnum = f.tailnum
LEFT JOIN airports a ON a.faa = f.dest;

-- Nothing is dropped in silence: every oddity is counted, with what is done about it. The report shows this table.
CREATE OR REPLACE TABLE data_quality AS
SELECT 'flights' AS relation, 'no arrival delay: cancelled or diverted' AS finding,
       count(*) FILTER (WHERE arr_delay IS NULL) AS rows, count(*) AS of_rows,
       'not used for training' AS treatment
FROM journeys
UNION ALL
SELECT 'flights', 'plane not in the register', count(*) FILTER (WHERE NOT has_plane), count(*),
       'kept, columns of the plane are NULL'
FROM journeys
UNION ALL
SELECT 'flights', 'no weather for the hour', count(*) FILTER (WHERE NOT has_weather), count(*),
       'kept, columns of the weather are NULL'
FROM journeys
UNION ALL
SELECT 'flights', 'destination not in the list of airports', count(*) FILTER (WHERE NOT has_airport), count(*),
       'kept, place of the destination is NULL'
FROM journeys
UNION ALL
SELECT 'weather', 'wind above 200 mph', count(*) FILTER (WHERE wind_speed > 200), count(*),
       'wind set to NULL'
FROM weather
UNION ALL
SELECT 'weather', 'air pressure not measured', count(*) FILTER (WHERE pressure IS NULL), count(*),
       'kept as NULL'
FROM weather
UNION ALL
SELECT 'planes', 'year of manufacture unknown', count(*) FILTER (WHERE year IS NULL), count(*),
       'kept as NULL'
FROM planes;

-- Odd rows in the raw data
SELECT relation, finding, rows, of_rows, treatment FROM data_quality ORDER BY relation, rows DESC;
