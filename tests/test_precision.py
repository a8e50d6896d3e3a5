import keras
import numpy as np
import pytest
from small import make_generator, numbers

from stylegan2_tf import precision
from stylegan2_tf.building import make_networks
from stylegan2_tf.latent.sampling import draw, load, make_latents
from stylegan2_tf.precision import POLICIES, in_precision, resolve

HALF = ("bfloat16", "float16")


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_asked_for_is_taken(name):
    assert resolve(name) == name


@pytest.mark.parametrize("amx, expected", [(True, "bfloat16"), (False, "float32")])
def test_auto_is_16_bits_where_the_processor_multiplies_them(monkeypatch, amx, expected):
    monkeypatch.setattr(precision, "_has_amx", lambda: amx)
    assert resolve("auto") == expected


@pytest.mark.parametrize("capability, expected", [((8, 0), "bfloat16"), ((7, 5), "float32"),
                                                  ((12, 0), "bfloat16")])
def test_a_gpu_decides_where_there_is_one(monkeypatch, capability, expected):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one", "two"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {
        "compute_capability": capability if gpu == "one" else (9, 0)})
    assert resolve("auto") == expected


@pytest.mark.parametrize("name", POLICIES)
def test_small_and_delicate_parts_stay_float32(tiny_config, name):
    generator, average, discriminator = make_networks(tiny_config(precision=name))
    for part in (generator.mapping, discriminator.head):
        assert part.compute_dtype == "float32"
    for part in (generator.synthesis, average.synthesis, discriminator.trunk):
        assert part.compute_dtype == name
    for network in (generator, discriminator):
        assert {variable.dtype for variable in network.variables} == {"float32"}
    z = make_latents(4, generator.z_dim)
    images = generator(z)
    assert keras.backend.standardize_dtype(images.dtype) == "float32"
    assert keras.backend.standardize_dtype(discriminator(images).dtype) == "float32"


@pytest.mark.parametrize("name, tolerance", [("bfloat16", 0.1), ("float16", 0.01)])
def test_the_same_weights_in_other_numbers_draw_nearly_the_same(name, tolerance):
    generator = make_generator()
    half = in_precision(generator, name)
    z = make_latents(3, generator.z_dim)
    found, expected = draw(half, z), draw(generator, z)
    assert 0 < np.abs(found - expected).max() < tolerance
    again = in_precision(half, "float32")
    np.testing.assert_array_equal(draw(again, z), expected)
    assert in_precision(again, "float32") is again


@pytest.mark.parametrize("name", HALF)
def test_a_model_is_loaded_as_it_was_saved(tmp_path, name):
    generator = in_precision(make_generator(), name)
    generator.save(tmp_path / "generator.keras")
    loaded = load(tmp_path / "generator.keras")
    assert loaded.generator.synthesis.compute_dtype == name
    z = numbers(2, generator.z_dim)
    np.testing.assert_array_equal(draw(loaded.generator, z), draw(generator, z))


def test_large_features_do_not_overflow_float16():
    generator = make_generator()
    for affine in generator.synthesis.affines():
        affine.kernel.assign(3000.0 * affine.kernel)
    images = in_precision(generator, "float16")(make_latents(2, generator.z_dim))
    assert np.isfinite(np.asarray(images)).all()
