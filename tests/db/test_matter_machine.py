"""Random people take random acts on matters in random flows, on the real database, beside a model of it.

The model (`matter_model.py`) says who may do what, where a matter then stands, when it is due and what its
history says. After every act, refused ones too, the case is read back whole and compared. `MATTER_WALKS` sets
how many walks are made, `MATTER_STEPS` how long one is; `MATTER_SHRINK` shortens one that fails.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.engine import MATTERS, make_engine
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.actor import RESIDENT, Actor
from gridmgmt.incidents.flows import packaged, stored
from gridmgmt.incidents.flows.flow import Flow, Limit, Move, Need
from gridmgmt.incidents.flows.reading import as_text
from gridmgmt.incidents.handling import hands, service
from gridmgmt.incidents.handling.intake import Told, take_in
from gridmgmt.incidents.handling.tick import tick
from gridmgmt.incidents.handling.visits import VisitTold
from tests.db import matter_world as world
from tests.db.matter_model import (
    DAYS_OF,
    LEVELS,
    OFFICES,
    PEOPLE,
    TELLERS,
    UNITS,
    Errors,
    Hand,
    Matter,
    any_flow,
    categories,
    ends,
    is_office,
    is_return,
    move_refused,
    not_live,
    office_only,
    passed,
    places,
    put_off,
    sees,
    turned_back,
    visited,
    visits,
)

WALKS = int(os.environ.get("MATTER_WALKS", "25"))
LENGTH = int(os.environ.get("MATTER_STEPS", "30"))
# Shortening a walk takes minutes, and it is printed anyway.
PHASES = tuple(Phase) if os.environ.get("MATTER_SHRINK") else (Phase.generate,)


class Matters(RuleBasedStateMachine):
    """The city and its model side by side; `owner` and `engine` are set by the test."""

    owner: Engine
    engine: Engine
    done: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.matters: dict[int, Matter] = {}
        self.rows: dict[int, list[Any]] = {}  # every step as it was first read
        self.flows: dict[str, Flow] = {}
        self.now = datetime(2026, 1, 1, tzinfo=CHINA)
        self.before = 0

    # Weeks around the Spring Festival and the National Day are likelier than others.
    @initialize(
        day=st.sampled_from([date(2026, 2, 11), date(2026, 9, 24), date(2025, 9, 26), date(2026, 4, 2)])
        | st.dates(date(2025, 1, 2), date(2026, 11, 1)),
        hour=st.integers(0, 23),
        flow=any_flow(),
        data=st.data(),
    )
    def begin(self, day: date, hour: int, flow: Flow, data: st.DataObject) -> None:
        with self.owner.begin() as connection:
            self.before = connection.scalar(text("SELECT coalesce(max(id), 0) FROM incident"))
        self.now = datetime.combine(day, time(hour), CHINA)
        for each in packaged.flows():
            stored.load(self.owner, "test", as_text(each), each.code)
            self.flows[each.code] = each
        self._load(flow)
        for _ in range(2):  # some walks never draw the rule that takes one in
            self._take_in(data, data.draw(st.sampled_from(TELLERS)), data.draw(places), data.draw(categories))

    def _load(self, flow: Flow) -> None:
        stored.load(self.owner, "test", as_text(flow), flow.code)
        self.flows[flow.code] = flow

    @rule(hours=st.integers(1, 12) | st.integers(24, 24 * 20))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(flow=any_flow())
    def load_another_flow(self, flow: Flow) -> None:
        """Matters that stand go on as they began: the model keeps the flow that it had."""
        self._load(flow)

    @precondition(lambda self: len(self.matters) < 5)
    @rule(data=st.data(), teller=st.sampled_from(TELLERS), grid=places, category=categories)
    def take_in(self, data: st.DataObject, teller: Actor, grid: str | None, category: str) -> None:
        self._take_in(data, teller, grid, category)

    def _take_in(self, data: st.DataObject, teller: Actor, grid: str | None, category: str) -> None:
        flow = self.flows[data.draw(st.sampled_from(sorted(self.flows)), "flow")]
        lon, lat = world.middle(grid) if grid else (None, None)
        told = Told(category, "夜市到半夜还很吵", "12345", lon=lon, lat=lat, flow=flow.code)
        key = uuid.uuid4()
        if grid is None and teller.role is not Role.COMMAND:
            with pytest.raises(InputError):
                take_in(self.engine, None, teller, told, key, now=self.now)
            return
        made = take_in(self.engine, None, teller, told, key, now=self.now)
        level = "village" if teller.role is Role.GRID_WORKER else "town"
        if teller.role is Role.COMMAND:
            level = "city"
        due = ends(self.now, Limit(days=DAYS_OF[category] or flow.days))
        matter = Matter(made.case_id, flow, category, grid, level, flow.begins, self.now, self.now, due)
        matter.base = self.now
        matter.log("take_in")
        matter.enter(self.now)
        self.matters[matter.id] = matter
        self._same(matter)
        again = take_in(self.engine, None, teller, told, key, now=self.now)
        assert (again.case_id, again.again) == (made.case_id, True)
        other = replace(told, words="另一件事")
        with pytest.raises(ConflictError):
            take_in(self.engine, None, teller, other, key, now=self.now)

    # --- acts

    def _pick(self, data: st.DataObject, people: tuple[Actor, ...] = PEOPLE) -> tuple[Matter, Actor]:
        matter = self.matters[data.draw(st.sampled_from(sorted(self.matters)), "matter")]
        likely = [actor for actor in people if is_office(actor, matter) and sees(actor, matter)]
        return matter, data.draw(st.sampled_from(likely * 12 + list(people)), "actor")

    def _do(
        self, matter: Matter, actor: Actor, call: Callable[..., int], refused: Errors,
        effect: Callable[[], None], data: st.DataObject | None = None,
    ) -> None:  # fmt: skip
        """Make an act: as the model says it is refused, by one of the errors, or has its effect.

        With `data` an old version is shown now and then, which must be told and change nothing.
        """
        refused = dict(refused)
        if not sees(actor, matter):
            refused = {"unseen": NotFoundError}
        if data is not None and matter.version > 1 and data.draw(st.integers(0, 9), "stale") == 0:
            with pytest.raises((ConflictError, NotFoundError)):
                call(matter.version - 1)
        elif refused:
            with pytest.raises(tuple(refused.values())):
                call(matter.version)
        else:
            answer = call(matter.version)
            effect()
            assert answer == matter.version
        self._same(matter)

    @precondition(lambda self: self.matters)
    @rule(data=st.data(), moves=st.integers(3, 12))
    def go_on(self, data: st.DataObject, moves: int) -> None:
        """Some moves one after the other by people who may and who fill everything in, departments too."""
        matter = self.matters[data.draw(st.sampled_from(sorted(self.matters)), "matter")]
        offices = [actor for actor in OFFICES if is_office(actor, matter) and sees(actor, matter)]
        for _ in range(moves):
            if not matter.open or not offices:
                return
            for number, hand in list(matter.hands.items()):
                for act in ("accept", "answer", "strike_off"):
                    if hand.live:
                        people = [actor for actor in world.ACTORS if actor.unit == hand.unit] + offices
                        self._turn(matter, number, act, offices[0] if act == "strike_off" else people[0])
            visit = data.draw(visits() | st.none(), "visit")
            to = data.draw(st.sampled_from([move.to for move in matter.flow.step(matter.stage).moves]), "to")
            self._move(matter, data.draw(st.sampled_from(offices), "office"), to, "已办", UNITS[:1], visit)
            self.now += timedelta(hours=data.draw(st.integers(0, 30), "hours"))

    @precondition(lambda self: self.matters)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Make a move of the flow or one that it has not, filled in or not."""
        matter, actor = self._pick(data)
        ways = [move.to for move in matter.flow.step(matter.stage).moves]
        to = data.draw(st.sampled_from(ways * 8 + [step.code for step in matter.flow.steps]), "to")
        words = data.draw(st.sampled_from(["已办"] * 9 + [""]), "words")
        units = data.draw(
            st.sampled_from([UNITS[:1], UNITS[:1], UNITS[:2], UNITS[1:], (), ("没有这个局",)]), "units"
        )
        visit = data.draw(visits() | visits() | visits() | st.none(), "visit")
        self._move(matter, actor, to, words, units, visit, data)

    def _move(
        self, matter: Matter, actor: Actor, to: str, words: str, units: tuple[str, ...],
        visit: VisitTold | None, data: st.DataObject | None = None,
    ) -> None:  # fmt: skip
        moves = matter.flow.step(matter.stage).moves
        chosen = next((move for move in moves if move.to == to), None)
        refused = not_live(matter)
        if chosen is None:
            refused["no edge"] = InputError
        else:
            refused |= move_refused(matter, actor, chosen, words, units, visit)

        def effect() -> None:
            assert chosen
            self._moved(matter, chosen, words, units, visit)

        self._do(
            matter, actor,
            lambda version: service.move(
                self.engine, actor, matter.id, version, to, note=words, units=units, answer=words,
                visit=visit,
                now=self.now,
            ),
            refused, effect, data,
        )  # fmt: skip

    def _moved(
        self, matter: Matter, move: Move, words: str, units: tuple[str, ...], visit: VisitTold | None
    ) -> None:
        if Need.UNITS in move.needs and not matter.live_hands:
            self._handed(matter, units)
        back = turned_back(matter, move, visit)
        if visit:
            visited(matter, visit)
        if back:
            matter.reopen(self.now)
            return
        if Need.ANSWER in move.needs:
            matter.answer = words
        if matter.flow.step(move.to).final:
            matter.close("move", move.to)
            for other in self.matters.values():
                if other.leader == matter.id and other.open:
                    other.answer = matter.answer or other.answer
                    other.close("link", next(step.code for step in other.flow.steps if step.final))
        else:
            matter.log("move", move.to)
            matter.enter(self.now)

    @precondition(lambda self: self.matters)
    @rule(data=st.data())
    def visit(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)
        visit = data.draw(visits(), "visit")
        refused: Errors = {}
        if actor.username == RESIDENT:
            if matter.open or matter.rated:
                refused["not to be rated"] = ConflictError
        elif actor.role is Role.DEPARTMENT or (actor.role is Role.GRID_WORKER and is_return(visit)):
            refused["who"] = NotAllowedError

        def effect() -> None:
            visited(matter, visit)
            matter.rated = matter.rated or actor.username == RESIDENT
            low = visit.satisfaction is not None and visit.satisfaction <= matter.flow.dissatisfied_at_most
            if is_return(visit) and low and not matter.open:
                matter.reopen(self.now)

        self._do(
            matter, actor,
            lambda version: service.visit(self.engine, actor, matter.id, version, visit, now=self.now),
            refused, effect, data,
        )  # fmt: skip

    @precondition(lambda self: self.matters)
    @rule(data=st.data(), act=st.sampled_from(["raise_or_lower", "supervise", "extend", "note", "correct"]))
    def act_aside(self, data: st.DataObject, act: str) -> None:
        """What leaves a matter at its step."""
        getattr(self, act)(data)

    def raise_or_lower(self, data: st.DataObject) -> None:
        up = data.draw(st.booleans(), "up")
        matter, actor = self._pick(data)
        refused = not_live(matter)
        at = LEVELS.index(matter.level) + (1 if up else -1)
        if not 0 <= at < 3 or (not up and not matter.village):
            refused["no such level"] = ConflictError
        by_grid = up and actor.role is Role.GRID_WORKER and matter.level == "village"
        if not is_office(actor, matter) and not by_grid:
            refused["who"] = NotAllowedError
        call = service.raise_ if up else service.lower

        def effect() -> None:
            matter.level = LEVELS[at]
            matter.log("raise" if up else "lower")

        self._do(
            matter, actor,
            lambda version: call(self.engine, actor, matter.id, version, "请接办", now=self.now),
            refused, effect, data,
        )  # fmt: skip

    def supervise(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)
        refused: Errors = {} if matter.open else {"closed": ConflictError}
        if actor.role is not Role.COMMAND:
            refused |= office_only(actor, matter)

        def effect() -> None:
            matter.supervised = True
            matter.log("supervise")

        self._do(
            matter, actor,
            lambda version: service.supervise(self.engine, actor, matter.id, version, "请加快", now=self.now),
            refused, effect, data,
        )  # fmt: skip

    def extend(self, data: st.DataObject) -> None:
        days = data.draw(st.integers(0, 31), "days")
        matter, actor = self._pick(data)
        refused = not_live(matter) | office_only(actor, matter)
        if not 1 <= days <= 30:
            refused["days"] = InputError
        if matter.extended >= 2:
            refused["twice"] = ConflictError

        def effect() -> None:
            matter.extended += 1
            matter.later += days
            assert matter.step_due
            matter.due, matter.step_due = put_off(matter.due, days), put_off(matter.step_due, days)
            matter.escalated = False
            matter.log("extend")

        self._do(
            matter, actor,
            lambda version: service.extend(
                self.engine, actor, matter.id, version, days, "等材料", now=self.now
            ),
            refused, effect, data,
        )  # fmt: skip

    @precondition(lambda self: self.matters)
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)

        def effect() -> None:
            matter.suspended = self.now
            matter.log("suspend")

        self._do(
            matter, actor,
            lambda version: service.suspend(self.engine, actor, matter.id, version, "等判决", now=self.now),
            not_live(matter) | office_only(actor, matter), effect, data,
        )  # fmt: skip

    @precondition(lambda self: any(matter.suspended for matter in self.matters.values()))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)
        refused = office_only(actor, matter)
        if not matter.suspended:
            refused["not suspended"] = ConflictError

        def effect() -> None:
            assert matter.suspended
            stood = passed(matter.suspended, self.now)
            by_hours = matter.flow.step(matter.stage).limit.hours
            assert matter.step_due
            paused = self.now - matter.suspended
            matter.step_due = matter.step_due + paused if by_hours else put_off(matter.step_due, stood)
            matter.due = put_off(matter.due, stood)
            matter.later += stood
            matter.suspended, matter.escalated = None, False
            matter.log("resume")

        self._do(
            matter, actor,
            lambda version: service.resume(self.engine, actor, matter.id, version, now=self.now),
            refused, effect, data,
        )  # fmt: skip

    def note(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)
        self._do(
            matter, actor,
            lambda version: service.note(self.engine, actor, matter.id, version, "已电话联系", now=self.now),
            {} if actor.role else {"nobody": NotAllowedError}, lambda: matter.log("note"), data,
        )  # fmt: skip

    @precondition(lambda self: any(not matter.open for matter in self.matters.values()))
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        matter, actor = self._pick(data)
        refused = office_only(actor, matter)
        if matter.open:
            refused["open"] = ConflictError
        self._do(
            matter, actor,
            lambda version: service.reopen(self.engine, actor, matter.id, version, "又来反映", now=self.now),
            refused, lambda: matter.reopen(self.now), data,
        )  # fmt: skip

    @precondition(lambda self: len(self.matters) > 1)
    @rule(data=st.data(), back=st.integers(0, 3))
    def link(self, data: st.DataObject, back: int) -> None:
        matter, actor = self._pick(data)
        other = self.matters[data.draw(st.sampled_from(sorted(self.matters)), "other")]
        refused = office_only(actor, matter)
        if not matter.open:
            refused["closed"] = ConflictError
        if matter.live_hands:
            refused["in hand"] = ConflictError
        leader = other.leader or other.id
        if back and (not other.open or not sees(actor, other)):
            refused["no such other"] = InputError
        leads = any(each.leader == matter.id and each.open for each in self.matters.values())
        if back and (leader == matter.id or leads):
            refused["in a ring"] = InputError

        def effect() -> None:
            matter.leader = leader if back else None
            matter.log("link")

        self._do(
            matter, actor,
            lambda version: service.link(
                self.engine, actor, matter.id, version, other.id if back else None, now=self.now
            ),
            refused, effect, data,
        )  # fmt: skip

    def correct(self, data: st.DataObject) -> None:
        category = data.draw(st.none() | st.sampled_from(sorted(DAYS_OF)), "category")
        grid = data.draw(st.none() | st.sampled_from(sorted(world.CORNERS)), "grid")
        matter, actor = self._pick(data)
        refused = not_live(matter) | office_only(actor, matter)
        if grid and not grid.startswith(actor.area):
            refused["outside"] = InputError
        if (category is None or category == matter.category) and grid is None:
            refused["nothing"] = InputError
        lon, lat = world.middle(grid) if grid else (None, None)

        def effect() -> None:
            if category and category != matter.category:
                matter.category = category
                assert matter.base
                matter.due = put_off(ends(matter.base, matter.limit()), matter.later)
            matter.grid = grid or matter.grid
            matter.log("correct")

        self._do(
            matter, actor,
            lambda version: service.correct(
                self.engine, actor, matter.id, version, category=category, lon=lon, lat=lat, now=self.now
            ),
            refused, effect, data,
        )  # fmt: skip

    # --- departments

    def _handed(self, matter: Matter, units: tuple[str, ...]) -> None:
        leads = any(hand.part == "lead" for hand in matter.live_hands)
        with self.owner.connect() as connection:
            rows = connection.execute(
                text("SELECT id, unit FROM incident_hand WHERE case_id = :id ORDER BY id"), {"id": matter.id}
            ).all()
        fresh = [(number, unit) for number, unit in rows if number not in matter.hands]
        assert [unit for _, unit in fresh] == list(units)
        for number, unit in fresh:
            matter.hands[number] = Hand(unit, "joint" if leads else "lead")
            leads = True
            matter.log("hand")

    @precondition(lambda self: self.matters)
    @rule(data=st.data(), units=st.lists(st.sampled_from(UNITS), max_size=2))
    def hand(self, data: st.DataObject, units: list[str]) -> None:
        matter, actor = self._pick(data)
        refused = not_live(matter) | office_only(actor, matter)
        if not units or len(set(units)) < len(units):
            refused["units"] = InputError
        if set(units) & {hand.unit for hand in matter.live_hands}:
            refused["busy"] = ConflictError
        self._do(
            matter, actor,
            lambda version: hands.hand(self.engine, actor, matter.id, version, units, now=self.now),
            refused, lambda: self._handed(matter, tuple(units)), data,
        )  # fmt: skip

    @precondition(lambda self: any(matter.hands for matter in self.matters.values()))
    @rule(
        data=st.data(),
        act=st.sampled_from(["accept", "refuse", "answer", "strike_off", "return", "withdraw"]),
    )
    def turn(self, data: st.DataObject, act: str) -> None:
        """Whoever does something with a department's line."""
        lines = [(matter, number) for matter in self.matters.values() for number in sorted(matter.hands)]
        matter, number = data.draw(st.sampled_from(lines), "line")
        hand = matter.hands[number]
        likely = [actor for actor in PEOPLE if actor.unit == hand.unit or is_office(actor, matter)]
        actor = data.draw(st.sampled_from(likely * 6 + list(PEOPLE)), "actor")
        self._turn(matter, number, act, actor)

    def _turn(self, matter: Matter, number: int, act: str, actor: Actor) -> None:
        hand = matter.hands[number]
        by_unit = act in ("accept", "refuse", "answer")
        states = {
            "accept": {"asked"}, "refuse": {"asked"}, "answer": {"accepted", "returned"},
            "strike_off": {"answered"}, "return": {"answered"},
            "withdraw": {"asked", "accepted", "answered", "returned"},
        }[act]  # fmt: skip
        refused: Errors = {}
        if hand.status not in states or not matter.open:
            refused["state"] = ConflictError
        if by_unit and actor.role is not Role.DEPARTMENT:
            refused["no department"] = NotAllowedError
        if by_unit and actor.unit != hand.unit:
            refused["another's"] = NotFoundError
        if not by_unit and not is_office(actor, matter):
            refused["no office"] = NotAllowedError
        if not sees(actor, matter):
            refused["unseen"] = NotFoundError
        into = {"accept": "accepted", "refuse": "refused", "answer": "answered", "strike_off": "struck_off",
                "return": "returned", "withdraw": "withdrawn"}[act]  # fmt: skip

        def effect() -> None:
            hand.status = into
            matter.log(act)

        function = getattr(hands, "return_" if act == "return" else act)
        words = () if act in ("accept", "strike_off") else ("说明",)
        if refused:
            with pytest.raises(tuple(refused.values())):
                function(self.engine, actor, number, *words, now=self.now)
        else:
            answer = function(self.engine, actor, number, *words, now=self.now)
            effect()
            assert answer == matter.version
        self._same(matter)

    # --- time

    @rule()
    def tick(self) -> None:
        """Twice, and the second time it finds nothing to do."""
        done = tick(self.owner, self.now)
        late = [matter for matter in self.matters.values() if self._is_late(matter)]
        for matter in late:
            matter.supervised = matter.escalated = True
            matter.log("escalate")
            self._same(matter)
        assert done.escalated == len(late)
        assert tick(self.owner, self.now).escalated == 0

    def _is_late(self, matter: Matter) -> bool:
        waits = not matter.open or matter.suspended or matter.leader or matter.escalated
        if waits or self.now <= matter.due_next:
            return False
        return passed(matter.due_next, self.now) >= matter.flow.escalates_after

    # --- what must hold

    def _same(self, matter: Matter) -> None:
        self.done["compared"] += 1
        """Read a matter back whole and compare it; its history is as it was, and longer by what was done."""
        with self.owner.connect() as connection:
            row = connection.execute(text(CASE), {"id": matter.id}).one()
            steps = connection.execute(text(STEPS), {"id": matter.id}).all()
        found = dict(row._mapping)
        assert found == {
            "stage": matter.stage, "shown_stage": matter.stage, "level": matter.level,
            "shown_level": matter.level,
            "open": matter.open, "status": "open" if matter.open else "closed", "closed": not matter.open,
            "version": matter.version, "suspended_at": matter.suspended, "supervised": matter.supervised,
            "escalated": matter.escalated, "reopened": matter.reopened, "duplicate_of": matter.leader,
            "answer": matter.answer, "settled_level": matter.settled, "satisfaction": matter.satisfaction,
            "category": matter.category, "village": matter.village, "shown_village": matter.village,
            "due_at": matter.due, "next_due_at": matter.due_next if matter.open else None,
        }  # fmt: skip
        assert [step.n for step in steps] == list(range(1, matter.version + 1))
        assert [(step.act, step.from_stage, step.to_stage) for step in steps] == matter.history
        before = self.rows.get(matter.id, [])
        assert steps[: len(before)] == before
        self.rows[matter.id] = list(steps)

    @invariant()
    def every_history_is_a_walk_through_its_flow(self) -> None:
        for matter in self.matters.values():
            edges = {(step.code, move.to) for step in matter.flow.steps for move in step.moves}
            assert matter.history[0][:2] == ("take_in", None)
            for (_, _, left), (act, came, to) in pairwise(matter.history):
                assert came == left
                assert act != "move" or (came, to) in edges
                assert act != "reopen" or to == matter.flow.reopens_at
                assert act in ("move", "reopen", "link") or came == to
            assert matter.flow.step(matter.stage).final == (not matter.open)

    def teardown(self) -> None:
        """No matter is lost: all that was taken in are there, each as the model has it."""
        for matter in self.matters.values():
            self.done.update(act for act, _, _ in matter.history)
        for matter in self.matters.values():
            self._same(matter)
        later = {"before": self.before}
        with self.owner.begin() as connection:
            cases = connection.scalars(
                text("SELECT id FROM incident_case WHERE id > :before ORDER BY id"), later
            )
            matters = connection.scalars(
                text("SELECT id FROM incident WHERE id > :before ORDER BY id"), later
            )
            assert list(cases) == list(matters) == sorted(self.matters)
            # Out of the way of the next walk's clock, which may stand a year earlier.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("UPDATE incident_case SET open = false WHERE open"))


CASE = """
SELECT c.stage, i.stage AS shown_stage, c.level, i.level AS shown_level, c.open, i.status,
    i.closed_at IS NOT NULL AS closed, c.version, c.suspended_at, c.supervised_at IS NOT NULL AS supervised,
    c.escalated_at IS NOT NULL AS escalated, c.reopened, c.duplicate_of, c.answer, c.settled_level,
    i.satisfaction, i.category, c.village, i.village AS shown_village, i.due_at, c.next_due_at
FROM incident_case c JOIN incident i USING (id) WHERE c.id = :id
"""
STEPS = "SELECT * FROM incident_step WHERE case_id = :id ORDER BY n"


@pytest.fixture
def engines(engine: Engine) -> Iterator[tuple[Engine, Engine]]:
    """The owner's and the matters' engines, which keep their connections: a walk makes hundreds of acts."""
    made = world.build(engine)
    made.matters.dispose()
    url = engine.url.render_as_string(hide_password=False)
    pair = make_engine(url, pooled=True), make_engine(url, role=MATTERS, pooled=True)
    yield pair
    for each in pair:
        each.dispose()


def test_random_people_on_random_matters_in_random_flows(engines: tuple[Engine, Engine]) -> None:
    """No matter is lost, no step skipped, no act that is not allowed; limits and history as they must be."""

    class Walk(Matters):
        owner, engine = engines
        done: ClassVar[Counter[str]] = Counter()

    run_machine(
        Walk,
        settings=settings(
            max_examples=WALKS, stateful_step_count=LENGTH, deadline=None, phases=PHASES,
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        ),
    )  # fmt: skip
    print(f"{WALKS} walks: {dict(Walk.done.most_common())}")
    # A walk that comes to nothing proves nothing.
    assert Walk.done["move"] > 0


ASKED_BEFORE = """
code = "asked"
name = "先回访后办结"
days = 9
begins = "a"
reopens_at = "a"
[[step]]
code = "a"
name = "办理"
days = 5
[[step.move]]
to = "z"
says = "办结"
who = ["office"]
needs = ["answer"]
guards = ["visited"]
[[step]]
code = "z"
name = "终"
final = true
"""


def test_the_visit_that_reopened_a_matter_does_not_serve_to_close_it(engines: tuple[Engine, Engine]) -> None:
    """The walk comes here too seldom: dissatisfied, reopened at the same moment, and tried again unasked."""
    owner, engine = engines
    stored.load(owner, "test", ASKED_BEFORE, "asked.toml")
    lon, lat = world.middle(world.GRID_OWN)
    told = Told(world.NOISE, "夜市到半夜还很吵", "12345", lon=lon, lat=lat, flow="asked")
    now = datetime(2026, 2, 13, 9, tzinfo=CHINA)
    case = take_in(engine, None, world.OFFICE, told, uuid.uuid4(), now=now).case_id

    def try_to_close() -> int:
        return service.move(engine, world.OFFICE, case, None, "z", answer="已办", now=now)

    service.visit(engine, world.OFFICE, case, None, VisitTold(True, 1), now=now)
    assert try_to_close() == 3  # turned back by who was asked before
    with pytest.raises(ConflictError, match="visited"):
        try_to_close()
    service.visit(engine, world.OFFICE, case, None, VisitTold(True, 4), now=now)
    try_to_close()
    with owner.connect() as connection:
        acts = connection.scalars(
            text("SELECT act FROM incident_step WHERE case_id = :id ORDER BY n"), {"id": case}
        )
        assert list(acts) == ["take_in", "visit", "reopen", "visit", "move"]
