"""Finds the Chinese words of the interface: in templates, in Python and in the browser's scripts."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

from gridmgmt.web.catalogue import templates
from gridmgmt.web.catalogue.reading import CHINESE, phrase

PACKAGE = Path(__file__).parents[2]
WEB = PACKAGE / "web"
# Their Chinese is no word of the interface: official papers, what other programs read, words of typed text.
NOT_SHOWN = (
    "web/catalogue/", "web/language.py", "web/interface/", "web/download.py", "web/matters/export.py",
    "web/map_book.py", "web/map_picture.py", "web/map_export.py", "web/table_book.py",
)  # fmt: skip
# Templates of other programs, regular expressions, and rows of characters that are counted in: no words.
_NO_WORDS = re.compile(
    r"\{%|\.\*|\\|^a 旬|^(?:正二|初十|十一二|一二三)|_MONTHS|^(?:闰|二十|三十|＆)$|\(\?|&P"
)
# Modules of lower floors whose words are shown.
FLOORS = (
    "calendar.py", "db/accounts.py", "db/jobs.py", "health/*.py", "db/models.py", "importing/uploads.py",
    "privacy/audit.py", "privacy/masks.py",
    "grids/models.py", "grids/rules.py", "grids/checks.py", "grids/topology/*.py",
    "hotspots/areas.py", "hotspots/stored.py",
    "households/models.py", "households/changes/words.py", "households/changes/models.py",
    "households/changes/stored.py", "households/changes/reviews.py", "households/reading/*.py",
    "households/rights/__init__.py", "households/rights/access.py", "households/rights/erase.py",
    "households/rights/exports.py", "households/rights/restrict.py",
    "households/visits/criteria.py", "households/visits/models.py", "households/visits/rounds.py",
    "households/visits/stops.py", "households/visits/stored.py",
    "incidents/checks.py", "incidents/choices.py", "incidents/following.py", "incidents/holidays.py",
    "incidents/intake.py", "incidents/lookups.py", "incidents/models.py", "incidents/service.py",
    "incidents/terms.py", "incidents/working_days.py", "incidents/figures/book.py",
    "incidents/figures/stored.py",
    "incidents/figures/values.py", "incidents/flows/*.py",
    "incidents/handling/acts.py", "incidents/handling/hands.py", "incidents/handling/ledgers.py",
    "incidents/handling/models.py", "incidents/handling/options.py", "incidents/handling/service.py",
    "incidents/mediation/__init__.py", "incidents/mediation/deliberations.py",
    "incidents/mediation/mediators.py", "incidents/mediation/meetings.py", "incidents/mediation/models.py",
    "incidents/mediation/panels.py", "incidents/mediation/service.py", "incidents/mediation/stored.py",
    "incidents/opening/keys.py", "incidents/papers/kinds.py", "incidents/papers/models.py",
    "incidents/papers/service.py", "incidents/parties/models.py", "incidents/parties/service.py",
    "planning/change_list.py", "planning/edits.py", "planning/models.py", "planning/publish.py",
    "planning/recompute.py", "planning/service.py", "planning/states.py",
    "seasonal/clocks.py", "seasonal/models.py", "seasonal/score.py", "seasonal/scoring.py",
    "seasonal/service.py", "seasonal/stored.py", "seasonal/effects/stored.py",
    "seasonal/tasks/models.py", "seasonal/tasks/service.py", "seasonal/tasks/stored.py",
)  # fmt: skip


class Found(NamedTuple):
    """A phrase, the file that says it, and whether it comes together only when it is shown."""

    text: str
    file: str
    live: bool


@cache
def everything() -> tuple[Found, ...]:
    """Return the phrases of the interface, by file, each as often as it stands somewhere."""
    return (*of_templates(), *of_python(), *of_scripts())


class _Collecting:
    """Takes down what is looked up."""

    language = "zh-CN"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, text: str) -> str | None:
        self.asked.append(text)
        return None

    def say(self, text: str) -> str:
        return text

    def names(self, text: str) -> str:
        return text


def environment() -> Environment:
    """Return an environment that reads templates as the application does."""
    return Environment(extensions=[templates.Translated], trim_blocks=True, lstrip_blocks=True)


def of_templates() -> Iterator[Found]:
    for path in sorted((WEB / "templates").rglob("*.html")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        for text, live in of_template(path.read_text("utf-8")):
            yield Found(text, name, live)


def of_template(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the phrases of one template, and whether each comes together only when it is shown."""
    made, words = environment(), _Collecting()
    made.words = words  # type: ignore[attr-defined]
    constants = list(templates.texts(made.parse(source)))
    asked = [text for text in words.asked if CHINESE.search(text)]
    yield from ((text, False) for text in asked)
    yield from ((text, live) for text, live in constants if CHINESE.search(text) and text not in asked)


def of_python() -> Iterator[Found]:
    paths = [*sorted(WEB.rglob("*.py")), *(path for name in FLOORS for path in sorted(PACKAGE.glob(name)))]
    for path in paths:
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(NOT_SHOWN):
            for text, live in of_module(path.read_text("utf-8")):
                if not _NO_WORDS.search(text):
                    yield Found(text, f"gridmgmt/{name}", live)


def of_module(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the phrases of a module: its strings but the docstrings, an f-string or sum as one."""
    yield from _strings(ast.parse(source))


def _strings(node: ast.AST) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.JoinedStr) or (
            isinstance(child, ast.BinOp) and isinstance(child.op, ast.Add)
        ):
            parts = list(_parts(child))
            if found := phrase(parts, [_name(part) for part in parts if not isinstance(part, str)]):
                yield found.text, bool(found.values)
            for part in parts:
                if isinstance(part, ast.AST):
                    yield from _strings(ast.Expression(part))  # type: ignore[arg-type]
        elif isinstance(child, ast.Constant):
            if isinstance(child.value, str) and CHINESE.search(child.value):
                yield child.value.strip(), False
        else:
            yield from _strings(child)


def _parts(node: ast.AST) -> Iterator[str | ast.AST]:
    """Yield the literal strings and the values that an expression puts together."""
    if isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _parts(value)
    elif isinstance(node, ast.FormattedValue):
        yield node.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from (*_parts(node.left), *_parts(node.right))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        yield node


def _name(node: object) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _name(node.args[0] if node.args else node.func)
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return "value"


_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')
_MARKUP = re.compile(r"<[^<>]+>")
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)


def of_scripts() -> Iterator[Found]:
    for path in sorted((WEB / "static").glob("*.js")):
        for text, live in of_script(path.read_text("utf-8")):
            yield Found(text, path.relative_to(PACKAGE.parent).as_posix(), live)


def of_script(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the phrases of a script; strings joined by + with something simple between are one phrase."""
    code = _COMMENT.sub("", source)
    parts: list[str | tuple[str, ...]] = []
    at = 0
    for found in _STRING.finditer(code):
        between = code[at : found.start()]
        if not _is_sum(between, bool(parts)):
            yield from _ended(parts, between if _LEAD.match(between) else "")
            before = _BEFORE.search(between)
            parts = [(before[1],)] if before else []
        elif parts:
            parts.append((between.strip().strip("+").strip(),))
        parts.append(_MARKUP.sub("", found[1] if found[1] is not None else found[2]))
        at = found.end()
    yield from _ended(parts, code[at:])


# What a sum has between two strings: a value without a bracket left open, a condition or another argument.
_VALUE = r"[\w.\[\]]+(?:\((?:[^()\"']|\([^()\"']*\))*\))*(?:\s*[-/*]\s*[\w.]+)*"
_SUM = re.compile(rf"^\s*\+\s*\(?(?:{_VALUE})\)?\s*\+\s*$")
_BEFORE = re.compile(rf"(?:^|[=(,?:\[]|return)\s*({_VALUE})\s*\+\s*$")
_LEAD = re.compile(rf"^\s*\+\s*({_VALUE})\s*(?=[;,)\]:?+]|$)")


def _is_sum(between: str, begun: bool) -> bool:
    return begun and bool(_SUM.match(between))


def _ended(parts: list[str | tuple[str, ...]], following: str) -> Iterator[tuple[str, bool]]:
    """Yield the phrase that ends here, with the value that is added behind it."""
    if after := _LEAD.match(following):
        parts = [*parts, (after[1],)]
    named = [_last_word(part[0]) for part in parts if not isinstance(part, str)]
    if found := phrase(parts, named):
        yield found.text, bool(found.values)


def _last_word(code: str) -> str:
    words = re.findall(r"[A-Za-z_]\w*", code)
    return words[-1] if words else "value"
