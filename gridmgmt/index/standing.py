"""Whether a tree stands as a whole: codes, what is below what, names, weights."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from gridmgmt.index.tree import Indicator, Node

# Weights are written with a few digits: a third of 1 is 0.333333.
WITHIN = 1e-6
GROUP = re.compile(r"[1-9]\d?(\.[1-9]\d?)?")
LEAF = re.compile(r"[1-9]\d?(\.[1-9]\d?){2}")


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place of a tree: a code, a rule or '' for the tree; the key, found and allowed."""

    place: str
    key: str
    found: object
    allowed: str

    def __str__(self) -> str:
        where = f"{self.place}, {self.key}" if self.place else self.key
        return f"{where}: found {self.found!r:.120}, allowed: {self.allowed}"


def standing(groups: Sequence[Node], leaves: Sequence[Indicator], unknown: Set[str]) -> Iterator[Fault]:
    """Give what is wrong with groups, whose `parts` are not looked at, and indicators all together.

    `unknown` are codes whose weight could not be read: nothing is said of the sum in which they are.
    """
    every: list[Node | Indicator] = [*groups, *leaves]
    placed = [part for part in every if _is_code(part)]
    yield from _doubled(placed)
    yield from _lonely(groups, placed)
    for parent, parts in below(placed).items():
        yield from _names(parent, parts)
        if not unknown & {part.code for part in parts}:
            yield from _weights(parent, parts)


def parent_of(code: str) -> str:
    """Return the code of what a code is below, '' for the tree.

    >>> parent_of("1.2.3"), parent_of("1")
    ('1.2', '')
    """
    return code.rpartition(".")[0]


def below(parts: Sequence[Node | Indicator]) -> dict[str, list[Node | Indicator]]:
    """Return what is below each code, in the order of the parts."""
    found: dict[str, list[Node | Indicator]] = {}
    for part in parts:
        found.setdefault(parent_of(part.code), []).append(part)
    return found


def _is_code(part: Node | Indicator) -> bool:
    return bool((GROUP if isinstance(part, Node) else LEAF).fullmatch(part.code))


def _doubled(parts: Sequence[Node | Indicator]) -> Iterator[Fault]:
    for code, times in Counter(part.code for part in parts).items():
        if times > 1:
            yield Fault(code, "code", f"{times} times", "a code that nothing else has")


def _lonely(groups: Sequence[Node], parts: Sequence[Node | Indicator]) -> Iterator[Fault]:
    """Give what is below nothing, and groups that nothing is below."""
    known = {"", *(group.code for group in groups)}
    parents = {parent_of(part.code) for part in parts}
    for part in parts:
        if parent_of(part.code) not in known:
            yield Fault(
                part.code, "code", part.code, f"a code below a group: there is no {parent_of(part.code)}"
            )
    for code in sorted(known - parents):
        what = "[[indicator]]" if "." in code else "[[group]]"
        yield Fault(code, "parts", "none", f"at least one {what} whose code begins with {code or 1}.")


def _names(parent: str, parts: Sequence[Node | Indicator]) -> Iterator[Fault]:
    times = Counter(part.name for part in parts)
    for part in parts:
        if times[part.name] > 1:
            yield Fault(
                part.code, "name", part.name, f"a name that nothing else below {parent or 'the tree'} has"
            )


def _weights(parent: str, parts: Sequence[Node | Indicator]) -> Iterator[Fault]:
    total = math.fsum(part.weight for part in parts)
    if abs(total - 1) > WITHIN:
        listed = ", ".join(f"{part.code} {part.weight:g}" for part in parts)
        found = f"{total:.7g} ({listed})"
        yield Fault(parent, "weights", found, "weights of what is below that sum to 1")
