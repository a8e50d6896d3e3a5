"""One flipped bit anywhere in a checkpoint or a model: found, or without effect."""

import flipping
import pytest

FLIPS = 500  # in checkpoints, and as many in models


@pytest.mark.parametrize("flips", [15, pytest.param(FLIPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("flip, where, harmless", [
    (flipping.flip_models, "models and manifests", {"refused", "unchanged"}),
    (flipping.flip_checkpoints, "checkpoints", {"the one before", "unchanged"})])
def test_a_flipped_bit_is_never_silently_wrong(nursery, figures, tmp_path, flip, where,
                                               harmless, flips):
    found = nursery.call(flip, tmp_path, flips)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in found.most_common())
    wrong = sum(count for outcome, count in found.items() if outcome not in harmless)
    figures(f"a flipped bit in {where}", f"{found.total()} flips: {outcomes}; {wrong} wrong")
    assert not wrong and found.total() == flips
