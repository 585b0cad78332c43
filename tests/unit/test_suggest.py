"""The suggestion of a category: it finds, it knows how sure it is, and says nothing of the unknown."""

from pathlib import Path

import numpy as np
import pytest

from gridmgmt.errors import FileError, NotEnoughDataError
from gridmgmt.incidents import suggest
from gridmgmt.incidents.suggest import Model, calibration_error, fit

NAMES = {"light": "路灯故障", "noise": "夜市噪声", "water": "灌溉用水", "rare": "树木倒伏"}
FRAMES = ("居民反映{0}，希望尽快处理{1}", "{0}已经好几天了，请到现场看看{1}", "来电称{0}，此前反映过{1}")
SAYS = {
    "light": ("路灯不亮", "路灯坏了", "小区路灯故障"),
    "noise": ("夜市噪声太大", "夜里烧烤摊吵闹", "夜市音响扰民"),
    "water": ("田里没有水灌溉", "灌溉用水起争执", "机井抽不上水"),
}
ENDS = ("东村", "西村", "南村", "北村", "中村", "上村", "下村", "前村", "后村", "老村")


def matters() -> tuple[list[str], list[str]]:
    """600 texts of three categories in the same frames, and 4 of a rare one."""
    words, categories = [], []
    for n in range(600):
        category = ("light", "noise", "water")[n % 3]
        frame, said = FRAMES[n % 7 % 3], SAYS[category][n % 5 % 3]
        words.append(frame.format(said, ENDS[n % 10] + ENDS[n // 10 % 10]))
        categories.append(category)
    return words + [f"来电称大树倒了压住路面{end}" for end in ENDS[:4]], [*categories, *["rare"] * 4]


@pytest.fixture(scope="module")
def learnt() -> tuple[Model, suggest.Report]:
    words, categories = matters()
    return fit(words, categories, NAMES)


def test_it_finds_the_category_of_texts_that_it_has_not_seen(learnt: tuple[Model, suggest.Report]) -> None:
    model, report = learnt
    assert report.top_1 > 0.95
    assert report.held_out > 30
    assert suggest.suggest(model, "我们这条路的路灯坏了")[0][0] == "light"
    assert suggest.suggest(model, "机井抽不上水，没法灌溉")[0][0] == "water"


def test_a_category_of_few_matters_is_found_too(learnt: tuple[Model, suggest.Report]) -> None:
    assert suggest.suggest(learnt[0], "大树倒了，压住路面")[0][0] == "rare"


def test_confidences_sum_to_one_and_come_in_order(learnt: tuple[Model, suggest.Report]) -> None:
    model = learnt[0]
    assert model.confidences("夜市噪声太大").sum() == pytest.approx(1)
    sure = [each for _, each in suggest.suggest(model, "夜市噪声太大", most=4)]
    assert sure == sorted(sure, reverse=True)
    assert len(sure) == 4


@pytest.mark.parametrize("words", ["", "好", "quite another tongue", "😀😀😀", "12345 67890", "\ud800\ud800"])
def test_of_what_it_does_not_know_it_says_nothing(learnt: tuple[Model, suggest.Report], words: str) -> None:
    assert suggest.suggest(learnt[0], words) == []


def test_where_texts_say_nothing_the_confidence_is_the_share_of_the_category() -> None:
    rng = np.random.default_rng(3)
    signs = [chr(0x4E00 + n) for n in range(400)]
    words = ["".join(rng.choice(signs, 20)) for _ in range(3000)]
    categories = rng.choice(["a", "b", "c"], 3000, p=[0.6, 0.3, 0.1]).tolist()
    model, report = fit(words, categories, {})
    assert model.temperature > 2
    assert report.error < 0.1


def test_the_same_seed_gives_the_same_model() -> None:
    first, second = (fit(*matters(), NAMES)[0] for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    assert first.temperature == second.temperature


def test_too_few_matters_teach_nothing() -> None:
    with pytest.raises(NotEnoughDataError, match="matters"):
        fit(["路灯坏了"] * 199, ["light"] * 199, NAMES)


def test_a_model_is_kept_for_its_owner_alone_and_opened_as_it_was(
    tmp_path: Path, learnt: tuple[Model, suggest.Report]
) -> None:
    path = tmp_path / "suggest.npz"
    assert Model.opened(path) is None
    suggest._save(learnt[0], path)
    assert path.stat().st_mode & 0o777 == 0o600
    opened = Model.opened(path)
    assert opened is not None
    assert suggest.suggest(opened, "路灯坏了") == suggest.suggest(learnt[0], "路灯坏了")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "suggest.npz"
    path.write_bytes(b"hello")
    with pytest.raises(FileError, match=r"suggest.npz"):
        Model.opened(path)


def test_the_calibration_error_is_the_gap_between_said_and_right() -> None:
    sure = np.full(10, 0.95)
    assert calibration_error(sure, np.arange(10) < 5) == pytest.approx(0.45)
