import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import stylegan2_tf
from stylegan2_tf.artifacts import save_models
from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import make_latents, to_uint8
from stylegan2_tf.networks import Discriminator, Generator


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder with a saved model whose noise and mean latent are not trivial."""
    folder = tmp_path_factory.mktemp("run")
    generator = Generator([8, 4, 4], z_dim=6, w_dim=5, channels=1, mapping_layers=2)
    generator.build()
    for index, conv in enumerate(generator.synthesis.convs):
        conv.noise.strength.assign(10.0 * (index + 1))
    generator.w_avg.assign(np.linspace(-1, 1, 5))
    discriminator = Discriminator([4, 8])
    discriminator.build()
    save_models(folder / "Model", generator, discriminator, step=3)
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


def test_sample_refuses_no_images(run_folder):
    with pytest.raises(ValueError, match="n=0"):
        stylegan2_tf.load(run_folder).sample(0)


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


def test_numpy_backend_agrees_without_tensorflow(run_folder, tmp_path):
    pytest.importorskip("jax", reason="Keras' NumPy backend convolves with jax")
    expected = stylegan2_tf.load(run_folder).sample(3, seed=4, truncation_psi=0.7)
    script = ("import sys\n"
              "sys.modules['tensorflow'] = None  # any import of it fails\n"
              "import numpy, stylegan2_tf, keras\n"
              "assert keras.backend.backend() == 'numpy'\n"
              f"images = stylegan2_tf.load(r'{run_folder}').sample(3, 4, 0.7)\n"
              f"numpy.save(r'{tmp_path}/images.npy', images)\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          env={"KERAS_BACKEND": "numpy", "PATH": "", "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=1e-5)


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
