"""A folder of images as hostile as they come: what each file is, and what must become of it.

`kinds` maps a file name to (content, what must happen). The content is bytes, or a function that
makes something at a path. What must happen is an array, the very pixels in grey, or within one
level of it where it holds floats; a text, which the reason of the refusal holds; `ANY`, if it may
be read or refused, but with neither crash nor hang; or `LEFT_OUT`, if it is no file at all.
"""

import io
import math
import os
import socket
import struct
import zlib

import numpy as np
from PIL import Image

from stylegan2_tf.data.decode import MAX_PIXELS

REFUSED, ANY, LEFT_OUT = "", object(), None
FORMATS = {"png": {}, "jpg": {}, "gif": {}, "bmp": {}, "webp": {"lossless": True},
           "tif": {}, "lzw.tif": {"compression": "tiff_lzw"}}
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (24, 20), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (24, 20), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (24, 20, 3), dtype=np.uint8)
LUMA = np.asarray(Image.fromarray(COLOUR).convert("L"))
NOT_AN_IMAGE = "not an image, or its header is damaged"


def saved(image, kind="png", **options):
    """The bytes of an image that Pillow writes."""
    stream = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(kind.split(".")[-1], kind)
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind, body=b"", length=None, checksum=None):
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body) if length is None else length) + kind + body + (
        struct.pack(">I", checksum))


def png(width, height, depth=8, colour=0, body=b"", before=b"", interlace=0, after=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", body) + after + chunk(b"IEND")


def rows(pixels):
    """The compressed body of a PNG, without a filter."""
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))


def zeros(count):
    """So many zeros, compressed, from little memory."""
    press = zlib.compressobj(1)
    parts = [press.compress(bytes(2**20)) for _ in range(count >> 20)]
    return b"".join([*parts, press.compress(bytes(count % 2**20)), press.flush()])


def interlaced(pixels):
    """An Adam7 PNG, which Pillow cannot write."""
    height, width = pixels.shape
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1)]
    passes = [pixels[top::down, left::right] for top, left, down, right in starts]
    body = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    return png(width, height, body=zlib.compress(body), interlace=1)


def tiff(*changes, pixels=GREY, magic=b"II*\0", following=0, data=None):
    """A plain TIFF from its tags; `changes` are (tag, type, count, value) and win."""
    data = pixels.tobytes() if data is None else data
    height, width = pixels.shape
    tags = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8 * pixels.itemsize),
            259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height),
            279: (4, 1, len(data))}
    tags |= {tag: rest for tag, *rest in changes}
    entries = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(tags.items()))
    start = 8 + len(data)
    return magic + struct.pack("<I", start) + data + struct.pack("<H", len(tags)) + entries + (
        struct.pack("<I", start if following == "itself" else following))


def bmp(width, height, bits=8, body=b"", offset=None, compression=0, colours=256):
    palette = b"".join(bytes([value] * 3 + [0]) for value in range(256)) if bits <= 8 else b""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0,
                         colours, 0)
    offset = 14 + len(header) + len(palette) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(body), 0, 0, offset) + (
        header + palette + body)


def jpeg_of(width, height, content=None):
    """A JPEG whose header claims another size."""
    content = bytearray(saved(GREY, "jpg") if content is None else content)
    start = content.index(b"\xff\xc0")
    content[start + 5:start + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def scans(count, side):
    """A progressive JPEG of so many scans, each of which visits every coefficient."""
    content = saved(Image.new("L", (16, 16)), "jpg", progressive=True)
    content = content.replace(b"\xff\xc2\0\x0b\x08\0\x10\0\x10",
                              b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", side, side))
    first = content.index(b"\xff\xda")
    return content[:first] + content[first:-2] * count + content[-2:]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def with_alpha(mode):
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(Image.fromarray(GREY))
    return image


def transparent_palette():
    return saved(Image.fromarray(COLOUR).quantize(16), transparency=bytes(range(0, 256, 16)))


def over_black(content):
    """What an image with alpha becomes in grey, by formula; within one level."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).astype(float)
    return (pixels[..., :3] @ [0.299, 0.587, 0.114] * pixels[..., 3] / 255).round()


def sparse(head, size):
    """A file that says it is `size` bytes long, and takes none on the disk."""
    def make(path):
        with open(path, "wb") as stream:
            stream.write(head)
            stream.truncate(size)

    return make


def link(target):
    return lambda path: os.symlink(target, path)


def folder(path):
    path.mkdir()
    (path / "inner.png").write_bytes(saved(GREY))


def listener(path):
    """A socket; its path may be 108 bytes long at most, so it is made from its own folder."""
    here = os.getcwd()
    os.chdir(os.path.dirname(path))
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.basename(path))
    finally:
        os.chdir(here)


def good():
    """What must be read, to the very pixel."""
    yield "grey.png", saved(GREY), GREY
    yield "colour.png", saved(COLOUR), LUMA
    yield "16-bit.png", saved(DEEP), DEEP
    yield "16-bit.tif", saved(DEEP, "tif"), DEEP
    yield "16-bit-lzw.tif", saved(DEEP, "tif", compression="tiff_lzw"), DEEP
    yield "16-bit-motorola.tif", saved(
        Image.frombytes("I;16B", (20, 24), DEEP.astype(">u2").tobytes()), "tif"), DEEP
    yield "16-bit-white-is-zero.tif", tiff((262, 3, 1, 0), pixels=DEEP), 65535 - DEEP
    yield "16-bit-signed.tif", tiff((339, 3, 1, 2), pixels=DEEP // 2), DEEP // 2
    yield "32-bit-integers.tif", saved(DEEP.astype(np.int32), "tif"), DEEP
    yield "16-bit-turned.png", saved(DEEP, exif=exif(6)), np.rot90(DEEP, -1)
    yield "interlaced.png", interlaced(GREY), GREY
    yield "one-bit.png", saved(GREY > 127), (GREY > 127) * np.uint8(255)
    yield "one-bit-group4.tif", saved(GREY > 127, "tif", compression="group4"), (
        GREY > 127) * np.uint8(255)
    turned = [GREY[:, ::-1], GREY[::-1, ::-1], GREY[::-1], GREY.T, np.rot90(GREY, -1),
              np.rot90(GREY, 2).T, np.rot90(GREY)]
    for number, pixels in enumerate(turned, start=2):
        yield f"turned-{number}.png", saved(GREY, exif=exif(number)), pixels
    yield "turned.tif", saved(GREY, "tif", exif=exif(6)), np.rot90(GREY, -1)
    yield "LA.png", saved(with_alpha("LA")), over_black(saved(with_alpha("LA")))
    yield "RGBA.png", saved(with_alpha("RGBA")), over_black(saved(with_alpha("RGBA")))
    yield "palette-transparent.png", transparent_palette(), over_black(transparent_palette())
    yield "grey-palette.png", saved(Image.fromarray(GREY).convert("P")), GREY
    yield "constant.png", saved(GREY * 0 + 7), GREY * 0 + 7
    yield "duplicate.png", saved(GREY), GREY
    yield "1x1.png", saved(GREY[:1, :1]), GREY[:1, :1]
    yield "1x5000.png", saved(np.tile(GREY[:1, :10], (1, 500))), np.tile(GREY[:1, :10], (1, 500))
    yield "5000x1.bmp", saved(np.tile(GREY[:10, :1], (500, 1)), "bmp"), np.tile(
        GREY[:10, :1], (500, 1))
    yield "a png.jpg", saved(GREY), GREY
    yield "a tiff.gif", saved(GREY, "tif"), GREY
    yield "animated.gif", saved(GREY, "gif", save_all=True, append_images=[
        Image.fromarray(GREY[::-1])]), GREY
    yield "animated.webp", saved(COLOUR, "webp", lossless=True, save_all=True, append_images=[
        Image.fromarray(COLOUR[::-1])]), LUMA
    yield "animated.png", saved(GREY, save_all=True, append_images=[
        Image.fromarray(GREY[::-1])]), GREY
    yield "pages.tif", saved(GREY, "tif", save_all=True, append_images=[
        Image.fromarray(GREY[::-1])]), GREY
    yield "top-down.bmp", bmp(20, -24, body=GREY.tobytes()), GREY
    yield "rle.bmp", bmp(20, 1, body=b"\x14\x09\0\1", compression=1), np.full((1, 20), 9, np.uint8)
    yield "loop.tif", tiff(following="itself"), GREY  # its list of pictures never ends
    yield "profile.png", png(20, 24, body=rows(GREY), before=chunk(
        b"iCCP", b"name\0\0" + zlib.compress(bytes(1000)))), GREY
    yield "name\udcff.png", saved(GREY), GREY
    yield "🧠 脳.png", saved(GREY), GREY
    yield "two\nlines\r\x1b[31m.png", saved(GREY), GREY
    yield "\u202eright to left.png", saved(GREY), GREY
    yield "-n %s {} $(x) `y` 'q'.png", saved(GREY), GREY
    yield "n" * 251 + ".png", saved(GREY), GREY
    yield "cut-at-the-end.png", saved(GREY)[:-12], GREY
    yield "long-chunk.png", png(20, 24, before=chunk(b"IDAT", rows(GREY), length=2**31)), GREY
    yield "folder.png", folder, LEFT_OUT


def close():
    """What cannot be exact, but must be read."""
    flat = Image.new("CMYK", (20, 24), (0, 255, 255, 0))
    yield "cmyk.jpg", saved(flat, "jpg"), ANY
    yield "cmyk.tif", saved(flat, "tif"), ANY
    yield "progressive.jpg", saved(GREY, "jpg", progressive=True), ANY
    yield "two-pictures.jpg", saved(COLOUR, "mpo", save_all=True, append_images=[
        Image.fromarray(COLOUR[::-1])]), ANY
    yield "16-bit-colour.png", png(20, 24, 16, 2, rows(np.repeat(DEEP[..., None], 3, -1).astype(
        ">u2"))), ANY
    yield "planes.tif", tiff((284, 3, 1, 2)), ANY
    yield "bomb-in-the-text.png", png(20, 24, body=rows(GREY), before=chunk(
        b"zTXt", b"key\0\0" + zeros(2**27))), ANY
    yield "bomb-in-the-profile.png", png(20, 24, body=rows(GREY), before=chunk(
        b"iCCP", b"name\0\0" + zeros(2**27))), ANY
    yield "long-text.png", png(20, 24, body=rows(GREY), before=chunk(
        b"tEXt", b"key\0" + bytes(2**22))), ANY
    yield "many-texts.png", png(20, 24, body=rows(GREY), before=chunk(
        b"tEXt", b"key\0" + bytes(2**19)) * 200), ANY
    yield "more-than-the-pixels.png", png(20, 24, body=zeros(2**27)), ANY
    yield "damaged-inside.jpg", damaged(saved(COLOUR, "jpg"), 700), ANY
    yield "damaged-exif.jpg", saved(GREY, "jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage"), ANY
    yield "lying-riff.webp", damaged(saved(COLOUR, "webp"), 5), ANY
    yield "too-few-rows.png", png(20, 24, body=rows(GREY[:9])), ANY
    yield "default-tables.jpg", saved(GREY, "jpg").replace(b"\xff\xc4", b"\xff\xfe"), ANY
    yield "huge-count.tif", tiff((258, 3, 2**31, 8)), ANY
    yield "no-tiles.tif", tiff((322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 8)), ANY


def damaged(content, place):
    return content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1:]


def cut():
    """Every format, cut at several points."""
    for name, options in FORMATS.items():
        whole = saved(COLOUR, name, **options)
        for part in (2, 12, 30, len(whole) // 3, 2 * len(whole) // 3):
            yield f"cut-at-{part}.{name}", whole[:part], REFUSED


def no_image():
    """Other files with the name of an image."""
    yield "empty.png", b"", "empty file"
    yield "byte.png", b"\x89", NOT_AN_IMAGE
    yield "text.png", b"these are not pixels" * 50, NOT_AN_IMAGE
    yield "zeros.tif", bytes(5000), NOT_AN_IMAGE
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", NOT_AN_IMAGE
    yield "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', NOT_AN_IMAGE
    yield "archive.png", b"PK\3\4" + bytes(100), NOT_AN_IMAGE
    yield "phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500), NOT_AN_IMAGE
    yield "postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NOT_AN_IMAGE
    yield "portable.png", saved(GREY, "ppm"), NOT_AN_IMAGE
    yield "icon.bmp", saved(GREY, "ico"), NOT_AN_IMAGE
    yield "script.gif", b"#!/bin/sh\ntouch canary\n", NOT_AN_IMAGE
    yield "dicom.png", bytes(128) + b"DICM" + bytes(500), NOT_AN_IMAGE
    yield "volume.nii.png", zlib.compress(bytes(1000), wbits=31), NOT_AN_IMAGE
    yield "itself.png", link("itself.png"), "symbolic links"
    yield "ping.png", link("pong.png"), "symbolic links"
    yield "pong.png", link("ping.png"), "symbolic links"
    yield "nowhere.png", link("no/such/file"), "No such file"
    yield "around", link("."), LEFT_OUT
    yield "device.png", link("/dev/zero"), LEFT_OUT
    yield "pipe.png", os.mkfifo, LEFT_OUT
    yield "socket.png", listener, LEFT_OUT


def no_pixels():
    """Values that are no grey levels."""
    wild = np.array([[0, np.nan], [np.inf, -1]], np.float32)
    yield "float.tif", saved(wild, "tif"), "floating point"
    yield "double.tif", tiff((339, 3, 1, 3), pixels=GREY.astype(float)), REFUSED
    yield "negative.tif", saved(np.array([[-1, 5]], np.int32), "tif"), "-1..5 do not fit into"
    yield "negative-16-bit.tif", tiff((339, 3, 1, 2), pixels=DEEP), "do not fit into"
    yield "too-large.tif", saved(np.array([[0, 65536]], np.int32), "tif"), "do not fit into"
    yield "unsigned-32-bit.tif", tiff(pixels=DEEP.astype(np.uint32) << 16), "do not fit into"


def huge():
    """Little files that unfold to gigabytes."""
    many = "more than 33,554,432 pixels"
    yield "12000.png", png(12_000, 12_000, body=zeros(12_000 * 12_001)), many
    yield "30000.png", png(30_000, 30_000), many
    yield "long.png", png(70_000, 1, body=zeros(70_001)), "longer than 65,535 pixels"
    yield "30000.jpg", jpeg_of(30_000, 30_000), many
    yield "65500.jpg", jpeg_of(65_500, 65_500), many
    yield "30000.bmp", bmp(30_000, 30_000), many
    yield "30000.tif", tiff((256, 4, 1, 30_000), (257, 4, 1, 30_000)), many
    yield "60000.gif", saved(GREY, "gif")[:6] + struct.pack("<HH", 60_000, 60_000) + saved(
        GREY, "gif")[10:], many
    yield "frame.gif", gif_frame(60_000, 60_000), many
    yield "16383.webp", b"RIFF\x1e\0\0\0WEBPVP8X\x0a" + bytes(7) + b"\xfe\x3f\0" * 2 + (
        bytes(8)), many
    yield "tile.tif", tiff((322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (
        325, 4, 1, 480), (259, 3, 1, 8)), REFUSED
    yield "strip.tif", tiff((278, 4, 1, 2**31), (259, 3, 1, 5)), REFUSED
    for name, head in {"webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ", "jpg": b"\xff\xd8\xff\xe0",
                       "png": png(20, 24)[:33] + struct.pack(">I", 2**31 - 1) + b"iCCP",
                       "tif": tiff((33_432, 2, 2**31, 8))}.items():
        yield f"sparse.{name}", sparse(head, 2**34), "17,179,869,184 bytes, more than 301,989,888"


def gif_frame(width, height, code=8):
    """A GIF whose only frame claims another size, or another length of its codes."""
    content = saved(GREY, "gif")
    start = content.index(b",\0\0\0\0")
    return content[:start + 5] + struct.pack("<HHBB", width, height, 0, code) + (
        content[start + 11:])


def broken():
    """Headers that contradict themselves."""
    plain = png(20, 24, body=rows(GREY))
    for name, content in {
            "checksum-of-the-header": damaged(plain, 30), "checksum": damaged(plain, 60),
            "no-width": png(0, 24, body=rows(GREY)), "negative": png(2**32 - 20, 24),
            "no-header": plain[:8] + plain[33:], "no-pixels": plain[:33] + chunk(b"IEND"),
            "depth-3": png(20, 24, 3, body=rows(GREY)), "colour-9": png(20, 24, 8, 9),
            "no-palette": png(20, 24, 8, 3, rows(GREY))[:60], "interlace-7": png(
                20, 24, body=rows(GREY), interlace=7)[:-40],
            "filter-9": png(20, 24, body=zlib.compress((b"\x09" + bytes(20)) * 24)),
            "no-zlib": png(20, 24, body=b"stored")}.items():
        yield f"{name}.png", content, REFUSED
    for name, content in {
            "no-width": jpeg_of(0, 24), "no-frame": b"\xff\xd8\xff\xd9",
            "12-bit": saved(GREY, "jpg").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"),
            "200-components": saved(GREY, "jpg").replace(
                b"\x18\0\x14\x01", b"\x18\0\x14\xc8")}.items():
        yield f"{name}.jpg", content, REFUSED
    for name, content in {
            "negative-width": bmp(-20, 24, body=GREY.tobytes()), "7-bit": bmp(20, 24, 7),
            "offset": bmp(20, 24, body=GREY.tobytes(), offset=2**31),
            "no-height": bmp(20, 0), "compression": bmp(20, 24, compression=77),
            "colours": bmp(20, 24, colours=2**31)}.items():
        yield f"{name}.bmp", content, REFUSED
    for name, content in {
            "offset": tiff((273, 4, 1, 2**31)),
            "7-bit": tiff((258, 3, 1, 7)), "1000-samples": tiff((277, 3, 1, 1000)),
            "compression": tiff((259, 3, 1, 9999)), "no-width": tiff((256, 4, 1, 0)),
            "negative": tiff((256, 4, 1, 2**32 - 20)), "no-tags": b"II*\0\x08\0\0\0\0\0",
            "list-of-itself": b"II*\0\0\0\0\0",
            "no-rows": tiff((278, 4, 1, 0), data=b"")}.items():
        yield f"{name}.tif", content, REFUSED
    yield "no-width.gif", b"GIF89a\0\0\x18\0\0\0\0;", REFUSED
    yield "no-frame.gif", b"GIF89a\x14\0\x18\0\0\0\0;", REFUSED
    yield "code-of-200.gif", gif_frame(20, 24, code=200), REFUSED
    yield "damaged.webp", damaged(saved(COLOUR, "webp"), 30), REFUSED


def kinds():
    """name -> (content, what must happen) of every file."""
    return {name: (content, expected)
            for family in (good, close, cut, no_image, no_pixels, huge, broken)
            for name, content, expected in family()}


def make(folder):
    """Make the files and return what must happen to each."""
    expected = {}
    for name, (content, expected[name]) in kinds().items():
        path = folder / name
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
    return expected


def make_largest(folder):
    """The largest images that are read, of those kinds that take the most memory."""
    side = math.isqrt(MAX_PIXELS)
    largest = {"rgba.png": ("RGBA", dict(compress_level=1)), "rgba.webp": ("RGBA", {}),
               "deep.png": ("I;16", dict(compress_level=1)),
               "cmyk.jpg": ("CMYK", dict(progressive=True))}
    for name, (mode, options) in largest.items():
        color = (50, 100, 150, 200)[:len(mode)] if mode != "I;16" else 1000
        Image.new(mode, (side, side), color).save(folder / f"largest-{name}", **options)
