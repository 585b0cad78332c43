"""Pages in Chinese or English: who gets which, what is translated, and what is left as people wrote it."""

import json
import re
from collections.abc import Callable
from types import SimpleNamespace

from babel.messages.catalog import Catalog
from flask.testing import FlaskClient
from jinja2 import Environment
from markupsafe import Markup

from gridmgmt.db.models import Role
from gridmgmt.web.catalogue import LIVE, Catalogue, templates

WORDS = {
    "共 {n} 件": "{n} matter{n|s} in all",
    "{month}月{day}日": "{day} {month|month}",
    "件": "matters",
    "待办": "to do",
    "办结": "closed",
    "甲": "A & <B>",
    "编号": "number",
    "查找": "search",
    "还剩 {n} 天": "{n} day{n|s} left",
    "信访": "petitions",
    "网格": "grid",
    "，另有 {n} 项": ", and {n} more",
}


def catalogue() -> Catalogue:
    source = Catalog(locale="en")
    for text, said in WORDS.items():
        source.add(text, said, flags=[LIVE] if text == "还剩 {n} 天" else [])
    return Catalogue("en", source)


def english(source: str, **values: object) -> str:
    made = Environment(
        extensions=[templates.Translated], autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.words = catalogue()  # type: ignore[attr-defined]
    made.filters.update(templates.filters())
    return made.from_string(source).render(**values)


def test_a_text_with_values_is_one_phrase_whose_order_the_translation_chooses() -> None:
    assert english("<p>共 {{ n }} 件</p>", n=1) == "<p>1 matter in all</p>"
    assert english("<p>{{ day.month }}月{{ day.day }}日</p>", day=SimpleNamespace(month=11, day=2)) == (
        "<p>2 Nov</p>"
    )


def test_words_beside_a_tag_or_a_mark_get_the_space_that_chinese_does_not_need() -> None:
    assert (
        english("<b>{{ n }}</b>件{% if n %}，另有 {{ n }} 项{% endif %}", n=2)
        == "<b>2</b> matters, and 2 more"
    )


def test_attributes_are_translated_when_seen_and_left_when_they_are_values() -> None:
    source = '<input title="编号" value="编号" placeholder="{{ words }}" name="{{ words }}" class="编号">'
    assert english(source, words="查找") == (
        '<input title="number" value="编号" placeholder="search" name="查找" class="编号">'
    )


def test_scripts_and_what_a_user_is_typing_are_left_alone() -> None:
    source = '<script>say("编号")</script><textarea title="编号">{{ typed }}</textarea>'
    assert english(source, typed="待办") == (
        '<script>say("编号")</script><textarea title="number">待办</textarea>'
    )


def test_a_choice_without_a_value_goes_on_sending_its_chinese_words() -> None:
    source = (
        '<option{% if on %} selected{% endif %}>{{ words }}</option><option value="1">{{ words }}</option>'
    )
    assert english(source, on=True, words="待办") == (
        '<option selected value="待办">to do</option><option value="1">to do</option>'
    )


def test_values_are_replaced_only_as_a_whole_and_never_when_they_are_markup() -> None:
    assert english("{{ words }}", words="待办") == "to do"
    assert english("{{ words }}", words="请把待办的事说清") == "请把待办的事说清"
    assert english("{{ words }}", words=Markup("待办")) == "待办"
    assert english("{{ words }}", words="信访、网格") == "petitions, grid"
    assert english("{{ words }}", words="还剩 3 天") == "3 days left"
    assert english("{{ words }}", words="还剩 网格 天") == "grid days left"
    assert english("{{ words }}", words="还剩 很多 天") == "还剩 很多 天"  # somebody may have written that


def test_conditions_macros_and_joined_strings_are_translated_and_comparisons_still_hold() -> None:
    assert english("{{ '待办' if state == '待办' else '办结' }}", state="办结") == "closed"
    macro = "{% macro field(label) %}<b>{{ label }}</b>{% endmacro %}{{ field('还剩 ' ~ n ~ ' 天') }}"
    assert english(macro, n=1) == "<b>1 day left</b>"
    text = SimpleNamespace(zh="网格的诉求", en="in 网格 of 石磨镇")
    assert english("{{ text.zh }}", text=text) == "in grid of 石磨镇"


def test_a_translation_is_text_and_can_put_no_markup_into_a_page() -> None:
    assert english("<p>甲</p>{{ '甲' }}") == "<p>A &amp; &lt;B&gt;</p>A &amp; &lt;B&gt;"


def token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get("/login").text)
    assert found
    return found[1]


def test_a_page_is_in_the_language_the_browser_asks_for_and_chinese_otherwise(
    as_role: Callable[[Role | None], FlaskClient],
) -> None:
    nobody = as_role(None)
    asked = {
        wanted: nobody.get("/login", headers={"Accept-Language": wanted})
        for wanted in ("zh-CN,zh;q=0.9,en;q=0.8", "en-GB,en;q=0.9", "fr-FR", "")
    }
    languages = [re.search(r'<html lang="([^"]+)"', page.text)[1] for page in asked.values()]  # type: ignore[index]
    assert languages == ["zh-CN", "en", "zh-CN", "zh-CN"]
    assert "登录" in asked["fr-FR"].text
    assert "Sign in" in asked["en-GB,en;q=0.9"].text
    assert not re.search(r"[\u4e00-\u9fff]", re.sub(r"中文", "", asked["en-GB,en;q=0.9"].text))
    assert {"Accept-Language", "Cookie"} <= set(asked["fr-FR"].vary)


def test_what_was_chosen_counts_more_than_what_the_browser_asks_for(
    as_role: Callable[[Role | None], FlaskClient],
) -> None:
    nobody = as_role(None)
    form = {"language": "en", "csrf_token": token(nobody)}
    done = nobody.post("/language", data=form, headers={"Referer": "http://localhost/say?grid=1"})
    assert (done.status_code, done.location) == (303, "/say?grid=1")
    assert 'lang="en"' in nobody.get("/login", headers={"Accept-Language": "zh-CN"}).text
    with nobody.session_transaction() as session:
        session.clear()  # signing in or out begins a new session; the browser still knows
    assert 'lang="en"' in nobody.get("/login", headers={"Accept-Language": "zh-CN"}).text


def test_the_switch_leads_to_no_other_site_and_takes_no_other_language(
    as_role: Callable[[Role | None], FlaskClient],
) -> None:
    nobody = as_role(None)
    away = {"language": "en", "csrf_token": token(nobody)}
    for before in ("https://elsewhere.example/say", "http://localhost//elsewhere.example/", "localhost"):
        assert nobody.post("/language", data=away, headers={"Referer": before}).location == "/", before
    wrong = {"language": "../../en", "csrf_token": token(nobody)}
    assert nobody.post("/language", data=wrong).status_code == 400
    assert nobody.post("/language", data={"language": "en"}).status_code == 400  # no token


def test_every_role_can_work_in_english(as_role: Callable[[Role | None], FlaskClient]) -> None:
    for role in Role:
        page = as_role(role).get("/", headers={"Accept-Language": "en"}, follow_redirects=True)
        assert page.status_code == 200
        assert 'lang="en"' in page.text
        assert "Sign out" in page.text


def test_scripts_get_their_words_and_patterns_that_browsers_understand(
    as_role: Callable[[Role | None], FlaskClient],
) -> None:
    found = json.loads(as_role(None).get("/language/words.json").text)
    assert found["exact"]["放大"] == "Zoom in"
    assert all("(?P<" not in pattern for pattern, *_ in found["patterns"])
