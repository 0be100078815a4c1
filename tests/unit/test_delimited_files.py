"""Delimited files as people export them: every row is read, or reported with its own cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from celery_recommender.records import BadRow, Fault, Row, open_records, open_writer
from celery_recommender.records.delimited import repair
from recommender_engine.errors import ConfigurationError


def file(tmp_path: Path, text: str, name: str = "items.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def read(path: Path) -> list[Row | BadRow]:
    with open_records(path) as reader:
        return list(reader)


def values(path: Path) -> list[dict[str, Any]]:
    rows = read(path)
    assert not [row for row in rows if isinstance(row, BadRow)], rows
    return [dict(row.values) for row in rows]


def bad(rows: list[Row | BadRow]) -> list[tuple[int, str, dict[str, Any]]]:
    return [(row.number, row.kind, dict(row.values)) for row in rows if isinstance(row, BadRow)]


def numbered(count: int, delimiter: str = ",", end: str = "\n") -> list[str]:
    return [
        delimiter.join((str(number), f"Bolt {number}", f"zinc plated, size {number}")) + end for number in range(count)
    ]


# --- what holds cells apart -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", "\x01"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_the_one_that_fits_the_rows(tmp_path: Path, delimiter: str, end: str) -> None:
    lines = [["id", "title", "note"], ["1", "Lamp", "small"], ["2", "Desk", "oak"], ["3", "Chair", "pine"]]
    path = file(tmp_path, "".join(delimiter.join(line) + end for line in lines))
    assert values(path)[1] == {"id": "2", "title": "Desk", "note": "oak"}


@pytest.mark.parametrize(
    "text",
    [
        "id;size (w,h,d);price, net;title\n1;10,20,30;5,00;Shelf\n2;11,21,31;6,00;Board\n",
        "id|sizes, in cm|title;short\n1|1,2|Shelf\n2|3,4|Board\n",
        "id\tprice, net;gross\ttitle\n1\t1,00;2,00\tShelf\n2\t1,10;2,10\tBoard\n",
    ],
)
def test_delimiters_inside_of_names_and_cells_do_not_mislead(tmp_path: Path, text: str) -> None:
    rows = values(file(tmp_path, text))
    assert [row["id"] for row in rows] == ["1", "2"]
    assert [list(row.values())[-1] for row in rows] == ["Shelf", "Board"]


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;", "sep=;;;"])
def test_a_hint_is_obeyed_and_no_header(tmp_path: Path, hint: str) -> None:
    path = file(tmp_path, f"{hint}\r\nid;title, long\r\n1;Hose, 20 m\r\n")
    assert values(path) == [{"id": "1", "title, long": "Hose, 20 m"}]


def test_a_file_of_one_column_has_no_delimiter(tmp_path: Path) -> None:
    assert values(file(tmp_path, "text\nHello, world\nplain\n")) == [{"text": "Hello, world"}, {"text": "plain"}]


@pytest.mark.parametrize(
    "above", ["Report of March\n\n", "Report;;\n;;\n", "# made by a tool\n# 2025-03-01\n", "Shop: a, b\nFrom: 1 to 2\n"]
)
def test_lines_above_the_header_are_left_out_and_reported(tmp_path: Path, above: str) -> None:
    path = file(tmp_path, above + "id;title;note\n1;Lamp;small\n2;Desk;oak\n3;Chair;pine\n")
    with open_records(path) as reader:
        assert reader.columns == ("id", "title", "note")
        assert "above the header" in reader.dialect.describe()
        assert len(list(reader)) == 3


# --- quotes and backslashes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at", [0, 30, 58, 59])
@pytest.mark.parametrize(
    "broken",
    ['4,"12 inch wrench,for "large" pipes', '4,"12 inch wrench,for pipes', '"4,wrench,for pipes', '4,x,"for pipes'],
)
def test_a_quote_that_never_closes_costs_one_row(tmp_path: Path, broken: str, at: int, end: str) -> None:
    lines = [line.replace("plated, ", "plated ") for line in numbered(60, end=end)]
    lines[at] = broken + end
    rows = read(file(tmp_path, f"id,title,description{end}" + "".join(lines)))
    assert len(rows) == 60
    ((number, kind, own),) = bad(rows)
    assert (number, kind) == (at + 1, Fault.QUOTE)
    assert ",".join(own.values()) == broken


def test_two_quotes_too_many_do_not_swallow_what_is_between_them(tmp_path: Path) -> None:
    lines = [f"{number},pipe {number},Zinc\n" for number in range(40)]
    lines[3] = '3,"12 inch pipe,Zinc\n'
    lines[9] = '9,pipe 14",Zinc\n'
    lines[20] = '20,"pipe, long",Zinc\n'
    rows = read(file(tmp_path, "id,title,metal\n" + "".join(lines)))
    assert len(rows) == 40
    assert next(number for number, _, _ in bad(rows)) == 4


def test_cells_may_have_many_lines(tmp_path: Path) -> None:
    text = "\n".join(f"line {number}, and more" for number in range(500))
    path = file(tmp_path, f'id,text\n1,"{text}"\n2,"a\n\nb, ""c"""\n3,plain\n')
    assert [row["text"] for row in values(path)] == [text, 'a\n\nb, "c"', "plain"]


def test_quotes_that_never_close_cost_what_goes_by_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = 0
    hand = repair._Feed.__next__

    def counted(feed: Any) -> str:
        nonlocal handed
        handed += 1
        return hand(feed)

    monkeypatch.setattr(repair._Feed, "__next__", counted)
    path = file(tmp_path, "id,text\n" + "".join(f'{number},"open {number} a b\n' for number in range(30_000)))
    assert len(read(path)) == 30_000
    assert handed < 4 * 30_000


@pytest.mark.parametrize("delimiter", ["\t", "|", ";"])
def test_quotes_that_are_characters(tmp_path: Path, delimiter: str) -> None:
    lines = numbered(40, delimiter)
    lines[4] = delimiter.join(("4", '"Premium" cable', "5 m\n"))
    lines[5] = delimiter.join(("5", "Monitor arm", '"Heavy duty\n'))
    path = file(tmp_path, delimiter.join(("id", "title", "note\n")) + "".join(lines))
    rows = values(path)
    assert len(rows) == 40
    assert (rows[4]["title"], rows[5]["note"]) == ('"Premium" cable', '"Heavy duty')


def test_backslashes_of_a_database(tmp_path: Path) -> None:
    path = file(
        tmp_path, 'id\ttitle\tnote\n1\tLamp\\tsmall\t\\N\n2\tC:\\\\dir\tone\\\ntwo\n3\t\\"x\\"\tplain\n', "a.tsv"
    )
    assert values(path) == [
        {"id": "1", "title": "Lamp\tsmall", "note": None},
        {"id": "2", "title": "C:\\dir", "note": "one\ntwo"},
        {"id": "3", "title": '"x"', "note": "plain"},
    ]


def test_backslashes_inside_of_quotes(tmp_path: Path) -> None:
    path = file(tmp_path, '"id","text"\n"1","say \\"hi, you\\" now"\n"2","plain"\n"3",\\N\n')
    assert [row["text"] for row in values(path)] == ['say "hi, you" now', "plain", None]


def test_single_quotes_around_cells(tmp_path: Path) -> None:
    path = file(tmp_path, "'id','title','note'\n'1','Lamp, small','a'\n'2','It''s here','b'\n")
    assert [row["title"] for row in values(path)] == ["Lamp, small", "It's here"]


@pytest.mark.parametrize("ending", ["\\", "a\\", '"', '"\\', "\\\\\\"])
def test_a_file_that_ends_in_the_middle_of_something(tmp_path: Path, ending: str) -> None:
    assert len(read(file(tmp_path, "id,text\n1,\\N\n2," + ending + "\n"))) == 2


# --- names and widths -----------------------------------------------------------------------------------------------


def test_blanks_behind_delimiters_belong_to_nothing(tmp_path: Path) -> None:
    path = file(tmp_path, 'id, title, note\n1, Pot, "glass, with sieve"\n2, Cup, "plain" \n')
    assert values(path)[0] == {"id": "1", "title": "Pot", "note": "glass, with sieve"}
    assert values(path)[1]["note"] == "plain"


def test_a_table_drawn_with_bars(tmp_path: Path) -> None:
    path = file(tmp_path, "| id | title  |\n| 1  | Pot    |\n| 2  | Tea cup|\n")
    assert [(row["id"], row["title"]) for row in values(path)] == [("1", "Pot"), ("2", "Tea cup")]


def test_a_header_with_a_quote_too_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the header row cannot be read: a quote"):
        open_records(file(tmp_path, 'id,"title\n1,Pot\n2,Cup\n'))


def test_blanks_around_names_only(tmp_path: Path) -> None:
    path = file(tmp_path, "id , title,\tnote \n1,Pot, x\n2,Cup,y\n")
    assert values(path)[0] == {"id": "1", "title": "Pot", "note": " x"}


def test_repeated_and_empty_names_are_distinguished(tmp_path: Path) -> None:
    path = file(tmp_path, "Key,Label,Label,,\n1,a,b,,\n2,c,,,\n")
    assert values(path)[0] == {"Key": "1", "Label [1]": "a", "Label [2]": "b", "column 4": "", "column 5": ""}


def test_rows_too_short_and_too_long_keep_their_cells(tmp_path: Path) -> None:
    path = file(tmp_path, "id,title,note,stock\n1,Pot,glass,4\n2,Cup,porcelain\n3,Jug,small, white,7,\n4,Box,tin,2,,\n")
    rows = read(path)
    assert bad(rows) == [
        (2, Fault.COLUMNS, {"id": "2", "title": "Cup", "note": "porcelain"}),
        (3, Fault.COLUMNS, {"id": "3", "title": "Jug", "note": "small", "stock": " white,7,"}),
    ]
    assert rows[3] == Row(4, {"id": "4", "title": "Box", "note": "tin", "stock": "2"})


def test_nothing_but_delimiters_at_the_end_is_no_row(tmp_path: Path) -> None:
    assert len(values(file(tmp_path, "id,title\n1,Pot\n,\n2,Cup\n,\n,\n\n"))) == 3


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_header_once_more_is_no_item(tmp_path: Path, mark: str) -> None:
    rows = read(file(tmp_path, f"\ufeffid,title\n1,Pot\n{mark}id,title\n2,Cup\n"))
    assert [(number, kind) for number, kind, _ in bad(rows)] == [(2, Fault.HEADER)]
    assert rows[2] == Row(3, {"id": "2", "title": "Cup"})


def test_a_second_file_behind_the_first_brings_its_mark(tmp_path: Path) -> None:
    assert [row["id"] for row in values(file(tmp_path, "id,title\n1,Pot\n\ufeff2,Cup\n"))] == ["1", "2"]


def test_thousands_of_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(5000)]
    path = file(tmp_path, ",".join(names) + "\n" + (",".join("x" * 5000) + "\n") * 3)
    assert len(values(path)[2]) == 5000


# --- written alike --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\ufeffid;Titel;Preis\r\n1;Gießkanne;24,90\r\n".encode()),
        ("a.csv", "id;Titel\r\n1;Tür für Käthe\r\n2;Größe\r\n3;Straße\r\n".encode("cp1252")),
        ("a.csv", b"sep=;\r\nid;title\r\n1;Hose\r\n"),
        ("a.csv", b"id,Label,Label,,\n1,a,b,,\n2,c,,,\n"),
        ("a.csv", b'"id","title"\n"1","Lamp"\n"2","a, b"\n'),
        ("a.csv", b"id|title|note\n1|Lamp|a, b\n2|Desk|c\n"),
        ("a.csv", b"Report of March\n\nid,title,note\n1,Lamp,x\n2,Desk,y\n"),
        ("a.csv", b"id,title\r1,Lamp\r2,Desk\r"),
        ("a.tsv", "\ufeffid\ttitle\r\n1\tTür\r\n".encode("utf_16_le")),
        ("a.tsv", b'id\ttitle\n1\t"Premium" cable\n2\t"Heavy duty\n'),
        ("a.tsv", b"id\ttitle\tnote\n1\tLamp\\tsmall\t\\N\n2\tone\\ntwo\tx\n"),
    ],
)
def test_what_is_written_has_the_dialect_of_what_was_read(tmp_path: Path, name: str, content: bytes) -> None:
    path, out = tmp_path / name, tmp_path / f"out-{name}"
    path.write_bytes(content)
    with open_records(path) as reader, open_writer(out, reader.columns, like=reader.dialect) as writer:
        for row in reader:
            writer.write(row.values)
    assert out.read_bytes() == content


def test_what_an_encoding_lacks_is_spelt_out(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "out.csv"
    path.write_bytes("id;Titel\n1;Tür für Käthe\n2;Größe\n".encode("cp1252"))
    with open_records(path) as reader, open_writer(out, reader.columns, ("reason",), like=reader.dialect) as writer:
        for row in reader:
            writer.write({**row.values, "reason": "← Привет"})
    assert out.read_bytes().decode("cp1252").splitlines()[1].startswith("1;Tür für Käthe;\\u2190 ")


# --- what the file is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<html>\n<table>\n<tr><td>1</td><td>Shelf, oak</td></tr>\n</table>\n</html>\n", "HTML"),
        ("\n  <!DOCTYPE html>\n<p>Log in, please</p>\n<p>You are not, yet</p>\n", "HTML"),
        ('<?xml version="1.0"?>\n<rss>\n<item>Shelf, oak</item>\n</rss>\n', "XML"),
        ("{\\rtf1\\ansi\n id, text\\par\n 1, Shelf\\par }\n", "RTF"),
        ('{"id": 1, "text": "Shelf"}\n{"id": 2, "text": "Board"}\n', "JSON"),
        ('[\n {\n  "id": 1,\n  "text": "Shelf"\n },\n {\n  "id": 2,\n  "text": "Board"\n }\n]\n', "JSON"),
    ],
)
def test_a_file_that_is_no_table_is_named_and_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is {what}: "):
        read(file(tmp_path, text))


@pytest.mark.parametrize("name", ["text", "Beschreibung", "product name"])
def test_texts_of_one_column_with_as_many_commas_each_keep_their_header(tmp_path: Path, name: str) -> None:
    texts = ["Oak shelf, small", "Pine board, large", "Zinc bolts, a hundred"]
    assert values(file(tmp_path, "\n".join([name, *texts, ""]))) == [{name: text} for text in texts]
    table = values(file(tmp_path, f"{name}\n\nid,colour\n1,red\n2,blue\n3,green\n", "titled.csv"))
    assert table[0] == {"id": "1", "colour": "red"}


def test_a_table_that_is_drawn_with_lines_is_read(tmp_path: Path) -> None:
    line = "+----+-------------------+-------+\n"
    rows = "".join(f"| {number:>2} | {title:<17} | {size:<5} |\n" for number, title, size in BOXED)
    found = read(file(tmp_path, f"{line}| id | title             | size  |\n{line}{rows}{line}"))
    good = [dict(row.values) for row in found if isinstance(row, Row)]
    assert [(row["id"], row["title"], row["size"]) for row in good] == [(str(a), b, c) for a, b, c in BOXED]
    assert len(found) == len(BOXED) + 2  # the lines below the header and the rows are reported


BOXED = [(1, "Oak shelf, small", "10,5"), (2, "Pine board, long", "20,5"), (3, "Zinc bolts", "1")]


def test_a_file_with_every_delimiter_in_it_is_read(tmp_path: Path) -> None:
    """As random bytes have: no delimiter stands for none, so the comma is taken."""
    file = tmp_path / "noise.csv"
    file.write_text("name\na\tb;c|d,e^f~g\x01h\x1fi¦j\nk\n")
    rows = read(file)
    assert len(rows) == 2
