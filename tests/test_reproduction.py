"""The command line of a run, and a run trained twice."""

import json
import shlex
import shutil

import pytest
from tiny import TINY
from tiny_run import SMALLEST, eagerly, make_images, train

from stylegan2_tf import keeper, presets, reproduction
from stylegan2_tf.checkpoint_files import folder_name
from stylegan2_tf.checkpoints import Checkpoints
from stylegan2_tf.cli import run_command
from stylegan2_tf.cli import train as train_command
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.errors import DataError, LockedError, UsageError
from stylegan2_tf.files import write_json
from stylegan2_tf.reproduction import (
    command_line,
    config_of_repetition,
    judge,
    read_record,
    repeat,
)
from stylegan2_tf.run_folder import RunFolder

SIZES = ["4", "64", "8", "16", "1e-06"]


# -- the command line


@pytest.fixture
def parse(monkeypatch, tmp_path):
    """The configuration that a command line trains with."""
    made = []
    monkeypatch.setattr(train_command, "_train", lambda config, folder: made.append(config))
    monkeypatch.chdir(tmp_path)

    def read(words):
        assert run_command("train", list(words), "run.py", "run.py") is None
        return made.pop()

    return read


COMMANDS = {
    "the sizes alone": ["data", "out", *SIZES],
    "not square": ["data", "out", "15x16", "64", "30", "16", "80", "--resolution", "240x256"],
    "names for a shell": ["my $data & 'more'", "out", *SIZES, "--labels", "/a b/l.csv", "--classes",
                          "Alzheimer's", "N C", "--subject-pattern=-(\\d+)_\\*", "--neptune"],
    "numbers": ["data", "out", *SIZES, "--lr", "1e-7", "--ema-kimg", "0", "--beta", "0",
                "--lr-scale", "0.1", "--epochs", "1", "--seed", "2147483647", "--max-images", "7"],
    "growing": ["data", "out", "4", "64", "4", "16", "80", "--progressive", "--stage-kimg", "0.5,1",
                "--stage-batch", "16,8", "--mirror", "--init-from", "../other"],
    **{f"preset {name}": ["data", "out", "--preset", name] for name in presets.PRESETS},
    "a preset of another size": ["data", "out", "--preset", "stylegan2", "--resolution", "256x192"],
    "a preset, partly changed": ["data", "out", "8", "--preset", "stylegan2", "--lr", "0.002",
                                 "--lr-scale", "auto", "--mapping-layers", "auto", "--max-filters",
                                 "auto", "--style-mixing", "0", "--r1-gamma", "auto"],
    "a preset without styles": ["data", "out", "--preset", "stylegan2", "--arch", "dcgan"]}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_printed_command_gives_the_same_configuration(parse, words):
    config = parse(words)
    line = command_line(config, "out again")
    python, program, *printed = shlex.split(line)
    assert (python, program, printed[1]) == ("python", "run.py", "out again")
    assert parse(printed).to_json() == {**config.to_json(), "output_dir": "out again"}


def test_only_what_is_needed_is_printed(parse):
    assert command_line(parse(["data", "out", *SIZES, "--batch", "128", "--mirror"]), "new") == (
        "python run.py data new 4 64 8 16 1e-06 --mirror")


def test_a_preset_that_changes_later_does_not_change_the_command(parse, monkeypatch):
    config = parse(["data", "out", "--preset", "small-data"])
    line = command_line(config, "out")
    values = presets._values("small-data", 64)
    monkeypatch.setattr(presets, "_values", lambda *of: {**values, "lr": 9.0, "epochs": 1})
    assert parse(shlex.split(line)[2:]) == config


# -- a run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that was stopped at 4 images and, within its second epoch, at 12."""
    home = tmp_path_factory.mktemp("made")
    (home / "data").mkdir()
    make_images(home / "data")
    config = TrainConfig(**{**TINY, **SMALLEST, "data_dir": str(home / "data"),
                            "output_dir": str(home / "run")})
    with eagerly():
        assert train(config, until=4) == train(config, until=12) == 0
    return home / "run"


@pytest.fixture
def run(made, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(made, tmp_path / "run")


def repeated(run, out):
    """(Exit code, names of variables) of the repetition of `run` in `out`."""
    record = read_record(run)
    with eagerly(), RunFolder(out) as folder:
        return repeat(record, config_of_repetition(record, out), folder)


@pytest.fixture(scope="module")
def again(made, tmp_path_factory):
    """Its repetition, which was itself interrupted after 8 images, and the names of variables."""
    out = tmp_path_factory.mktemp("again")
    with eagerly():
        train(config_of_repetition(read_record(made), out), until=8)
    code, names = repeated(made, out)
    assert code == 0
    return out, names


def test_what_a_run_records(made):
    record = read_record(made)
    assert (record.meta["step"], record.meta["nimg"], record.damaged) == (3, 12, ())
    assert record.config.output_dir == str(made)
    assert record.environment["cores"] >= 1


def test_a_run_of_an_older_version_records_less(run):
    (run / "environment.json").unlink()
    assert set(read_record(run).environment) == {"tensorflow", "keras"}
    shutil.rmtree(run / "checkpoints")
    record = read_record(run)
    assert (record.meta, record.environment) == (None, {})


def test_a_damaged_checkpoint_is_passed_over(run):
    (run / "checkpoints/step-00000003/state.index").unlink()
    record = read_record(run)
    assert record.meta["step"] == 2
    assert len(record.damaged) == 1 and record.damaged[0].startswith("step-00000003 cannot be used")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected the folder of a run, found a folder without"):
        read_record(tmp_path)


# -- its repetition


def test_a_repetition_is_equal_bit_by_bit(made, again):
    out, names = again
    verdict = judge(read_record(made), out, names)
    assert verdict.equal, verdict.lines
    assert verdict.summary == f"reproduced: all {len(names)} variables are equal bit by bit"
    for line in ("w_avg: 2 of 2 variables equal", "alpha: 1 of 1 variables equal",
                 "augmentation: 4 of 4 variables equal", "log.csv: 1 of 1 rows equal",
                 "counters: equal, at step 3"):
        assert line in verdict.lines
    # One run was stopped at 4 images, the other at 8, where an epoch ends.
    assert "note: 3 rows begin or end at other steps, where a run was interrupted" in verdict.lines
    config = json.loads((out / "config.json").read_text())
    assert (config["neptune"], config["cache"], config["epochs"]) == (False, None, 3)


def test_a_repetition_that_is_complete_is_not_trained_again(made, again):
    before = (again[0] / "log.csv").read_bytes()
    assert repeated(made, again[0])[0] == 0
    assert (again[0] / "log.csv").read_bytes() == before


def test_another_number_is_found_wherever_it_is(run, again):
    out, names = again
    key, name = next(pair for pair in names.items() if pair[1].endswith("constant"))
    nudge(run, key)
    change_log(run / "log.csv", column="d_loss")
    write_json(run / "environment.json", {**read_record(run).environment, "keras": "3.14.0",
                                          "cores": 64})
    verdict = judge(read_record(run), out, names)
    assert not verdict.equal
    assert ("generator: 28 of 29 variables equal, apart by 0.25 at most, in "
            f"{name}[0, 1, 2]") in verdict.lines
    assert "averaged generator: 29 of 29 variables equal" in verdict.lines
    assert any(line.startswith("log.csv: d_loss in 1 of 1 rows, first at step 3: ")
               for line in verdict.lines)
    assert verdict.summary.startswith(
        f"not reproduced: 1 of {len(names)} variables differ; keras 3.14.0 -> 3.15")
    assert "cores 64 -> " in verdict.summary and "\n" not in verdict.summary


def nudge(run, key):
    """Save the newest checkpoint again with another number in one variable."""
    import tensorflow as tf

    from stylegan2_tf.checkpoints import read_state

    path = run / "checkpoints" / folder_name(3)
    meta, values = read_record(run).meta, read_state(path)
    state = {}
    for name in sorted(values, key=lambda name: int(name.split("/")[1])):
        state.setdefault(name.split("/")[0], []).append(tf.Variable(values[name]))
    owner, number = key.split("/")
    variable = state[owner][int(number)]
    variable[0, 1, 2].assign(variable[0, 1, 2] + 0.25)
    shutil.rmtree(path)
    counters = {name: meta[name] for name in ("nimg", "rollbacks", "stages")}
    Checkpoints(path.parent, state, keep=2, identity=meta["identity"]).save(3, **counters)


def change_log(path, column):
    header, *rows = path.read_text().splitlines()
    cells = rows[-1].split(",")
    cells[header.split(",").index(column)] = "99"
    path.write_text("\n".join([header, *rows[:-1], ",".join(cells), ""]))


def test_where_only_the_log_differs_it_is_said(run, again):
    change_log(run / "log.csv", column="score_fake")
    verdict = judge(read_record(run), *again)
    assert not verdict.equal
    assert verdict.summary.startswith(f"not reproduced: 0 of {len(again[1])} variables differ, but "
                                      "log or counters do; no other version, machine or number of")


def test_stages_are_those_that_the_run_began_with(made, tmp_path):
    """Growing was laid out for one epoch, and the run went on for the half of two."""
    growing = TrainConfig(**{**TINY, **SMALLEST, "data_dir": str(made.parent / "data"),
                             "output_dir": str(tmp_path / "run"), "progressive": True,
                             "arch": "dcgan", "convolutions": 1, "epochs": 1,
                             "mapping_layers": None})
    with eagerly():
        train(growing, until=4)
        train(TrainConfig(**{**growing.to_json(), "epochs": 2}), until=8)
    assert read_record(tmp_path / "run").meta["stages"] == [4, 4]
    code, names = repeated(tmp_path / "run", tmp_path / "again")
    verdict = judge(read_record(tmp_path / "run"), tmp_path / "again", names)
    assert code == 0 and verdict.equal, verdict.lines


# -- refusals


def test_other_images_are_refused_before_anything_is_trained(run, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    make_images(tmp_path / "other", seed=1)
    settings = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**settings, "data_dir": str(tmp_path / "other")})
    monkeypatch.setattr(reproduction, "make_team", lambda config: pytest.fail("not needed"))
    with pytest.raises(DataError, match="expected the images that .* was trained on, with the "
                                        "fingerprint .*, found 8 with .*; give their folder"):
        repeated(run, tmp_path / "again")
    assert not list((tmp_path / "again").glob("checkpoints/*"))


def test_a_version_that_trains_otherwise_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "RECIPE", 999)
    with pytest.raises(DataError, match="the run was made with recipe .*, found 999"):
        repeated(run, tmp_path / "again")


@pytest.mark.parametrize("where", [".", "again", ".."])
def test_a_folder_that_is_not_apart_is_refused(run, where):
    with pytest.raises(UsageError, match="--run .*: expected a folder apart from"):
        config_of_repetition(read_record(run), run / where)


def test_a_folder_with_a_longer_run_is_refused(run, tmp_path):
    (tmp_path / "again/checkpoints/step-00000009").mkdir(parents=True)
    with pytest.raises(UsageError, match="found a run beyond step 3"):
        config_of_repetition(read_record(run), tmp_path / "again")
    (tmp_path / "again/checkpoints/step-00000003").mkdir()
    config_of_repetition(read_record(run), tmp_path / "again")


def test_a_run_that_goes_on_is_refused(run, tmp_path):
    with RunFolder(run), pytest.raises(LockedError, match="expected a run that has ended, found "
                                                          "it in use by pid"):
        config_of_repetition(read_record(run), tmp_path / "again")


def test_a_checkpoint_that_was_damaged_meanwhile(run, again):
    record = read_record(run)
    (run / "checkpoints/step-00000003/state.index").unlink()
    with pytest.raises(DataError, match="step-00000003 cannot be used"):
        judge(record, *again)


def test_without_a_checkpoint_there_is_nothing_to_compare(run, tmp_path):
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(DataError, match="expected a checkpoint to compare with"):
        config_of_repetition(read_record(run), tmp_path / "again")


def test_weights_to_start_from_that_are_gone(run, tmp_path):
    settings = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**settings, "init_from": str(tmp_path / "gone")})
    with pytest.raises(DataError, match="gone: expected a run folder or generator.keras, found "
                                        "nothing there"):
        config_of_repetition(read_record(run), tmp_path / "again")
