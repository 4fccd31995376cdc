"""Writes Delta tables with the Python package of delta-rs, one folder for each way a table can come to be.

    python write_delta.py FOLDER

Each table has the columns id and text, and its final rows are those of FOLDER/NAME.json: [[id, text], ..] by id.
The table `deletion_vector` is made by hand, since neither peer writes deletion vectors: two rows of a file are
marked deleted by a vector stored in the log, as the Delta protocol describes it.
"""

import json
import os
import struct
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake


def rows(first, last):
    ids = list(range(first, last + 1))
    return pa.table({"id": pa.array(ids, pa.int64()), "text": [f"row {i}" for i in ids]})


def appended(path):
    write_deltalake(path, rows(1, 5))
    write_deltalake(path, rows(6, 9), mode="append")


def partitioned(path):
    table = rows(1, 6)
    table = table.append_column("part", pa.array(["a b", "a b", "c/d", "c/d", None, None]))
    write_deltalake(path, table, partition_by=["part"])


def merged(path):
    write_deltalake(path, rows(1, 5))
    source = pa.table({"id": pa.array([5, 6], pa.int64()), "text": ["changed", "new"]})
    merge = DeltaTable(path).merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    DeltaTable(path).delete("id = 1")


def optimized(path):
    for i in range(1, 6):
        write_deltalake(path, rows(i, i), mode="append")
    DeltaTable(path).optimize.z_order(["id"])


def checkpointed(path):
    for i in range(1, 15):
        write_deltalake(path, rows(i, i), mode="append")
    table = DeltaTable(path)
    table.create_checkpoint()
    table.cleanup_metadata()
    write_deltalake(path, rows(15, 15), mode="append")


def evolved(path):
    write_deltalake(path, pa.table({"id": pa.array([1], pa.int64())}))
    write_deltalake(path, rows(2, 3), mode="append", schema_mode="merge")


def restored(path):
    write_deltalake(path, rows(1, 3))
    write_deltalake(path, rows(7, 9), mode="overwrite")
    DeltaTable(path).restore(0)


def deletion_vector(path):
    os.makedirs(f"{path}/_delta_log")
    pq.write_table(rows(1, 6), f"{path}/part-0.parquet")
    fields = [("id", "long"), ("text", "string")]
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in fields]
    features = ["deletionVectors"]
    vector = inline_vector([1, 4])  # the second and the fifth row
    actions = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}},
        {
            "metaData": {
                "id": str(uuid.UUID(int=1)),
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {"delta.enableDeletionVectors": "true"},
                "createdTime": 0,
            }
        },
        {
            "add": {
                "path": "part-0.parquet",
                "partitionValues": {},
                "size": os.path.getsize(f"{path}/part-0.parquet"),
                "modificationTime": 0,
                "dataChange": True,
                "stats": json.dumps({"numRecords": 6}),
                "deletionVector": vector,
            }
        },
    ]
    with open(f"{path}/_delta_log/{0:020}.json", "w") as log:
        log.writelines(json.dumps(action) + "\n" for action in actions)


def inline_vector(deleted):
    """A RoaringBitmapArray of one 32-bit bitmap with one array container, in the protocol's z85 text."""
    bitmap = struct.pack("<II", 12346, 1)  # no run containers; one container
    bitmap += struct.pack("<HH", 0, len(deleted) - 1)
    bitmap += struct.pack("<I", len(bitmap) + 4) + struct.pack(f"<{len(deleted)}H", *deleted)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    padded = data + bytes(-len(data) % 4)
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for (word,) in struct.iter_unpack(">I", padded):
        text += "".join(alphabet[word // 85**power % 85] for power in range(4, -1, -1))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(deleted)}


ROWS = {
    "appended": range(1, 10),
    "partitioned": range(1, 7),
    "optimized": range(1, 6),
    "checkpointed": range(1, 16),
    "restored": range(1, 4),
    "deletion_vector": [1, 3, 4, 6],
}
EXPECTED = {name: [[i, f"row {i}"] for i in ids] for name, ids in ROWS.items()}
EXPECTED["merged"] = [[i, f"row {i}"] for i in range(2, 5)] + [[5, "changed"], [6, "new"]]
EXPECTED["evolved"] = [[1, None], [2, "row 2"], [3, "row 3"]]


def main(folder):
    for name, expected in EXPECTED.items():
        globals()[name](f"{folder}/{name}")
        with open(f"{folder}/{name}.json", "w") as file:
            json.dump(expected, file)


main(sys.argv[1])
