from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3train.report.matrix import picture
from phi3train.scores import Scores, count


def test_scores_by_hand() -> None:
    found = count(["bill", "move", "rare"], [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0])
    assert found.matrix == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found.rows == 6
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.majority == pytest.approx(0.5)
    assert [each.f1 for each in found.per_class] == pytest.approx([4 / 6, 4 / 5, 0])
    assert found.macro_f1 == pytest.approx((4 / 6 + 4 / 5) / 3)
    assert found.mistakes == [("bill", "move", 1), ("rare", "bill", 1)]
    bill = found.per_class[0]
    assert (bill.rows, bill.predicted) == (3, 3)
    assert [bill.precision, bill.recall] == pytest.approx([2 / 3, 2 / 3])


def test_a_class_that_is_nowhere_does_not_count() -> None:
    assert count(["a", "b", "unseen"], [0, 1], [0, 1]).macro_f1 == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_rows_are_counted_once(pairs: list[tuple[int, int]]) -> None:
    found = count("abcd", [true for true, _ in pairs], [guess for _, guess in pairs])
    assert found.rows == len(pairs)
    assert sum(each.rows for each in found.per_class) == sum(each.predicted for each in found.per_class) == len(pairs)
    assert 0 <= found.macro_f1 <= 1
    assert found.accuracy * max(len(pairs), 1) + sum(rows for *_, rows in found.mistakes) == pytest.approx(len(pairs))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Scores) == found


def test_the_picture_shades_by_the_true_class() -> None:
    drawn = picture(count(["a", "b"], [0, 0, 0, 0, 1], [0, 0, 0, 1, 1]))
    assert [(cell.rows, cell.shade, cell.right) for cell in drawn.cells] == [
        (3, 0.75, True),
        (1, 0.25, False),
        (0, 0, False),
        (1, 1, True),
    ]
    assert drawn.cells[1].said == "a, predicted b: 1 of 4 rows"
    assert drawn.spoken == "Confusion matrix of 5 rows; most frequent mistakes: a as b: 1"
    assert picture(count([f"c{n}" for n in range(40)], [0], [0])).size == 40 * 14
