"""Characters that cannot be seen, made visible: text of unknown origin can then neither hide, nor reorder, nor steer a terminal.

Controls, bidirectional marks, zero widths, tags, blank letters and variation selectors are replaced by signs; what can be seen stays.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
)
"""Every character of Unicode's categories Cc, Cf, Cs, Zl and Zp but tab and newline, and blank letters and variation selectors."""


def harmless(text: str) -> str:
    """The text with every character that cannot be seen replaced by a sign that can. Still to be escaped for HTML."""
    return _UNSEEN.sub(lambda found: _sign(ord(found.group())), text.replace("\r\n", "\n"))


def glimpse(text: str, characters: int) -> str:
    """The beginning of a text on one line: white space told once, nothing unseen, cut at so many characters."""
    line = harmless(" ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"


def _sign(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟦U+{code:04X}⟧"
