"""`stylegan2-tf reproduce` from the command line, without TensorFlow."""

import json

import pytest

from stylegan2_tf import environment, reproduction
from stylegan2_tf.checkpoint_files import folder_name, write_meta
from stylegan2_tf.cli import main
from stylegan2_tf.reproduction import Verdict

NOW = {"python": "3.11.7", "keras": "3.15.1", "cpu": "a processor", "cores": 2, "gpus": None}


@pytest.fixture
def make(tiny_config, tmp_path, monkeypatch):
    """A function that makes a run folder whose checkpoint holds no weights."""
    monkeypatch.setattr(environment, "describe", lambda: NOW)

    def run(recorded=NOW, rollbacks=0, stages=(), **changes):
        out = tmp_path / "run"
        config = tiny_config(data_dir=str(tmp_path / "data"), output_dir=str(out), **changes)
        path = out / "checkpoints" / folder_name(1234)
        path.mkdir(parents=True)
        write_meta(path, {"step": 1234, "nimg": 4936, "rollbacks": {"alarm": rollbacks},
                          "identity": {"images": "0123abcd"}, "stages": list(stages)})
        (out / "config.json").write_text(json.dumps(config.to_json()))
        (out / "environment.json").write_text(json.dumps(recorded))
        return out

    return run


def shown(capsys, *arguments):
    """Name -> text of the lines that the command prints."""
    assert main(["reproduce", *map(str, arguments)]) == 0
    return {line[:13].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}


def test_what_is_recorded(make, tmp_path, capsys):
    out = make()
    assert shown(capsys, out) == {
        "command": f"python run.py {tmp_path}/data {out}-again 4 8 4 4 4.0 --resolution 16 "
                   "--latent 8 --batch 4 --epochs 2 --val 4 --metrics none",
        "versions": "python 3.11.7, keras 3.15.1", "machine": "cpu a processor, cores 2",
        "images": "fingerprint 0123abcd", "reached": "step 1,234, 4,936 images"}


def test_another_data_folder(make, capsys):
    assert shown(capsys, make(), "--data", "else where")["command"].startswith(
        "python run.py 'else where' ")


def test_what_stands_in_the_way(make, tmp_path, capsys):
    lines = shown(capsys, make(
        recorded={**NOW, "keras": "3.14.0"}, rollbacks=2, stages=(40, 24, 24), progressive=True,
        init_from=str(tmp_path / "gone")))
    assert "keras 3.14.0 -> 3.15.1" in lines["now"]
    assert lines["weights"].startswith(f"taken at the start from {tmp_path}/gone, which is missing")
    assert lines["stages"].startswith("of 40 24 images and the last")
    assert lines["rolled back"].startswith("2 times")


def test_a_run_without_checkpoint(make, capsys):
    out = make(recorded=[])
    (out / "checkpoints" / folder_name(1234) / "meta.json").write_text("")
    lines = shown(capsys, out)
    assert lines["damaged"].startswith("step-00001234 cannot be used")
    assert lines["reached"] == "not known: no checkpoint is whole"
    assert lines["versions"] == lines["machine"] == "not recorded"


@pytest.mark.parametrize("code, equal, expected", [
    (0, True, 0), (0, False, 65), (70, True, 0), (143, None, 143)])
def test_exit_codes_of_a_repetition(make, tmp_path, monkeypatch, capsys, code, equal, expected):
    seen = []

    def repeat(record, config, folder):
        seen.append((record.path, config.output_dir, folder.path))
        return code, "names"

    monkeypatch.setattr(reproduction, "repeat", repeat)
    monkeypatch.setattr(reproduction, "judge", lambda record, out, names: Verdict(
        equal, ("a line",), f"the sum of {names}"))
    run, again = make(), tmp_path / "again"
    assert main(["reproduce", str(run), "--run", str(again)]) == expected
    assert seen == [(run, str(again), again)]
    printed = capsys.readouterr().out
    assert printed.endswith("" if equal is None else "a line\nthe sum of names\n")
    assert ("the sum" in printed) == (equal is not None)


@pytest.mark.parametrize("code, text, again", [
    (2, "expected a folder apart from", "run"), (2, "expected a folder outside", "data/again")])
def test_refusals_are_one_line(make, tmp_path, capsys, code, text, again):
    assert main(["reproduce", str(make()), "--run", str(tmp_path / again)]) == code
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
