import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.distances import frechet_distance, kid, neighbour_measures
from stylegan2_tf.metrics.extractors import Extractor, make_extractor
from stylegan2_tf.metrics.feature_space import NAMES, FeatureSpace
from stylegan2_tf.metrics.measure import rows

KINDS = ("pixels", "random")
EXTRACTORS = {kind: make_extractor(kind) for kind in KINDS}
N = 128
SIDE = 32


def heads(n, modes=range(8), seed=0, size=(SIDE, SIDE), channels=1):
    """Ellipses with a rim and a grating, a little different each; 8 clearly different modes."""
    rng = np.random.default_rng(seed)
    y, x = (np.linspace(-1, 1, side)[shape] for side, shape in
            zip(size, ((None, slice(None), None), (None, None, slice(None))), strict=True))
    mode = np.asarray(modes)[np.arange(n) % len(modes), None, None]
    a, b, light, phase = rng.uniform(-1, 1, (4, n, 1, 1))
    across = 0.45 + 0.25 * (mode & 1) + 0.05 * a
    along = 0.55 + 0.2 * (mode >> 1 & 1) + 0.05 * b
    radius = np.hypot(x / across, y / along)
    brightness = 0.6 + 0.05 * light
    grating = 0.2 * np.sin((6 + 6 * (mode >> 2)) * x + 0.5 * phase)
    head = (brightness + grating) * (radius < 0.8) + 0.9 * (abs(radius - 0.9) < 0.1)
    images = np.repeat((2 * head - 1)[..., None].clip(-1, 1), channels, axis=3)
    return images.astype(np.float32)


def blurred(images, sigma):
    return gaussian_filter(images, (0, sigma, sigma, 0))


def noisy(images, deviation):
    noise = np.random.default_rng(5).standard_normal(images.shape).astype(np.float32)
    return images + np.float32(deviation) * noise


def darker(images, share):
    return (images + 1) * np.float32(1 - share) - 1


def mixed(images, share):
    """Some images replaced by another class: upright bars."""
    other = np.sign(np.sin(np.arange(SIDE) * 1.1 + np.arange(N)[:, None]))[:, None, :, None]
    count = round(share * N)
    bars = np.broadcast_to(0.8 * other[:count], (count, SIDE, SIDE, 1))
    return np.concatenate([bars.astype(np.float32), images[count:]])


def fewer_modes(images, lost):
    return heads(len(images), modes=range(8 - lost), seed=7)


@pytest.fixture(scope="module")
def references():
    found = {}
    for kind in KINDS:
        measure = FeatureSpace(EXTRACTORS[kind])
        found[kind] = measure, measure.describe(heads(N))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change, strengths", [
    (blurred, (0.6, 1.2, 2.4)), (noisy, (0.3, 0.6, 1.2)), (darker, (0.1, 0.2, 0.4)),
    (mixed, (0.15, 0.4, 0.8)), (fewer_modes, (4, 6, 7))])
def test_the_worse_the_images_the_worse_the_values(references, kind, change, strengths):
    measure, real = references[kind]
    images = heads(N, seed=1)
    if kind == "pixels" and change in (blurred, noisy):
        strengths = 2 * np.array(strengths)  # averages of 2x2 pixels hardly see less
    values = [measure.compare(real, measure.describe(changed))
              for changed in (images, *(change(images, strength) for strength in strengths))]
    for name, sign in (("kid", 1), ("frechet", 1), ("coverage", -1)):
        course = sign * np.array([value[name] for value in values])
        assert (np.diff(course) >= 0).all() and course[-1] > course[0], name
        if name != "coverage":
            assert (np.diff(course) > 0).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_other_images_of_the_same_kind_are_near(references, kind):
    measure, real = references[kind]
    found = measure.compare(real, measure.describe(heads(N, seed=1)))
    blurry = measure.compare(real, measure.describe(blurred(heads(N, seed=1), 2.4)))
    assert abs(found["kid"]) < 0.1 * blurry["kid"]
    assert found["coverage"] > 0.85 and 0.7 < found["density"] < 1.3


@pytest.mark.parametrize("kind", KINDS)
def test_lost_modes_and_junk(references, kind):
    measure, real = references[kind]
    same = measure.compare(real, measure.describe(heads(N, seed=1)))
    half = measure.compare(real, measure.describe(heads(N, modes=range(4), seed=1)))
    assert half["precision"] > same["precision"] - 0.1 and half["recall"] < 0.6 < same["recall"]
    both = np.concatenate([heads(N, seed=1), mixed(heads(N), 1.0)])
    junk = measure.compare(real, measure.describe(both))
    assert junk["precision"] < 0.55 < same["precision"]
    assert junk["recall"] == pytest.approx(same["recall"], abs=0.05)


@pytest.mark.parametrize("size, channels", [
    ((16, 16), 1), ((16, 16), 3), ((16, 16), 4), ((240, 256), 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_images_of_any_size_and_channels(kind, size, channels):
    measure = FeatureSpace(EXTRACTORS[kind])
    real, fake = (measure.describe(heads(10, seed=seed, size=size, channels=channels))
                  for seed in (0, 1))
    found = measure.compare(real, fake, quick=True)
    assert tuple(found) == NAMES and np.isfinite(list(found.values())).all()


# -- the contract


class Doubles(Extractor):
    """Four numbers of each image, twice over."""

    def __init__(self, is_fid=False):
        super().__init__("doubles", "ab" * 32)
        self.is_fid = is_fid

    def features(self, images):
        return np.tile(images[:, 0, :4, 0], 2)


def pair(measure, n=40):
    rng = np.random.default_rng(0)
    return [measure.describe(rng.uniform(-1, 1, (n, 2, 4, 1)) * scale) for scale in (1.0, 0.8)]


def test_values_are_those_of_the_functions():
    measure = FeatureSpace(Doubles())
    real, fake = pair(measure)
    x, y = real["features"], fake["features"]
    assert x.shape == (40, 8) and x.dtype == np.float32
    assert measure.compare(real, fake) == {
        "kid": 1000 * kid(x, y), "frechet": frechet_distance(x, y), **neighbour_measures(x, y)}
    some = np.arange(0, 40, 2)
    assert measure.compare(rows(real, some), fake)["kid"] == 1000 * kid(x[some], y)


@pytest.mark.parametrize("names", [("kid",), ("coverage", "frechet"), NAMES])
def test_only_what_is_asked_for(names):
    measure = FeatureSpace(Doubles(), names)
    found = measure.compare(*pair(measure))
    assert tuple(found) == tuple(measure.scales()) == names
    assert all(isinstance(value, float) for value in found.values())


def test_neighbours_are_not_computed_in_vain(monkeypatch):
    def fail(*args):
        raise AssertionError("computed in vain")

    monkeypatch.setattr("stylegan2_tf.metrics.feature_space.neighbour_measures", fail)
    measure = FeatureSpace(Doubles(), ("kid", "frechet"))
    measure.compare(*pair(measure))


def test_fid_is_the_name_for_one_network_only():
    measure = FeatureSpace(Doubles(is_fid=True))
    assert tuple(measure.compare(*pair(measure)))[:2] == ("kid", "fid")
    assert measure.scales()["fid"].label == "FID"
    measure = FeatureSpace(Doubles())
    assert "fid" not in measure.compare(*pair(measure))
    assert measure.scales()["frechet"].label == "Fréchet distance"


@pytest.mark.parametrize("n, kid_note, frechet_note, coverage_note", [
    (400, "", "", ""),
    (99, "", "", "99 images: coarse"),
    (39, "39 images: unsure", "39 images for 8 features: biased upwards", "39 images: coarse"),
    (8, "8 images: unsure", "8 images for 8 features: biased upwards, singular covariance",
     "8 images: coarse"),
    (4, "4 images: unsure", "4 images for 8 features: biased upwards, singular covariance",
     "4 images: coarse, 3 neighbours only"),
])
def test_notes_tell_when_there_are_too_few_images(n, kid_note, frechet_note, coverage_note):
    measure = FeatureSpace(Doubles())
    measure.describe(np.zeros((1000, 2, 4, 1), np.uint8))
    measure.describe(np.zeros((n, 2, 4, 1), np.uint8))
    measure.describe(np.zeros((1000, 2, 4, 1), np.uint8))
    scales = measure.scales()
    assert scales["kid"].note == kid_note and scales["kid"].unit == "x 1000"
    assert scales["frechet"].note == frechet_note
    for name in ("precision", "recall", "density", "coverage"):
        assert scales[name].note == coverage_note and scales[name].better == "higher"


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match=r"must be of kid, .* Received: \['fid'\]"):
        FeatureSpace(Doubles(), ("kid", "fid"))
