import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data.decode import (
    MAX_PIXELS,
    UnreadableImage,
    decode,
    fit_image,
    quiet,
    read_image,
)
from stylegan2_tf.errors import UsageError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def saved(path, pixels, kind="PNG", **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, kind, **options)
    return path


def png(path, width, height, depth, colour, rows, extra=b""):
    """Write a PNG from its parts, for what Pillow cannot write."""

    def chunk(kind, body):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


def notes(path, channels=1):
    with quiet():
        return decode(path, channels)[1]


# What is decoded right


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_colour_in_each_lossless_kind(tmp_path, noise, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    read = read_image(saved(tmp_path / "a", noise, kind, **options), 3)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, noise)


def test_grey_is_exact_and_repeated(tmp_path, noise):
    path = saved(tmp_path / "a.png", noise[..., 0])
    np.testing.assert_array_equal(read_image(path, 1), noise[..., :1])
    np.testing.assert_array_equal(read_image(path, 3), np.repeat(noise[..., :1], 3, -1))
    rgba = read_image(path, 4)
    np.testing.assert_array_equal(rgba[..., 2], noise[..., 0])
    assert (rgba[..., 3] == 255).all()


def test_colour_turns_grey_by_luminance(tmp_path, noise):
    grey = read_image(saved(tmp_path / "a.png", noise), 1)[..., 0]
    assert abs(grey - noise @ [0.299, 0.587, 0.114]).max() <= 1


def test_jpeg_is_close(tmp_path):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    read = read_image(saved(tmp_path / "a.jpeg", ramp, "JPEG", quality=95), 1)
    assert abs(read[..., 0].astype(int) - ramp).max() < 8


def test_one_bit(tmp_path):
    bits = np.eye(16, dtype=bool)
    read = read_image(saved(tmp_path / "a.png", bits), 1)
    np.testing.assert_array_equal(read[..., 0], bits * np.uint8(255))


def test_palette_and_grey_palette(tmp_path, noise):
    image = Image.fromarray(noise).quantize(16)
    path = saved(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(path, 3), np.asarray(image.convert("RGB")))
    grey = Image.fromarray(noise[..., 0]).convert("P")
    path = saved(tmp_path / "b.png", grey)
    np.testing.assert_array_equal(read_image(path, 1), noise[..., :1])


def test_palette_with_transparency(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*BLUE, *RED])
    image.putpixel((0, 0), 0)
    path = saved(tmp_path / "a.png", image, transparency=bytes([0, 255]))
    read = read_image(path, 3)
    assert tuple(read[0, 0]) == (0, 0, 0) and tuple(read[1, 1]) == RED
    assert tuple(read_image(path, 4)[0, 0]) == (*BLUE, 0)
    assert notes(path) == ["alpha composited over black"]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_over_black(tmp_path, noise, mode):
    image = Image.fromarray(noise).convert(mode)
    alpha = noise[..., 1]
    image.putalpha(Image.fromarray(alpha))
    path = saved(tmp_path / "a.png", image)
    colour = np.asarray(image.convert("RGBA"))[..., :3].astype(int)
    expected = colour * alpha[..., None] / 255
    assert abs(read_image(path, 3) - expected).max() <= 0.5
    np.testing.assert_array_equal(read_image(path, 4), np.asarray(image.convert("RGBA")))


def test_opaque_alpha_changes_nothing_and_is_not_noted(tmp_path, noise):
    path = saved(tmp_path / "a.png", Image.fromarray(noise).convert("RGBA"))
    np.testing.assert_array_equal(read_image(path, 3), noise)
    assert notes(path) == []


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(tmp_path, kind):
    path = saved(tmp_path / "a", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind)
    assert abs(read_image(path, 3)[4, 4].astype(int) - RED).max() <= 3


@pytest.mark.parametrize("kind, mode", [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B")])
def test_16_bit_grey_is_exact(tmp_path, kind, mode):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 7
    typed = values.astype(">u2" if mode == "I;16B" else "<u2")
    path = saved(tmp_path / "a", Image.frombytes(mode, (16, 16), typed.tobytes()), kind)
    read = read_image(path, 3)
    assert read.dtype == np.uint16 and read.dtype.isnative
    np.testing.assert_array_equal(read, np.repeat(values[..., None], 3, -1))
    assert read_image(path, 4)[0, 0, 3] == 65535
    assert notes(path) == ["16 bits a pixel"]


def test_16_bit_tiff_whose_zero_is_white(tmp_path):
    path = saved(tmp_path / "a.tif", np.array([[1, 60000]], np.uint16), "TIFF")
    black, white = (struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0))
    path.write_bytes(path.read_bytes().replace(black, white))
    assert read_image(path, 1).ravel().tolist() == [65534, 5535]


def test_signed_and_32_bit_integers_in_range_only(tmp_path):
    inside = saved(tmp_path / "a.tif", np.array([[0, 65535]], np.int32), "TIFF")
    assert read_image(inside, 1).ravel().tolist() == [0, 65535]
    for values in ([[-1, 5]], [[0, 65536]]):
        path = saved(tmp_path / "b.tif", np.array(values, np.int32), "TIFF")
        with pytest.raises(UnreadableImage, match=r"do not fit into 0\.\.65535"):
            read_image(path, 1)


def test_16_bit_colour_is_reduced_and_noted(tmp_path):
    values = (np.arange(12).reshape(2, 6) * 5000).astype(">u2")
    path = png(tmp_path / "a.png", 2, 2, 16, 2, [row.tobytes() for row in values])
    np.testing.assert_array_equal(read_image(path, 3).reshape(2, 6), values // 256)
    assert notes(path) == ["16-bit colour reduced to 8 bits"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_rotation(tmp_path, kind, orientation):
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:8, :16] = 255  # white at the top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a", pixels, kind, exif=exif)
    turned = {1: pixels, 3: pixels[::-1, ::-1], 6: np.rot90(pixels, -1), 8: np.rot90(pixels)}
    read = read_image(path, 1)[..., 0]
    assert read.shape == turned[orientation].shape
    assert ((read > 127) == (turned[orientation] > 127)).all()
    assert notes(path) == ([] if orientation == 1 else ["EXIF rotation applied"])


def test_16_bit_with_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 9999
    path = saved(tmp_path / "a.png", values, exif=exif)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], np.rot90(values, -1))


def test_a_damaged_exif_block_does_not_cost_the_image(tmp_path):
    exif = b"Exif\0\0II*\0\xff\xff\xff\xffgarbage"
    path = saved(tmp_path / "a.jpg", Image.new("L", (8, 8), 9), "JPEG", exif=exif)
    assert (read_image(path, 1) == 9).all()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_first_picture_of_several(tmp_path, kind):
    first, second = Image.new("L", (8, 8), 200), Image.new("L", (8, 8), 30)
    path = saved(tmp_path / "a", first, kind, save_all=True, append_images=[second])
    assert abs(read_image(path, 1).astype(int) - 200).max() <= 1
    assert notes(path) == ["first of several pictures used"]


def test_single_gif(tmp_path):
    path = saved(tmp_path / "a.gif", Image.new("RGB", (4, 4), GREEN), "GIF")
    assert (read_image(path, 3) == GREEN).all() and notes(path, 3) == []


def test_kind_is_told_by_content_not_by_name(tmp_path, noise):
    path = saved(tmp_path / "a.jpg", noise, "PNG")
    np.testing.assert_array_equal(read_image(path, 3), noise)


# What is refused


def refusal(path, channels=1):
    with pytest.raises(UnreadableImage) as caught:
        read_image(path, channels)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) <= 120
    return message


def test_refused_with_a_reason(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("these are not pixels" * 50)
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    saved(tmp_path / "float.tif", np.ones((4, 4), np.float32), "TIFF")
    assert refusal(tmp_path / "empty.png") == "empty file"
    assert refusal(tmp_path / "text.png").startswith("not an image")
    assert refusal(tmp_path / "gone.png") == "No such file or directory"
    assert "symbolic links" in refusal(tmp_path / "loop.png")
    assert refusal(tmp_path / "float.tif").startswith("floating point")


def test_other_kinds_are_not_even_tried(tmp_path):
    # Pillow hands this to Ghostscript, a program that runs what it reads.
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert refusal(tmp_path / "a.png").startswith("not an image")
    saved(tmp_path / "b.png", Image.new("L", (4, 4)), "PPM")
    assert refusal(tmp_path / "b.png").startswith("not an image")


@pytest.mark.parametrize("side", [12_000, 30_000])
def test_a_huge_header_is_refused_before_decoding(tmp_path, side):
    path = png(tmp_path / "a.png", side, side, 8, 0, [b""])
    assert refusal(path) == f"more than {MAX_PIXELS:,} pixels"


def test_a_very_long_side_is_refused(tmp_path):
    path = png(tmp_path / "a.png", 70_000, 1, 8, 0, [bytes(70_000)])
    assert refusal(path) == "a side is longer than 65,535 pixels"


def test_a_damaged_checksum_is_refused(tmp_path, noise):
    path = saved(tmp_path / "a.png", noise)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("BMP", {}),
        ("WEBP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_no_cut_gives_other_pixels(tmp_path, noise, kind, options):
    """Wherever a file is cut: it is refused, or no pixel was in the part that is lost."""
    image = Image.fromarray(noise)
    stream = io.BytesIO()
    (image.quantize(64) if kind == "GIF" else image).save(stream, kind, **options)
    content, path = stream.getvalue(), tmp_path / "a"
    path.write_bytes(content)
    whole, refused = read_image(path, 3), 0
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        try:
            np.testing.assert_array_equal(read_image(path, 3), whole)
        except UnreadableImage:
            refused += 1
    assert refused > 0.9 * len(content) / 3


def test_warnings_neither_show_nor_change_the_filters(tmp_path, noise):
    path = saved(tmp_path / "a.tif", noise, "TIFF")
    path.write_bytes(path.read_bytes()[:-100])
    before = list(warnings.filters)
    refusal(path)
    assert list(warnings.filters) == before


@pytest.mark.parametrize("channels", [0, 2, 5, None])
def test_other_channels_are_a_usage_error(tmp_path, channels):
    with pytest.raises(UsageError, match="Received: channels="):
        read_image(tmp_path / "a.png", channels)


# fit_image


def test_no_resize_where_the_size_matches(noise):
    assert fit_image(noise, (24, 20), "stretch") is noise
    np.testing.assert_array_equal(fit_image(noise, (24, 20), "pad"), noise)
    np.testing.assert_array_equal(fit_image(noise, (24, 20), "crop"), noise)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("resolution, size", [(16, (16, 16)), ((240, 256), (240, 256))])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_constant_stays_constant(fit, resolution, size, channels, dtype):
    white = np.iinfo(dtype).max
    for value in (0, 77, white):
        image = np.full((37, 50, channels), value, dtype)
        if channels == 4:
            image[..., 3] = white
        fitted = fit_image(image, resolution, fit)
        assert fitted.shape == (*size, channels) and fitted.dtype == dtype
        assert (fitted == image[0, 0]).all()


def test_pad_keeps_everything_on_its_background():
    image = np.full((10, 20, 3), (10, 200, 30), np.uint8)
    image[4:6, 8:12] = 255
    padded = fit_image(image, 20, "pad")
    np.testing.assert_array_equal(padded[5:15], image)
    assert (padded[:5] == (10, 200, 30)).all() and (padded[15:] == (10, 200, 30)).all()


def test_crop_takes_the_centre():
    image = np.zeros((10, 20, 1), np.uint8)
    image[:, 5:15, 0] = np.arange(100).reshape(10, 10)
    cropped = fit_image(image, 10, "crop")
    np.testing.assert_array_equal(cropped[:, :, 0], np.arange(100).reshape(10, 10))


def test_stretch_fills_the_shape():
    image = np.zeros((10, 20, 1), np.uint8)
    image[:, 10:] = 255
    stretched = fit_image(image, 8, "stretch")[..., 0]
    assert (stretched[:, :3] < 20).all() and (stretched[:, -3:] > 235).all()


def test_reducing_is_anti_aliased():
    stripes = np.zeros((256, 256, 1), np.uint8)
    stripes[:, ::2] = 255
    inner = fit_image(stripes, 32, "stretch")[:, 2:-2]
    assert abs(inner.astype(int) - 127.5).max() <= 2


def test_overshoot_is_clipped_not_wrapped():
    edge = np.zeros((16, 16, 1), np.uint16)
    edge[:, 8:] = 65535
    enlarged = fit_image(edge, 64, "stretch")[..., 0]
    assert (enlarged[:, :24] < 3000).all() and (enlarged[:, 40:] > 62000).all()


def test_invisible_colour_does_not_bleed():
    image = np.zeros((32, 32, 4), np.uint8)
    image[:] = (0, 255, 0, 0)  # invisible green
    image[8:24, 8:24] = (255, 0, 0, 255)
    fitted = fit_image(image, 20, "stretch")
    assert fitted[fitted[..., 3] > 0][:, 1].max() <= 1


@pytest.mark.parametrize("shape", [(1, 65_535, 1), (65_535, 1, 3), (1, 1, 4)])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_extreme_shapes(shape, fit):
    assert fit_image(np.zeros(shape, np.uint8), 16, fit).shape == (16, 16, shape[2])


@pytest.mark.parametrize("resolution", [0, -4, (16,), (16, 0), (16, 16, 3), 16.5])
def test_bad_resolution(resolution):
    with pytest.raises(UsageError, match="Received: resolution="):
        fit_image(np.zeros((4, 4, 1), np.uint8), resolution, "pad")


def test_bad_fit():
    with pytest.raises(UsageError, match="pad, crop, stretch"):
        fit_image(np.zeros((4, 4, 1), np.uint8), 4, "squeeze")
