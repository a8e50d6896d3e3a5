import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.augment import Controller

BATCH = 8
STEP = BATCH * 4 / (2 * 1000)  # with a speed of 2 kimg


def scores(share, batch=BATCH):
    """Logits whose mean sign is `2 share - 1`."""
    positive = round(share * batch)
    return tf.constant([[3.0]] * positive + [[-0.1]] * (batch - positive))


def run(controller, batches):
    return [{name: float(value) for name, value in controller.update(batch).items()}
            for batch in batches]


def test_p_moves_every_fourth_batch_by_the_documented_step():
    controller = Controller(speed_kimg=2)
    rows = run(controller, [scores(1.0)] * 9)
    assert [row["augment_p"] for row in rows] == pytest.approx(
        [0] * 3 + [STEP] * 4 + [2 * STEP] * 2)
    assert [row["augment_sign"] for row in rows] == [0] * 3 + [1] * 6
    assert float(controller.p) == rows[-1]["augment_p"]


def test_p_rises_by_one_in_the_given_number_of_images():
    controller = Controller(speed_kimg=1)
    batches = 1000 // BATCH // 2
    rows = run(controller, [scores(1.0)] * batches)
    assert rows[-1]["augment_p"] == pytest.approx(0.5, abs=BATCH * 4 / 1000)


def test_the_sign_is_the_mean_of_four_batches():
    shares = [1.0, 0.5, 0.75, 0.25]  # mean signs 1, 0, 0.5, -0.5
    row = run(Controller(), map(scores, shares))[-1]
    assert row == {"augment_p": 0.0, "augment_sign": 0.25}


@pytest.mark.parametrize("share, direction", [(0.875, 1), (0.75, -1), (0.0, -1)])  # 0.75, 0.5, -1
def test_p_rises_above_the_target_and_falls_below(share, direction):
    controller = Controller(speed_kimg=2)
    controller.p.assign(0.4)
    assert run(controller, [scores(share)] * 4)[-1]["augment_p"] == pytest.approx(
        0.4 + direction * STEP)


def test_at_the_target_p_rests():
    controller = Controller(speed_kimg=2, target=0.5)
    controller.p.assign(0.4)
    assert run(controller, [scores(0.75)] * 4)[-1]["augment_p"] == pytest.approx(0.4)


def test_p_stays_within_its_bounds():
    controller = Controller(speed_kimg=0.1)
    high = run(controller, [scores(1.0)] * 40)
    assert high[-1]["augment_p"] == pytest.approx(0.8) == max(row["augment_p"] for row in high)
    low = run(controller, [scores(0.0)] * 40)
    assert low[-1]["augment_p"] == 0.0 == min(row["augment_p"] for row in low)


def test_the_state_is_complete():
    """A copy of the variables goes on exactly as the original, from any batch."""
    rng = np.random.default_rng(0)
    batches = [scores(share) for share in rng.uniform(0.7, 1.0, 23)]
    for cut in (4, 6, 11):
        whole, first, second = (Controller(speed_kimg=0.5) for _ in range(3))
        expected = run(whole, batches)
        run(first, batches[:cut])
        for new, old in zip(second.state, first.state, strict=True):
            new.assign(old)
        assert run(second, batches[cut:]) == expected[cut:]


def test_scores_that_are_not_finite_do_not_spoil_p():
    controller = Controller(speed_kimg=2)
    bad = tf.constant([[np.nan], [np.inf], [-np.inf]] + [[1.0]] * 5)
    rows = run(controller, [bad] + [scores(1.0)] * 3)
    assert rows[-1]["augment_sign"] == pytest.approx((5 / 8 + 3) / 4)
    assert rows[-1]["augment_p"] == pytest.approx(STEP)


@pytest.mark.parametrize("jit", [False, True])
def test_inside_a_compiled_step(jit):
    controller, eager = Controller(speed_kimg=2), Controller(speed_kimg=2)
    compiled = tf.function(controller.update, autograph=False, jit_compile=jit)
    for share in (1.0, 1.0, 0.875, 1.0, 0.0, 0.0, 0.5, 0.0, 1.0):
        found = {name: float(value) for name, value in compiled(scores(share)).items()}
        assert found == pytest.approx(run(eager, [scores(share)])[0])
    assert compiled.experimental_get_tracing_count() == 1
    assert not any(variable.trainable for variable in controller.state)
