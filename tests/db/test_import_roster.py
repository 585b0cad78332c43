"""Rosters with people: who is new, the same, changed, gone or doubtful; numbers sealed and quoted nowhere."""

import csv
import json
import os
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import shapely
import xlsxwriter
from sqlalchemy import Engine, text

import sample_data
from gridmgmt.grids.importer import import_divisions, import_grids
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.importing.report import Report
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing
from tests.db.roster_world import identity

PLAIN = load_mapping(None, crs="cgcs2000")
HEADER = (
    "building_code,building_address,dwelling,household_code,relation,name,identity_number,phone,tenure,care"
)
WANG, LI, SON = identity(date(1980, 5, 1), 1), identity(date(1982, 6, 2), 2), identity(date(2010, 7, 3), 3)
GRID = "379981001001001"

Import = Callable[..., Report]


def at(
    home: str, relation: str, name: str, number: str = "", phone: str = "", care: str = "", door: str = ""
) -> str:
    return f"B1,甲路1号,{door or '1-' + home},H{home},{relation},{name},{number},{phone},owner,{care}"


FAMILY = (
    at("101", "户主", "王强", WANG, "15400000001"),
    at("101", "配偶", "李芳", LI, "15400000002", "残疾人"),
    at("101", "子女", "王小明", SON),
)


@pytest.fixture
def load(engine: Engine, tmp_path: Path) -> Import:
    """Import lines as a file; the building lies in a grid of town 379981001."""
    ground = shapely.box(114.0, 33.0, 114.1, 33.1)
    shapes = [{"type": "Feature", "properties": {"code": code, "name": code}, "geometry": None}
              for code in ("379981", "379981001", "379981001001")]  # fmt: skip
    divisions = tmp_path / "divisions.geojson"
    divisions.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    import_divisions(engine, divisions, PLAIN)
    feature = {"type": "Feature", "geometry": shapely.geometry.mapping(ground), "properties": {
        "code": GRID, "village": GRID[:12], "name": "一格", "valid_from": "2020-01-01"}}  # fmt: skip
    grids = tmp_path / "grids.geojson"
    grids.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    import_grids(engine, grids, PLAIN)

    def run(*lines: str, header: str = HEADER, name: str = "roster.csv", **options: object) -> Report:
        path = tmp_path / name
        place = "building_lon,building_lat," if "building_lon" not in header else ""
        path.write_text(
            "\n".join([place + header, *(("114.05,33.05," if place else "") + x for x in lines)]) + "\n"
        )
        return import_roster(engine, path, PLAIN, **options)  # type: ignore[arg-type]

    return run


def ask(engine: Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def came(report: Report) -> tuple[int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.rejected


ALL = "SELECT identity::text, salt::text, phone::text, p::text FROM person p ORDER BY id"
PEOPLE = "SELECT name, relation, birth_on::text, sex, left_why FROM person ORDER BY id"


def test_people_come_with_birth_date_and_sex_derived_and_their_numbers_sealed(
    engine: Engine, load: Import
) -> None:
    assert came(load(*FAMILY)) == (3, 0, 0, 0)
    assert ask(engine, PEOPLE) == [
        ("王强", "head", "1980-05-01", "male", None),
        ("李芳", "spouse", "1982-06-02", "female", None),
        ("王小明", "child", "2010-07-03", "male", None),
    ]
    ring = KeyRing.opened()
    for salt, number, phone, name in ask(
        engine, "SELECT salt, identity, phone, name FROM person WHERE phone IS NOT NULL"
    ):
        assert unseal(ring, salt, "identity", number) == {"王强": WANG, "李芳": LI}[name]
        assert unseal(ring, salt, "phone", phone).startswith("1540000000")
    assert ask(engine, "SELECT persons, g.code15 FROM household h JOIN grid g ON g.id = h.grid_id") == [
        (3, GRID)
    ]
    assert ask(engine, "SELECT count(*) FROM person p JOIN grid g ON g.id = p.grid_id") == [(3,)]
    assert ask(engine, "SELECT relation, valid_to FROM residency") == [("owner", None)] * 3
    assert ask(engine, "SELECT category, basis, expires - current_date > 360 FROM household_care") == [
        ("disabled", "导入名册", True)
    ]
    assert ask(engine, "SELECT what, who FROM audit_log") == [("import.roster", "import")]
    with engine.connect() as connection:
        assert audit.verify(connection).faults == ()


def test_the_same_file_again_changes_nothing_and_a_new_phone_only_the_phone(
    engine: Engine, load: Import
) -> None:
    load(*FAMILY)
    before = ask(engine, ALL)
    assert came(load(*FAMILY)) == (0, 0, 3, 0)
    assert ask(engine, ALL) == before
    assert ask(engine, "SELECT count(*) FROM roster_history") == [(0,)]
    changed = (FAMILY[0].replace("15400000001", "154 0000 0009"), *FAMILY[1:])
    assert came(load(*changed)) == (0, 1, 2, 0)
    [(salt, phone)] = ask(engine, "SELECT salt, phone FROM person WHERE name = '王强'")
    assert ask(engine, ALL)[0][:2] == before[0][:2]  # identity number and salt are not sealed anew
    assert unseal(KeyRing.opened(), salt, "phone", phone) == "15400000009"
    assert ask(engine, "SELECT what, made_by FROM roster_history") == [("person", "import")]


def test_who_is_missing_in_a_household_told_in_full_has_left_and_may_come_back(
    engine: Engine, load: Import
) -> None:
    load(*FAMILY)
    assert load(*FAMILY[:2]).extra["left"] == 1
    assert ask(engine, PEOPLE)[2] == ("王小明", "child", "2010-07-03", "male", "moved")
    assert ask(engine, "SELECT persons FROM household") == [(2,)]
    assert ask(engine, "SELECT count(*) FROM residency WHERE valid_to IS NULL") == [(2,)]
    assert came(load(at("102", "户主", "王小明", SON))) == (0, 1, 0, 0)
    where = "SELECT h.code, left_why, relation FROM person p JOIN household h ON h.id = household_id"
    assert ask(engine, where + " WHERE name = '王小明'") == [("H102", None, "head")]
    assert ask(engine, "SELECT kind FROM roster_event ORDER BY id") == [("move_out",), ("move_in",)]
    assert ask(engine, "SELECT code, persons FROM household ORDER BY code") == [("H101", 2), ("H102", 1)]


def test_a_move_between_two_households_of_one_file_and_a_change_of_head(engine: Engine, load: Import) -> None:
    load(*FAMILY, at("102", "户主", "赵六", identity(date(1950, 1, 1), 5)))
    report = load(
        at("101", "户主", "李芳", LI), at("101", "配偶", "王强", WANG), at("102", "户主", "王小明", SON),
        at("102", "其他", "赵六", identity(date(1950, 1, 1), 5)),
    )  # fmt: skip
    assert (report.rejected, report.extra["left"]) == (0, 0)
    homes = (
        "SELECT h.code, name, relation FROM person p JOIN household h ON h.id = p.household_id ORDER BY 1, 3"
    )
    assert ask(engine, homes) == [
        ("H101", "李芳", "head"), ("H101", "王强", "spouse"), ("H102", "王小明", "head"),
        ("H102", "赵六", "other"),
    ]  # fmt: skip


def test_whoever_may_be_somebody_known_waits_for_review_once(engine: Engine, load: Import) -> None:
    load(*FAMILY)
    double = at("201", "户主", "王强", WANG)  # lives at H101
    namesake = at(
        "101b", "户主", "李芳", identity(date(1982, 6, 2), 8), door="1-101"
    )  # same dwelling, other number
    new = at("301", "户主", "钱七", identity(date(1970, 1, 1), 1))
    again = at("302", "户主", "钱八", identity(date(1970, 1, 1), 1))  # the number a second time in the file
    report = load(double, namesake, new, again)
    assert (came(report), report.extra["waiting"]) == ((1, 0, 0, 3), 3)
    assert all("waits for review" in reason for reason in report.first_reasons)
    reviews = (
        "SELECT kind, area, name FROM roster_review r LEFT JOIN person p ON p.id = person_id ORDER BY 1, 3"
    )
    assert ask(engine, reviews) == [
        ("same_identity", "379981001", "王强"), ("same_identity", "379981001", None),
        ("same_person", "379981001", "李芳")
    ]  # fmt: skip
    [(salt, sealed)] = ask(engine, "SELECT salt, sealed FROM roster_review WHERE kind = 'same_person'")
    row = json.loads(unseal(KeyRing.opened(), salt, "review", sealed))
    assert (row["name"], row["household_code"], row["dwelling"]) == ("李芳", "H101b", "1-101")
    assert load(double, namesake, new, again).extra["waiting"] == 0
    assert ask(engine, "SELECT code FROM household ORDER BY 1") == [("H101",), ("H301",)]


def test_a_household_is_taken_whole_or_not_at_all_and_its_rejects_load_again(
    engine: Engine, load: Import, tmp_path: Path
) -> None:
    load(*FAMILY)
    wrong = SON[:17] + ("1" if SON[17] != "1" else "2")
    broken = (*FAMILY[:2], FAMILY[2].replace(SON, wrong), at("102", "户主", "赵六"),
              at("102", "户主", "钱七"),
              at("103", "配偶", "孙八"))  # fmt: skip
    rejects = tmp_path / "rejects.csv"
    report = load(*broken, rejects=rejects)
    assert came(report) == (0, 0, 0, 6)
    assert ask(engine, "SELECT count(*) FROM person WHERE left_on IS NULL") == [(3,)]
    assert stat.S_IMODE(os.stat(rejects).st_mode) == 0o600
    assert not any(number in reason for reason in report.first_reasons for number in (WANG, LI, SON, wrong))
    rows = list(csv.DictReader(rejects.read_text(encoding="utf-8-sig").splitlines()))
    assert sorted(row["field"] for row in rows) == [
        "household_code", "household_code", "identity_number", "relation", "relation", "relation"
    ]  # fmt: skip
    assert not any(
        number in row[c] for row in rows for c in ("found", "allowed", "reason") for number in (WANG, wrong)
    )
    rejects.write_text(
        rejects.read_text(encoding="utf-8-sig").replace(wrong, SON).replace("配偶,孙八", "户主,孙八")
    )
    again = import_roster(engine, rejects, PLAIN)
    assert came(again) == (1, 0, 3, 2)


def test_the_first_of_a_household_without_relations_becomes_its_head(engine: Engine, load: Import) -> None:
    report = load(at("101", "", "王强"), at("101", "", "李芳"))
    assert "1 households without any relation" in report.warnings[0]
    assert [row[1] for row in ask(engine, PEOPLE)] == ["head", "other"]
    assert came(load(at("101", "", "王强"), at("101", "", "李芳"))) == (0, 0, 2, 0)


def test_numbers_that_are_rounded_wrong_or_in_the_wrong_column_are_refused_unquoted(
    engine: Engine, load: Import, tmp_path: Path
) -> None:
    report = load(
        at("101", "户主", "王强", "379981800501001"), at("102", "户主", "李芳", phone="98765"),
        at("103", "户主", WANG), at(WANG, "户主", "孙八", door="1-104"),
    )  # fmt: skip
    assert report.rejected == 4
    book = xlsxwriter.Workbook(tmp_path / "float.xlsx")
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, HEADER.split(","))
    sheet.write_row(1, 0, ["B1", "甲路1号", "1-1", "H1", "户主", "王强"])
    sheet.write_number(1, 6, float(WANG[:17]) * 10)
    book.close()
    rounded = import_roster(engine, tmp_path / "float.xlsx", PLAIN)
    assert "lost digits" in rounded.first_reasons[0]
    told = "\n".join(report.first_reasons + rounded.first_reasons)
    assert not any(part in told for part in (WANG, WANG[:15], "379981800501001", "98765"))
    assert ask(engine, "SELECT count(*) FROM person") == [(0,)]


def test_an_office_file_is_read_as_it_comes(engine: Engine, load: Import, tmp_path: Path) -> None:
    load(*FAMILY, at("102", "户主", "赵六"))
    path = tmp_path / "office.csv"
    wide = "".join(chr(ord(c) + 0xFEE0) for c in LI)
    path.write_text(
        "甲鎮人口名冊\n\n住址,與戶主關係,姓名,身份證號,聯繫電話,宗教信仰,信访户\n"
        f"甲路１号一单元101室,户主,王强,{WANG},+86 154-0000-0001,无,是\n"
        f"甲路1號1-101,配偶,李芳,{wide},,无,否\n"
        f"甲路1号1单元101,子女,王小明,{SON.lower()},,,\n"
        "甲路1号1-909,户主,周九,,,,\n乙路1号1-101,户主,吴十,,,,\n",
        encoding="gb18030",
    )  # fmt: skip
    report = import_roster(engine, path, PLAIN)
    assert came(report) == (0, 0, 3, 2)
    assert "宗教信仰, 信访户" in report.warnings[0]
    assert ["no such door" in report.first_reasons[0], "no such building" in report.first_reasons[1]] == [
        True,
        True,
    ]


def test_care_and_registration_and_verification_follow_the_file(engine: Engine, load: Import) -> None:
    header = HEADER + ",care_basis,care_expires,registered_here,since,verified_on,verified_by"
    line = at("101", "户主", "王强", WANG, care="残疾人；独居")
    load(line + ",残疾证,2099-01-01,是,2020-02-03,2026-01-05,网格员甲", header=header)
    assert ask(engine, "SELECT category, basis, expires::text FROM household_care ORDER BY 1") == [
        ("disabled", "残疾证", "2099-01-01"), ("elderly_alone", "残疾证", "2099-01-01")
    ]  # fmt: skip
    where = "SELECT d.verified_on::text, d.verified_by, p.registered_dwelling_id = d.id, r.valid_from::text"
    where += " FROM dwelling d"
    where += " JOIN residency r ON r.dwelling_id = d.id JOIN person p ON p.id = r.person_id"
    assert ask(engine, where) == [("2026-01-05", "网格员甲", True, "2020-02-03")]
    less = (
        at("101", "户主", "王强", WANG, care="残疾人")
        + ",残疾证,2099-01-01,否,2020-02-03,2025-01-05,网格员乙"
    )
    assert came(load(less, header=header)) == (0, 1, 0, 0)
    assert ask(engine, "SELECT category, ended_on IS NULL FROM household_care ORDER BY 1") == [
        ("disabled", True), ("elderly_alone", False)
    ]  # fmt: skip
    assert ask(engine, where) == [("2026-01-05", "网格员甲", None, "2020-02-03")]
    assert came(load(less, header=header)) == (0, 0, 1, 0)


def test_the_sample_city_and_its_doubles(engine: Engine, tmp_path: Path) -> None:
    sample_data.generate(tmp_path, scale=0.03)
    import_divisions(engine, tmp_path / "divisions.geojson", PLAIN)
    import_grids(engine, tmp_path / "grids.geojson", PLAIN)
    report = import_roster(engine, tmp_path / "roster.parquet", PLAIN)
    assert (came(report), report.warnings) == ((24_000, 0, 0, 0), [])
    doubles = import_roster(engine, tmp_path / "roster_doubles.csv", PLAIN)
    assert (came(doubles), doubles.extra["waiting"]) == ((0, 0, 10, 30), 16)
    kinds = "SELECT kind, count(*) FROM roster_review WHERE length(area) = 9 GROUP BY 1 ORDER BY 1"
    assert ask(engine, kinds) == [("same_identity", 8), ("same_person", 8)]
    assert came(import_roster(engine, tmp_path / "roster.parquet", PLAIN)) == (0, 0, 24_000, 0)
    numbers = {
        row["identity_number"]
        for row in csv.DictReader(
            (tmp_path / "roster_doubles.csv").read_text(encoding="gb18030").splitlines()
        )
    }
    assert not any(number in reason for reason in doubles.first_reasons for number in numbers)
