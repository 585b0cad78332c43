"""`gridmgmt seasonal effect`: did treating beforehand help, beside the figure that towns publish."""

from dataclasses import asdict
from typing import Any

import click

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.seasonal.effects import service, stored
from gridmgmt.seasonal.effects.stored import CITY, Effect


@click.command("effect")
@click.option("--year", type=int, required=True, help="The year of the list whose treatments are weighed.")
@click.option("--json", "as_json", is_flag=True, help="Print every category and town as JSON.")
def effect(year: int, as_json: bool) -> None:
    """Weigh what the treatments of a year's list did, store it and print it (效果)."""
    with ready() as engine:
        measured = service.measure(engine, year)
        with engine.connect() as connection:
            found = stored.effects(connection, year)
            learnt = stored.learnt(connection, year + 1)
    if as_json:
        print_json(
            asdict(measured)
            | {"effects": [_plain(each) for each in found]}
            | {"learnt": {code: asdict(each) for code, each in learnt.items()}}
        )
        return
    _print(year, [each for each in found if each.scope == CITY])


def _plain(found: Effect) -> dict[str, Any]:
    """Return what was measured as JSON writes it; docs/methods/effect.md says what each number is."""
    row = asdict(found)
    row.pop("measured_at")  # the same matters give the same bytes
    return row


def _print(year: int, found: list[Effect]) -> None:
    table = new_table(
        f"{year} 年清单：提前处理有没有用",
        (
            "类别",
            "#处理过",
            "#来了/预计",
            "#没处理",
            "#来了/预计",
            "#效果（95% 区间）",
            "#公布的同比",
            "结论",
        ),
    )
    compared = [each for each in found if each.effect is not None]
    for each in compared:
        table.add_row(
            each.category_name,
            str(each.n_treated),
            f"{each.observed_treated:.0f}/{each.expected_treated:.0f}",
            str(each.n_untreated),
            f"{each.observed_untreated:.0f}/{each.expected_untreated:.0f}",
            _interval(each),
            "" if each.published is None else f"{each.published:+.0%}",
            each.verdict_name + (f"：{each.reason_name}" if each.reason else ""),
        )
    print_table(table)
    for reason in dict.fromkeys(each.reason_name for each in found if each.effect is None):
        names = [each.category_name for each in found if each.effect is None and each.reason_name == reason]
        click.echo(f"{reason}：{'、'.join(names)}")
    click.echo(
        "同比把碰巧偏多之后的回落也算作功劳；效果是处理过的与没处理的之差，见 docs/methods/effect.md。"
    )


def _interval(found: Effect) -> str:
    if found.effect is None or found.low is None or found.high is None:
        return ""
    return f"{found.effect:+.0%}（{found.low:+.0%} 至 {found.high:+.0%}）"
