"""The nearest of many reference images, by pixels after small shifts or by features.

Two stages. Short vectors give each query its candidates by matrix products, where
|a - b|² = |a|² - 2 a·b + |b|² loses the digits of small distances; the distances of the
candidates are then those of differences, so that an exact copy is at 0.

Shapes: `N` queries, `M` references, `K` candidates, `H W` height and width in pixels,
`C` channels, `D` features, `S` shifts.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from tqdm import tqdm

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import BLOCK, blocks, in_blocks, signed

# Among 3,296 real slices of 64 pixels these find the nearest of all 800 new slices, of all
# moved, noisy or blurred copies, and of 99.6 % of blends of two slices.
COARSE = 32  # averages along a side in the first stage
CANDIDATES = 32
EXACT = 4  # candidates, at their best shifts, whose difference is formed in the end
BATCH_PIXELS = 2**18  # that fit in the cache
BLOCK_PIXELS = 2**24  # that are floating-point numbers at once
ROWS = 1024  # queries in one matrix product


def default_shift(height, width):
    """3 % of the shorter side, at least 1 pixel: 1 at 16, 2 at 64, 4 at 128, 8 at 256."""
    return max(1, round(0.03 * min(height, width)))


def nearest_images(queries, references, shift=None, progress=False, exclude=None):
    """The nearest reference image of every query, by pixels.

    The distance is the root mean square difference of the query without its outermost
    `shift` pixels to that equally large piece of the reference that fits best. So all shifts
    compare the same pixels of the query, with real ones: none is favoured because pixels
    drop out of the mean, and none is punished by a made-up edge. What differs only in the
    outermost pixels is not seen; nor are copies that are mirrored or turned.

    Args:
        queries: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.
        references: `[M, H, W, C]`, likewise.
        shift: Largest shift in pixels, in both directions; None is `default_shift`.
        progress: Show bars, if standard error is a terminal.
        exclude: None, or two arrays of labels, N and M: references with the query's own
            label do not count. With subjects, a person is compared with others only.

    Returns:
        (index `[N]`, distance `[N]`): int64, and float64 for pixels in `[-1, 1]`.

    Raises:
        UsageError: Shapes, `shift` or `exclude` do not fit, or a value is not finite.
    """
    queries, references = _checked(queries, references, 4)
    height, width = queries.shape[1:3]
    shift = default_shift(height, width) if shift is None else shift
    if not 0 <= 2 * shift < min(height, width):
        raise UsageError(f"`shift` must be 0 to {(min(height, width) - 1) // 2} for images of "
                         f"{height}x{width} pixels. Received: shift={shift}")
    windows = _Windows(height, width, shift)
    size = max(1, min(BLOCK, BLOCK_PIXELS // math.prod(queries.shape[1:])))
    middle = in_blocks(lambda images: windows.averages(images, [shift])[0], queries, size)
    pieces = (windows.averages(images, windows.offsets) for images in blocks(references, size))
    candidates = _candidates(middle, pieces, len(references), exclude, progress)
    return _refined(candidates, progress, lambda i, rows: windows.nearest(
        signed(queries[i]), signed(references[rows])))


def nearest_features(queries, references, exclude=None):
    """The nearest reference of every query, by features.

    The distance is the root mean square over features, each divided by its standard
    deviation over the references: networks give features of very different sizes, and the
    few largest would decide alone. A feature that does not vary keeps its unit.

    Args:
        queries: `[N, D]`.
        references: `[M, D]`.
        exclude: See `nearest_images`.

    Returns:
        (index `[N]`, distance `[N]`): int64 and float64.

    Raises:
        UsageError: Shapes or `exclude` do not fit, or a value is not finite.
    """
    queries, references = _checked(queries, references, 2)
    unit = references.std(axis=0, dtype=np.float64)
    unit[unit <= 1e-6 * np.abs(references).max(axis=0)] = 1.0
    scale = (1 / (unit * math.sqrt(references.shape[1]))).astype(np.float32)
    queries, references = (np.asarray(side * scale, np.float32) for side in (queries, references))
    pieces = (rows[None] for rows in blocks(references))
    candidates = _candidates(queries, pieces, len(references), exclude)

    def nearest(i, rows):
        squares = np.square(references[rows] - queries[i]).sum(axis=1, dtype=np.float64)
        return squares.argmin(), math.sqrt(squares.min())

    return _refined(candidates, False, nearest)


def _checked(queries, references, dimensions):
    """Both as arrays that can be compared."""
    queries, references = np.asarray(queries), np.asarray(references)
    if queries.ndim != dimensions or queries.shape[1:] != references.shape[1:]:
        raise UsageError(f"`queries` and `references` must be {dimensions}-D and differ in their "
                         f"number only. Received: {queries.shape} and {references.shape}")
    for name, rows in (("queries", queries), ("references", references)):
        if not rows.size:
            raise UsageError(f"`{name}` must not be empty. Received: shape {rows.shape}")
        if rows.dtype.kind == "f" and not all(np.isfinite(block).all() for block in blocks(rows)):
            raise UsageError(f"`{name}` must be finite numbers. Received: NaN or infinity")
    return queries, references


class _Windows:
    """The piece of an image that is compared, at every place where it may lie.

    Args:
        height, width: Of the images.
        shift: The piece lacks so many pixels at each edge.
    """

    def __init__(self, height, width, shift):
        self.sides = height - 2 * shift, width - 2 * shift
        self.places = 2 * shift + 1
        self.sums = [_bands(side, self.places, range(self.places), 1) for side in (height, width)]
        self.fft_sides = [fft.next_fast_len(side, real=True) for side in (height, width)]
        self.batch = max(1, BATCH_PIXELS // (height * width))
        # Averages need no finer shifts than half a block: S is 9 to 49 at any size by default.
        step = max(1, round(min(self.sides) / COARSE / 2))
        ends = np.linspace(0, 2 * shift, 2 * math.ceil(shift / step) + 1)
        self.offsets = ends.round().astype(int)

    def averages(self, images, offsets):
        """Averages of blocks of the pieces of images `[N, H, W, C]` at all pairs of `offsets`.

        Returns:
            `[S, N, D]`, scaled so that D squares sum to the mean square of smooth pieces.
        """
        down, right = (_bands(side, self.places, offsets, COARSE) for side in images.shape[1:3])
        found = np.tensordot(down, np.tensordot(images, right, (2, 1)), (1, 1))
        s, n, c = len(offsets), len(images), images.shape[3]
        found = found.reshape(s, -1, n, c, s, len(right) // s).transpose(0, 4, 2, 1, 5, 3)
        return found.reshape(s * s, n, -1) * np.float32(1 / math.sqrt(c * math.prod(self.sides)))

    def nearest(self, query, references):
        """The nearest of references `[K, H, W, C]` to the middle of a query `[H, W, C]`.

        Returns:
            (index in 0..K-1, root mean square difference).
        """
        edge = self.places // 2
        middle = query[edge:edge + self.sides[0], edge:edge + self.sides[1]]
        level = middle.mean()  # what all share costs digits and changes no distance
        middle, references = middle - level, references - level
        spectrum = fft.rfft2(middle, self.fft_sides, axes=(0, 1)).conj()
        excess = np.concatenate([self._excess(spectrum, references[start:start + self.batch])
                                 for start in range(0, len(references), self.batch)])
        place = excess.argmin(axis=1)
        best = np.argsort(excess.min(axis=1), kind="stable")[:EXACT]
        rows, columns = np.divmod(place[best], self.places)
        pieces = sliding_window_view(references, self.sides, (1, 2))[best, rows, columns]
        difference = (pieces - np.moveaxis(middle, 2, 0)).reshape(len(best), -1)
        squares = np.einsum("kd,kd->k", difference, difference) / difference.shape[1]
        return best[squares.argmin()], math.sqrt(squares.min())

    def _excess(self, spectrum, references):
        """Squared differences at all places, `[K, places²]`, less the squares of the middle.

        The products at all places come from the convolution theorem, with the conjugate
        spectrum of the middle.
        """
        spectra = fft.rfft2(references, self.fft_sides, axes=(1, 2))
        spectra = np.einsum("kyxc,yxc->kyx", spectra, spectrum)
        products = fft.irfft2(spectra, self.fft_sides)[:, :self.places, :self.places]
        down, right = self.sums
        squares = down @ np.einsum("kyxc,kyxc->kyx", references, references) @ right.T
        return (math.sqrt(math.prod(self.sides)) * squares - 2 * products).reshape(
            len(references), -1)


def _bands(side, places, offsets, parts):
    """Matrix that sums equal parts of a window: rows (offset, part), each of length 1.

    The window is `side - places + 1` pixels long and starts at each of `offsets` in turn.
    """
    length = side - places + 1
    ends = np.linspace(0, length, min(parts, length) + 1).round().astype(int)
    rows = np.zeros((len(offsets), len(ends) - 1, side), np.float32)
    for number, offset in enumerate(offsets):
        for part, (start, stop) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            rows[number, part, offset + start:offset + stop] = 1 / math.sqrt(stop - start)
    return rows.reshape(-1, side)


def _candidates(queries, pieces, total, exclude, progress=False):
    """The references that are nearest by vectors, each at its best shift.

    Args:
        queries: `[N, D]`.
        pieces: Iterable of `[S, m, D]`: the next m of all references, at all shifts.
        total: M.

    Returns:
        `[N, K]`: ascending indices of references, with -1 for none.
    """
    own, others = _labels(exclude, len(queries), total)
    centre = queries.mean(axis=0)  # what all have in common costs digits
    doubled = 2 * (queries - centre)
    scores = np.full((len(queries), min(CANDIDATES, total)), np.inf, np.float32)
    index = np.full(scores.shape, -1)
    done = 0
    with _bar(None, "searching", progress, total=total) as bar:
        for piece in pieces:
            here = np.arange(done, done + piece.shape[1])
            vectors = (piece - centre).reshape(-1, piece.shape[2])
            squares = np.einsum("nd,nd->n", vectors, vectors)
            for start in range(0, len(queries), ROWS):
                rows = slice(start, start + ROWS)
                new = squares - doubled[rows] @ vectors.T  # less |query|², the same for all
                new = new.reshape(len(new), -1, len(here)).min(axis=1)
                new[own[rows, None] == others[here]] = np.inf
                scores[rows], index[rows] = _lowest(scores[rows], index[rows], new, here)
            done += len(here)
            bar.update(len(here))
    index[np.isinf(scores)] = -1
    index.sort(axis=1)  # of equally near references the first is named
    return index


def _lowest(scores, index, new, here):
    """As many of the lowest scores, old and new, as there are old ones, and their indices."""
    count = scores.shape[1]
    scores = np.concatenate([scores, new], axis=1)
    index = np.concatenate([index, np.broadcast_to(here, new.shape)], axis=1)
    chosen = np.argpartition(scores, count - 1, axis=1)[:, :count]
    return np.take_along_axis(scores, chosen, 1), np.take_along_axis(index, chosen, 1)


def _labels(exclude, n, m):
    """Whole numbers for the labels of queries and references; all different for None."""
    if exclude is None:
        return np.full(n, -1), np.zeros(m, int)
    own, others = map(np.asarray, exclude)
    if own.shape != (n,) or others.shape != (m,):
        raise UsageError(f"`exclude` must hold {n} labels of queries and {m} of references. "
                         f"Received: {own.shape} and {others.shape}")
    codes = np.unique(np.concatenate([own, others]), return_inverse=True)[1]
    own, others = codes[:n], codes[n:]
    alone = own == others[0]
    if (others == others[0]).all() and alone.any():
        raise UsageError("`exclude` must leave each query a reference of another label. "
                         f"Received: none for query {alone.argmax()}")
    return own, others


def _refined(candidates, progress, nearest):
    """The best of each query's candidates, by `nearest(query's number, references)`."""
    index = np.empty(len(candidates), np.int64)
    distance = np.empty(len(candidates))
    for i, row in enumerate(_bar(candidates, "comparing", progress)):
        row = row[row >= 0]
        best, distance[i] = nearest(i, row)
        index[i] = row[best]
    return index, distance


def _bar(items, text, progress, total=None):
    return tqdm(items, text, total, unit="image", leave=False, disable=None if progress else True)
