{{ config(materialized='incremental', unique_key='id') }}

SELECT id, distance, late
FROM {{ source('main', 'rides') }}
{% if is_incremental() %}
WHERE id >= (SELECT max(id) FROM {{ this }})
{% endif %}
