"""The compared part of an item, and the passages that rules cut from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from recommender_engine.items import CollectionSettings, CutRule, Item
from recommender_engine.items.placeholders import says_nothing
from recommender_engine.items.prices import is_price
from recommender_engine.message import cutting
from recommender_engine.message.markup import LIBRARY, Line, read
from recommender_engine.message.phrases import Kind, Phrases, plain, words
from recommender_engine.message.rules import load_rules

MOST_LINES = 4000
"""Nothing is cut from a text of more lines: that is a log or a list."""
LEAST_LEFT = 8
"""Words that must remain of a text if the cut passages may matter: one remark can stand above different things."""
_SAYS_LITTLE = 6  # words, and no figure: "Sent from my phone", a name
_KEPT = 512  # messages that something was cut from; asked for several times while an item is decided
_OF_PRODUCTS = frozenset(
    {"brand", "marke", "marque", "marca", "merk", "manufacturer", "sku", "gtin", "ean", "mpn", "isbn"}
)
_SHORT = 16_384  # characters of those


class Cut(NamedTuple):
    """A passage that is not compared.

    Attributes:
        rule: by which it went.
        field: name of its field; ``None`` in an item without fields.
        start, end: where, in characters of the text as a reader sees it: that without mark-up.
        passage: it.
    """

    rule: CutRule
    field: str | None
    start: int
    end: int
    passage: str


class Message(NamedTuple):
    """One text as it is compared.

    Attributes:
        text: what is compared.
        visible: what a reader sees of it: without mark-up, with all that was cut.
        cuts: what was cut, in order; mark-up has no place in what is seen, and is not among them.
    """

    text: str
    visible: str
    cuts: tuple[Cut, ...] = ()


class Messages:
    """Finds the message in items, a pure function of the item and the settings.

    Args:
        extra: a file of phrases that add to ours.

    Raises:
        ConfigurationError: the file cannot be read.
    """

    def __init__(self, extra: Path | None = None) -> None:
        rules = load_rules(extra)
        self._phrases = Phrases(rules)
        self._identity = f"{rules.identity}+{LIBRARY}"
        self._kept = lru_cache(maxsize=_KEPT)(self._found)

    def identity(self, settings: CollectionSettings) -> str:
        """Of the rules, what reads the mark-up, and which of them a collection uses: what the compared texts go by."""
        return f"{self._identity}+{','.join(sorted(settings.cut))}"

    def compared(self, item: Item, settings: CollectionSettings) -> Item:
        """The item as it is compared: the very same one where nothing is to be cut."""
        messages = self._of_item(item, settings)
        if item.fields is None:
            said = messages[None].text
            return item if said == item.text else item.model_copy(update={"text": said})
        fields = {str(name): message.text for name, message in messages.items()}
        return item if fields == item.fields else item.model_copy(update={"fields": fields})

    def told(self, item: Item, compared: Item, settings: CollectionSettings) -> str:
        """The content of an item that identifies an exact repeat.

        That is the compared text, and the cut passages if they have more than a name: the same words above two
        different quotations need not be about the same thing.

        Args:
            item: as it was sent.
            compared: what is compared of it.
            settings: of its collection.
        """
        cuts = () if compared is item else self.cuts(item, settings)
        if not _says_something(cuts):
            return compared.content
        return "\n".join([compared.content, *(one.passage for one in cuts if one.rule != "subject_prefixes")])

    def cuts(self, item: Item, settings: CollectionSettings) -> tuple[Cut, ...]:
        """What was cut of an item, field by field."""
        messages = self._of_item(item, settings)
        return tuple(cut._replace(field=name) for name, message in messages.items() for cut in message.cuts)

    def of(self, text: str, settings: CollectionSettings, kind: Kind | None = None) -> Message:
        """The message in one text, which may be that of an item of a kind."""
        cut = settings.cut
        if not cut or not self._may_be_cut(text):
            return Message(text, text)
        return self._kept(text, cut, kind) if len(text) <= _SHORT else self._found(text, cut, kind)

    def _of_item(self, item: Item, settings: CollectionSettings) -> dict[str | None, Message]:
        """The message in each field, or under ``None`` in the text."""
        if item.fields is None:
            return {None: self.of(item.text or "", settings)}
        kind = self._kind(item.fields)
        found: dict[str | None, Message] = {name: self.of(text, settings, kind) for name, text in item.fields.items()}
        if kind is None and any(cut.rule != "subject_prefixes" for one in found.values() for cut in one.cuts):
            return {name: self.of(text, settings, "mail") for name, text in item.fields.items()}
        return found

    def _kind(self, fields: Mapping[str, str]) -> Kind | None:
        """What an item is by the names of its fields. Attributes come and go, and do not count."""
        names = set(map(plain, fields))
        if not names.isdisjoint(self._phrases.subjects):
            return "mail"
        return "product" if not names.isdisjoint(_OF_PRODUCTS) or any(map(is_price, fields)) else None

    def forget_texts(self) -> None:
        """No text stays in memory."""
        self._kept.cache_clear()

    def _may_be_cut(self, text: str) -> bool:
        """Whether a look at the lines is worth it: most texts are one line without any sign of mark-up."""
        return "\n" in text or "\r" in text or "&" in text or "<" in text or self._phrases.prefix(text, "mail") > 0

    def _found(self, text: str, cut: tuple[CutRule, ...], kind: Kind | None) -> Message:
        seen = read(text, self._phrases.named) if "markup" in cut else None
        if isinstance(seen, list):
            lines = [*(Line(f"{line.text}\n", line.part) for line in seen[:-1]), seen[-1]]
        else:
            lines = [Line(line) for line in (text if seen is None else seen).splitlines(keepends=True)]
        visible = "".join(line.text for line in lines)
        passages = self._passages(lines, visible, cut, kind)
        if words(_left(visible, passages)) < LEAST_LEFT and _says_something(passages):
            passages = [one for one in passages if one.rule == "subject_prefixes"]
        said = _left(visible, passages)
        if not passages or not any(character.isalnum() for character in said) or says_nothing(said):
            return Message(visible, visible)
        return Message(said, visible, tuple(passages))

    def _passages(self, lines: Sequence[Line], visible: str, cut: tuple[CutRule, ...], kind: Kind | None) -> list[Cut]:
        """Passages to cut from a text, in order."""
        by = cutting.cut(lines, self._phrases) if 1 < len(lines) <= MOST_LINES else []
        kind = "mail" if any(by) else kind
        found: list[Cut] = []
        start = 0
        if "subject_prefixes" in cut and (length := self._phrases.prefix(visible, kind)):
            found.append(Cut("subject_prefixes", None, 0, length, visible[:length]))
        ends = accumulate(len(line.text) for line in lines)
        for rule, run in groupby(zip(by, ends, strict=False), key=itemgetter(0)):
            end = max(end for _, end in run)
            if rule in cut and (not found or found[-1].end <= start):
                found.append(Cut(rule, None, start, end, visible[start:end]))
            start = end
        return found


def _left(visible: str, passages: Sequence[Cut]) -> str:
    """A text without some passages."""
    kept, behind = [], 0
    for one in passages:
        kept.append(visible[behind : one.start])
        behind = one.end
    return "".join((*kept, visible[behind:])).strip()


def _says_something(passages: Sequence[Cut]) -> bool:
    """Whether two texts with the same rest may speak of two things."""
    cut = " ".join([one.passage for one in passages if one.rule != "subject_prefixes"])
    return words(cut) > _SAYS_LITTLE or any(character.isdigit() for character in cut)
