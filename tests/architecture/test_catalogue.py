"""The English catalogue says everything that the interface says, and says it safely."""

import re

import pytest
from babel.messages.catalog import Catalog, Message
from markupsafe import escape

from gridmgmt.web.catalogue import FORMS, LANGUAGES, extract, pieces
from gridmgmt.web.catalogue.keeping import merged, missing, obsolete, read
from gridmgmt.web.catalogue.reading import CHINESE

NAMES = re.compile(r"\{(\w+)")


@pytest.fixture(scope="module", params=LANGUAGES)
def kept(request: pytest.FixtureRequest) -> Catalog:
    return read(request.param)


def messages(kept: Catalog) -> list[Message]:
    return [message for message in kept if message.id]


def test_everything_the_interface_says_has_a_translation_and_nothing_else_is_kept(kept: Catalog) -> None:
    """To mend it: python -m gridmgmt.web.catalogue extract, then fill in the empty msgstr."""
    now = merged(str(kept.locale), kept)
    assert [str(message.id) for message in missing(now)] == []
    assert obsolete(kept) == []


def test_no_translation_has_chinese_in_it(kept: Catalog) -> None:
    assert [m.id for m in messages(kept) if CHINESE.search(str(m.string))] == []


def test_a_translation_names_the_values_of_its_text_and_no_others(kept: Catalog) -> None:
    wrong = [m.id for m in messages(kept) if set(NAMES.findall(m.id)) != set(NAMES.findall(str(m.string)))]
    assert wrong == []


def test_the_forms_in_translations_exist(kept: Catalog) -> None:
    used = {piece[1] for m in messages(kept) for piece in pieces(str(m.string)) if not isinstance(piece, str)}
    assert used <= {*FORMS, ""}


def test_a_translation_is_plain_text(kept: Catalog) -> None:
    """Templates escape it; a tag in it would be read as a mistake of the translator."""
    assert [m.id for m in messages(kept) if "<" in str(m.string) and escape(m.string) != m.string] == []


def test_the_words_of_a_script_and_of_python_are_found_as_they_will_be_shown() -> None:
    script = 'say("还剩 " + left + " 天", x ? "是" : "否");\n// "不算"\n'
    assert set(extract.of_script(script)) == {("还剩 {left} 天", True), ("是", False), ("否", False)}
    module = '"""文档。"""\nNAMES = {"a": "甲"}\nwords = f"共 {len(rows):,} 件"\n'
    assert set(extract.of_module(module)) == {("甲", False), ("共 {rows} 件", True)}
