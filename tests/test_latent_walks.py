"""Ways through the latent space."""

import numpy as np
import pytest

from stylegan2_tf.latent.walks import lerp, loop, slerp


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def angles(path):
    """Angle of each step, in radians."""
    unit = path.astype(np.float64) / np.linalg.norm(path, axis=-1, keepdims=True)
    return np.arccos(np.clip((unit[1:] * unit[:-1]).sum(-1), -1, 1))


def steps(path):
    """Length of each step, that from the last to the first at the end."""
    return np.linalg.norm(np.roll(path, -1, axis=0) - path, axis=-1)


def test_slerp_of_a_right_angle_is_sine_and_cosine():
    time = np.linspace(0, 1, 9)[:, None]
    found = slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), time)
    np.testing.assert_allclose(found, np.concatenate(
        [np.cos(time * np.pi / 2), np.sin(time * np.pi / 2)], axis=1), atol=1e-12)


def test_slerp_turns_evenly_and_its_length_goes_along():
    start, end = normal(2, 16)
    end = 3 * end
    path = slerp(start, end, np.linspace(0, 1, 11, dtype=np.float32)[:, None])
    assert path.dtype == np.float32
    np.testing.assert_allclose(path[[0, -1]], [start, end], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(angles(path), angles(np.stack([start, end]))[0] / 10, rtol=1e-3)
    lengths = np.linalg.norm([start, end], axis=1)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), np.linspace(*lengths, 11), rtol=1e-5)


def test_slerp_where_no_arc_is_the_shortest():
    z, time = normal(8), np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    np.testing.assert_allclose(slerp(z, z, time), np.tile(z, (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(slerp(z, 2 * z, time), (1 + time) * z, rtol=1e-5)
    np.testing.assert_allclose(slerp(z, -z, time), (1 - 2 * time) * z, rtol=1e-5, atol=1e-6)
    near = slerp(z, z + 1e-4 * normal(8, seed=1), time)
    assert np.abs(near - z).max() < 1e-3


def test_slerp_of_many_at_once():
    start, end = normal(3, 5), normal(3, 5, seed=1)
    found = slerp(start, end, 0.3)
    for row in range(3):
        np.testing.assert_allclose(found[row], slerp(start[row], end[row], 0.3), rtol=1e-6)


def test_lerp():
    np.testing.assert_array_equal(lerp(np.zeros(2), np.array([4.0, 8.0]), 0.25), [1, 2])


@pytest.mark.parametrize("between", [slerp, lerp])
@pytest.mark.parametrize("count, frames", [(2, 2), (3, 72), (3, 10), (5, 5), (7, 1000)])
def test_a_loop_has_its_frames_and_meets_its_keys(between, count, frames):
    keys = normal(count, 6)
    path = loop(keys, frames, between=between)
    assert path.shape == (frames, 6) and path.dtype == np.float32
    np.testing.assert_allclose(path[0], keys[0], rtol=1e-5)
    if frames % count == 0:
        np.testing.assert_allclose(path[::frames // count], keys, rtol=1e-5, atol=1e-6)


def test_a_loop_closes_with_a_step_like_the_others():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    np.testing.assert_allclose(steps(loop(square, 40, between=lerp)), 0.1, rtol=1e-4)
    np.testing.assert_allclose(loop(square, 40, between=lerp)[-1], [0, 0.1], atol=1e-6)
    circle = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    np.testing.assert_allclose(steps(loop(circle, 40, between=slerp)),
                               2 * np.sin(np.pi / 40), rtol=1e-4)


def test_no_step_is_longer_than_its_share_of_the_way():
    keys = normal(5, 32)
    longest = steps(keys).max()
    path = loop(keys, 100, between=lerp)
    assert steps(path).max() <= 1.001 * longest * 5 / 100
    assert steps(loop(keys, 100, between=lerp, ease=True)).max() <= 1.5 * longest * 5 / 100
    assert steps(loop(keys, 100, between=slerp)).max() <= 2 * longest * 5 / 100


def test_ease_slows_down_at_every_key():
    keys = normal(3, 6)
    even, eased = (loop(keys, 60, between=lerp, ease=ease) for ease in (False, True))
    np.testing.assert_allclose(eased[::20], keys, atol=1e-6)
    np.testing.assert_allclose(eased[10::20], even[10::20], atol=1e-5)  # half-way at half-time
    for place in (0, 19, 20, 39, 40, 59):  # the steps before and after each key
        assert steps(eased)[place] < 0.2 * steps(even)[place]
    assert steps(eased)[10] > 1.4 * steps(even)[10]


def test_a_loop_of_one_w_a_layer():
    keys = normal(3, 4, 5)
    path = loop(keys, 9, between=lerp)
    assert path.shape == (9, 4, 5)
    np.testing.assert_allclose(path[1], keys[0] + (keys[1] - keys[0]) / 3, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count, frames", [(1, 9), (0, 9), (3, 2), (2, 0)])
def test_loops_that_cannot_be(count, frames):
    with pytest.raises(ValueError, match=f"Received: {count} keys, frames={frames}"):
        loop(normal(count, 4), frames, between=lerp)
