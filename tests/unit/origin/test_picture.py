"""What becomes of a stranger's picture: square, upright, flat, in sRGB, and nothing beside its pixels."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from origin.accounts.avatar import SIZES, key_of
from origin.accounts.picture import judge


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    picture.save(target, format=kind, **options)
    return target.getvalue()


def halves(width: int = 300, height: int = 200) -> Image.Image:
    """Red left, blue right."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def opened(data: bytes, size: int) -> Image.Image:
    verdict = judge(data, SIZES)
    assert verdict.refused == ""
    assert set(verdict.files) == set(SIZES)
    return Image.open(io.BytesIO(verdict.files[size]))


def near(pixel: tuple[int, ...], wanted: tuple[int, int, int], within: int = 24) -> bool:
    return all(abs(got - want) <= within for got, want in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_every_kind_becomes_two_square_webp(kind: str) -> None:
    data = encoded(halves(), kind)
    for size in SIZES:
        picture = opened(data, size)
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGB", (size, size))
        assert near(picture.getpixel((size // 8, size // 2)), (255, 0, 0), 60)
        assert near(picture.getpixel((size * 7 // 8, size // 2)), (0, 0, 255), 60)


def test_a_picture_stored_lying_on_its_side_stands_up_and_says_nothing_of_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    exif[0x010F] = "MakerOfThisPhone"
    data = encoded(halves(200, 200), "JPEG", exif=exif, comment=b"a secret note")
    assert b"MakerOfThisPhone" in data
    picture = opened(data, 384)
    assert near(picture.getpixel((192, 40)), (255, 0, 0), 60)  # left became top
    assert near(picture.getpixel((192, 340)), (0, 0, 255), 60)
    assert not picture.getexif()
    files = judge(data, SIZES).files
    assert not any(word in files[384] for word in (b"MakerOfThisPhone", b"secret", b"EXIF", b"ICCP", b"XMP"))


def test_transparency_lies_on_white_and_an_animation_shows_its_first_frame() -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    assert near(opened(encoded(clear, "PNG"), 128).getpixel((5, 5)), (255, 255, 255))
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("lime", "red")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = opened(data, 128)
    assert near(picture.getpixel((64, 64)), (0, 255, 0))
    assert getattr(picture, "n_frames", 1) == 1


def test_a_colour_profile_is_applied_and_a_broken_one_does_no_harm() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert near(opened(encoded(halves(), "PNG", icc_profile=lab), 128).getpixel((10, 64)), (255, 0, 0), 60)
    assert near(opened(encoded(halves(), "PNG", icc_profile=b"no profile"), 128).getpixel((10, 64)), (255, 0, 0), 60)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG"),
        (b"II*\x00" + bytes(100), "no JPEG"),  # TIFF: not taken, whatever is in it
        (encoded(halves(), "PNG")[:200], "no JPEG"),
        (encoded(Image.new("RGB", (300, 8)), "PNG"), "smaller than 16"),
        (bomb(9000, 9000), "9000 x 9000"),
        (bomb(400_000, 400_000), "JPEG"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    verdict = judge(data, SIZES)
    assert verdict.files == {}
    assert reason in verdict.refused


def test_a_file_name_is_a_key_and_a_known_size() -> None:
    assert key_of("0123456789abcdef-384.webp") == "0123456789abcdef"
    for name in ("0123456789abcdef-385.webp", "../x", "0123456789ABCDEF-384.webp", "0123456789abcdef-384.webp\n"):
        assert key_of(name) is None
