"""Placeholder texts: ``N/A``, ``NULL``, ``-``, ``see attachment`` and similar."""

from __future__ import annotations

import re
import unicodedata

_DIGIT = re.compile(r"\d")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_LONGEST = 32
"""Characters of the longest line that is looked up; a longer one is never a placeholder."""

_INITIALS = 8
_SAYING_SYMBOLS = frozenset({"So", "Sc"})  # emoji and other pictures, signs of currencies

# In the bare form: lower case, no accents, what is no letter or digit a blank.
_ANYWHERE = """
n a, na, nan, null, nil, none, void, nat, undefined, unspecified, unknown, unkn, tbd, tba, tbc, tbn, n n
"""
_ENGLISH = """
not available, not applicable, unavailable, not known, not specified, not provided, not given, not set, not entered,
not defined, no value, no data, no text, no content, no information, no info, no title, no name, no subject, no summary,
no description, no description available, no description provided, no details, no comment, no comments, nothing,
untitled, unnamed, missing, empty, blank, to be determined, to be defined, to be decided, to be announced,
to be confirmed, to be done, see attachment, see attachments, see attached, see attached file, see the attachment,
please see attachment, please see attached, attached, as attached, see above, see below, see subject, see title,
see description, see comment, see comments, same as above, as above, same as title, same as subject, ditto, idem
"""
_GERMAN = """
k a, keine angabe, keine angaben, ohne angabe, o a, nicht angegeben, nicht bekannt, unbekannt, nicht verfugbar,
nicht vorhanden, nicht zutreffend, trifft nicht zu, n v, n z, entfallt, leer, fehlt, keine, keiner, keins, kein wert,
keine daten, nichts, kein text, kein titel, ohne titel, kein name, kein betreff, ohne betreff, keine beschreibung,
ohne beschreibung, unbenannt, folgt, siehe anhang, siehe anlage, s anhang, s anlage, siehe angehangt, im anhang,
anbei, siehe oben, siehe unten, siehe betreff, siehe titel, siehe beschreibung, s o, s u, wie oben, noch offen
"""
_FRENCH = """
inconnu, inconnue, non disponible, indisponible, non renseigne, non renseignee, non applicable, sans objet, s o,
non precise, non precisee, non specifie, non specifiee, non communique, n c, n d, n r, neant, aucun, aucune, vide, rien,
sans titre, sans sujet, sans description, aucune description, pas de description, a definir, a determiner,
a completer, voir piece jointe, voir pieces jointes, voir pj, voir p j, piece jointe, voir ci joint, ci joint,
voir annexe, en annexe, voir ci dessus, voir ci dessous, voir titre, voir objet
"""
_SPANISH = """
desconocido, desconocida, no disponible, no aplica, no aplicable, no procede, n d, s d, sin datos, sin dato,
sin informacion, ninguno, ninguna, nulo, vacio, nada, no especificado, no especificada, no indicado, no consta,
sin especificar, sin titulo, sin nombre, sin asunto, sin descripcion, sin texto, por definir, por determinar,
ver adjunto, ver adjuntos, ver archivo adjunto, adjunto, ver anexo, ver arriba, ver abajo, ver titulo, ver asunto
"""
_ITALIAN = """
sconosciuto, sconosciuta, ignoto, non disponibile, non applicabile, non specificato, non specificata, non indicato,
non pervenuto, n d, n p, nessuno, nessuna, nessun dato, nullo, vuoto, niente, senza titolo, senza nome, senza oggetto,
nessun oggetto, nessuna descrizione, senza descrizione, da definire, da determinare, vedi allegato, vedi allegati,
vedere allegato, in allegato, allegato, vedi sopra, vedi sotto, vedi titolo, vedi oggetto
"""
_DUTCH = """
onbekend, niet beschikbaar, niet van toepassing, n v t, nvt, geen, geen gegevens, leeg, niets, niet opgegeven,
niet ingevuld, niet gespecificeerd, nader te bepalen, n t b, ntb, n n b, nnb, geen titel, geen naam, geen onderwerp,
geen omschrijving, geen beschrijving, zonder titel, zie bijlage, zie bijlagen, bijgevoegd, zie boven, zie onder,
zie titel, zie onderwerp
"""
_PORTUGUESE = """
desconhecido, desconhecida, nao disponivel, indisponivel, nao aplicavel, nao se aplica, n d, s d, sem dados,
sem informacao, nenhum, nenhuma, nulo, vazio, nada, nao informado, nao informada, nao especificado, nao consta,
sem titulo, sem nome, sem assunto, sem descricao, a definir, a determinar, ver anexo, vide anexo, em anexo, anexo,
ver acima, ver abaixo, ver titulo, ver assunto
"""
_POLISH = """
nieznany, nieznana, nieznane, niedostepny, niedostepna, niedostepne, nie dotyczy, n d, b d, brak, brak danych,
brak informacji, brak opisu, brak tytulu, brak tematu, brak nazwy, nie podano, nieokreslony, nieokreslone, puste,
bez tytulu, bez nazwy, bez tematu, bez opisu, do ustalenia, do uzupelnienia, zobacz zalacznik, patrz zalacznik,
zob zalacznik, w zalaczniku, jak wyzej, jw, j w
"""
_PROGRAMS = """
\\n, #ref!, #bezug!, #name?, #num!, #zahl!, #value!, #wert!, #valeur!, #valor!, #valore!, #waarde!, #arg!, #adr!,
#nombre?, #div/0!, #null!, #nv, #n/d, #n/a, #error!, #fehler!, #spill!, #calc!, #getting_data, [object object],
<null>, {}, []
"""
"""Words that programs write for a missing value, verbatim."""


def _listed(words: str) -> frozenset[str]:
    return frozenset(word for part in words.split(",") if (word := " ".join(part.split())))


_WORDS = frozenset().union(
    *map(_listed, (_ANYWHERE, _ENGLISH, _GERMAN, _FRENCH, _SPANISH, _ITALIAN, _DUTCH, _PORTUGUESE, _POLISH))
)
_LITERALS = _listed(_PROGRAMS)


def says_nothing(text: str) -> bool:
    """Whether every line of a text is blank, has no letter, digit or picture, or is a placeholder.

    Case, accents and punctuation make no difference. The words are those of English, German, French, Spanish, Italian,
    Dutch, Portuguese and Polish, and what programs write for a value that they do not have.
    """
    head = text[: _LONGEST + 1]  # of most texts enough to tell; each candidate of an item is asked
    if len(head) > _LONGEST and head[0].isalnum() and not head[-1].isspace() and "\n" not in head:
        return False
    return all(map(is_placeholder, text.split("\n")))


def is_placeholder(line: str) -> bool:
    """The same for one line."""
    if not any(map(_says, line)):
        return True
    word = line.strip()
    if len(word) > _LONGEST:
        return False
    if word.casefold() in _LITERALS:
        return True
    if _DIGIT.search(word):
        return False
    said = bare(word)
    initials = said.replace(" ", "") if len(said) < _INITIALS and not any(map(_long, said.split())) else said
    return said in _WORDS or initials in _WORDS


def bare(text: str) -> str:
    """A short text in lower case without accents, with one blank for all that is no letter or digit."""
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower()))
    parts = unicodedata.normalize("NFKD", text.casefold().translate(_BARRED))
    return " ".join(
        "".join(
            character if character.isalnum() else " " for character in parts if not unicodedata.combining(character)
        ).split()
    )


_BARRED = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "\N{LATIN SMALL LETTER DOTLESS I}": "i", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take apart."""


def _long(word: str) -> bool:
    return len(word) > 1


def _says(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in _SAYING_SYMBOLS
