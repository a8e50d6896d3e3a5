"""Reading an offline Neptune record without Neptune.

python -c 'from stylegan2_tf.tracking import read_offline; print(read_offline("OUT/neptune"))'
"""

import json
from pathlib import Path


def read_offline(folder):
    """Return what the offline records in `folder` hold, all starts of a run taken together.

    Args:
        folder: The folder that was given to `NeptuneLog`.

    Returns:
        A dict: `records`, the number of starts; `parameters`, the latest ones;
        `series`, from name to length; `images`, the number of grids; `models`, from
        name to size in bytes of the copy, `None` if there is none; `status`, `None`
        where the latest start was killed.
    """
    records = sorted(Path(folder).glob(".neptune/offline/run__*"))
    found = {"records": len(records), "parameters": {}, "series": {}, "images": 0, "models": {}}
    found["status"] = None
    operations = [operation for record in records for operation in _operations(record)]
    for _, kind, path, content in sorted(operations, key=lambda operation: operation[0]):
        group, _, name = path.partition("/")
        if path == "sys/name":  # the first operation of a start
            found["status"] = None
        elif path == "status":
            found["status"] = content
        elif group == "parameters":
            found["parameters"][name] = content
        elif kind == "LogFloats":
            found["series"][path] = found["series"].get(path, 0) + content
        elif kind == "LogImages":
            found["images"] += content
        elif kind == "UploadFile":
            found["models"][path] = content
    return found


def _operations(record):
    """Yield (time, kind, path, value or length or size) of each whole operation."""
    for log in record.glob("data-*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        position = 0
        while position < len(text):
            try:
                entry, position = json.JSONDecoder().raw_decode(text, position)
            except ValueError:
                break  # torn by a kill
            position += 1  # the line feed
            operation = entry["obj"]
            content = operation.get("value")
            if "values" in operation:
                content = len(operation["values"])
            elif operation["type"] == "UploadFile":
                copy = record / "upload_path" / (operation["tmp_file_name"] or "none")
                content = copy.stat().st_size if copy.is_file() else None
            yield entry["at"], operation["type"], "/".join(operation["path"]), content
