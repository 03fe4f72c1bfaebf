"""Messy canonical CSVs for tests: repeats, bad lines, offsets, odd numbers, ties."""

from __future__ import annotations

import random

from transforms.schema import BUSINESS_TYPES

HEADER = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"
TYPES = [name for name, _ in BUSINESS_TYPES]
CALLERS = [
    "+12025550123", "+1 (202) 555-0124", "0012025550125", "+442079460018", "+44 (0)20 7946 0019", "100",
    "sip:alice",
    "+14165550100", "+77012345678", "+390612345678", "+999123", "+88216123456", "anonymous", "+4930123456",
]  # fmt: skip
CALLED = [f"+1202555{n:04d}" for n in range(40)] + [
    "+18095550111", "+441534123456", "+33123456789", "+5511987654321", "+88213000000", "+7 701 234 5678",
    "12345", "+1999",
]  # fmt: skip
STAMPS = [
    "2026-01-0{d}T{h:02d}:{m:02d}:{s:02d}Z",
    "2026-01-0{d}T{h:02d}:{m:02d}:{s:02d}+05:30",
    "2026-01-0{d}T{h:02d}:{m:02d}:{s:02d}-08:00",
    "2026-01-0{d} {h:02d}:{m:02d}:{s:02d}",
    "2026-01-0{d}T{h:02d}:{m:02d}:{s:02d}.25Z",
    "2026-01-0{d}T{h:02d}:{m:02d}Z",
]
BAD = [
    ",,+12025550000,2026-01-01T00:00:00Z,1,VOICE,0,ANSWERED",
    "b1,+12025550123,  ,2026-01-01T00:00:00Z,1,VOICE,0,ANSWERED",
    "b2,+12025550123,+12025550000,2026-13-01T00:00:00Z,1,VOICE,0,ANSWERED",
    "b3,+12025550123,+12025550000,,1,VOICE,0,ANSWERED",
    "b4,+12025550123,+12025550000,2026-01-01T00:00:00Z,-1,VOICE,0,ANSWERED",
    "b5,+12025550123,+12025550000,2026-01-01T00:00:00Z,1m,VOICE,0,ANSWERED",
    "b6,+12025550123,+12025550000,2026-01-01T00:00:00Z,1,FAX,0,ANSWERED",
    "b7,+12025550123,+12025550000,2026-01-01T00:00:00Z,1,VOICE,0,MAYBE",
    "b8,+12025550123,+12025550000,2026-01-01T00:00:00Z,1,VOICE,-0.1,ANSWERED",
    "b9,+12025550123,+12025550000,2026-01-01T00:00:00Z,1,VOICE",
    "b10,+12025550123,+12025550000,2026-01-01T00:00:00Z,1,VOICE,0,ANSWERED,extra,fields",
    "b11,+12025550123,+12025550000,2126-01-01T00:00:00Z,1,VOICE,0,ANSWERED",
    "no record at all",
]  # fmt: skip


def directory(seed: int = 0) -> dict[str, str]:
    rng = random.Random(seed)
    return {n: rng.choice(TYPES[:-1]) for n in [*CALLED[:36], CALLERS[0], "+442079460018", "100"]}


def csv_text(
    n: int, seed: int = 0, *, bad: float = 0.03, repeats: float = 0.05, accounts: bool = False
) -> str:
    """A header and about n lines."""
    rng = random.Random(seed)
    lines: list[str] = []
    for i in range(n):
        if rng.random() < bad:
            lines.append(rng.choice(BAD) + ("," if accounts and rng.random() < 0.5 else ""))
            continue
        if lines and rng.random() < repeats:
            lines.append(_again(rng, lines))
            continue
        lines.append(_line(rng, i, accounts))
    return "\n".join([HEADER + (",account_id" if accounts else ""), *lines, ""])


def _again(rng: random.Random, lines: list[str]) -> str:
    line = rng.choice(lines)
    if rng.random() < 0.3:  # a conflicting one: another answer under the same id
        return line.replace("ANSWERED", "BUSY")
    return line


def _line(rng: random.Random, i: int, accounts: bool) -> str:
    stamp = rng.choice(STAMPS).format(
        d=rng.randint(1, 9), h=rng.randint(0, 23), m=rng.randint(0, 59), s=rng.randint(0, 59)
    )
    duration = rng.choice(["", "0", "59", "59.5", "60.4999", "3600", f"{rng.randint(0, 9000)}"])
    charge = rng.choice(["", "0", "0.1", "0.0000005", "1.0000015", "12.345678", f"{rng.random():.7f}"])
    kind = rng.choice(["VOICE", "VOICE", "VOICE", "voice", "SMS"])
    result = rng.choice(["ANSWERED", "ANSWERED", "Answered", "BUSY", "NO_ANSWER", "FAILED"])
    fields = [
        rng.choice(["", f"id{i}", f"{i:08x}"]),
        rng.choice(CALLERS),
        rng.choice(CALLED),
        stamp,
        duration,
        kind,
        charge,
        result,
    ]
    if accounts:
        fields.append(rng.choice(["", "A1", "A2", f"A{i}"]))
    return ",".join(fields)
