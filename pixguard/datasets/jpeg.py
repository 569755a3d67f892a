"""Is a JPEG file whole? Its Huffman codes are walked, which tells more than libjpeg does.

libjpeg fills what is damaged with gray or with shifted colours, and warns where nobody hears it.
The codes of a sound file end exactly with the last block of the image: a hole, a cut or a foreign
piece moves that end, makes a code that the file does not define, or runs over a block. What changes
only the value of a coefficient cannot be told from an image.
"""

import numpy as np
from numpy.typing import NDArray

JPEG_START = b"\xff\xd8"
_SOF_BASELINE = (0xC0, 0xC1)
_SOF_OTHER = (0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_BLOCK = 64
_END = 128
"""Added to the place in a block by the code that ends it: beyond any place that runs reach."""
_WRONG = 65
"""Added by what is no code: over the block's end, but not as far as its ending reaches."""
_PADDING = 8
"""Bytes beyond the end that are looked up, so that the last code is."""

Table = NDArray[np.int64]
"""(65536, 2): bits that the symbol at the head of 16 bits takes, places in the block it goes on."""


def problem(data: bytes) -> str | None:
    """Return what is wrong with the codes of a JPEG file, None where they are sound.

    Files of other than baseline or extended sequential Huffman coding are not judged: None.
    """
    try:
        return _walk_file(data)
    except (IndexError, KeyError, ValueError):
        return "its segments make no sense"


def _walk_file(data: bytes) -> str | None:
    tables: dict[int, Table] = {}
    frame: dict[int, tuple[int, int]] = {}
    height = width = interval = 0
    place = 2
    while place < len(data):
        if data[place] != 0xFF:
            return f"{data[place]:#04x} instead of a marker at byte {place}"
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xD9:
            return None
        if marker in _SOF_OTHER:
            return None
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker in _SOF_BASELINE:
            height, width = (int.from_bytes(body[i : i + 2], "big") for i in (1, 3))
            for i in range(body[5]):
                name, sampling = body[6 + 3 * i], body[7 + 3 * i]
                frame[name] = sampling >> 4, sampling & 15
        elif marker == 0xC4:
            tables |= _tables(body)
        elif marker == 0xDD:
            interval = int.from_bytes(body[:2], "big")
        elif marker == 0xDA:
            parts, place = _coded(data, place)
            scan = [(body[1 + 2 * i], body[2 + 2 * i]) for i in range(body[0])]
            units, blocks = _layout(frame, scan, height, width)
            wrong = _walk_scan(parts, units, interval, [(tables[d], tables[a]) for d, a in blocks])
            if wrong:
                return wrong
    return None


def _tables(body: bytes) -> dict[int, Table]:
    """Return the Huffman tables of a segment by class (bit 4) and number."""
    found: dict[int, Table] = {}
    while body:
        counts, symbols = body[1:17], body[17 : 17 + sum(body[1:17])]
        is_dc = not body[0] >> 4
        table = np.tile(np.array([0, 0 if is_dc else _WRONG]), (1 << 16, 1))
        code = used = 0
        for bits, count in enumerate(counts, start=1):
            for symbol in symbols[used : used + count]:
                run, size = symbol >> 4, symbol & 15
                goes_on = _END if symbol == 0 else run + 1
                if not is_dc and size == 0 and run not in (0, 15):
                    goes_on = _WRONG
                first = code << (16 - bits)
                table[first : first + (1 << (16 - bits))] = bits + size, goes_on
                code += 1
            used += count
            code <<= 1
        found[body[0]] = table
        body = body[17 + len(symbols) :]
    return found


def _coded(data: bytes, start: int) -> tuple[list[bytes], int]:
    """Return the coded data of a scan, between restart markers, and where they end."""
    parts: list[bytes] = []
    place = start
    while True:
        place = data.index(b"\xff", place)
        following = data[place + 1]
        if following == 0 or following == 0xFF:
            place += 1 + (following == 0)
            continue
        parts.append(data[start:place].replace(b"\xff\x00", b"\xff"))
        if following != 0xD0 + (len(parts) - 1) % 8:
            return parts, place
        start = place = place + 2


def _layout(
    frame: dict[int, tuple[int, int]], scan: list[tuple[int, int]], height: int, width: int
) -> tuple[int, list[tuple[int, int]]]:
    """Return how many units a scan has, and the tables (DC, AC) of each block of a unit."""
    widest, highest = (max(factors) for factors in zip(*frame.values(), strict=True))
    if len(scan) > 1:
        units = -(-width // (8 * widest)) * -(-height // (8 * highest))
        repeats = [frame[name][0] * frame[name][1] for name, _ in scan]
    else:
        across, down = frame[scan[0][0]]
        wide, high = -(-width * across // widest), -(-height * down // highest)
        units = -(-wide // 8) * -(-high // 8)
        repeats = [1]
    return units, [
        (number >> 4, 0x10 | number & 15)
        for (_, number), repeat in zip(scan, repeats, strict=True)
        for _ in range(repeat)
    ]


def _walk_scan(
    parts: list[bytes], units: int, interval: int, blocks: list[tuple[Table, Table]]
) -> str | None:
    each = interval or units
    if len(parts) != -(-units // each):
        return f"{len(parts)} pieces of coded data instead of {-(-units // each)}"
    for number, part in enumerate(parts):
        wrong = _walk(part, min(each, units - number * each), blocks)
        if wrong:
            return wrong
    return None


def _walk(part: bytes, units: int, blocks: list[tuple[Table, Table]]) -> str | None:
    """Walk the codes of some units; every bit's 16 bits are looked up at once beforehand."""
    padded = np.frombuffer(part + bytes(_PADDING), dtype=np.uint8).astype(np.uint32)
    three = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
    heads = ((three[:, None] >> np.arange(8, 0, -1, dtype=np.uint32)) & 0xFFFF).reshape(-1)
    looked_up: dict[int, tuple[bytes, bytes]] = {}
    for pair in blocks:
        for table in pair:
            if id(table) not in looked_up:
                bits, on = table[heads].T.astype(np.uint8)
                looked_up[id(table)] = bits.tobytes(), on.tobytes()
    steps = [(looked_up[id(dc)][0], *looked_up[id(ac)]) for dc, ac in blocks]
    place, end = 0, 8 * len(part)
    try:
        for _ in range(units):
            for dc_bits, ac_bits, ac_on in steps:
                taken = dc_bits[place]
                if not taken:
                    return f"no code at bit {place} of {end}"
                place += taken
                at = 1
                while at < _BLOCK:
                    at += ac_on[place]
                    place += ac_bits[place]
                if _BLOCK < at <= _END:
                    return f"a block runs over its end at bit {place} of {end}"
    except IndexError:
        return "its coded data end too early"
    if not end - 8 < place <= end:
        return f"its coded data end at bit {place} of {end}"
    return None
