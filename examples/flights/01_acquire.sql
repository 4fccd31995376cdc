-- 1. Acquire: raw files become lake tables.
--
-- An external table gives raw files a name and types; the files stay where they are. Paths are relative to this
-- folder. CREATE TABLE AS then copies the rows into the lake, where they have versions, statistics and rollback.

-- Parquet carries its own types. `month` comes from the folder names (month=01 ..).
CREATE OR REPLACE EXTERNAL TABLE raw_flights
STORED AS PARQUET
LOCATION 'data/flights/';

-- CSV carries none: here they are declared, and a value that does not fit its type makes a bad row. Bad rows are
-- left out and counted (on_error 'skip'); the default, 'fail', would stop with the file, line and column.
CREATE OR REPLACE EXTERNAL TABLE raw_weather (
  origin     VARCHAR,
  year       SMALLINT,
  month      SMALLINT,
  day        SMALLINT,
  hour       SMALLINT,
  temp       DOUBLE,
  dewp       DOUBLE,
  humid      DOUBLE,
  wind_dir   DOUBLE,
  wind_speed DOUBLE,
  wind_gust  DOUBLE,
  precip     DOUBLE,
  pressure   DOUBLE,
  visib      DOUBLE,
  time_hour  TIMESTAMP
)
STORED AS CSV
LOCATION 'data/weather.csv.gz'
OPTIONS (has_header 'true', null_value 'NA', on_error 'skip');

CREATE OR REPLACE EXTERNAL TABLE raw_planes (
  tailnum      VARCHAR,
  year         SMALLINT,
  type         VARCHAR,
  manufacturer VARCHAR,
  model        VARCHAR,
  engines      SMALLINT,
  seats        SMALLINT,
  speed        SMALLINT,
  engine       VARCHAR
)
STORED AS CSV
LOCATION 'data/planes.csv'
OPTIONS (has_header 'true', null_value 'NA', on_error 'skip');

-- JSON has types of its own, one object a line.
CREATE OR REPLACE EXTERNAL TABLE raw_airports
STORED AS JSON
LOCATION 'data/airports.jsonl';

CREATE OR REPLACE EXTERNAL TABLE raw_airlines
STORED AS JSON
LOCATION 'data/airlines.jsonl';

-- The actual times of departure and arrival stay behind: they are known only when the delay is, so a model that saw
-- them would know the answer.
CREATE OR REPLACE TABLE flights AS
SELECT
  CAST(year AS INT) AS year,
  CAST(month AS INT) AS month,
  CAST(day AS INT) AS day,
  CAST(sched_dep_time AS INT) AS sched_dep_time,
  CAST(sched_arr_time AS INT) AS sched_arr_time,
  CAST(arr_delay AS INT) AS arr_delay,
  carrier,
  CAST(flight AS INT) AS flight,
  tailnum,
  origin,
  dest,
  CAST(distance AS INT) AS distance,
  CAST(time_hour AS TIMESTAMP) AS time_hour
FROM raw_flights;

CREATE OR REPLACE TABLE weather AS
SELECT * FROM raw_weather;

CREATE OR REPLACE TABLE planes AS
SELECT * FROM raw_planes;

CREATE OR REPLACE TABLE airports AS
SELECT * FROM raw_airports;

CREATE OR REPLACE TABLE airlines AS
SELECT * FROM raw_airlines;
