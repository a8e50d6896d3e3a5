"""`stylegan2-tf verify` from the command line."""

import pytest

from stylegan2_tf import verification
from stylegan2_tf.cli import main
from stylegan2_tf.verification import Finding


@pytest.fixture
def found(monkeypatch):
    """A list whose findings the command is given."""
    findings = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # set back after the test
    monkeypatch.setattr(verification, "verify", lambda path: iter(findings))
    return findings


def test_a_line_for_each_finding_and_a_sum(found, capsys):
    found += [Finding("ok", "log.csv", "3 rows"), Finding("note", "cache\n", "outside")]
    assert main(["verify", "out"]) == 0
    assert [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()] == [
        ["ok", "log.csv", "3 rows"], ["note", r"cache\n", "outside"],
        ["whole:", "1", "ok, 1 noted, none bad"]]


def test_something_bad_is_exit_code_65(found, capsys):
    found += [Finding("ok", "log.csv", "3 rows"), Finding("bad", "cache", "other sha256")]
    assert main(["verify", "out"]) == 65
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 2 bad"


def test_no_run_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["verify", str(tmp_path / "none")]) == 65
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1
    assert "expected the folder of a run, found nothing there" in printed.err
