"""A city's own household bands, from a file."""

from pathlib import Path

import pytest

from gridmgmt.errors import FileError
from gridmgmt.planning import bands, figures


def test_a_division_may_have_a_band_of_its_own(tmp_path: Path) -> None:
    assert bands.limits(tmp_path).band_of("379981001001") == (300, 500)
    (tmp_path / bands.NAME).write_text('"379981" = [200, 400]\n"379981001" = [350, 550]\n', encoding="utf-8")
    allowed = bands.limits(tmp_path)
    assert allowed.band_of("379981001001") == (350, 550)
    assert allowed.band_of("379981002001") == (200, 400)
    assert figures.deviation(520, "379981001001", allowed) == 0
    assert figures.deviation(520, "379981002001", allowed) == 120


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"3799" = [300, 500]', "division"),
        ('"379981001" = [500, 300]', "379981001"),
        ('"379981001" = [300]', "the smaller first"),
        ('"379981001" = ["300", "500"]', "the smaller first"),
        ("379981001 = 300", "the smaller first"),
        ("= [300, 500]", "TOML"),
    ],
)
def test_a_wrong_band_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / bands.NAME).write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=words):
        bands.limits(tmp_path)
