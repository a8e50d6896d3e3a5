"""The demonstration slices: deterministic, varied, and never a danger to other files."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf import cli, demo
from stylegan2_tf.data import find_images
from stylegan2_tf.demo import make_demo_data
from stylegan2_tf.errors import OutputError, UsageError

needs_template = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("nilearn", "nibabel"))),
    reason='the template lies in nilearn: pip install -e ".[demo]"')


@pytest.fixture(scope="module")
def template():
    return demo.load_template()


@pytest.fixture
def quick(monkeypatch, template):
    """Read the template once for all tests of this file."""
    monkeypatch.setattr(demo, "load_template", lambda: template)


@pytest.fixture(scope="module")
def subjects(template):
    return np.stack([demo.make_subject(template, k, 32, 0) for k in (1, 2)])


@pytest.fixture
def half(monkeypatch, template):
    """A `make_subject` that is interrupted at the second subject."""
    def make(template, subject, size, seed):
        if subject == 2:
            raise KeyboardInterrupt
        return np.ones((demo.SLICES, size, size), np.uint8)

    monkeypatch.setattr(demo, "load_template", lambda: template)
    monkeypatch.setattr(demo, "make_subject", make)


@needs_template
class TestImages:
    def test_shape_and_type(self, subjects):
        assert subjects.shape == (2, 32, 32, 32)
        assert subjects.dtype == np.uint8

    def test_the_same_seed_and_subject_give_the_same_images(self, template, subjects):
        np.testing.assert_array_equal(demo.make_subject(template, 2, 32, 0), subjects[1])

    def test_subjects_and_seeds_differ(self, template, subjects):
        other = demo.make_subject(template, 1, 32, seed=1)
        for images in (subjects[1], other):
            inside = (images > 0) | (subjects[0] > 0)
            difference = np.abs(images.astype(float) - subjects[0])[inside]
            assert difference.mean() > 15

    def test_a_black_background_around_a_brain_of_plausible_size(self, subjects):
        assert not subjects[:, :, [0, -1]].any() and not subjects[..., [0, -1]].any()
        area = (subjects > 20).mean((2, 3))
        assert (area[:, 12:18] > 0.25).all() and (area[:, 12:18] < 0.55).all()
        assert (area[:, 0] > 0.05).all() and (area[:, -1] > 0.02).all()
        assert (area[:, -1] < 0.7 * area[:, 15]).all()

    def test_the_brain_fills_about_three_quarters_of_the_height(self, subjects):
        rows = (subjects[:, 10:20] > 20).any((1, 3)).sum(1)
        assert (rows >= 0.65 * 32).all() and (rows <= 0.9 * 32).all()

    def test_brightness_leaves_room_for_contrast(self, subjects):
        inside = subjects[:, 15][subjects[:, 15] > 20]
        assert 120 < inside.mean() < 210
        assert inside.std() > 20

    def test_the_size_changes_the_pixels_and_not_the_person(self, template, subjects):
        fine = demo.make_subject(template, 1, 64, 0).astype(float)
        coarse = fine.reshape(32, 32, 2, 32, 2).mean((2, 4))
        assert np.corrcoef(coarse.ravel(), subjects[0].ravel())[0, 1] > 0.99

    def test_anterior_is_up(self, template):
        front = [np.where(m > 0.5, 1, 0).astype(np.float32) for m in template]
        for one in front:
            one[:, : one.shape[1] // 2] = 0  # the template's y grows towards the front
        images = demo.make_subject(front, 1, 32, 0)
        assert images[:, :10].any() and not images[:, 24:].any()


@needs_template
@pytest.mark.usefixtures("quick")
class TestFolder:
    def test_names_count_and_files(self, tmp_path):
        assert make_demo_data(tmp_path / "new" / "data", subjects=1, size=32) == 32
        images = find_images(tmp_path / "new" / "data")
        assert {p.name for p in images} == {f"case_001_slice_{k}.nii.png" for k in range(32)}
        with Image.open(images[0]) as image:
            assert (image.mode, image.size) == ("L", (32, 32))
        others = {p.name for p in (tmp_path / "new" / "data").iterdir()} - {p.name for p in images}
        assert others == {"NOTICE.txt", "demo-data.json"}

    def test_the_notice_is_the_templates_and_says_what_this_is(self, tmp_path):
        make_demo_data(tmp_path, subjects=1, size=16)
        notice = " ".join((tmp_path / "NOTICE.txt").read_text(encoding="utf-8").split())
        assert "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre" in notice
        assert "provided that the above copyright notice appear in all copies" in notice
        assert "no substitute for OASIS, ADNI" in notice and demo.WARNING in notice

    def test_a_subject_does_not_depend_on_their_number(self, tmp_path):
        for count in (1, 2):
            make_demo_data(tmp_path / str(count), subjects=count, size=16)
        for path in find_images(tmp_path / "1"):
            assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()

    def test_a_second_call_does_nothing_and_says_so(self, tmp_path, capsys):
        make_demo_data(tmp_path, subjects=1, size=16)
        before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
        capsys.readouterr()
        assert make_demo_data(tmp_path, subjects=1, size=16) == 0
        assert "complete; nothing to do" in capsys.readouterr().err
        assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before

    def test_progress_can_be_silent(self, tmp_path, capsys):
        for _ in range(2):
            make_demo_data(tmp_path, subjects=1, size=16, progress=False)
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize("damage", ["removed", "empty"])
    def test_lost_images_are_made_again(self, tmp_path, damage):
        make_demo_data(tmp_path, subjects=2, size=16)
        path = tmp_path / "case_002_slice_7.nii.png"
        content = path.read_bytes()
        path.unlink() if damage == "removed" else path.write_bytes(b"")
        assert make_demo_data(tmp_path, subjects=2, size=16) == 32
        assert path.read_bytes() == content

    @pytest.mark.parametrize("changes", [dict(subjects=2), dict(size=32), dict(seed=1)])
    def test_other_settings_are_refused(self, tmp_path, changes):
        make_demo_data(tmp_path, subjects=1, size=16)
        with pytest.raises(UsageError, match="other demonstration data .subjects 1, size 16"):
            make_demo_data(tmp_path, **{**dict(subjects=1, size=16), **changes})

    def test_the_command(self, tmp_path, capsys):
        flags = ["demo-data", str(tmp_path), "--subjects", "1", "--size", "16", "--seed", "3"]
        assert cli.main(flags) == 0
        out = capsys.readouterr().out
        assert f"{tmp_path}: 32 slices" in out and demo.WARNING in out
        assert json.loads((tmp_path / "demo-data.json").read_text())["seed"] == 3


@needs_template
def test_an_interrupted_folder_is_completed(tmp_path, half, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        make_demo_data(tmp_path, subjects=3, size=16)
    torn = tmp_path / "case_002_slice_0.nii.png"
    torn.write_bytes(b"half an image")
    made = []

    def make(template, subject, size, seed):
        made.append(subject)
        return np.zeros((demo.SLICES, size, size), np.uint8)

    monkeypatch.setattr(demo, "make_subject", make)
    assert make_demo_data(tmp_path, subjects=3, size=16) == 64
    assert made == [2, 3]
    assert len(find_images(tmp_path)) == 96
    Image.open(torn).verify()


@pytest.mark.parametrize("changes, message", [
    (dict(subjects=0), "`subjects` must be .* from 1 .*subjects=0"),
    (dict(size=8), "`size` must be .* 16 to 512.*size=8"),
    (dict(size=64.0), "`size`"),
    (dict(seed=-1), "`seed`"),
    (dict(subjects=True), "`subjects`"),
])
def test_arguments_are_checked_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        make_demo_data(tmp_path / "data", **changes)
    assert not (tmp_path / "data").exists()


def test_a_folder_with_other_content_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        make_demo_data(tmp_path, subjects=1, size=16)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        make_demo_data(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"subjects_done": null}', "{"])
def test_a_strange_record_is_refused(tmp_path, text):
    (tmp_path / "demo-data.json").write_text(text)
    with pytest.raises(UsageError, match="name another folder"):
        make_demo_data(tmp_path)


@pytest.mark.parametrize("absent", ["nilearn", "nibabel"])
def test_without_the_extra_one_line_tells_how_to_get_it(tmp_path, monkeypatch, absent):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *more: None if name == absent else find(name, *more))
    with pytest.raises(UsageError) as caught:
        make_demo_data(tmp_path / "data", subjects=1)
    assert 'pip install -e ".[demo]"' in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@needs_template
@pytest.mark.usefixtures("quick")
def test_a_failing_disk_is_explained(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "write_text", fail)
    with pytest.raises(OutputError, match="No space left"):
        make_demo_data(tmp_path, subjects=1, size=16)


def test_neither_tensorflow_nor_nilearn_is_imported(tmp_path):
    code = ("import sys, stylegan2_tf.cli.demo_data, stylegan2_tf.demo as d\n"
            "try: d.load_template()\n"
            "except d.UsageError: pass\n"
            "print(sorted({'tensorflow', 'keras', 'nilearn'} & set(sys.modules)))")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
