"""Who is trained on and who is held out."""

import numpy as np
import pytest

from stylegan2_tf.data import choose, divide
from stylegan2_tf.data.packed import PackedImages
from stylegan2_tf.errors import UsageError


@pytest.fixture
def packed():
    """Forty images: ten people with four slices each; every pixel is the image's number."""
    names = tuple(f"case_{index // 4:03d}_slice_{index % 4}.png" for index in range(40))
    array = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 4, 1))
    return PackedImages(array, "f" * 64, names, (), {})


def people(part):
    return {name.split("_")[1] for name in part.names}


def test_nothing_asked_for_leaves_all(packed):
    assert divide(packed) == (packed, None, [])


def test_whole_subjects_are_held_out(packed):
    train, held, lines = divide(packed, holdout=0.2, seed=1)
    assert len(train) == 32 and len(held) == 8
    assert len(people(held)) == 2 and not people(train) & people(held)
    assert len(lines) == 1 and "2 of 10 subjects, 8 images" in lines[0]
    assert "case_049_slice_7" in lines[0]


def test_the_images_belong_to_the_names(packed):
    for part in divide(packed, holdout=0.2)[:2]:
        for name, image in zip(part.names, part.array[:], strict=True):
            assert packed.names[image[0, 0, 0]] == name


def test_the_seed_decides_who(packed):
    chosen = {tuple(sorted(people(divide(packed, holdout=0.2, seed=seed)[1])))
              for seed in range(5)}
    assert len(chosen) > 1
    assert divide(packed, holdout=0.2)[1].fingerprint == divide(packed, holdout=0.2)[1].fingerprint


def test_few_images_are_taken_from_those_trained_on_only(packed):
    train, held, lines = divide(packed, holdout=0.2, max_images=10)
    assert len(train) == 10 and len(held) == 8
    assert not people(train) & people(held) and len(people(train)) == 8
    assert "--max-images: 10 of 40" in lines[1]
    assert divide(packed, max_images=100)[0] is packed


def test_without_subjects_it_says_so(packed):
    nameless = PackedImages(packed.array, packed.fingerprint,
                            tuple(f"{index}.png" for index in range(40)), (), {})
    train, held, lines = divide(nameless, holdout=0.1)
    assert len(held) == 4 and "no subjects" in lines[0] and "--subject-pattern" in lines[0]


def test_a_pattern_that_does_not_fit_is_refused(packed):
    with pytest.raises(UsageError, match="--subject-pattern"):
        divide(packed, holdout=0.1, subject_pattern=r"sub-(\d+)")


def test_a_single_image_held_out_is_refused(packed):
    names = [f"{index}.png" for index in range(10)]
    with pytest.raises(UsageError, match="--holdout: expected a share that holds out 2 images"):
        choose(names, holdout=0.1)
