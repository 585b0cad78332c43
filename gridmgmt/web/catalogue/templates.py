"""Compiles templates in another language: a Jinja extension of an environment of that language alone.

The words between a template's tags are looked up when it is compiled, together with the values among them,
so that a translation may order them anew: `共 {{ n }} 件` is looked up as `共 {n} 件`. What a value says is
looked up when it is shown. Markup, scripts, addresses and the values of fields are left alone, and so is the
Chinese environment: a page in Chinese costs what it did.
"""

import re
from collections.abc import Iterator
from typing import Protocol

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

from gridmgmt.web.catalogue import FORMS, pieces
from gridmgmt.web.catalogue.reading import MARKUP, OPTION, Phrase, Scanner, Unit, Value, phrase

SOURCE = "zh-CN"  # the language that templates say they are in
_INLINE = "a|b|i|em|strong|small|span|time|code|kbd|sup|sub|label|q|abbr"
_AFTER_INLINE = re.compile(rf"</(?:{_INLINE})>$")
_BEFORE_INLINE = re.compile(rf"<(?:{_INLINE})(?![\w-])")


class Words(Protocol):
    """Where an environment of another language looks its words up: its attribute `words`."""

    language: str

    def get(self, text: str) -> str | None: ...

    def say(self, text: str) -> str: ...

    def names(self, text: str) -> str: ...


class Translated(Extension):
    """Puts the words of `environment.words` where the template has Chinese ones."""

    tags = {"said"}  # noqa: RUF012  # as Jinja declares it
    # After extensions that make tokens of their own.
    priority = 200

    @property
    def words(self) -> Words:
        found: Words = self.environment.words  # type: ignore[attr-defined]
        return found

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        return _Rewriting(self.words, stream).tokens()

    def parse(self, parser: Parser) -> nodes.Node:
        """The tag that `filter_stream` makes of a value that is seen."""
        line = next(parser.stream).lineno
        shown = self._shown(_InMacros(self).visit(parser.parse_tuple(with_condexpr=True)))
        return nodes.Output([shown], lineno=line)

    def say(self, value: object) -> object:
        """Return a plain string in this language, anything else as it is: markup has been through here."""
        return self.words.say(value) if type(value) is str and not value.isascii() else value

    def names(self, text: str) -> str:
        return self.words.names(text)

    def form(self, name: str, value: object) -> str:
        return FORMS[name](value)

    def _shown(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.Const):
            return nodes.Const(self.say(node.value), lineno=node.lineno)
        if isinstance(node, nodes.CondExpr):
            other = self._shown(node.expr2) if node.expr2 else None
            return nodes.CondExpr(node.test, self._shown(node.expr1), other, lineno=node.lineno)
        if isinstance(node, nodes.Concat):
            return self.joined(node)
        return self.call_method("say", [node], lineno=node.lineno)

    def joined(self, node: nodes.Concat) -> nodes.Expr:
        """`'还剩 ' ~ n ~ ' 天'` is one phrase too."""
        found = concatenated(node)
        said = self.words.get(found.text) if found else None
        if not found or said is None:
            return nodes.Concat([self._shown(part) for part in node.nodes], lineno=node.lineno)
        made: list[nodes.Expr] = [nodes.Const(found.before)]
        for piece in pieces(said):
            if isinstance(piece, str):
                made.append(nodes.Const(piece))
                continue
            value = self._shown(found.values[piece[0]])  # type: ignore[arg-type]
            made.append(self.call_method("form", [nodes.Const(piece[1]), value]) if piece[1] else value)
        return nodes.Concat([*made, nodes.Const(found.after)], lineno=node.lineno)


class _InMacros(NodeTransformer):
    """Turns what is put together inside a value, as an argument of a macro, and takes a Text's English."""

    def __init__(self, to: Translated) -> None:
        self.to = to

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self.to.joined(node) if concatenated(node) else node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        self.generic_visit(node)
        if node.attr != "zh":
            return node
        said = nodes.Getattr(node.node, "en", node.ctx, lineno=node.lineno)
        return self.to.call_method("names", [said], lineno=node.lineno)


def concatenated(node: nodes.Concat) -> Phrase | None:
    """Return a chain of `~` as a phrase; None where none of its constants is Chinese."""
    parts = [part.value if isinstance(part, nodes.Const) else part for part in node.nodes]
    parts = [str(part) if isinstance(part, int | float) else part for part in parts]
    return phrase(parts, [_name(part) for part in parts if not isinstance(part, str)])


def _name(node: object) -> str:
    if isinstance(node, nodes.Name):
        return str(node.name)
    if isinstance(node, nodes.Getattr):
        return str(node.attr)
    if isinstance(node, nodes.Call):
        return _name(node.args[0] if node.args else node.node)
    if isinstance(node, nodes.Filter | nodes.Getitem):
        return _name(node.node)
    return "value"


class _Rewriting:
    """One template on its way from Chinese tokens to those of another language."""

    def __init__(self, words: Words, stream: TokenStream) -> None:
        self.words, self.scanner = words, Scanner()
        self.all = list(stream)
        self.at = 0
        self.unit = Unit()
        self.last = ""  # the markup just before, or the mark of a block

    def tokens(self) -> Iterator[Token]:
        while self.at < len(self.all):
            token = self._next()
            if token.type == "data":
                yield from self._data(token)
            elif token.type == "variable_begin":
                yield from self._value(Value(tuple(self._until("variable_end")), token.lineno))
            elif token.type == "block_begin":
                yield from self._end(self._after_block(), token.lineno)
                yield token
                yield from self._until("block_end")
                yield Token(token.lineno, "block_end", "%}")
                self.last = "%}"
            else:
                yield token
        yield from self._end("", 0)

    def _next(self) -> Token:
        self.at += 1
        return self.all[self.at - 1]

    def _until(self, kind: str) -> Iterator[Token]:
        while (token := self._next()).type != kind:
            yield token

    def _after_block(self) -> str:
        """Return what is seen first behind the block that begins here: its text, or `{{` for a value."""
        depth = self.at
        while depth < len(self.all) and self.all[depth].type not in ("data", "variable_begin"):
            depth += 1
        return str(self.all[depth].value) if depth < len(self.all) else ""

    def _data(self, token: Token) -> Iterator[Token]:
        for kind, text in self.scanner.split(token.value):
            if kind == OPTION:
                yield from self._end("", token.lineno)
                self.unit.option = True
            elif kind == MARKUP:
                yield from self._end(text, token.lineno)
                yield Token(token.lineno, "data", self.words.language if text == SOURCE else text)
                self.last += text
            else:
                self.unit.parts.append(text)

    def _value(self, value: Value) -> Iterator[Token]:
        if self.scanner.shown:
            self.unit.parts.append(value)
        else:
            yield from self._end("", value.line)
            yield from _plain(value)

    def _end(self, following: str, line: int) -> Iterator[Token]:
        """Yield the unit that ends before this markup."""
        unit, self.unit = self.unit, Unit()
        last, self.last = self.last, "" if unit.parts else self.last
        if unit.option:  # its words are what the form sends: they go on saying so
            yield Token(line, "data", ' value="')
            for part in unit.parts:
                yield from _plain(part) if isinstance(part, Value) else (Token(line, "data", part.strip()),)
            yield Token(line, "data", '">')
        values = [part for part in unit.parts if isinstance(part, Value)]
        found = phrase(unit.parts, [value.name for value in values])
        said = self.words.get(found.text) if found else None
        if found and said is not None:
            yield from self._said(found, said, (last, following), line)
        else:
            for part in unit.parts:
                yield from _seen(part) if isinstance(part, Value) else (Token(line, "data", part),)

    def _said(self, found: Phrase, said: str, beside: tuple[str, str], line: int) -> Iterator[Token]:
        last, following = beside
        # Chinese needs no space beside a tag or a mark; these words do.
        spaced_before = not found.before and (last == "%}" or _AFTER_INLINE.search(last))
        spaced_after = not found.after and (following == "{{" or _BEFORE_INLINE.match(following))
        before = " " if spaced_before and (said[0].isalnum() or said[0] in '({"') else found.before
        before = "" if said[0] in ",.;:)" else before
        after = " " if spaced_after and said[-1] not in '("' else found.after
        yield Token(line, "data", before)
        for piece in pieces(said):
            if isinstance(piece, str):
                yield Token(line, "data", str(escape(piece)))
            else:
                yield from _seen(found.values[piece[0]], piece[1])  # type: ignore[arg-type]
        yield Token(line, "data", after)


def _plain(value: Value) -> Iterator[Token]:
    yield Token(value.line, "variable_begin", "{{")
    yield from value.tokens
    yield Token(value.line, "variable_end", "}}")


def _seen(value: Value, form: str = "") -> Iterator[Token]:
    """Yield `{% said value %}`, with the form as a filter."""
    yield Token(value.line, "block_begin", "{%")
    yield Token(value.line, "name", "said")
    if form:
        yield Token(value.line, "lparen", "(")
    yield from value.tokens
    if form:
        yield Token(value.line, "rparen", ")")
        yield Token(value.line, "pipe", "|")
        yield Token(value.line, "name", f"said_{form}")
    yield Token(value.line, "block_end", "%}")


def filters() -> dict[str, object]:
    """Return the filters that an environment with this extension needs."""
    return {f"said_{name}": form for name, form in FORMS.items()}


def texts(node: nodes.Node) -> Iterator[tuple[str, bool]]:
    """Yield the constants of a parsed template, (phrase, whether it has values)."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Concat) and (found := concatenated(child)):
            yield found.text, bool(found.values)
            for part in child.nodes:
                if not isinstance(part, nodes.Const):
                    yield from texts(nodes.Output([part]))
        elif (
            isinstance(child, nodes.Const)
            and isinstance(child.value, str)
            and not isinstance(child.value, Markup)
        ):
            yield child.value.strip(), False
        else:
            yield from texts(child)
