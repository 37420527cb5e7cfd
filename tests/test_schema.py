"""A table against its schema: one sentence names file, row and column of a fault."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai.engine import schema, store

few = settings(max_examples=25, deadline=None)
COLUMNS = {
    "name": schema.Column("a name", lambda x: x.str.strip() != "", str),
    "endowment": schema.whole_number("coins", 1, 10),
    "contribution": schema.whole_number("coins", 0, 10),
    "payout": schema.number("coins", 0, 64),
    "vote": schema.Column("1, 0 or nothing", lambda x: x.isin([0, 1]), missing=True),
    "head": schema.FLAG,
}
RULES = (
    schema.Rule(
        "contribution",
        lambda x: x.contribution <= x.endowment,
        "{name} gave {contribution} coins of {endowment}, head {head}, paid {payout}",
    ),
)
FORMS = {header: schema.Form(COLUMNS, RULES, header) for header in (True, False)}
ROWS = pd.DataFrame(
    {
        "name": ["Ann", "Bob", "Cem", "Dee"],
        "endowment": [10, 4, 4, 4],
        "contribution": [7, 2, 4, 0],
        "payout": [5.2, 5.2, 5.2, 5.2],
        "vote": ["1", "", "0", "NaN"],
        "head": [True, False, False, False],
    }
)


def write(path, table, header=True):
    write_table = table.to_parquet if path.suffix == ".parquet" else table.to_csv
    write_table(path, index=False, **({} if header else {"header": False}))
    return path


def refusal(path, form):
    with pytest.raises(store.DataError) as refused:
        schema.read(path, form)
    message = str(refused.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


@pytest.mark.parametrize("header", FORMS)
def test_a_good_table_comes_back_with_its_kinds_and_lines(tmp_path, header):
    read = schema.read(write(tmp_path / "coins.csv", ROWS, header), FORMS[header])
    assert list(read.index) == list(range(1 + header, 5 + header))
    for name, column in COLUMNS.items():
        assert column.kind is str or read[name].dtype == column.kind
    assert read.contribution.tolist() == [7, 2, 4, 0] and read["head"].tolist()[0]
    assert read.vote.isna().tolist() == [False, True, False, True]


def test_blank_lines_marks_and_line_ends_do_no_harm_and_lines_are_counted(tmp_path):
    path = tmp_path / "coins.csv"
    text = ROWS.to_csv(index=False).replace("\nCem", "\n\n\nCem").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert list(schema.read(path, FORMS[True]).index) == [2, 3, 6, 7]
    path.write_text(text.replace("Cem,4,4", "Cem,4,9"))
    assert "coins.csv, row 6, column 'contribution'" in refusal(path, FORMS[True])


@few
@given(st.data(), st.booleans())
def test_a_wrong_cell_is_named_wherever_it_is(tmp_path_factory, draw, header):
    row = draw.draw(st.integers(0, 3))
    column = draw.draw(st.sampled_from(list(COLUMNS)[1:]))
    table = ROWS.astype(object)
    table.loc[row, column] = draw.draw(st.sampled_from(["-1", "x", "inf", "2.5.1"]))
    path = write(tmp_path_factory.mktemp("wrong") / "coins.csv", table, header)
    place = f"coins.csv, row {row + 1 + header}, column {column!r}"
    assert place in refusal(path, FORMS[header])


def test_the_first_of_many_faults_in_reading_order_is_named(tmp_path):
    table = ROWS.astype(object)
    table.loc[2, ["contribution", "vote"]] = "x"
    table.loc[3, "endowment"] = "x"
    message = refusal(write(tmp_path / "coins.csv", table), FORMS[True])
    assert "row 4, column 'contribution': 'x' is not coins from 0 to 10." in message


def test_a_rule_quotes_the_cells_of_its_row(tmp_path):
    path = write(tmp_path / "coins.csv", ROWS.assign(contribution=[7, 5, 4, 9]))
    quoted = (
        "row 3, column 'contribution': Bob gave 5 coins of 4, head False, paid 5.2."
    )
    assert quoted in refusal(path, FORMS[True])


@pytest.mark.parametrize("column", COLUMNS)
def test_gaps_are_accepted_where_a_column_says_so(tmp_path, column):
    table = ROWS.astype(object)
    table.loc[1, column] = ""
    path = write(tmp_path / "coins.csv", table)
    if COLUMNS[column].missing:
        assert schema.read(path, FORMS[True])[column].isna()[3]
    else:
        message = refusal(path, FORMS[True])
        assert f"row 3, column {column!r}: nothing (NaN) is not" in message


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_found_by_name_and_missing_ones_named(tmp_path, suffix):
    path, rows = tmp_path / f"coins{suffix}", ROWS.replace("NaN", "")
    store.write_table(path, rows.assign(more=1)[["more", *reversed(list(COLUMNS))]])
    assert list(schema.read(path, FORMS[True])) == list(COLUMNS)
    store.write_table(path, rows.drop(columns="payout"))
    assert f"coins{suffix}, row 1, column 'payout'" in refusal(path, FORMS[True])
    store.write_table(path, rows[:0])
    assert "there is nothing here" in refusal(path, FORMS[True])


def test_parquet_and_csv_are_read_alike(tmp_path):
    paths = [
        write(tmp_path / f"coins{suffix}", ROWS) for suffix in (".csv", ".parquet")
    ]
    here, there = (schema.read(path, FORMS[True]) for path in paths)
    pd.testing.assert_frame_equal(here, there.set_axis(here.index))


def test_a_file_that_is_not_there_or_no_table_is_refused(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "a.csv", FORMS[True])
    assert "parquet table" in refusal(tmp_path / "a.parquet", FORMS[True])
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x80")
    assert "CSV text" in refusal(tmp_path / "a.csv", FORMS[True])


def test_bounds_are_inclusive_and_only_numbers_have_slack():
    values = pd.Series([-0.0005, 0.0, 1.0, 1.0005, 1.01, float("nan")])
    loose, whole = schema.number("coins", 0, 1), schema.whole_number("coins", 0, 1)
    assert loose.holds(values).tolist() == [True, True, True, True, False, False]
    assert whole.holds(values).tolist() == [False, True, True, False, False, False]
