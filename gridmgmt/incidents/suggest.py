"""Suggests a category from what somebody wrote, and says how sure it is. It never decides.

Multinomial naive Bayes on pairs of neighbouring characters, which needs no list of words:

    score of a category = log prior + sum over the text's pairs of log P(pair | category)
    confidence          = softmax(scores / temperature)

Naive Bayes is too sure of itself, because neighbouring pairs are not independent; the temperature that makes
held-out matters most likely puts that right (Guo et al. 2017, On Calibration of Modern Neural Networks,
section 4). Nothing but counts of pairs a category is kept. The names of the categories teach as well, so
that one of which few have told can be found. A text of which less than three tenths of the pairs were ever
seen gets no suggestion: of such a text the model knows nothing, however sure it looks.
"""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from sqlalchemy import Engine, text

from gridmgmt.config import SEED
from gridmgmt.errors import FileError, NotEnoughDataError
from gridmgmt.incidents.choices import category_names

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FILE = "suggest.npz"
BUCKETS = 1 << 15
# A category begins as the city's usual mix of pairs, worth so many: else those of few matters never win.
PRIOR_PAIRS = 100.0
UNSEEN = 0.01
# The newest matters teach; more would take longer and teach nothing new.
MOST_MATTERS = 200_000
FEWEST_MATTERS = 200
FEWEST_PAIRS = 3
KNOWN_SHARE = 0.3
# A name counts as much as so many matters that say it.
NAME_WEIGHT = 3
BINS = 10
# Stands among what was seen, so that there is always something; no pair has it.
_NONE = -1


@dataclass(frozen=True)
class Report:
    """How good the suggestions were on matters that taught nothing.

    `top_1` and `top_3` are shares of `held_out` matters whose category was the first, or among the first
    three; `error` is the expected calibration error (mean gap of confidence and share right, 10 bins).
    """

    matters: int
    categories: int
    held_out: int
    top_1: float
    top_3: float
    error: float
    temperature: float


@dataclass(frozen=True)
class Model:
    """What was learnt: `weights` is (categories, BUCKETS), `seen` the sorted hashes of known pairs."""

    categories: tuple[str, ...]
    prior: Floats
    weights: NDArray[np.float32]
    seen: Ints
    temperature: float

    @staticmethod
    def opened(path: Path) -> "Model | None":
        """Return the model of a file, read again only when it has changed; None when there is none.

        Raises FileError when it is not one of ours.
        """
        try:
            state = path.stat()
        except FileNotFoundError:
            return None
        return _opened(path, state.st_mtime_ns, state.st_size)

    def confidences(self, words: str) -> Floats:
        """Return how sure each category is, (categories,), summing to 1; zeros where nothing is known."""
        pairs = _pairs(words)
        known = self.known(pairs)
        if len(pairs) < FEWEST_PAIRS or len(known) < KNOWN_SHARE * len(pairs):
            return np.zeros(len(self.categories))
        scores = self.prior + self.weights[:, known % BUCKETS].sum(axis=1)
        return _softmax(scores / self.temperature)

    def known(self, pairs: Ints) -> Ints:
        """Return those pairs that were ever seen: the others would only speak against large categories."""
        at = np.searchsorted(self.seen, pairs)
        return pairs[self.seen[np.minimum(at, len(self.seen) - 1)] == pairs]


def suggest(model: Model, words: str, most: int = 3) -> list[tuple[str, float]]:
    """Return the likeliest categories with their confidence from 0 to 1; none where nothing is known."""
    sure = model.confidences(words)
    order = np.argsort(-sure, kind="stable")[:most]
    return [(model.categories[n], float(sure[n])) for n in order if sure[n] > 0]


def learn(engine: Engine, path: Path, seed: int = SEED) -> Report:
    """Learn from the city's newest matters, keep what was learnt at `path`, and return how good it is.

    `engine` is the owner's. Raises NotEnoughDataError with fewer than 200 matters of two categories.
    """
    with engine.connect() as connection:
        rows = connection.execute(_MATTERS, {"most": MOST_MATTERS}).all()
        names = category_names(connection)
    model, report = fit([row.words for row in rows], [row.category for row in rows], names, seed)
    _save(model, path)
    return report


_MATTERS = text("""
SELECT category, concat_ws(' ', title, text) AS words FROM incident
WHERE coalesce(title, text) IS NOT NULL ORDER BY reported_at DESC, id DESC LIMIT :most
""")


def fit(
    words: Sequence[str], categories: Sequence[str], names: Mapping[str, str], seed: int = SEED
) -> tuple[Model, Report]:
    """Return a model of n texts with their categories, and how good it is on a tenth that it did not see.

    `names` are what categories are called, by code.

    Eight tenths teach, one tenth sets the temperature, one tenth is reported. Texts that say the same, digits
    aside, stay together, so that the model is not asked what it learnt by heart.
    """
    codes, label = np.unique(np.asarray(categories, dtype=object), return_inverse=True)
    if len(words) < FEWEST_MATTERS or len(codes) < 2:
        raise NotEnoughDataError(
            "matters", f"{len(words)} with a text", f"{FEWEST_MATTERS} of at least two categories"
        )
    rows = [_pairs(each) for each in words]
    part = _parts(words, seed)
    called = [np.tile(_pairs(names.get(str(code), "")), NAME_WEIGHT) for code in codes]
    model = _learnt(tuple(map(str, codes)), called, rows, label, part < 8)
    scores = _scores(model, rows)
    model = replace(model, temperature=_temperature(scores[part == 8], label[part == 8]))
    return model, _report(model, scores[part == 9], label[part == 9], len(words))


def _parts(words: Sequence[str], seed: int) -> Ints:
    """Return for every text one of ten parts, the same for texts that differ in digits alone."""
    same = ["".join(sign for sign in each if not sign.isdigit()) for each in words]
    group = np.unique(np.asarray(same, dtype=object), return_inverse=True)[1]
    return np.random.default_rng(seed).integers(0, 10, size=int(group.max()) + 1)[group]


def _pairs(words: str) -> Ints:
    """Return the 31-bit hashes of a text's neighbouring characters, letters and digits levelled."""
    level = unicodedata.normalize("NFKC", words).lower()
    kept = "".join(each if each.isalpha() else " " for each in level)
    signs = np.frombuffer(kept.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)
    first, second = signs[:-1], signs[1:]
    whole = (first != 32) & (second != 32)
    mixed = first[whole] * np.uint64(0x9E3779B97F4A7C15) ^ second[whole] * np.uint64(0xC2B2AE3D27D4EB4F)
    return (mixed >> np.uint64(33)).astype(np.int64)


def _counts(rows: Sequence[Ints]) -> csr_array:
    """Return how often each bucket stands in each text, (texts, BUCKETS)."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    buckets = np.concatenate([*rows, np.array([], dtype=np.int64)]) % BUCKETS
    return csr_array((np.ones(len(buckets)), buckets, starts), shape=(len(rows), BUCKETS))


def _learnt(
    codes: tuple[str, ...],
    called: Sequence[Ints],
    rows: Sequence[Ints],
    label: Ints,
    teach: NDArray[np.bool_],
) -> Model:
    taught = np.flatnonzero(teach).tolist()
    texts = [*called, *(rows[n] for n in taught)]
    of = np.concatenate([np.arange(len(codes)), label[taught]])
    own = csr_array((np.ones(len(of)), (of, np.arange(len(of)))), shape=(len(codes), len(of)))
    counts = (own @ _counts(texts)).toarray()
    usual = (counts.sum(axis=0) + UNSEEN) / (counts.sum() + UNSEEN * BUCKETS)
    smooth = counts + PRIOR_PAIRS * usual
    weights = np.log(smooth / smooth.sum(axis=1, keepdims=True)).astype(np.float32)
    matters = np.bincount(of, minlength=len(codes))
    return Model(
        codes, np.log(matters / matters.sum()), weights, np.unique(np.concatenate([*texts, [_NONE]])), 1.0
    )


def _scores(model: Model, rows: Sequence[Ints]) -> Floats:
    found: Floats = (
        _counts([model.known(row) for row in rows]) @ model.weights.T.astype(np.float64) + model.prior
    )
    return found


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return found


def _temperature(scores: Floats, label: Ints) -> float:
    """Return the temperature that makes the true categories likeliest; 1 where nothing is held out."""
    if not len(label):
        return 1.0

    def unlikely(log_temperature: float) -> float:
        sure = _softmax(scores / np.exp(log_temperature))
        return float(-np.log(np.maximum(sure[np.arange(len(label)), label], 1e-12)).mean())

    found = minimize_scalar(unlikely, bounds=(np.log(0.2), np.log(50)), method="bounded")
    return float(np.exp(found.x))


def _report(model: Model, scores: Floats, label: Ints, matters: int) -> Report:
    sure = _softmax(scores / model.temperature) if len(label) else np.zeros((0, len(model.categories)))
    order = np.argsort(-sure, axis=1, kind="stable")[:, :3]
    right = order == label[:, None]
    return Report(
        matters=matters,
        categories=len(model.categories),
        held_out=len(label),
        top_1=float(right[:, :1].any(axis=1).mean()) if len(label) else 0.0,
        top_3=float(right.any(axis=1).mean()) if len(label) else 0.0,
        error=calibration_error(sure.max(axis=1, initial=0), right[:, 0]) if len(label) else 0.0,
        temperature=model.temperature,
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and the share that was right, over 10 bins weighted by size.

    >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
    0.0
    """
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = np.bincount(place, confidence, BINS) - np.bincount(place, right, BINS)
    return float(np.abs(sums).sum() / len(confidence))


def _save(model: Model, path: Path) -> None:
    """Put the file in place whole, for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        np.savez_compressed(
            stream, categories=np.array(model.categories), prior=model.prior, weights=model.weights,
            seen=model.seen.astype(np.int32), temperature=model.temperature,
        )  # fmt: skip
    partial.replace(path)


@lru_cache(maxsize=2)
def _opened(path: Path, _changed: int, _size: int) -> Model:
    try:
        with np.load(path, allow_pickle=False) as found:
            return Model(
                tuple(map(str, found["categories"])), found["prior"], found["weights"],
                found["seen"].astype(np.int64), float(found["temperature"]),
            )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError) as why:
        raise FileError(path, "suggest", type(why).__name__, "what `learn` has written") from why
