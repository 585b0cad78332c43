"""A change as somebody wants it: checked and brought to one form at the door, before any table is read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from gridmgmt.errors import InputError
from gridmgmt.households.changes.models import Kind
from gridmgmt.households.models import Care, Relation, Tenure
from gridmgmt.privacy import numbers

OLDEST = date(1900, 1, 1)
LONGEST_CARE = timedelta(days=5 * 366)
LONGEST_NAME, LONGEST_TEXT = 40, 200
MOST_PEOPLE = 30
# Kept sealed, apart from the rest of a request.
SECRETS = ("identity_number", "phone")
_NUMBER_IN_TEXT = re.compile(r"[0-9]{17}[0-9Xx]|(?<![0-9])1[3-9][0-9]{9}(?![0-9])|0[0-9]{2,3}-?[0-9]{7,8}")


@dataclass(frozen=True)
class Wanted:
    """What should change; `values` as in `FIELDS` of the kind.

    `household_id` is None only for people who move into an empty dwelling (`values["dwelling_id"]`).
    """

    kind: Kind
    household_id: int | None
    person_id: int | None
    on_date: date
    values: Mapping[str, Any]
    reason: str = ""


def checked(wanted: Wanted, today: date) -> Wanted:
    """Return the same with every value in its one form (plain JSON); InputError names the field."""
    kind = Kind(wanted.kind)
    if not OLDEST <= wanted.on_date <= today:
        raise InputError("on_date", wanted.on_date.isoformat(), "a day not after today")
    _known_fields(wanted.values, FIELDS[kind])
    values = {
        field: clean(field, wanted.values[field])
        for field, clean in FIELDS[kind].items()
        if field in wanted.values
    }
    for field in NEEDS.get(kind, ()):
        if values.get(field) in (None, "", []):
            raise InputError(field, None, "a value")
    if kind in OF_A_PERSON and wanted.person_id is None:
        raise InputError("person_id", None, "a person of the household")
    _fits_together(kind, wanted, values, today)
    return replace(wanted, kind=kind, values=values, reason=told("reason", wanted.reason))


def told(field: str, text: str) -> str:
    """Return free words; an identity or telephone number in them would stand in clear, so it is refused."""
    words = (text or "").strip()
    if len(words) > LONGEST_TEXT:
        raise InputError(field, f"{len(words)} characters", f"at most {LONGEST_TEXT}")
    if _NUMBER_IN_TEXT.search(numbers.clean_identity(words)):
        raise InputError(field, "an identity or telephone number", "words without such numbers")
    return words


def apart(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what may be kept in clear, and what is sealed; `together` is the way back."""
    clear = {field: value for field, value in values.items() if field not in SECRETS}
    secret = {field: values[field] for field in SECRETS if field in values}
    if "people" in values and any(isinstance(one, Mapping) for one in values["people"] or ()):
        pairs = [apart(one) for one in values["people"]]
        clear["people"] = [of_one for of_one, _ in pairs]
        if any(hidden for _, hidden in pairs):
            secret["people"] = [hidden for _, hidden in pairs]
    return clear, secret


def together(clear: Mapping[str, Any], secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that `apart` took apart."""
    values = {**clear, **{field: value for field, value in secret.items() if field != "people"}}
    if "people" in secret:
        values["people"] = [{**a, **b} for a, b in zip(clear["people"], secret["people"], strict=True)]
    return values


def _known_fields(values: Mapping[str, Any], fields: Mapping[str, object]) -> None:
    for field in values:
        if field not in fields:
            raise InputError(field, "given", f"one of {', '.join(fields) or 'nothing'}")


def _fits_together(kind: Kind, wanted: Wanted, values: dict[str, Any], today: date) -> None:
    """Check what concerns more than one field, and derive birth date and sex from a number."""
    if kind is Kind.CORRECT and not values:
        raise InputError("values", "nothing", "at least one field to correct")
    if kind is Kind.BIRTH:
        values["birth_on"] = wanted.on_date.isoformat()
    if kind in (Kind.BIRTH, Kind.CORRECT):
        _derive(values)
    if kind is Kind.BIRTH and values["birth_on"] != wanted.on_date.isoformat():
        raise InputError("identity_number", "another birth date", "the number of who was born that day")
    if kind is Kind.MOVE_IN and (wanted.household_id is None) == (values.get("dwelling_id") is None):
        raise InputError("dwelling_id", values.get("dwelling_id"), "a dwelling, or else a household")
    if kind is Kind.CARE:
        expires = date.fromisoformat(values["expires"])
        if not max(wanted.on_date, today) < expires <= today + LONGEST_CARE:
            raise InputError("expires", values["expires"], "a day to come within five years")


def _derive(values: dict[str, Any]) -> None:
    number = values.get("identity_number")
    if number:
        values["birth_on"] = numbers.birth_of(number).isoformat()
        values["sex"] = numbers.sex_of(number)


# --- one field each


def _name(field: str, given: object) -> str:
    name = " ".join(str(given or "").split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or re.search("[0-9<>]", name):
        raise InputError(field, f"{len(name)} characters", f"a name of 1 to {LONGEST_NAME} characters")
    return name


def _identity(field: str, given: object) -> str | None:
    number = numbers.clean_identity(str(given or ""))
    if number:
        numbers.check_identity(number)
    return number or None


def _phone(field: str, given: object) -> str | None:
    number = numbers.clean_phone(str(given or "").strip())
    if number:
        numbers.check_phone(number)
    return number or None


def _day(field: str, given: object) -> str | None:
    if given in (None, ""):
        return None
    try:
        day = given if isinstance(given, date) else date.fromisoformat(str(given))
    except ValueError as why:
        raise InputError(field, str(given), "a date") from why
    if day < OLDEST:
        raise InputError(field, day.isoformat(), "a date of today's people")
    return day.isoformat()


def _birth_day(field: str, given: object) -> str | None:
    day = _day(field, given)
    if day and day > date.today().isoformat():
        raise InputError(field, day, "a day not after today")
    return day


def _one_of(words: type[Relation] | type[Tenure] | type[Care]) -> Callable[[str, object], str]:
    def clean(field: str, given: object) -> str:
        if given not in tuple(words):
            raise InputError(field, given, " or ".join(words))
        return str(given)

    return clean


def _not_head(field: str, given: object) -> str:
    if given == Relation.HEAD:
        raise InputError(field, given, "another relation: a change of head is one of its own")
    return _one_of(Relation)(field, given)


def _sex(field: str, given: object) -> str | None:
    if given in (None, "", "male", "female"):
        return str(given) if given else None
    raise InputError(field, given, "male or female")


def _yes(field: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise InputError(field, given, "yes or no")
    return given


def _id(field: str, given: object) -> int | None:
    if given is None or (isinstance(given, int) and 0 < given < 1 << 31):
        return given
    raise InputError(field, given, "the number of a person, a household or a dwelling")


def _ids(field: str, given: object) -> list[int] | None:
    """Return the people meant, in order; None for all of the household."""
    if given is None:
        return None
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise InputError(field, given, "people of the household")
    return sorted({number for one in given if (number := _id(field, one))})


def _text(field: str, given: object) -> str:
    return told(field, str(given or ""))


def _newcomers(field: str, given: object) -> list[dict[str, Any]]:
    if not isinstance(given, (list, tuple)) or not 0 < len(given) <= MOST_PEOPLE:
        raise InputError(field, given and len(given), f"1 to {MOST_PEOPLE} people")  # type: ignore[arg-type]
    return [newcomer(one) for one in given]


def newcomer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person to write, each field in its one form; birth date and sex come from the number."""
    _known_fields(given, NEWCOMER)
    one = {field: clean(field, given[field]) for field, clean in NEWCOMER.items() if field in given}
    if not one.get("name"):
        raise InputError("name", None, "a name")
    _derive(one)
    return {"relation": Relation.OTHER.value, "tenure": Tenure.FAMILY.value, "registered_here": False} | one


NEWCOMER: dict[str, Callable[[str, Any], Any]] = {
    "name": _name, "relation": _one_of(Relation), "identity_number": _identity, "phone": _phone,
    "sex": _sex, "birth_on": _birth_day, "tenure": _one_of(Tenure), "registered_here": _yes,
}  # fmt: skip
FIELDS: dict[Kind, dict[str, Callable[[str, Any], Any]]] = {
    Kind.CORRECT: {
        "name": _name, "identity_number": _identity, "phone": _phone, "relation": _not_head,
        "birth_on": _birth_day, "registered_here": _yes,
    },
    Kind.BIRTH: {
        "name": _name, "sex": _sex, "relation": _not_head, "identity_number": _identity,
        "registered_here": _yes,
    },
    Kind.DEATH: {"new_head": _id},
    Kind.MOVE_IN: {"dwelling_id": _id, "people": _newcomers},
    Kind.MOVE_OUT: {"people": _ids, "to_dwelling": _id, "new_head": _id},
    Kind.SPLIT: {"people": _ids, "head": _id, "new_head": _id, "to_dwelling": _id},
    Kind.MERGE: {"into": _id, "relation": _not_head},
    Kind.HEAD: {"new_head": _id},
    Kind.CARE: {"category": _one_of(Care), "basis": _text, "expires": _day},
    Kind.CARE_END: {"care_id": _id},
}  # fmt: skip
NEEDS = {
    Kind.BIRTH: ("name",), Kind.MOVE_IN: ("people",), Kind.SPLIT: ("people", "head"), Kind.MERGE: ("into",),
    Kind.HEAD: ("new_head",), Kind.CARE: ("category", "basis", "expires"), Kind.CARE_END: ("care_id",),
}  # fmt: skip
OF_A_PERSON = (Kind.CORRECT, Kind.DEATH)
