"""The command line: `stylegan2-tf COMMAND ...`, one thin module a command."""

import argparse
import contextlib
import importlib
import io
import signal
import sys
import threading

from stylegan2_tf.data import printable
from stylegan2_tf.errors import OutputError, StyleGANError, UsageError

COMMANDS = {
    "train": "train on a folder of images (the same as run.py)",
    "prepare": "make a data set of images, archives, NIfTI, Analyze or DICOM, read once for all",
    "preview": "what a folder of images holds, in words and in one picture; both show file names",
    "evaluate": "measure a generator or a folder against real images, without a download",
    "generate": "images of a trained generator, one for each seed",
    "interpolate": "an animation from seed to seed and back, in a loop",
    "mix": "a table of images with some layers of one seed and some of another",
    "truncate": "the same seeds from the mean image to full variety",
    "project": "the latents whose images resemble given ones, and how well",
    "directions": "what the latent space can change, as strips of images and as files",
    "embed": "whether classes differ in style: numbers against chance, and a picture",
    "export": "a generator for other programs: SavedModel, ONNX or LiteRT, checked against Keras",
    "info": "what a model is, what it was trained on, and whether its files are whole",
    "verify": "whether everything in a run folder is whole and would resume; changes nothing",
    "reproduce": "the command line of a run, and its training repeated and compared bit by bit",
    "card": "a model card in Markdown: data, use, limits, measurements",
    "demo-data": "make demonstration slices from the MNI152 template",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        raise UsageError(f"{message}; see {self.prog} --help")


def main(arguments=None, prog="stylegan2-tf"):
    """Run a command. Returns the exit code: 0, or that of the error (see `errors`)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(_overview(prog))
        return 0
    return run_command(name, rest, prog, f"{prog} {name}")


def run_command(name, arguments, prog, usage):
    """Parse `arguments` for the command `name` and run it.

    Args:
        name: A key of `COMMANDS`.
        arguments: What follows it on the command line.
        prog: How the program calls itself in errors.
        usage: How the command is called in its help.

    Returns:
        The exit code. Errors are printed as one line; only a bug gives a traceback.
    """
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal can't show ends no training
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out = None
    try:
        if name not in COMMANDS:
            raise UsageError(f"expected a command ({', '.join(COMMANDS)}), found {name!r}")
        module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
        parser = Parser(prog=usage, description=COMMANDS[name], allow_abbrev=False)
        module.add_arguments(parser)
        for text in arguments:  # argparse drops this value
            if text.startswith("-") and text.endswith("=--"):
                parser.error(f"argument {text[:-3]}: expected one argument, found --")
        given = parser.parse_intermixed_args(arguments)
        out = getattr(given, "out", None)
        with _terminated_in_order():
            return module.run(given)
    except StyleGANError as error:
        _explain(prog, error)
        return error.exit_code
    except OSError as error:
        _explain(prog, error)
        return OutputError.exit_code
    except KeyboardInterrupt as stop:
        unfinished = "; nothing was lost" if name == "train" else (
            f": {printable(str(out))} was not finished" if out else "")
        print(f"{prog}: stopped{unfinished}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)


class _Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


@contextlib.contextmanager
def _terminated_in_order():
    """Inside, SIGTERM ends as Ctrl-C does: temporary files are removed. Once more ends at once."""
    def stop(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # the others get no signal
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain(prog, error):
    """Print an error as one line; it may quote the names of files, which may hold anything."""
    print(f"{prog}: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)


def _overview(prog):
    lines = [f"usage: {prog} COMMAND ...", "",
             "StyleGAN2 for medical images on TensorFlow and Keras.", "", "commands:"]
    lines += [f"  {name:12}{text}" for name, text in COMMANDS.items()]
    return "\n".join([*lines, "", f"{prog} COMMAND --help tells the rest."])
