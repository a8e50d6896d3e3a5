"""A model card: what a reader must know before using a generator, in Markdown.

It names no path and no file of the training data. Reference: Mitchell et al., Model Cards for
Model Reporting, arXiv:1810.03993.
"""

import json
import math
import re

from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.fields import PRIVATE
from stylegan2_tf.metrics.memorisation import COMPARED, ONE_IN
from stylegan2_tf.metrics.page import with_interval, with_unit
from stylegan2_tf.metrics.report import FORMAT
from stylegan2_tf.model_info import LICENCE
from stylegan2_tf.sides import as_text

COLOURS = {1: "grey", 3: "colour", 4: "colour and transparency"}
FITTED = {"pad": "padded with their background", "crop": "cropped", "stretch": "stretched"}
PARTS = ("format", "provenance", "values", "warnings", "neighbours")  # of a report

USE = """\
Research and teaching on generative models and image processing: for example to compare methods,
to try software before real images are at hand, or to study what a network learns from such data.
Whether generated images help to train another model has to be measured on real images of people
that neither of the two has seen."""

LIMITS = """\
- Not for diagnosis, treatment, or any other decision about a person. Anatomy in generated images
  may be wrong in ways that are hard to see.
- It may reproduce people that it was trained on, whole or in part. A search for copies that finds
  none proves no privacy: it does not see mirrored or turned copies, nor parts.
- It repeats what its training images over- and under-represent, and draws rare findings less
  often than they are, or never. Do not count anything in generated images.
- It knows single images, not patients: neighbouring slices, other contrasts and the course of a
  disease are unknown to it."""

CLASSES = """\
- A class is a label of the training images. That images differ when the model is told another
  class is no evidence that real people differ so."""

MISSING = """\
To be added by whoever trained it: name, version and licence of the data set; scanners and
sequences; age, sex and diagnoses of the people; how they consented."""

LOADING = """\
```python
import stylegan2_tf

model = stylegan2_tf.load("{name}")
images = model.sample(16, seed=0)  # float32 [16, {shape}] in [-1, 1], black to white
```

`stylegan2-tf info {name}` tells whether the file is whole, `stylegan2-tf generate {name}
images` draws from it."""


def make_card(info, report=None):
    """The model card of a generator.

    Args:
        info: `model_info.ModelInfo`.
        report: What `read_report` gave; None where nothing was measured.

    Returns:
        Markdown text.
    """
    sides, channels = info.resolution, info.synthesis["channels"]
    limits = [LIMITS, CLASSES] if info.classes else [LIMITS]
    sections = {
        "What it is": [_summary(info, sides, channels)],
        "Intended use": [USE],
        "Limits": ["\n".join(limits)],
        "Training data": _data(info, sides, channels),
        "Training": _training(info),
        "Measurements": _measurements(report),
        "Memorisation": _memorisation(report),
        "Files": _files(info),
        "How to load": [LOADING.format(name=info.path.name,
                                       shape=", ".join(map(str, (*sides, channels))))]}
    title = f"# Model card: {info.architecture} generator, {as_text(sides)} pixels"
    parts = [title, *(f"## {name}\n\n" + "\n\n".join(paragraphs)
                      for name, paragraphs in sections.items())]
    return "\n\n".join(parts) + "\n"


def read_report(path, info):
    """Read the `report.json` of an evaluation of this very generator.

    Args:
        path: The file that `stylegan2-tf evaluate` wrote.
        info: `model_info.ModelInfo` of the generator.

    Returns:
        Its content, a dict.

    Raises:
        DataError: It is no such report, or one of another generator.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in PARTS if name not in report]
        if missing:
            raise ValueError(f"one without {', '.join(missing)}")
        if report["format"] != FORMAT:
            raise ValueError(f"format {report['format']!r}, not {FORMAT}")
        measured = report["provenance"]["fakes"].get("sha256")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: expected a report.json of stylegan2-tf evaluate, found other "
                        "JSON") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a report.json of stylegan2-tf evaluate, found: "
                        f"{one_line(error)}") from error
    if measured != info.hashes[info.path.name]:
        raise DataError(f"{path}: expected a report on {info.path.name} as it is now, found one on "
                        "another model or state; evaluate again")
    return report


# -- sections, each a list of paragraphs


def _summary(info, sides, channels):
    classes = f"told one of the classes {_listed(info.classes)}" if info.classes else (
        "without classes")
    return (f"A {info.architecture} generator with {info.parameters['generator']:,} parameters, "
            f"made with stylegan2_tf. It turns {info.z_dim} random numbers into an image of "
            f"{as_text(sides)} pixels ({COLOURS.get(channels, channels)}), {classes}.")


def _data(info, sides, channels):
    found = info.images
    rows = {"images trained on": _count(found.trained, found.subjects),
            "images held out": "none" if found.held == 0 else _count(
                found.held, found.held_subjects),
            "brought to": f"{as_text(sides)} pixels, {channels} "
                          f"channel{'s' * (channels != 1)}; other shapes were "
                          f"{FITTED.get(info.config.get('fit'), 'changed in a way not known')}",
            # Other classes than those the model itself names are folders or labels of the user.
            **{f"of class {_text(name)}": f"{count:,}" for name, count in found.classes.items()
               if name in info.classes},
            "fingerprint (SHA-256)": f"`{found.fingerprint}`" if found.fingerprint else "not known"}
    paragraphs = [_table(("", ""), rows.items()), LICENCE]
    if info.config and info.config.get("init_from", "left out of the manifest"):
        paragraphs.append("The training started from the weights of another model. What that one "
                          "was trained on counts as training data, too.")
    return [*paragraphs, MISSING]


def _training(info):
    done = info.training
    if not done:
        return ["Not known: there was no manifest.json beside the model."]
    text = f"{done.get('step', 0):,} steps, {done.get('nimg', 0):,} images seen"
    if "epoch" in done:
        text += f" ({done['epoch']:,.1f} epochs), {done['seconds']:,.0f} seconds"
    if info.best:
        text += f"; this state had the best {_listed(info.best)} so far"
    versions = ", ".join(f"{name} {_text(version)}" for name, version in info.versions.items())
    return [f"{text}. Written by {versions}.", "Settings, as arguments of the training (paths and "
            "patterns of names left out):", f"```\n{' '.join(info.settings(PRIVATE))}\n```"]


def _measurements(report):
    if report is None:
        return ["None: there is no report on this state of the model. `stylegan2-tf evaluate` "
                "makes one."]
    about = report["provenance"]
    psi = about["fakes"].get("truncation_psi", 1.0)
    reference = "that were held out" if "holdout" in about else (
        "that it may have been trained on")
    rows = [(_text(with_unit(value["label"], value["unit"])),
             _interval(value["value"], value["interval"]),
             _interval(value["floor"], value["floor_interval"]),
             "as real" if value["better"] == "near" else _text(value["better"]),
             _text(value["note"])) for value in report["values"].values()]
    head = ("measure", "generated [95 %]", "real images [95 %]", "better", "note")
    return [f"{about['images_on_each_side']:,} generated images against as many real ones "
            f"{reference}; truncation psi {psi:g}; features by {_text(about['extractor'])}. The "
            "column of real images is the same measure between two sets of real images: no "
            "generator should be expected to be better.",
            _table(head, rows), *(f"Warning: {_text(text)}." for text in report["warnings"])]


def _memorisation(report):
    if not (report and report["neighbours"]):
        return ["Not measured. Without a search for copies of training images the model should be "
                "treated like these images."]
    return [_neighbours(found) for found in report["neighbours"].values()] + [
        "Near images are no proof of copying, and none found is no proof of privacy: the pairs in "
        "the report's pictures have to be looked at."]


def _neighbours(found):
    by, count = found["calibrated_by"], found["calibration"]["count"]
    fakes, near = found["fakes"]["count"], found["suspicious_count"]
    name = f"By {_text(found['distance_name'])}: "
    if by not in COMPARED:
        return f"{name}{near:,} of {fakes:,} generated images equal a training image; there was " \
            "no real image to compare near ones with."
    text = (f"{name}{near:,} of {fakes:,} generated images are closer to a training image than "
            f"{100 - 100 / ONE_IN:g} % of {COMPARED[by]}; about {fakes / ONE_IN:,.1f} are expected "
            "by chance.")
    if count < ONE_IN - 1:
        text += f" This rests on {count} real images only, so that more are expected by chance."
    return text


def _files(info):
    agreement = "They agree with the manifest of the run." if info.verified else (
        "There was no manifest to compare them with.")
    rows = [(f"`{name}`", f"`{value}`") for name, value in info.hashes.items()]
    return [_table(("file", "SHA-256"), rows), agreement]


# -- Markdown


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text):
    """`text` from outside as one line that is no markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", printable(str(text)))


def _listed(names):
    return ", ".join(map(_text, names))


def _count(images, subjects):
    if images is None:
        return "not known"
    return f"{images:,}" + (f", of {subjects:,} subject{'s' * (subjects != 1)}" if subjects else "")


def _interval(value, interval):
    """`with_interval` of what JSON holds, where null stands for a value that is not finite."""
    ends = interval and [math.nan if end is None else end for end in interval]
    return with_interval(math.nan if value is None else value, ends)
