"""The board of the index in a real browser: table and map answer together, a click leads to the reasons."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine, text

from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role
from gridmgmt.index import sample, service

from .conftest import PHONE, ROOT, Visit

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => {
  const found = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] });
  const serious = found.violations.filter((each) => ["serious", "critical"].includes(each.impact));
  return serious.map((each) => `${each.id}: ${each.nodes[0].html}`);
}"""


@pytest.fixture
def built(sample_city: str) -> Iterator[Engine]:
    """Two months of the index of the small sample city; gone again for the other tests of this folder."""
    engine = make_engine(sample_city)
    months = [date(2025, 11, 1), date(2025, 12, 1)]
    sample.seed(engine, months)
    service.build(engine, months, "test")
    yield engine
    with engine.begin() as connection:
        for table in ("indicator_value", "index_entry", "index_month"):
            connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()


def test_table_and_map_of_the_index_are_marked_together_and_lead_to_the_reasons(
    visit: Callable[..., Visit], built: Engine
) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/index")
    page = opened.page
    line = page.locator(".scores tbody tr").first
    code = line.get_attribute("data-unit")
    town = page.locator(f".town-map a[data-unit='{code}']")
    line.get_by_role("link").focus()
    expect(town).to_have_class("meant")
    page.locator("h1").hover()
    town.hover()
    expect(line).to_have_class("meant")
    opened.shot("index-1440x900")
    town.click()
    steps = page.locator(".waterfall li b").all_text_contents()
    told = [float(each.replace("−", "-")) for each in steps]
    # Each of the steps is rounded to two decimals.
    assert abs(told[0] + sum(told[1:-1]) - told[-1]) < 0.005 * len(told) + 1e-9
    opened.shot("index-unit-1440x900")


@pytest.mark.parametrize("size", [(1366, 768), PHONE])
def test_pages_of_the_index_fit_and_are_accessible(
    visit: Callable[..., Visit], built: Engine, size: tuple[int, int]
) -> None:
    opened = visit(Role.COMMAND, size)
    for path in ("/index", "/index?by=change", "/index/compare", "/index/what-if", "/index/tree"):
        opened.go(path)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        opened.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert opened.page.evaluate(SERIOUS) == [], path
