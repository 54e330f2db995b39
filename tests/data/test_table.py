"""CSV columns: numbers come back exactly, doubtful cells are refused by line and column, formulas never leave."""

import csv
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import column_names, read_column, write_columns
from tinygrad_rnn.errors import DataError, MissingDataError


def written(folder, content):
    path = folder / "t.csv"
    path.write_text(content, newline="")
    return path


@pytest.mark.parametrize(
    ("content", "options", "values"),
    [
        ("1\n2.5\n-3e2\n", {}, [1, 2.5, -300]),
        ("value\n1\n2\n", {}, [1, 2]),
        ("t,v\n0,.5\n1,5.\n", {"column": "v"}, [0.5, 5]),
        ("t,v\n0,1\n1,2\n", {"column": 1}, [1, 2]),
        ("0,1\n1,2\n", {"column": 0}, [0, 1]),
        ("2020,2021\n5,6\n", {"column": "2021"}, [6]),
        ("t;v\r\n0;3,5\r\n1;-4\r\n", {"column": "v", "delimiter": ";", "decimal": ","}, [3.5, -4]),
        ('t,v\n"a, ""b""", 1 \n"c\nd",+2\n', {"column": "v"}, [1, 2]),
        ("\n \nv\n1\n2\n\n  \n", {}, [1, 2]),
        ("t,v\n\n0,1\n \n1,2\n", {"column": "v"}, [1, 2]),
        ("\ufeffv\n7", {"column": "v"}, [7]),
    ],
)
def test_columns(tmp_path, content, options, values):
    found = read_column(written(tmp_path, content), **options)
    assert found.dtype == np.float64
    assert found.tolist() == values


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        ("t,v\n1,2\n3\n", {"column": "v"}, "t.csv, line 3: expected 2 cells, got 1. Quote cells"),
        ("t,v\n1,2\n3,4,5\n", {"column": "v"}, "t.csv, line 3: expected 2 cells, got 3. Quote cells"),
        ("v\n1\nnan\n", {}, "t.csv, line 3, column 'v': expected a finite number, got 'nan'. Fill or cut such gaps"),
        ("v\n1\n-Infinity\n", {}, "line 3, column 'v': expected a finite number, got '-Infinity'. Fill"),
        ("v\n1\nN/A\n", {}, "line 3, column 'v': expected a finite number, got 'N/A'. Fill"),
        ("1\nNaN\n", {}, "t.csv, line 2, column 0: expected a finite number, got 'NaN'"),
        ("nan\n1\n", {}, "t.csv, line 1, column 0: expected a finite number, got 'nan'"),
        ("t,v\n1,\n", {"column": "v"}, "line 2, column 'v': expected a finite number, got an empty cell. Fill"),
        ("1\n\n3\n", {}, "t.csv, line 2, column 0: expected a finite number, got an empty cell. Fill or cut such gaps"),
        ("v\n1\n2\n \n\n4\n", {}, "t.csv, line 4, column 'v': expected a finite number, got an empty cell. Fill"),
        ("v\n\n1\n", {}, "line 2, column 'v': expected a finite number, got an empty cell"),
        ('v\n1\n""\n', {}, "line 3, column 'v': expected a finite number, got an empty cell"),
        ("t,v\n1,2\n,\n", {"column": "t"}, "line 3, column 't': expected a finite number, got an empty cell"),
        (
            'v\n"3,14"\n',
            {},
            "line 2, column 'v': expected a finite number, got '3,14'. If that is a decimal comma, pass",
        ),
        ('"3,14"\n', {}, "line 1, column 0: expected a finite number, got '3,14'. If that is a decimal comma"),
        ('v\n"1,234.5"\n', {}, "line 2, column 'v': expected a finite number, got '1,234.5'"),
        (
            "v\n1.234,5\n",
            {"delimiter": ";", "decimal": ","},
            "line 2, column 'v': expected a finite number, got '1.234,5'",
        ),
        ("v\n1e999\n", {}, "line 2, column 'v': expected a number that float64 can hold, got '1e999'"),
        ("v\n1_000\n", {}, "line 2, column 'v': expected a finite number, got '1_000'. Correct the cell"),
        ("v\n0x10\n", {}, "got '0x10'"),
        ("v\n\u0661\n", {}, "got '\u0661'"),
        ("v\n=1+1\n", {}, "got '=1.1'"),
        ("v\n1 2\n", {}, "got '1 2'"),
        ("v\n", {}, "t.csv, column 'v': expected numbers below the names, got none"),
        ("\n \n", {}, "t.csv: expected rows of numbers, got blank lines only"),
        ("a,b\n1,2\n", {}, "t.csv: expected one column, got 2: 'a', 'b'. Choose one by name or by number from 0"),
        ("a,b\n1,2\n", {"column": "c"}, "t.csv: expected a column 'c', got 0 of that name among 'a', 'b'"),
        (
            "a,a\n1,2\n",
            {"column": "a"},
            "t.csv: expected a column 'a', got 2 of that name among 'a', 'a'. Choose by num",
        ),
        ("a;b\n1;2\n", {"column": "b"}, "got 0 of that name among 'a;b'. Is the delimiter ';'. Pass delimiter=';'"),
        ("a,b\n1,2\n", {"column": 2}, "t.csv: expected a column from 0 to 1, got 2"),
        ("a,b\n1,2\n", {"column": -1}, "t.csv: expected a column from 0 to 1, got -1"),
        ('v\n1\n"2\n3\n', {}, r"t.csv, line \d: expected CSV, got unexpected end of data. Close every quote"),
        ('v\n"1"x\n', {}, "t.csv, line 2: expected CSV, got ',' expected after '\"'"),
        ("v\n1\n", {"delimiter": ", "}, "delimiter: expected one character, got ', '"),
        ("1" * 3_000_000, {}, "t.csv, line 1: expected rows of a table, got a line of over 1,048,576 characters"),
        ("v\n" + "1" * 200_000, {}, "t.csv, line 2: expected CSV, got field larger than field limit"),
        ("v\n1\0\n", {}, "t.csv, byte 3: expected text, got a NUL character"),
        ("", {}, "t.csv: expected text, got an empty file"),
    ],
)
def test_doubtful_tables_are_refused(tmp_path, content, options, text):
    with pytest.raises(DataError, match=text):
        read_column(written(tmp_path, content), **options)


def test_a_missing_table(tmp_path):
    with pytest.raises(MissingDataError, match="got No such file or directory"):
        read_column(tmp_path / "nope.csv")


def test_column_names(tmp_path):
    assert column_names(written(tmp_path, "\n t , v\n1,2\n")) == ["t", "v"]
    with pytest.raises(DataError, match="expected a row of names, got blank lines only"):
        column_names(written(tmp_path, "\n"))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.booleans())
def test_what_is_written_reads_back_bit_for_bit(tmp_path_factory, values, single):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with np.errstate(over="ignore"):
        array = np.array(values, np.float32 if single else np.float64)
    array = array[np.isfinite(array)]
    if len(array):
        write_columns(path, {"step": np.arange(len(array)), "value": array})
        found = read_column(path, "value").astype(array.dtype)
        assert found.tobytes() == array.tobytes()
        assert read_column(path, "step").tolist() == list(range(len(array)))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_names_that_a_spreadsheet_would_run(tmp_path, name):
    write_columns(tmp_path / "t.csv", {name: [1.0], 'quoted, "name"\n': [2.0]})
    with open(tmp_path / "t.csv", newline="") as file:
        header, row = csv.reader(file)
    assert header == ["'" + name, 'quoted, "name"\n']
    assert row == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, r"t.csv: expected columns of one length, \(N,\) each, got \[\]"),
        ({"a": [1], "b": [1, 2]}, r"expected columns of one length, \(N,\) each, got \[\(1,\), \(2,\)\]"),
        ({"a": [[1]]}, "expected columns of one length"),
        ({"a": ["=1"]}, "t.csv: expected columns of real numbers, got <U2"),
    ],
)
def test_tables_that_cannot_be_written(tmp_path, columns, text):
    with pytest.raises(DataError, match=text):
        write_columns(tmp_path / "t.csv", columns)
    with pytest.raises(DataError, match="expected a place to write a table, got a directory"):
        write_columns(tmp_path, {"a": [1]})
    assert not list(tmp_path.iterdir())


def test_long_tables_are_streamed(tmp_path):
    path = written(tmp_path, "t,v\n" + "123456789,0.5\n" * 60_000)
    tracemalloc.start()
    try:
        assert read_column(path, "v").sum() == 30_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
