"""Recognises price attributes by their names, in several languages."""

from __future__ import annotations

import re

from recommender_engine.items.placeholders import bare

# Without accents and signs. German and Dutch put words together: a price is then the last part.
_PRICES = frozenset(
    map(
        bare,
        {"price", "prices", "msrp", "rrp", "preis", "prix", "precio", "precios", "prezzo", "prijs", "preco", "precos"}
        | {"pvp", "pvpr", "cena", "ceny", "pris", "hinta", "fiyat", "pret", "цена", "ціна", "价格", "価格", "가격"},
    )
)
_LAST_PARTS = ("preis", "prijs")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def is_price(name: str) -> bool:
    """Whether an attribute or column of this name holds a price.

    ``price`` anywhere in the name, in any case, or a word for it as a word of its own: ``Preis (brutto)``,
    ``Verkaufspreis``, ``prix_ttc``, ``precioVenta``. A ``Preisgruppe`` is none.
    """
    if "price" in name.casefold():
        return True
    words = bare(_CAMEL.sub(" ", name)).split()
    return any(word in _PRICES or word.endswith(_LAST_PARTS) for word in words)
