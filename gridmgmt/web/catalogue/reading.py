"""Reads a template as a browser would: which words are seen, and which are markup, addresses or values."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape

from jinja2.lexer import Token

CHINESE = re.compile(r"[\u3001-\u303f\u4e00-\u9fff\uff00-\uffef]")
# Attributes that people see or hear; what stands in any other is for the program.
SHOWN = frozenset((
    "title", "alt", "label", "placeholder", "aria-label", "aria-description", "hx-confirm",
    "data-says", "data-name", "data-of", "data-label", "data-empty", "data-confirm",
))  # fmt: skip
# The text of these is no text of ours: a textarea holds what the user typed.
UNSEEN = frozenset(("script", "style", "textarea"))
WORDS, MARKUP, OPTION = "words", "markup", "option"

_TAG = re.compile(r"<(/?[a-zA-Z][\w:-]*|!--|!)")
_STOP = re.compile(r"""([\w:@.-]+)\s*=\s*(["'])|>""")
_SPACE = re.compile(r"\s+")
_KEYWORDS = frozenset(("if", "else", "and", "or", "not", "in", "is", "none", "None", "true", "false"))


class Scanner:
    """Splits the text between a template's marks; keeps in what part of a page the next text stands."""

    def __init__(self) -> None:
        self._within, self._element, self._attribute, self._quote = "text", "", "", ""
        self._valued = False

    @property
    def shown(self) -> bool:
        """Whether what stands here is seen."""
        return self._within == "text" or (self._within == "value" and self._attribute in SHOWN)

    def split(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield (kind, part) of the text in order; OPTION is the end of an `<option>` without a value."""
        at = 0
        while at < len(text):
            kind, end = getattr(self, f"_{self._within}")(text, at)
            if end > at:
                yield kind, text[at:end]
            at = end

    def _text(self, text: str, at: int) -> tuple[str, int]:
        found = _TAG.search(text, at)
        if not found or found.start() > at:
            return WORDS, found.start() if found else len(text)
        self._element, self._valued = found[1].lower(), False
        self._within = "comment" if found[1] == "!--" else "tag"
        return MARKUP, found.end()

    def _tag(self, text: str, at: int) -> tuple[str, int]:
        found = _STOP.search(text, at)
        if not found:
            return MARKUP, len(text)
        if found[1]:
            self._attribute, self._quote = found[1].lower(), found[2]
            self._valued = self._valued or self._attribute == "value"
            self._within = "value"
            return MARKUP, found.end()
        bare = self._element == "option" and not self._valued
        if bare and found.start() > at:
            return MARKUP, found.start()
        self._within = "unseen" if self._element in UNSEEN else "text"
        return OPTION if bare else MARKUP, found.end()

    def _value(self, text: str, at: int) -> tuple[str, int]:
        end = text.find(self._quote, at)
        if end == at:
            self._within = "tag"
            return MARKUP, at + 1
        return WORDS if self._attribute in SHOWN else MARKUP, len(text) if end < 0 else end

    def _unseen(self, text: str, at: int) -> tuple[str, int]:
        end = text.lower().find(f"</{self._element}", at)
        if end >= 0:
            self._within, self._element = "tag", f"/{self._element}"
        return MARKUP, len(text) if end < 0 else end + 2

    def _comment(self, text: str, at: int) -> tuple[str, int]:
        end = text.find("-->", at)
        if end >= 0:
            self._within = "text"
        return MARKUP, len(text) if end < 0 else end + 3


@dataclass(frozen=True)
class Value:
    """What stands between `{{` and `}}`."""

    tokens: Sequence[Token]
    line: int

    @property
    def name(self) -> str:
        """The last name in it that is no filter: `parts.figure(found.count)|safe` is called count."""
        names = [
            token.value
            for before, token in zip((None, *self.tokens), self.tokens, strict=False)
            if token.type == "name"
            and token.value not in _KEYWORDS
            and not (before and before.type == "pipe")
        ]
        return str(names[-1]) if names else "value"


@dataclass
class Unit:
    """Words and values that stand together with no mark or tag between: the thing that is translated."""

    parts: list[str | Value] = field(default_factory=list)
    option: bool = False

    @property
    def literal(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True)
class Phrase:
    """A unit as the catalogue knows it: words with {names}, and what the names stand for."""

    text: str
    values: dict[str, object]
    before: str
    after: str


def phrase(parts: Iterable[object], names: Iterable[str]) -> Phrase | None:
    """Return literal strings and values (named in this order) as one phrase; None where nothing is Chinese.

    >>> phrase(["共 ", 3, " 件"], ["count"]).text
    '共 {count} 件'
    """
    called, values, text = iter(names), dict[str, object](), ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        name = base = next(called)
        number = 1
        while name in values:
            number += 1
            name = f"{base}{number}"
        values[name] = part
        text += f"{{{name}}}"
    literal = "".join(part for part in parts if isinstance(part, str))
    if not CHINESE.search(literal) or "{" in literal or "}" in literal:
        return None
    core = text.strip()
    start = text.index(core)
    return Phrase(unescape(_SPACE.sub(" ", core)), values, text[:start], text[start + len(core) :])
