"""What a worker keeps: no more than it may, nothing of a state that is over, and heavy things made once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from gridmgmt.web.kept import Kept


def test_what_was_made_of_an_older_state_is_replaced_and_takes_no_place_beside_the_new() -> None:
    kept: Kept[str] = Kept(2)
    assert kept.get("town", lambda: "once", 1) == "once"
    assert kept.get("town", lambda: "never asked", 1) == "once"
    assert kept.get("village", lambda: "beside", 1) == "beside"
    assert kept.get("town", lambda: "anew", 2) == "anew"
    assert kept.get("village", lambda: "never asked", 1) == "beside", "a new state drove nothing else out"
    assert kept.get("town", lambda: "again", 1) == "again", "the older state is gone"


def test_the_longest_unread_goes_first() -> None:
    kept: Kept[int] = Kept(2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda: 1)
    assert [kept.get(key, lambda: 2) for key in ("a", "c", "b")] == [1, 1, 2]


def test_what_is_made_alone_is_made_once_however_many_ask() -> None:
    kept: Kept[object] = Kept(1, alone=True)
    together = Barrier(8)

    def ask(_: int) -> object:
        together.wait()
        return kept.get("list", object, "as of now")

    with ThreadPoolExecutor(8) as pool:
        assert len({id(each) for each in pool.map(ask, range(8))}) == 1
