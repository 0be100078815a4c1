"""Labelled files: columns, splits, and rows that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from celery_recommender.cli.input.labelled_files import LabelledFiles, read_items, read_pairs, read_truth
from celery_recommender.records import MappingOptions, open_records, resolve_mapping
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import Split


def read(*files: Path, **options: object) -> LabelledFiles:
    return read_pairs([str(file) for file in files], MappingOptions(**options), None)  # type: ignore[arg-type]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_two_texts(tmp_path: Path) -> None:
    found = read(written(tmp_path / "p.csv", "text1,text2,label\nred cup,cup red,1\nred cup,blue hat,no\n"))
    assert [(one.left.text, one.right.text, one.label, one.split) for one in found.pairs] == [
        ("red cup", "cup red", True, None),
        ("red cup", "blue hat", False, None),
    ]
    assert not found.two_lists
    assert found.bad == []


SIDED = (
    "split,left_id,left_name,left_maker,left_price,right_id,right_name,right_maker,right_price,label\n"
    "train,1,Cup,Acme,3.50,9,Cup red,,4,1\n"
    "dev,1,Cup,Acme,3.50,8,Hat,Hatters,,0\n"
)


def test_two_lists(tmp_path: Path) -> None:
    found = read(written(tmp_path / "p.csv", SIDED))
    first, second = found.pairs
    assert first.left.fields == {"name": "Cup", "maker": "Acme"}
    assert first.right.fields == {"name": "Cup red"}
    assert (first.left.attributes, second.right.attributes) == ({"price": 3.5}, {})
    assert (first.split, second.split) == (Split.TRAIN, Split.VALID)
    assert found.two_lists
    assert found.notes == ["text: 'name', 'maker'", "attributes: 'price'"]


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    file = written(tmp_path / "p.csv", SIDED)
    (first, _) = read(file, text_fields=("name",), attributes=("maker",)).pairs
    assert (first.left.text, first.left.attributes) == ("Cup", {"maker": "Acme"})
    with pytest.raises(ConfigurationError, match="no columns left_ and right_ 'colour'"):
        read(file, text_fields=("colour",))


def test_json_lines_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    rows = [
        {"left_title": "Cup", "left_price": 3, "right_title": "Hat", "right_price": None, "label": 0},
        {"left_title": "Cup", "left_price": 3, "right_title": "cup", "right_price": 3.5, "label": True},
    ]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    found = read(path)
    assert [one.label for one in found.pairs] == [False, True]
    assert found.pairs[1].right.attributes == {"price": 3.5}
    assert found.pairs[0].left.text == "Cup"


def test_files_named_after_splits(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{name}.csv", "text1,text2,label\na,b,1\n") for name in ("train", "valid", "test")]
    assert [one.split for one in read(*files).pairs] == [Split.TRAIN, Split.VALID, Split.TEST]


def test_bad_rows_name_row_and_column_and_are_skipped(tmp_path: Path) -> None:
    file = written(
        tmp_path / "p.csv",
        "left_name,right_name,label,split\n"
        "Cup,Mug,1,train\n"
        "Cup,Mug,maybe,train\n"
        "Cup,Mug,1,exam\n"
        " ,Mug,1,train\n"
        f"Cup,{'x' * 100_000},1,train\n"
        "short,row\n"
        "Cup,Hat,0,train\n",
    )
    found = read(file)
    assert [one.label for one in found.pairs] == [True, False]
    assert [(one.row, one.error) for one in found.bad] == [
        (2, "column 'label': neither 1 nor 0 (nor true, false, yes, no)"),
        (3, "column 'split': none of train, training, valid, validation, val, dev, test"),
        (4, "left: no text in column 'name'"),
        (5, "right: text: longer than 98304 bytes in UTF-8 (got string)"),
        (6, "line 7: 2 columns where the header has 4"),
    ]
    assert {one.file for one in found.bad} == {str(file)}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("text1,text2", "has no column 'label'"),
        ("text1,label", r"neither the columns text1 and text2 nor left_\* and right_\*"),
        ("left_name,right_title,label", r"nor left_\* and right_\*"),
    ],
)
def test_missing_columns(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(written(tmp_path / "p.csv", f"{header}\n"))


def test_files_of_two_kinds(tmp_path: Path) -> None:
    files = (
        written(tmp_path / "one.csv", "text1,text2,label\na,b,1\n"),
        written(tmp_path / "two.csv", "left_name,right_name,label\na,b,0\n"),
    )
    with pytest.raises(ConfigurationError, match="evaluate them apart"):
        read(*files)


def test_items_come_once(tmp_path: Path) -> None:
    file = written(tmp_path / "i.csv", "id,text\n1,one\n2,\n1,one more\n3,three\n")
    with open_records(str(file)) as reader:
        items, bad, tally = read_items(reader, resolve_mapping(reader, MappingOptions(collection="default")), "i.csv")
    assert [(one.id, one.text) for one in items] == [("1", "one"), ("3", "three")]
    assert [(one.row, one.error) for one in bad] == [(2, "no text in column 'text'"), (3, "the id of row 1 once more")]
    assert (tally.rows, tally.items, tally.repeated, tally.empty_texts) == (4, 2, 1, 1)


@pytest.mark.parametrize(
    "words", [("yes", "no"), ("Y", "N"), ("ja", "nein"), ("Sí", "No"), ("match", "non-match"), ("t", "f")]
)
def test_labels_in_the_words_that_people_have(tmp_path: Path, words: tuple[str, str]) -> None:
    same, other = words
    file = written(tmp_path / "p.csv", f"text1,text2,label\noak,oak desk,{same}\noak,elm,{other}\noak,pine,perhaps\n")
    found = read_pairs([str(file)], MappingOptions(), None)
    assert [pair.label for pair in found.pairs] == [True, False]
    assert [one.row for one in found.bad] == [3]


def test_truth_without_a_row_of_names_is_refused(tmp_path: Path) -> None:
    file = str(written(tmp_path / "t.csv", "1,2\n3,4\n"))
    with pytest.raises(ConfigurationError, match=r"the first row of .* holds two ids"):
        read_truth(file, {"1", "2", "3"})
    assert read_truth(file, {"1", "3"})[0] == [("3", "4")]


def test_truth_is_in_the_first_two_columns(tmp_path: Path) -> None:
    links, bad = read_truth(str(written(tmp_path / "t.csv", "bug,same_as,note\n1,2,x\n3,,y\n,4,z\n")))
    assert links == [("1", "2")]
    assert [(one.row, one.error) for one in bad] == [(3, "no id in column 'bug'")]
    assert read_truth(str(written(tmp_path / "t.jsonl", '{"a": 7, "b": 8.0}\n')))[0] == [("7", "8")]
    with pytest.raises(ConfigurationError, match="needs two columns of ids, and has 1"):
        read_truth(str(written(tmp_path / "one.csv", "id\n1\n")))
