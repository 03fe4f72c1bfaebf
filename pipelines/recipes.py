"""Rules to begin with: the shipped ones (``docs/examples/rules.json`` holds them as a rules file) and six more.

All windows are multiples of 2h, so that they run with the demonstration's panes. Two of them speak of types that
the list of types in ``docs/examples/business_types_finance.csv`` has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A rule to begin with.

    Attributes:
        text: whom it finds, and why.
        definition: the rule as JSON.
        shipped: whether it is one of ``docs/examples/rules.json``.
    """

    text: str
    definition: Json
    shipped: bool = False


def _count(field: str, operator: str, value: float, window: str, **where: list[Any]) -> Json:
    """A condition on a windowed field."""
    condition: Json = {"field": field, "operator": operator, "value": value, "window": window}
    return {**condition, "where": where} if where else condition


def _profile(field: str, operator: str, value: Any) -> Json:
    """A condition on a profile since the beginning."""
    return {"field": field, "operator": operator, "value": value, "window": "all"}


def _all(*rules: Json) -> Json:
    return {"combinator": "and", "rules": list(rules)}


_INSURANCE: Final = {"business_type": ["Insurance"]}
_CARD: Final = {"business_type": ["Credit card"]}
_FOOD: Final = {"business_type": ["Food (including takeaway)"]}
_HOUSING: Final = {"business_type": ["Housing (including rental)"]}

RECIPES: Final = (
    Recipe(
        "Whoever called an insurance company within six hours is looking for insurance now.",
        {
            "name": "Insurance offer",
            "priority": 10,
            "when": _all(_count("interactions", ">=", 1, "6h", **_INSURANCE)),
            "offer": {
                "code": "INS5",
                "text": "5 % off your first year of insurance",
                "channel": "sms",
                "expires_after": "48h",
                "goal": _INSURANCE,
            },
            "limits": {"repeat": "on_reentry", "cooldown": "14d"},
            "control_share": 0.1,
        },
        shipped=True,
    ),
    Recipe(
        "Two calls to credit-card companies in a day: somebody compares cards.",
        {
            "name": "Credit card offer",
            "priority": 20,
            "when": _all(_count("calls", ">=", 2, "24h", **_CARD)),
            "offer": {
                "code": "CARD0",
                "text": "A credit card without a fee for a year",
                "channel": "sms",
                "goal": _CARD,
            },
            "limits": {"repeat": "never"},
            "control_share": 0.1,
        },
        shipped=True,
    ),
    Recipe(
        "Several calls abroad in a week: a package costs these people less, and keeps them.",
        {
            "name": "Long-distance package",
            "priority": 1,
            "when": _all(_count("international", ">=", 3, "7d")),
            "offer": {
                "code": "LD10",
                "text": "10 h abroad for 5",
                "channel": "sms",
                "expires_after": "24h",
            },
            "limits": {"repeat": "never", "max_total": 10000},
            "control_share": 0.1,
        },
        shipped=True,
    ),
    Recipe(
        "Calls about flats, and about housekeeping or to several landlords: somebody is about to move.",
        {
            "name": "Moving house",
            "priority": 30,
            "when": _all(
                _count("interactions", ">=", 2, "2d", **_HOUSING),
                {
                    "combinator": "or",
                    "rules": [
                        _count(
                            "interactions",
                            ">=",
                            1,
                            "7d",
                            business_type=["Housekeeping and property management"],
                        ),
                        _count("distinct_numbers", ">=", 2, "7d", **_HOUSING),
                    ],
                },
            ),
            "offer": {
                "code": "MOVE",
                "text": "Your number and your line move with you, free of charge",
                "channel": "call",
            },
            "limits": {"repeat": "on_reentry", "cooldown": "90d"},
        },
        shipped=True,
    ),
    Recipe(
        "People who order food in the evening twice a week or more.",
        {
            "name": "Evening food",
            "priority": 50,
            "when": _all(_count("interactions", ">=", 2, "7d", **_FOOD, hour=[17, 18, 19, 20, 21])),
            "offer": {
                "code": "DINNER",
                "text": "Free delivery tonight",
                "channel": "app",
                "expires_after": "6h",
                "goal": _FOOD,
            },
            "limits": {"repeat": "always", "cooldown": "7d", "max_per_subscriber": 4},
        },
        shipped=True,
    ),
    Recipe(
        "Call after call without an answer: ringing back is worth something to these people.",
        {
            "name": "Nobody answers",
            "priority": 40,
            "when": _all(
                _count("calls", ">=", 3, "4h", call_result=["BUSY", "NO_ANSWER"]),
                _count("answered", "<", 2, "4h"),
            ),
            "offer": {
                "code": "RINGBACK",
                "text": "We ring you as soon as the line is free",
                "channel": "sms",
            },
            "limits": {"repeat": "on_reentry", "cooldown": "1d", "max_per_subscriber": 3},
        },
        shipped=True,
    ),
    Recipe(
        "Busy lines whose calls go to businesses and agencies, in office hours.",
        {
            "name": "Business line",
            "priority": 60,
            "start": "entering",
            "when": _all(
                _profile("tag", "in", ["Business", "Agency"]),
                _profile("best_hour", "between", [8, 17]),
                _count("interactions", ">=", 5, "1d"),
            ),
            "offer": {
                "code": "BIZ",
                "text": "A second line for your business",
                "channel": "call",
                "expires_after": "7d",
            },
            "limits": {"repeat": "never"},
            "control_share": 0.2,
        },
        shipped=True,
    ),
    Recipe(
        "People who spent well in the last week and have been silent for eight hours.",
        {
            "name": "Big spender gone quiet",
            "priority": 70,
            "when": _all(
                _count("charge", ">", 2.5, "7d"),
                {
                    "combinator": "or",
                    "not": True,
                    "rules": [
                        _count("interactions", ">=", 1, "8h"),
                        {"field": "subscriber_region", "operator": "=", "value": "ZZ"},
                    ],
                },
            ),
            "offer": {
                "code": "BACK",
                "text": "Ten free minutes today",
                "channel": "sms",
                "expires_after": "12h",
            },
            "limits": {"repeat": "on_reentry", "cooldown": "7d"},
        },
        shipped=True,
    ),
    Recipe(
        "An hour of talk on Saturdays and Sundays within a week.",
        {
            "name": "Weekend talker",
            "priority": 80,
            "when": _all(_count("duration_s", ">=", 3600, "7d", weekday=[5, 6])),
            "offer": {"code": "WEEKEND", "text": "Talk all weekend for 3", "channel": "sms"},
            "limits": {"repeat": "on_reentry", "cooldown": "30d"},
            "control_share": 0.1,
        },
    ),
    Recipe(
        "Ten messages or more in two days.",
        {
            "name": "Message bundle",
            "priority": 90,
            "when": _all(_count("messages", ">=", 10, "2d")),
            "offer": {"code": "TEXT500", "text": "500 messages for 2", "channel": "sms"},
            "limits": {"repeat": "never"},
            "control_share": 0.1,
        },
    ),
    Recipe(
        "Calls to travel agencies and a call abroad in one week: somebody is about to travel.",
        {
            "name": "Ready to travel",
            "priority": 15,
            "when": _all(
                _count("interactions", ">=", 2, "7d", business_type=["Traveling"]),
                _count("international", ">=", 1, "7d"),
            ),
            "offer": {"code": "ROAM7", "text": "A week of roaming for 7", "channel": "sms"},
            "limits": {"repeat": "on_reentry", "cooldown": "30d"},
            "control_share": 0.1,
        },
    ),
    Recipe(
        "Three calls a week or more between ten at night and four in the morning.",
        {
            "name": "Night owl",
            "priority": 85,
            "when": _all(_count("calls", ">=", 3, "7d", hour=[22, 23, 0, 1, 2, 3])),
            "offer": {"code": "NIGHT", "text": "Calls at night for nothing", "channel": "app"},
            "limits": {"repeat": "never"},
        },
    ),
    Recipe(
        "People with many friends: fifteen different numbers in a week. They bring others along.",
        {
            "name": "Wide circle",
            "priority": 95,
            "when": _all(_count("distinct_numbers", ">=", 15, "7d")),
            "offer": {"code": "FRIENDS", "text": "Bring a friend, talk free with each other"},
            "limits": {"repeat": "never"},
            "control_share": 0.1,
        },
    ),
    Recipe(
        "Two calls or more about jobs in two days: a new job often needs a new plan.",
        {
            "name": "New job",
            "priority": 35,
            "when": _all(_count("interactions", ">=", 2, "2d", business_type=["Job"])),
            "offer": {"code": "FLEX", "text": "A plan that you can end any month", "channel": "sms"},
            "limits": {"repeat": "on_reentry", "cooldown": "90d"},
            "control_share": 0.1,
        },
    ),
)
