"""`gridmgmt backtest`: how well the expected matters would have foretold a year that is now known."""

from typing import Any

import click

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.db.engine import READER
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import backtest
from gridmgmt.seasonal.backtest import Backtest, Overall, Scored
from gridmgmt.seasonal.models import CLOCK_NAMES
from gridmgmt.seasonal.scoring import SHARES, Calibration, Scores

LISTED = 30
BASELINE_NAMES = {
    "last_year": "去年同格同旬",
    "all_years": "历年同格同旬",
    "grid_mean": "网格均值",
    "grid_mean_x_city_season": "网格均值×全市季节",
}


@click.command("backtest")
@click.option(
    "--test-year", "year", type=int, required=True, help="The year to foretell from those before it."
)
@click.option("--level", default="grid", show_default=True, help="grid | village | town")
@click.option("--json", "as_json", is_flag=True, help="Print every category as JSON.")
def command(year: int, level: str, as_json: bool) -> None:
    """Fit the years before a year, foretell it, and score that beside four plain forecasts (回测)."""
    with ready(READER) as engine, engine.connect() as connection:
        found = backtest.run(connection, year, level=level)
        code_list = incidents.categories(connection)
    names = dict(zip(code_list.codes, code_list.names, strict=True))
    if as_json:
        print_json(as_dict(found, names))
    else:
        _print(found, names)


def as_dict(found: Backtest, names: dict[str, str]) -> dict[str, Any]:
    """Return a backtest as JSON writes it; docs/methods/backtest.md says what each number is."""
    return {
        "test_year": found.test_year,
        "level": found.level,
        "fitted_years": list(found.years),
        "areas": found.areas,
        "without_place": found.without_place,
        "categories": [_category(each, names) for each in found.categories],
        "overall": _overall(found.overall) | {"calibration": _calibration(found.calibration)},
        "frequent": _overall(found.frequent) | {"least": backtest.FREQUENT} if found.frequent else None,
    }


def _category(each: Scored, names: dict[str, str]) -> dict[str, Any]:
    return {
        "category": each.category,
        "name": names.get(each.category, each.category),
        "n": each.n,
        "expected": round(each.expected, 2),
        "clock": each.clock,
        "seasonal": each.seasonal,
        "gain": each.gain,
        "model": _scores(each.model) if each.model else None,
        "baselines": {name: _scores(one) for name, one in each.baselines.items()} if each.baselines else None,
        "calibration": _calibration(each.calibration) if each.calibration else None,
        "note": each.note,
    }


def _overall(found: Overall) -> dict[str, Any]:
    return {
        "categories": found.categories,
        "n": found.n,
        "gain": found.gain,
        "lowest_gain": found.lowest_gain,
        "model": _scores(found.model),
        "baselines": {name: _scores(each) for name, each in found.baselines.items()},
    }


def _scores(scores: Scores) -> dict[str, float]:
    """Return log_score and hit_1, hit_5, hit_10, pai_1, ... by the per cent of the cells."""
    row = {"log_score": scores.log_score}
    for name, values in (("hit", scores.hit), ("pai", scores.pai), ("pei", scores.pei)):
        row |= {f"{name}_{share:.0%}".rstrip("%"): one for share, one in zip(SHARES, values, strict=True)}
    return row


def _calibration(found: Calibration) -> list[dict[str, float]]:
    return [
        {"expected": round(expected, 2), "observed": observed}
        for expected, observed in zip(found.expected, found.observed, strict=True)
    ]


def _print(found: Backtest, names: dict[str, str]) -> None:
    first, last = found.years
    click.echo(f"回测 {found.test_year} 年：只用 {first}—{last} 年的数据，{found.areas} 个区域 × 36 旬")
    scored = sorted((each for each in found.categories if each.model), key=lambda each: -each.n)
    table = new_table(
        "各类",
        ("类别", "#件数", "#预计", "历法", "#对数分", "#比最好基准", "#PAI 5%", "#去年同格", "最好基准"),
    )
    for each in scored[:LISTED]:
        table.add_row(*_row(each, names))
    print_table(table)
    if len(scored) > LISTED:
        click.echo(f"只列前 {LISTED} 类，共 {len(scored)} 类；全部: --json")
    _print_overall("全部（按件数）", found.overall)
    if found.frequent:
        _print_overall(f"{backtest.FREQUENT} 件以上的类别（各类同权）", found.frequent)


def _row(each: Scored, names: dict[str, str]) -> tuple[str, ...]:
    model, plain = each.model, each.baselines
    if model is None or plain is None:
        return ()
    return (
        names.get(each.category, each.category),
        str(each.n),
        f"{each.expected:.0f}",
        CLOCK_NAMES[each.clock] if each.seasonal else "无季节",
        f"{model.log_score:.3f}",
        f"{each.gain:+.4f}",
        f"{model.pai[1]:.2f}",
        f"{plain['last_year'].pai[1]:.2f}",
        BASELINE_NAMES[each.best_baseline or "last_year"],
    )


def _print_overall(title: str, found: Overall) -> None:
    best = max(each.pai[1] for each in found.baselines.values())
    last = found.baselines["last_year"].pai[1]
    click.echo(
        f"{title}：{found.categories} 类 {found.n} 件，对数分比最好基准平均 {found.gain:+.4f}、"
        f"最低 {found.lowest_gain:+.4f}；PAI 5% {found.model.pai[1]:.2f}，"
        f"为去年同格的 {found.model.pai[1] / max(last, 1e-9):.2f} 倍、"
        f"最好基准的 {found.model.pai[1] / max(best, 1e-9):.2f} 倍"
    )
