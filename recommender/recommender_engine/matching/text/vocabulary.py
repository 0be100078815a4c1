"""Built-in vocabulary: function words, colours, numbers written out.

English, German, French and Spanish, without accents, as folded by `terms`. Other languages work without it: the
frequencies of the collection replace it as the collection grows.
"""

from __future__ import annotations

_FUNCTION_WORDS = """
    a about after all also am an and any are as at be been but by can could did do does for from get had has have he
    her here him his how i if in into is it its just like me more my no not now of on one only or our out over please
    she so some than that the their them then there these they this to too up us very was we were what when where which
    who why will with would you your
    aber als am an auch auf aus bei bin bis bitte da das dass dem den der des die doch du ein eine einem einen einer er
    es fur habe haben hat ich ihr im in ist ja kann kein keine man mehr mein meine mich mir mit nach nicht noch nur oder
    ohne schon sehr sein seit sich sie sind so uber um und uns von vor war was wenn wer wie wir wird zu zum zur
    au aux avec ce ces cette comme dans de des du elle en est et etre il ils j je l la le les leur lui ma mais mes moi
    mon n ne nous on ou par pas plus pour que qui s sa se ses son sont sur un une vos votre vous
    al como con cuando de del el ella en era es esta este ha han hay las lo los me mi mis muy no para pero por que se si
    sin sobre son su sus te tiene un una y ya yo
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

_COLOURS = {
    "black": "black schwarz schwarze schwarzer noir noire negro negra graphite grafite onyx ebony charcoal anthracite "
    "anthrazit",
    "white": "white weiss weisse blanc blanche blanco blanca ivory",
    "silver": "silver silber argent plata platinum",
    "grey": "gray grey grau graue gris slate titanium",
    "red": "red rot rote rouge rojo roja burgundy crimson cherry",
    "blue": "blue blau blaue bleu bleue azul navy cobalt turquoise teal indigo",
    "green": "green grun grune vert verte verde moss sage olive mint",
    "yellow": "yellow gelb gelbe jaune amarillo mustard",
    "orange": "orange naranja terracotta copper rust",
    "pink": "pink rosa rose coral",
    "purple": "purple violet lila lilac violett morado magenta aubergine",
    "brown": "brown braun braune marron bronze espresso walnut taupe",
    "beige": "beige sand cream creme champagne khaki",
    "gold": "gold golden dore dorado",
}
COLOURS = {word: colour for colour, words in _COLOURS.items() for word in words.split()}

NUMBER_WORDS = {
    word: str(value)
    for value, words in {
        2: "two zwei deux dos", 3: "three drei trois tres", 4: "four vier quatre cuatro", 5: "five funf cinq cinco",
        6: "six sechs seis", 7: "seven sieben sept siete", 8: "eight acht huit ocho", 9: "nine neun neuf nueve",
        10: "ten zehn dix diez", 12: "twelve zwolf douze doce", 20: "twenty zwanzig vingt veinte",
        30: "thirty dreissig trente treinta", 50: "fifty funfzig cinquante cincuenta", 100: "hundred hundert cent cien",
    }.items()
    for word in words.split()
}  # fmt: skip
