"""Checks of a run folder that need TensorFlow: checkpoints and models.

Each is a generator of `Finding`s; other checks compare with what it returns.
"""

import json

import numpy as np

from stylegan2_tf.checkpoint_files import META, check_identity, committed, read_meta, set_aside
from stylegan2_tf.errors import DataError
from stylegan2_tf.manifest import MANIFEST, read_manifest
from stylegan2_tf.options import flag
from stylegan2_tf.run_folder import CHANGEABLE, DISCRIMINATOR_NAME, MODEL_NAME
from stylegan2_tf.tf_quiet import import_tensorflow, quiet_stderr
from stylegan2_tf.verification.finding import Finding, look

NETWORKS = {MODEL_NAME: "Generator", DISCRIMINATOR_NAME: "Discriminator"}


def check_checkpoints(folder, config):
    """Returns `meta.json` of the newest that is good, or None."""
    for path in set_aside(folder):
        yield Finding("note", f"{folder.name}/{path.name}", "damaged: a start that could not use "
                      "it renamed it; remove it when you need the space")
    found, good = committed(folder), []
    check = _store(folder, config, found).verify if config and found else read_meta
    for path in found:
        what = f"{folder.name}/{path.name}"
        try:
            good.append(check(path))
        except DataError as error:
            yield (Finding("bad", what, str(error)) if path.exists() else
                   Finding("note", what, "removed meanwhile by its run"))
        else:
            restored = "restores in full, every number is finite" if config else (
                "not restored: that needs config.json")
            yield Finding("ok", what, f"{good[-1]['nimg']:,} images; sizes and sha256 are right, "
                          f"{restored}")
    if config:
        yield _resumption(config, good, bool(found or set_aside(folder)))
    return good[0] if good else None


def _store(folder, config, found):
    """`Checkpoints` with the state of networks that `config` describes."""
    import_tensorflow()
    with quiet_stderr():
        from stylegan2_tf.building import make_networks
        from stylegan2_tf.checkpoints import Checkpoints
        from stylegan2_tf.step import TrainStep

    step_function = TrainStep(*make_networks(config, _classes(found)), config)
    return Checkpoints(folder, step_function.state, keep=config.keep, identity={})


def _classes(found):
    """The classes that the newest readable checkpoint names."""
    for path in found:
        try:
            return json.loads((path / META).read_text(encoding="utf-8"))["identity"]["classes"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return []


def _resumption(config, good, any_found):
    """What the same command would do, given the good checkpoints, newest first."""
    if not any_found:
        return Finding("note", "resume", "no checkpoint yet: the same command starts anew")
    if not good:
        return Finding("bad", "resume", "no checkpoint can be used: the same command refuses to "
                       "start; put back a good copy, or remove them all to start anew")

    from stylegan2_tf.keeper import identity_of

    images, classes = (good[0]["identity"][name] for name in ("images", "classes"))
    try:
        check_identity(good[0], identity_of(config, images, classes), "the same command refuses")
    except DataError as error:
        return Finding("note", "resume", str(error))
    return Finding("ok", "resume", f"the same command would resume at step {good[0]['step']}")


def check_models(folder, what, config, newest, logged):
    """The models in a folder.

    Args:
        folder, what: `OUT/Model`, and its path within OUT.
        config: The `TrainConfig`, or None.
        newest: `meta.json` of the newest good checkpoint, or None.
        logged: Step of the last row of the log.
    """
    if not any((folder / name).exists() for name in (*NETWORKS, MANIFEST)):
        if folder.name == "Model":
            yield Finding("note", str(what), "no model was saved yet")
        return
    yield look(what / MANIFEST, _check_manifest, folder, config, newest, logged)
    import_tensorflow()
    for name, kind in NETWORKS.items():
        yield look(what / name, _load, folder / name, kind)


def _check_manifest(folder, config, newest, logged):
    if not (folder / MANIFEST).exists():
        raise DataError("not there: nothing tells whether the models are what was saved")
    manifest = read_manifest(folder / MODEL_NAME)
    unnamed = NETWORKS.keys() - manifest["files"]
    if unnamed:
        raise DataError(f"names no hash of {', '.join(sorted(unnamed))}")
    others = [flag(name) for name, value in manifest["config"].items()
              if config and name not in CHANGEABLE and getattr(config, name, value) != value]
    others += [name for name in ("images", "classes")
               if newest and manifest[name] != newest["identity"][name]]
    if others:
        raise DataError(f"of another run: {', '.join(others)} differ from config.json or the "
                        "checkpoints")
    if manifest["step"] > logged:
        raise DataError(f"step {manifest['step']} is later than log.csv, which ends at {logged}")
    return f"step {manifest['step']}; fits the configuration, the checkpoints and the log"


def _load(path, kind):
    from stylegan2_tf import networks
    from stylegan2_tf.latent.sampling import load_model

    model = load_model(path, getattr(networks, kind))
    for weight in model.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise DataError(f"{weight.path} is not finite")
    return f"sha256 as in {MANIFEST}; loads, {model.count_params():,} parameters, all finite"
