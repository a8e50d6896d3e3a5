"""Every command opens a prepared set, a folder, an archive or volumes alike."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main
from stylegan2_tf.data import pack
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent.targets import image_paths, read_targets
from stylegan2_tf.metrics.sources import Form, find_form, read_images
from stylegan2_tf.preparation import (
    Options,
    check_fit,
    image_names,
    is_plain,
    native_form,
    open_images,
    prepare,
    read_prepared,
)
from stylegan2_tf.preview import describe, examine

SAME = dict(resolution=(12, 10), channels=1, progress=False)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for subject in range(3):
        for number in range(4):
            path = tmp_path / "images" / f"case_{subject:03}_slice_{number}.nii.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (12, 10), dtype=np.uint8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def archive(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return tmp_path / "images.zip"


@pytest.fixture
def volumes(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    (tmp_path / "volumes").mkdir()
    for number in range(2):
        voxels = np.random.default_rng(number).integers(1, 99, (10, 12, 5), dtype=np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)),
                     tmp_path / "volumes" / f"sub-0{number}_T1w.nii.gz")
    return tmp_path / "volumes"


@pytest.fixture
def prepared(folder, tmp_path):
    prepare(folder, tmp_path / "set", progress=False)
    return tmp_path / "set"


def test_a_plain_folder_is_packed_as_ever(folder, tmp_path):
    assert is_plain(folder)
    opened = open_images(folder, tmp_path / "cache", **SAME)
    packed = pack(folder, tmp_path / "other", **SAME)
    assert (opened.fingerprint, opened.names) == (packed.fingerprint, packed.names)
    assert [path.name[:7] for path in (tmp_path / "cache").iterdir()] == ["packed-"]
    assert image_names(folder) == packed.names


@pytest.mark.parametrize("path", ["absent", "file.txt"])
def test_nothing_to_open_is_the_same_line_as_ever(tmp_path, path):
    (tmp_path / "file.txt").touch()
    with pytest.raises(UsageError, match="Expected a folder of images"):
        open_images(tmp_path / path, tmp_path / "cache", **SAME)


def test_a_set_of_the_same_size_is_mapped_as_it_is(prepared, tmp_path):
    opened = open_images(prepared, tmp_path / "cache", **SAME)
    assert isinstance(opened.array, np.memmap) and not (tmp_path / "cache").exists()
    assert os.path.samefile(opened.array.filename, prepared / "images.npy")
    assert image_names(prepared) == opened.names and not is_plain(prepared)


def test_a_set_of_another_size_is_fitted_once(prepared, tmp_path, monkeypatch):
    options = dict(resolution=8, channels=3, fit="crop", progress=False)
    opened = open_images(prepared, tmp_path / "cache", **options)
    assert opened.array.shape == (12, 8, 8, 3)
    assert opened.names == read_prepared(prepared).names
    whole = pack(tmp_path / "images", tmp_path / "other", **options)
    np.testing.assert_array_equal(opened.array, whole.array)
    monkeypatch.setattr("stylegan2_tf.preparation.writing.read_item", None)
    again = open_images(prepared, tmp_path / "cache", **options)
    assert again.fingerprint == opened.fingerprint


def test_training_undoes_the_padding_that_a_set_has(folder, prepared, tmp_path):
    for name, options in (("pad", {}), ("crop", dict(fit="crop"))):
        prepare(folder, tmp_path / name, Options(resolution=16, **options), progress=False)
    assert read_prepared(tmp_path / "pad").source_shape == (12, 10)
    smaller, other = (open_images(tmp_path / "pad", tmp_path / "cache", resolution=sides,
                                  channels=1, progress=False) for sides in (8, (8, 10)))
    assert smaller.source_shape == (12, 10)  # its bars, to scale
    assert other.source_shape == (16, 16)  # bars of two kinds: those of the set are kept
    for path, fit in ((folder, "crop"), (prepared, "crop"), (tmp_path / "pad", "pad"),
                      (tmp_path / "crop", "crop"), (tmp_path / "none", "pad")):
        check_fit(path, fit)
    with pytest.raises(UsageError, match="--fit: expected crop, by which .*crop was prepared"):
        check_fit(tmp_path / "crop", "pad")
    (tmp_path / "crop" / "dataset.json").write_text(json.dumps({
        "format": "stylegan2_tf prepared images", "shape": None}))
    check_fit(tmp_path / "crop", "pad")  # damaged, which opening it says
    assert main(["train", str(tmp_path / "pad"), str(tmp_path / "run"), "4", "8", "4", "4", "4",
                 "--resolution", "16", "--fit", "crop"]) == 2
    assert not (tmp_path / "run").exists()


def test_an_archive_is_prepared_into_the_cache(archive, folder, tmp_path, capsys):
    opened = open_images(archive, tmp_path / "cache", **SAME)
    packed = pack(folder, tmp_path / "other", **SAME)
    assert opened.fingerprint == packed.fingerprint
    assert opened.names[0] == "sub-000/case_000_slice_0.nii.png" == image_names(archive)[0]
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("broken.png", b"no image")
    changed = open_images(archive, tmp_path / "cache", **SAME)  # noticed, and done anew
    assert changed.fingerprint == packed.fingerprint
    assert "left out 1 files:\n  broken.png: not an image" in capsys.readouterr().err
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_volumes_are_prepared_into_the_cache(volumes, tmp_path):
    opened = open_images(volumes, tmp_path / "cache", resolution=16, channels=1, progress=False)
    assert opened.array.shape == (10, 16, 16, 1)
    assert opened.names[0] == "sub-00/sub-00_T1w_axial-000"
    assert image_names(volumes) == opened.names
    one = open_images(volumes / "sub-01_T1w.nii.gz", tmp_path / "cache", resolution=16, channels=1)
    np.testing.assert_array_equal(one.array, opened.array[5:])


def test_an_interrupted_cache_goes_on(archive, tmp_path, monkeypatch):
    def stopped(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("stylegan2_tf.preparation.writing.finish", stopped)
        open_images(archive, tmp_path / "cache", **SAME)
    assert len(open_images(archive, tmp_path / "cache", **SAME)) == 12


@pytest.mark.parametrize("damage", ["cut", "gone", "rows", "text", "version", "format"])
def test_a_damaged_set_is_one_line(prepared, tmp_path, damage):
    about = json.loads((prepared / "dataset.json").read_text())
    if damage == "cut":
        content = (prepared / "images.npy").read_bytes()
        (prepared / "images.npy").write_bytes(content[:-1])
    elif damage == "gone":
        (prepared / "manifest.csv").unlink()
    elif damage == "rows":
        lines = (prepared / "manifest.csv").read_text().splitlines(keepends=True)
        (prepared / "manifest.csv").write_text("".join(lines[:-1]))
    elif damage == "text":
        (prepared / "images.npy").write_text("no array")
    elif damage == "version":
        (prepared / "dataset.json").write_text(json.dumps({**about, "version": 99}))
    else:
        (prepared / "dataset.json").write_text(json.dumps({**about, "shape": None}))
    with pytest.raises(DataError, match="expected "):
        open_images(prepared, tmp_path / "cache", **SAME)


def test_native_forms(folder, prepared, archive, volumes):
    for path in (folder, prepared, archive):
        assert native_form(path) == ((12, 10), 1)
    assert native_form(volumes) == ((16, 16), 1)


def test_evaluation_reads_them_all(prepared, archive, volumes, tmp_path):
    for path, count in ((prepared, 12), (archive, 12), (volumes, 10)):
        form = find_form(path)
        source = read_images(path, tmp_path / "cache", form)
        assert len(source.images) == count and source.images.shape[1:3] == form.resolution
    assert find_form(archive, 32, 3) == Form((32, 32), 3, "pad")


def test_projection_takes_them_all(folder, prepared, archive, volumes):
    files = read_targets(image_paths([folder]), (16, 16), 1)
    for path in (prepared, archive):
        paths = image_paths([folder / "case_000_slice_0.nii.png", path])
        assert len(paths) == 13 and os.fspath(paths[1]) == (
            f"{path}/sub-000/case_000_slice_0.nii.png")
        found = read_targets(paths, (16, 16), 1)
        np.testing.assert_array_equal(found, np.concatenate([files[:1], files]))
    assert read_targets(image_paths([volumes]), (16, 16), 3).shape == (10, 16, 16, 3)


def test_preview_looks_at_them_all(prepared, archive, volumes):
    for path, subjects in ((prepared, 3), (archive, 3), (volumes, 2)):
        findings = examine(path, progress=False)
        assert len(set(findings.subjects[1])) == subjects and findings.looked_at >= 10
        assert any("images" == fact.label for fact in describe(findings))


def test_training_from_a_set_is_training_from_the_folder(folder, prepared, tmp_path):
    """Same pixels, same order: what a run notes down of its images differs in names only."""
    from tiny import TINY

    from stylegan2_tf.config import TrainConfig
    from stylegan2_tf.run_folder import RunFolder

    for name, path in (("one", folder), ("two", prepared)):
        with RunFolder(tmp_path / name) as run:
            packed = open_images(path, tmp_path / name / "cache", **SAME)
            assert run.compare_images(packed) == []
            run.write_config(TrainConfig(**{**TINY, "data_dir": str(path)}))
    one, two = (json.loads((tmp_path / name / "images.json").read_text())
                for name in ("one", "two"))
    assert one["fingerprint"] == two["fingerprint"]


def test_a_large_set_opens_quickly(tmp_path):
    """Within two seconds, beside the imports; it has 20,000 rows."""
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    (tmp_path / "images").mkdir()
    image.save(tmp_path / "one.png")
    for number in range(200):
        os.link(tmp_path / "one.png", tmp_path / "images" / f"case_{number}_slice_1.png")
    prepare(tmp_path / "images", tmp_path / "set", progress=False)
    lines = (tmp_path / "set" / "manifest.csv").read_text().splitlines(keepends=True)
    (tmp_path / "set" / "manifest.csv").write_text("".join([lines[0], *lines[1:] * 100]))
    about = json.loads((tmp_path / "set" / "dataset.json").read_text())
    about["shape"][0] = 20_000
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(about))
    np.save(tmp_path / "set" / "images.npy", np.zeros((20_000, 4, 4, 1), np.uint8))
    started = time.process_time()
    assert len(read_prepared(tmp_path / "set")) == 20_000
    assert time.process_time() - started < 2


def test_importing_it_imports_no_tensorflow():
    code = ("import sys, stylegan2_tf.preparation as p\n[getattr(p, name) for name in p.__all__]\n"
            "print(sorted({'tensorflow', 'keras', 'nibabel', 'pydicom'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_a_moved_set_opens(prepared, tmp_path):
    shutil.move(prepared, tmp_path / "elsewhere")
    assert len(open_images(tmp_path / "elsewhere", tmp_path / "cache", **SAME)) == 12


def test_dry_run_counts_an_archive(archive):
    assert len(image_names(archive)) == 12
    assert main(["preview", str(archive), str(archive.with_suffix(".png"))]) == 0


def test_a_folder_with_options_of_its_own(folder, tmp_path):
    prepare(folder, tmp_path / "set", Options(resolution=16, channels=4), progress=False)
    opened = open_images(tmp_path / "set", tmp_path / "cache", resolution=16, channels=1)
    grey = pack(folder, tmp_path / "other", resolution=16, channels=1, progress=False)
    np.testing.assert_array_equal(opened.array, grey.array)
