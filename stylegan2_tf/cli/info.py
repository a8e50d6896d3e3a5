"""`stylegan2-tf info`: what a trained model is, and whether its files are whole."""

from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError
from stylegan2_tf.sides import as_text

WIDTH = 13  # of the names in front of the lines
UNKNOWN = "not known: no manifest.json beside it says so"
UNTOLD = "not told: manifest.json holds no paths, and the run folder is not around it"


def add_arguments(parser):
    parser.add_argument("path", metavar="PATH", help="run folder, its Model, or generator.keras")


def run(arguments):
    """Print what is known. Returns the exit code."""
    from stylegan2_tf.model_info import read_info

    info = read_info(arguments.path)
    for name, text in describe(info):
        print(f"{name:{WIDTH}}{printable(text)}")
    if info.problem:  # with the file beside it: all that is known of the generator is above
        raise DataError(info.problem)
    return 0


def describe(info):
    """Yield (name, text) of each line on a `ModelInfo`."""
    from stylegan2_tf.model_info import LICENCE

    synthesis = info.synthesis
    yield "model", str(info.path)
    yield "network", (
        f"{info.architecture}, {as_text(info.resolution)}x{synthesis['channels']}, "
        f"z {info.z_dim}, w {info.w_dim}; channels from {as_text(synthesis['base_resolution'])} "
        f"up: {' '.join(map(str, synthesis['filters']))}")
    yield "parameters", ", ".join(f"{count:,} of the {name}"
                                  for name, count in info.parameters.items())
    yield "classes", ", ".join(info.classes) or "none: not trained with --conditional"
    yield "settings", " ".join(info.settings(("data_dir", "output_dir"))) or UNKNOWN
    if info.config:
        yield "data", str(info.config.get("data_dir", UNTOLD))
    yield "images", "; ".join(describe_images(info.images)) or "not known"
    yield "fingerprint", info.images.fingerprint or UNKNOWN
    yield "training", ", ".join(describe_training(info)) or UNKNOWN
    if info.best:
        yield "chosen by", ", ".join(f"{name} {value:.4g}" for name, value in info.best.items())
    yield "written by", ", ".join(f"{name} {version}" for name, version in info.versions.items())
    agreement = "as in manifest.json" if info.verified else "not verified: no manifest.json"
    for name, value in info.hashes.items():
        yield "file", f"{name}, sha256 {value}, {agreement}"
    yield "licence", LICENCE


def describe_images(images):
    """Texts on the `Images` of a model: "608 trained on (320 old, 288 young), of 19 subjects"."""
    def of(people):
        return f", of {people:,} subject{'s' * (people != 1)}" if people else ""

    if images.trained is not None:
        classes = ", ".join(f"{count:,} {name}" for name, count in images.classes.items())
        yield f"{images.trained:,} trained on{classes and f' ({classes})'}{of(images.subjects)}"
    if images.held:
        yield f"{images.held:,} held out{of(images.held_subjects)}"
    elif images.held == 0:
        yield "none held out"


def describe_training(info):
    """Texts on how long a model was trained: "2,632 steps", "84.2 kimg" and the like."""
    units = {"step": lambda value: f"{value:,} steps",
             "nimg": lambda value: f"{value / 1000:,.1f} kimg",
             "epoch": lambda value: f"{value:,.1f} epochs",
             "seconds": lambda value: f"{value:,.0f} seconds"}
    return [units[name](value) for name, value in info.training.items()]

