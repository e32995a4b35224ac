"""A stranger's picture -> square WebP pictures of ours. Pure; runs in the picture child, behind its walls.

What comes out holds pixels and nothing else: no EXIF (a phone writes where the picture was taken), no colour profile
(converted to sRGB), no second frame.
"""

from __future__ import annotations

import io

from PIL import Image, ImageCms, ImageOps

from origin.accounts.avatar import MAX_PIXELS, PictureVerdict

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
MIN_EDGE = 16
_QUALITY = 82


def judge(data: bytes, sizes: tuple[int, ...]) -> PictureVerdict:
    """Square WebP pictures of `data`, or a refusal. Size and kind are judged before a pixel is decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return PictureVerdict(
                    refused=f"the picture has {width} x {height} pixels: at most {MAX_PIXELS:,} are taken"
                )
            if min(width, height) < MIN_EDGE:
                return PictureVerdict(refused=f"the picture is smaller than {MIN_EDGE} x {MIN_EDGE} pixels")
            return PictureVerdict(files=_rendered(picture, sizes))
    except MemoryError:
        return PictureVerdict(refused="the picture takes too much memory to read")
    except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, Image.DecompressionBombError):
        # decoders of broken files raise whatever they stumble over
        return PictureVerdict(refused="this is no JPEG, PNG, WebP, GIF or AVIF picture that can be read")


def _rendered(picture: Image.Image, sizes: tuple[int, ...]) -> dict[int, bytes]:
    largest = max(sizes)
    picture.draft("RGB", (2 * largest, 2 * largest))  # a JPEG is decoded at a fraction of its size
    profile = picture.info.get("icc_profile")
    upright = _flat(ImageOps.exif_transpose(picture))
    square = _in_srgb(ImageOps.fit(upright, (largest, largest), Image.Resampling.LANCZOS), profile)
    files = {}
    for size in sizes:
        shown = square if size == largest else square.resize((size, size), Image.Resampling.LANCZOS)
        target = io.BytesIO()
        Image.frombytes("RGB", shown.size, shown.tobytes()).save(target, format="WEBP", quality=_QUALITY, method=4)
        files[size] = target.getvalue()
    return files


def _flat(picture: Image.Image) -> Image.Image:
    """RGB, on white where it is transparent."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        shown = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return picture.convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Phones write Display P3: without its profile, which is dropped, the picture would look pale."""
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile, or one of another kind of picture
    return converted or picture
