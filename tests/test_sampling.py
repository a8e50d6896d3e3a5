import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from small import FAMILIES, make_discriminator, make_generator

import stylegan2_tf
from stylegan2_tf.artifacts import save_models
from stylegan2_tf.cli import main, shared
from stylegan2_tf.errors import DataError
from stylegan2_tf.latent import sampling
from stylegan2_tf.latent.sampling import (
    draw,
    enlarged,
    make_latents,
    map_latents,
    one_hot,
    synthesize,
    to_uint8,
)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder with a saved model whose noise and mean latent are not trivial."""
    folder = tmp_path_factory.mktemp("run")
    save_models(folder / "Model", make_generator(filters=[8, 4, 4], z_dim=6, w_dim=5),
                make_discriminator(), step=3)
    return folder


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A run folder with a generator of three classes and 12x16 pixels."""
    folder = tmp_path_factory.mktemp("conditional")
    generator = make_generator(filters=[8, 4, 4], classes=("AD", "MCI", "NC"),
                               base_resolution=[3, 4])
    save_models(folder / "Model", generator, make_discriminator(label_dim=3), step=3)
    return folder


def test_latents_do_not_depend_on_their_number():
    np.testing.assert_array_equal(make_latents(3, 7, seed=5), make_latents(9, 7, seed=5)[:3])
    assert not np.array_equal(make_latents(3, 7, seed=5), make_latents(3, 7, seed=6))
    z = make_latents(20_000, 2)
    assert z.dtype == np.float32 and abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02


def test_sample_from_folder_and_file(run_folder):
    model = stylegan2_tf.load(run_folder)
    images = model.sample(5, seed=1)
    assert images.shape == (5, 16, 16, 1) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1
    assert (model.z_dim, model.resolution, model.channels) == (6, (16, 16), 1)
    assert model.classes == []
    for path in (run_folder / "Model", run_folder / "Model" / "generator.keras"):
        np.testing.assert_array_equal(stylegan2_tf.load(path).sample(5, seed=1), images)
    # rtol: another batch size may take another convolution kernel
    np.testing.assert_allclose(model.sample(2, seed=1), images[:2], atol=1e-5)
    assert np.abs(model.sample(5, seed=2) - images).max() > 0.01


def test_truncation_narrows(run_folder):
    model = stylegan2_tf.load(run_folder)
    wide, narrow = (model.sample(16, truncation_psi=psi).std(axis=0).mean() for psi in (1, 0.3))
    assert narrow < 0.7 * wide
    assert model.sample(4, truncation_psi=0).std(axis=0).max() < 1e-4


@pytest.mark.parametrize("arguments, message", [
    (dict(n=0), "`n` must be at least 1. Received: n=0"),
    (dict(n=1.5), "Received: n=1.5"), (dict(n=None), "Give `n` and, if you like, `seed`; or"),
    (dict(n=2, seeds=[1]), "Received: n=2, seed=0, seeds=.1."),
    (dict(seed=3, seeds=[1]), "or `seeds` alone"), (dict(seeds=[]), "`seeds` must hold one seed"),
    (dict(n=2, seed=None), "`seed` must be a whole number, 0 or more. Received: seed=None"),
    (dict(n=2, seed=-1), "seed=-1"), (dict(n=2, seed=0.5), "seed=0.5"),
    (dict(seeds=[3, -1]), "seed=-1"), (dict(seeds=[None]), "seed=None"),
    (dict(n=2, truncation_psi=np.nan), "`truncation_psi` must be within -10 to 10. Rec.*psi=nan"),
    (dict(n=2, truncation_psi=np.inf), "psi=inf"), (dict(n=2, truncation_psi=-10.1), "psi=-10.1"),
    (dict(seeds=[2], truncation_psi=11), "psi=11"), (dict(seeds=[2], label="AD"), "label=AD"),
])
def test_samples_that_cannot_be(run_folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        stylegan2_tf.load(run_folder).sample(**arguments)


def test_the_command_line_allows_the_same_truncation():
    assert sampling.STRONGEST == shared.STRONGEST


# -- by seeds


@pytest.mark.parametrize("label", [None, "NC"])
def test_samples_of_seeds_are_those_of_generate(conditional, tmp_path, capsys, label):
    model, seeds = stylegan2_tf.load(conditional), [7, 0, 12, 12]
    images = model.sample(seeds=seeds, truncation_psi=0.7, label=label)
    assert images.shape == (4, 12, 16, 1)
    assert main(["generate", str(conditional), str(tmp_path), "--seeds", "0,7,12", "--format",
                 "npy", "--truncation-psi", "0.7", *(["--class", label] if label else [])]) == 0
    assert "a psi below 1 leads towards the mean of all classes" in capsys.readouterr().err
    for seed, image in zip(seeds, images, strict=True):
        np.testing.assert_array_equal(image, np.load(tmp_path / f"seed{seed:05d}.npy"))
    np.testing.assert_array_equal(model.sample(seeds=(7,), truncation_psi=0.7, label=label)[0],
                                  images[0])
    assert np.abs(model.sample(4, seed=7, truncation_psi=0.7) - images).max() > 1e-2


def test_the_class_of_a_seed_is_the_seed_modulo_the_classes(conditional):
    model = stylegan2_tf.load(conditional)
    for seed, label in ((7, "MCI"), (9, "AD"), (2, "NC")):
        np.testing.assert_array_equal(model.sample(seeds=[seed]),
                                      model.sample(seeds=[seed], label=label))
    assert np.abs(model.sample(seeds=[7]) - model.sample(seeds=[7], label="AD")).max() > 1e-2


# -- classes


def test_without_a_label_every_class_comes_in_turn(conditional):
    model = stylegan2_tf.load(conditional)
    assert model.classes == ["AD", "MCI", "NC"] and model.resolution == (12, 16)
    images = model.sample(7, seed=1)
    assert images.shape == (7, 12, 16, 1)
    for index, name in enumerate(model.classes):
        of_class = model.sample(7, seed=1, label=name)
        np.testing.assert_allclose(images[index::3], of_class[index::3], atol=1e-5)
        assert np.abs(images - of_class).max() > 1e-2


def test_drawing_in_batches_keeps_the_order_of_the_labels(conditional):
    generator = stylegan2_tf.load(conditional).generator
    z, labels = make_latents(7, 5), [2, 0, 1, 1, 0, 2, 2]
    np.testing.assert_allclose(draw(generator, z, labels, batch=3), draw(generator, z, labels),
                               atol=1e-5)
    np.testing.assert_allclose(draw(generator, z, labels)[1], draw(generator, z[1:2], [0])[0],
                               atol=1e-5)
    np.testing.assert_allclose(draw(generator, z, batch=3), draw(generator, z), atol=1e-5)


def test_labels_are_counted_round(conditional, run_folder):
    model, plain = (stylegan2_tf.load(folder) for folder in (conditional, run_folder))
    found = one_hot(model.generator, [0, 2, 4])
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert found.dtype == np.float32
    assert one_hot(plain.generator, [0, 2, 4]) is None
    many = one_hot(SimpleNamespace(classes=range(90_000)), [89_999, 90_001])  # no square of them
    np.testing.assert_array_equal(many.nonzero(), [[0, 1], [89_999, 1]])
    z = make_latents(2, 6)
    np.testing.assert_array_equal(draw(plain.generator, z, [1, 1]), draw(plain.generator, z))


@pytest.mark.parametrize("label", ["CN", "", 1])
def test_unknown_classes_are_refused(conditional, run_folder, label):
    with pytest.raises(ValueError, match=rf"\(AD, MCI, NC\). Received: label={label}$"):
        stylegan2_tf.load(conditional).sample(1, label=label)
    with pytest.raises(ValueError, match=r"\(there are none\). Received: label=AD"):
        stylegan2_tf.load(run_folder).sample(1, label="AD")


def test_a_sample_is_mapped_then_painted(conditional):
    model = stylegan2_tf.load(conditional)
    w = model.map(make_latents(3, 5, seed=2), truncation_psi=0.7, label="NC")
    assert w.shape == (3, 7)
    expected = model.sample(3, seed=2, truncation_psi=0.7, label="NC")
    np.testing.assert_array_equal(model.synthesize(w), expected)
    ws = np.repeat(w[:, None], model.generator.synthesis.num_ws, axis=1)
    np.testing.assert_allclose(model.synthesize(ws), expected, atol=1e-6)
    assert np.abs(model.synthesize(w, noise=0.0) - expected).max() > 1e-3
    wide = model.map(make_latents(3, 5, seed=2), label="NC")
    w_avg = np.asarray(model.generator.w_avg)
    np.testing.assert_allclose(w, w_avg + 0.7 * (wide - w_avg), atol=1e-5)


def test_noise_maps_go_with_their_images_in_every_batch(conditional):
    """More images than are drawn at a time, as `project` gives them."""
    model = stylegan2_tf.load(conditional)
    w = model.map(make_latents(5, 5, seed=2))
    shapes = model.generator.synthesis.noise_shapes(5)
    maps = [np.random.default_rng(index).standard_normal(shape)  # float64
            for index, shape in enumerate(shapes)]
    whole = synthesize(model, w, maps)
    np.testing.assert_allclose(synthesize(model, w, tuple(maps), batch=2), whole, atol=1e-5)
    one = model.synthesize(w[3:4], noise=[noise[3:4] for noise in maps])
    np.testing.assert_allclose(one, whole[3:4], atol=1e-5)
    shared = synthesize(model, w, [noise[:1] for noise in maps], batch=2)
    np.testing.assert_allclose(shared[0], whole[0], atol=1e-5)
    assert np.abs(shared[4] - whole[4]).max() > 1e-2
    with pytest.raises(ValueError, match="`noise` must be None .* each for 1 or 5 images"):
        model.synthesize(w, [noise[:4] for noise in maps])


@pytest.mark.parametrize("name, value, message", [
    ("z", np.zeros((2, 6)), r"`z` must be \[N, 5\], with N at least 1. Received: shape \(2, 6\)"),
    ("z", np.zeros((0, 5)), r"shape \(0, 5\)"), ("z", np.zeros(5), r"shape \(5,\)"),
    ("w", np.zeros((2, 5)), r"`w` must be \[N, 7\] or \[N, 6, 7\], .* Received: shape \(2, 5\)"),
    ("w", np.zeros((2, 5, 7)), r"shape \(2, 5, 7\)"), ("w", np.zeros((0, 7)), r"\(0, 7\)"),
    ("w", np.zeros(7), r"shape \(7,\)"),
    ("noise", "random", "None .* 0.0 for none, or a list of 5 maps, .*noise='random'"),
    ("noise", 0.5, "noise=0.5"), ("noise", [], "shapes .."),
    ("noise", [np.zeros((1, 4, 4, 1))] * 5, "shapes"), ("noise", np.zeros((2, 3, 4, 1)), "noise=")])
def test_shapes_that_do_not_fit(conditional, name, value, message):
    model = stylegan2_tf.load(conditional)
    for either in (model, model.generator):
        with pytest.raises(ValueError, match=message):
            if name == "z":
                map_latents(either, value)
            elif name == "w":
                synthesize(either, value)
            else:
                synthesize(either, np.zeros((2, 7)), value)


def test_either_object_will_do(conditional):
    model = stylegan2_tf.load(conditional)
    z = make_latents(2, 5)
    np.testing.assert_array_equal(draw(model, z), draw(model.generator, z))


def test_images_of_a_small_stage_are_enlarged():
    images = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(enlarged(images, (4, 4))[0, ..., 0], [
        [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    assert enlarged(images[:, :, :1], (8, 4)).shape == (1, 8, 4, 1)
    np.testing.assert_array_equal(enlarged(images, (2, 2)), images)


# -- pictures and files


def test_uint8_rounds_and_clips():
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, -1.0, 0.0, 0.996, 1.0, 7.0])),
                                  [0, 0, 128, 254, 255, 255])


def test_a_fresh_process_loads_after_importing_the_package(run_folder, tmp_path):
    script = ("import sys, stylegan2_tf\n"
              "assert 'keras' not in sys.modules\n"
              "import keras, numpy\n"
              "for name in ('generator', 'discriminator'):\n"
              f"    model = keras.saving.load_model(r'{run_folder}/Model/' + name + '.keras')\n"
              "    print(type(model).__name__, getattr(model, 'optimizer', None))\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Generator", "None", "Discriminator", "None"]


@pytest.fixture(scope="module", params=FAMILIES)
def another(request, tmp_path_factory):
    """A folder with a generator of every family, with attention and classes, half grown."""
    folder = tmp_path_factory.mktemp("another")
    generator = make_generator(request.param, classes=("AD", "NC"), attention=8, level=1)
    generator.synthesis.attend.strength.assign(0.5)
    generator.synthesis.fade.assign(0.3)
    save_models(folder / "Model", generator, make_discriminator(), step=3)
    return folder


def check_backend(backend, folder, tmp_path):
    """The images of a model must be the same in a process without TensorFlow."""
    expected = stylegan2_tf.load(folder).sample(3, seed=4, truncation_psi=0.7)
    script = ("import sys\n"
              "sys.modules['tensorflow'] = None  # any import of it fails\n"
              "import numpy, stylegan2_tf, keras\n"
              f"assert keras.backend.backend() == '{backend}'\n"
              f"images = stylegan2_tf.load(r'{folder}').sample(3, 4, 0.7)\n"
              f"numpy.save(r'{tmp_path}/images.npy', images)\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          env={"KERAS_BACKEND": backend, "PATH": "", "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=1e-5)


def test_numpy_backend_agrees_without_tensorflow(another, tmp_path):
    pytest.importorskip("jax", reason="Keras' NumPy backend convolves with jax")
    check_backend("numpy", another, tmp_path)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree_without_tensorflow(backend, run_folder, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    check_backend(backend, run_folder, tmp_path)


def test_missing_empty_and_foreign_paths(tmp_path, run_folder):
    for path, words in ((tmp_path / "nowhere", "nothing there"), (tmp_path, "no model in it")):
        with pytest.raises(DataError, match=words):
            stylegan2_tf.load(path)
    with pytest.raises(DataError, match="expected a Generator, found Discriminator"):
        stylegan2_tf.load(run_folder / "Model" / "discriminator.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(DataError, match="expected a Generator, found Sequential"):
        stylegan2_tf.load(tmp_path / "other.keras")
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises(DataError, match="expected a model saved by stylegan2_tf"):
        stylegan2_tf.load(tmp_path / "text.keras")


def test_a_changed_model_is_refused(tmp_path, run_folder):
    copy = tmp_path / "Model"
    copy.mkdir()
    for path in (run_folder / "Model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / "generator.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "generator.keras").write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        stylegan2_tf.load(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="manifest"):
        stylegan2_tf.load(copy)


def test_manifest_lists_both_models(run_folder):
    manifest = json.loads((run_folder / "Model" / "manifest.json").read_text())
    assert set(manifest["files"]) == {"generator.keras", "discriminator.keras"}
    assert manifest["step"] == 3
