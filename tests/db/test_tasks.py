"""Tasks of the seasonal list: who may do what with them, what a rebuilt list and an import do to them."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import READER, WRITER, acting, make_engine
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.importing import kept, pictures
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.tasks import service, stored
from gridmgmt.seasonal.tasks.importer import import_tasks
from gridmgmt.seasonal.tasks.service import Actor, Outcome

TODAY = china_today()
YEAR = TODAY.year
TOWN, TOWN_2 = "990101001", "990101002"
VILLAGE, VILLAGE_2 = f"{TOWN}001", f"{TOWN_2}001"
MINE, NEIGHBOUR, FAR = f"{VILLAGE}001", f"{VILLAGE}002", f"{VILLAGE_2}001"
BURNING, WATER = "01", "02"

CITY = Actor("command", Role.COMMAND, "")
OFFICE = Actor("office", Role.TOWN_OFFICER, TOWN)
CHIEF = Actor("chief", Role.GRID_WORKER, MINE)
DONE = Outcome(done=True)


@pytest.fixture
def city(engine: Engine) -> Engine:
    """Two towns, three grids, one chief, two categories, and a list that has no items yet."""
    divisions = [
        ("990101", "样例县", "county", None),
        (TOWN, "城关街道", "town", "990101"),
        (TOWN_2, "河西镇", "town", "990101"),
        (VILLAGE, "东关村", "village", TOWN),
        (VILLAGE_2, "西河村", "village", TOWN_2),
    ]
    with engine.begin() as connection:
        for row in divisions:
            _run(connection, "INSERT INTO division VALUES (:a, :b, :c, :d, NULL)", *row)
        for code in (MINE, NEIGHBOUR, FAR):
            shape = "MULTIPOLYGON(((114 33, 115 33, 115 34, 114 33)))"
            _run(
                connection,
                "INSERT INTO grid (code15, name, kind, village, geom, valid_from)"
                " VALUES (:a, :a, 'base', :b, ST_GeomFromText(:c, 4490), '2020-01-01')",
                code, code[:12], shape,
            )  # fmt: skip
        _run(connection, "INSERT INTO worker (name, employment) VALUES ('王网格', 'full_time')")
        _run(
            connection,
            "INSERT INTO assignment (worker_id, grid_id, role, valid_from)"
            " SELECT w.id, g.id, 'chief', '2020-01-01' FROM worker w, grid g WHERE g.code15 = :a",
            MINE,
        )
        _run(connection, "INSERT INTO category VALUES ('01', '秸秆焚烧'), ('02', '灌溉用水')")
    return engine


@pytest.fixture
def writer(city: Engine, database: str) -> Engine:
    """The door of the web."""
    return make_engine(database, role=WRITER)


def _run(connection: Connection, statement: str, *values: object) -> None:
    connection.execute(text(statement), dict(zip("abcdef", values, strict=False)))


def _list(engine: Engine, *items: tuple[str, str, int], year: int = YEAR) -> None:
    """Make the list of a year anew; an item is an area, a category and days from today to its window."""
    with engine.begin() as connection:
        _run(connection, "DELETE FROM analysis_run WHERE (parameters->>'year')::integer = :a", year)
        asked = json.dumps({"year": year})
        run = connection.execute(
            text(
                "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
                " VALUES ('seasonal', :a, 1, 1, now()) RETURNING id"
            ),
            {"a": asked},
        ).scalar_one()
        for area, category, days in items:
            start = date(year, TODAY.month, 1) + timedelta(days=days + TODAY.day - 1)
            row = {
                "run_id": run, "year": year, "area": area, "category": category, "clock": "gregorian",
                "level": {9: "town", 12: "village", 15: "grid"}[len(area)],
                "start_on": start, "peak_on": start, "end_on": start + timedelta(days=20),
                "act_by": start - timedelta(days=10), "expected": 12, "expected_low": 8,
                "expected_high": 17, "ratio": 3, "p": 0, "q": 0, "years": "[]", "action": "提前走访",
                "usual": 4, "lead_days": 10, "lead_learnt": False, "stable": 4, "cut": False,
            }  # fmt: skip
            names = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO seasonal_item ({names}) VALUES ({places})"), row)


def _items(engine: Engine) -> list[seasonal.Item]:
    with engine.connect() as connection:
        return seasonal.items(connection, YEAR)


def _tasks(engine: Engine, year: int = YEAR) -> dict[str, stored.Task]:
    """Return the tasks of a year by area."""
    with engine.connect() as connection:
        return {task.area: task for task in stored.tasks(connection, year=year)}


def _handed_out(city: Engine, writer: Engine, *items: tuple[str, str, int]) -> dict[str, int]:
    """Put items on the list, hand all out and return the task of each area."""
    _list(city, *items)
    service.hand_out(writer, CITY, _items(city))
    return {area: task.id for area, task in _tasks(city).items()}


def test_handing_out_twice_makes_one_task(city: Engine, writer: Engine) -> None:
    _list(city, (MINE, BURNING, 30), (FAR, BURNING, 30))
    assert service.hand_out(writer, CITY, _items(city)) == service.HandedOut(2, {})
    assert service.hand_out(writer, CITY, _items(city)) == service.HandedOut(0, {"already": 2})
    task = _tasks(city)[MINE]
    assert (task.chief, task.due_on, task.status_name) == ("王网格", TODAY + timedelta(days=20), "待办")
    assert _tasks(city)[FAR].chief is None


def test_what_is_cut_over_or_of_another_town_is_left_with_its_reason(city: Engine, writer: Engine) -> None:
    _list(city, (MINE, BURNING, 30), (NEIGHBOUR, BURNING, 30), (MINE, WATER, -30), (FAR, WATER, 30))
    with city.begin() as connection:
        _run(connection, "UPDATE seasonal_item SET cut = true WHERE area = :a", NEIGHBOUR)
    done = service.hand_out(writer, OFFICE, _items(city))
    assert done == service.HandedOut(1, {"cut": 1, "over": 1, "elsewhere": 1})
    assert set(_tasks(city)) == {MINE}
    with pytest.raises(NotAllowedError):
        service.hand_out(writer, CHIEF, _items(city))


def test_what_is_handed_out_late_gets_a_week_but_not_more_than_its_window(
    city: Engine, writer: Engine
) -> None:
    numbers = _handed_out(city, writer, (MINE, BURNING, 5), (NEIGHBOUR, BURNING, -18))
    due = {area: task.due_on for area, task in _tasks(city).items()}
    assert set(numbers) == {MINE, NEIGHBOUR}
    assert due == {MINE: TODAY + timedelta(days=7), NEIGHBOUR: TODAY + timedelta(days=2)}


def test_a_chief_cannot_touch_another_grids_task_even_in_the_database(city: Engine, writer: Engine) -> None:
    numbers = _handed_out(city, writer, (MINE, BURNING, 30), (NEIGHBOUR, BURNING, 30))
    with pytest.raises(NotFoundError):
        service.close(writer, CHIEF, numbers[NEIGHBOUR], DONE)
    with acting(writer, "chief", MINE) as connection:
        assert [task.area for task in stored.tasks(connection)] == [MINE]
        changed = connection.execute(text("UPDATE seasonal_task SET due_on = due_on + 1"))
        assert changed.rowcount == 1
    row = "(year, level, area, category, start_on, end_on, due_on, action, handed_out_by)"
    values = f"({YEAR}, 'grid', '{NEIGHBOUR}', '02', now(), now(), now(), '', 'chief')"
    step = "INSERT INTO seasonal_task_step (task_id, who, what) VALUES"
    for statement, match in (
        (f"INSERT INTO seasonal_task {row} VALUES {values}", "row-level security"),
        (f"{step} ({numbers[NEIGHBOUR]}, 'chief', 'done')", "row-level security"),
        (f"{step} ({numbers[MINE]}, 'office', 'done')", "row-level security"),
        ("UPDATE seasonal_task_step SET who = 'office'", "permission denied"),
        ("DELETE FROM seasonal_task", "permission denied"),
        ("UPDATE seasonal_task SET area = ''", "permission denied"),
    ):  # fmt: skip
        with pytest.raises(ProgrammingError, match=match), acting(writer, "chief", MINE) as connection:
            connection.execute(text(statement))


def test_a_connection_that_says_nobody_sees_nothing_also_after_one_that_saw_the_city(
    city: Engine, writer: Engine, database: str
) -> None:
    _handed_out(city, writer, (MINE, BURNING, 30))
    pooled = make_engine(database, role=WRITER, pooled=True)
    with acting(pooled, "command", "") as connection:
        assert len(stored.tasks(connection)) == 1
    with pooled.connect() as connection:  # the same session, whose settings are now ''
        assert stored.tasks(connection) == []
    pooled.dispose()


def test_the_reader_knows_what_was_treated_but_not_what_somebody_wrote(
    city: Engine, writer: Engine, database: str
) -> None:
    numbers = _handed_out(city, writer, (MINE, BURNING, 30), (FAR, BURNING, 30))
    service.close(writer, CHIEF, numbers[MINE], DONE)
    reader = make_engine(database, role=READER)
    with reader.connect() as connection:
        found = stored.treatments(connection, YEAR)
        assert [(each.area, each.done_on, each.status) for each in found] == [
            (MINE, TODAY, "done"), (FAR, None, "open")
        ]  # fmt: skip
    for column in ("reason", "note", "closed_by"):
        with reader.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"SELECT {column} FROM seasonal_task"))
    for table in ("seasonal_task_step", "seasonal_task_photo"):
        with reader.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"SELECT 1 FROM {table}"))


def test_each_closes_what_is_theirs(city: Engine, writer: Engine) -> None:
    numbers = _handed_out(city, writer, (MINE, BURNING, 30), (TOWN, WATER, 30))
    with pytest.raises(NotAllowedError):
        service.close(writer, OFFICE, numbers[MINE], DONE)
    with pytest.raises(NotAllowedError):
        service.close(writer, CITY, numbers[TOWN], DONE)
    with pytest.raises(NotFoundError):
        service.close(writer, CHIEF, numbers[TOWN], DONE)
    service.close(writer, CHIEF, numbers[MINE], DONE)
    service.close(writer, OFFICE, numbers[TOWN], DONE)
    assert all(task.is_done for task in _tasks(city).values())


def test_not_done_needs_a_reason_and_done_a_day_that_has_come(city: Engine, writer: Engine) -> None:
    number = _handed_out(city, writer, (MINE, BURNING, 30))[MINE]
    for outcome, field in (
        (Outcome(done=False, reason=" "), "reason"),
        (Outcome(done=True, done_on=TODAY + timedelta(days=1)), "done_on"),
        (Outcome(done=True, note="x" * 501), "note"),
    ):
        with pytest.raises(InputError) as refused:
            service.close(writer, CHIEF, number, outcome)
        assert refused.value.field == field
    assert _tasks(city)[MINE].is_open
    statement = text("UPDATE seasonal_task SET status = 'not_done', closed_at = now()")
    with pytest.raises(IntegrityError, match="ck_seasonal_task_reason"), city.begin() as connection:
        connection.execute(statement)
    service.close(writer, CHIEF, number, Outcome(done=False, reason="无人在家"))
    assert (_tasks(city)[MINE].reason, _tasks(city)[MINE].done_on) == ("无人在家", None)


def test_a_report_is_made_once_and_taken_back_on_its_own_day_only(city: Engine, writer: Engine) -> None:
    number = _handed_out(city, writer, (MINE, BURNING, 30))[MINE]
    for _ in range(2):  # the button was pressed twice
        service.close(writer, CHIEF, number, DONE)
    with pytest.raises(ConflictError):
        service.close(writer, Actor("another", Role.GRID_WORKER, MINE), number, DONE)
    with pytest.raises(ConflictError):
        service.reopen(writer, CHIEF, number, today=TODAY + timedelta(days=1))
    service.reopen(writer, CHIEF, number)
    with pytest.raises(ConflictError):
        service.reopen(writer, CHIEF, number)
    assert _tasks(city)[MINE].is_open
    with city.connect() as connection:
        record = [(step.who, step.what) for step in stored.steps(connection, number)]
    assert record == [("command", "下发"), ("chief", "办好"), ("chief", "撤销填报")]


def test_a_rebuilt_list_keeps_the_tasks_and_their_items(city: Engine, writer: Engine) -> None:
    numbers = _handed_out(city, writer, (MINE, BURNING, 30), (FAR, BURNING, 30))
    service.close(writer, CHIEF, numbers[MINE], DONE)
    _list(city, (MINE, BURNING, 24), (MINE, BURNING, 90), (NEIGHBOUR, BURNING, 30))
    assert {task.item_id for task in _tasks(city).values()} == {None}
    with city.begin() as connection:
        assert service.relink(connection, YEAR) == 1
    task, near = _tasks(city)[MINE], min(_items(city), key=lambda item: item.start_on)
    assert (task.id, task.is_done, task.item_id) == (numbers[MINE], True, near.id)
    assert _tasks(city)[FAR].item_id is None
    done = service.hand_out(writer, CITY, _items(city))
    assert done == service.HandedOut(2, {"already": 1})  # the season in 90 days is another one


def test_a_town_task_is_split_to_its_grids_once(city: Engine, writer: Engine) -> None:
    number = _handed_out(city, writer, (TOWN, BURNING, 30), (NEIGHBOUR, BURNING, 30))[TOWN]
    assert service.split(writer, OFFICE, number) == 1  # the neighbour has its own item of this season
    assert service.split(writer, OFFICE, number) == 0
    part = _tasks(city)[MINE]
    assert (part.parent_id, part.chief, part.due_on) == (number, "王网格", _tasks(city)[TOWN].due_on)
    service.close(writer, CHIEF, part.id, Outcome(done=False, reason="需部门支持"))
    assert (_tasks(city)[TOWN].parts, _tasks(city)[TOWN].parts_closed) == (1, 1)
    with pytest.raises(NotAllowedError):
        service.split(writer, OFFICE, part.id)


def test_a_town_moves_a_day_within_the_window(city: Engine, writer: Engine) -> None:
    number = _handed_out(city, writer, (MINE, BURNING, 30))[MINE]
    with pytest.raises(InputError):
        service.move(writer, OFFICE, number, TODAY - timedelta(days=1))
    with pytest.raises(NotAllowedError):
        service.move(writer, CHIEF, number, TODAY)
    service.move(writer, OFFICE, number, TODAY + timedelta(days=2))
    task = _tasks(city)[MINE]
    assert [task.days_over(TODAY + timedelta(days=days)) for days in (2, 3, 9)] == [0, 1, 7]


def test_the_evidence_shows_both_years_and_the_parts(city: Engine, writer: Engine) -> None:
    _list(city, (MINE, BURNING, 20), year=YEAR - 1)
    with city.connect() as connection:
        before = seasonal.items(connection, YEAR - 1)
    service.hand_out(writer, CITY, before, today=TODAY - timedelta(days=365))
    _handed_out(city, writer, (TOWN, BURNING, 30), (MINE, BURNING, 30))
    [wide] = [item for item in _items(city) if item.area == TOWN]
    with city.connect() as connection:
        last, this = stored.of_item(connection, wide)
    assert (last.year, last.own, last.total) == (YEAR - 1, None, 1)
    assert (this.year, this.own, this.total, this.done) == (YEAR, "open", 1, 0)


# --- photos


def _jpeg(size: tuple[int, int] = (3000, 2000)) -> bytes:
    """Return a picture with a position, a device, an orientation and a comment in it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (33.0, 30.0, 0.0), 3: "E", 4: (114.0, 15.0, 0.0)})
    stream = io.BytesIO()
    picture = Image.new("RGB", size, "teal")
    picture.save(stream, "JPEG", exif=exif, comment=b"a maker", xmp=b"<x>a maker</x>", icc_profile=b"a maker")
    return stream.getvalue()


def test_a_photo_keeps_its_pixels_and_loses_all_else(tmp_path: Path) -> None:
    given = _jpeg()
    assert b"a maker" in given
    photo = pictures.prepare(given)
    kept.keep(tmp_path, photo.sha256, pictures.ENDING, photo.data)
    [path] = tmp_path.rglob("*.jpg")
    assert (path.stem, path.read_bytes()) == (photo.sha256, photo.data)
    shown = Image.open(io.BytesIO(photo.data))
    assert shown.size == (1067, 1600)  # turned upright, then shrunk
    assert dict(shown.getexif()) == {}
    assert set(shown.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"a maker" not in photo.data
    assert b"Exif" not in photo.data


def _png(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("1", size).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: _jpeg()[:500],
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        lambda: b"",
        lambda: _png((12_000, 12_000)),
        lambda: b"\xff\xd8" + b"\0" * pictures.LARGEST_FILE,
    ],
    ids=["cut short", "another kind", "empty", "unpacks to gigabytes", "above 8 MB"],
)
def test_a_broken_or_huge_picture_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(InputError, match=r"photo: .* up to 8 MB and 50 megapixels"):
        pictures.prepare(make())


def test_a_photo_of_a_refused_report_is_not_kept(city: Engine, writer: Engine) -> None:
    number = _handed_out(city, writer, (NEIGHBOUR, BURNING, 30))[NEIGHBOUR]
    kept: list[str] = []
    with pytest.raises(NotFoundError):
        service.close(writer, CHIEF, number, DONE, photo="ab", keep_photo=lambda: kept.append("ab"))
    assert kept == []


# --- work done elsewhere


def _import(
    engine: Engine, folder: Path, *rows: str, head: str = "year,area,category,done_on,note"
) -> object:
    path = folder / "done.csv"
    path.write_text("\n".join((head, *rows)), encoding="utf-8")
    return import_tasks(engine, path, load_mapping(None), rejects=folder / "rejects.csv").counts()


def _counts(**changes: int) -> dict[str, int]:
    names = ("read", "filtered", "new", "updated", "unchanged", "rejected")
    return dict.fromkeys(names, 0) | changes


def test_imported_work_closes_tasks_and_makes_missing_ones_once(
    city: Engine, writer: Engine, tmp_path: Path
) -> None:
    _handed_out(city, writer, (MINE, BURNING, 30), (TOWN, WATER, 30))
    rows = (
        f"{YEAR},{MINE},秸秆焚烧,{TODAY},清了三处",
        f"{YEAR},{NEIGHBOUR},02,{TODAY - timedelta(days=3)},",
    )
    assert _import(city, tmp_path, *rows) == _counts(read=2, new=1, updated=1)
    assert _import(city, tmp_path, *rows) == _counts(read=2, unchanged=2)
    closed, made = _tasks(city)[MINE], _tasks(city)[NEIGHBOUR]
    assert (closed.is_done, closed.note) == (True, "清了三处")
    assert (made.done_on, made.level, made.item_id) == (TODAY - timedelta(days=3), "grid", None)
    assert made.start_on == TODAY + timedelta(days=30)  # the window of the town's item
    chinese = "年份,网格编码,事项,办理日期,备注"
    changed = f"{YEAR},{NEIGHBOUR},灌溉用水,{TODAY},"
    assert _import(city, tmp_path, changed, head=chinese) == _counts(read=1, updated=1)
    assert _tasks(city)[NEIGHBOUR].done_on == TODAY


def test_imported_work_that_cannot_be_taken_is_rejected_with_its_reason(city: Engine, tmp_path: Path) -> None:
    _list(city, (TOWN, WATER, 30))
    counts = _import(
        city,
        tmp_path,
        f"{YEAR},{FAR},02,{TODAY},",
        f"{YEAR},{MINE},01,{TODAY},",
        f"{YEAR - 3},{MINE},02,{TODAY},",
        f"{YEAR},990101009,02,{TODAY},",
        f"{YEAR},{MINE},火灾,{TODAY},",
        f"{YEAR},{MINE},02,{TODAY + timedelta(days=1)},",
        f"{YEAR},{MINE},02,昨天,",
        f"{YEAR},{MINE},02,{TODAY},",
        f"{YEAR},{MINE},灌溉用水,{TODAY},又一次",
    )
    assert counts == _counts(read=9, new=1, rejected=8)
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig") as stream:
        reasons = [(int(row["row"]), row["field"], row["reason"]) for row in csv.DictReader(stream)]
    fields = {row: field for row, field, _ in reasons}
    assert fields == {
        2: "category", 3: "category", 4: "year", 5: "area", 6: "category", 7: "done_on", 8: "done_on",
        10: "area",
    }  # fmt: skip
    assert sum("no list item" in reason for _, _, reason in reasons) == 2
