"""Style mixing."""

import numpy as np
import pytest

from stylegan2_tf.latent.mixing import in_reading_order, mixed_ws


def sources():
    """ws of 2 rows and 3 columns, 4 layers each; every value tells where it came from."""
    layers = np.arange(4)[None, :, None] + np.zeros(5, np.float32)
    return (100 + 10 * np.arange(2)[:, None, None] + layers,
            200 + 10 * np.arange(3)[:, None, None] + layers)


@pytest.mark.parametrize("layers", [[0, 1], range(2), [3], (1, 3), [0, 0], [], range(4)])
def test_each_layer_comes_from_where_it_should(layers):
    rows, columns = sources()
    mixed = mixed_ws(rows, columns, layers)
    assert mixed.shape == (2, 3, 4, 5) and mixed.dtype == rows.dtype
    for row in range(2):
        for column in range(3):
            for layer in range(4):
                source = columns[column] if layer in layers else rows[row]
                np.testing.assert_array_equal(mixed[row, column, layer], source[layer])


def test_the_sources_stay_as_they_were():
    rows, columns = sources()
    mixed_ws(rows, columns, [0])[:] = -1
    for changed, own in zip((rows, columns), sources(), strict=True):
        np.testing.assert_array_equal(changed, own)


@pytest.mark.parametrize("layers, wrong", [([4], r"\[4\]"), ([0, -1, 9], r"\[-1, 9\]")])
def test_layers_that_do_not_exist(layers, wrong):
    with pytest.raises(ValueError, match=rf"within 0 to 3. Received: layers={wrong}"):
        mixed_ws(*sources(), layers)


def test_a_table_has_its_sources_on_the_edges():
    def flat(*values):
        return np.array(values, np.float32).reshape(-1, 1, 1) * np.ones((4, 6), np.float32)

    found = in_reading_order(flat(1, 2), flat(10, 20, 30),
                             flat(11, 21, 31, 12, 22, 32).reshape(2, 3, 4, 6))
    assert found.shape == (11, 4, 6)
    assert found[:, 0, 0].tolist() == [10, 20, 30, 1, 11, 21, 31, 2, 12, 22, 32]
