"""What a checkpoint is on disk, read without TensorFlow.

    checkpoints/step-00000128/  state.index  state.data-00000-of-00001  meta.json

`meta.json` is written last: a folder without it, or with a file whose size or hash differs, is
not a checkpoint.
"""

import json

from stylegan2_tf import files
from stylegan2_tf.errors import DataError, one_line

META = "meta.json"


def folder_name(step):
    return f"step-{step:08d}"


def committed(folder):
    """What bears the name of a checkpoint, damaged or not, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.suffix == ""), reverse=True)


def set_aside(folder):
    """Checkpoints that a restart could not use and renamed."""
    return sorted(folder.glob("step-*.bad*"))


def write_meta(folder, about):
    """Write `meta.json` beside the files of a checkpoint: `about`, their sizes, their hashes."""
    content = sorted(folder.iterdir())
    meta = {**about, "files": {path.name: {"size": path.stat().st_size,
                                           "sha256": files.sha256(path)} for path in content}}
    files.write_json(folder / META, {**meta, "sha256": files.digest(meta)})
    for path in content:
        files.sync(path)


def read_meta(path):
    """`meta.json` of the checkpoint at `path` as a dict; every file there has been verified.

    Raises:
        DataError: Something is missing, or differs from what was written.
    """
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
        if meta.pop("sha256") != files.digest(meta):
            raise ValueError(f"{META} has another sha256")
        if path.name != folder_name(meta["step"]):
            raise ValueError(f"{META} is that of step {meta['step']}")
        for name, expected in meta["files"].items():
            if (path / name).stat().st_size != expected["size"]:
                raise ValueError(f"{name} has another size")
            if files.sha256(path / name) != expected["sha256"]:
                raise ValueError(f"{name} has another sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unusable(path, error) from error
    return meta


def unusable(path, error):
    """The `DataError` of a checkpoint that cannot be restored."""
    return DataError(f"{path.name} cannot be used ({one_line(error) or type(error).__name__})")


def check_identity(meta, identity, where):
    """Refuse a checkpoint that another data set or another version of this package made.

    Args:
        meta: Of the checkpoint.
        identity: Dict of what it must agree with, see `keeper.identity_of`.
        where: What the message begins with.

    Raises:
        DataError: They differ.
    """
    for name, value in identity.items():
        if meta["identity"].get(name) != value:
            raise DataError(f"{where}: the run was made with {name} "
                            f"{meta['identity'].get(name)}, found {value}; give the same images "
                            "and version of this package, or another OUT")
