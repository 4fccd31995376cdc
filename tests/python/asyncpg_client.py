"""asyncpg against a server: python asyncpg_client.py HTTP_PORT POSTGRES_PORT FOLDER PROCESS.

It prepares every statement, and sends and takes binary forms alone.
"""

import asyncio
import datetime as dt
import decimal
import io
import sys

import asyncpg

PLACE = {"host": "127.0.0.1", "port": int(sys.argv[2]), "database": "main", "user": "anybody", "ssl": False}
FOREVER = "SELECT sum(value) FROM generate_series(1, 1000000000000)"
VALUES = [
    (1, "SMALLINT"),
    (1, "INT"),
    (2**40, "BIGINT"),
    (1.5, "REAL"),
    (-1.5, "DOUBLE"),
    ("it's", "VARCHAR"),
    (True, "BOOLEAN"),
    (dt.date(1969, 1, 2), "DATE"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 678), "TIMESTAMP"),
    (decimal.Decimal("-12.34"), "DECIMAL(10, 2)"),
    (decimal.Decimal("1234567890123456789012345678901234.5678"), "DECIMAL(38, 4)"),
    (b"\x00\\\xff", "BYTEA"),
    (None, "INT"),
]


async def main():
    connection = await asyncpg.connect(**PLACE)
    for value, data_type in VALUES:
        for query in (f"SELECT CAST($1 AS {data_type})", f"SELECT $1::{data_type}"):
            seen = await connection.fetchval(query, value)
            assert seen == value, (query, value, seen)
    rows = await connection.fetch("SELECT id FROM rides WHERE hour = $1 AND at < $2 ORDER BY id LIMIT $3", 1, dt.datetime(2025, 1, 1), 2)
    assert [row["id"] for row in rows] == [1, 8], rows
    async with connection.transaction(), connection.transaction():
        count = sum([1 async for _ in connection.cursor("SELECT id FROM rides WHERE hour = $1", 3)])
    assert count == 429, count

    await connection.execute("CREATE TABLE t (a INT, b VARCHAR, c TIMESTAMP, d DECIMAL(10, 2))")
    row = (1, "x", dt.datetime(2024, 1, 1), decimal.Decimal("1.50"))
    await connection.executemany("INSERT INTO t VALUES ($1, $2, $3, $4)", [row, (2, *row[1:])])
    assert await connection.execute("DELETE FROM t WHERE a = $1", 2) == "DELETE 1"
    assert tuple(await connection.fetchrow("SELECT * FROM t")) == row
    assert await connection.copy_to_table("t", source=io.BytesIO(b"5,y\n6,\n"), columns=["a", "b"], format="csv") == "COPY 2"
    output = io.BytesIO()
    await connection.copy_from_query("SELECT a, b FROM t WHERE a > $1 ORDER BY a", 4, output=output, format="csv")
    assert output.getvalue() == b"5,y\n6,\n", output.getvalue()
    try:
        await connection.copy_records_to_table("t", records=[(1, "x")], columns=["a", "b"])
        raise AssertionError("binary COPY")
    except asyncpg.FeatureNotSupportedError as error:
        assert "FORMAT csv" in str(error)
    for error, query in [(asyncpg.UndefinedColumnError, "SELECT nothing FROM t"), (asyncpg.UndefinedTableError, "SELECT * FROM no_such")]:
        try:
            await connection.fetch(query)
            raise AssertionError(query)
        except error:
            pass
    try:
        await connection.fetch(FOREVER, timeout=0.5)
        raise AssertionError("it ended")
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT count(*) FROM t") == 3
    await connection.close()

    async def add(pool, number):
        async with pool.acquire() as one:
            return await one.fetchval("SELECT $1::INT + 1", number)

    async with asyncpg.create_pool(min_size=2, max_size=4, **PLACE) as pool:
        assert await asyncio.gather(*[add(pool, number) for number in range(20)]) == list(range(1, 21))


asyncio.run(main())
