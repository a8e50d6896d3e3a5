"""Members of a zip archive, each read by itself and checked before it is unpacked.

Not by `zipfile.ZipFile.open`: every process would read the list of all members once more.
"""

import contextlib
import errno
import io
import os
import re
import struct
import zipfile
import zlib
from typing import NamedTuple

from stylegan2_tf.data import UnreadableImage, decode, printable
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.files import replacing

DIRECTORY_BYTES = 2**29  # of the list of members: some 4,000,000 of them
VOLUME_BYTES = 2**32  # of a volume that is unpacked to the disk, at most
HARMLESS = 2**24  # bytes that a member may unfold to, however small it was
RATIO = 200  # times its size that a larger one may unfold to; black images come near 100
PIECE = 2**20
BAD_NAMES = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ)
ENCRYPTED, METHODS = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Member(NamedTuple):
    """Where a file lies in an archive.

    Attributes:
        archive: Path of the archive.
        name: Path of the file in it, with `/`.
        offset: Of its local header.
        packed, size: Bytes in the archive and unpacked.
        deflated: Whether it is compressed.
        crc: CRC-32 of the unpacked bytes.
    """

    archive: str
    name: str
    offset: int
    packed: int
    size: int
    deflated: bool
    crc: int


def list_members(path):
    """The files of an archive, sorted by name.

    Hidden files and those of operating systems are left out.

    Returns:
        (list of `Member`, dict of name -> reason of those that are refused).

    Raises:
        DataError: It is no zip archive, damaged, or its list of members is endless.
    """
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            found = [entry for entry in archive.infolist() if not entry.is_dir()]
    except OSError as error:
        raise UsageError(f"{printable(path)}: expected a zip archive, found: "
                         f"{error.strerror}") from error
    except Exception as error:  # zipfile raises many kinds
        raise DataError(f"{printable(path)}: expected a zip archive, found: "
                        f"{one_line(error)}; copy or download it again") from error
    members, refused = {}, {}
    for entry in found:
        name = entry.filename.replace("\\", "/")
        if any(part.startswith(".") and part not in (".", "..") or part == "__MACOSX"
               for part in name.split("/")):
            continue
        reason = "a second file of this name" if name in members else _problem(entry, name)
        if reason:
            refused[name] = reason
        else:
            members[name] = Member(os.fspath(path), name, entry.header_offset,
                                   entry.compress_size, entry.file_size,
                                   entry.compress_type == zipfile.ZIP_DEFLATED, entry.CRC)
    return sorted(members.values(), key=lambda member: member.name.encode(
        "utf-8", "surrogatepass")), refused


def read_member(member):
    """The unpacked bytes of an image. Raises `UnreadableImage`."""
    decode.check_size(member.size)
    stream = io.BytesIO()
    _unpack(member, stream)
    return stream.getvalue()


def is_dicom(member):
    """Whether a member is a DICOM file by the four letters at byte 128: these lack an ending."""
    if os.path.splitext(member.name)[1].strip(".0123456789") or member.size < 132:
        return False
    start = io.BytesIO()
    with contextlib.suppress(UnreadableImage, zlib.error, OSError):
        with open(member.archive, "rb") as stream:
            for piece in _pieces(stream, member):
                start.write(piece)
                if start.tell() >= 132:
                    break
    return start.getvalue()[128:132] == b"DICM"


def extract_volume(member, path):
    """Unpack a file of a volume to `path`. Raises `UnreadableImage`."""
    if member.size > VOLUME_BYTES:
        raise UnreadableImage(f"{member.size:,} bytes, more than {VOLUME_BYTES:,}")
    try:
        with replacing(path) as temporary, open(temporary, "wb") as stream:
            _unpack(member, stream)
    except OSError as error:
        if error.errno not in BAD_NAMES:
            raise
        raise UnreadableImage(f"its name can't be written: {error.strerror}") from error


def _unpack(member, target):
    """Write the member to a stream, never more bytes than its entry states."""
    left, crc = member.size, 0
    try:
        with open(member.archive, "rb") as stream:
            for piece in _pieces(stream, member):
                left -= len(piece)
                if left < 0:
                    break
                crc = zlib.crc32(piece, crc)
                target.write(piece)
    except zlib.error as error:
        raise UnreadableImage(f"damaged: {one_line(error)}") from error
    if left or crc != member.crc:
        raise UnreadableImage("damaged: it does not unpack to what the archive states")


def _pieces(stream, member):
    stream.seek(member.offset)
    header = stream.read(30)
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise UnreadableImage("damaged: the archive has no file where it should lie")
    stream.seek(sum(struct.unpack("<HH", header[26:])), io.SEEK_CUR)
    left, unpacker = member.packed, zlib.decompressobj(-15)
    while left:
        content = stream.read(min(PIECE, left))
        if not content:
            return
        left -= len(content)
        if not member.deflated:
            yield content
        while member.deflated and content and not unpacker.eof:
            yield unpacker.decompress(content, PIECE)
            content = unpacker.unconsumed_tail
    if member.deflated:
        yield unpacker.flush()


def _problem(entry, name):
    """Why a member is refused; None if it is not."""
    if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
        return "a name that leads out of the archive"
    if entry.flag_bits & ENCRYPTED:
        return "encrypted; unpack the archive with its password first"
    if entry.compress_type not in METHODS:
        return f"compressed by method {entry.compress_type}; only deflate is read"
    if entry.file_size > max(HARMLESS, RATIO * entry.compress_size):
        return f"{entry.compress_size:,} bytes that unfold to {entry.file_size:,}"
    return None


def _check_directory(path):
    """Refuse a list of members that is endless: `zipfile` would hold all of it in memory."""
    with open(path, "rb") as stream:
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(end - 22 - 2**16 - 20, 0))
        tail = stream.read()
        place = tail.rfind(b"PK\5\6")
        if place < 0 or len(tail) < place + 22:
            raise ValueError("no archive, or a part of one")
        size, = struct.unpack("<I", tail[place + 12:place + 16])
        locator = tail[max(place - 20, 0):place]
        if locator[:4] == b"PK\6\7":  # of 64 bits
            stream.seek(struct.unpack("<Q", locator[8:16])[0])
            record = stream.read(56)
            if len(record) < 56:
                raise ValueError("a part of an archive")
            size, = struct.unpack("<Q", record[40:48])
    if size > min(DIRECTORY_BYTES, end):
        raise ValueError(f"a list of members of {size:,} bytes")
