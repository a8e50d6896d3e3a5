"""CRC-32C (Castagnoli, RFC 3720 B.4) of many records at once, with the mask of TFRecord files.

Byte after byte in Python would take longer than decoding. A checksum is linear: each record is cut
into lanes, all lanes of all records advance together, and are then joined.
"""

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # with the lowest bit first
LANE = 512  # bytes


def masked_crc32c(records):
    """Checksum of each row of `records` as TFRecord files hold it; see `crc32c`."""
    crc = crc32c(records)
    return (crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)  # wraps around, as it shall


def crc32c(records):
    """CRC-32C of each row of `records`, uint8 `[N, L]`: uint32 `[N]`."""
    count, length = records.shape
    lanes = -(-length // LANE)
    # Zeros in front change no sum that starts at zero; the start value comes in at the end.
    padded = np.zeros((count, lanes * LANE), np.uint8)
    padded[:, lanes * LANE - length:] = records
    pairs = np.ascontiguousarray(padded.view("<u2").reshape(count * lanes, -1).T)
    table, crc = _table(), np.zeros(count * lanes, np.uint32)
    for pair in pairs:
        crc = table[(crc ^ pair) & 0xFFFF] ^ crc >> 16
    sums, joined = crc.reshape(count, lanes), np.zeros(count, np.uint32)
    for lane in range(lanes):
        joined = _advanced(joined, LANE) ^ sums[:, lane]
    start = _advanced(np.full(1, 0xFFFFFFFF, np.uint32), length)
    return ~(joined ^ start)


def _advanced(crc, zeros):
    """The sums after so many bytes of zero more."""
    tables = _skip(zeros)
    return (tables[0][crc & 0xFF] ^ tables[1][crc >> 8 & 0xFF]
            ^ tables[2][crc >> 16 & 0xFF] ^ tables[3][crc >> 24])


@functools.cache
def _table():
    """What each sum below 65,536 becomes after two bytes of zero."""
    table = np.arange(2**16, dtype=np.uint32)
    for _ in range(16):
        table = _shifted(table)
    return table


@functools.lru_cache(maxsize=64)
def _skip(zeros):
    """What each of the four bytes of a sum becomes after `zeros` bytes of zero: `[4, 256]`."""
    crc = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    if zeros > 1:  # by squaring
        crc = _advanced(_advanced(crc, zeros // 2), zeros // 2)
    for _ in range(8 * (zeros % 2)):
        crc = _shifted(crc)
    return crc


def _shifted(crc):
    """The sums after one bit of zero more."""
    return np.where(crc & 1, crc >> 1 ^ np.uint32(POLYNOMIAL), crc >> 1)
