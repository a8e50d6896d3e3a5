"""Where the images of an evaluation come from."""

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf import artifacts
from stylegan2_tf.data import divide, division_of, read_image
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent import listing
from stylegan2_tf.metrics import sources
from stylegan2_tf.metrics.sources import Form


@pytest.fixture
def make_folder(tmp_path):
    def make(name, *sizes, mode="L"):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(0)
        for index, (height, width) in enumerate(sizes):
            shape = (height, width) if mode == "L" else (height, width, 3)
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / f"{index}.png")
        return folder
    return make


@pytest.fixture
def run(tmp_path, tiny_config):
    """A run folder with the models of an untrained generator."""
    from stylegan2_tf.building import make_networks

    config = tiny_config(fit="crop")
    _, average, discriminator = make_networks(config)
    artifacts.save_models(tmp_path / "run" / "Model", average, discriminator,
                          config=config.to_json())
    return tmp_path / "run"


def test_the_most_frequent_size_decides(make_folder):
    folder = make_folder("mixed", (20, 24), (32, 32), (20, 24))
    assert sources.find_form(folder) == Form((20, 24), 1, "pad")
    assert sources.find_form(folder, resolution=16, channels=3) == Form((16, 16), 3, "pad")


def test_colour_is_seen(make_folder):
    assert sources.find_form(make_folder("colour", (16, 16), mode="RGB")).channels == 3


def test_files_that_are_no_images_do_not_decide(make_folder):
    folder = make_folder("broken", (20, 20))
    (folder / "00.png").write_bytes(b"no image")
    assert sources.find_form(folder).resolution == (20, 20)


@pytest.mark.parametrize("resolution", [(8, 64), (64, 15), (1025, 1024)])
def test_sides_that_no_measure_is_made_for_are_refused(resolution):
    with pytest.raises(UsageError, match="--resolution: expected sides of 16 to 1024"):
        sources.check_form(Form(resolution, 1, "pad"))


def test_reading_brings_all_images_to_the_form(make_folder, tmp_path):
    folder = make_folder("mixed", (20, 24), (32, 32))
    source = sources.read_images(folder, tmp_path / "cache", Form((16, 20), 1, "pad"))
    assert source.images.shape == (2, 16, 20, 1) and source.names == ("0.png", "1.png")
    assert source.about["images"] == 2 and len(source.about["fingerprint"]) == 64


@pytest.fixture
def generated(make_folder):
    """A folder as `generate --grid` leaves it, of two classes, and a stale image."""
    def make(ending=".png"):
        folder = make_folder("generated")
        for name in ("AD", "NC"):
            part = make_folder(f"generated/{name}", (16, 16), (16, 16))
            listed = [f"seed0000{number}{ending}" for number in range(2)]
            for number, file in enumerate(listed):
                (part / f"{number}.png").rename(part / file)
            listing.begin(part, [[file, *range(8)] for file in listed])
            listing.finish(part)
            Image.fromarray(np.zeros((32, 48), np.uint8)).save(part / "grid.png")
        (folder / "NC" / "seed00007.png").write_bytes((folder / "NC" / "grid.png").read_bytes())
        return folder
    return make


def test_a_grid_of_generated_images_is_none_of_them(generated, tmp_path):
    folder = generated()
    form = sources.find_form(folder)
    assert form == Form((16, 16), 1, "pad")
    source = sources.read_images(folder, tmp_path / "cache", form)
    assert source.names == ("AD/seed00000.png", "AD/seed00001.png", "NC/seed00000.png",
                            "NC/seed00001.png")
    assert source.images.shape == (4, 16, 16, 1) and source.about["images"] == 4
    assert source.about["notices"][-1] == ("not in the seeds.csv beside, and so left out: 3, such "
                                           "as AD/grid.png")
    expected = np.stack([read_image(folder / name, 1)[..., 0] for name in source.names])
    np.testing.assert_array_equal(source.images[:][..., 0], expected)


def test_a_list_of_other_people_is_not_followed(make_folder, tmp_path):
    folder = make_folder("images", (16, 16), (16, 16))
    (folder / "seeds.csv").write_text("seed,file\n1,0.png\n")
    source = sources.read_images(folder, tmp_path / "cache", sources.find_form(folder))
    assert source.names == ("0.png", "1.png") and source.about["notices"] == []


def test_a_folder_of_numbers_and_a_grid_holds_no_image(generated, tmp_path):
    folder = generated(".npy")
    for read in (lambda: sources.find_form(folder),
                 lambda: sources.read_images(folder, tmp_path / "cache", Form((16, 16), 1, "pad"))):
        with pytest.raises(DataError, match="expected images that seeds.csv lists, found others on"
                                            "ly, such as AD/grid.png; of `generate --format npy`"):
            read()


@pytest.mark.parametrize("inside", ["", "Model", "Model/generator.keras"])
def test_a_generator_is_found_in_its_run(run, inside):
    found = sources.find_generator(run / inside)
    assert found == run / "Model" / "generator.keras"


def test_a_folder_of_images_is_no_generator(make_folder):
    assert sources.find_generator(make_folder("images", (16, 16))) is None


def test_drawing_is_decided_by_the_seed_and_takes_the_form_of_the_training(run):
    first, form = sources.draw_images(run, 5, seed=3)
    again, _ = sources.draw_images(run, 7, seed=3)
    other, _ = sources.draw_images(run, 5, seed=4)
    assert form == Form((16, 16), 1, "crop")
    assert first.images.shape == (5, 16, 16, 1) and first.images.dtype == np.uint8
    assert np.abs(first.images.astype(int) - again.images[:5]).max() <= 1
    assert (first.images != other.images).any()
    assert first.about["sha256"] and first.about["images"] == 5


@pytest.mark.parametrize("known, expected", [
    (dict(class_counts=[70, 20, 10]), {"AD": 7, "MCI": 2, "NC": 1}),
    ({}, {"AD": 4, "MCI": 3, "NC": 3})])
def test_classes_are_drawn_as_they_were_trained_on(tmp_path, tiny_config, known, expected):
    from stylegan2_tf.building import make_networks

    _, average, discriminator = make_networks(tiny_config(conditional=True), tuple(expected))
    artifacts.save_models(tmp_path / "Model", average, discriminator, **known)
    source, _ = sources.draw_images(tmp_path, 10)
    counts = source.about["classes"]
    assert sum(counts.values()) == 10
    assert all(abs(counts[name] - number) <= 1 for name, number in expected.items())
    assert not known or counts == expected


def test_a_network_that_still_grows_says_so(tmp_path, tiny_config):
    from stylegan2_tf.building import make_networks

    config = tiny_config(progressive=True)
    _, average, discriminator = make_networks(config)
    for level, expected in ((1, ["the training has grown to 8x8 of 16x16 so far, and is measured "
                                 "there"]), (2, None)):
        average.synthesis.level = level
        artifacts.save_models(tmp_path / "Model", average, discriminator, config=config.to_json())
        source, form = sources.draw_images(tmp_path, 2)
        assert form.resolution == (4 << level, 4 << level)
        assert source.about.get("notices") == expected


def test_a_missing_generator_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="nothing there"):
        sources.draw_images(tmp_path / "absent.keras", 2)


def test_what_a_manifest_keeps_to_itself_is_named(make_folder, tmp_path, tiny_config):
    """The run held out others than the built-in patterns would: only its run folder says whom."""
    folder, form = make_folder("people", *[(16, 16)] * 8), Form((16, 16), 1, "pad")
    for index in range(8):
        (folder / f"{index}.png").rename(folder / f"case_{index}0{index % 4}_slice_{index}.png")
    config = tiny_config(holdout=0.25, subject_pattern=r"case_\d(\d\d)")
    whole = sources.read_as_trained(folder, tmp_path / "cache", form, {"config": {}})[0]
    packed = sources._pack(folder, tmp_path / "cache", form)
    train = divide(packed, **division_of(config.to_json()))[0]
    manifest = {"images": train.fingerprint, "config": config.public()}
    source, held, lines = sources.read_as_trained(folder, tmp_path / "cache", form, manifest)
    assert held is None and source.names == whole.names
    assert lines == [f"note: {folder} is not what this generator was trained on, or has changed "
                     "since: all its images are taken (only its run folder tells its "
                     "--subject-pattern)"]
    manifest["config"] = config.to_json()
    source, held, _ = sources.read_as_trained(folder, tmp_path / "cache", form, manifest)
    assert (len(source.names), len(held.names)) == (6, 2)
    manifest["images"] = "another"
    _, _, lines = sources.read_as_trained(folder, tmp_path / "cache", form, manifest)
    assert "all its images are taken" in lines[0] and "tells its" not in lines[0]
