"""Text -> the words it is found by. Pure; the same for what is indexed and for what people type.

A word is a run of letters and digits, in compatibility form, case-folded, without the accents of Latin, Greek and
Cyrillic: "Crème BRÛLÉE" is found by "creme brulee". Scripts that write without spaces (Chinese, Japanese, Thai ...)
are cut into overlapping pairs of characters, of which a query needs all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_WORD_CHARS = 40
MAX_INDEXED = 120
"""Different words of one video: a title, thirty hashtags and the beginning of a long description."""
MAX_ASKED = 8
_SEGMENT = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def words_of(text: str) -> list[str]:
    """Different words in the order they first occur."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))
    found: dict[str, None] = {}
    for segment in _SEGMENT.findall(text.casefold()):
        word = segment.replace("'", "").replace("’", "")
        if word.isascii():
            found[word[:MAX_WORD_CHARS]] = None
        else:
            found.update(dict.fromkeys(_parts(word)))
    return list(found)


def _parts(word: str) -> Iterable[str]:
    """A word, with its runs of unspaced script cut into pairs."""
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield word[at : run.start()][:MAX_WORD_CHARS]
        text = run[0]
        yield from ([text] if len(text) == 1 else (text[index : index + 2] for index in range(len(text) - 1)))
        at = run.end()
    if at < len(word):
        yield word[at:][:MAX_WORD_CHARS]


def correctable(word: str) -> bool:
    """Whether a typo in it can be told: short words and numbers are what they are."""
    return len(word) >= 4 and not word.isdigit() and not _UNSPACED.search(word)
