"""A rule that the evaluator cannot work out is found before a run takes it."""

from __future__ import annotations

from typing import Any

import pytest

from transforms.columns.directory import BusinessTypes
from transforms.columns.rules import evaluate, trial
from transforms.columns.rules.trial import try_out
from transforms.errors import RuleError
from transforms.rules.parse import parse_rule

TYPES = BusinessTypes.of((("Banking", "Business"), ("Private", "Private")), "Private")


def rule(**condition: Any) -> Any:
    when = {"field": "calls", "operator": ">=", "value": 1, "window": "1h", **condition}
    return parse_rule({"name": "X", "offer": {"code": "X"}, "when": {"combinator": "and", "rules": [when]}})


@pytest.mark.parametrize("operator", ["=", "!=", "<", ">=", "in", "notIn", "between"])
@pytest.mark.parametrize("value", [0, 10**15, -(10**15), 0.25])
@pytest.mark.parametrize("field", ["charge", "duration_s", "distinct_numbers", "calls"])
def test_the_greatest_values_can_be_evaluated(field: str, value: float, operator: str) -> None:
    given = [value] if operator in ("in", "notIn") else [min(value, 0), max(value, 0)]
    try_out(rule(field=field, operator=operator, value=value if operator[0] in "=!<>" else given), TYPES, 600)


def test_what_goes_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(trial, "evaluate", fails)
    with pytest.raises(RuleError, match="rule x cannot be evaluated: OverflowError: too large"):
        try_out(rule(value=3), TYPES, 600)
    monkeypatch.setattr(trial, "evaluate", evaluate.evaluate)
    try_out(rule(value=3), TYPES, 600)
