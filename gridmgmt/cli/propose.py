"""`gridmgmt plan propose`: a division of grids outside the household band into grids within it."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import click
import shapely
from rich.table import Table
from shapely.geometry.base import BaseGeometry

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table, write_whole
from gridmgmt.config import SEED, settings
from gridmgmt.db.engine import WRITER
from gridmgmt.errors import FileError, InputError
from gridmgmt.planning import propose as proposals
from gridmgmt.planning.propose import Proposal

# Where `gridmgmt demo` leaves the grids that the sample city had before its redraw.
PREDECESSORS = Path("sample") / "grids_before.geojson"

Grids = tuple[Mapping[str, BaseGeometry], dict[str, str]]


@click.command("propose")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All grids outside the band; in a home that holds the sample city those before its redraw.",
)
@click.option("--in-force", is_flag=True, help="With --all: the grids in force, in the sample city too.")
@click.option("--village", multiple=True, help="Divide this village (12 digits) anew as a whole.")
@click.option("--grids", help="These grids only: codes with commas.")
@click.option(
    "--low", type=int, default=proposals.LOW, show_default=True, help="Households of a grid, at least."
)
@click.option(
    "--high", type=int, default=proposals.HIGH, show_default=True, help="Households of a grid, at most."
)
@click.option("--from-file", type=click.Path(path_type=Path), help="Grids of a GeoJSON file (code, village).")
@click.option("--seed", type=int, default=SEED, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the proposed grids as GeoJSON.")
@click.option("--json", "as_json", is_flag=True)
def propose(
    everything: bool,
    in_force: bool,
    village: tuple[str, ...],
    grids: str | None,
    low: int,
    high: int,
    from_file: Path | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Propose grids within the household band that follow buildings, roads and rivers; changes nothing."""
    if everything + bool(village) + bool(grids) != 1:
        raise InputError("--all, --village, --grids", "none or several", "one of them")
    file = from_file
    sample = settings().home / PREDECESSORS
    if everything and not in_force and file is None and sample.exists():
        file = sample
        click.echo(f"样例城市：从调整前的网格划起（{sample}）；现行网格用 --in-force", err=True)
    given = read_file(file) if file else None
    with ready(WRITER) as engine, engine.connect() as connection:
        grids_now: Grids = given or proposals.read_grids_in_force(connection, china_today())
        buildings = proposals.read_buildings(connection)
        barriers = proposals.read_barriers(connection)
    shapes, villages = grids_now
    found = proposals.propose(
        shapes,
        villages,
        buildings,
        barriers,
        keys=_keys(villages, village, grids),
        whole=village,
        low=low,
        high=high,
        seed=seed,
    )
    if out:
        write_whole(out, geojson(found))
    if as_json:
        print_json(found.figures())
    else:
        print_table(summary(found, low, high))


def _keys(villages: dict[str, str], village: Collection[str], grids: str | None) -> list[str] | None:
    if grids:
        return [code.strip() for code in grids.split(",")]
    return [key for key, code in villages.items() if code in village] if village else None


def read_file(path: Path) -> Grids:
    """Return shapes and villages by code from a GeoJSON file; FileError when it is no such file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["features"]
        codes = [str(row["properties"]["code"]) for row in rows]
        shapes = [shapely.from_geojson(json.dumps(row["geometry"])) for row in rows]
        villages = [str(row["properties"].get("village") or row["properties"]["code"][:12]) for row in rows]
    except OSError as why:
        raise FileError(path, "file", why.strerror, "a file that can be read") from why
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as why:
        raise FileError(path, "features", str(why), "GeoJSON polygons with code and village") from why
    return dict(zip(codes, shapes, strict=True)), dict(zip(codes, villages, strict=True))


def geojson(found: Proposal) -> bytes:
    """Return the proposed grids as GeoJSON: key, village, households, whether new and from which grids."""
    parents: dict[str, list[str]] = {}
    for each in found.lineage:
        parents.setdefault(each.new, []).append(each.old)
    features = [
        {
            "type": "Feature",
            "properties": {
                "key": key,
                "village": found.villages[key],
                "households": found.households[key],
                "new": key in found.changed,
                "from": ",".join(parents.get(key, ())),
            },
            "geometry": shapely.geometry.mapping(shape),
        }
        for key, shape in found.shapes.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()


def summary(found: Proposal, low: int, high: int) -> Table:
    """Return the figures of a proposal as a table in Chinese."""
    table = new_table(f"自动划分（每格 {low}–{high} 户）", ("项目", "#结果"))
    share = "—" if found.in_band_share is None else f"{found.in_band_share:.1%}"
    spread = "—" if found.balance_cv is None else f"{found.balance_cv:.3f}"
    for name, value in (
        ("网格", str(found.grids)),
        ("新划", str(len(found.changed))),
        ("撤销", str(len(found.gone))),
        ("连片", f"{found.contiguous:.1%}"),
        ("空缺（平方米）", f"{found.gap_m2:.2f}"),
        ("重叠（平方米）", f"{found.overlap_m2:.2f}"),
        ("城镇网格户数达标", share),
        ("城镇网格户数离散系数", spread),
        ("紧凑度中位数", f"{found.compactness_median:.2f}"),
        ("用时（秒）", f"{found.seconds:.1f}"),
    ):
        table.add_row(name, value)
    return table
