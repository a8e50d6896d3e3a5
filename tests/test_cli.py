import dataclasses
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.options import flag, may_be_auto

ROOT = Path(__file__).parents[1]
SIZES = ["8", "512", "8", "32", "80"]
TINY = ["4", "8", "4", "4", "4", "--resolution", "16", "--batch", "4", "--latent", "8",
        "--epochs", "2", "--val", "4"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of five small images."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def no_tensorflow(tmp_path_factory):
    """An environment in which importing TensorFlow or Keras ends the process with code 99."""
    folder = tmp_path_factory.mktemp("poison")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text("import os; os._exit(99)")
    return os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "999"}


def call(*arguments, program=("run.py",), env=None, cwd=ROOT):
    program = [str(ROOT / name) if name.endswith(".py") else name for name in program]
    return subprocess.run([sys.executable, *program, *map(str, arguments)], env=env, cwd=cwd,
                          capture_output=True, text=True)


def fastest(tries, *arguments, **options):
    """The last result of at most `tries` calls, and the seconds of the fastest."""
    seconds = []
    for _ in range(tries):
        started = time.perf_counter()
        result = call(*arguments, **options)
        seconds.append(time.perf_counter() - started)
    return result, min(seconds)


# -- help


@pytest.mark.parametrize("program", [
    ("run.py",), ("-m", "stylegan2_tf"), ("-m", "stylegan2_tf", "train")])
def test_help_comes_at_once(no_tensorflow, program):
    result, seconds = fastest(3, "--help", program=program, env=no_tensorflow)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: ")
    assert result.stderr == ""
    assert seconds < 1.0  # half a second where nothing else runs


def test_without_a_command_the_commands_are_listed(capsys):
    assert main([]) == 0
    assert re.search(r"^  train +train on a folder", capsys.readouterr().out, re.MULTILINE)


@pytest.fixture(scope="module")
def help_entries(no_tensorflow):
    """What `run.py --help` says about each flag and argument, on one line each."""
    sections = call("--help", env=no_tensorflow).stdout.split("\n\n", 1)[1]
    entries = {}
    for entry in re.split(r"\n  (?=\S)", sections):
        entry = " ".join(entry.split())
        for name in re.findall(r"^[a-z]\w+|^(?:-\w, )?(--[\w-]+)", entry):
            entries[name or entry.split()[0]] = entry
    return entries


@pytest.mark.parametrize("field", dataclasses.fields(TrainConfig), ids=lambda field: field.name)
def test_help_tells_every_field_and_its_default(help_entries, field):
    entry = help_entries[flag(field.name)]
    assert field.metadata["help"] in entry
    assert not may_be_auto(field) or "auto:" in entry
    assert field.metadata["unit"] in entry
    if field.metadata["group"] == "positional" or field.default is None:
        assert "(default" not in entry
    elif field.default is False:
        assert "(default: off)" in entry
    else:
        assert f"(default: {field.default}" in entry


def test_neptune_has_its_short_flag(help_entries):
    assert help_entries["--neptune"].startswith("-n, --neptune ")


# -- refusals


def refused(code, text, *arguments, program=("run.py",), cwd=ROOT, env=None):
    """Check that `arguments` are refused with one line that says `text`, and soon."""
    started = time.perf_counter()
    result = call(*arguments, program=program, cwd=cwd, env=env)
    seconds = time.perf_counter() - started
    if seconds >= 2:  # the machine may have been busy
        seconds = fastest(2, *arguments, program=program, cwd=cwd, env=env)[1]
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1
    assert ": error: " in result.stderr
    assert text in result.stderr
    assert seconds < 2


@pytest.mark.parametrize("text, arguments", [
    ("missing g_input_res, g_init_filters, d_final_res, d_input_filters, fade_in_base", []),
    ("missing d_final_res, d_input_filters, fade_in_base", ["8", "512"]),
    ("unrecognized arguments: --lrate", [*SIZES, "--lrate", "1"]),
    ("unrecognized arguments: --epo", [*SIZES, "--epo", "1"]),
    ("unrecognized arguments: 7", [*SIZES, "7"]),
    ("argument --batch: invalid int value: 'many'", [*SIZES, "--batch", "many"]),
    ("argument --lr: expected one argument", [*SIZES, "--lr"]),
    ("argument --lr: expected one argument, found --", [*SIZES, "--lr=--"]),
    ("argument g_init_filters: invalid int value: 'x'", ["8", "x", "8", "32", "80"]),
    ("--batch: expected at least 4, found 2", [*SIZES, "--batch", "2"]),
    ("--resolution: expected g_input_res 8x8 times a power of two, found 100x100; for it "
     "g_input_res can be 25, 50", [*SIZES, "--resolution", "100"]),
    ("--resolution: expected a positive side or height x width such as 240x256, found '64x'",
     [*SIZES, "--resolution", "64x"]),
    ("g_input_res: expected a positive side or height x width such as 240x256, found 'x'",
     ["x", *SIZES[1:]]),
    ("--style-mixing: expected with --arch stylegan2 or stylegan, found --arch dcgan",
     [*SIZES, "--arch", "dcgan", "--style-mixing", "0.9"]),
    ("--stage-kimg: expected with --progressive, found it alone", [*SIZES, "--stage-kimg", "2"]),
    ("--labels: expected with --conditional or --classes", [*SIZES, "--labels", "labels.csv"]),
    ("g_input_res: expected below --resolution 64x64, found 64x64; give one of 2, 4, 8, 16, 32",
     ["64", "512", "8", "32", "80", "--resolution", "64"]),
    ("fade_in_base: expected a number above 0, found 0.0", ["8", "512", "8", "32", "0"]),
    ("argument --channels: invalid choice: 2 (choose from 1, 3, 4)", [*SIZES, "--channels", "2"]),
    ("--lr: expected a finite number, found nan", [*SIZES, "--lr", "nan"]),
    ("--lr: expected a number above 0, found -1.0", [*SIZES, "--lr", "-1"]),
    ("--preset recommended: expected --resolution 256, 128, 64, found 32",
     ["--preset", "recommended", "--resolution", "32"])])
def test_usage_is_refused_in_one_line(no_tensorflow, tmp_path, text, arguments):
    refused(2, text, "data", "out", *arguments, cwd=tmp_path, env=no_tensorflow)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_terminal_cannot_show_is_escaped(no_tensorflow):
    for encoding in ("ascii", "utf-8"):
        result = call("verify", os.fsdecode("é\udcff\n🧠".encode("utf-8", "surrogateescape")),
                      program=("-m", "stylegan2_tf"),
                      env=no_tensorflow | {"PYTHONIOENCODING": encoding})
        assert result.returncode in (2, 65) and result.stderr.count("\n") == 1
        assert "\\udcff" in result.stderr and "Traceback" not in result.stderr


def test_missing_paths_are_refused(no_tensorflow):
    refused(2, "the following arguments are required: data_dir, output_dir; see run.py --help",
            env=no_tensorflow)


def test_an_unknown_command_is_refused(no_tensorflow):
    refused(2, "expected a command (train, ", "trian", "data", program=("-m", "stylegan2_tf"),
            env=no_tensorflow)


def test_a_missing_data_folder_is_refused(no_tensorflow, tmp_path):
    refused(2, str(tmp_path / "none"), tmp_path / "none", tmp_path / "out", *SIZES,
            env=no_tensorflow)


def test_an_empty_data_folder_is_refused(no_tensorflow, tmp_path):
    (tmp_path / "data").mkdir()
    refused(65, f"No images in {tmp_path / 'data'}", tmp_path / "data", tmp_path / "out", *SIZES,
            env=no_tensorflow)


def test_a_file_in_place_of_the_run_folder_is_refused(no_tensorflow, images, tmp_path):
    (tmp_path / "out").write_text("mine")
    refused(74, f"output_dir {tmp_path / 'out'}: expected a folder", images, tmp_path / "out",
            *SIZES, env=no_tensorflow)


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_batch_above_the_number_of_images_is_refused(no_tensorflow, images, tmp_path, dry_run):
    """And leaves no configuration behind that would stand in the way of the corrected command."""
    refused(2, f"--batch: expected at most the 5 images in {images}, found 8; give --batch 5 or "
            "less", images, tmp_path / "out", *TINY, "--batch", "8", *dry_run, env=no_tensorflow)
    assert not (tmp_path / "out" / "config.json").exists()


def test_fewer_images_than_any_batch_needs_are_refused(no_tensorflow, images, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.png").write_bytes((images / "0.png").read_bytes())
    refused(2, "--batch: expected at most the 1 images", tmp_path / "data", tmp_path / "out", *TINY,
            env=no_tensorflow)
    refused(2, "found 4; give at least 4 images", tmp_path / "data", tmp_path / "out", *TINY,
            env=no_tensorflow)


def test_another_configuration_is_refused_before_data_is_read(no_tensorflow, tmp_path,
                                                              tiny_config):
    from stylegan2_tf.run_folder import RunFolder

    with RunFolder(tmp_path) as folder:
        folder.write_config(tiny_config())
        (folder.checkpoints / "step-00000004").mkdir(parents=True)
    refused(2, "--batch (saved 4, given 8); give the saved values", "no data", tmp_path, *TINY,
            "--batch", "8", env=no_tensorflow)


# -- what is accepted


def parse(monkeypatch, *arguments):
    """The configuration that `run.py` trains with."""
    from stylegan2_tf.cli import run_command, train

    made = []
    monkeypatch.setattr(train, "_train", lambda config, folder: made.append(config))
    assert run_command("train", list(arguments), "run.py", "run.py") is None
    return made[0]


@pytest.mark.parametrize("arguments", [
    ["{out}", "--resolution", "32", "4", "256", "8", "32", "80"],
    ["--resolution", "32", "{out}", "4", "256", "8", "32", "80"],
    ["{out}", "4", "256", "--resolution", "32", "8", "32", "80"],
    ["{out}", "4", "256", "8", "32", "80", "--resolution=32"]])
def test_flags_may_stand_anywhere(monkeypatch, tmp_path, arguments):
    out = str(tmp_path / "out")
    config = parse(monkeypatch, "data", *[text.format(out=out) for text in arguments])
    assert config == TrainConfig(data_dir="data", output_dir=out, g_input_res=4,
                                 g_init_filters=256, resolution=32)


def test_every_flag_of_system_001(monkeypatch, tmp_path):
    out = str(tmp_path / "out")
    config = parse(monkeypatch, "data", out, *SIZES, *(
        "--resolution 256 --channels 3 --latent 64 --batch 16 --epochs 40 --checkpoint 2 "
        "--lr 1e-4 --beta 0.25 --val 9 --seed 5 -n").split())
    assert config == TrainConfig(
        data_dir="data", output_dir=out, resolution=256, channels=3, latent=64, batch=16,
        epochs=40, checkpoint=2, lr=1e-4, beta=0.25, val=9, seed=5, neptune=True)


def test_sizes_of_images_that_are_not_square(monkeypatch, tmp_path):
    config = parse(monkeypatch, "data", str(tmp_path / "out"), "15x16", "512", "30", "32", "80",
                   "--resolution", "240x256")
    assert (config.sides, config.first_sides, config.final_sides) == (
        (240, 256), (15, 16), (30, 32))
    square = parse(monkeypatch, "data", str(tmp_path / "out"), "8x8", *SIZES[1:],
                   "--resolution", "64x64")
    assert (square.resolution, square.g_input_res) == (64, 8)


@pytest.mark.parametrize("names", [["AD", "NC"], ["AD,NC"]])
def test_classes_have_spaces_or_commas_between_them(monkeypatch, tmp_path, names):
    config = parse(monkeypatch, "data", str(tmp_path / "out"), *SIZES, "--classes", *names)
    assert config.classes == "AD,NC" and not config.conditional


def test_what_grows_and_has_classes_is_read(monkeypatch, tmp_path):
    config = parse(monkeypatch, "data", str(tmp_path / "out"), *SIZES, *(
        "--arch stylegan --progressive --stage-kimg 20,40 --stage-batch 64,32 --conditional "
        f"--labels {tmp_path}/l.csv --attention 16 --spectral-norm --d-lr 4e-4 --mapping-lr auto "
        "--d-dropout 0.1 --init-from other").split())
    assert config == TrainConfig(
        data_dir="data", output_dir=str(tmp_path / "out"), arch="stylegan", progressive=True,
        stage_kimg="20,40", stage_batch="64,32", conditional=True,
        labels=f"{tmp_path}/l.csv", attention=16, spectral_norm=True, d_lr=4e-4, d_dropout=0.1,
        init_from="other")


def test_a_preset_is_printed_with_what_was_given(monkeypatch, tmp_path, capsys):
    config = parse(monkeypatch, "data", str(tmp_path / "out"), "--preset", "recommended",
                   "--resolution", "128", "--lr", "1e-4")
    assert (config.d_input_filters, config.lr) == (64, 1e-4)
    printed = capsys.readouterr().out
    assert "preset recommended: g_input_res 8, " in printed
    assert "--lr 0.0001 (given; preset 0.0002)" in printed


def test_a_batch_that_four_does_not_divide_is_noted(monkeypatch, tmp_path, capsys):
    parse(monkeypatch, "data", str(tmp_path / "out"), *SIZES, "--batch", "6")
    assert "--batch 6 is not a multiple of 4: minibatch stddev uses groups of 3" in (
        capsys.readouterr().out)


@pytest.mark.parametrize("flags, words", [
    (["--loss", "wgan-gp", "--r1-gamma", "2"], "--r1-gamma: not used with --loss wgan-gp"),
    (["--drift-weight", "0"], "--drift-weight: not used with --loss cross-entropy"),
    (["--drift-weight", "0", "--loss", "relativistic"],
     "--drift-weight: not used with --loss relativistic"),
    (["--pl-interval", "8"], "--pl-interval: not used with --pl-weight 0")])
def test_a_flag_that_is_not_read_is_noted(monkeypatch, tmp_path, capsys, flags, words):
    parse(monkeypatch, "data", str(tmp_path / "out"), *SIZES, *flags)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("changes, words", [
    (dict(r1_gamma=0.5), "cross-entropy, R1 gamma 0.5 every 16 steps"),
    (dict(r1_gamma=0.0), "cross-entropy"),
    (dict(r1_gamma=0.0, d_dropout=0.25), "cross-entropy, dropout 0.25"),
    (dict(loss="wgan-gp", style_mixing=0.9),
     "wgan-gp, gradient penalty 10, style mixing 0.9"),
    (dict(loss="relativistic", r1_gamma=0.5, r1_interval=1, pl_weight=2.0),
     "relativistic, R1 gamma 0.5 and R2 gamma 0.5 every 1 steps, path length 2 every 4 steps")])
def test_the_summary_names_every_term_of_the_loss(tiny_config, changes, words):
    from stylegan2_tf.cli.summary import loss_terms

    assert loss_terms(tiny_config(**changes)) == words


def test_the_summary_names_architecture_stages_and_rates(tiny_config):
    from stylegan2_tf.cli.summary import summary

    network = SimpleNamespace(count_params=lambda: 1234)
    networks = SimpleNamespace(generator=network, discriminator=network)
    lines = summary(tiny_config(
        arch="stylegan", resolution="12x16", g_input_res=3, d_final_res=3, progressive=True,
        stage_kimg="0.04,0.08", stage_batch="8,4", d_lr=4e-4, mapping_lr=2e-5), 100, networks)
    assert "images         100 of 12x16x1 from data" in lines
    assert ("generator      stylegan, 1,234 parameters; channels from 3x4 up: 8 4 2") in lines
    assert ("discriminator  1,234 parameters; channels from 12x16 down to 3x4: 4 8") in lines
    assert ("stages         3x4 from 0 kimg in batches of 8, 6x8 from 0.04 kimg in batches of 4, "
            "12x16 from 0.12 kimg in batches of 4") in lines
    assert any("= lr 0.0002 x 12.5 (D 0.005) (mapping 0.00025), beta" in line for line in lines)
    plain = "\n".join(summary(tiny_config(), 100, networks))
    assert "stages" not in plain and "(D " not in plain and "(mapping" not in plain


@pytest.mark.parametrize("out", ["", "out", "deep/er"])
def test_a_run_inside_its_own_data_is_refused(images, capsys, out):
    before = sorted(images.rglob("*"))
    assert main(["train", str(images), str(images / out), *TINY]) == 2
    assert "expected a folder outside" in capsys.readouterr().err
    assert sorted(images.rglob("*")) == before


def test_memory_that_is_used_up_names_the_flag(monkeypatch, images, tmp_path, capsys):
    from stylegan2_tf.cli import dry_run

    def report(config):
        raise MemoryError("no 8 GiB\nleft")

    monkeypatch.setattr(dry_run, "report", report)
    assert main(["train", str(images), str(tmp_path / "out"), *TINY, "--dry-run"]) == 70
    assert ("out of memory with --batch 4 at --resolution 16: give a smaller --batch (no 8 GiB "
            "left)\n") in capsys.readouterr().err


# -- the whole


def test_a_dry_run_tells_what_would_happen(images, tmp_path):
    result = call(images, tmp_path / "out", *TINY, "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # none of TensorFlow's lines
    for pattern in (
            rf"^images +5 of 16x16x1 from {re.escape(str(images))}$",
            r"^generator +stylegan2, [1-9][\d,]* parameters; channels from 4x4 up: 8 4 2$",
            r"^discriminator +[1-9][\d,]* parameters; channels from 16x16 down to 4x4: 4 8$",
            r"^training +2 epochs, 0\.0 kimg, 3 steps of 4; cross-entropy, R1 gamma 0\.64 ",
            r"^rates +Adam 0\.0025 = lr 0\.0002 x 12\.5, .* alpha 0 to 0\.25$",
            r"^memory +\d+ MiB",
            r"^time +\d+ ms a step, [\d.]+ images/s; about \d+ minutes for 0\.0 kimg"):
        assert re.search(pattern, result.stdout, re.MULTILINE), pattern
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_knows_classes_and_stages(tiny_config, tmp_path, capsys):
    import tensorflow as tf

    from stylegan2_tf.cli.dry_run import report

    for name in ("AD", "NC"):
        (tmp_path / name).mkdir()
        for index in range(4):
            pixels = np.random.default_rng(index).integers(0, 256, (12, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    tf.config.run_functions_eagerly(True)  # compiling takes seconds
    try:
        assert report(tiny_config(
            data_dir=str(tmp_path), conditional=True, arch="dcgan", convolutions=1,
            progressive=True, resolution="12x16", g_input_res=3, d_final_res=3)) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    printed = capsys.readouterr().out
    for pattern in (r"^classes +AD 4, NC 4 images$", r"^generator +dcgan, ",
                    r"^stages +3x4 from 0 kimg .*, 12x16 from ", r"^time +\d+ ms a step"):
        assert re.search(pattern, printed, re.MULTILINE), pattern
