"""Image files of every kind, and all the ways in which one can be bad, each with its reason."""

import io
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode="L", size=(16, 16)):
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if bands == 1 else (size[1], size[0], bands)
    return Image.fromarray(RNG.integers(0, 255, shape, dtype=np.uint8), mode=mode)


GOOD = encode(picture())
WIDE = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
JPEG = encode(picture(size=(64, 64)), "JPEG")


def with_header(png, start, data):
    """Return a PNG with bytes of its header replaced, and the header's CRC put right."""
    header = png[12:start] + data + png[start + len(data) : 29]
    return png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]


BOMB = with_header(GOOD, 16, (60000).to_bytes(4, "big") * 2)
BAD_FILES = {
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "truncated.png": (GOOD[:-30], "damaged"),
    "truncated.tif": (encode(picture(), "TIFF")[:120], "damaged"),
    "truncated.bmp": (encode(picture(), "BMP")[:-40], "damaged"),
    "empty.png": (b"", "not a JPEG"),
    "text.jpg": (b"not an image at all", "not a JPEG"),
    "wide.png": (encode(Image.fromarray(WIDE)), "more than 8 bits"),
    "wide.tif": (encode(Image.fromarray(WIDE), "TIFF"), "more than 8 bits"),
    "cmyk.jpg": (encode(picture("RGB").convert("CMYK"), "JPEG"), "CMYK"),
    "palette.png": (encode(picture().convert("P")), "palette"),
    "alpha.png": (encode(picture("RGBA")), "alpha"),
    "bilevel.png": (encode(picture().convert("1")), "1 bit"),
    "float.tif": (encode(picture().convert("F"), "TIFF"), "floating"),
    "moving.gif": (encode(picture(), "GIF", save_all=True, append_images=[picture()]), "not a"),
    "moving.png": (encode(picture(), save_all=True, append_images=[picture()]), "frames"),
    "pages.tif": (encode(picture(), "TIFF", save_all=True, append_images=[picture()]), "frames"),
    "dot.png": (encode(picture(size=(1, 1))), "1x1"),
    "bomb.png": (BOMB, "pixels"),
}
