"""Guesses columns that no option names: by their names in several languages, and their cells."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from celery_recommender.records.rows import Row
from celery_recommender.records.values.dates import date_form, looks_like_a_date
from celery_recommender.records.values.quantities import is_number
from celery_recommender.records.values.text import is_missing, meant
from recommender_engine.items.placeholders import bare, is_placeholder
from recommender_engine.items.prices import is_price


def _names(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(","))


# Names in their bare form: lower case, no accents, blanks for all that is no letter or digit; the most telling first.
_ID = _names(
    "id, issue key, key, number, no, nr, nummer, num, numero, numer, ticket, uuid, guid, identifier, sku, gtin,"
    " ean, upc, asin, isbn, handle, external id, reference, ref, kennung, artikelnummer, artikelnr, art nr,"
    " bestellnummer, ticketnummer, materialnummer, matnr,"
    " identifiant, identificador, identificativo, codice, codigo, code, slug"
)
_TEXT = _names("text, full text, volltext, texte, texto, testo, tekst")
_HEADING = _names(
    "title, subject, summary, name, headline, short description, heading, titel, betreff, bezeichnung,"
    " kurzbeschreibung, uberschrift, zusammenfassung, produktname, artikelname, artikelbezeichnung, maktx, titre,"
    " objet, sujet, intitule, nom, libelle, designation, resume, titulo, asunto, nombre, titolo, oggetto, nome,"
    " assunto, onderwerp, naam, samenvatting, resumo, tytul, temat, nazwa"
)
_BODY = _names(
    "description, body, content, message, body html, details, question, long description, full description,"
    " beschreibung, langbeschreibung, beschreibungstext, produktbeschreibung, problembeschreibung, inhalt,"
    " nachricht, anfrage, contenu, corps, detail, descriptif, descripcion, cuerpo, contenido, mensaje, detalles,"
    " descrizione, corpo, contenuto, messaggio, dettagli, omschrijving, beschrijving, inhoud, bericht, descricao,"
    " conteudo, mensagem, opis, tresc, wiadomosc"
)
_BRAND = _names("brand, vendor, manufacturer, marke, hersteller, marque, fabricant, marca, merk, fabrikant, producent")
_DATE = _names(
    "created, created at, created on, date, timestamp, opened, opened at, published, published at, creation date,"
    " updated, erstellt, erstellt am, datum, angelegt, angelegt am, eingang, date de creation, cree le, fecha,"
    " fecha de creacion, creado, data, data di creazione, aangemaakt, aangemaakt op, criado em, utworzono, zeit"
)
_OF_WHAT = frozenset(
    _names(
        "ticket, issue, product, produkt, produit, producto, prodotto, produto, item, article, artikel, articulo,"
        " articolo, artigo, case, incident, request, question, offer, listing, post, task, order, job, book, film, bug,"
        " variant, record, entry"
    )
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

_NEARLY_ALL = 0.9  # of many rows
_MOST = 0.8  # of the cells that say something
_PLACE = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,9}://|www\.|mailto:|data:|//)\S+|\S+@\S+\.\w+|[\w.~-]*/\S*\.\w{2,5}", re.IGNORECASE
)
_LONGEST_PLACE = 2000
_FIGURES = re.compile(r"(?=.*\d)[\d\s+()./:,-]+")  # telephone numbers, times of day, addresses of machines
_LONGEST_WORD = 40
_IDENTIFIER = re.compile(r"(?=\S*\d)[0-9a-f-]{16,}|[0-9]{6,}(-[0-9]+)*", re.IGNORECASE)
_CODE = re.compile(r"(?=\S*\d)[\w.:/#+=*-]+")
_NAME = re.compile(r"[^\W\d][\w .()/&'-]*")
_MOST_WORDS_OF_A_NAME = 3
_WORDS_OF_A_PRICE = 2
_MOST_LISTED = 20
_SHOWN_OF_A_NAME = 80
_MARKUP_OF_DATA = ("{", "[")
_PROSE_WORDS = 3.0
_CLEARLY = 1.5
_REPEATING = 0.2
_ROWS_THAT_TELL = 20


class Kind(StrEnum):
    """The kind of most cells of a column."""

    NOTHING = "nothing"
    PLACE = "a URL or an address"
    NUMBER = "a number"
    DATE = "a date"
    DATA = "JSON"
    IDENTIFIER = "an id"
    CODE = "a code"
    TEXT = "text"


class Guess(NamedTuple):
    """The columns that were chosen for the text.

    Attributes:
        columns: one, or a heading and a body.
        sure: whether names or cells leave no doubt.
        others: columns that hold text too.
    """

    columns: tuple[str, ...]
    sure: bool
    others: tuple[str, ...] = ()


class Columns:
    """The columns of a file with what their cells hold.

    Args:
        names: all columns.
        sample: some rows.
    """

    def __init__(self, names: Sequence[str], sample: Sequence[Row]) -> None:
        self._names = names
        self._sample = sample
        self._bare = {name: bare_names(name) for name in names}
        self._kinds: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """The kind of the cells of a column."""
        if name not in self._kinds:
            self._kinds[name] = kind_of(self.cells(name))
        return self._kinds[name]

    def cells(self, name: str) -> list[Any]:
        """The cells of a column in the sample that say something."""
        cells = (meant(row.values.get(name)) for row in self._sample)
        return [cell for cell in cells if not _says_nothing(cell)]

    def id(self, taken: Iterable[str] = ()) -> str | None:
        """The column with the ids: one called ``id``, or one of another usual name whose cells hardly ever repeat.

        Of many rows some have an id that another has, or none; they are reported. Numbers of rows in the place of ids
        would make other items of a file that has one row more.
        """
        free = [name for name in self._names if name not in set(taken)]
        if (exact := next((name for name in free if bare(name) == "id"), None)) is not None:
            return exact
        named = [name for wanted in _ID for name in self._called(wanted, free)]
        least = _NEARLY_ALL if len(self._sample) >= _ROWS_THAT_TELL else 1.0
        apart = {name: self._told_apart(name) for name in named}
        return next((name for most in (1.0, least) for name in named if apart[name] >= most), None)

    def continued_id(self, taken: Iterable[str], texts: Sequence[str]) -> str | None:
        """A column of a usual name whose cells repeat only in rows without a text, right below that with the text."""
        free = [name for name in self._names if name not in set(taken)]
        named = (name for wanted in _ID for name in self._called(wanted, free))
        return next((name for name in named if self._is_continued(name, texts)), None)

    def text(self, taken: Iterable[str]) -> Guess:
        """The columns that hold the text; none where no column does."""
        free = [name for name in self._names if name not in set(taken)]
        texts = [name for name in free if self.kind(name) is Kind.TEXT]
        able = [name for name in free if self.kind(name) in _MAY_BE_CALLED_TEXT]
        if (text := self._first(_TEXT, able)) is not None:
            return Guess((text,), True)
        heading = self._first(_HEADING, able)
        body = self._first(_BODY, [name for name in able if name != heading])
        if heading is not None or body is not None:
            chosen = tuple(name for name in (heading, body) if name is not None)
            return Guess(chosen, True)
        ranked = sorted(texts, key=lambda name: (not self._is_constant(name), self._weight(name)), reverse=True)
        if not ranked:
            return Guess((), False)
        best, others = ranked[0], tuple(ranked[1:])
        if self._is_constant(best):
            return Guess((best,), False, others)
        clear = not others or self._weight(best) >= _CLEARLY * self._weight(others[0])
        return Guess((best,), not others or (clear and self._words(best) >= _PROSE_WORDS), others)

    def unused(self, taken: Iterable[str]) -> dict[str, str]:
        """Options that would take further columns along, by their names."""
        free = [name for name in self._names if name not in set(taken)]
        price = next((name for name in free if self.kind(name) is Kind.NUMBER and is_price(name)), None)
        brand = self._first(_BRAND, [name for name in free if self.kind(name) in (Kind.TEXT, Kind.CODE)])
        date = self._first(_DATE, [name for name in free if self._holds_moments(name)])
        options = {price: "--attribute", brand: "--attribute", date: "--timestamp-field"}
        return {name: option for name, option in options.items() if name is not None}

    def header_doubt(self) -> str:
        """Why the first row may be no header: it looks like one of the values, or like a line of something else."""
        if any(is_usual_name(name) for name in self._names):
            return ""
        if len(self._names) == 1 and not _is_name(self._names[0]):
            return (
                f"the only column is named {shortened(self._names[0])!r}: is it a name, and each line below it a text"
            )
        if any(kind_of([name]) in _KINDS_OF_VALUES and kind_of([name]) is self.kind(name) for name in self._names):
            return "the first row looks like values: does the file have a row with the names of its columns"
        return ""

    def _called(self, wanted: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if wanted in self._bare[name]]

    def _first(self, words: Iterable[str], names: Sequence[str]) -> str | None:
        return next((name for wanted in words for name in self._called(wanted, names)), None)

    def _holds_moments(self, name: str) -> bool:
        """Whether cells are dates, or count from 1970: a column of that name may hold 0 and 1 as well."""
        if self.kind(name) is Kind.NUMBER:
            return date_form(self.cells(name)).per_second is not None
        return self.kind(name) is Kind.DATE

    def _told_apart(self, name: str) -> float:
        """Share of distinct values of a column among the rows."""
        return len({str(cell) for cell in self.cells(name)}) / max(len(self._sample), 1)

    def _is_continued(self, name: str, texts: Sequence[str]) -> bool:
        ids: list[str] = []
        for row in self._sample:
            id_, empty = str(row.values.get(name) or ""), all(_says_nothing(row.values.get(text)) for text in texts)
            if not id_ or (empty and (not ids or ids[-1] != id_)):
                return False
            if not empty:
                ids.append(id_)
        return len(set(ids)) == len(ids) > 0

    def _weight(self, name: str) -> float:
        """How much a column says: the length of its cells, less where few of them differ."""
        cells = [str(cell) for cell in self.cells(name)]
        weight = sum(map(len, cells)) / max(len(self._sample), 1)
        repeats = len(self._sample) >= _ROWS_THAT_TELL and len(set(cells)) < _REPEATING * len(cells)
        return weight / 10 if repeats else weight

    def _is_constant(self, name: str) -> bool:
        """Whether several cells all say the same, as the kind of the rows does."""
        cells = [str(cell) for cell in self.cells(name)]
        return len(cells) > 1 and len(set(cells)) == 1

    def _words(self, name: str) -> float:
        cells = [str(cell) for cell in self.cells(name)]
        return sum(len(cell.split()) for cell in cells) / max(len(cells), 1)


def kind_of(cells: Sequence[Any]) -> Kind:
    """What most of some cells hold, which all say something."""
    if not cells:
        return Kind.NOTHING
    for kind, holds in _TESTS.items():
        if sum(map(holds, cells)) >= _MOST * len(cells):
            return kind
    return Kind.TEXT


def _is_name(name: str) -> bool:
    """Whether a name is one of a single column, and neither a sentence nor the names of several."""
    words = name.split()
    several = len(words) > 1 and all(map(is_usual_name, words))
    return len(words) <= _MOST_WORDS_OF_A_NAME and not several and _NAME.fullmatch(name) is not None


def shortened(name: str) -> str:
    """So much of a name as a message shows."""
    return name if len(name) <= _SHOWN_OF_A_NAME else f"{name[:_SHOWN_OF_A_NAME]}…"


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first of many."""
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(repr(shortened(name)) for name in names[:_MOST_LISTED]) + more


def bare_names(name: str) -> frozenset[str]:
    """A name in its bare form, and without the word for what it is the name of: ``product_id`` is an ``id``."""
    whole = bare(_CAMEL.sub(" ", name))
    first, _, rest = whole.partition(" ")
    return frozenset({whole, rest} if rest and first in _OF_WHAT else {whole})


def is_name_of_text(name: str) -> bool:
    """Whether columns with texts are called so."""
    return not bare_names(name).isdisjoint((*_TEXT, *_HEADING, *_BODY))


def is_name_of_id(name: str) -> bool:
    """Whether columns with ids are called so."""
    return not bare_names(name).isdisjoint(_ID)


def is_usual_name(name: str) -> bool:
    """Whether columns of any kind that is known are called so."""
    price = is_price(name) and len(name.split()) <= _WORDS_OF_A_PRICE
    return is_name_of_text(name) or price or not bare_names(name).isdisjoint((*_ID, *_BRAND, *_DATE))


def matching(wanted: str, columns: Sequence[str]) -> str | None:
    """The column that is meant: of that very name, or of the only one that differs in case, blanks or form."""
    if wanted in columns:
        return wanted
    alike = [name for name in columns if _folded(name) == _folded(wanted)]
    return alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    seen = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return " ".join(seen.casefold().split())


def _says_nothing(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and is_placeholder(value))


def _is_place(cell: Any) -> bool:
    return isinstance(cell, str) and len(cell) <= _LONGEST_PLACE and _PLACE.fullmatch(cell.strip()) is not None


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return len(cell) <= _LONGEST_WORD and (is_number(cell) or _FIGURES.fullmatch(cell) is not None)
    return isinstance(cell, bool) or is_number(cell)


def _is_data(cell: Any) -> bool:
    if isinstance(cell, Mapping):
        return True
    if isinstance(cell, list):
        return not all(isinstance(part, str) for part in cell)
    if not isinstance(cell, str) or not cell.lstrip().startswith(_MARKUP_OF_DATA):
        return False
    try:
        return isinstance(json.loads(cell), dict | list)
    except ValueError:
        return False


def _is_identifier(cell: Any) -> bool:
    if not isinstance(cell, str):
        return False
    if len(cell) > _LONGEST_WORD:
        return cell.isascii() and len(cell.split(maxsplit=1)) == 1  # Base64, digests; other scripts have no blanks
    return _IDENTIFIER.fullmatch(cell.strip()) is not None


def _is_code(cell: Any) -> bool:
    return isinstance(cell, str) and len(cell) <= _LONGEST_WORD and _CODE.fullmatch(cell.strip()) is not None


_KINDS_OF_VALUES = (Kind.PLACE, Kind.DATE, Kind.NUMBER, Kind.IDENTIFIER)
_MAY_BE_CALLED_TEXT = (Kind.TEXT, Kind.CODE, Kind.NOTHING)
_TESTS = {
    Kind.PLACE: _is_place,
    Kind.DATE: looks_like_a_date,
    Kind.NUMBER: _is_number,
    Kind.DATA: _is_data,
    Kind.IDENTIFIER: _is_identifier,
    Kind.CODE: _is_code,
}
