"""`stylegan2-tf card` from the command line."""

import json

import pytest
from test_model_card import make_info, make_report

from stylegan2_tf import model_info
from stylegan2_tf.cli import main
from stylegan2_tf.errors import DataError
from stylegan2_tf.model_card import make_card


@pytest.fixture
def info(tmp_path, monkeypatch):
    """An invented model; reading one is tested elsewhere."""
    info = make_info(path=tmp_path / "run" / "Model" / "generator.keras")

    def read_info(path):
        if str(path) != str(tmp_path / "run"):
            raise DataError(f"{path}: nothing there")
        return info

    monkeypatch.setattr(model_info, "read_info", read_info)
    return info


@pytest.fixture
def card(info, tmp_path):
    return lambda *arguments: main(["card", str(tmp_path / "run"), *map(str, arguments)])


def report_at(path, report):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return path


def test_on_the_screen_without_a_report(info, card, tmp_path, capsys):
    assert card() == 0
    printed = capsys.readouterr()
    assert printed.out == make_card(info)
    place = tmp_path / "run" / "report" / "report.json"
    assert printed.err == (f"note: the card holds no measurements: {place}: there is no report "
                           "(stylegan2-tf evaluate, --report)\n")


def test_a_file_that_is_damaged_is_left_out_with_a_note(tmp_path, monkeypatch, capsys):
    info = make_info(problem="discriminator.keras: damaged")
    monkeypatch.setattr(model_info, "read_info", lambda path: info)
    assert main(["card", "run"]) == 0
    printed = capsys.readouterr()
    assert printed.out == make_card(info)
    assert printed.err.startswith(
        "note: the card leaves a file out: discriminator.keras: damaged\n")


@pytest.mark.parametrize("place", ["run/report", "run/Model/report"])
def test_the_report_in_the_run_is_found(info, card, tmp_path, capsys, place):
    report_at(tmp_path / place / "report.json", make_report())
    out = tmp_path / "deep" / "card.md"
    assert card(out) == 0
    assert capsys.readouterr() == (f"written {out}\n", "")
    assert out.read_text(encoding="utf-8") == make_card(info, make_report())


def test_a_report_on_an_older_state_is_left_out(info, card, tmp_path, capsys):
    report = make_report()
    report["provenance"]["fakes"]["sha256"] = "00"
    path = report_at(tmp_path / "run" / "report" / "report.json", report)
    assert card() == 0
    printed = capsys.readouterr()
    assert printed.out == make_card(info)
    assert printed.err.startswith(f"note: the card holds no measurements: {path}: expected a rep")
    assert card("--report", path) == 65
    assert "another model or state; evaluate again" in capsys.readouterr().err


def test_a_report_that_is_given(info, card, tmp_path, capsys):
    report_at(tmp_path / "run" / "report" / "report.json", make_report(near=1))
    path = report_at(tmp_path / "other.json", make_report(near=2))
    assert card("--report", path) == 0
    assert capsys.readouterr().out == make_card(info, make_report(near=2))
    assert card("--report", tmp_path / "none.json") == 65


def test_what_cannot_be(card, tmp_path, capsys):
    assert card(tmp_path / "card.txt") == 2
    assert "OUT.md: expected a file that ends in .md" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert card(tmp_path / "file" / "card.md") == 74
    assert main(["card", str(tmp_path / "none")]) == 65
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1] == f"stylegan2-tf: error: {tmp_path / 'none'}: nothing there"
