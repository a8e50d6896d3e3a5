"""A generator for other programs: as SavedModel, ONNX or LiteRT, checked against Keras.

What is written holds the weights, the noise maps saved with them and the truncation, takes any
number of latents at once, and runs where this package is not installed.

Shapes: `N` batch, `H W` space, `C` channels, `D` latent, `L` classes.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.errors import NumericalError, OutputError, UsageError

ENDINGS = {"savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}  # of what is written
NEEDED = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
FROM_Z, FROM_W = "serving_default", "w"  # names of the signatures
TEMPORARY = ".tmp-export-"  # how names begin beside OUT while it is written
TOLERANCE = 1e-4  # of the grey range [-1, 1]
BATCHES = (1, 2, 7)  # that are compared


def export_generator(model, path, form="savedmodel", truncation_psi=1.0):
    """Write a generator to `path`, load it again and compare its images with those of Keras.

    All forms turn `z [N, z_dim]` and, of a generator with classes, `label [N, L]` (one-hot, or
    weights) into `image [N, H, W, C]`, float32 in `[-1, 1]`, black to white, as
    `latent.sampling.draw` does. SavedModel and LiteRT have a second signature `w`, from
    `w [N, D]`, which is not truncated.

    Args:
        model: A `Generator`, or what `load` returns.
        path: A new folder, or a file that ends in .onnx or .tflite; such a file is replaced.
        form: A key of `ENDINGS`.
        truncation_psi: Built in: see `latent.sampling.LoadedGenerator.sample`.

    Returns:
        The largest difference from Keras, over batches of 1, 2 and 7.

    Raises:
        UsageError: See `check_target`.
        NumericalError: They differ by more than 1e-4; nothing is left at `path`.
    """
    from stylegan2_tf.tf_quiet import import_tensorflow, quiet_stderr

    check_target(path, form)
    tf = import_tensorflow("exporting")
    from stylegan2_tf.latent.sampling import generator_of
    from stylegan2_tf.precision import in_precision

    # In float32: other programs have no convolutions in 16 bits.
    generator = in_precision(generator_of(model), "float32")
    write, load = {"savedmodel": (_write_savedmodel, _load_savedmodel),
                   "onnx": (_write_onnx, _load_onnx),
                   "litert": (_write_litert, _load_litert)}[form]
    with _replacing(Path(path)) as temporary:
        with quiet_stderr():  # converters talk
            write(tf, generator, truncation_psi, temporary)
            difference = _compare(load(tf, temporary), generator, truncation_psi)
        if not difference <= TOLERANCE:  # nor if it is NaN
            raise NumericalError(f"{path}: expected images within {TOLERANCE:g} of those that "
                                 f"Keras draws, found a difference of {difference:.1e}; it was "
                                 "not written: give another --format")
    return difference


def check_target(path, form="savedmodel"):
    """Refuse what can't be written, before any work.

    Args:
        path: As for `export_generator`.
        form: A key of `ENDINGS`.

    Raises:
        UsageError: The form is unknown, its packages are not installed, `path` has another ending
            or there is something that is not replaced.
    """
    path = Path(path)
    if form not in ENDINGS:
        raise UsageError(f"--format: expected one of {', '.join(ENDINGS)}, found {form!r}")
    missing = [name for name in NEEDED.get(form, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"--format {form}: expected the package{'s' * (len(missing) > 1)} "
                         f"{', '.join(missing)}, found none; install what it needs: "
                         f'pip install -e ".[{form}]"')
    ending = ENDINGS[form]
    if ending and path.suffix != ending:
        raise UsageError(f"OUT: expected a file that ends in {ending}, found {path}")
    if not ending and path.suffix in filter(None, ENDINGS.values()):
        raise UsageError(f"OUT: expected a folder, found {path}; give --format for such a file")
    problem = _obstacle(path, ending)
    if problem:
        raise UsageError(f"OUT: expected {'a file' if ending else 'a new or empty folder'}, found "
                         f"{path}, {problem}; remove it or give another OUT")


def _obstacle(path, ending):
    """What is at `path` and is not replaced, or None."""
    if path.is_dir():
        return "a folder" if ending else "a folder with content" if any(path.iterdir()) else None
    return "a file" if path.exists() and not ending else None


@contextlib.contextmanager
def _replacing(path):
    """`files.replacing` for a file or a folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        home = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
    except OSError as error:
        raise OutputError(f"OUT {path}: expected a place that can be written, found: "
                          f"{error.strerror}") from error
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, home, ignore_errors=True)
        with contextlib.suppress(OSError):  # a disk without locks: nothing is swept there either
            held.enter_context(_locked(home))
        temporary = home / path.name
        yield temporary
        for part in (temporary, *temporary.rglob("*")):
            files.sync(part)
        os.replace(temporary, path)
        files.sync(path.parent)


def _sweep(folder):
    """Remove what killed exports left in `folder`: nobody holds it any more."""
    for leftover in folder.glob(f"{TEMPORARY}????????"):
        if leftover.is_dir() and not leftover.is_symlink():
            with contextlib.suppress(OSError), _locked(leftover):
                shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder):
    """Hold a folder, which the end of the process, whatever its reason, lets go."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _functions(tf, generator, psi):
    """Name of each signature -> (function, what it takes)."""
    from keras import ops

    def from_w(w):
        images = generator.synthesis(generator.broadcast(w))
        return {"image": ops.clip(images, -1.0, 1.0)}

    def from_z(z, label=None):
        return from_w(generator.truncate(generator.mapping(z, label), psi))

    def taken(**lengths):
        return [tf.TensorSpec((None, length), tf.float32, name=name)
                for name, length in lengths.items() if length]

    return {FROM_Z: (from_z, taken(z=generator.z_dim, label=len(generator.classes))),
            FROM_W: (from_w, taken(w=generator.mapping.w_dim))}


# -- one pair a form: write, and load as signature -> function from arrays to images


def _write_savedmodel(tf, generator, psi, path):
    from keras.export import ExportArchive

    archive = ExportArchive()
    for name, (function, taken) in _functions(tf, generator, psi).items():
        archive.add_endpoint(name, function, taken)
    archive.write_out(str(path), verbose=False)


def _load_savedmodel(tf, path):
    signatures = tf.saved_model.load(str(path)).signatures

    def caller(name):
        return lambda **inputs: signatures[name](
            **{key: tf.constant(value) for key, value in inputs.items()})["image"].numpy()

    return {name: caller(name) for name in (FROM_Z, FROM_W)}


def _write_onnx(tf, generator, psi, path):
    import onnx
    import tf2onnx

    function, taken = _functions(tf, generator, psi)[FROM_Z]
    model, _ = tf2onnx.convert.from_function(tf.function(function, taken), taken)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"  # the same for z, label and image
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _load_onnx(tf, path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return {FROM_Z: lambda **inputs: session.run(["image"], inputs)[0]}


def _write_litert(tf, generator, psi, path):
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as folder:
        _write_savedmodel(tf, generator, psi, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder,
                                                             signature_keys=[FROM_Z, FROM_W])
        path.write_bytes(converter.convert())


def _load_litert(tf, path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))

    def caller(name):
        return lambda **inputs: interpreter.get_signature_runner(name)(**inputs)["image"]

    return {name: caller(name) for name in (FROM_Z, FROM_W)}


def _compare(signatures, generator, psi):
    """The largest difference of images from those of Keras."""
    from stylegan2_tf.latent.sampling import (
        draw,
        latents_of,
        map_latents,
        one_hot,
        synthesize,
    )

    differences = []
    for count in BATCHES:
        seeds = range(count)
        inputs = {"z": latents_of(seeds, generator.z_dim)}
        w = map_latents(generator, inputs["z"])
        expected = {FROM_Z: draw(generator, inputs["z"], truncation_psi=psi),
                    FROM_W: synthesize(generator, w)}
        if generator.classes:
            inputs["label"] = one_hot(generator, seeds)
        for name, function in signatures.items():
            images = function(**(inputs if name == FROM_Z else {"w": w}))
            differences.append(np.abs(images - expected[name]).max())
    return float(np.max(differences))
