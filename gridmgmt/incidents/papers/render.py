"""From a template and facts to a page: Jinja in its sandbox, every value escaped, no name forgiven.

A template is the packaged one, or the file of the same name in the city's own folder `papers`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from gridmgmt.calendar import CHINA
from gridmgmt.errors import SetupError
from gridmgmt.incidents.papers.kinds import KINDS, Kind
from gridmgmt.incidents.papers.models import PaperKind
from gridmgmt.incidents.papers.page import Node, PageError, parse
from gridmgmt.incidents.plain import plain

PACKAGED = Path(__file__).with_name("templates")
FOLDER = "papers"
LARGEST = 200_000
# Jinja's own marks, blanked so that what stands between them can be read as a page.
_MARKS = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_ELSE = re.compile(r"\{%-?\s*el(?:se|if)\b.*?%\}", re.DOTALL)


class BrokenTemplateError(SetupError):
    """A template that cannot be used; says its file, the line and why, and nothing of the facts."""

    def __init__(self, file: Path, line: int | None, why: str) -> None:
        where = f"{file}, line {line}" if line else str(file)
        super().__init__(f"{where}: {why}")
        self.file, self.line, self.why = file, line, why


@dataclass(frozen=True)
class Source:
    """A template as it stands: whose it is, and what is wrong with it, if anything."""

    kind: Kind
    path: Path
    replaced: bool
    fault: str | None


def folder(home: Path) -> Path:
    """Return where a city keeps templates of its own."""
    return home / FOLDER


def path_of(kind: Kind, own: Path) -> Path:
    """Return the file that is used for a paper."""
    replaced = own / kind.template
    return replaced if replaced.is_file() else PACKAGED / kind.template


def sources(own: Path) -> list[Source]:
    """Return all templates with what is wrong with each."""
    found = []
    for kind in KINDS.values():
        path = path_of(kind, own)
        try:
            check(kind, path)
            fault = None
        except BrokenTemplateError as why:
            fault = f"第 {why.line} 行：{why.why}" if why.line else why.why
        found.append(Source(kind, path, path.parent != PACKAGED, fault))
    return found


def packaged_text(code: PaperKind) -> str:
    """Return the packaged template of a paper, to begin one's own from."""
    return (PACKAGED / KINDS[code].template).read_text(encoding="utf-8")


def check(kind: Kind, path: Path) -> str:
    """Return a template's text; BrokenTemplateError when it does not parse, names what is not there, or holds
    what a page may not."""
    text = _read(path)
    environment = _environment()
    try:
        parsed = environment.parse(text)
    except TemplateSyntaxError as why:
        raise BrokenTemplateError(path, why.lineno, why.message or "is no template") from why
    for part in parsed.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise BrokenTemplateError(path, part.lineno, "a template stands alone: it takes in no other file")
    for name in sorted(meta.find_undeclared_variables(parsed) - set(kind.facts)):
        raise BrokenTemplateError(
            path, _line_of(text, name), f"there is no {name} in this paper; there are {', '.join(kind.facts)}"
        )
    try:
        parse(_MARKS.sub(_blank, text))
    except PageError as why:
        if not _ELSE.search(text):  # branches may each close what both have opened
            raise BrokenTemplateError(path, why.line, why.why) from why
    return text


def page(kind: Kind, own: Path, facts: Mapping[str, Any]) -> Node:
    """Return the page that a template makes of facts; BrokenTemplateError names file and line."""
    path = path_of(kind, own)
    text = check(kind, path)
    environment = _environment()
    try:
        code = environment.compile(text, filename=str(path))
        template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        return parse(template.render(**facts))
    except PageError as why:
        raise BrokenTemplateError(path, None, f"line {why.line} of what it makes: {why.why}") from why
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as why:
        line = _line_in(why.__traceback__, str(path))
        raise BrokenTemplateError(path, line, _said(why)) from None


def _said(why: Exception) -> str:
    """Return what went wrong without what the facts hold: only Jinja's own errors quote nothing but names."""
    return (
        str(why)
        if isinstance(why, TemplateError)
        else f"a value is not what is asked of it ({type(why).__name__})"
    )


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise BrokenTemplateError(path, None, f"larger than {LARGEST:,} bytes")
        return data.decode("utf-8-sig")
    except OSError as why:
        raise BrokenTemplateError(path, None, why.strerror or "cannot be read") from why
    except UnicodeDecodeError as why:
        line = data[: why.start].count(b"\n") + 1
        raise BrokenTemplateError(path, line, "is not UTF-8") from why


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found.group())


def _line_of(text: str, name: str) -> int:
    found = next(
        (mark for mark in _MARKS.finditer(text) if re.search(rf"\b{re.escape(name)}\b", mark.group())), None
    )
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _line_in(trace: TracebackType | None, file: str) -> int | None:
    """Return the line of the template in which an error arose: Jinja's frames have the template's lines."""
    line = None
    while trace:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters.update(
        day=day, moment=moment, month_day=month_day, breaks=breaks, paragraphs=paragraphs
    )
    return environment


def _shown(value: Any) -> Any:
    """Return what a value says: nothing for None, days in words, and no sign that a page cannot show."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def day(value: date | None) -> str:
    """Return a day, China's, as official papers write it.

    >>> day(date(2026, 11, 2))
    '2026年11月2日'
    """
    if value is None:
        return ""
    local = value.astimezone(CHINA) if isinstance(value, datetime) else value
    return f"{local.year}年{local.month}月{local.day}日"


def month_day(value: date | None) -> str:
    """Return a day without its year."""
    return day(value).partition("年")[2]


def moment(value: datetime | None) -> str:
    """Return day and time, China's.

    >>> moment(datetime(2026, 11, 2, 9, 5, tzinfo=CHINA)), moment(datetime(2026, 11, 2, 15, 0, tzinfo=CHINA))
    ('2026年11月2日9时05分', '2026年11月2日15时')
    """
    if value is None:
        return ""
    local = value.astimezone(CHINA)
    return f"{day(local)}{local.hour}时" + (f"{local.minute:02d}分" if local.minute else "")


def paragraphs(text: str | None) -> list[str]:
    """Return the lines of a text that say anything."""
    return [line.strip() for line in plain(text or "").split("\n") if line.strip()]


def breaks(text: str | None) -> Markup:
    """Return a text of several lines for one cell."""
    return Markup("<br>").join(escape(line) for line in paragraphs(text))
