"""SQLAlchemy and pandas against a server: python sqlalchemy_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS."""

import sys

import pandas as pd
import sqlalchemy as sa

frame = pd.DataFrame(
    {
        "a": [1, 2, 3],
        "b": ["x", "y", None],
        "c": [1.5, None, 2.0],
        "t": pd.to_datetime(["2024-01-01 00:00:00", "2024-02-01 03:04:05", "2025-01-01 00:00:00"]),
        "g": [True, False, True],
    }
)
engine = sa.create_engine(f"postgresql+psycopg://anybody@127.0.0.1:{sys.argv[2]}/main")

inspector = sa.inspect(engine)
assert inspector.default_schema_name == "main"
assert "main" in inspector.get_schema_names()
assert inspector.get_table_names() == ["rides"], inspector.get_table_names()
assert inspector.get_view_names() == ["cars"], inspector.get_view_names()
assert inspector.has_table("rides") and not inspector.has_table("nothing")
columns = {column["name"]: type(column["type"]).__name__ for column in inspector.get_columns("rides")}
assert columns == {"id": "INTEGER", "hour": "INTEGER", "distance": "DOUBLE_PRECISION", "vehicle": "TEXT", "at": "TIMESTAMP", "late": "BOOLEAN"}, columns
assert inspector.get_foreign_keys("rides") == [] and inspector.get_check_constraints("rides") == []

rides = sa.Table("rides", sa.MetaData(), autoload_with=engine)
query = sa.select(rides.c.vehicle, sa.func.count().label("n")).where(rides.c.hour == 3).group_by(rides.c.vehicle).order_by(rides.c.vehicle)
with engine.connect() as connection:
    assert [row.n for row in connection.execute(query)] == [143, 143, 143]

read = pd.read_sql(sa.text("SELECT id, at FROM rides WHERE hour = :hour ORDER BY id"), engine, params={"hour": 1})
assert len(read) == 429 and read["at"].dtype.kind == "M", read.dtypes
assert len(pd.read_sql_table("rides", engine)) == 3000
for _ in range(2):
    frame.to_sql("frame", engine, if_exists="replace", index=False)
    frame.to_sql("frame", engine, if_exists="append", index=False, method="multi")
    back = pd.read_sql("SELECT a, b, c, t, g FROM frame ORDER BY a", engine)
    expected = pd.concat([frame, frame]).sort_values("a", ignore_index=True)
    pd.testing.assert_frame_equal(back, expected, check_dtype=False)
try:
    frame.to_sql("indexed", engine)
    raise AssertionError("a lake has no indexes")
except sa.exc.ProgrammingError as error:
    assert "CREATE INDEX" in str(error)
sa.Table("indexed", sa.MetaData()).drop(engine)
sa.Table("frame", sa.MetaData()).drop(engine)
assert not sa.inspect(engine).has_table("frame")
