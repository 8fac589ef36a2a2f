"""Tables as people and programs write them: read, or refused where they are wrong."""

import bz2
import csv
import gzip
import io
import random
from datetime import date
from decimal import Decimal

import pytest

from metapipe import DataError, PathError
from metapipe.data.table_files import find_tables, read_rows

WANTED = [{"text": "one, two", "label": "a"}, {"text": "drei\nvier", "label": "é"}]


def written(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("name", ["t.csv", "t.tsv.gz"])
def test_a_table_is_read_however_it_is_written(
    tmp_path, encoding, ending, delimiter, name
):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=ending)
    writer.writerow(["text", " label "])
    writer.writerows([row.values() for row in WANTED])
    content = buffer.getvalue().encode(encoding)
    path = written(
        tmp_path,
        gzip.compress(content, mtime=0) if name.endswith("gz") else content,
        name,
    )
    assert read_rows(path, ("text", "label"), ("label",)) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nx;label\n1,5;a\n",
        "SEP=|\r\nx|label\r\n1,5|a\r\n",
        "# made by hand, in a hurry; twice\n#\nx;label\n1,5;a\n",
        "\n\nx;label\n1,5;a\n\n",
        "x;label;\n1,5;a;\n",
        "x;label\n1,5;a\n;\n;\n",
        "x;label\r1,5;a\r",
    ],
)
def test_what_stands_around_a_table_is_left_out(tmp_path, text):
    assert read_rows(written(tmp_path, text)) == [{"x": "1,5", "label": "a"}]


def test_a_header_may_begin_with_a_hash(tmp_path):
    rows = read_rows(written(tmp_path, "## v1\n#id\tlabel\n1\ta\n#2\tb\n", "t.tsv"))
    assert rows == [{"#id": "1", "label": "a"}, {"#id": "#2", "label": "b"}]


def test_names_of_columns_have_one_form(tmp_path):
    path = written(tmp_path, "cafe\u0301 ,label\n1,a\n")
    rows = read_rows(path, ("caf\u00e9", "cafe\u0301"), ("label ",))
    assert rows == [{"caf\u00e9": "1", "label": "a"}]
    path = written(tmp_path, "cafe\u0301,caf\u00e9\n1,a\n")
    with pytest.raises(DataError, match="a column 'caf\u00e9' twice"):
        read_rows(path)


def test_a_column_without_a_name_is_called_as_pandas_calls_it(tmp_path):
    assert list(read_rows(written(tmp_path, ",x\n0,1\n"))[0]) == ["Unnamed: 0", "x"]


def test_a_long_field_is_read_and_the_bound_of_others_is_kept(tmp_path):
    before = csv.field_size_limit()
    text = "word " * 60_000
    [row] = read_rows(written(tmp_path, f'text,label\n"{text}",a\n'))
    assert row["text"] == text
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"x,label\n", "no rows"),
        (b"x,label\n1,a\n2,Z\xfcrich\n", r"byte 0xfc in line 3 \(byte 16 of the file"),
        ("x,label\n1,日本\n".encode("shift-jis"), r"0x93 in line 2"),
        ("x,label\n1,a\n".encode("utf-16-le"), "a NUL in line 1"),
        (b"\xff\xfex\0,", "is not UTF-16 text"),
        (b"x,label\n1,a\n2,\0\n", "a NUL in line 3"),
        (b"x,label\n1,a\n2,b,c\n", "line 3 has 3 values.*stands in quotes"),
        (b"x,label\n1,a\n# the end\n", "line 3 has 1 value.*above the header"),
        (b'x,label\n1,"a\n2,b\n', "line 2 opens a quote"),
        (b'x,label\n"1"5,a\n', "line 2"),
        (b"5.1,3.5,a\n4.9,3.0,b\n", "seems to be no header"),
        (b"x,y\n1,a\n", "no column 'label'; known: x, y"),
        (b"x,label\n1,a\n2, \n", "row 2 says nothing in 'label'"),
        (b"PK\x03\x04rest", "a workbook of Excel"),
        (gzip.compress(b"x,label\n1,a\n", mtime=0), r"gzipped: call it .csv.gz"),
        (bz2.compress(b"x,label\n1,a\n"), "bzip2"),
    ],
)
def test_a_table_says_in_one_line_where_it_is_wrong(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(path, ("label",), ("label",))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_a_damaged_table_is_named_or_read(tmp_path, kind):
    """Cut, or with any bytes changed: rows, or one line."""
    whole = gzip.compress(("x,label\n" + "1.5,a\n" * 300).encode())
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(
            arrow.table({"x": [1.5] * 300, "label": ["a"] * 300}), tmp_path / "whole"
        )
        whole = (tmp_path / "whole").read_bytes()
    rng, refused = random.Random(0), []
    for number in range(120):
        damaged = bytearray(whole)
        if number % 2:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            for _ in range(3):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = written(tmp_path, bytes(damaged), f"t.{kind}")
        try:
            read_rows(path)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) >= 60, "each that was cut, at least"
    assert all("\n" not in text and str(path) in text for text in refused)


def test_a_gzipped_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("metapipe.data.table_files.MIN_LIMIT", 1000)
    path = written(tmp_path, gzip.compress(b"x,label\n" * 100_000), "t.csv.gz")
    with pytest.raises(DataError, match="would unpack to more"):
        read_rows(path)


def test_parquet_gives_what_a_csv_would(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            "whole": pandas.array([1, None], dtype="Int64"),
            "decimal": [Decimal("1.50"), None],
            "name": pandas.Categorical(["a", None]),
            "yes": [True, False],
            "float": [0.5, float("nan")],
        },
        index=[7, 9],
    )
    frame.to_parquet(tmp_path / "t.parquet")
    first, second = read_rows(tmp_path / "t.parquet")
    assert first == {
        **{"whole": 1, "decimal": Decimal("1.50"), "name": "a"},
        **{"yes": True, "float": 0.5},
    }
    assert second == {
        **{"whole": "", "decimal": "", "name": ""},
        **{"yes": False, "float": ""},
    }
    frame.set_index("name").to_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet")[0]["name"] == "a"
    frame[:0].to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="no rows"):
        read_rows(tmp_path / "t.parquet")


def test_dates_and_lists_come_out_of_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"day": [date(2024, 1, 2)], "many": [[1, 2]]})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet") == [
        {"day": date(2024, 1, 2), "many": [1, 2]}
    ]


def test_a_folder_has_tables_and_what_else_is_told(tmp_path, caplog):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("b.csv", "a.tsv", "._b.csv", ".~lock.b.csv#", "~$c.csv", "notes.txt"):
        (folder / name).write_text("x,label\n1,a\n")
    with caplog.at_level("WARNING", "metapipe"):
        assert [path.name for path in find_tables(folder)] == ["a.tsv", "b.csv"]
    assert "notes.txt" in caplog.text
    assert "._b" not in caplog.text
    (folder / "b.csv.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.csv and b\.csv\.gz are one table, twice"):
        find_tables(folder)


def test_a_path_to_nothing_is_wrong_usage(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path / "x\0.csv"):
        with pytest.raises(PathError) as caught:
            find_tables(path)
        assert caught.value.exit_code == 2
    with pytest.raises(PathError, match="none of"):
        read_rows(written(tmp_path, "{}", "x.json"))
