"""Who is trained on and who is held out."""

import numpy as np
import pytest

from stylegan2_tf.data import choose, divide, division_of
from stylegan2_tf.data.packed import PackedImages
from stylegan2_tf.errors import DataError, UsageError


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


# -- classes


@pytest.fixture
def adni():
    """48 images of twelve people, four each: AD, MCI and NC in turn; pixels as in `packed`."""
    names = sorted(f"train/{('AD', 'MCI', 'NC')[person % 3]}/{1000 + person}_{index}.jpeg"
                   for person in range(12) for index in range(4))
    array = np.broadcast_to(np.arange(48, dtype=np.uint8)[:, None, None, None], (48, 4, 4, 1))
    return PackedImages(array, "f" * 64, tuple(names), (), {})


def true_labels(part):
    """The class of each image of `part` by its label, and by its name."""
    return ([part.classes[label] for label in part.labels],
            [name.split("/")[1] for name in part.names])


def test_classes_restrict_the_images_and_come_with_them(adni):
    train, held, lines = divide(adni, classes="NC,AD")
    assert held is None and len(train) == 32 and train.classes == ("AD", "NC")
    assert train.labels.dtype == np.int64 and np.bincount(train.labels).tolist() == [16, 16]
    found, expected = true_labels(train)
    assert found == expected
    assert lines == ["classes        AD 16, NC 16 images; 16 of others are left out"]
    assert [adni.names[image[0, 0, 0]] for image in train.array[:]] == list(train.names)


def test_both_parts_carry_the_same_classes(adni):
    train, held, lines = divide(adni, classes="AD,NC", holdout=0.25, max_images=12)
    assert train.classes == held.classes == ("AD", "NC")
    assert (len(train), len(held), len(train.labels), len(held.labels)) == (12, 8, 12, 8)
    for part in (train, held):
        found, expected = true_labels(part)
        assert found == expected
    assert lines[0].startswith("classes ") and "2 of 8 subjects, 8 images" in lines[1]
    assert lines[2] == "--max-images: 12 of 32 images are trained on"
    people = [{name.split("/")[2].split("_")[0] for name in part.names} for part in (train, held)]
    assert not people[0] & people[1]


def test_without_classes_no_labels(adni):
    train, held, _ = divide(adni, holdout=0.25)
    assert train.labels is held.labels is None and train.classes == held.classes == ()


def test_conditional_takes_the_top_folders(packed, adni):
    names = tuple(name.removeprefix("train/") for name in adni.names)
    bare = PackedImages(adni.array, adni.fingerprint, names, (), {})
    train, _, lines = divide(bare, conditional=True)
    assert train.classes == ("AD", "MCI", "NC") and len(train) == 48
    assert lines == ["classes        AD 16, MCI 16, NC 16 images"]
    with pytest.raises(UsageError, match="40 of 40 images in none"):
        divide(packed, conditional=True)


def test_conditional_needs_two_classes(adni):
    message = "--conditional: expected two classes or more, found only train 48 images"
    with pytest.raises(UsageError, match=message):
        divide(adni, conditional=True)
    assert len(divide(adni, classes="AD")[0]) == 16


def test_conditional_needs_several_people_in_each_class():
    """Otherwise a class is a person, and the generator would paint that person when told it."""
    def names(people):
        return [f"{folder}/sub-{person}_slice{number}.png" for folder, persons in people.items()
                for person in persons for number in range(3)]

    choose(names({"AD": ["01", "02"], "NC": ["03", "04"]}), conditional=True)
    with pytest.raises(UsageError, match="several people in each class to train on, found one in "
                                         "NC; the generator would paint"):
        choose(names({"AD": ["01", "02"], "NC": ["03"]}), conditional=True)
    choose(names({"AD": ["01", "02"], "NC": ["03"]}), classes="AD,NC")  # nobody is told
    choose(["AD/1.png", "AD/2.png", "NC/1.png", "NC/2.png"], conditional=True)  # unknown


def test_all_classes_need_no_folders():
    kept, held, lines = choose(["a.png", "b.png"], classes="all")
    assert (kept.tolist(), held, lines) == ([0, 1], None, [])


def test_conditional_needs_images_of_each_class(adni):
    names = ["AD/1000_1.png", "AD/1000_2.png", *(f"NC/{1001 + index // 2}_{index % 2}.png"
                                                 for index in range(20))]
    seeds = (seed for seed in range(99) if 0 in choose(names, holdout=0.1, seed=seed)[1])
    seed = next(seeds)
    assert 0 not in choose(names, classes="all", holdout=0.1, seed=seed)[0]
    with pytest.raises(UsageError, match="--conditional: .* found AD 0 after --holdout"):
        choose(names, conditional=True, holdout=0.1, seed=seed)
    with pytest.raises(UsageError, match="found NC 0"):
        choose(names, conditional=True, max_images=1)


def test_labels_of_a_file(packed, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(
        f"{name},{'odd' if index % 2 else 'even'}\n" for index, name in enumerate(packed.names)))
    train, held, _ = divide(packed, labels=str(table), conditional=True, holdout=0.2)
    assert train.classes == held.classes == ("even", "odd")
    for part in (train, held):
        assert part.labels.tolist() == [image[0, 0, 0] % 2 for image in part.array[:]]
    table.write_text("file,label\n")
    with pytest.raises(DataError, match="--labels .* found none for 40"):
        divide(packed, labels=str(table))


def test_the_fingerprint_tells_the_labels(packed, tmp_path):
    def fingerprint(*labels, **options):
        table = tmp_path / "labels.csv"
        table.write_text("file,label\n" + "".join(
            f"{name},{labels[index % len(labels)]}\n" for index, name in enumerate(packed.names)))
        return divide(packed, labels=str(table), **options)[0].fingerprint

    known = {packed.fingerprint, fingerprint("a"), fingerprint("b"), fingerprint("a", "b"),
             fingerprint("b", "a"), fingerprint("a", "b", classes="a"),
             fingerprint("a", "b", holdout=0.1), fingerprint("b", "a", holdout=0.1)}
    assert len(known) == 8
    assert fingerprint("a", "b") == fingerprint("a", "b", conditional=True)


def test_names_are_enough(adni):
    kept, held, lines = choose(adni.names, classes="AD,NC", holdout=0.25, conditional=True)
    train, held_part, same = divide(adni, classes="AD,NC", holdout=0.25, conditional=True)
    assert [adni.names[index] for index in kept] == list(train.names)
    assert [adni.names[index] for index in held] == list(held_part.names)
    assert lines == same


def test_the_options_of_a_configuration():
    config = {"holdout": 0.1, "classes": "AD,NC", "labels": None, "conditional": True, "lr": 1}
    assert division_of(config) == {name: config[name] for name in config if name != "lr"}
