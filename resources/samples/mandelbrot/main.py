"""Paints the Mandelbrot set into mandelbrot.png. Needs nothing but Python; takes a few seconds.

Options: --width, --height, --steps (iterations at most per point), --samples (3 means 3 by 3 looks at
each point, for smooth edges), --out (the picture's file).
"""

import argparse
import math
import struct
import sys
import time
import zlib
from pathlib import Path

CENTRE = (-0.65, 0.0)
SPAN = 3.2  # width of the view in the complex plane
INSIDE = (10, 12, 30)
BANDS = 16  # lines between two reports


def escape_time(cx, cy, steps):
    """How many steps it takes to leave the circle of radius 16, in fractions; None when it never does."""
    if in_a_big_bulb(cx, cy):
        return None
    x = y = 0.0
    for step in range(steps):
        xx = x * x
        yy = y * y
        if xx + yy > 256.0:
            return step + 1 - math.log2(math.log(xx + yy) / 2)
        y = 2.0 * x * y + cy
        x = xx - yy + cx
    return None


def in_a_big_bulb(cx, cy):
    """Whether a point is in the heart or in the circle to its left: most of the inside, for free."""
    q = (cx - 0.25) ** 2 + cy * cy
    return q * (q + cx - 0.25) <= 0.25 * cy * cy or (cx + 1) ** 2 + cy * cy <= 0.0625


def colour(count):
    """A colour that changes smoothly with the escape time."""
    if count is None:
        return INSIDE
    turn = 0.16 * count
    return tuple(int(127.5 + 127.5 * math.cos(turn + shift)) for shift in (3.4, 2.6, 1.9))


def point(column, row, width, height):
    """Where a pixel lies in the complex plane."""
    scale = SPAN / width
    return CENTRE[0] + (column - width / 2) * scale, CENTRE[1] + (height / 2 - row) * scale


def blended(column, row, width, height, steps, samples):
    """The mean colour of a grid of looks at one pixel."""
    sums = [0, 0, 0]
    for index in range(samples * samples):
        over = column + (index % samples - (samples - 1) / 2) / samples
        down = row + (index // samples - (samples - 1) / 2) / samples
        count = escape_time(*point(over, down, width, height), steps)
        for part, value in enumerate(colour(count)):
            sums[part] += value
    return [value // (samples * samples) for value in sums]


def paint(width, height, steps, samples):
    """All pixels, line by line, three bytes each; tells how far it is."""
    start = time.monotonic()
    lines = []
    for row in range(height):
        line = bytearray()
        for column in range(width):
            line += bytes(blended(column, row, width, height, steps, samples))
        lines.append(bytes(line))
        if (row + 1) % BANDS == 0 or row + 1 == height:
            done = 100 * (row + 1) // height
            print(f"  {done:3d} % painted, {time.monotonic() - start:.1f} s", flush=True)
    return lines


def chunk(kind, content):
    """One piece of a PNG file: length, kind, content, checksum."""
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def png(width, height, lines):
    """The bytes of a PNG file with 8 bits for each of red, green and blue."""
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def read_png(content):
    """Width, height and pixel lines of a file that `png` has made; complains about any damage."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("this is not a PNG file")
    found = {}
    at = 8
    while at < len(content):
        (size,) = struct.unpack_from(">L", content, at)
        kind = content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">L", content, at + 8 + size)
        if zlib.crc32(kind + body) != checksum:
            raise ValueError(f"the checksum of {kind!r} is wrong")
        found[kind] = body
        at += 12 + size
    width, height = struct.unpack_from(">LL", found[b"IHDR"])
    pixels = zlib.decompress(found[b"IDAT"])
    stride = 1 + 3 * width
    if len(pixels) != stride * height or b"IEND" not in found:
        raise ValueError("the picture is not whole")
    return width, height, [pixels[row * stride + 1 : (row + 1) * stride] for row in range(height)]


def pixel_at(x, y, width, height, lines):
    """The colour that the picture has at a point of the complex plane."""
    scale = SPAN / width
    column = round((x - CENTRE[0]) / scale + width / 2)
    row = round(height / 2 - (y - CENTRE[1]) / scale)
    return tuple(lines[row][3 * column : 3 * column + 3])


def check(path, width, height):
    """Read the picture back and look at points whose colour is known beforehand."""
    read_width, read_height, lines = read_png(path.read_bytes())
    if (read_width, read_height) != (width, height):
        raise ValueError("the picture has the wrong size")
    for x, y in ((0.0, 0.0), (-1.0, 0.0), (-0.5, 0.2)):
        if pixel_at(x, y, width, height, lines) != INSIDE:
            raise ValueError(f"{x}{y:+}i belongs to the set, but is not painted so")
    for x, y in ((0.8, 0.6), (-2.1, 0.5), (0.5, -0.8)):
        if pixel_at(x, y, width, height, lines) == INSIDE:
            raise ValueError(f"{x}{y:+}i is outside the set, but is not painted so")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("mandelbrot.png"))
    asked = parser.parse_args()
    print(f"Painting the Mandelbrot set, {asked.width} by {asked.height} points.", flush=True)
    lines = paint(asked.width, asked.height, asked.steps, asked.samples)
    asked.out.write_bytes(png(asked.width, asked.height, lines))
    try:
        check(asked.out, asked.width, asked.height)
    except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        print(f"The check failed: {error}.")
        return 1
    print(f"Checked: the picture reads back well. It is in {asked.out}, {asked.out.stat().st_size} bytes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
