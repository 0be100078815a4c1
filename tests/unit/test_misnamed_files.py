"""Files that are no tables: named with what to do, and never read line by line without a word."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.records import MappingOptions, Row, open_records, resolve_mapping
from recommender_engine.errors import ConfigurationError

ITEMS = [("101", "Oak desk lamp", "Linen shade"), ("102", "Steel shelf", "Five boards"), ("103", "Tea pot", "Glass")]
FIXED = "".join(f"{number:<7}{title:<17}{body:<14}{'12.5':>6}\n" for number, title, body in ITEMS)
MAIL = "From: A <a@example.org>\nSubject: Printer\nDate: Mon, 10 Mar 2025 14:30:00 +0100\n\nThe printer is jammed\n"


def file(tmp_path: Path, content: str | bytes, name: str = "items.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("- id: 1\n  title: Oak desk\n- id: 2\n  title: Pine desk\n", "YAML"),
        ("items:\n  - id: 1\n    title: Oak, small\n  - id: 2\n    title: Pine\n", "YAML"),
        ("# made by a program\n---\nid: 1\ntitle: Oak\n---\nid: 2\ntitle: Pine\n", "YAML"),
        (
            f"From a@x.org Mon Mar 10 14:30:00 2025\n{MAIL}\nFrom b@x.org Mon Mar 10 15:30:00 2025\n{MAIL}",
            "a mail",
        ),
        ("Received: from x\n\tby y\n" + MAIL, "an e-mail"),
        (f"{'*' * 27} 1. row {'*' * 27}\n   id: 1\ntitle: Oak\n{'*' * 27} 2. row {'*' * 27}\n   id: 2\n", "what mysql"),
        ("-[ RECORD 1 ]------\nid    | 1\ntitle | Oak desk\n-[ RECORD 2 ]------\nid    | 2\n", "what psql prints"),
        (f"ID     TITLE            DESCRIPTION     PRICE\n{FIXED}", "a table whose columns are told by their places"),
        (f"ID     TITLE            DESCRIPTION\n------ ---------------- -----------\n{FIXED}", "a table whose columns"),
        ('[[items]]\nid = 1\ntitle = "Oak"\n\n[[items]]\nid = 2\n', "TOML"),
        ("# colours\na.title=Oak desk\na.text=solid, old\nb.title=Pine\n", "lines of a name and a value"),
        ("BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nSUMMARY:x, y\nEND:VEVENT\n", "a vCard or a calendar"),
        ("dn: cn=a,ou=b\ncn: a\nou: b\n\ndn: cn=c,ou=b\ncn: c\nou: b\n", "LDIF"),
        ("@article{a1,\n title={Oak},\n year={2025}\n}\n", "BibTeX"),
        ("-- a dump\n/* of a\n table */;\nDROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (\n", "SQL"),
        ("INSERT INTO t VALUES (1,'Oak','solid'),\n(2,'Pine','light'),\n(3,'Elm','old');\n", "SQL"),
        ("COPY public.t (id, title) FROM stdin;\n1\tOak\n2\tPine\n\\.\n", "SQL"),
        ("CREATE TABLE t (id, title);\nINSERT INTO t VALUES (1,'Oak');\n", "SQL"),
        ("create table if not exists shop.items (\n  id int,\n  title text\n);\n", "SQL"),
        ("CREATE TABLE t (id integer primary key, title text, note text)\nGO\n", "SQL"),
        ("insert ignore into `t` (`id`, `title`)\nvalues (1,'Oak'), (2,'Pine');\n", "SQL"),
        ("INSERT INTO [dbo].[t] ([id], [title]) SELECT 1, N'Oak'\nGO\n", "SQL"),
        ("SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n", "SQL"),
        ("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", "SQL"),
        ("USE [shop]\nGO\n", "SQL"),
        ("drop table if exists t;\n", "SQL"),
        ("id: 1\ntitle: Oak\n\nid: 2\ntitle: Pine\n", "YAML"),
        ("id: 1\ntitle: Oak\nid: 2\ntitle: Pine\nid: 3\n", "YAML"),
        ("- title: Oak desk\n- title: Pine desk\n- title: Elm\n", "YAML"),
        ("host: shelf\nport: 8080\nsecure: true\n", "YAML"),
        ("title: Oak\ntext: solid\ncolour: brown\n", "YAML"),
        ("id\x1ftitle\x1e1\x1fOak\x1e2\x1fPine\x1e", "a table whose rows end in the character 0x1E"),
        ("<div>\n<table><tr><td>1</td><td>Oak</td></tr></table></div>\n", "HTML"),
        ("<!-- made by x -->\n<html><body>Log in, please</body></html>\n", "HTML"),
        ("<rss version='2.0'><channel><item>a, b</item></channel></rss>\n", "XML"),
    ],
)
def test_a_text_that_is_no_table_is_named_and_refused(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is {what}.*: "):
        open_records(file(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('var data = [{"id": 1}];\n', "JavaScript"),
        ('callback([{"id": 1}]);\n', "JavaScript"),
        (')]}\',\n[{"id": 1}]\n', "JavaScript"),
        ('// of 2025\n[{"id": 1}]\n', "JSON with comments"),
        ("<products><product id='1'/></products>", "XML"),
    ],
)
def test_what_is_nearly_json_is_named_and_refused(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is {what}.*: "):
        open_records(file(tmp_path, content, "items.json"))


@pytest.mark.parametrize(
    "content",
    [
        "<DATE>,<OPEN>\n2025-01-01,1\n2025-01-02,2\n",
        "Subject: Printer, From: me\nThe printer, at home\nThe lamp, here\n",
        "text\nRe: printer\nRe: lamp\nFwd: desk\nRe: shelf\n",
        "text\n- one\n- two\n- three\n",
        "name of  the thing\na lamp\nan oak desk of mine\nsomething else\n",
        "Create table,id\nan oak table,1\na pine table,2\n",
        "insert into the slot,id\ndrop table leg,1\ncreate table report (PDF),2\n",
        "insert into cart fails,1\ninsert into basket fails too,2\ninsert into values,3\n",
        "Create table\ninsert into the slot\ndrop table leg\n",
        "create table view (mobile);id\nselect it;1\nbegin;2\n",
        "begin;end;id\n1;2;3\n4;5;6\n",
        "Use case;id\nlock tables now;1\nset size = large;2\n",
        "copy chair from stock,id\noak,1\npine,2\n",
        "fix: the door\nfix: the lamp\nfeat: a drawer\nfix: the shelf\n",
        "fix: the door\nfeat: a drawer\ndocs: how to fold it\n",
        "Re: printer\nRe: lamp\nFwd: desk\n",
        "- the printer is jammed\n- the lamp is dark\n- the desk: it is old\n",
        "- fix: the printer\n- fix: the lamp\n- feat: a desk\n",
        "#1 printer\n#2 lamp\n#3 desk\n",
        "#printer is jammed\n#lamp is dark\n!desk\n",
        "size=90 fork\nsize=80 fork\nsize=70 fork\n",
        "<table>,<id>\nan oak table,1\na pine table,2\n",
        "<head>\t<body>\nan oak\ttable\na pine\ttable\n",
        "dn: 90,id\na tube,1\nanother tube,2\n",
        "BEGIN:VCARD is shown,id\nin a mail,1\non a page,2\n",
        "PAR1,PAR2\na,1\nb,2\n",
        "%PDF share,id\na,1\nb,2\n",
        "BZh,id\na,1\nb,2\n",
        "Rar! A bird,id\na,1\nb,2\n",
    ],
)
def test_tables_that_only_remind_of_something_else_are_read(tmp_path: Path, content: str) -> None:
    with open_records(file(tmp_path, content)) as reader:
        assert len([row for row in reader if isinstance(row, Row)]) == content.count("\n") - 1


@pytest.mark.parametrize(
    ("content", "name", "file_format"),
    [
        ("CREATE TABLE t (\nid int,\ntitle text);\n", "items.csv", "csv"),
        ("insert into t values (1);\ninsert into t values (2);\n", "items.sql", "csv"),
        ("items:\n- id: 1\n- id: 2\n", "items.yaml", "csv"),
        ("---\nid: 1\nid: 2\n", "items.txt", "csv"),
        ("a=1\nb=2\nc=3\n", "items.txt", "csv"),
        ("<p><b>jammed</b> printer</p>\n<p>lamp</p>\n<p>desk</p>\n", "items.csv", "csv"),
        ('{"a": 1}\n{"a": 2}\n{"a": 3}\n', "items.csv", "csv"),
        ("dn: cn=a\ndn: cn=b\ndn: cn=c\n", "items.csv", "csv"),
        ('<x><y>\n{"id": 1, "text": "Oak"}\n', "items.jsonl", "jsonl"),
    ],
)
def test_a_format_that_is_named_overrules_what_a_text_looks_like(
    tmp_path: Path, content: str, name: str, file_format: str
) -> None:
    path = file(tmp_path, content, name)
    with pytest.raises(ConfigurationError, match=f"--format (says which|{file_format} reads it all the same)"):
        open_records(path)
    with open_records(path, file_format) as reader:
        assert reader.remark.startswith("it looks like ")
        assert "read as" in reader.remark
        assert reader.remark in resolve_mapping(reader, MappingOptions(text_fields=reader.columns[:1])).notes
        assert [row.number for row in reader] == list(range(1, len(content.splitlines()) + (file_format == "jsonl")))


def test_what_is_packed_otherwise_is_named_by_its_bytes_and_by_its_name(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(file(tmp_path, "id,text\n1,Oak\n", "packed.csv"), "packed.csv")
    with pytest.raises(ConfigurationError, match="a tar archive: unpack it"):
        open_records(file(tmp_path, archive.getvalue(), "items.csv"))
    with pytest.raises(ConfigurationError, match="packed with gzip twice: unpack it once"):
        open_records(file(tmp_path, gzip.compress(gzip.compress(b"id,text\n1,Oak\n")), "items.csv.gz"))
    for name, advice in {
        "a.xls": "save it as .xlsx",
        "a.csv.zip": "unpack it",
        "a.mbox": "no table",
        "a.sql": "export a table",
    }.items():
        with pytest.raises(ConfigurationError, match=f"{name}: by its name it is .*{advice}"):
            open_records(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "doubt"),
    [
        ("The printer is jammed\nThe lamp is dark\nThe desk is old\n", "the only column is named"),
        ("id title price\n1 Oak 12\n2 Pine 9\n", "the only column is named"),
        ('"id,title,note"\n"1,Oak desk,""solid, old"""\n"2,Pine desk,light"\n', "the only column is named"),
        ("1,Oak desk,solid oak with a drawer\n2,Pine desk,light pine and two drawers\n", "looks like values"),
        ("2025-01-01;The printer is jammed\n2025-01-02;The lamp is dark\n", "looks like values"),
    ],
)
def test_a_first_row_that_seems_to_be_no_header_is_a_doubt(tmp_path: Path, content: str, doubt: str) -> None:
    assert doubt in doubts(tmp_path, content)


@pytest.mark.parametrize("content", ["text\nOak desk\n", "Kundenfrage\nOak desk\n", "nr,2024,note\n1,5,an oak desk\n"])
def test_a_first_row_that_can_be_a_header_is_none(tmp_path: Path, content: str) -> None:
    assert doubts(tmp_path, content) == ""


def doubts(tmp_path: Path, content: str, **options: Any) -> str:
    with open_records(file(tmp_path, content, "items.csv")) as reader:
        return resolve_mapping(reader, MappingOptions(**options)).doubt


def test_a_message_names_few_of_many_columns(tmp_path: Path) -> None:
    names = [f"note {number}" for number in range(3000)]
    content = f"{','.join(names)}\n{','.join('words of some kind' for _ in names)}\n"
    assert len(doubts(tmp_path, content)) < 1000
    with pytest.raises(ConfigurationError, match=r"and 2,980 more$"):
        doubts(tmp_path, content, id_field="nope")
