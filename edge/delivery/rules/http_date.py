"""HTTP dates: strict reading of the three forms of RFC 9110 section 5.6.7, writing of the preferred one."""

from __future__ import annotations

import calendar
import re
import time

_MONTHS = {
    m: n
    for n, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)
}
_MONTH = "(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"(?:mon|tue|wed|thu|fri|sat|sun), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} gmt",
        rf"(?:mon|tues|wednes|thurs|fri|satur|sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} gmt",
        rf"(?:mon|tue|wed|thu|fri|sat|sun) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_http_date(text: str, *, now_s: float) -> float | None:
    """Unix seconds of an IMF-fixdate, RFC 850 or asctime date; None for anything else, however close.

    A wrong date read leniently makes a stale answer fresh, so other zones, one-digit hours, doubled spaces and swapped
    separators are refused. `now_s` places the two-digit year of RFC 850 (at most 50 years ahead).
    """
    if len(text) > 40:
        return None
    for form in _FORMS:
        if match := form.fullmatch(text):
            return _seconds(match, now_s)
    return None


def _seconds(match: re.Match[str], now_s: float) -> float | None:
    year, month, day = int(match["year"]), _MONTHS[match["month"].lower()], int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:
        year = _full_year(year, time.gmtime(now_s).tm_year)
    if not (1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60):
        return None
    if day > calendar.monthrange(max(year, 1), month)[1]:
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second)))


def _full_year(two_digits: int, this_year: int) -> int:
    year = this_year - this_year % 100 + two_digits
    return year - 100 if year > this_year + 50 else year


def format_http_date(seconds: float) -> str:
    """IMF-fixdate of unix `seconds`, independent of the locale."""
    t = time.gmtime(seconds)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTH_NAMES[t.tm_mon - 1]} {t.tm_year:04d} "
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"
    )
