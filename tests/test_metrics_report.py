import base64
import dataclasses
import html.parser
import json
import math
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from stylegan2_tf.metrics import figures, page, panels, report
from stylegan2_tf.metrics.results import Curve, Evaluation, Neighbours, Value

NAN = float("nan")
ATTACK = "<script>alert('x')</script>\"&"
HOSTILE = ("$\\frac{a$b", "brain 🧠.png", "\udcff.png", ATTACK, "deep/" * 40 + "er.png",
           "tab\t.png")
VERMILION = (213, 94, 0)
VALUES = {
    "swd": Value("mean", "lower", "x 1000", "", 6.0, (5.0, 7.5), 2.0, (1.5, 2.5)),
    "swd/32": Value("at 32x32", "lower", "x 1000", "", 5.0, (6.0, 7.0), 2.0, None),
    "swd/16": Value("at 16x16", "lower", "x 1000", "", NAN, None, 2.0, (NAN, NAN)),
    "ms-ssim": Value("pairs", "near", "", "a note", 0.3, None, 0.5, None),
    "kid": Value("KID", "lower", "", "", 0.5, None, 0.01, (-0.1, 0.2), "net sha256:0123"),
    "recall": Value("recall", "higher", "", "", 0.25, None, 0.75, None, "net sha256:0123"),
    "spectrum": Value("power", "lower", "dB", "", math.inf, (1.0, math.inf), NAN, None)}


def neighbours(count, suspicious=1, train=6):
    """`count` fakes at 0.1, 0.2, ...: the threshold lies beyond the first `suspicious`."""
    distance = np.arange(1, count + 1) / 10
    return Neighbours("pixels after shifts up to 2", (np.arange(count) + 2) % train, distance,
                      np.linspace(0, 1, 101), "held-out images", suspicious / 10 + 0.05,
                      np.arange(suspicious))


def make(count=3, shape=(16, 16, 1), dtype=np.uint8, **changes):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, *shape)) for n in (6, count, count)]
    images = [(i / 127.5 - 1 if dtype == np.float32 else i * (np.iinfo(dtype).max // 255))
              .astype(dtype) for i in images]
    x = np.arange(1, 9)
    curves = {"spectrum": Curve("power", "cycles", "dB", x, {"real": -x, "fake": -x - NAN}),
              "histogram": Curve("greys", "grey", "share", x, {"real": x % 3, "other real": x / 9})}
    content = {"values": VALUES, "curves": curves, "neighbours": {"pixels": neighbours(count)},
               "train": images[0], "train_names": tuple(f"{i}.png" for i in range(6)),
               "fakes": images[1], "reals": images[2],
               "provenance": {"seed": 0, "versions": {"numpy": "2.0"}, "lr": NAN, "shape": [1, 2]},
               "warnings": ("few images",)}
    return Evaluation(**{**content, **changes})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    evaluation = make(6, warnings=("few images", ATTACK), train_names=HOSTILE,
                      provenance={ATTACK: {"seed": 0}, "shape": [1, ATTACK], "lr": NAN},
                      values={**VALUES, "fid": dataclasses.replace(
                          VALUES["kid"], label=ATTACK, note=ATTACK, extractor=ATTACK)})
    settings = dict(matplotlib.rcParams)
    paths = report.write_report(evaluation, folder)
    assert dict(matplotlib.rcParams) == settings
    return folder, paths


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def has(picture, colour):
    return bool((picture == colour).all(-1).any())


# -- files


def test_four_files_and_nothing_else(written):
    folder, paths = written
    names = ["report.json", "report.png", "neighbours.png", "report.html"]
    assert paths == [folder / name for name in names]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_an_evaluation_with_nothing_in_it(tmp_path):
    (tmp_path / "neighbours.png").write_text("of an earlier evaluation")
    evaluation = make(2, values={}, curves={}, neighbours={}, provenance={}, warnings=(),
                      train_names=())
    paths = report.write_report(evaluation, tmp_path)
    assert [path.name for path in paths] == ["report.json", "report.png", "report.html"]
    assert not (tmp_path / "neighbours.png").exists()
    assert report.table(evaluation) == ["measure  generated [95 %]  floor [95 %]  better  note"]


def test_a_failure_keeps_the_old_picture(tmp_path, monkeypatch):
    def fail(figure, path, **options):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    (tmp_path / "report.png").write_text("old")
    with pytest.raises(OSError, match="disk full"):
        report.write_report(make(values={}, curves={}, neighbours={}), tmp_path)
    assert (tmp_path / "report.png").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.png"]


@pytest.mark.parametrize("found", [neighbours(4), neighbours(3, train=99)])
def test_neighbours_of_other_images_are_refused(tmp_path, found):
    found = dataclasses.replace(found, nearest=found.nearest + 4)
    with pytest.raises(ValueError, match="neighbours.'pixels'.*Received"):
        report.write_report(make(3, neighbours={"pixels": found}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_numbers_need_no_matplotlib():
    code = ("import sys\nfrom stylegan2_tf.metrics import report\n"
            "print({'matplotlib', 'tensorflow', 'keras'} & set(sys.modules))\n"
            "from stylegan2_tf.metrics import figures\n"
            "print({'matplotlib.pyplot', 'tensorflow'} & set(sys.modules))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("set()\nset()\n", "")


# -- JSON


def test_json_holds_everything_and_no_nan(written):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    text = (written[0] / "report.json").read_text()
    found = json.loads(text, parse_constant=refuse)
    assert list(found) == ["format", "images", "warnings", "values", "curves", "neighbours",
                           "provenance"]
    assert found["format"] == 1
    assert found["images"] == {"fakes": 6, "reals": 6, "train": 6, "shape": [16, 16, 1]}
    assert list(found["values"]) == [*VALUES, "fid"]
    assert found["values"]["swd"] == {
        "label": "mean", "better": "lower", "unit": "x 1000", "note": "", "value": 6.0,
        "interval": [5.0, 7.5], "floor": 2.0, "floor_interval": [1.5, 2.5], "extractor": ""}
    assert found["values"]["swd/16"]["value"] is None
    assert found["values"]["spectrum"]["interval"] == [1.0, None]
    assert found["curves"]["spectrum"]["lines"] == {"real": [-1 - i for i in range(8)],
                                                    "fake": [None] * 8}
    assert found["warnings"] == ["few images", ATTACK]
    assert found["provenance"] == {ATTACK: {"seed": 0}, "shape": [1, ATTACK], "lr": None}


def test_json_of_neighbours():
    found = report.content(make(5, neighbours={"pixels": neighbours(5, suspicious=2)}))
    found = json.loads(json.dumps(found, allow_nan=False))["neighbours"]["pixels"]
    assert found["suspicious_count"] == 2 and found["threshold"] == 0.25
    assert found["suspicious"] == [{"fake": 0, "training_image": "2.png", "distance": 0.1},
                                   {"fake": 1, "training_image": "3.png", "distance": 0.2}]
    assert found["calibration"]["count"] == 101  # at 0, 0.01, ... 1: each quantile is its place
    assert found["calibration"]["quantiles"] == pytest.approx(
        {str(place): place for place in (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)})
    assert found["fakes"]["quantiles"]["0.5"] == pytest.approx(0.3)


def test_json_of_distances_that_are_not_numbers():
    found = dataclasses.replace(neighbours(3), distance=np.full(3, NAN), calibration=np.zeros(0),
                                threshold=NAN, suspicious=np.zeros(0, int))
    found = report.content(make(neighbours={"pixels": found}))["neighbours"]["pixels"]
    assert found["threshold"] is None and found["suspicious"] == []
    assert set(found["calibration"]["quantiles"].values()) == {None}
    assert found["fakes"]["count"] == 3


# -- page


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text; `html.parser` reads a page as a browser would."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def test_the_page_loads_nothing_and_runs_nothing(written):
    folder, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    reader = Reader(text)
    assert not {"script", "link", "iframe", "object", "base", "a", "form"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert not {"href", "srcset", "action", "background"} & {name for name, _ in reader.attributes}
    pictures = [value for name, value in reader.attributes if name == "src"]
    prefix = "data:image/png;base64,"
    assert all(picture.startswith(prefix) for picture in pictures)
    assert [base64.b64decode(picture[len(prefix):]) for picture in pictures] == [
        (folder / name).read_bytes() for name in ("report.png", "neighbours.png")]
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text and "size: A4" in text


def test_strings_are_text_on_the_page(written):
    reader = Reader((written[0] / "report.html").read_text(encoding="utf-8"))
    words = "\n".join(reader.words)
    assert words.count(ATTACK) == 7  # warning, label twice, extractor, note, provenance twice
    assert "\\udcff.png" in words  # the training image that is nearest to the suspicious fake
    for expected in ("6 [5, 7.5]", "2 [1.5, 2.5]", "3 times", "+0.49", "-0.5", "n/a", "a note",
                     "near the floor", "few images", "How to read this", "arXiv:1801.01401",
                     "share this page as carefully as the data"):
        assert expected in words


def test_privacy_in_plain_sentences():
    evaluation = make(200, neighbours={"pixels": neighbours(200, suspicious=20)})
    words = "\n".join(Reader(page.page(evaluation, {})).words)
    assert "20 of 200 generated images are closer to a training image than 99 % of" in words
    assert "(expected by chance: 2)" in words and "report.json lists all 20" in words
    few = dataclasses.replace(neighbours(3), calibration=np.ones(50))
    words = "\n".join(Reader(page.page(make(neighbours={"pixels": few}), {})).words)
    assert "rests on 50 real images only" in words


@pytest.mark.parametrize("value, text", [
    (0.0, "0"), (0.012345, "0.0123"), (12345.6, "12,346"), (-3.0, "-3"), (NAN, "n/a"),
    (-math.inf, "n/a"), (np.float32(0.25), "0.25")])
def test_numbers(value, text):
    assert page.number(value) == text


@pytest.mark.parametrize("better, value, floor, interval, text", [
    ("lower", 6.0, 2.0, None, "3 times"),
    ("lower", 6.0, 2.0, (1.0, 3.0), "3 times"),
    ("lower", 6.0, 2.0, (-1.0, 3.0), "+4"),  # a floor that may be 0 gives no ratio
    ("lower", 1.0, -2.0, None, "+3"),
    ("higher", 0.5, 0.75, None, "-0.25"),
    ("near", 0.5, 0.5, None, "+0"),
    ("lower", NAN, 2.0, None, "n/a"),
    ("lower", 1.0, NAN, None, "n/a")])
def test_against_the_floor(better, value, floor, interval, text):
    assert page.against_floor(Value("", better, "", "", value, None, floor, interval)) == text


# -- pictures


def test_pictures_have_the_size_of_a_page(written):
    plots, pairs = (pixels(written[0] / name) for name in ("report.png", "neighbours.png"))
    assert plots.shape[1] == pairs.shape[1] == int(figures.WIDTH * figures.DPI)
    assert 1.2 < plots.shape[0] / plots.shape[1] < 1.5  # about A4
    assert (plots[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    assert has(plots, VERMILION) and has(plots, (0, 114, 178)) and has(pairs, VERMILION)


@pytest.mark.parametrize("shape, dtype", [((6, 40, 3), np.float32), ((12, 6, 4), np.uint8)])
def test_pictures_of_any_form(tmp_path, shape, dtype, monkeypatch):
    monkeypatch.setattr(figures, "PAIRS", 2)
    evaluation = make(2, shape, dtype, values={}, curves={},
                      neighbours={"pixels": neighbours(2, suspicious=0)})
    figures.save_report(evaluation, tmp_path / "report.png")
    figures.save_neighbours(evaluation, tmp_path / "neighbours.png")
    assert pixels(tmp_path / "report.png").shape[1] == 1323
    assert not has(pixels(tmp_path / "neighbours.png"), VERMILION)  # nothing is suspicious


def test_neighbours_with_no_finite_distance(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "PAIRS", 1)
    found = dataclasses.replace(neighbours(2), distance=np.full(2, NAN), calibration=np.zeros(0),
                                threshold=NAN, suspicious=np.zeros(0, int))
    evaluation = make(2, dtype=np.float32, values={}, curves={}, neighbours={"pixels": found})
    evaluation.fakes[:] = NAN
    figures.save_report(evaluation, tmp_path / "report.png")


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    evaluation = make(40, values={}, curves={}, neighbours={})  # more than a grid holds
    for name in "ab":
        figures.save_report(evaluation, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("suspicious, expected", [(0, range(8)), (3, range(3)), (40, range(16))])
def test_who_is_shown(suspicious, expected):
    assert list(page.closest(neighbours(50, suspicious))) == list(expected)


def test_colours_are_those_of_the_images():
    levels = np.array([0, 65535], np.uint16).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(figures._rgb(levels)[0, 0], [[0, 0, 0], [1, 1, 1]])
    half = np.array([[[[-1, 1, -1, 0]]]], np.float32)  # green, half transparent over white
    np.testing.assert_allclose(figures._rgb(half)[0, 0], [[0.5, 1, 0.5]])
    np.testing.assert_allclose(figures._rgb(np.full((1, 1, 1, 1), NAN, np.float32)), 0.5)


@pytest.mark.parametrize("value, interval, lines", [
    (1.0, (0.5, 2.0), 2), (1.0, None, 1), (NAN, (0.5, 2.0), 1), (1.0, (0.5, math.inf), 1),
    (NAN, (NAN, NAN), 0)])
def test_only_finite_values_are_marked(value, interval, lines):
    axis = Figure().subplots()
    panels._mark(axis, 0, value, interval, fake=True)
    assert len(axis.lines) == lines


# -- terminal


def test_the_table_is_aligned_and_warns():
    lines = report.table(make())
    assert lines[0].split("  ")[0] == "measure" and len(lines) == len(VALUES) + 4
    starts = [lines[0].index(word) for word in ("generated", "floor", "better", "note")]
    for line, (name, value) in zip(lines[1:-3], VALUES.items(), strict=True):
        cells = [line[a:b].strip() for a, b in zip([0, *starts], [*starts, None], strict=True)]
        assert cells[0] == name + (f" ({value.unit})" if value.unit else "")
        assert cells[3:] == [value.better, value.note]
    assert "6 [5, 7.5]" in lines[1] and "2 [1.5, 2.5]" in lines[1] and "n/a" in lines[3]
    assert lines[-3] == "warning: few images"
    assert all(line.startswith("privacy: ") for line in lines[-2:])
    assert not any(line != line.rstrip() for line in lines)
