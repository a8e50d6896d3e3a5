"""The watchdog raises an alarm when, and only when, it should."""

import json

import numpy as np
import pytest

from stylegan2_tf.watchdog import GRACE_KIMG, MENDS, Watchdog, diversity

LATER = 1000 * GRACE_KIMG
CALM = {"real": np.array([1.0, 1.0, 1.0, -1.0]), "fake": np.array([-1.0, -1.0, 1.0, -1.0])}


def blobs(count, seed=0, modes=None):
    """Images `[N, 16, 16, 1]`, uint8, each of its own or of one of `modes` kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 256, (modes or count, 16, 16, 1), np.uint8)
    return kinds[np.arange(count) % len(kinds)]


def kinds(watchdog):
    return [alarm.kind for alarm in watchdog.alarms]


def check(watchdog, fakes=None, scores=CALM, norms=(1.0, 1.0), nimg=LATER):
    for norm in norms:
        watchdog.note(norm, norm)
    return watchdog.check(blobs(40, seed=1) if fakes is None else fakes, scores, nimg)


def test_diversity_is_the_mean_distance_between_pairs():
    images = blobs(5)
    signed = images.reshape(5, -1) / 127.5 - 1
    pairs = [np.sqrt(np.mean((signed[i] - signed[j]) ** 2)) for i in range(5) for j in range(i)]
    assert diversity(images) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_grain_is_no_diversity():
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 256, (20, 64, 64, 1), np.uint8)
    shades = np.broadcast_to(rng.integers(0, 256, (20, 1, 1, 1), np.uint8), grain.shape)
    assert diversity(grain) < 0.3 * diversity(shades)


def test_a_healthy_training_raises_nothing():
    watchdog = Watchdog(blobs(40))
    for _ in range(3):
        numbers = check(watchdog)
    assert watchdog.alarms == watchdog.suspects == []
    assert numbers["watch/diversity"] == pytest.approx(1, abs=0.05)
    assert numbers["watch/sign_real"] == 0.5 and numbers["watch/sign_fake"] == -0.5
    assert numbers["watch/score_gap"] == 1.0


def test_one_mode_is_a_collapse_at_the_second_check():
    watchdog = Watchdog(blobs(40))
    check(watchdog, blobs(40, modes=1))
    assert kinds(watchdog) == [] and [it.kind for it in watchdog.suspects] == ["collapse"]
    numbers = check(watchdog, blobs(40, modes=1))
    assert kinds(watchdog) == ["collapse"] and numbers["watch/diversity"] == 0
    line = watchdog.alarms[0].line
    assert "0.00" in line and MENDS["collapse"] in line and "20.0 kimg" in line


def test_an_alarm_ends_when_its_cause_does():
    watchdog = Watchdog(blobs(40))
    for fakes in (blobs(40, modes=1), blobs(40, modes=1), blobs(40, seed=2)):
        check(watchdog, fakes)
    assert watchdog.alarms == []


def test_an_untrained_generator_has_its_grace():
    watchdog = Watchdog(blobs(40))
    for _ in range(4):
        check(watchdog, blobs(40, modes=1), nimg=LATER - 1)
    assert watchdog.alarms == watchdog.suspects == []


@pytest.mark.parametrize("kind, scores, norms", [
    ("overfitting", {**CALM, "real": np.ones(4), "holdout": -np.ones(4)}, (1.0, 1.0)),
    ("saturation", {"real": np.full(4, 15.0), "fake": np.full(4, -15.0)}, (1.0, 1.0)),
    ("divergence", CALM, (1.0, 1.0, 1.0, 1.0, float("nan"), 2000.0, 1.0)),
])
def test_each_kind_of_trouble_has_its_alarm(kind, scores, norms):
    watchdog = Watchdog(blobs(40))
    for _ in range(2):
        check(watchdog, scores=scores, norms=norms)
    assert kinds(watchdog) == [kind] and MENDS[kind] in watchdog.alarms[0].line


def test_held_out_reals_scored_like_training_reals_are_no_overfitting():
    watchdog = Watchdog(blobs(40))
    for _ in range(2):
        check(watchdog, scores={**CALM, "holdout": CALM["real"]})
    assert watchdog.alarms == []


def test_the_zero_of_a_critic_means_nothing():
    """With wgan-gp all scores may be positive, and far apart."""
    shifted = {"real": np.full(4, 150.0), "fake": np.full(4, 100.0), "holdout": np.full(4, 149.0)}
    watchdog = Watchdog(blobs(40), loss="wgan-gp")
    numbers = check(watchdog, scores=shifted)
    assert numbers["watch/sign_fake"] == -1 and numbers["watch/sign_holdout"] == 1
    check(watchdog, scores={**shifted, "holdout": np.full(4, 101.0)})
    check(watchdog, scores={**shifted, "holdout": np.full(4, 101.0)})
    assert kinds(watchdog) == ["overfitting"]


def test_after_a_rollback_nothing_is_suspicious():
    watchdog = Watchdog(blobs(40))
    for _ in range(2):
        check(watchdog, blobs(40, modes=1))
    watchdog.calm_down()
    assert watchdog.alarms == watchdog.suspects == []
    check(watchdog, blobs(40, modes=1))
    assert watchdog.alarms == []


def test_counts_survive_a_restart():
    first, second = Watchdog(blobs(40)), Watchdog(blobs(40))
    check(first, blobs(40, modes=1))
    second.state = json.loads(json.dumps(first.state))
    check(second, blobs(40, modes=1))
    assert kinds(second) == ["collapse"]
