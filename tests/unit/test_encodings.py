"""Text comes out as it was written, whatever encoding it has; where that is a guess, or wrong, it is said."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
from pathlib import Path

import pytest

from celery_recommender.records import BadRow, Fault, ReadOptions, RecordReader, Row, open_records
from recommender_engine.errors import ConfigurationError

TEXTS = {
    "german": ("Die Tür zum Lager schließt nicht", "Gießkanne für große Gärten", "Übergröße, grün"),
    "french": ("Élégante lampe dorée", "Le client n'a pas reçu sa commande", "Hôtel près de la forêt"),
    "polish": ("Drukarka nie działa po aktualizacji", "Żółta lampa biurkowa", "Łóżko dziecięce świerkowe"),
    "czech": ("Žlutá stolní lampa z kovu", "Příliš dlouhý název výrobku", "Nelze otevřít přílohu"),
    "russian": ("Принтер не работает после обновления", "Жёлтая настольная лампа", "Детская кровать"),
    "greek": ("Ένας εκτυπωτής δεν λειτουργεί", "Κίτρινη λάμπα γραφείου", "Παιδικό κρεβάτι"),
    "japanese": ("プリンターが更新後に動作しません", "黄色いデスクランプ", "木製の子供用ベッド"),
    "chinese": ("打印机更新后无法工作", "黄色台灯", "请更改邮箱密码"),
    "taiwanese": ("印表機更新後無法運作", "黃色檯燈", "請更改郵箱密碼"),
    "korean": ("업데이트 후 프린터가 작동하지 않습니다", "노란색 책상 램프", "메일 비밀번호를 변경해 주세요"),
}
OLD = [
    ("german", "cp1252"),
    ("german", "mac_roman"),
    ("german", "cp850"),
    ("french", "cp1252"),
    ("french", "iso8859_15"),
    ("polish", "cp1250"),
    ("polish", "iso8859_2"),
    ("polish", "cp852"),
    ("czech", "cp1250"),
    ("russian", "cp1251"),
    ("russian", "koi8_r"),
    ("russian", "cp866"),
    ("greek", "cp1253"),
    ("japanese", "shift_jis"),
    ("japanese", "euc_jp"),
    ("chinese", "gb18030"),
    ("taiwanese", "big5"),
    ("korean", "euc_kr"),
]
WIDE = [
    ("utf_16_le", codecs.BOM_UTF16_LE),
    ("utf_16_be", codecs.BOM_UTF16_BE),
    ("utf_32_le", codecs.BOM_UTF32_LE),
    ("utf_32_be", codecs.BOM_UTF32_BE),
    ("utf_8", codecs.BOM_UTF8),
]


def lines_of(texts: tuple[str, ...], end: str = "\r\n") -> str:
    return end.join(["id;text", *(f"{number};{text}" for number, text in enumerate(texts, 1))]) + end


def texts_in(reader: RecordReader) -> list[str]:
    rows = list(reader)
    assert not [row for row in rows if isinstance(row, BadRow)]
    return [row.values["text"] for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize(("language", "encoding"), OLD)
def test_an_older_encoding_is_detected_and_reported(tmp_path: Path, language: str, encoding: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(lines_of(TEXTS[language]).encode(encoding))
    with open_records(path) as reader:
        assert texts_in(reader) == list(TEXTS[language])
        assert "utf-8" not in reader.dialect.describe()


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(("encoding", "mark"), WIDE)
@pytest.mark.parametrize("language", ["german", "russian", "chinese"])
def test_wide_encodings_with_and_without_a_mark(
    tmp_path: Path, language: str, encoding: str, mark: bytes, marked: bool
) -> None:
    path = tmp_path / "items.csv.gz"
    path.write_bytes(gzip.compress((mark if marked else b"") + lines_of(TEXTS[language]).encode(encoding)))
    with open_records(path) as reader:
        assert texts_in(reader) == list(TEXTS[language])
        assert reader.columns == ("id", "text")


def test_letters_that_come_late_are_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    with path.open("wb") as file:
        file.write(b"id;text\n" + b"1;a line of plain letters without anything\n" * 40_000)
        file.write("2;Die Tür schließt nicht für große Kästen\n".encode("cp1252") * 3)
    with open_records(path) as reader:
        assert texts_in(reader)[-1] == "Die Tür schließt nicht für große Kästen"


def test_a_file_of_two_encodings_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(lines_of(TEXTS["german"]).encode() + "4;Der Drucker für Käthe\r\n".encode("cp1252"))
    with open_records(path) as reader:
        assert texts_in(reader) == [*TEXTS["german"], "Der Drucker für Käthe"]
        assert "utf-8, and cp1252 in the lines that are not" in reader.dialect.describe()


def test_a_guess_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes("id,text\n1,Café\n2,Naïve poster\n".encode("cp1252"))
    with open_records(path) as reader:
        assert "a guess: --encoding says which" in reader.dialect.describe()
        assert texts_in(reader) == ["Café", "Naïve poster"]


def test_a_person_overrules_the_guess(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes("id,text\n1,łódź\n".encode("cp1250"))
    with open_records(path, options=ReadOptions(encoding="windows-1250")) as reader:
        assert texts_in(reader) == ["łódź"]


@pytest.mark.parametrize(
    ("content", "said", "message"),
    [
        ("id;text\n1;Tür\n".encode("cp1252"), "utf-8", "is not utf-8, it seems to be cp125"),
        (lines_of(TEXTS["german"]).encode(), "utf-16", "is not utf-16, it seems to be utf-8"),
        (lines_of(TEXTS["german"]).encode("utf-16"), "cp1252", "begins with the mark of utf-16-le"),
        (lines_of(TEXTS["german"]).encode("utf_16_le"), "cp1252", "is not cp1252, it seems to be utf-16-le"),
        (lines_of(TEXTS["german"]).encode(), "ascii", "is not ascii, it seems to be utf-8"),
        (lines_of(TEXTS["german"]).encode("cp1252"), "shift_jis", "is not shift_jis"),
        (b"id\n1\n", "latin-99", "unknown encoding 'latin-99'"),
        (b"id\n1\n", "base64", "unknown encoding 'base64'"),
    ],
)
def test_a_wrong_encoding_is_refused(tmp_path: Path, content: bytes, said: str, message: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        open_records(path, options=ReadOptions(encoding=said))


def test_an_encoding_that_only_seems_to_fit_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(lines_of(TEXTS["german"]).encode())
    with open_records(path, options=ReadOptions(encoding="cp1252")) as reader:
        assert "cp1252 (though all of it is UTF-8)" in reader.dialect.describe()


def test_bytes_that_mean_nothing_cost_their_row_and_stay_visible(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(b"id,text\n" + "1,größer\n".encode() * 30 + b"2,caf\xe9 creme\n3,plain\n")
    with open_records(path, options=ReadOptions(encoding="utf-8")) as reader:
        rows = list(reader)
    bad = rows[30]
    assert isinstance(bad, BadRow)
    assert (bad.kind, dict(bad.values)) == (Fault.ENCODING, {"id": "2", "text": "caf\\xe9 creme"})
    assert rows[31] == Row(32, {"id": "3", "text": "plain"})


def test_a_pipe_is_judged_by_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lines_of(TEXTS["german"]).encode("cp1252")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with open_records("-", "csv") as reader:
        assert texts_in(reader) == list(TEXTS["german"])


@pytest.mark.parametrize(
    ("magic", "message"),
    [
        (b"PK\x03\x04....", "Excel workbook"),
        (b"%PDF-1.7", "a PDF"),
        (b"PAR1....", "a Parquet file"),
        (b"BZh9", "bzip2"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, magic: bytes, message: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(magic + bytes(range(256)))
    with pytest.raises(ConfigurationError, match=message):
        open_records(path)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_letters_that_were_read_wrongly_before_are_doubted(tmp_path: Path, mark: str) -> None:
    text = "id,text\n1,Gießkanne für den Garten\n2,Tür aus Öl\n3,plain\n"
    path = tmp_path / "items.csv"
    for good in (text, "id,text\n1,Ã© is two letters\n2,für\n3,à\n"):
        path.write_text(mark + good, encoding="utf-8")
        with open_records(path) as reader:
            assert "read as cp1252" not in reader.dialect.describe()
    path.write_text(mark + text.encode().decode("cp1252"), encoding="utf-8")
    with open_records(path) as reader:
        assert "its letters seem to have been read as cp1252" in reader.dialect.describe()


def test_ebcdic_is_named_and_read_where_a_person_says_so(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes("id,text\n1,An oak desk\n2,Größe\n".encode("cp273"))
    with pytest.raises(ConfigurationError, match=r"in EBCDIC, .*--encoding cp037, cp273 or cp500"):
        open_records(path)
    with open_records(path, options=ReadOptions(encoding="cp273")) as reader:
        assert [row.values for row in reader] == [{"id": "1", "text": "An oak desk"}, {"id": "2", "text": "Größe"}]
