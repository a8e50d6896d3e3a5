"""The manifest beside saved models: their SHA-256, and what was trained on what.

It names no paths (`fields.PRIVATE`): these are read from the run folder around it.
"""

import json
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.run_folder import CHANGEABLE, MODEL_NAME, find_model

MANIFEST = "manifest.json"
KINDS = {"files": dict, "config": dict, "step": int, "nimg": int, "images": str}


def generator_file(path):
    """The generator's file of a run folder, a model folder, or the file itself, as a `Path`.

    Raises:
        DataError: There is none.
    """
    path = Path(path)
    model_file = path if path.is_file() else find_model(path)
    if model_file is not None:
        return model_file
    raise DataError(f"{path}: expected a run folder or {MODEL_NAME}, found "
                    f"{'no model in it yet' if path.exists() else 'nothing there'}")


def find_run(model_file):
    """The run folder that a model lies in; None if it was taken out of it."""
    return next((folder for folder in list(Path(model_file).absolute().parents)[1:3]
                 if (folder / "config.json").is_file()), None)


def read_manifest(model_file):
    """What stands beside a model: a dict with "files" and "config", empty ones if nothing does.

    "config" is that of the training, whole where the model still lies in its run folder, else
    without the fields of `fields.PRIVATE` that were given.

    Raises:
        DataError: The manifest is damaged.
    """
    path = Path(model_file).with_name(MANIFEST)
    if not path.exists():
        return {"files": {}, "config": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "sha256" in content and content.pop("sha256") != files.digest(content):
            raise ValueError("another sha256 than it was written with")
        manifest = {"config": {}, **content}
        for name, kind in KINDS.items():
            if not isinstance(manifest.get(name, kind()), kind):
                raise ValueError(f"{name} {manifest[name]!r}")
        for name, entry in manifest["files"].items():
            if not (entry["sha256"] and all(isinstance(value, str) for value in entry["sha256"])):
                raise ValueError(f"no hashes of {name}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: expected the manifest of a run, found: "
                        f"{one_line(error)}") from error
    return {**manifest, "config": _completed(manifest["config"], find_run(model_file))}


def _completed(config, run):
    """`config` with what only the run folder tells, if that is the one it comes from."""
    try:
        whole = json.loads((run / "config.json").read_text(encoding="utf-8"))
        same = all(whole[name] == value for name, value in config.items()
                   if name not in CHANGEABLE)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return config
    return {**whole, **config} if config and same else config


def check_hash(path, manifest):
    """SHA-256 of a model's file. Raises `DataError` if the manifest names another."""
    found, entry = files.sha256(path), manifest["files"].get(path.name)
    if entry and found not in entry["sha256"]:
        raise DataError(f"{path}: expected the SHA-256 {entry['sha256'][0][:12]} of {MANIFEST}, "
                        f"found {found[:12]}; the file was damaged or replaced: take it from a "
                        "copy, or let its run save it again")
    return found
