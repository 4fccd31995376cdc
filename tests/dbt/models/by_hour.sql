{{ config(materialized='table') }}

SELECT hour, count(*) AS n, avg(distance) AS distance
FROM {{ source('main', 'rides') }}
GROUP BY hour
