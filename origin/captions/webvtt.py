"""WebVTT (W3C, 2019) as creators send it -> WebVTT as we serve it. Pure; bounds stated below.

Only cues come through: their times, the settings that place them and their text. Styles, regions and notes stay behind:
what a stranger sends must not restyle a player.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundation.errors import BadInput
from origin.text import clean_text

MAX_BYTES = 512 * 1024
MAX_CUES = 5000
MAX_CUE_CHARS = 1000
MAX_TIME_S = 6 * 3600
_TIME = r"(?:(\d{1,3}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"^\s*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t]+(.*))?$")
_SETTING = re.compile(r"^(?:vertical:(?:rl|lr)|(?:line|position):-?[0-9.]+%?(?:,[a-z-]+)?|size:[0-9.]+%|align:[a-z]+)$")
LANGUAGE_PATTERN = "^[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?$"
_LANGUAGE = re.compile(LANGUAGE_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    start_ms: int
    end_ms: int
    settings: str
    text: str


def language_tag(text: str) -> str:
    """The tag in its usual spelling: "EN-us" -> "en-US", "zh-hant" -> "zh-Hant". Raises BadInput.

    Language, script and region of BCP 47; that is what players and people choose by.
    """
    if not _LANGUAGE.fullmatch(text):
        raise BadInput(f"{text[:40]!r} is no language tag: write it like 'en', 'pt-BR' or 'zh-Hant'")
    language, *others = text.lower().split("-")
    return "-".join([language, *(part.title() if len(part) == 4 else part.upper() for part in others)])


def parse(data: bytes) -> list[Cue]:
    """Cues in their order. Raises BadInput that names the line at fault."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"captions have at most {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadInput("captions are WebVTT in UTF-8") from err
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not re.match(r"^WEBVTT(?:[ \t]|$)", lines[0]):
        raise BadInput("line 1: a WebVTT file begins with the line WEBVTT")
    cues = [cue for number, block in _blocks(lines) if (cue := _cue(number, block)) is not None]
    if not cues:
        raise BadInput("there is no cue in this file")
    if len(cues) > MAX_CUES:
        raise BadInput(f"there are more than {MAX_CUES} cues")
    return cues


def render(cues: list[Cue]) -> bytes:
    """The file as it is served."""
    parts = ["WEBVTT"]
    for cue in cues:
        timing = f"{_clock(cue.start_ms)} --> {_clock(cue.end_ms)}"
        parts.append(f"{timing} {cue.settings}".rstrip() + f"\n{cue.text}")
    return ("\n\n".join(parts) + "\n").encode()


def _blocks(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Runs of lines that are not empty, after the header, with the number of their first line."""
    blocks: list[tuple[int, list[str]]] = []
    current: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            current.append(line)
        elif current:
            blocks.append((number - len(current), current))
            current = []
    return blocks[1:]  # the first holds the header


def _cue(number: int, block: list[str]) -> Cue | None:
    if "-->" not in block[0] and re.match(r"^(?:NOTE|STYLE|REGION)(?:[ \t]|$)", block[0]):
        return None
    at = 0 if "-->" in block[0] else 1  # a cue may have a name on a line of its own
    timing = _TIMING.match(block[at]) if at < len(block) else None
    if timing is None:
        raise BadInput(f"line {number + at}: expected times like 00:01.000 --> 00:03.500")
    start_ms, end_ms = _milliseconds(timing.groups()[:4]), _milliseconds(timing.groups()[4:8])
    if not start_ms < end_ms <= MAX_TIME_S * 1000:
        raise BadInput(f"line {number + at}: a cue ends after it begins, and within {MAX_TIME_S // 3600} hours")
    text = clean_text("\n".join(block[at + 1 :])).strip()
    if not text:
        return None
    if len(text) > MAX_CUE_CHARS:
        raise BadInput(f"line {number + at}: a cue has at most {MAX_CUE_CHARS} characters")
    settings = " ".join(word for word in (timing[9] or "").split() if _SETTING.match(word))
    return Cue(start_ms=start_ms, end_ms=end_ms, settings=settings, text=text)


def _milliseconds(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _clock(time_ms: int) -> str:
    seconds, thousandths = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{thousandths:03}"
