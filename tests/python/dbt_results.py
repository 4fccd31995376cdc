"""What dbt has built: python dbt_results.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import sys

import psycopg

connection = psycopg.connect(f"host=127.0.0.1 port={sys.argv[2]} dbname=lake user=anybody", autocommit=True)


def one(query):
    return connection.execute(query).fetchone()[0]


assert one("SELECT sum(n) FROM by_hour") == 3000
assert one("SELECT count(*) FROM long_rides") == 1000
# The second run has replaced the last row by itself.
assert one("SELECT count(*) FROM seen") == 3000
assert one("SELECT count(DISTINCT id) FROM seen") == 3000
tables = {name for [name] in connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'")}
assert tables == {"rides", "cars", "by_hour", "long_rides", "seen"}, tables
