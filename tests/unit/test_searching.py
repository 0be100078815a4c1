"""Search by meaning and words: what it finds, in which order, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest

from recommender_engine import Entry, FoundItem, Recommender
from recommender_engine.embedding.encoder import Embeddings
from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.lexical import shared
from recommender_engine.pipeline.lexical.postings import Numbers, Postings
from recommender_engine.pipeline.queries.search import ranking
from recommender_engine.pipeline.queries.search.searching import MOST_HITS
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, at, opened

DIMENSION = 64
CODE = "DSC-W120"


class Asking(DeterministicEncoder):
    """Every text has one vector: items bring their own, questions all point the same way."""

    def encode(self, texts: Sequence[str]) -> Embeddings:
        embeddings = super().encode(texts)
        return embeddings._replace(vectors=np.tile(np.array(at(0), np.float32), (len(texts), 1)))


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with closing(opened(encoder=Asking())) as engine:
        yield engine


def ids(hits: Sequence[FoundItem]) -> list[str]:
    return [hit.id for hit in hits]


def apart(degrees: float, axis: int) -> list[float]:
    """A vector so far from the question, and farther from those on other axes."""
    vector = [0.0] * DIMENSION
    vector[0], vector[1 + axis] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return vector


def test_a_code_is_found_wherever_its_vector_is(engine: Recommender, log: Log) -> None:
    others = [log.upsert(f"near{one}", f"photo camera {one}", vector=apart(60, one)) for one in range(20)]
    engine.process([*others, log.upsert("camera", f"Sony {CODE} silver", vector=apart(85, 30))])
    first, second = engine.search(CODE, limit=2)
    assert first.id == "camera"
    assert first.terms.cosine == pytest.approx(math.cos(math.radians(85)), abs=1e-5)
    assert first.terms.words > 0.4
    assert second.id == "near0"
    assert second.terms.words == 0
    for hit in (first, second):
        assert hit.score == pytest.approx(hit.terms.cosine + hit.terms.words + hit.terms.first_hits, abs=2e-6)
    assert [first.text[place.start : place.end] for place in first.highlights] == [CODE]
    assert second.highlights == ()


def test_words_that_everything_has_do_not_count(engine: Recommender, log: Log) -> None:
    engine.process(
        [log.upsert(f"i{one}", f"how do I get my card {one}", vector=apart(40 + one / 2, one)) for one in range(60)]
    )
    hits = engine.search("when do I get my card", limit=9)
    assert ids(hits) == [f"i{one}" for one in range(9)]
    assert max(hit.terms.words for hit in hits) < 0.05


def test_the_same_text_comes_first_with_a_score_of_one(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("other", f"{CODE} {CODE}-2", vector=at(40)), log.upsert("same", "a lamp", vector=at(0))])
    assert [(hit.id, hit.score) for hit in engine.search("a lamp", limit=1)] == [("same", 1.0)]


@pytest.mark.parametrize("twins", [(), (("twin", "whatever"),)])
def test_what_is_like_the_first_hits_comes_up(engine: Recommender, log: Log, twins: Sequence[tuple[str, str]]) -> None:
    """Two are equally near the question; one of them is near its first hits. A twin of the question adds nothing."""
    engine.process([log.upsert(id_, text, vector=at(0)) for id_, text in twins])
    between = [0.5, *[math.sqrt(0.25)] * 3, *[0.0] * (DIMENSION - 4)]
    first = [log.upsert(f"first{one}", f"a thing {one}", vector=apart(45, one)) for one in range(3)]
    engine.process([log.upsert("apart", "a thing apart", vector=apart(60, 7)), *first])
    engine.process([log.upsert("like", "a thing alike", vector=between)])
    hits = {hit.id: hit for hit in engine.search("whatever")}
    assert hits["like"].terms.cosine == hits["apart"].terms.cosine
    assert hits["like"].terms.first_hits > hits["apart"].terms.first_hits
    assert ids(engine.search("whatever"))[-1] == "apart"


def test_first_hits_that_are_not_like_each_other_complete_nothing(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(f"i{one}", f"a thing {one}", vector=apart(89, one)) for one in range(4)])
    engine.process([log.configure(similar_from=0.0)])
    assert [hit.terms.first_hits for hit in engine.search("whatever")] == [0.0] * 4


def test_first_hits_that_have_all_the_words_complete_nothing(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(f"i{one}", f"{CODE} in colour {one}", vector=apart(40, one)) for one in range(3)])
    assert [hit.terms.first_hits for hit in engine.search(CODE)] == [0.0] * 3


def test_a_collection_that_compares_no_texts_is_searched_by_vectors_alone(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(rule="cosine", duplicate_cosine=0.99)])
    engine.process([log.upsert("near", "x", vector=apart(40, 0)), log.upsert("far", CODE, vector=apart(85, 1))])
    engine.process([log.upsert("middle", CODE, vector=apart(45, 2))])
    hits = engine.search(CODE)
    assert ids(hits) == ["near", "middle"]
    assert [(hit.terms.words, hit.terms.first_hits, hit.highlights) for hit in hits] == [(0.0, 0.0, ())] * 2
    assert [hit.score for hit in hits] == [hit.terms.cosine for hit in hits]


def test_what_is_gone_is_not_found_by_its_words(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=3600)])
    engine.process([log.upsert("old", f"{CODE} old", vector=apart(85, 0))])
    engine.process([log.upsert("deleted", f"{CODE} new", vector=apart(85, 1))])
    engine.process([log.upsert("kept", f"{CODE} kept", vector=apart(85, 2), later_ms=3_000_000)])
    assert ids(engine.search(CODE)) == ["old", "deleted", "kept"]
    engine.process([log.delete("deleted"), log.tick(later_ms=700_000)])
    assert ids(engine.search(CODE)) == ["kept"]


def test_a_group_is_one_hit_with_the_score_of_its_best_member(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "a camera", vector=at(60)), log.upsert("b", f"the {CODE}", vector=at(61))])
    (hit,) = engine.search(CODE)
    assert (hit.id, hit.group, hit.text) == ("a", "g1", "a camera")
    assert hit.terms.words > 0.1


def test_a_filter_holds_for_what_is_found_by_its_words(engine: Recommender, log: Log) -> None:
    near = [
        log.upsert(f"near{one}", f"a lamp {one}", vector=apart(65, one), attributes={"stock": one}) for one in range(5)
    ]
    coded = [log.upsert(f"code{one}", CODE, vector=apart(85, 9 + one), attributes={"stock": one}) for one in range(3)]
    engine.process([*near, *coded])
    assert ids(engine.search(CODE, filter={"stock": {"$gte": 2}}, limit=2)) == ["code2", "near2"]
    assert ids(engine.search(CODE, filter={"stock": 3})) == ["near3"]


# -- pages and bounds --------------------------------------------------------------------------------------------------

NOUNS = ("lamp", "bottle", "chair", "table", "camera", "shelf", "mirror", "carpet", "clock", "vase")


def catalogue(log: Log, count: int) -> list[Entry]:
    """Items with rare and common words, at every distance; a word is no sign of a vector."""
    chance = np.random.default_rng(7)
    entries = []
    for one in range(count):
        vector = chance.normal(size=DIMENSION)
        vector[0] += chance.uniform(0, 12)
        text = f"{chance.choice(NOUNS)} {chance.choice(NOUNS)} no {one} in{chance.integers(40)} out{chance.integers(9)}"
        entries.append(log.upsert(f"i{one}", text, vector=(vector / np.linalg.norm(vector)).tolist()))
    return entries


QUESTIONS = ("lamp in3 out7", "a table", "in11 in12 in13 vase", "no 17 chair")


@pytest.mark.parametrize("scored", [3, 400])
def test_pages_are_parts_of_one_ranking(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch, scored: int
) -> None:
    engine.process([log.configure(similar_from=0.05, candidates=10), *catalogue(log, 400)])
    expected = {}
    with monkeypatch.context() as patch:  # everything is looked at
        patch.setattr(ranking, "_SCORED", 10_000)
        engine.process([log.configure(candidates=1000)])
        expected = {question: engine.search(question, limit=100) for question in QUESTIONS}
    engine.process([log.configure(candidates=10)])
    monkeypatch.setattr(ranking, "_SCORED", scored)
    for question, hits in expected.items():
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len({hit.group for hit in hits}) == len(hits) == 100
        assert sum(hit.terms.words > 0 for hit in hits) > 10
        pages = [hit for start in range(0, 100, 7) for hit in engine.search(question, limit=7, offset=start)]
        assert pages[:100] == hits


def test_the_last_page_may_be_empty(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "a lamp", vector=at(10))])
    assert ids(engine.search("a lamp", limit=5)) == ["a"]
    assert engine.search("a lamp", limit=5, offset=1) == []


def test_how_far_one_can_page_is_bounded(engine: Recommender) -> None:
    assert engine.search("a lamp", limit=100, offset=MOST_HITS - 100) == []
    with pytest.raises(InvalidCommand, match="offset and limit are at most 1000 together"):
        engine.search("a lamp", limit=100, offset=MOST_HITS - 99)


@pytest.mark.parametrize(("limit", "offset", "field"), [(0, 0, "limit"), (-1, 2, "limit"), (1, -1, "offset")])
def test_a_page_of_nothing_is_refused(engine: Recommender, log: Log, limit: int, offset: int, field: str) -> None:
    engine.process([log.upsert(one, "a lamp", vector=at(40 * n)) for n, one in enumerate("ab")])
    with pytest.raises(InvalidCommand) as raised:
        engine.search("a lamp", limit=limit, offset=offset)
    assert raised.value.field == field


def test_a_question_of_thousands_of_words_reads_the_rarest_few(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"word{one}x" for one in range(3000)]
    engine.process([log.upsert(f"i{one}", " ".join(words[one::50]), vector=apart(80, one)) for one in range(50)])
    read = []
    having = Postings.having

    def counting(self: Postings, collection: int, term: str) -> Numbers:
        read.append(term)
        return having(self, collection, term)

    monkeypatch.setattr(Postings, "having", counting)
    engine.search(" ".join(words))
    assert len(read) == shared.TERMS_READ
    monkeypatch.setattr(shared, "MOST_ITEMS", 49)
    engine.process([log.upsert(f"i{one}", f"thing {one}", vector=apart(80, one)) for one in range(50)])
    read.clear()
    engine.search("thing")
    assert read == []
