"""Between Arrow and numpy: the same values as pyarrow's own functions, and no pandas."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data import arrow

KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(),
}
KINDS |= {pa.list_(kind): st.lists(KINDS[kind]) for kind in (pa.uint64(), pa.string())}


@given(st.data())
def test_values_become_the_array_that_pyarrow_makes_of_them(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(KINDS)))
    values = data.draw(st.lists(st.none() | KINDS[kind]))
    made = arrow.array(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


@given(st.data())
def test_numbers_come_back_from_any_slice_and_chunks(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in KINDS if not pa.types.is_nested(kind) and kind != pa.string()]))
    chunks = data.draw(st.lists(st.lists(st.none() | KINDS[kind]), max_size=4))
    column = pa.chunked_array([pa.array(values, kind) for values in chunks], kind)
    start = data.draw(st.integers(0, len(column)))
    column = column.slice(start, data.draw(st.integers(0, len(column) - start)))
    wanted = column.to_pylist()
    assert arrow.valid(column).tolist() == [value is not None for value in wanted]
    assert arrow.numbers(column, null=1).tolist() == [1 if value is None else value for value in wanted]
    assert arrow.numbers(column, null=1).dtype == kind.to_pandas_dtype()
    if None in wanted:
        with pytest.raises(ValueError, match="null"):
            arrow.numbers(column)


def test_a_mask_a_wish_for_a_type_and_what_is_refused() -> None:
    numbers = np.arange(4)[::-1]  # not contiguous
    made = arrow.array(numbers, pa.int32(), missing=np.array([False, True, False, False]))
    assert made.to_pylist() == [3, None, 1, 0]
    assert made.type == pa.int32()
    assert arrow.array(made, pa.int64()).type == pa.int64()
    assert arrow.table({"a": numbers, "b": made}).to_pydict() == {"a": [3, 2, 1, 0], "b": [3, None, 1, 0]}
    with pytest.raises(OverflowError):
        arrow.array([2**40], pa.int32())
    with pytest.raises(TypeError):
        arrow.array([1], pa.string())
    with pytest.raises(TypeError, match="decimal128"):
        arrow.numbers(pa.nulls(2, pa.decimal128(5, 2)))


def test_pandas_stays_out_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    source = tmp_path / "chats.jsonl"
    source.write_text(
        "".join(
            f'{{"messages":[{{"role":"user","content":"Question {n % 9}?"}},'
            f'{{"role":"assistant","content":"The answer of number {n} is this one here."}}]}}\n'
            for n in range(30)
        )
        + '{"messages":[]}\n'
    )
    script = (
        "import sys, phi3data;"
        f"phi3data.prepare({str(source)!r}, output={str(tmp_path / 'out')!r});"
        "print(sorted({'pandas'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_of_a_column_of_nulls_is_valid() -> None:
    assert arrow.valid(pa.nulls(3)).tolist() == [False] * 3
