"""Flow files: what is packaged stands, what would hold a matter for ever is refused, and by name."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridmgmt.errors import FileError, InputError
from gridmgmt.incidents.flows import packaged
from gridmgmt.incidents.flows.flow import Flow, Guard, Limit, Move, Need, Step, Who
from gridmgmt.incidents.flows.reading import FlowError, as_json, as_text, faults, from_json, read

OFFICE = frozenset({Who.OFFICE})

GOOD = """
code = "small"
name = "两步办理"
days = 5
begins = "go"
reopens_at = "go"

[[step]]
code = "go"
name = "办理"
days = 3

[[step.move]]
to = "ask"
says = "办好了"
who = ["office", "grid"]
needs = ["answer"]

[[step]]
code = "ask"
name = "回访"
hours = 48

[[step.move]]
to = "done"
says = "办结"
who = ["office"]
needs = ["visit"]
guards = ["answered"]

[[step]]
code = "done"
name = "归档"
final = true
"""


def test_a_flow_file_is_read_as_it_stands() -> None:
    flow = read(GOOD, "small.toml")
    assert (flow.code, flow.days, flow.escalates_after, flow.dissatisfied_at_most) == ("small", 5, 3, 2)
    assert [step.limit for step in flow.steps] == [Limit(days=3), Limit(hours=48), Limit()]
    assert flow.move("ask", "done") == Move(
        "done", "办结", OFFICE, frozenset({Need.VISIT}), frozenset({Guard.ANSWERED})
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # types and names
        ("days = 5", 'days = "5"', "days: found '5', allowed: a whole number from 1 to 250"),
        ("days = 5", "days = true", "days: found True"),
        ("days = 3", "days = 0", "step go, days: found 0"),
        ('code = "small"', 'code = "Small Flow"', "code: found 'Small Flow', allowed: a code"),
        ('says = "办好了"', 'says = ""', "step go, says: found ''"),
        ('name = "回访"', 'name = "回\\u0007访"', "step ask, name"),
        ("final = true", "final = 1", "step done, final: found 1, allowed: true or false"),
        ('name = "办理"', 'name = "办理"\nlimit = 3', "step go, limit: found 3, allowed: no such key"),
        ('who = ["office"]', 'who = ["boss"]', "step ask, who: found ['boss'], allowed: a list of office,"),
        ('who = ["office"]', 'who = ["unit"]', "step ask, who: found ['unit']"),
        ('who = ["office"]', 'who = ["office", "office"]', "step ask, who: found ['office', 'office']"),
        ('who = ["office"]', "who = [1]", "step ask, who: found [1]"),
        ('needs = ["visit"]', 'needs = "visit"', "step ask, needs: found 'visit'"),
        # limits
        ("days = 3\n", "", "step go, limit: found 'none', allowed: days or hours"),
        ("hours = 48", "hours = 48\ndays = 2", "step ask, hours: found 48, allowed: days or hours, not both"),
        ("days = 3", "days = 6", "step go, days: found 6, allowed: at most the flow's 5"),
        ("final = true", "final = true\ndays = 1", "step done, limit: found '1 days', allowed: none"),
        # references
        ('begins = "go"', 'begins = "start"', "begins: found 'start', allowed: a step that is not final"),
        ('reopens_at = "go"', 'reopens_at = "done"', "reopens_at: found 'done'"),
        ('to = "ask"', 'to = "asks"', "step go, to: found 'asks', allowed: another step: ask, done"),
        ('to = "ask"', 'to = "go"', "step go, to: found 'go'"),
        ('code = "ask"', 'code = "go"', "step go, code: found 'go', allowed: a code that no other step has"),
        ('name = "回访"', 'name = "办理"', "step ask, name: found '办理'"),
        ("final = true", "days = 1", "final: found 'none', allowed: at least one final step"),
        # who moves
        ('who = ["office"]\n', "", "step ask, who: found [], allowed: somebody who may make"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_step_key_found_and_allowed(old: str, new: str, said: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(FlowError) as why:
        read(GOOD.replace(old, new, 1), "small.toml")
    assert f"small.toml: {said}" in str(why.value)


# --- the shape as a whole, on flows made by hand


def go(to: str, *, who: frozenset[Who] = OFFICE, needs: str = "", guards: str = "") -> Move:
    return Move(
        to, f"去{to}", who, frozenset(map(Need, needs.split())), frozenset(map(Guard, guards.split()))
    )


def step(code: str, *moves: Move, days: int = 1, final: bool = False) -> Step:
    return Step(code, f"步骤{code}", Limit() if final else Limit(days=days), final, moves)


def flow(*steps: Step, begins: str = "a", reopens_at: str = "a") -> Flow:
    return Flow("small", "小流程", 9, begins, reopens_at, steps)


END = step("z", final=True)


def test_a_step_that_nothing_leads_to_is_a_fault() -> None:
    assert faults(flow(step("a", go("z")), step("b", go("z")), END)) == [
        "step b, code: found 'b', allowed: a step that is reached from the first one"
    ]


def test_a_step_that_only_a_reopened_matter_reaches_is_none() -> None:
    assert faults(flow(step("a", go("z")), step("b", go("z")), END, reopens_at="b")) == []


def test_a_step_without_a_way_to_an_end_is_a_fault() -> None:
    found = faults(flow(step("a", go("b"), go("z")), step("b"), END))
    assert found == ["step b, move: found 'no final step is reached by moves of the office', allowed: "
                     "a way to a final step that an office can go"]  # fmt: skip


def test_two_steps_that_lead_to_each_other_alone_are_a_dead_end() -> None:
    found = faults(flow(step("a", go("b"), go("z")), step("b", go("c")), step("c", go("b")), END))
    assert [words.split(",")[0] for words in found] == ["step b", "step c"]


def test_a_matter_must_not_wait_for_a_grid_that_it_may_not_have() -> None:
    grid = frozenset({Who.GRID})
    assert "an office can go" in faults(flow(step("a", go("z", who=grid)), END))[0]
    assert faults(flow(step("a", go("b", who=grid), go("z")), step("b", go("z")), END)) == []


def test_a_guard_that_never_comes_to_hold_is_a_dead_end() -> None:
    """Nobody is asked for an answer on the way, so the move that wants one stays shut."""
    found = faults(flow(step("a", go("b")), step("b", go("z", guards="answered")), END))
    assert [words.split(",")[0] for words in found] == ["step a", "step b"]
    assert "no answer is asked for" in found[0]
    assert faults(flow(step("a", go("z", needs="answer", guards="answered")), END)) == []


def test_a_reopened_matter_has_lost_its_answer_and_must_come_by_another() -> None:
    steps = (step("a", go("b", needs="answer")), step("b", go("z", guards="answered")), END)
    assert faults(flow(*steps)) == []
    assert "no answer is asked for" in faults(flow(*steps, reopens_at="b"))[0]


def test_two_moves_to_one_step_cannot_be_told_apart() -> None:
    assert faults(flow(step("a", go("z"), go("z", needs="note")), END)) == [
        "step a, to: found 'z', allowed: one move to a step"
    ]


def test_a_final_step_has_no_move() -> None:
    spoilt = Step("z", "步骤z", Limit(), True, (go("a"),))
    assert faults(flow(step("a", go("z")), spoilt)) == [
        "step z, move: found 'to a', allowed: no move out of a final step"
    ]


# --- any flow at all


PLACES = "abcdef"
needs = st.frozensets(st.sampled_from(list(Need)), max_size=2)
guards = st.frozensets(st.sampled_from(list(Guard)), max_size=1)
movers = st.sampled_from([OFFICE, frozenset({Who.GRID}), frozenset({Who.OFFICE, Who.GRID})])
limits = st.builds(Limit, st.integers(1, 20)) | st.builds(Limit, st.just(0), st.integers(1, 240))


@st.composite
def any_flows(draw: st.DrawFn) -> Flow:
    """Draw a chain of steps from first to last with ways across and back; most stand, some do not."""
    codes = PLACES[: draw(st.integers(2, 6))]
    made = [Step(codes[-1], "终", final=True)]
    for code, following in pairwise(codes):
        targets = draw(st.sets(st.sampled_from(codes), max_size=2)) - {code} | {following}
        moves = [
            Move(to, "去", OFFICE if to == following else draw(movers), draw(needs), draw(guards))
            for to in sorted(targets)
        ]
        made.append(Step(code, f"步骤{code}", draw(limits), False, tuple(moves)))
    reopens_at = draw(st.sampled_from(codes[:-1]))
    return Flow("any", "任意", 20, "a", reopens_at, tuple(draw(st.permutations(made))))


@given(any_flows())
def test_a_flow_without_faults_is_the_same_after_its_file_and_after_the_database(flow: Flow) -> None:
    assume(not faults(flow))
    assert read(as_text(flow), "again.toml") == flow
    assert from_json(as_json(flow)) == flow


@given(any_flows())
def test_a_flow_has_faults_just_where_an_office_has_no_way_on(flow: Flow) -> None:
    """Walked as people who fill in what is needed and never write an answer unasked."""
    everybody = {Who.OFFICE, Who.GRID}
    met = {place for begin in (flow.begins, flow.reopens_at) for place in _walked(flow, begin, everybody)}
    stuck = {
        code
        for code, answered in met
        if not any(flow.step(end).final for end, _ in _walked(flow, code, {Who.OFFICE}, answered))
    }
    assert stuck == {words.split(",")[0].removeprefix("step ") for words in faults(flow) if "a way" in words}


def _walked(flow: Flow, place: str, who: set[Who], answered: bool = False) -> set[tuple[str, bool]]:
    found: set[tuple[str, bool]] = set()
    waiting = [(place, answered)]
    while waiting:
        code, has = state = waiting.pop()
        if state in found:
            continue
        found.add(state)
        for move in flow.step(code).moves:
            then = has or Need.ANSWER in move.needs
            if who & move.who and (then or Guard.ANSWERED not in move.guards):
                waiting.append((move.to, then))
    return found


values = st.none() | st.integers() | st.text() | st.lists(st.dictionaries(st.text(), st.text()))


@given(st.dictionaries(st.sampled_from(["code", "name", "days", "begins", "step", "x"]), values))
def test_any_values_at_all_are_refused_and_not_crashed_on(raw: dict[str, object]) -> None:
    with pytest.raises(FlowError):
        from_json(raw)


def test_no_text_at_all_crashes_it() -> None:
    for words in ("", "[[step]]", "step = 3", "= =", "code = 'a'\n" * 2, "x" * 70_000):
        with pytest.raises(FileError):
            read(words, "bad.toml")


# --- what is packaged


def test_the_nine_steps_stand_in_their_order_with_a_limit_each() -> None:
    nine = next(flow for flow in packaged.flows() if flow.code == "nine_steps")
    names = "分类建账 书记阅批 受理告知 快速交办 严格督查 结果反馈 书记把关 回复征询 销号归档"
    assert [step.name for step in nine.steps[:9]] == names.split()
    assert all(step.limit.is_set for step in nine.steps[:8])
    # Eight limits in a row are the whole; the ninth step is the end.
    assert sum(step.limit.days for step in nine.steps[:8]) == nine.days == 15
    ahead = [nine.steps[n + 1].code in {move.to for move in nine.steps[n].moves} for n in range(8)]
    assert all(ahead)


def test_every_packaged_flow_closes_only_after_a_return_visit_and_never_over_a_department() -> None:
    for flow in packaged.flows():
        for step in flow.steps:
            for move in step.moves:
                if flow.step(move.to).final and move.to != "declined":
                    assert Need.VISIT in move.needs, (flow.code, step.code)
                    assert {Guard.STRUCK_OFF, Guard.ANSWERED} <= move.guards, (flow.code, step.code)


def test_what_the_flow_does_not_know_is_refused_by_name() -> None:
    nine = packaged.flows()[0]
    with pytest.raises(InputError):
        nine.step("no_such_step")
    with pytest.raises(InputError):
        nine.move(nine.begins, "no_such_step")
