{{ config(materialized='view') }}

SELECT * FROM {{ source('main', 'rides') }} WHERE distance > 1000
