"""What pages say about rules: problems beside their fields, counts in sentences, the steps of a funnel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from webui import words
from webui.rule_tree import ON_SCREEN

_NODE: Final = re.compile(r"when(?:\.rules\[\d+\])*")
_STEP: Final = re.compile(r"\.rules\[\d+\]")
_NOTHING: Final = ('is ""', "is []", "is null", "is missing")
_FLAGS: Final = re.compile(r" \((?:--\w+|offer\.\w+)\)")
_PARTS: Final = {
    "field": "Field",
    "operator": "Comparison",
    "value": "Value",
    "window": "Time",
    "rules": "Group",
    "where": "Filter",
}


def plain(message: str) -> str:
    """A problem as people say it.

    >>> plain('is ""; expected a number'), plain("is 7s; expected a multiple of the pane of 5s (--pane)")
    ('Enter a number.', '7s will not do: enter a multiple of 5s.')
    """
    what, _, expected = message.partition("; expected ")
    wanted = _FLAGS.sub("", expected).replace("the pane of ", "")
    if what in _NOTHING:
        return f"Enter {wanted}." if wanted else "This is missing."
    if not wanted:
        return f"{what[:1].upper()}{what[1:]}."
    return f"{what.removeprefix('is ')} will not do: enter {wanted}."


def listed(problems: Iterable[Mapping[str, str]]) -> str:
    """Problems with their paths, one after the other.

    >>> listed([{"path": "priority", "message": 'is "x"; expected a whole number'}])
    'priority: "x" will not do: enter a whole number.'
    """
    return " ".join(f"{p['path']}: {plain(p['message'])}" for p in problems)


def slot(path: str) -> str:
    """The id of the element in which the page says what is wrong at a path.

    >>> slot("when.rules[0]"), slot("offer.code")
    ('e-when-rules-0', 'e-offer-code')
    """
    return "e-" + re.sub(r"\W+", "-", path).strip("-")


def errors_of(problems: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What is said beside which field: path of a condition or group that is on screen, or of another field.

    >>> errors_of([{"path": "when.rules[0].value", "message": 'is ""; expected a number'}])
    {'when.rules[0]': 'Value: enter a number.'}
    """
    found: dict[str, str] = {}
    for problem in problems:
        path, said = problem["path"], plain(problem["message"])
        node = _NODE.match(path)
        if node is not None:
            part = path[node.end() :].lstrip(".").partition(".")[0]
            said = f"{_PARTS[part]}: {said[0].lower()}{said[1:]}" if part in _PARTS else said
            path = "when" + "".join(_STEP.findall(node[0])[:ON_SCREEN])
        elif path.startswith("offer.goal"):
            path = "offer.goal"
        found[path] = f"{found[path]} {said}" if path in found else said
    return found


def below(sentences: Mapping[str, str], path: str) -> str:
    """What the conditions below a group say, one after the other."""
    return "; ".join(said for at, said in sentences.items() if at.startswith(f"{path}.")) or "a group"


class Step(NamedTuple):
    """A step of the funnel: its name, how many are taken out, how many are left, and what it means."""

    label: str
    taken: int
    left: int
    meaning: str


_TAKEN: Final = (
    ("no_consent", "no consent", "Nothing is offered to people without a consent."),
    ("capped", "contact limit", "They were contacted as often as allowed, by this and other rules."),
    ("control", "control group", "They are offered nothing, to compare with."),
    ("sold_out", "sold out", "The rule's limit in all was reached."),
)


def funnel(found: Mapping[str, Any]) -> list[Step]:
    """The steps from those who match to those who are offered something."""
    counts = found["funnel"]
    left = int(counts["matched"])
    steps = [Step("match", 0, left, "Each time that the rule would have fired.")]
    for name, label, meaning in _TAKEN:
        taken = int(counts.get(name) or 0)
        left -= taken
        steps.append(Step(label, taken, left, meaning))
    return [*steps, Step("offered", 0, int(counts["offered"]), "These would have been offered it.")]


def reach(found: Mapping[str, Any], days: int) -> str:
    """The count in a sentence, with what it means.

    >>> reach({"exact": True, "reached": 312, "qualify_now": 87, "history": {"shorter_than_window": False}}, 30)
    'Would have reached 312 people in the last 30 days, 87 qualify right now.'
    """
    about = "" if found["exact"] else "about "
    people = f"{about}{words.number(found['reached'])} {_people(found['reached'])}"
    now = found["qualify_now"]
    return (
        f"Would have reached {people} in {period(found.get('history') or {}, days)}, "
        f"{about}{words.number(now)} {'qualifies' if now == 1 else 'qualify'} right now."
    )


def period(history: Mapping[str, Any], days: int) -> str:
    """Of which time a count is: the last days, or all that is kept where that is less."""
    first, last = words.moment(history.get("first")), words.moment(history.get("last"))
    seconds = (last - first).total_seconds() if first and last else days * 86400
    if seconds >= (days - 1) * 86400:
        return f"the last {days} days"
    whole, unit = (round(seconds / 86400), "day") if seconds >= 2 * 86400 else (round(seconds / 3600), "hour")
    return f"the {max(whole, 1)} {unit}{'s' if whole > 1 else ''} on record"


def _people(count: int) -> str:
    return "person" if count == 1 else "people"


def per_day(expected: Any) -> str:
    """How many promotions a day are expected: ``about 12 a day``, ``fewer than one a day``."""
    if expected is None:
        return "not known yet"
    if expected and expected < 1:
        return "fewer than one a day"
    return f"about {words.number(round(expected))} a day"


def repeat_of(definition: Mapping[str, Any]) -> str:
    """How often a rule fires, also of one that is not right."""
    limits = definition.get("limits")
    return str(limits.get("repeat", "never")) if isinstance(limits, Mapping) else "never"


def of_start(start: str, definition: Mapping[str, Any]) -> str:
    """What a way of switching a rule on means for those who qualify at that moment."""
    repeat = repeat_of(definition)
    if start == "now":
        return "All who qualify at that moment are decided on at once."
    if repeat == "never":
        return "Those who qualify at that moment are never offered it."
    return "Those who qualify at that moment are offered nothing before they cease to qualify and come back."


def noted(reason: str) -> str:
    """What the desk says, as a sentence of a page: names of flags and of parts of a rule's JSON are left out.

    >>> noted("no run of the store has kept records (--keep_records)")
    'No run of the store has kept records.'
    """
    said = _FLAGS.sub("", reason)
    return f"{said[:1].upper()}{said[1:].rstrip('.')}."


def busiest(days: Sequence[Mapping[str, Any]]) -> str:
    """What the bars per day show, in words."""
    most = max(days, key=lambda day: day["firings"], default=None)
    if most is None or not most["firings"]:
        return "No day on which it would have fired"
    return f"Busiest day: {day_text(most['day'])}, {words.number(most['firings'])}"


def day_text(day: str) -> str:
    """A day of the store: ``2026-11-14`` -> ``14 Nov``, with the year where it is not this one."""
    return words.when(f"{day[:10]} 00:00:00").rsplit(" ", 1)[0]
