"""kill -9 while checkpoints are saved: the newest whole one is found again."""

import pytest
import writers
from processes import kill_often

KILLS = 200


@pytest.mark.parametrize("kills", [3, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_kills_while_saving_checkpoints(nursery, figures, tmp_path, kills):
    out, torn = tmp_path / "out", 0
    for ledger in kill_often(nursery, writers.save_checkpoints, out, kills):
        torn += any((out / "checkpoints").glob(".tmp-*"))
    saved = nursery.call(writers.check_checkpoints, out, ledger.path)
    assert torn >= kills // 4  # most of the time goes into writing
    figures("kill -9 while saving checkpoints",
            f"{kills} kills among {saved:,} saves, {torn} within one: 0 lost, "
            "0 silent restarts, leftovers swept")
