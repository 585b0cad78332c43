"""Turns a change into the steps that keep a household whole: one head, everybody housed, care following."""

from collections.abc import Callable, Collection
from datetime import date

from gridmgmt.errors import ConflictError, InputError
from gridmgmt.households.changes.models import Kind
from gridmgmt.households.changes.relations import joined_as, seen_from
from gridmgmt.households.changes.scenes import Home, Known, Member, Scene
from gridmgmt.households.changes.steps import (
    AddCare,
    Correct,
    End,
    EndCare,
    Enter,
    Found,
    Happened,
    House,
    Join,
    Leave,
    MoveHome,
    Relate,
    Reopen,
    Step,
)
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.models import Left, Relation, Tenure


class NumberTakenError(ConflictError):
    """An identity number is somebody else's; where that one lives is said only when it may be seen."""

    def __init__(self, known: Known) -> None:
        where = f"household {known.household_code}" if known.household_code else "a household elsewhere"
        is_dead = known.stands == Left.DIED
        who = "somebody who is registered as dead" if is_dead else f"somebody of {where}"
        super().__init__(f"the identity number belongs to {who}")
        self.is_dead = is_dead
        self.household_id = known.household_id


def plan(scene: Scene, wanted: Wanted) -> list[Step]:
    """Return the steps of a change, in order.

    InputError names the field that does not fit the household as it stands; ConflictError says that an
    identity number belongs to somebody else.
    """
    return PLANS[wanted.kind](scene, wanted)


def _correct(scene: Scene, wanted: Wanted) -> list[Step]:
    person = scene.home.member(wanted.person_id)
    values = dict(wanted.values)
    if "relation" in values and person.is_head:
        raise InputError("relation", values["relation"], "the head stays the head until a change of head")
    has_number = values.get("identity_number", person.identity_index)
    if "birth_on" in values and has_number and not values.get("identity_number"):
        raise InputError("birth_on", values["birth_on"], "what the identity number says")
    other = scene.known.get(0)
    if other and other.person_id != person.id:
        raise NumberTakenError(other)
    return [
        Correct(person.id, scene.home.dwelling_id, values),
        Happened(Kind.CORRECT, scene.home.id, person_id=person.id),
    ]


def _birth(scene: Scene, wanted: Wanted) -> list[Step]:
    if not scene.home.people:
        raise InputError("household_id", scene.home.id, "a household with people")
    if 0 in scene.known:
        raise NumberTakenError(scene.known[0])
    child = {"relation": Relation.CHILD, "registered_here": True, **wanted.values, "tenure": Tenure.FAMILY}
    return [Enter(Kind.BIRTH, scene.home.id, scene.home.dwelling_id, child)]


def _death(scene: Scene, wanted: Wanted) -> list[Step]:
    person = scene.home.member(wanted.person_id)
    if person.birth_on and wanted.on_date < person.birth_on:
        raise InputError("on_date", wanted.on_date.isoformat(), "a day after the birth")
    return [
        *_leave(scene.home, [person], wanted, Left.DIED),
        Happened(Kind.DEATH, scene.home.id, person_id=person.id),
    ]


def _move_in(scene: Scene, wanted: Wanted) -> list[Step]:
    people = wanted.values["people"]
    heads = sum(one["relation"] == Relation.HEAD for one in people)
    if heads != (0 if scene.home.people else 1):
        allowed = "no head: there is one" if scene.home.people else "one head"
        raise InputError("relation", f"{heads} heads", allowed)
    numbers = [one["identity_number"] for one in people if one.get("identity_number")]
    if len(set(numbers)) != len(numbers):
        raise InputError("identity_number", "the same one twice", "one person each")
    steps: list[Step] = [Reopen(scene.home.id)] if scene.home.ended_on else []
    for place, one in enumerate(people):
        steps.append(enter(Kind.MOVE_IN, scene.home, one, scene.known.get(place)))
    return steps


def enter(kind: Kind, home: Home, who: dict[str, object], known: Known | None) -> Enter:
    """Return the step that writes a newcomer, or takes back whoever had moved away with that number."""
    if known and known.stands != Left.MOVED:
        raise NumberTakenError(known)
    person = known.person_id if known else None
    return Enter(kind, home.id, home.dwelling_id, who, person, is_back=known is not None)


def _move_out(scene: Scene, wanted: Wanted) -> list[Step]:
    home, leaving = scene.home, _people(scene.home, wanted)
    is_whole = len(leaving) == len(home.people)
    if scene.dwelling_id is None:
        steps = _leave(home, leaving, wanted, Left.MOVED)
    elif not is_whole:
        raise InputError("to_dwelling", scene.dwelling_id, "a split, when some move elsewhere in the town")
    elif scene.dwelling_id == home.dwelling_id:
        raise InputError("to_dwelling", scene.dwelling_id, "another dwelling")
    else:
        _check_day(leaving, wanted.on_date)
        steps = [MoveHome(home.id, scene.dwelling_id), *_house(leaving, scene.dwelling_id)]
    if is_whole:
        return [*steps, Happened(Kind.MOVE_OUT, home.id)]
    return [*steps, *(Happened(Kind.MOVE_OUT, home.id, person_id=one.id) for one in leaving)]


def _split(scene: Scene, wanted: Wanted) -> list[Step]:
    home, leaving = scene.home, _people(scene.home, wanted)
    if len(leaving) == len(home.people):
        raise InputError("people", "everybody", "some of the household: others stay")
    head = home.member(wanted.values["head"], "head")
    if head not in leaving:
        raise InputError("head", head.id, "one of those who split off")
    _check_day(leaving, wanted.on_date)
    dwelling, new = scene.dwelling_id or home.dwelling_id, scene.new_household
    joining = [
        Join(one.id, new, Relation.HEAD if one is head else seen_from(head.relation, one.relation))
        for one in leaving
    ]
    rehoused = _house(leaving, dwelling) if dwelling != home.dwelling_id else []
    return [
        Found(new, dwelling), *joining, *rehoused, *_succeed(home, leaving, wanted),
        Happened(Kind.SPLIT, home.id, new), Happened(Kind.SPLIT, new, home.id),
    ]  # fmt: skip


def _merge(scene: Scene, wanted: Wanted) -> list[Step]:
    home, into = scene.home, scene.into
    if into is None or into.id == home.id or not into.people:
        raise InputError("into", into and into.id, "another household with people")
    _people(home, wanted)
    _check_day(home.people, wanted.on_date)
    head_is = Relation(wanted.values.get("relation") or Relation.OTHER)
    joining = [Join(one.id, into.id, joined_as(head_is, one.relation)) for one in home.people]
    rehoused = _house(home.people, into.dwelling_id) if into.dwelling_id != home.dwelling_id else []
    return [
        *joining, *rehoused, End(home.id),
        Happened(Kind.MERGE, home.id, into.id), Happened(Kind.MERGE, into.id, home.id),
    ]  # fmt: skip


def _head(scene: Scene, wanted: Wanted) -> list[Step]:
    new = scene.home.member(wanted.values["new_head"], "new_head")
    if new.is_head:
        raise InputError("new_head", new.id, "somebody who is not the head already")
    return [
        *_promote(scene.home.people, new),
        Happened(Kind.HEAD, scene.home.id, person_id=new.id),
    ]


def _care(scene: Scene, wanted: Wanted) -> list[Step]:
    home, values = scene.home, wanted.values
    if not home.people:
        raise InputError("household_id", home.id, "a household with people")
    if wanted.person_id is not None:
        home.member(wanted.person_id)
    same = (wanted.person_id, values["category"])
    # A care that begins anew (a new basis, another year) ends the one before.
    before = [one for one in home.cares if (one.person_id, one.category) == same]
    if any(one.since > wanted.on_date for one in before):
        raise InputError("on_date", wanted.on_date.isoformat(), "not before the same care began")
    return [
        *(EndCare(one.id) for one in before),
        AddCare(home.id, wanted.person_id, values["category"], values["basis"], values["expires"]),
        Happened(Kind.CARE, home.id, person_id=wanted.person_id),
    ]


def _care_end(scene: Scene, wanted: Wanted) -> list[Step]:
    number = wanted.values["care_id"]
    care = next((one for one in scene.home.cares if one.id == number), None)
    if care is None:
        raise InputError("care_id", number, "a care of the household that is in force")
    if wanted.on_date < care.since:
        raise InputError("on_date", wanted.on_date.isoformat(), f"not before it began on {care.since}")
    return [EndCare(number), Happened(Kind.CARE_END, scene.home.id, person_id=care.person_id)]


# --- what several kinds share


def _people(home: Home, wanted: Wanted) -> list[Member]:
    """Return the people meant: those named, or all."""
    if not home.people:
        raise InputError("household_id", home.id, "a household with people")
    named = wanted.values.get("people")
    if named is None:
        return list(home.people)
    if not named:
        raise InputError("people", "nobody", "at least one")
    return [home.member(number, "people") for number in named]


def _leave(home: Home, leaving: Collection[Member], wanted: Wanted, why: Left) -> list[Step]:
    _check_day(leaving, wanted.on_date)
    gone: list[Step] = [Leave(one.id, why) for one in leaving]
    if len(leaving) == len(home.people):
        return [*gone, End(home.id)]
    return [*gone, *_succeed(home, leaving, wanted)]


def _succeed(home: Home, leaving: Collection[Member], wanted: Wanted) -> list[Step]:
    """Return the steps that give those who stay a head, where theirs is leaving."""
    if not any(one.is_head for one in leaving):
        return []
    staying = [one for one in home.people if one not in leaving]
    named = wanted.values.get("new_head")
    new = next((one for one in staying if one.id == named), None)
    if new is None:
        raise InputError("new_head", named, "one of those who stay: the head leaves")
    return _promote(staying, new)


def _promote(people: Collection[Member], new: Member) -> list[Step]:
    """Return relations to a new head, the new one last: there are never two."""
    others: list[Step] = [
        Relate(one.id, seen)
        for one in people
        if one is not new and (seen := seen_from(new.relation, one.relation)) is not one.relation
    ]
    return [*others, Relate(new.id, Relation.HEAD)]


def _house(people: Collection[Member], dwelling: int) -> list[Step]:
    return [House(one.id, dwelling, one.tenure) for one in people]


def _check_day(people: Collection[Member], day: date) -> None:
    last = max((one.since for one in people if one.since), default=day)
    if day < last:
        raise InputError("on_date", day.isoformat(), f"not before {last}, when they moved in")


PLANS: dict[Kind, Callable[[Scene, Wanted], list[Step]]] = {
    Kind.CORRECT: _correct, Kind.BIRTH: _birth, Kind.DEATH: _death, Kind.MOVE_IN: _move_in,
    Kind.MOVE_OUT: _move_out, Kind.SPLIT: _split, Kind.MERGE: _merge, Kind.HEAD: _head, Kind.CARE: _care,
    Kind.CARE_END: _care_end,
}  # fmt: skip
