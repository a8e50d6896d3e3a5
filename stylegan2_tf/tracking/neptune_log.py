"""The Neptune record of a run: on a server that answers, else a folder that is sent later."""

import base64
import contextlib
import json
import logging
import math
import os
import shlex
import ssl
import threading
import urllib.request
import warnings
from pathlib import Path

from stylegan2_tf.tracking.base import Tracker, reason, tagged

SYNC = "python -c 'from neptune.cli.commands import sync; sync()'"
CHECK_SECONDS = 5
STOP_SECONDS = 60
MAX_IMAGE_BYTES = 32 * 1024**2


class NeptuneLog(Tracker):
    """Configuration, scalar series, image grids and the final model with `neptune-client`.

    The record goes to a server only when `NEPTUNE_API_TOKEN` and `NEPTUNE_PROJECT` are
    set and the server named inside the token answers within `CHECK_SECONDS`. Otherwise
    it is an offline record in `folder`, complete in itself: images lie inside the stream,
    models are copied (which needs their size on the disk again). One printed line says
    which, and how to send it later. Each start of a run is one record of its own.

    What is recorded: `parameters/...` from `start`, `train/...` from `scalars` (numbers
    that are not finite are left out, Neptune refuses them), `validation/...` from `image`,
    `model/...` from `artifact`, and `status` at the end.

    Privacy: paths, file names, source code, git state, console output and tracebacks are
    not recorded, nor is the name of the run folder. The client itself adds the name of the
    started script, the operating system and Python version, and the process id; not the
    host name, which it would add with any of the captures. `parameters` holds what `start`
    is given. Sending a record to a server removes it from `folder`.

    Args:
        folder: Where the client keeps its files, in `.neptune` as its own commands expect.

    Raises:
        ImportError: `neptune-client` is not installed.
    """

    name = "neptune"

    def __init__(self, folder):
        folder = Path(folder).resolve()
        offline = why_offline(os.environ)
        settings = {
            "NEPTUNE_DATA_DIRECTORY": str(folder / ".neptune"),
            # The client's own are 600 s and 60 s.
            "NEPTUNE_REQUEST_TIMEOUT": os.environ.get("NEPTUNE_REQUEST_TIMEOUT", "30"),
            "NEPTUNE_RETRIES_TIMEOUT": os.environ.get("NEPTUNE_RETRIES_TIMEOUT", "10"),
        }
        with _environment(settings), warnings.catch_warnings(record=True):
            warnings.simplefilter("ignore")
            import neptune
            from neptune.types import File

            logging.getLogger("neptune").setLevel(logging.WARNING)
            if not offline:
                try:
                    self._run = _init_run(neptune, "async")
                except Exception as error:
                    offline = reason(error)
            if offline:
                self._run = _init_run(neptune, "offline")
        self._file = File
        if offline:
            later = f"{SYNC} --path {shlex.quote(str(folder))} --project WORKSPACE/PROJECT"
            place = f"record in {folder}; to send it later: {later}"
            print(f"neptune: offline ({offline}), {place}", flush=True)
        else:
            print(f"neptune: online at {self._run.get_url()}, copy in {folder}", flush=True)

    def start(self, config):
        self._run["parameters"] = {key: _simple(value) for key, value in config.items()}
        self._to_disk()

    def scalars(self, values, *, step, nimg, seconds):
        for name, value in {**values, "nimg": nimg, "seconds": seconds}.items():
            if math.isfinite(value):
                self._run[tagged(name, "train")].append(float(value), step=step)
        self._to_disk()

    def image(self, name, path, *, step):
        size = os.path.getsize(path)
        if size > MAX_IMAGE_BYTES:
            raise ValueError(f"an image must be under {MAX_IMAGE_BYTES} bytes. Received: {size}")
        self._run[tagged(name, "validation")].append(self._file(str(path)), step=step)
        self._to_disk()

    def artifact(self, name, path):
        # From a stream the client copies the file; from a path it would only note the path.
        with open(path, "rb") as stream:
            extension = Path(path).suffix.lstrip(".")
            copied = self._file.from_stream(stream, extension=extension)
            self._run[tagged(name, "model")].upload(copied)
        self._to_disk()

    def close(self, status="finished"):
        self._run["status"] = status
        self._run["sys/failed"] = status == "failed"
        self._run.stop(seconds=STOP_SECONDS)

    def _to_disk(self):
        self._run.wait(disk_only=True)


def why_offline(environment):
    """Return why no server can be used, or `None` when one answers.

    Args:
        environment: Mapping with `NEPTUNE_API_TOKEN` and `NEPTUNE_PROJECT`.
    """
    for variable in ("NEPTUNE_API_TOKEN", "NEPTUNE_PROJECT"):
        if not environment.get(variable):
            return f"{variable} is not set"
    try:
        content = json.loads(base64.b64decode(environment["NEPTUNE_API_TOKEN"]))
        address = content.get("api_url") or content["api_address"]
    except (ValueError, LookupError, AttributeError):
        return "NEPTUNE_API_TOKEN can't be decoded"
    outcome = [f"{address} does not answer within {CHECK_SECONDS} s"]
    # A thread, because looking up a host name knows no timeout.
    check = threading.Thread(target=_check, args=(address, outcome), daemon=True)
    check.start()
    check.join(CHECK_SECONDS)
    return outcome[-1]


def _check(address, outcome):
    # No secret is sent: whether the certificate is good is for the client to decide.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    url = address.rstrip("/") + "/api/backend/swagger.json"
    try:
        with urllib.request.urlopen(url, timeout=CHECK_SECONDS, context=context) as answer:
            json.load(answer)
        outcome.append(None)
    except Exception as error:
        outcome.append(f"{address}: {reason(error)}")


def _init_run(neptune, mode):
    return neptune.init_run(
        mode=mode,
        name="stylegan2_tf",
        source_files=[],
        git_ref=False,
        capture_stdout=False,
        capture_stderr=False,
        capture_traceback=False,
        capture_hardware_metrics=False,
    )


def _simple(value):
    # Neptune has no lists, no None, and only 32 bits for an integer.
    if isinstance(value, int) and abs(value) >= 2**31:
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) else json.dumps(value)


@contextlib.contextmanager
def _environment(settings):
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
