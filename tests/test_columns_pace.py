"""The more work costs, the longer it rests."""

import pytest

from transforms.columns.pace import FREE, LONGEST, RATIO, Pace


class Hands:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def pace(self) -> Pace:
        return Pace(lambda: self.now, lambda: self.worked)


@pytest.mark.parametrize(
    ("spent", "rest"), [(FREE, 0.0), (0.2, 0.2 * RATIO), (60.0, LONGEST)], ids=["free", "some", "long"]
)
def test_it_rests_in_proportion_and_not_for_long(spent: float, rest: float) -> None:
    hands = Hands()
    pace = hands.pace()
    assert not pace.rests
    with pace.work():
        hands.worked += spent
        hands.now += spent
    if rest:
        hands.now += rest * 0.99
        assert pace.rests
        hands.now += rest * 0.02
    assert not pace.rests


def test_work_that_fails_rests_too() -> None:
    hands = Hands()
    pace = hands.pace()
    with pytest.raises(ZeroDivisionError), pace.work():
        hands.worked += 1.0
        _ = 1 / 0
    assert pace.rests
