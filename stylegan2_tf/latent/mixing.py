"""Style mixing: coarse layers from one latent, fine ones from another (SG1 section 3.1).

Shapes: `R` rows, `S` columns, `L` layers (num_ws), `D` latent.
"""

import numpy as np


def mixed_ws(rows, columns, layers):
    """ws of every pair: those of a row, with the `layers` of a column.

    Args:
        rows: `[R, L, D]`.
        columns: `[S, L, D]`.
        layers: Numbers of the layers that are taken from the column.

    Returns:
        `[R, S, L, D]`.

    Raises:
        ValueError: A layer does not exist.
    """
    count = rows.shape[1]
    wrong = [layer for layer in layers if not 0 <= layer < count]
    if wrong:
        raise ValueError(f"Argument `layers` must be within 0 to {count - 1}. "
                         f"Received: layers={wrong}")
    mixed = np.repeat(rows[:, None], len(columns), axis=1)
    mixed[:, :, layers] = columns[None, :, layers]
    return mixed


def in_reading_order(rows, columns, mixed):
    """What stands in a mixing table with its sources on the edges, after the corner.

    Args:
        rows, columns: Sources `[R, ...]` on the left edge, and `[S, ...]` on the upper one.
        mixed: `[R, S, ...]`.

    Returns:
        `[S + R · (1 + S), ...]`, row after row.
    """
    lines = [np.concatenate([source[None], line])
             for source, line in zip(rows, mixed, strict=True)]
    return np.concatenate([columns, *lines])
