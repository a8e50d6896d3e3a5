"""Whatever stands on the command line or in a configuration: one line that names it, or it works.

The quick profile is part of the ordinary suite, `slow` tries more of the same.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image

from stylegan2_tf.cli import COMMANDS, Parser, main
from stylegan2_tf.cli.summary import loss_terms, warnings
from stylegan2_tf.config import TrainConfig, from_json, make_config
from stylegan2_tf.data import printable
from stylegan2_tf.errors import UsageError
from stylegan2_tf.options import SIZES, flag, value_type
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.schedule import Schedule

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")  # not into the repository

CODES = {2, 65, 74, 75}
PROFILES = pytest.mark.parametrize("examples", [
    pytest.param(150, id="quick"), pytest.param(2500, id="long", marks=pytest.mark.slow)])


def many(strategy, examples, check):
    """Call `check` with so many different examples, the same ones in every run."""
    @settings(max_examples=examples, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(strategy)
    def test(example):
        check(example)

    test()


# -- what is given

NUMBERS = ["0", "1", "2", "3", "4", "8", "16", "64", "-1", "-0.5", "0.5", "1e-300", "1e300",
           "1e999", "nan", "inf", "-inf", "NaN", "9" * 20, "9" * 400, "9" * 5000, "1_000", "0x10",
           "1e5", "²", "٣", "½", "1.5.2", "--1", "+4", " 4", "4 "]
WORDS = ["", " ", "auto", "none", "all", "swd,kid", "small-data", "simple", "stylegan", "dcgan",
         "wgan-gp", "relativistic", "32x64", "3x3", "0x0", "16x", "x", "0-3", "3-0", "0-999999999",
         "1,2", "1,,2", ",", "8,4", "-3:3:7", "::", "(", "(.)", "(a+)+$", "AD,NC", "\udcff", "🧠",
         "a\nb", "\r\x1b[31m", "%s %d", "{0}", "$HOME", "~", "-", "--", "-n", "--help", "--x=1"]
PATHS = ["data", "data2", "data/0.png", "data/out", "no/such", "file", "file/inner", "out", "taken",
         "out.png", "out.gif", "out.svg", "out.md", "out.csv", "out.onnx", "out.npz:0", "bad.npz:0",
         "folder.png", "bad.keras", "bad", "labels.csv", "[1]", "a\\b", ".", "..", "x" * 300,
         "\udcff/\udcfe", "名/🧠"]
TEXTS = st.text(max_size=6).map(lambda text: text.replace("/", "_").replace("\0", "_"))
ANYTHING = st.one_of(*map(st.sampled_from, (NUMBERS, WORDS, PATHS)), TEXTS)


TRAINS = "data out 4 8 4 4 4 --resolution 16 --batch 4".split()


def parser_of(command):
    parser = Parser(prog=command, allow_abbrev=False)
    importlib.import_module(f"stylegan2_tf.cli.{command.replace('-', '_')}").add_arguments(parser)
    return parser


def values_of(action):
    """Strategy of lists: what may follow a flag, or stand for a positional argument."""
    likely = list(map(str, action.choices)) if action.choices else (
        NUMBERS[:9] if action.type in (int, float) else PATHS)
    value = st.one_of(st.sampled_from(likely), st.sampled_from(likely), ANYTHING)
    if action.nargs == 0:
        return st.just([])
    return st.lists(value, min_size=0, max_size=3) if action.nargs in ("+", "*") else (
        st.lists(value, min_size=1, max_size=1))


@st.composite
def command_lines(draw):
    """A command with flags of its own, some of them strange, missing or given twice."""
    command = draw(st.sampled_from([*COMMANDS, "train", "train"]))
    actions = parser_of(command)._actions
    positional = [action for action in actions if not action.option_strings]
    optional = [action for action in actions if action.option_strings]
    if command == "train" and draw(st.booleans()):
        parts = [TRAINS]
    else:
        parts = [draw(values_of(action)) for action in positional]
    for action in draw(st.lists(st.sampled_from(optional), max_size=4)):
        name, values = draw(st.sampled_from(action.option_strings)), draw(values_of(action))
        if values and draw(st.booleans()):
            parts.append([f"{name}={values[0]}", *values[1:]])
        else:
            parts.append([name, *values])
    if draw(st.integers(0, 9)) == 0:
        parts.append([draw(ANYTHING)])
    if draw(st.integers(0, 4)) == 0:
        parts = draw(st.permutations(parts))
    return [command, *(text for part in parts for text in part)]


# -- where it is tried


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to stand in, with what the paths name; everything that would take long ends it."""
    place = tmp_path_factory.mktemp("fuzz") / "inner"
    for name in ("data", "data2", "folder.png", "bad"):
        (place / name).mkdir(parents=True)
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
        for folder in ("data", "data2"):
            Image.fromarray(pixels).save(place / folder / f"{number}.png")
    for name in ("file", "bad.keras", "bad.npz", "bad/generator.keras", "labels.csv"):
        (place / name).write_text("no such thing")
    with pytest.MonkeyPatch.context() as patch, RunFolder(place / "taken"):
        patch.chdir(place)
        for name in ("tf_quiet.import_keras", *(f"{module}.import_tensorflow" for module in (
                         "tf_quiet", "team", "verification.state")),
                     "cli.evaluate._evaluate", "demo.load_template"):
            patch.setattr(f"stylegan2_tf.{name}", stop)
        yield place


def stop(*arguments, **options):
    """In place of work that takes long: all checks before it have passed."""
    raise SystemExit(0)


def terminal():
    """A stream as strict as a terminal that shows UTF-8."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def call(arguments):
    """(Exit code, what is said on standard error) of a command line."""
    out, err = terminal(), terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
        out.flush()
        err.flush()
    return code, err.buffer.getvalue().decode()


def names(arguments):
    """What a refusal may name: the arguments of the command, and what was given."""
    actions = parser_of(arguments[0])._actions if arguments[0] in COMMANDS else []
    own = {name for action in actions
           for name in (*action.option_strings, action.dest, str(action.metavar))}
    given = {printable(" ".join(part.split()))
             for text in arguments for part in (text, text.partition("=")[2])}
    return own | {text if len(text) > 2 else f" {text}" for text in given if text} | {
        "expected a run folder", "expected the folder of a run"}  # of a path that is a space


def check_line(arguments):
    code, said = call(arguments)
    event(f"{arguments[0]}: {code}")
    if code == 0:
        return
    assert code in CODES, (code, said)
    lines = said.splitlines()
    refusal = lines[-1]
    assert refusal.startswith("stylegan2-tf: error: "), said
    assert len(lines) == 1 and refusal.isprintable(), said
    assert len(refusal) < 1000 + 12 * max(map(len, arguments)), said
    assert any(name in refusal for name in names(arguments)), said


@PROFILES
def test_command_lines(place, figures, examples):
    many(command_lines(), examples, check_line)
    figures("random command lines", f"{examples:,}: 0 tracebacks, each refusal is one line that "
            "names an argument")


@PROFILES
def test_words_without_sense(place, figures, examples):
    def check(arguments):
        code, said = call(arguments)
        assert code == 0 or code in CODES and len(said.splitlines()) == 1, said

    many(st.lists(ANYTHING, min_size=1, max_size=8), examples, check)
    figures("random words as a command", f"{examples:,}: 0 tracebacks, each refusal is one line")


# -- configurations

WILD = [None, True, False, 0, 1, -1, 4, 16, 2**31, 2**63, 10**400, -0.0, 0.5, 1e-300, 1e300,
        math.nan, math.inf, "", "16", "32x64", "x", "auto", b"16", [16, 16], (16, 32), (16,), {},
        [], np.float32(0.5), np.int64(16), np.nan, 1j, object]
LIKELY = {str: ["none", "swd,kid", "AD,NC", "8,4", "(.)", "data"], bool: [True, False],
          int: [1, 2, 3, 4, 8, 16, 32, 64, 100], float: [0.0, 0.5, 1.0, 2.0, 80.0, 1e-4]}


def values_of_field(field):
    likely = [*(field.metadata["choices"] or LIKELY[value_type(field)]), field.default]
    likely += [8, 16, "15x16", "60x64", "240x256"] if "int | str" in str(field.type) else []
    return st.one_of(*[st.sampled_from(likely)] * 3, st.sampled_from(WILD), st.integers(),
                     st.floats(), st.text(max_size=5))


FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}


@st.composite
def changes(draw):
    """Values for some fields."""
    chosen = draw(st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=5, unique=True))
    return {name: draw(values_of_field(FIELDS[name])) for name in chosen}


def use(config):
    """Ask a configuration for all that follows from it before any network is built."""
    for name in dir(TrainConfig):
        if isinstance(getattr(TrainConfig, name), property):
            getattr(config, name)
    for number in (1, 5, 10**6):
        config.metrics_interval(number)
        schedule = Schedule(config, config.epochs * number)
        assert [schedule.at(nimg).batch for nimg in (0, 10**9)]
    assert 0 <= config.alpha(0) <= config.alpha(3.5) <= config.alpha(10**6) <= 0.5
    assert config.r1_weight >= 0 and math.isfinite(config.adam_rate)
    assert min(config.generator_filters) >= 1
    assert warnings(config) is not None and loss_terms(config)
    text = json.dumps(config.to_json())
    assert from_json(text).to_json() == json.loads(text)


def check_config(make, values):
    try:
        config = make(values)
    except UsageError as error:
        said = str(error)
        assert "\n" not in said.strip() and len(said) < 6000
        related = {*values, "resolution", *SIZES, "preset"}
        assert any(flag(name) in said or name in said for name in related), said
        event("refused")
        return
    event("accepted")
    use(config)


@PROFILES
def test_configurations(tiny_config, figures, examples):
    many(changes(), examples, lambda values: check_config(
        lambda changed: tiny_config(**changed), values))
    figures("random configurations",
            f"{examples:,}: each refused by the name of a field, or usable")


@PROFILES
def test_what_a_user_gives(tiny_config, examples):
    usual = tiny_config().to_json()
    start = {name: usual[name] for name in ("data_dir", "output_dir", *SIZES)}
    many(changes(), examples, lambda values: check_config(
        lambda changed: make_config({**start, **changed}), values))
