"""What people type -> the queries of a search, best class of results first. Pure.

    3  every word is in the title or the hashtags
    2  every word is somewhere
    1  every word, or one that is meant by it: a typo away, or beginning so
    0  all words but one

Within a class the order is `hot` (0122_search.sql). Each class leaves out what the better ones have, so pages of the
same search neither repeat nor skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from origin.search.words import correctable

BEST, ANYWHERE, MEANT, MOST = 3, 2, 1, 0
_MAX_MEANT = 8


def exact_query(words: Sequence[str], level: int) -> str:
    """For BEST or ANYWHERE: a tsquery with '%' before every lexeme. `words` hold letters and digits only."""
    title = _all(f"'%t:{word}'" for word in words)
    return title if level == BEST else f"{_all(map(_anywhere, words))} & !({title})"


def loose_query(words: Sequence[str], meant: Mapping[str, Sequence[str]], level: int) -> str | None:
    """For MEANT or MOST. `meant` holds other words for some. None if the class can hold nothing new."""
    choices = [_any([_anywhere(word), *map(_anywhere, meant.get(word, ()))]) for word in words]
    every = _all(map(_anywhere, words))
    if level == MEANT:
        return f"{_all(choices)} & !({every})" if any(meant.get(word) for word in words) else None
    if len(choices) < 2:
        return None
    without_one = [_all(choices[:index] + choices[index + 1 :]) for index in range(len(choices))]
    return f"{_any(without_one)} & !({_all(choices)})"


def level_of(words: Sequence[str], lexemes: Sequence[str]) -> int | None:
    """The class of a single video with these lexemes (video_index.lexemes_of), None if `words` do not find it.

    As the queries above, except that words are corrected only to those of the video itself.
    """
    title = {lexeme.removeprefix("t:") for lexeme in lexemes if lexeme.startswith("t:")}
    every = title | {lexeme for lexeme in lexemes if not lexeme.startswith("t:")}
    if not words or title.issuperset(words):
        return BEST if words else None
    if every.issuperset(words):
        return ANYWHERE
    known = sorted(every)
    missing = sum(word not in every and not meant_by(word, known) for word in words)
    if missing == 0:
        return MEANT
    return MOST if missing == 1 and len(words) > 1 else None


def meant_by(word: str, known: Sequence[str]) -> list[str]:
    """Of words in use that look like `word` (best first), those a typo away from it or continuing it."""
    if not correctable(word):
        return [other for other in known if len(word) >= 2 and other.startswith(word) and other != word][:_MAX_MEANT]
    allowed = 1 if len(word) < 7 else 2
    judged = [(distance(word, other, allowed), other) for other in known if other != word]
    near = sorted((far, place, other) for place, (far, other) in enumerate(judged) if far <= allowed)
    continued = [other for other in known if other.startswith(word) and other != word]
    return list(dict.fromkeys([*(other for _, _, other in near), *continued]))[:_MAX_MEANT]


def distance(one: str, other: str, allowed: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words; `allowed` + 1 if more."""
    if abs(len(one) - len(other)) > allowed:
        return allowed + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, char in enumerate(one, start=1):
        last, before, row = before, row, [index]
        for place, against in enumerate(other, start=1):
            best = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (char != against))
            if index > 1 and place > 1 and char == other[place - 2] and one[index - 2] == against:
                best = min(best, last[place - 2] + 1)
            row.append(best)
        if min(row) > allowed:
            return allowed + 1
    return min(row[-1], allowed + 1)


def _anywhere(word: str) -> str:
    return f"('%t:{word}' | '%{word}')"


def _all(parts: Iterable[str]) -> str:
    return " & ".join(parts)


def _any(parts: Sequence[str]) -> str:
    return f"({' | '.join(f'({part})' for part in parts)})"
