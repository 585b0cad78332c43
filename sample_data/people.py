"""Buildings, households and persons: a roster of invented people with numbers that belong to nobody.

Identity numbers begin with a county code that is not assigned, phones with 154, a segment no operator has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sample_data import names
from sample_data.cells import Floats, Ints, Kind, to_degrees, whole_numbers
from sample_data.sizes import Size
from sample_data.territory import Territory

Strings = NDArray[np.object_]

WALK_UP_FLOORS, DOORS_A_FLOOR = 6, 2
HEAD, SPOUSE, CHILD, PARENT, OTHER = range(5)
RELATIONS = ("head", "spouse", "child", "parent", "other")
# Household shapes: share among households, then its members.
SHAPES: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.205, (HEAD,)),
    (0.245, (HEAD, SPOUSE)),
    (0.045, (HEAD, CHILD)),
    (0.020, (HEAD, PARENT)),
    (0.205, (HEAD, SPOUSE, CHILD)),
    (0.015, (HEAD, SPOUSE, OTHER)),
    (0.110, (HEAD, SPOUSE, CHILD, CHILD)),
    (0.055, (HEAD, SPOUSE, CHILD, PARENT)),
    (0.050, (HEAD, SPOUSE, CHILD, CHILD, PARENT)),
    (0.020, (HEAD, SPOUSE, CHILD, PARENT, PARENT)),
    (0.020, (HEAD, SPOUSE, CHILD, CHILD, PARENT, PARENT)),
    (0.010, (HEAD, SPOUSE, CHILD, CHILD, CHILD, PARENT)),
)
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECK = np.frombuffer(b"10X98765432", np.uint8)


@dataclass(frozen=True)
class Homes:
    """Buildings in order of grid, and which building each household lives in.

    Per building: `cell`, `grid`, `lonlat` (b, 2), `codes`, `addresses`, `flags`. Per household, in order of
    building: `building` (h,) and the `door` (h,) inside it.
    """

    cell: Ints
    grid: Ints
    lonlat: Floats
    codes: pa.Array
    addresses: pa.Array
    flags: pa.Array
    building: Ints
    door: Ints


def _repeat(count: Ints) -> tuple[Ints, Ints]:
    """Return the owner and the place inside its owner of every one of `count` things."""
    owner = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count) - count
    return owner, np.arange(len(owner)) - first[owner]


def join(*parts: pa.Array | str) -> pa.Array:
    """Return the parts put together, element by element."""
    return pc.binary_join_element_wise(*parts, "")


def text(numbers: Ints) -> pa.Array:
    """Return whole numbers as text."""
    return pa.array(numbers).cast(pa.string())


def pick(values: list[str], index: Ints) -> pa.Array:
    """Return the values at the given places."""
    return pa.array(values, pa.string()).take(pa.array(np.asarray(index, np.int64)))


def _households_a_building(territory: Territory, rng: np.random.Generator) -> Ints:
    """Return for every cell how many households a building holds: blocks in town, houses in the country."""
    cells = territory.cells
    blocks = np.array([6, 12, 24, 36, 72])
    count = blocks[rng.choice(5, len(cells.xy), p=[0.12, 0.25, 0.38, 0.2, 0.05])]
    seat = np.array([1, 2, 6, 12])[rng.choice(4, len(cells.xy), p=[0.35, 0.2, 0.25, 0.2])]
    return np.where(cells.kind == Kind.URBAN, count, np.where(cells.kind == Kind.SEAT, seat, 1))


def make_homes(territory: Territory, rng: np.random.Generator) -> Homes:
    """Return the buildings of the county and the household in every dwelling."""
    cells = territory.cells
    capacity = _households_a_building(territory, rng)
    cell, place = _repeat(cells.households)
    buildings = -(-cells.households // capacity)
    first = np.cumsum(buildings) - buildings
    building = first[cell] + place // capacity[cell]
    of_cell = np.repeat(np.arange(len(cells.xy)), buildings)
    xy = cells.random_points(of_cell, rng)
    grid = territory.grid[of_cell]
    return Homes(
        cell=of_cell,
        grid=grid,
        lonlat=to_degrees(xy),
        codes=_building_codes(territory, grid),
        addresses=_addresses(territory, of_cell, rng),
        flags=_flags(territory, of_cell, xy, rng),
        building=building,
        door=place % capacity[cell],
    )


def _place_in_village(territory: Territory, grid: Ints) -> tuple[Ints, Ints]:
    """Return the village of every building and its number from 0 in it; buildings are in order of grid."""
    village = territory.grids.village[grid]
    return village, np.arange(len(village)) - np.searchsorted(village, village)


def _building_codes(territory: Territory, grid: Ints) -> pa.Array:
    village, place = _place_in_village(territory, grid)
    number = pc.utf8_lpad(text(place + 1), 4, "0")
    return join(pick(territory.villages.codes, village), "B", number)


def _addresses(territory: Territory, cell: Ints, rng: np.random.Generator) -> pa.Array:
    """Return building addresses: road and number in communities, villagers' group and number in villages."""
    village, place = _place_in_village(territory, territory.grid[cell])
    town = pick(territory.towns.names, territory.village_town[village])
    label = pick(territory.villages.names, village)
    # Houses close together share a road or a group: ten or so cells each.
    patch = cell // 9
    road = pick(names.ROAD_NAMES, patch % len(names.ROAD_NAMES))
    number = text(place + 1)
    urban = join(names.CITY, town, label, road, "路", number, "号楼")
    rural = join(names.CITY, town, label, text(patch % 7 + 1), "组", number, "号")
    return pc.if_else(pa.array(territory.community[village]), urban, rural)


def _flags(territory: Territory, cell: Ints, xy: Floats, rng: np.random.Generator) -> pa.Array:
    """Return `low_lying`, `dilapidated`, `self_built` joined by semicolons."""
    kind = territory.cells.kind[cell]
    low = (river_distance(territory, xy) < 0.7) & (rng.random(len(cell)) < 0.55)
    old = rng.random(len(cell)) < np.where(kind == Kind.URBAN, 0.05, 0.03)
    own = rng.random(len(cell)) < np.where(kind == Kind.URBAN, 0.02, 0.45)
    words = ("low_lying", "dilapidated", "self_built")
    table = [";".join(w for bit, w in enumerate(words) if code >> bit & 1) for code in range(8)]
    return pick(table, low + 2 * old + 4 * own)


def river_distance(territory: Territory, xy: Floats) -> Floats:
    """Return the distance in km from every place to the river."""
    return cKDTree(territory.ground.river(0.05)).query(xy)[0]


def _shapes(size: Size, rng: np.random.Generator) -> Ints:
    """Return the shape of every household, so chosen that the number of persons is exact."""
    members = np.array([len(shape) for _, shape in SHAPES])
    shape = rng.permutation(
        np.repeat(np.arange(len(SHAPES)), whole_numbers(np.array([s for s, _ in SHAPES]), size.households))
    )
    missing = size.persons - int(members[shape].sum())
    # A couple gains a child, or a family with a child loses it, until the total is right.
    source, target = (1, 4) if missing > 0 else (4, 1)
    shape[rng.permutation(np.flatnonzero(shape == source))[: abs(missing)]] = target
    return shape


@dataclass(frozen=True)
class _Family:
    """Persons one below the other: `household`, `relation`, `man` (1 or 0), age in `days`."""

    household: Ints
    relation: Ints
    man: Ints
    days: Ints


def _families(shape: Ints, rng: np.random.Generator) -> _Family:
    width = max(len(members) for _, members in SHAPES)
    table = np.array([list(m) + [-1] * (width - len(m)) for _, m in SHAPES])
    wide = table[shape]
    household, column = np.nonzero(wide >= 0)
    relation = wide[household, column]
    head = _head_years(shape, rng)
    head_man = (rng.random(len(shape)) < 0.78).astype(np.int64)
    n = len(household)
    years = head[household].copy()
    spread = rng.normal(size=n)
    is_second = (column > 0) & (relation == wide[household, np.maximum(column - 1, 0)])
    years += np.choose(
        relation,
        [0 * spread, 2.2 * spread - 1, -27 - 2.5 * spread - 3.5 * is_second, 26 + 2.5 * spread, 8 * spread],
    )
    man = np.choose(
        relation,
        [
            head_man[household],
            1 - head_man[household],
            rng.random(n) < 0.52,
            rng.random(n) < 0.42,
            rng.random(n) < 0.5,
        ],
    )
    man = np.where((relation == PARENT) & is_second, 1 - np.roll(man, 1), man)
    # A child of a very young head would not be born yet: it becomes an infant. Spouses are of age.
    least = np.where(relation == SPOUSE, 22.0, 0.0) + 0.9 * rng.random(n)
    years = np.clip(years, least, 97 + 2 * rng.random(n))
    return _Family(household, relation, man.astype(np.int64), (years * 365.25).astype(np.int64))


def _head_years(shape: Ints, rng: np.random.Generator) -> Floats:
    """Return the age of every head: singles are young or old, heads with children in between."""
    sizes = np.array([len(m) for _, m in SHAPES])[shape]
    with_child = np.array([CHILD in m for _, m in SHAPES])[shape]
    with_parent = np.array([PARENT in m for _, m in SHAPES])[shape]
    u = rng.random(len(shape))
    single = np.where(rng.random(len(shape)) < 0.5, 62 + 27 * u**1.4, 23 + 37 * u)
    couple = np.where(rng.random(len(shape)) < 0.55, 55 + 27 * u, 24 + 31 * u)
    family = np.where(with_parent, 30 + 19 * u, 28 + 24 * u)
    return np.where(sizes == 1, single, np.where(with_child | with_parent, family, couple))


def _identity_numbers(born: NDArray[np.datetime64], man: Ints) -> pa.Array:
    """Return numbers after GB 11643-1999: area, birth date, an order (odd for men), check character."""
    day = _compact_date(born)
    key = day * 2 + man
    order = np.argsort(key, kind="stable")
    rank = np.empty_like(key)
    rank[order] = np.arange(len(key)) - np.searchsorted(key[order], key[order])
    sequence = (rank * 191 + day % 389) % 500 * 2 + man
    number = (int(names.COUNTY_CODE) * 10**8 + day) * 1000 + sequence
    letters = np.empty((len(number), 18), np.uint8)
    total = np.zeros(len(number), np.int64)
    for place, weight in zip(range(16, -1, -1), reversed(ID_WEIGHTS), strict=True):
        number, digit = np.divmod(number, 10)
        letters[:, place] = digit + ord("0")
        total += digit * weight
    letters[:, 17] = ID_CHECK[total % 11]
    return _fixed_text(letters)


def _fixed_text(letters: NDArray[np.uint8]) -> pa.Array:
    """Return ASCII text from an array (n, width) of bytes without making n Python strings."""
    offsets = np.arange(len(letters) + 1, dtype=np.int32) * letters.shape[1]
    return pa.StringArray.from_buffers(len(letters), pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


def _compact_date(day: NDArray[np.datetime64]) -> Ints:
    month = day.astype("datetime64[M]")
    year = month.astype("datetime64[Y]")
    y = year.astype(np.int64) + 1970
    m = (month - year).astype(np.int64) + 1
    d = (day - month).astype(np.int64) + 1
    return y * 10_000 + m * 100 + d


def _names(family: _Family, rng: np.random.Generator) -> pa.Array:
    """Return names: children and one parent carry the father's surname, spouses their own."""
    surnames, share, given = names.person_parts()
    n = len(family.household)
    own = rng.choice(len(surnames), n, p=share)
    line = rng.choice(len(surnames), int(family.household.max()) + 1, p=share)
    carries = (
        (family.relation == HEAD)
        | (family.relation == CHILD)
        | ((family.relation == PARENT) & (family.man == 1))
    )
    surname = np.where(carries, line[family.household], own)
    width = given.shape[1]
    flat = given.ravel().tolist()
    return join(pick(surnames.tolist(), surname), pick(flat, family.man * width + rng.integers(0, width, n)))


def _phones(days: Ints, rng: np.random.Generator) -> pa.Array:
    """Return an 11-digit number for most people from 12 years on, none for the others, never one twice."""
    n = len(days)
    number = (np.arange(n) * 48_271_337 + int(rng.integers(10**8))) % 10**8
    years = days / 365.25
    has = (years > 12) & (rng.random(n) < np.where(years > 75, 0.6, 0.97))
    return pc.if_else(
        pa.array(has), join("154", pc.utf8_lpad(text(number), 8, "0")), pa.scalar(None, pa.string())
    )


def _care(family: _Family, shape: Ints, rural: NDArray[np.bool_], rng: np.random.Generator) -> pa.Array:
    """Return one care group a person or empty text: elderly_alone, disabled, left_behind, support."""
    years, n = family.days / 365.25, len(family.days)
    alone = (shape[family.household] == 0) & (years >= 65)
    left = (family.relation == CHILD) & (years < 16) & rural & (rng.random(n) < 0.09)
    disabled = rng.random(n) < 0.019 + 0.0006 * np.maximum(years - 45, 0)
    support = rng.random(int(family.household.max()) + 1)[family.household] < np.where(rural, 0.035, 0.004)
    code = np.select([alone, disabled, left, support], [1, 2, 3, 4], 0)
    return pick(["", "elderly_alone", "disabled", "left_behind", "support"], code)


def make_roster(
    territory: Territory, homes: Homes, size: Size, through: int, rng: np.random.Generator
) -> pa.Table:
    """Return the roster, one row a person in order of household; ages are as of the last day of `through`."""
    shape = _shapes(size, rng)
    family = _families(shape, rng)
    building, door = homes.building[family.household], homes.door[family.household]
    urban = territory.grids.urban[homes.grid[building]]
    tenant = rng.random(size.households) < np.where(
        territory.grids.urban[homes.grid[homes.building]], 0.24, 0.03
    )
    floor = door % (WALK_UP_FLOORS * DOORS_A_FLOOR) // DOORS_A_FLOOR + 1
    unit = door // (WALK_UP_FLOORS * DOORS_A_FLOOR) + 1
    room = floor * 100 + door % DOORS_A_FLOOR + 1
    codes = homes.codes.take(pa.array(building))
    here = rng.random(size.households) < np.where(tenant, 0.12, 0.94)
    is_tenant = tenant[family.household]
    care = _care(family, shape, ~urban, rng)
    table = pa.table(
        {
            "building_code": codes,
            "building_address": homes.addresses.take(pa.array(building)),
            "building_lon": homes.lonlat[building, 0],
            "building_lat": homes.lonlat[building, 1],
            "building_flags": homes.flags.take(pa.array(building)),
            "dwelling": join(text(unit), "-", text(floor), "-", text(room)),
            "household_code": join(codes, "-", pc.utf8_lpad(text(door + 1), 3, "0")),
            "relation": pick(list(RELATIONS), family.relation),
            "name": _names(family, rng),
            "identity_number": _identity_numbers(np.datetime64(f"{through}-12-31") - family.days, family.man),
            "phone": _phones(family.days, rng),
            "tenure": pick(["owner", "tenant", "family"], np.where(family.relation > HEAD, 2, is_tenant)),
            "care": care,
            "registered_here": pa.array(here[family.household]),
        }
    )
    # Drawn last, so that the columns above are what they were before these came.
    for name, column in _dates(family, is_tenant, care, homes.cell[building], through, rng).items():
        table = table.append_column(name, column)
    return table


def _dates(
    family: _Family,
    tenant: NDArray[np.bool_],
    care: pa.Array,
    cell: Ints,
    through: int,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Return since when people live there, when and by whom that was verified, and what care rests on."""
    last, households = np.datetime64(f"{through}-12-31"), int(family.household.max()) + 1
    born = last - family.days
    moved = last - rng.integers(
        30, np.where(tenant[np.unique(family.household, return_index=True)[1]], 1800, 9000)
    )
    since = np.maximum(born, moved[family.household])
    # The survey went from house to house for three months; a few doors stayed shut.
    seen = rng.random(households) < 0.96
    round_trip = (cell * 7 % 83)[np.unique(family.household, return_index=True)[1]] + rng.integers(
        0, 9, households
    )
    verified = np.datetime64(f"{through}-10-01") + round_trip
    by = join("网格员", text(cell % 89 + 1))
    has_care = pc.not_equal(care, "").to_numpy(zero_copy_only=False)
    bases = {
        "elderly_alone": "上门核实",
        "disabled": "残疾人证",
        "left_behind": "学校名册",
        "support": "民政台账",
    }
    codes = pc.index_in(care, pa.array(list(bases))).fill_null(0).to_numpy()
    expires = last + rng.integers(90, 720, len(born))
    none = pa.scalar(None, pa.string())
    return {
        "since": _iso(since),
        "verified_on": pc.if_else(pa.array(seen[family.household]), _iso(verified[family.household]), none),
        "verified_by": pc.if_else(pa.array(seen[family.household]), by, none),
        "care_basis": pc.if_else(pa.array(has_care), pick(list(bases.values()), codes), none),
        "care_expires": pc.if_else(pa.array(has_care), _iso(expires), none),
    }


def _iso(days: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(days.astype("datetime64[D]")).cast(pa.string())


def make_doubles(roster: pa.Table) -> pa.Table:
    """Return 40 rows for a second file, most of them somebody who is in the roster already, or with a fault.

    In order: 8 people of the roster in a household elsewhere, 8 with the name, birth date and dwelling of
    somebody but another number, 6 with a wrong check character, 4 households of one person that say 配偶 (no
    head), 4 with a birth date that does not exist, and 10 people who live alone, as they are known.
    """
    heads = np.flatnonzero(pc.equal(roster["relation"], "head").to_numpy())
    alone = heads[np.diff(np.append(heads, roster.num_rows)) == 1]
    troubled = _by_turns(roster, heads)[:30]
    alone = np.setdiff1d(alone, troubled)
    as_known = alone[np.linspace(0, len(alone) - 1, 10).astype(int)]
    rows = roster.take(pa.array(np.concatenate([troubled, as_known]))).to_pylist()
    for at, row in enumerate(rows):
        row["building_lon"], row["building_lat"] = f"{row['building_lon']:.7f}", f"{row['building_lat']:.7f}"
        row["registered_here"] = "是" if row["registered_here"] else "否"
        if at >= 30:
            continue
        row["care"] = row["care_basis"] = row["care_expires"] = row["phone"] = None
        row["household_code"] += "-2"
        number = row["identity_number"]
        fresh = _with_check(number[:14] + f"{(int(number[14:17]) + 502) % 1000:03d}")
        if at < 8:
            row["dwelling"] += "-2"
        elif at < 16:
            row["identity_number"] = fresh
        elif at < 22:
            row["identity_number"] = number[:17] + ("0" if number[17] != "0" else "1")
            row["dwelling"] += "-2"
        elif at < 26:
            row["identity_number"], row["relation"], row["name"] = fresh, "spouse", row["name"] + "新"
        else:
            row["identity_number"] = _with_check(number[:10] + "0231" + number[14:17])
            row["name"] += "新"
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in roster.column_names]))


def _by_turns(roster: pa.Table, rows: Ints) -> Ints:
    """Return rows so that the first of every town stand first, then the second of every town, and so on."""
    codes = pc.utf8_slice_codeunits(roster["building_code"].take(pa.array(rows)), 0, 9)
    town = codes.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(town, kind="stable")
    turn = np.empty_like(order)
    turn[order] = np.arange(len(rows)) - np.searchsorted(town[order], town[order])
    return rows[np.lexsort((town, turn))]


def _with_check(first: str) -> str:
    """Return 17 digits with the check character that fits them."""
    total = sum(int(digit) * weight for digit, weight in zip(first, ID_WEIGHTS, strict=True))
    return first + "10X98765432"[total % 11]
