"""kill -9 again and again while training: the end equals that of a run nobody killed."""

import time

import numpy as np
import pytest
from processes import kill, tail, wait_for
from training import draw_discs, final_state, pictures, read_rows, train

KILLS = 20
EARLY = 0.25  # share of the kills that come before the first new checkpoint
LATEST = 3  # epochs after it, at most
LONGEST_EPOCH = 0.3  # seconds to believe in: the machine was perhaps busy when it was measured
EPOCHS = 80  # enough for all these kills
IMAGES, BATCH = 20, 4
STEPS = IMAGES // BATCH  # in an epoch

pytestmark = pytest.mark.slow


def command(data, out):
    """Augmentation, path length and mixing on, in networks that learn fast."""
    return [data, out, 4, 8, 4, 8, 2, "--resolution", 8, "--batch", BATCH, "--latent", 8,
            "--val", 4, "--epochs", EPOCHS, "--lr", 1e-3, "--mapping-layers", 2,
            "--style-mixing", 0.9, "--pl-weight", 2, "--r1-interval", 4, "--augment", "mri",
            "--augment-target", 0, "--augment-kimg", 4, "--metrics-every", 7]


def newest(out):
    """The step of the newest checkpoint, 0 if there is none."""
    return max((int(path.name[5:]) for path in (out / "checkpoints").glob("step-????????")),
               default=0)


def test_kills_while_training(nursery, figures, tmp_path):
    data = draw_discs(tmp_path / "data", IMAGES)
    whole, killed, log = (tmp_path / name for name in ("whole", "killed", "log"))
    begun = time.monotonic()
    process = nursery.start(log, train, command(data, whole))
    wait_for(lambda: newest(whole), process, log)
    saved = time.monotonic()
    process.join()
    assert process.exitcode == 0, tail(log)
    start_up = saved - begun
    epoch = min((time.monotonic() - saved) / (EPOCHS - 1), LONGEST_EPOCH)

    # Moments in epochs from a child's first checkpoint; those before it share the start-up.
    first = -EARLY * LATEST / (1 - EARLY)
    for moment in np.random.default_rng(0).uniform(first, LATEST, KILLS):
        before, begun = newest(killed), time.monotonic()
        process = nursery.start(log, train, command(data, killed))
        share = 1 - moment / first if moment < 0 else np.inf
        due = before + STEPS * (1 + max(int(moment), 0))
        wait_for(lambda: newest(killed) >= due or (
            time.monotonic() - begun >= share * start_up), process, log)
        time.sleep(max(moment, 0) % 1 * epoch)
        kill(process, log)
    process = nursery.start(log, train, command(data, killed))
    process.join()
    assert process.exitcode == 0, tail(log)

    expected, state = (nursery.call(final_state, out) for out in (whole, killed))
    assert state == expected
    assert pictures(killed) == pictures(whole)
    rows = read_rows(killed)
    assert rows == read_rows(whole)
    assert len({row["augment_p"] for row in rows}) > 10  # it moved
    figures("kill -9 while training",
            f"{KILLS} kills, {log.read_text().count('resumed at step')} resumes in "
            f"{state['step']} steps: {len(state)} hashes of all state and {len(rows)} rows of "
            "the log equal an uninterrupted run's")
