"""What the interface says in a language other than Chinese, which is the language it is written in.

A catalogue is a gettext file, `en.po`: the Chinese words, with {names} where a value stands, and the words of
the other language. A name may carry a form: `{month|month}` is Nov for 11, `{n} matter{n|s}` is right for 1.
Words of templates are replaced when a template is compiled (`templates.py`), words out of Python when they
are shown, words made by scripts in the browser (`static/language.js`). Only a whole text is ever replaced,
so that what people wrote stays as they wrote it.
"""

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from gridmgmt.web.catalogue.reading import CHINESE

FOLDER = Path(__file__).parent
LANGUAGES = ("en",)
# Chosen by hand for texts that come together only when they are shown, and may hold what people wrote.
LIVE = "live"
LONGEST = 160
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_FILL = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
# Fewer words around the values do not tell a text of ours from one that somebody wrote: there the values must
# be words of ours too, or no words at all.
_FEWEST_AROUND = 4
_RUN = re.compile(r"[\u4e00-\u9fff]+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
# What a value is when the translation gives it a form.
_SHAPES = {"month": r"\d{1,2}", "third": "[上中下]"}
_LISTS = re.compile(r"(、|，|；| · |；)")
_JOINS = {"、": ", ", "，": ", ", "；": "; ", " · ": " · "}


def month(value: object) -> str:
    """Return the short name of a month by its number; anything else as it is."""
    words = str(value).strip()
    return MONTHS[int(words) - 1] if words.isdecimal() and 1 <= int(words) <= 12 else words


def plural(value: object) -> str:
    """Return the s that a noun takes after this number."""
    return "" if str(value).strip() == "1" else "s"


def third(value: object) -> str:
    """Return which third of a month 上, 中 or 下 is."""
    return {"上": "early", "中": "mid", "下": "late"}.get(str(value), str(value))


FORMS: dict[str, Callable[[object], str]] = {"month": month, "s": plural, "third": third}


def pieces(text: str) -> Iterator[str | tuple[str, str]]:
    """Yield the words of a translation and its names with their forms, in order.

    >>> list(pieces("{n} matter{n|s}"))
    [('n', ''), ' matter', ('n', 's')]
    """
    at = 0
    for found in _FILL.finditer(text):
        if found.start() > at:
            yield text[at : found.start()]
        yield found[1], found[2] or ""
        at = found.end()
    if at < len(text):
        yield text[at:]


class Catalogue:
    """The words of one language."""

    def __init__(self, language: str, source: Catalog) -> None:
        self.language = language
        found = [message for message in source if message.id and message.string]
        # What scripts show comes from them or from the modules that answer them.
        self.of_scripts = {
            str(message.id): str(message.string)
            for message in found
            if any(not file.endswith(".html") for file, _ in message.locations)
        }
        self.exact = {str(message.id): str(message.string) for message in found}
        self._live = [str(message.id) for message in found if LIVE in message.flags and "{" in message.id]
        self.say = lru_cache(maxsize=8192)(self._say)

    def get(self, text: str) -> str | None:
        """Return the translation of a phrase, its {names} standing; None where it has none."""
        return self.exact.get(text)

    @cached_property
    def patterns(self) -> list[tuple[str, str, bool]]:
        """(regular expression, translation, whether its values must be known), most words first."""
        longest = sorted(self._live, key=lambda text: (-len(_FILL.sub("", text)), text))
        return [(_pattern(text, self.exact[text]), self.exact[text], _is_short(text)) for text in longest]

    @cached_property
    def _compiled(self) -> list[tuple[re.Pattern[str], str, bool]]:
        return [(re.compile(pattern), text, short) for pattern, text, short in self.patterns]

    def names(self, text: str) -> str:
        """Return a sentence that is in this language already with the Chinese names in it that are known."""
        return _RUN.sub(lambda found: self.say(found[0]), text)

    def _say(self, text: str) -> str:
        """Return a whole text in this language, or as it is when the catalogue does not know it."""
        core = text.strip()
        if not CHINESE.search(core):
            return text
        said = self._whole(core)
        return text if said is None else text.replace(core, said, 1)

    def _whole(self, text: str) -> str | None:
        if text in self.exact:
            return self.exact[text]
        if len(text) > LONGEST or "\n" in text:
            return None
        for pattern, words, short in self._compiled:
            found = pattern.fullmatch(text)
            if found and not (short and self._unknown(words, found.groupdict())):
                return self._filled(words, found.groupdict())
        return self._listed(text)

    def _unknown(self, words: str, values: dict[str, str]) -> bool:
        """Whether a value of a short text is Chinese that this catalogue does not know."""
        formed = {piece[0] for piece in pieces(words) if not isinstance(piece, str) and piece[1] in _SHAPES}
        return any(name not in formed and _HAN.search(self.say(value)) for name, value in values.items())

    def _filled(self, words: str, values: dict[str, str]) -> str:
        return "".join(
            piece if isinstance(piece, str) else FORMS.get(piece[1], self._say)(values[piece[0]])
            for piece in pieces(words)
        )

    def _listed(self, text: str) -> str | None:
        """A row of known words, such as 信访、网格排查: each is replaced, or none."""
        parts = _LISTS.split(text)
        if len(parts) == 1:
            return None
        words = [self._say(part) for part in parts[::2]]
        if any(CHINESE.search(word) for word in words):
            return None
        joins = [_JOINS.get(part, part) for part in parts[1::2]] + [""]
        return "".join(word + join for word, join in zip(words, joins, strict=True))


def _pattern(text: str, said: str) -> str:
    """Return a regular expression with a named group for each value of a phrase."""
    forms = {piece[0]: piece[1] for piece in pieces(said) if not isinstance(piece, str) and piece[1]}
    made, at = "", 0
    for found in _FILL.finditer(text):
        shape = _SHAPES.get(forms.get(found[1], ""), r".{1,80}?")
        made += re.escape(text[at : found.start()]) + f"(?P<{found[1]}>{shape})"
        at = found.end()
    return made + re.escape(text[at:])


def _is_short(text: str) -> bool:
    return len(_HAN.findall(_FILL.sub("", text))) < _FEWEST_AROUND


def path(language: str) -> Path:
    return FOLDER / f"{language}.po"


@lru_cache
def catalogue(language: str) -> Catalogue:
    """Return the words of a language of LANGUAGES, read once."""
    with path(language).open("rb") as file:
        return Catalogue(language, read_po(file, locale=language))
