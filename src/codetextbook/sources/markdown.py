"""HTML of posts as Markdown: paragraphs, lists, quotations, headings, links, emphasis, tables, and code in fences, exactly as written.

Any HTML gives some Markdown: unknown tags are passed over, scripts and styles left out, and nesting beyond `_MAX_DEPTH` is flattened.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_MAX_DEPTH = 20
_SPACE = re.compile(r"\s+")
_TICKS = re.compile(r"`+")
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "s": "~~", "strike": "~~", "del": "~~"}
_BLOCKS = {"p", "div", "ul", "ol", "li", "blockquote", "pre", "table", "tr", "hr", *_HEADINGS}
_LANGUAGE = re.compile(r"\b(?:lang|language)-([\w+#-]+)")


def to_markdown(html: str) -> str:
    """The text of some HTML, without white space at its ends."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return writer.finish()


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._text: list[str] = []
        self._prefixes: list[str] = []
        self._marker = ""
        self._lists: list[int | None] = []
        self._code: list[str] | None = None
        self._is_pre, self._language, self._silent = False, "", 0
        self._links: list[str] = []
        self._heading = ""

    def finish(self) -> str:
        if self._is_pre:
            self._end_pre()
        self._end_code()
        self._flush()
        return "\n".join(self._lines).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if self._is_pre:
            self._language = self._language or _language(values.get("class", ""))
            return
        if tag in _BLOCKS:
            self._flush()
        if tag == "pre":
            self._is_pre, self._code, self._language = True, [], _language(values.get("class", ""))
        elif tag in ("script", "style"):
            self._silent += 1
        elif tag in ("code", "kbd", "tt") and self._code is None:
            self._code = []
        elif tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._open_item()
        elif tag == "blockquote":
            self._prefixes.append("> ")
        else:
            self._inline(tag, values)

    def _inline(self, tag: str, values: dict[str, str]) -> None:
        if tag in _HEADINGS:
            self._heading = _HEADINGS[tag] + " "
        elif tag in _MARKS:
            self._text.append(_MARKS[tag])
        elif tag == "br":
            self._text.append("\n")
        elif tag == "hr":
            self._block(["---"])
        elif tag == "a":
            self._links.append(values.get("href", ""))
            self._text.append("[")
        elif tag == "img":
            self._text.append(f"![{values.get('alt', '')}]({values.get('src', '')})")
        elif tag in ("td", "th"):
            self._text.append("| ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" and self._is_pre:
            self._end_pre()
        elif self._is_pre:
            return
        elif tag in ("script", "style"):
            self._silent = max(0, self._silent - 1)
        elif tag in ("code", "kbd", "tt"):
            self._end_code()
        elif tag in _MARKS:
            self._text.append(_MARKS[tag])
        elif tag == "a" and self._links:
            target = self._links.pop()
            self._text.append(f"]({target})" if target else "]")
        elif tag in ("td", "th"):
            self._text.append(" ")
        elif tag in _BLOCKS:
            if tag == "tr":
                self._text.append("|")
            self._flush()
            self._close(tag)

    def _close(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "li" and self._prefixes and not self._prefixes[-1].strip():
            self._prefixes.pop()
            self._marker = ""
        elif tag == "blockquote" and self._prefixes and self._prefixes[-1] == "> ":
            self._prefixes.pop()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._code is not None:
            self._code.append(data)
        else:
            self._text.append(_SPACE.sub(" ", data))

    def _open_item(self) -> None:
        number = self._lists[-1] if self._lists else None
        self._marker = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1
        self._prefixes.append(" " * len(self._marker))

    def _end_code(self) -> None:
        if self._code is None:
            return
        code, self._code = _SPACE.sub(" ", "".join(self._code)), None
        ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(code)), default=0))
        pad = " " if code.startswith("`") or code.endswith("`") else ""
        if code.strip():
            self._text.append(f"{ticks}{pad}{code}{pad}{ticks}")

    def _end_pre(self) -> None:
        code, self._code, self._is_pre = "".join(self._code or ()), None, False
        longest = max((len(run) for run in _TICKS.findall(code)), default=0)
        fence = "`" * max(3, longest + 1)
        self._block([f"{fence}{self._language}", *code.strip("\n").split("\n"), fence])

    def _flush(self) -> None:
        text, self._text = "".join(self._text), []
        lines = [line.strip() for line in text.split("\n")]
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            lines.pop()
        heading, self._heading = self._heading, ""
        if lines:
            self._block([heading + lines[0], *lines[1:]], tight=lines[0].startswith("| "))

    def _block(self, lines: list[str], *, tight: bool = False) -> None:
        """Some lines under the prefixes of where they stand, after an empty one."""
        prefix = "".join(self._prefixes[:_MAX_DEPTH])
        joins = tight and bool(self._lines) and self._lines[-1].startswith(f"{prefix}| ")
        first = prefix
        if self._marker and len(self._prefixes) <= _MAX_DEPTH:
            first = prefix[: len(prefix) - len(self._marker)] + self._marker
            joins = joins or self._follows_item()
            self._marker = ""
        if self._lines and not joins:
            self._lines.append("".join(self._prefixes[:_MAX_DEPTH]).rstrip())
        self._lines += [((first if number == 0 else prefix) + line).rstrip() for number, line in enumerate(lines)]

    def _follows_item(self) -> bool:
        """Whether a list item stands directly under another: then no empty line comes between."""
        return bool(self._lines) and re.match(r"[> ]*(?:- |\d+\. )", self._lines[-1]) is not None


def _language(names: str) -> str:
    found = _LANGUAGE.search(names)
    language = found.group(1) if found else ""
    return {"py": "python", "python3": "python"}.get(language, language if language != "none" else "")
