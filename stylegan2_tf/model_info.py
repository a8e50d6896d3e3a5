"""What a trained model says about itself, read from its files without TensorFlow or Keras."""

import dataclasses
import io
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np

from stylegan2_tf.archive import check_archive
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import divide, division_of, find_subjects, printable
from stylegan2_tf.data.packed import PackedImages
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.fields import METRICS
from stylegan2_tf.manifest import check_hash, find_run, generator_file, read_manifest
from stylegan2_tf.options import SIZES, flag
from stylegan2_tf.run_folder import DISCRIMINATOR_NAME, MODEL_NAME
from stylegan2_tf.sides import doubled
from stylegan2_tf.tracking.history import read_log

ARCHITECTURES = {"SynthesisNetwork": "StyleGAN2", "StyleGANSynthesis": "StyleGAN",
                 "DCGANSynthesis": "DCGAN with skips"}
COUNTERS = ("step", "nimg", "epoch", "seconds")
LICENCE = ("The licence of the training images is not known to this tool. A model trained on OASIS "
           "or ADNI falls under their data use agreements; ask before you share it or what it "
           "generates.")


@dataclasses.dataclass(frozen=True)
class Images:
    """What is known of the images that a model was trained on.

    Attributes:
        fingerprint: SHA-256 of them, "" if not known. The rest is None where it is not known.
        trained, held: How many were trained on, and held out.
        subjects, held_subjects: How many people these show.
        classes: Class -> number of training images; empty without classes.
    """

    fingerprint: str = ""
    trained: int | None = None
    held: int | None = None
    subjects: int | None = None
    held_subjects: int | None = None
    classes: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A saved generator and what lies around it.

    Attributes:
        path: The generator's file.
        network: The configuration that Keras saved with it.
        parameters: "generator" and, if it lies beside it, "discriminator" -> their number.
        hashes: File name -> SHA-256, of the same files.
        verified: Whether a manifest names these hashes.
        config: The configuration of the training, a dict; empty if not known. Outside of the run
            folder, paths and the like that were given are left out of it.
        best: Metric -> value that chose this model, if it is a `Model/best`.
        training: Those of "step", "nimg", "epoch", "seconds" that are known.
        images: `Images`.
        versions: Those of "keras", "tensorflow", "saved" that are known.
        problem: What is wrong with the discriminator beside it; "" for nothing.
    """

    path: Path
    network: dict
    parameters: dict
    hashes: dict
    verified: bool
    config: dict
    best: dict
    training: dict
    images: Images
    versions: dict
    problem: str = ""

    @property
    def architecture(self):
        return ARCHITECTURES[self.network["synthesis"]["class_name"]]

    @property
    def classes(self):
        return self.network["classes"]

    @property
    def synthesis(self):
        """Configuration of the synthesis network."""
        return self.network["synthesis"]["config"]

    @property
    def resolution(self):
        """Height and width of the images."""
        filters, level = self.synthesis["filters"], self.synthesis.get("level")
        return doubled(self.synthesis["base_resolution"],
                       len(filters) - 1 if level is None else level)

    @property
    def z_dim(self):
        return self.network["mapping"]["config"]["z_dim"]

    @property
    def w_dim(self):
        config = self.network["mapping"]["config"]
        return config.get("w_dim", self.z_dim * (2 if self.classes else 1))

    def settings(self, without=()):
        """The five sizes and what differs from the defaults, as on the command line of a run."""
        defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
        return [*(printable(str(self.config[name])) for name in SIZES if name in self.config),
                *(flag(name) if value is True else
                  f"{flag(name)} {shlex.quote(printable(str(value)))}"
                  for name, value in self.config.items()
                  if name not in (*SIZES, *without) and value != defaults.get(name))]


def read_info(path):
    """Read all that is known of a model, and compare its files with their manifest.

    Args:
        path: Run folder, `Model` folder or `.keras` file of a generator.

    Returns:
        A `ModelInfo`.

    Raises:
        DataError: There is no model, it is damaged, or the manifest names another hash of it.
    """
    model_file = generator_file(path)
    manifest = read_manifest(model_file)
    hashes = {model_file.name: check_hash(model_file, manifest)}
    network, count, versions = _read_archive(model_file, "Generator")
    parameters, problem = {"generator": count}, ""
    other = model_file.with_name(DISCRIMINATOR_NAME)
    if model_file.name == MODEL_NAME and other.is_file():
        try:
            found = check_hash(other, manifest)
            parameters["discriminator"] = _read_archive(other, "Discriminator")[1]
            hashes[other.name] = found
        except (DataError, OSError) as error:  # which hides nothing of the generator
            problem = str(error)
    run = find_run(model_file)
    training = {name: manifest[name] for name in COUNTERS[:2] if name in manifest}
    training |= _from_log(run, training)
    return ModelInfo(
        model_file, network, parameters, hashes, set(hashes) <= set(manifest["files"]),
        manifest["config"], {name: manifest[name] for name in METRICS if name in manifest},
        training, _find_images(run, manifest, training), _versions(run, training) | versions,
        problem)


# -- the files of the model


def _read_archive(path, kind):
    """(Configuration, number of weights, versions) of a `.keras` file; refuses foreign ones."""
    import h5py

    check_archive(path, kind)
    with zipfile.ZipFile(path) as archive:
        config, about = (json.loads(archive.read(name)) for name in
                         ("config.json", "metadata.json"))
        content = archive.read("model.weights.h5")
    sizes = []
    with h5py.File(io.BytesIO(content), "r") as weights:
        weights.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    versions = {"keras": about.get("keras_version"), "saved": about.get("date_saved")}
    return config["config"], sum(sizes), {
        name: str(value)[:40].replace("@", " ") for name, value in versions.items() if value}


# -- what lies around them, which may be missing


def _from_log(run, training):
    """Epoch and seconds in the row of `log.csv` that was written when the model was saved."""
    try:
        rows, _ = read_log(run / "log.csv")
        here = (rows["step"] == training["step"]) & (rows["nimg"] == training["nimg"])
        return {name: float(rows[name][here][-1]) for name in COUNTERS[2:]}
    except (OSError, TypeError, KeyError, IndexError):
        return {}


def _versions(run, training):
    """Versions in the checkpoint of the same step, if it is still there."""
    try:
        meta = json.loads((run / f"checkpoints/step-{training['step']:08d}/meta.json").read_text(
            encoding="utf-8"))
        return {name: str(value)[:40] for name, value in meta["versions"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _find_images(run, manifest, training):
    """The `Images` of a model, as far as the cache of its run or else the log tells."""
    fingerprint, config = manifest.get("images", ""), manifest["config"]
    for cache in filter(None, (config.get("cache"), run and run / "cache")):
        for record in sorted(Path(str(cache)).glob("packed-*/images.json")):
            found = _from_cache(record, config, fingerprint)
            if found is not None:
                return found
    count = training["nimg"] / training["epoch"] if training.get("epoch") else None
    return Images(fingerprint, count and round(count))


def _from_cache(record, config, fingerprint):
    """The `Images` of a cache of decoded images, or None if they are others."""
    try:
        about = json.loads(record.read_text(encoding="utf-8"))
        names = tuple(name for name, *_ in about["files"] if name not in about["skipped"])
        packed = PackedImages(np.empty((len(names), 0)), about["fingerprint"], names, (), {})
        train, held, _ = divide(packed, **division_of(config))
        others = held.names if held else ()
        known = find_subjects([*train.names, *others], config.get("subject_pattern"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError, UsageError):
        return None
    if train.fingerprint != fingerprint:
        return None
    people = known and (len(set(known[:len(train)])), len(set(known[len(train):])))
    return Images(fingerprint, len(train), len(others), *(people or ()),
                  classes=dict(zip(train.classes, train.class_counts, strict=True)))
