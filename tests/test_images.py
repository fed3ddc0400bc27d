import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.images import MAX_PIXELS, read_image

RAMP = np.linspace(0, 255, 6 * 4 * 3).reshape(6, 4, 3).round().astype(np.uint8)
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF"]


def encode(image, kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size) + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_come_back_exactly(kind):
    assert np.array_equal(read_image(encode(Image.fromarray(RAMP), kind)), RAMP)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_rgb_uint8(kind):
    picture = read_image(encode(Image.fromarray(RAMP), kind))
    assert (picture.shape, picture.dtype) == ((6, 4, 3), np.uint8)
    assert picture.flags.c_contiguous
    assert picture.flags.writeable


def test_path_string_and_bytes_are_equal(tmp_path):
    data = encode(Image.fromarray(RAMP))
    path = tmp_path / "ä b.png"
    path.write_bytes(data)
    assert np.array_equal(read_image(path), read_image(data))
    assert np.array_equal(read_image(str(path)), read_image(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_one_pixel(kind):
    assert read_image(encode(Image.new("RGB", (1, 1), "white"), kind)).tolist() == [[[255] * 3]]


@pytest.mark.parametrize(
    ("mode", "value", "rgb"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 0), (128, 128, 128)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (0, 0, 0, 128), (64, 64, 64)),
        ("LA", (100, 255), (100, 100, 100)),
        ("I;16", 0x8080, (128, 128, 128)),
        ("I;16", 4095, (255, 255, 255)),  # twelve bits in sixteen
        ("I;16", 200, (12, 12, 12)),  # a dark picture stays dark
    ],
)
def test_png_colour_modes(mode, value, rgb):
    picture = read_image(encode(Image.new(mode, (3, 2), value)))
    assert picture[1, 2].tolist() == list(rgb)


@pytest.mark.parametrize(
    ("mode", "value", "grey"),
    [
        ("I;16", 0xFFFF, 255),
        ("I", 65535, 255),
        ("I", 200, 200),
        ("F", 1.0, 255),
        ("F", 0.5, 128),
        ("F", 200.0, 200),
        ("F", float("nan"), 0),
        ("F", -3.0, 0),
    ],
)
def test_tiff_greys(mode, value, grey):
    assert read_image(encode(Image.new(mode, (2, 2), value), "TIFF"))[0, 0].tolist() == [grey] * 3


def deep_png(values):
    """A PNG of 16 bits with filters of all kinds, so that both bytes of a value hang on others."""
    height, width, channels = values.shape
    rows, before = [], np.zeros(width * channels * 2, np.uint8)
    for number, row in enumerate(values.astype(">u2")):
        plain = np.frombuffer(row.tobytes(), np.uint8)
        left = np.concatenate([np.zeros(2 * channels, np.uint8), plain[: -2 * channels]])
        mean = ((left.astype(int) + before) // 2).astype(np.uint8)
        part = [plain, plain - left, plain - before, plain - mean][number % 4]
        rows.append(bytes([number % 4]) + part.tobytes())
        before = plain
    head = png_header(width, height, 16, {3: 2, 4: 6}[channels])[:33]
    body = zlib.compress(b"".join(rows))
    return head + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def deep_tiff(values, order):
    height, width, channels = values.shape
    entries = [(256, width), (257, height), (258, 0), (259, 1), (262, 2), (273, 8), (277, channels)]
    entries += [(278, height), (279, values.size * 2)]
    place = 8 + values.size * 2
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", place + 6)
    out += values.astype(f"{order}u2").tobytes() + struct.pack(order + "3H", 16, 16, 16)
    out += struct.pack(order + "H", len(entries))
    for tag, value in entries:
        count, value = (3, place) if tag == 258 else (1, value)
        out += struct.pack(order + "HHII", tag, 3 if tag == 258 else 4, count, value)
    return out + b"\0" * 4


DEEP = (RAMP.astype(np.uint16) * 257 // 16)[..., :3]  # 0 to 4095


@pytest.mark.parametrize("form", ["png", "<", ">"])
@pytest.mark.parametrize("white", [4095, 65535])
def test_colours_of_16_bits_are_read_by_their_own_range(form, white):
    values = RAMP.astype(np.uint16) * 257 if white == 65535 else DEEP
    content = deep_png(values) if form == "png" else deep_tiff(values, form)
    assert np.abs(read_image(content).astype(int) - RAMP).max() <= 1


def test_a_dark_picture_of_16_bits_keeps_its_transparency():
    alpha = np.full((6, 4, 1), 65535, np.uint16)
    alpha[0] = 0
    picture = read_image(deep_png(np.concatenate([DEEP, alpha], 2)))
    assert picture[0].tolist() == [[128] * 3] * 4
    assert np.abs(picture[1:].astype(int) - RAMP[1:]).max() <= 1


def test_a_heic_photo_is_read_by_pillow_heif(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    photo = Image.new("RGB", (64, 48), (200, 30, 40))
    heif.from_pillow(photo).save(tmp_path / "a.jpg", quality=95)
    picture = read_image(tmp_path / "a.jpg")
    assert picture.shape == (48, 64, 3)
    assert picture[20, 20] == pytest.approx([200, 30, 40], abs=6)


def test_without_pillow_heif_a_heic_photo_gets_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UsageError, match=r"HEIC picture.*edgesdk\[heic\]"):
        read_image(b"\0\0\0\x18ftypheic" + bytes(40))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_photo_is_read():
    photo = Image.new("RGB", (64, 48), (200, 30, 40))
    assert read_image(encode(photo, "AVIF"))[20, 20] == pytest.approx([200, 30, 40], abs=6)


def test_avif_without_a_reader_gets_a_sentence(monkeypatch):
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    with pytest.raises(UsageError, match=r"AVIF picture.*update Pillow"):
        read_image(b"\0\0\0\x18ftypavif" + bytes(40))


def test_a_picture_larger_than_a_strip_is_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (600, 7, 3)).astype(np.uint8)
    assert np.array_equal(read_image(encode(Image.fromarray(pixels))), pixels)


def test_16_bit_rgb_keeps_its_high_byte():
    assert read_image(png_16_bit_rgb((0x1234, 0xABCD, 0xFFFF)))[0, 0].tolist() == [0x12, 0xAB, 0xFF]


def png_16_bit_rgb(pixel) -> bytes:
    raw = b"\0" + struct.pack(">3H", *pixel)
    plain = png_header(1, 1, depth=16)
    body = zlib.compress(raw)
    start = plain.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body
    chunk += struct.pack(">I", zlib.crc32(b"IDAT" + body))
    return plain[:start] + chunk + plain[plain.index(b"IEND") - 4 :]


def test_palette_with_a_transparent_entry():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putdata([0, 1])
    picture = read_image(encode(image, transparency=1))
    assert picture[0].tolist() == [[200, 0, 0], [128, 128, 128]]


def test_cmyk_jpeg():
    red = Image.new("RGB", (16, 16), (220, 30, 40)).convert("CMYK")
    assert read_image(encode(red, "JPEG", quality=95))[8, 8] == pytest.approx([220, 30, 40], abs=6)


@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_turns_the_picture_upright(tag):
    # The same scene stored in the eight ways a camera may be held.
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = (250, 20, 20)
    upright[8:, 16:] = (20, 20, 250)
    undo = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }.get(tag, lambda a: a)
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = Image.fromarray(np.ascontiguousarray(undo(upright)))
    picture = read_image(encode(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert picture.shape == upright.shape
    assert np.abs(picture.astype(int) - upright).max() < 30


def test_damaged_exif_is_no_reason_to_refuse():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff"
    assert read_image(encode(Image.fromarray(RAMP), "JPEG", exif=exif)).shape == (6, 4, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_picture_of_an_animation(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("white", "black")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert read_image(data).min() == 255


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
        (png_header(50_000, 50_000), "too large|allowed"),
        (png_header(11_000, 11_000), "allowed"),
        (png_header(2**31 - 1, 2**31 - 1), "too large|allowed"),
        (png_header(0, 5), "no pixels|not a picture|damaged"),
        (png_header(900, 900), "damaged"),
    ],
)
def test_bad_content_is_one_sentence(data, message):
    with pytest.raises(UsageError, match=message):
        read_image(data)


def test_the_size_limit_is_exact():
    with pytest.raises(UsageError, match="more than the 100,000,000 allowed"):
        read_image(png_header(MAX_PIXELS + 1, 1))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated_files_are_one_sentence(kind, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(UsageError, match=r"damaged|not a picture"):
        read_image(data[: int(len(data) * part)])


def test_bad_places_are_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_image(tmp_path / "nothing.jpg")
    with pytest.raises(UsageError, match="is not a file"):
        read_image(tmp_path)
    with pytest.raises(UsageError, match="is no path"):
        read_image("a\0b.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UsageError, match=r"empty\.jpg is empty"):
        read_image(tmp_path / "empty.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UsageError, match="is not a file"):
        read_image(tmp_path / "pipe.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(RAMP)))
    path.chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        read_image(path)


def test_lab_colours_are_named():
    with pytest.raises(UsageError, match="LAB"):
        read_image(encode(Image.new("LAB", (2, 2)), "TIFF"))


SEEDS = [encode(Image.fromarray(RAMP), kind) for kind in FORMATS]
SEEDS += [encode(Image.new(mode, (5, 5)), "TIFF") for mode in ("F", "I;16", "CMYK", "LA")]
SEEDS += [encode(Image.new("P", (5, 5)), "PNG", transparency=0), png_header(4, 4)]


def readable(data: bytes) -> bool:
    """Read `data`; a failure must be one sentence."""
    try:
        picture = read_image(data)
    except EdgeSdkError:
        return False
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.dtype == np.uint8
    return True


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_any_damage_gives_a_picture_or_one_sentence(seed, data):
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(seed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(seed)))
    assert readable(seed)
    readable(bytes(damaged))
    readable(bytes(damaged[:cut]) + data.draw(st.binary(max_size=8)) + seed[cut:])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_picture_or_one_sentence(data):
    readable(data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_40_megapixels_stay_below_a_gigabyte(kind, tmp_path):
    resource = pytest.importorskip("resource", reason="memory limits need Unix")
    import subprocess
    import sys

    path = tmp_path / "large"
    path.write_bytes(encode(Image.new("RGBA" if kind == "PNG" else "RGB", (8000, 5000)), kind))
    limit = 1 << 30
    child = subprocess.run(
        [sys.executable, "-c", f"import edgesdk; print(edgesdk.read_image({str(path)!r}).shape)"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert child.stdout.strip() == "(5000, 8000, 3)", child.stderr
