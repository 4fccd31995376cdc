"""ibis against a server: python ibis_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import sys

import ibis
import pandas as pd

connection = ibis.postgres.connect(host="127.0.0.1", port=int(sys.argv[2]), user="anybody", database="main")
assert set(connection.list_tables()) == {"rides", "cars"}, connection.list_tables()

rides = connection.table("rides")
types = {name: str(data_type) for name, data_type in rides.schema().items()}
assert types == {"id": "int32", "hour": "int32", "distance": "float64", "vehicle": "string", "at": "timestamp(6)", "late": "boolean"}, types

mean = rides.filter(rides.vehicle.notnull()).group_by("vehicle").agg(n=ibis._.count(), mean=ibis._.distance.mean()).order_by("vehicle")
seen = mean.execute()
assert seen["vehicle"].tolist() == ["bike", "car"] and seen["n"].tolist() == [1000, 1000], seen

# ibis parses what it is given, and does not know ML.PREDICT: a view stands before it.
assert connection.sql("SELECT count(*) AS n FROM rides").n.sum().execute() == 3000
connection.raw_sql("CREATE VIEW scored AS SELECT id, predicted_late FROM ML.PREDICT(MODEL lateness, TABLE rides)").close()
scored = connection.table("scored")
assert scored.filter(scored.id <= 10).count().execute() == 10
connection.drop_view("scored")

made = connection.create_table("made", pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}))
assert made.a.sum().execute() == 6
connection.insert("made", pd.DataFrame({"a": [4], "b": ["w"]}))
assert connection.table("made").count().execute() == 4
connection.create_view("seen", connection.table("made").filter(lambda t: t.a > 2))
assert sorted(connection.table("seen").a.to_pandas()) == [3, 4]
connection.drop_view("seen")
connection.drop_table("made")
# What ibis keeps of a frame that was inserted is a temporary table.
assert {name for name in connection.list_tables() if not name.startswith("ibis_")} == {"rides", "cars"}
