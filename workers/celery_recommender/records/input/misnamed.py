"""Files that are something else than their name says: named, with what to do, and never read line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from celery_recommender.records.input.formats import RecordFormat
from celery_recommender.records.input.named_lines import is_settings, is_yaml

_MARKUP = re.compile(
    r"<(!doctype\s+html|html|head|body|table)\b(?![^<>\n]*>[ \t]*[,;|\t])|<(\?xml\b|!--)|\{\\(rtf)"
    r"|<([a-z][\w:.-]*)(?:\s[^<>]*+)?>[ \r\n]*+<",  # <DATE>,<OPEN> is a header, and <div><p> is none
    re.IGNORECASE,
)
_HTML = frozenset(
    {"a", "b", "br", "center", "div", "font", "form", "meta", "p", "pre", "script", "span", "style", "title"}
)
_JSON = re.compile(r'\{\s*"(?:[^"\\\n]|\\.)*+"\s*:|\[\s*[{\[]\s*"')
_SCRIPT = re.compile(r"(?:(?:var|let|const|export|window\.|module\.)[\w .$]*+=|[\w$.]+\s*\(|\)\]\}',?)\s*[{\[]")
_COMMENT = re.compile(r"//|/\*")

_CONVERT = "write its entries as rows of CSV or as JSON"
_AS_TABLE = "export it as CSV"
# What else text files are: by how they begin, or by their first lines. What has several columns is none of it.
_MAIL = r"(?=[\s\S]{0,4000}?^From: .*@)(?=[\s\S]{0,4000}?^(?:Subject|Date): )"
_BEGINNINGS = (
    (r"From \S+ +\w{3} \w{3} .*\d{4}.*\r?\n>?[A-Za-z-]+:", f"a mailbox (mbox): {_CONVERT}"),
    (_MAIL + r"(?:[A-Z][\w-]*: .*\r?\n(?:[ \t].*\r?\n)*+){2}", f"an e-mail: {_CONVERT}"),
    (r"\*{3,} 1\. row \*{3,}", "what mysql prints for \\G: leave out the \\G, or use mysql --batch"),
    (r"-\[ RECORD 1 \]", "what psql prints with \\x: use psql --csv"),
    (r"BEGIN:(?:VCARD|VCALENDAR)[ \t\r]*$", f"a vCard or a calendar: {_CONVERT}"),
    (r"(?:version: \d+\s+)?dn:(?:: \S|\s*[\w.-]+=)", f"LDIF: {_CONVERT}"),
    (r"@\w+\s*\{[^,\s]+,", f"BibTeX: {_CONVERT}"),
    (r"\[\[?[\w .\"'-]+\]\]?[ \t]*\r?\n(?:\s*[#;].*\n)*+\s*[\w.\"'-]+\s*=", f"TOML, or settings: {_CONVERT}"),
)
_NAME = r"(?:[\w$.@]|`[^`\n]+`|\"[^\"\n]+\"|\[[^\]\n]+\])++"
_END = r"[ \t]*+(?:;[ \t]*+(?:--.*+)?(?:\r?\n|\Z)|\r?\n\s*+go\b)"
_NOT_THERE = r"(?:if\s+(?:not\s+)?exists\s+)?"
_TYPE = r"(?:\w*int|\w*char|\w*text|\w*serial|\w*blob|numeric|decimal|float|real|double|bool|date|time|uuid|json)"
_COLUMNS = rf"\((?:[ \t]*+(?:--.*+)?\r?\n|\s*+{_NAME}\s++{_TYPE}|[^()]*\){_END})"
_LIST = r"(?:\([^()]*\)\s*+)?"
# Whole statements, not their first words: a header or a text may well begin with those.
_STATEMENTS = (
    rf"(?:insert|replace)\s+(?:\w+\s+){{0,2}}into\s+{_NAME}\s*+{_LIST}(?:values?\s*+\(|select\s|set\s+{_NAME}\s*+=)",
    rf"create\s+(?:\w+\s+){{0,4}}?table\s+{_NOT_THERE}{_NAME}\s*+(?:{_COLUMNS}|as\s+select\s|like\s+{_NAME}\s*+;)",
    rf"create\s+(?:database|schema)\s+(?:/\*.*?\*/\s*+)?{_NOT_THERE}{_NAME}(?:\s*+/\*|\s+(?:with|default)\b|{_END})",
    rf"drop\s+(?:table|database|schema)\s+{_NOT_THERE}{_NAME}(?:\s+(?:cascade|restrict))?(?:\s*+/\*.*?\*/)?{_END}",
    rf"copy\s+{_NAME}\s*+{_LIST}from\s+stdin\b",
    rf"(?:set\s+[\w@.]+\s*+(?:=|to\s)|set\s+names\s|pragma\s+\w+\s*+=)[^;\n]*+{_END}",
    rf"use\s+{_NAME}{_END}",
    rf"lock\s+tables\s+{_NAME}\s+(?:read|write)\b",
    rf"(?:begin|begin\s+transaction|start\s+transaction){_END}",
)
_SQL = re.compile(rf"(?:\s++|--.*+\n|/\*(?:[^*]|\*(?!/))*+\*/;?)*+(?:{'|'.join(_STATEMENTS)})", re.IGNORECASE)
_KNOWN = [(re.compile(pattern, re.MULTILINE), what) for pattern, what in _BEGINNINGS]
_DRAWN = re.compile(r"[-=+ ]+")
_LOOKED_AT = 50
_TOLD_BY = 3
_MOSTLY = 0.9


def something_else(text: str, file_format: RecordFormat) -> str | None:
    """The actual format of a text file that cannot be of its named one, and what to do; ``None`` if it can be.

    Args:
        text: its beginning.
        file_format: by its name or by --format.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if (found := _MARKUP.match(text)) is not None:
        html = found[1] or (found[4] or "").lower() in _HTML or "<html" in text.lower()
        kind = "RTF" if found[3] else "HTML" if html else "XML"
        return f"{kind}: open it in the program that it is for, and save it as .xlsx, CSV or JSON"
    if _SQL.match(text) is not None:
        return "SQL: run it, and export the table as CSV"
    if file_format.is_delimited:
        return _no_delimited_text(text)
    if _SCRIPT.match(text) is not None:
        return "JavaScript: leave only what stands between the brackets, with them"
    if _COMMENT.match(text) is not None:
        return "JSON with comments, which JSON does not have: take them out"
    return None


def _no_delimited_text(text: str) -> str | None:
    if _JSON.match(text) is not None:
        return "JSON: give it a name that ends in .json, or say --format json"
    if text.count("\x1e") > text.count("\n"):
        return "a table whose rows end in the character 0x1E: put line ends there"
    return next((what for pattern, what in _KNOWN if pattern.match(text) is not None), None)


def no_table(text: str) -> str | None:
    """What a text without several columns is, where it is no column of texts, with what to do about it.

    Args:
        text: its beginning.
    """
    text = text.lstrip("\ufeff\r\n")
    lines = [line.expandtabs() for line in text.splitlines()[: _LOOKED_AT + 1] if line.strip()]
    if len(lines) < _TOLD_BY:
        return None
    if is_yaml(text.splitlines()[:_LOOKED_AT]):
        return f"YAML, or lines of a name and a value: {_CONVERT}"
    if is_settings(lines):
        return f"lines of a name and a value: {_CONVERT}"
    if _in_fixed_places(lines):
        return f"a table whose columns are told by their places in the line: {_AS_TABLE}, or put semicolons there"
    return None


def _in_fixed_places(lines: Sequence[str]) -> bool:
    """Whether several names stand apart in the first line, and nearly every line has a blank before each of them.

    A right-aligned column is one whose lines end where its name does.
    """
    header, *rows = (line.rstrip() for line in lines if not _DRAWN.fullmatch(line))
    names = list(re.finditer(r"\S+(?: \S+)*", header))
    if len(names) < 2 or not re.search(r"\S {2,}\S", header):
        return False
    edges = [(before.end(), name.start()) for before, name in pairwise(names)]
    fit = sum(all(" " in row[end : start + 1] or len(row) <= end for end, start in edges) for row in rows)
    return len(rows) > 1 and fit >= _MOSTLY * len(rows) and sum("  " in row for row in rows) * 2 > len(rows)
