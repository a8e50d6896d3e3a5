import types

import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent import embedding as module
from stylegan2_tf.latent.embedding import (
    Styles,
    check_measurable,
    chosen_images,
    generated_styles,
    measure,
    projected_styles,
)
from stylegan2_tf.latent.separation import separation


@pytest.fixture
def generator(tiny_config):
    classes = ("old", "middle", "young")  # in no order
    return make_networks(tiny_config(mapping_layers=2), classes)[1]


# -- generated ones


def test_every_class_has_its_own_latents(generator):
    seen = []
    mapping = generator.mapping
    fake = types.SimpleNamespace(
        classes=generator.classes, z_dim=8, truncate=generator.truncate,
        mapping=lambda z, label: (seen.append((z, label)), mapping(z, label))[1])
    styles = generated_styles(fake, 3, seed=7)
    (z, label), = seen
    assert len(np.unique(z, axis=0)) == 9 and styles.groups is None
    assert styles.labels.tolist() == ["old", "middle", "young"] * 3
    assert [generator.classes[number] for number in label.argmax(axis=1)] == styles.labels.tolist()
    np.testing.assert_allclose(styles.w, mapping(z, label), atol=1e-5)
    assert styles.w.dtype == np.float32


def test_the_seed_decides_generated_styles(generator):
    first, again, other = (generated_styles(generator, 2, seed=seed).w for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_class_that_changes_nothing_is_at_chance(generator, monkeypatch):
    """The nearest neighbour would be of another class, were latents the same for all."""
    monkeypatch.setattr(module, "NEIGHBOURS", 1)
    apart = measure(generated_styles(generator, 60))
    embed = generator.mapping.latent.embed
    embed.kernel.assign(0 * embed.kernel)
    same = measure(generated_styles(generator, 60, seed=1))
    assert apart.score > 0.9 and apart.p_value < 0.01
    assert 0.2 < same.score <= same.threshold


# -- real ones


def packed(labels, classes=("a", "b", "c")):
    return types.SimpleNamespace(labels=np.array(labels), classes=classes)


def test_images_are_chosen_evenly_from_every_class():
    labels = [0] * 9 + [1] * 2 + [2] * 4
    assert chosen_images(packed(labels), 3).tolist() == [0, 3, 6, 9, 10, 11, 12, 13]
    assert chosen_images(packed(labels), 99).tolist() == list(range(15))
    mixed = [1, 0, 1, 0, 1, 0]
    assert chosen_images(packed(mixed), 2).tolist() == [0, 1, 2, 3]


def people(count=16, slices=3):
    """Images of two kinds, bright left or bright right; class and subject of each."""
    random = np.random.default_rng(0)
    subject = np.repeat(np.arange(count), slices)
    images = random.uniform(-1, -0.6, (len(subject), 16, 16, 1)).astype(np.float32)
    for image, person in zip(images, subject, strict=True):
        left = 8 * (person % 2)
        image[4:12, left:left + 8] += 1.2
    return images, np.array(["old", "young"])[subject % 2], subject


def test_a_difference_in_real_images_is_found_and_shuffled_labels_are_not(generator):
    images, labels, subject = people()
    found = projected_styles(generator, images, labels, subject, 20)
    assert found.w.shape == (48, 8) and found.labels is labels and found.groups is subject
    true = measure(found)
    assert true.score > 0.9 and true.p_value < 0.02
    for seed in range(3):
        kinds = np.random.default_rng(seed).permutation(np.arange(16) % 2)
        shuffled = measure(Styles(found.w, kinds[subject], subject))
        assert shuffled.score <= shuffled.threshold


# -- measuring


def test_neighbours_of_the_same_subject_do_not_count():
    random = np.random.default_rng(0)
    subject = np.repeat(np.arange(12), 5)
    w = 5 * random.normal(size=(12, 4))[subject] + random.normal(size=(60, 4))
    labels = np.array(["a", "b"])[subject % 2]
    alone = measure(Styles(w, labels), seed=2)
    assert alone == separation(w, labels, k=10, seed=2)
    grouped = measure(Styles(w, labels, subject), seed=2)
    assert grouped == separation(w, labels, k=10, seed=2, groups=subject)
    assert grouped.p_value > 0.05 > alone.p_value


@pytest.mark.parametrize("groups, k", [(None, 5), ([0, 0, 0, 1, 2, 3], 3)])
def test_few_points_have_few_neighbours(groups, k):
    w = np.random.default_rng(0).normal(size=(6, 3))
    assert measure(Styles(w, list("aaaabb"), groups)).k == k


@pytest.mark.parametrize("labels, groups, message", [
    ("aabb", [0, 1, 1, 2], "the same for all points of a group. Received: two in group 1"),
    ("aabb", [0, 0, 1, 2], "in two groups. Received: {'a': 1, 'b': 2}"),
    ("aaaa", [0, 1, 2, 3], "two classes at least"), ("aabb", [0, 0, 0, 0], "of a group"),
    ("aaab", None, "Received: {'a': 3, 'b': 1}")])
def test_what_cannot_be_measured_is_refused_at_once(labels, groups, message):
    check_measurable(list("aabb"), [0, 1, 2, 3])
    with pytest.raises(UsageError, match=message):
        check_measurable(list(labels), groups)
