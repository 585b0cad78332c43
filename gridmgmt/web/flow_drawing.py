"""A flow as a picture: its steps from top to bottom, the moves as lines between them.

The way to the next step is a straight line; ways that skip steps bow out on the right, ways back on the left.
Units are those of the drawing, one a pixel.
"""

from dataclasses import dataclass

from gridmgmt.incidents.flows.flow import Flow, Limit, Step

WIDTH, BOX, HEIGHT, GAP, TOP = 360, 180, 40, 22, 4
LEFT, RIGHT = (WIDTH - BOX) // 2, (WIDTH + BOX) // 2
# How far a bow goes out, a step more for every step it passes, up to the edge.
_FIRST, _MORE, _FARTHEST = 22, 8, LEFT - 6


@dataclass(frozen=True)
class Box:
    """A step: its number in the flow, where its upper edge is, what stands in it."""

    number: int
    y: int
    step: Step
    limit: str
    begins: bool


@dataclass(frozen=True)
class Line:
    """A move: the path of its line and the points of its arrow's head; `back` for one against the order."""

    path: str
    head: str
    says: str
    back: bool


@dataclass(frozen=True)
class Drawing:
    """Everything that the picture shows; it is `width` wide and `height` high."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    height: int
    width: int = WIDTH


def drawing(flow: Flow) -> Drawing:
    """Return the picture of a flow."""
    boxes = tuple(
        Box(n + 1, _top(n), step, limit_words(step.limit), step.code == flow.begins)
        for n, step in enumerate(flow.steps)
    )
    lines = tuple(
        _line(n, flow.place(move.to), f"{step.name} → {flow.step(move.to).name}：{move.says}")
        for n, step in enumerate(flow.steps)
        for move in step.moves
    )
    return Drawing(boxes, lines, _top(len(flow.steps)) - GAP + TOP)


def limit_words(limit: Limit) -> str:
    """Return a limit as people say it; 办结 for the none of a final step."""
    if not limit.is_set:
        return "办结"
    return f"{limit.hours} 小时" if limit.hours else f"{limit.days} 个工作日"


def _top(n: int) -> int:
    return TOP + n * (HEIGHT + GAP)


def _line(a: int, b: int, says: str) -> Line:
    if b == a + 1:
        x, y = WIDTH // 2, _top(b)
        return Line(f"M{x} {_top(a) + HEIGHT}V{y}", f"{x},{y} {x - 5},{y - 8} {x + 5},{y - 8}", says, False)
    back = b < a
    side = -1 if back else 1
    edge = LEFT if back else RIGHT
    # What goes down leaves a box below its middle and enters above it, so that no two lines share a point.
    y1 = _top(a) + HEIGHT // 2 + (-7 if back else 7)
    y2 = _top(b) + HEIGHT // 2 + (7 if back else -7)
    out = edge + side * min(_FARTHEST, _FIRST + _MORE * abs(b - a))
    head = f"{edge},{y2} {edge + side * 8},{y2 - 5} {edge + side * 8},{y2 + 5}"
    return Line(f"M{edge} {y1}C{out} {y1} {out} {y2} {edge} {y2}", head, says, back)
