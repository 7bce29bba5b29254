"""Reads Avro files as a stranger would: one JSON line per file with what the reference reader found."""
import json
import sys

import fastavro

for path in sys.argv[1:]:
    found = {"file": path, "records": 0, "first": None, "last": None, "ending": "complete"}
    with open(path, "rb") as stream:
        try:
            reader = fastavro.reader(stream)
            found["name"] = reader.writer_schema["name"]
            for record in reader:
                header = record.get("header", record)
                identity = [header["camera_id"], header["epoch"], header["frame_seq"]]
                found["first"] = found["first"] or identity
                found["last"] = identity
                found["records"] += 1
                found["sample"] = record
        except (EOFError, IndexError, ValueError) as error:
            found["ending"] = type(error).__name__
    print(json.dumps(found, default=str))
