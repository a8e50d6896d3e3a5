import collections
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylegan2_tf.data.index import find_images
from stylegan2_tf.data.subjects import (
    check_disjoint,
    find_subjects,
    halves,
    split_by_subject,
    subject_scheme,
)
from stylegan2_tf.errors import DataError, UsageError

OASIS = [f"case_{subject:03}_slice_{k}.nii.png" for subject in range(20) for k in range(5)]


@pytest.fixture
def real():
    """A function that lists the real images of one folder, as relative paths."""
    root = os.environ.get("STYLEGAN2_TF_DATA")
    if not root:
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")

    def names(folder):
        top = Path(root) / folder
        return [str(path.relative_to(top)) for path in find_images(top)]

    return names


SCHEMES = {
    "BIDS": {
        "sub-01/ses-1/anat/sub-01_ses-1_T1w_100.png": "01",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w_100.png": "01",
        "derivatives/T1w_sub-OAS30001_ses-d0129_slice-7.png": "OAS30001",
        "Köln/sub-ADNI002S0295_ses-M24_T1w.PNG": "ADNI002S0295",
    },
    "OASIS-1": {
        "Non Demented/OAS1_0001_MR1_mpr-1_100.jpg": "OAS1_0001",
        "Non Demented/OAS1_0001_MR2_mpr-1_100.jpg": "OAS1_0001",
        "OAS1_0028_MR1_mpr_n4_anon_111_t88_masked_gfc_fseg_tra_90.gif": "OAS1_0028",
        "control_OAS2_0028_MR3.tif": "OAS2_0028",
    },
    "OASIS-3": {
        "OAS30001_MR_d0129/OAS30001_T1w_090.png": "OAS30001",
        "OAS30001_MR_d0757/OAS30001_T1w_090.png": "OAS30001",
        "OAS42001_MR_d3095_12.png": "OAS42001",
    },
    "ADNI, like 002": {
        "AD/ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193713091_1_S13408_I13722.png": "002_S_0295",
        "002_S_0295/MPR/2006-11-02_08_16_44.0/I40966/slice_090.png": "002_S_0295",
        "MCI/941_S_10002_slice_000.png": "941_S_10002",
    },
    "OASIS, like case": {
        "keras_png_slices_train/case_049_slice_7.nii.png": "049",
        "keras_png_slices_train/case_049_slice_31.nii.png": "049",
        "case_050_slice_7.nii.PNG": "050",
        "young/case_161_slice_00.png": "161",
    },
    "ADNI, like 218391": {
        "AD_NC/train/AD/218391_78.jpeg": "218391",
        "AD_NC/train/AD/218391_79.JPEG": "218391",
        "AD_NC/test/NC/1182968_100.jpeg": "1182968",
        "8234_9.nii.png": "8234",
    },
    "IXI": {
        "IXI012-HH-1211-T1_070.png": "IXI012",
        "IXI012-HH-1211-T2_070.png": "IXI012",
        "R_IXI002-Guys-0828-T1.png": "IXI002",
        "IXI-PD/IXI035-IOP-0873-PD.png": "IXI035",
        "IXI035_slice_90.png": "IXI035",
    },
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_naming_scheme(scheme):
    names, subjects = zip(*SCHEMES[scheme].items(), strict=True)
    label, found = subject_scheme(names)
    assert found == list(subjects) == find_subjects(names)
    assert label.startswith(scheme)
    windows = [name.replace("/", "\\") for name in names]
    assert find_subjects(windows) == found


@pytest.mark.parametrize("names", [
    [],
    [f"IMG_{k:04}.png" for k in range(9)],
    [f"{k:04}.png" for k in range(9)],
    [f"train/{k % 3}/{k}.png" for k in range(9)],
    [f"{k % 3}_{k:04}.png" for k in range(9)],  # <class>_<index>
    [f"2021013{k % 2}_{k:03}.png" for k in range(9)],  # <date>_<index>
    [f"dir_{20210 + k % 2}_{k}.png" for k in range(9)],
    [f"{20210 + k % 2}_{k}/image{k}.png" for k in range(9)],
    [f"submarine-{k % 2}/xsub-{k % 2}_{k}.png" for k in range(9)],
    [f"lowercase_{k % 2}_slice_{k}.png" for k in range(9)],
    [f"OAS1_{k % 2}0000_{k}.png" for k in range(9)],
    [f"IXI{k % 2}000_{k}.png" for k in range(9)],
    [f"MIXI{k % 2}00-HH-{k}.png" for k in range(9)],
    [f"1{k % 2:03}_S_0295/{k}.png" for k in range(9)],
    [*OASIS, "thumbnail.png"],
    [*OASIS, "sub-01_T1w.png", "sub-02_T1w.png"],
    ["sub-01_slice-1.png", "sub-01_slice-2.png"],  # one subject
    ["sub-01_T1w.png", "sub-02_T1w.png"],  # one image each
], ids=lambda names: names[-1] if names else "none")
def test_no_subjects(names):
    assert subject_scheme(names) == (None, None)


def test_a_scheme_that_makes_no_sense_leaves_room_for_the_next():
    names = ["sub-all/OAS1_0001_MR1.png", "sub-all/OAS1_0001_MR2.png", "sub-all/OAS1_0002_MR1.png"]
    assert find_subjects(names) == ["OAS1_0001", "OAS1_0001", "OAS1_0002"]


class TestPattern:
    def test_its_only_group(self):
        names = ["Müller/1.png", "Müller/2.png", "陳\\1.png"]
        found = subject_scheme(names, "^([^/]+)/")
        assert found == ("--subject-pattern '^([^/]+)/'", ["Müller", "Müller", "陳"])

    def test_the_group_named_subject(self):
        pattern = r"(site|clinic)-(?P<subject>\d+)_(\d+)"
        assert find_subjects(["site-1_7.png", "clinic-2_7.png"], pattern) == ["1", "2"]

    def test_it_outweighs_the_built_in_schemes_and_may_make_no_groups(self):
        assert find_subjects(OASIS[:2], "(.+)") == OASIS[:2]
        assert find_subjects(OASIS[:2], "(case)") == ["case", "case"]

    @pytest.mark.parametrize("pattern, reason", [
        ("case_(", r"no regular expression: missing \), .*for instance"),
        ("(a{99999999999999999999})", "no regular expression: the repetition number"),
        ("(?\n)", r"no regular expression: unknown extension \?\\n"),
        ("(" * 5000, "no regular expression"),
        ("case", "exactly one group.*Received: 0 groups"),
        ("", "exactly one group.*Received: 0 groups"),
        ("(case)_(.)", "exactly one group.*Received: 2 groups"),
        ("(case_01.)", r"no subject in case_000_slice_0.nii.png \(50 of 100 images\)"),
        ("(case_019)|case", r"no subject in case_000_slice_0.nii.png \(95 of"),
        ("case(_0)?1", r"no subject in case_000_slice_0.nii.png"),
        ("(x?)", r"no subject in case_000_slice_0.nii.png \(100 of 100 images\)"),
    ], ids=lambda value: value[:20])
    def test_refused_with_its_reason(self, pattern, reason):
        with pytest.raises(UsageError, match=f"^--subject-pattern '.*{reason}") as refusal:
            find_subjects(OASIS, pattern)
        assert "\n" not in str(refusal.value)

    def test_a_name_that_no_terminal_can_show(self):
        with pytest.raises(UsageError, match=r"no subject in a\\n\\udcff.png"):
            find_subjects(["case_1.png", "a\n\udcff.png"], r"case_(\d)")


def held_out(names, share=0.25, **options):
    """The subjects of `OASIS` that are held out, having checked that both sides are whole."""
    kept, held = split_by_subject(names, share, **options)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(names)))
    for part in (kept, held):
        assert part.dtype.kind == "i" and (np.diff(part) > 0).all()
    sides = [{names[i].split("_")[1] for i in part} for part in (kept, held)]
    assert not sides[0] & sides[1]
    return sides[1]


class TestSplitBySubject:
    @pytest.mark.parametrize("share, count", [(0.25, 5), (0.24, 5), (0.001, 1), (0.999, 19)])
    def test_whole_subjects(self, share, count):
        assert len(held_out(OASIS, share)) == count

    def test_the_first_by_sha256(self):
        hashes = {hashlib.sha256(f"7:{k:03}".encode()).hexdigest(): f"{k:03}" for k in range(20)}
        assert held_out(OASIS, seed=7) == {hashes[key] for key in sorted(hashes)[:5]}

    def test_depends_on_the_seed_and_not_on_the_order(self):
        first = held_out(OASIS)
        assert held_out(OASIS[::-1]) == held_out(OASIS[::2] + OASIS[1::2]) == first
        assert len({frozenset(held_out(OASIS, seed=seed)) for seed in range(10)}) > 5

    @pytest.mark.parametrize("share", [0.25, 0.22])  # 5 of 21 are held out, or 4 turn into 5
    def test_a_new_subject_moves_at_most_one_other(self, share):
        before = held_out(OASIS, share)
        moved = [(before ^ held_out([*OASIS, f"case_{new}_slice_0.nii.png"], share)) - {str(new)}
                 for new in range(100, 200)]
        assert {len(others) for others in moved} == {0, 1}

    def test_everyone_is_held_out_about_as_often(self):
        counts = collections.Counter()
        for seed in range(200):
            counts.update(held_out(OASIS, seed=seed))
        assert len(counts) == 20
        assert 25 < min(counts.values()) and max(counts.values()) < 80  # 50 and 5 deviations

    def test_single_images_where_subjects_are_unknown(self):
        names = [f"IMG_{k:04}.png" for k in range(39)] + ["\udcff.png"]
        kept, held = split_by_subject(names, 0.1)
        assert len(kept) == 36 and len(held) == 4
        again = split_by_subject(names[::-1], 0.1)[1]
        assert {names[i] for i in held} == {names[::-1][i] for i in again}

    def test_a_pattern(self):
        _, held = split_by_subject(OASIS, 0.5, pattern="_(slice_.)")
        assert len({OASIS[i].split("_")[3] for i in held}) == 2 and len(held) == 40

    @pytest.mark.parametrize("share", [0, 1, -0.1, 5, float("nan")])
    def test_a_share_out_of_range(self, share):
        with pytest.raises(UsageError, match=f"`share`.*between 0 and 1.*share={share}"):
            split_by_subject(OASIS, share)

    @pytest.mark.parametrize("names, pattern", [(OASIS[:5], "(case_000)"), (["a.png"], None),
                                                ([], None)])
    def test_too_few_subjects(self, names, pattern):
        with pytest.raises(DataError, match=f"at least 2 subjects.*Found {len(names)} images"):
            split_by_subject(names, 0.5, pattern=pattern)


class TestHalves:
    def test_no_group_is_in_both(self):
        groups = np.random.default_rng(0).zipf(1.5, 500).clip(max=40).tolist()
        largest = collections.Counter(groups).most_common(1)[0][1]
        for seed in range(20):
            first, second = halves(groups, seed=seed)
            both = np.concatenate([first, second])
            np.testing.assert_array_equal(np.sort(both), np.arange(500))
            assert not {groups[i] for i in first} & {groups[i] for i in second}
            assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()
            assert abs(len(first) - len(second)) <= largest

    def test_equal_groups_are_parted_evenly(self):
        assert [len(half) for half in halves(find_subjects(OASIS))] == [50, 50]
        assert [len(half) for half in halves(range(7))] == [4, 3]

    def test_the_seed(self):
        found = [tuple(halves(range(50), seed=seed)[0]) for seed in [*range(10), 0]]
        assert found[0] == found[10] and len(set(found)) == 10

    def test_one_group(self):
        with pytest.raises(DataError, match="at least 2 subjects. Found 3 images of 1"):
            halves(["a", "a", "a"])


class TestCheckDisjoint:
    def test_other_subjects(self):
        assert check_disjoint(OASIS[:50], OASIS[50:]) is True
        assert check_disjoint(OASIS[:50], OASIS[50:51]) is True  # one image is no scheme of its own

    def test_shared_subjects_are_named(self):
        with pytest.raises(UsageError, match=r"--holdout .*both sides: 009. Move .*--subject-pat"):
            check_disjoint(OASIS[:48], OASIS[48:])
        with pytest.raises(UsageError, match="sides: 003, 004, 005, 006, 007 and 10 more. Move"):
            check_disjoint(OASIS[:90], OASIS[15:])
        with pytest.raises(UsageError, match="sides: 000, 001, 002, 003, 004. Move"):
            check_disjoint(OASIS, OASIS[:25])

    def test_the_same_person_in_another_scheme(self):
        bids = [f"sub-OAS3000{k % 3}_ses-d0129_slice-{k}.png" for k in range(9)]
        with pytest.raises(UsageError, match="both sides: OAS30002. Move"):
            check_disjoint(bids, ["OAS30002_MR_d0757_1.png", "OAS30004_MR_d0129_1.png"])

    def test_nothing_is_compared_where_subjects_are_unknown(self):
        numbers = [f"{k:04}.png" for k in range(9)]
        assert check_disjoint(numbers, numbers) is False
        assert check_disjoint(OASIS, numbers) is False

    def test_a_pattern(self):
        assert check_disjoint(["a1.png", "a2.png"], ["b1.png"], "^(.)") is True
        with pytest.raises(UsageError, match="both sides: a. Move"):
            check_disjoint(["a1.png"], ["a2.png"], "^(.)")
        with pytest.raises(UsageError, match="no subject in b1.png"):
            check_disjoint(["a1.png"], ["b1.png"], "^(a)")


class TestRealNames:
    def test_brain_slices(self, real):
        names = real("brain_slices")
        label, subjects = subject_scheme(names)
        counts = collections.Counter(subjects)
        assert label == "OASIS, like case_049_slice_7"
        assert len(counts) == 104 and set(counts.values()) == {32}
        kept, held = split_by_subject(names, 0.1)
        assert len(held) == 10 * 32
        assert check_disjoint([names[i] for i in kept], [names[i] for i in held]) is True

    def test_brain_by_age(self, real):
        assert len(set(find_subjects(real("brain_by_age")))) == 32
        assert check_disjoint(real("brain_by_age/young"), real("brain_by_age/old")) is True

    def test_tiles(self, real):
        assert find_subjects(real("tiles32")) is None


def test_it_needs_no_tensorflow():
    code = ("import sys; import stylegan2_tf.data.subjects;"
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
