"""Which region a phone number belongs to, for whole columns of party codes."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.numbering import ASK, REGIONS, region_intervals, region_position

__all__ = ["REGIONS", "region_names", "regions_of"]


def regions_of(codes: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Positions in `REGIONS` of the regions of party codes.

    They are what ``phonenumbers.region_code_for_number`` says of ``+digits`` (a toll-free +1 800 number is
    of the first region of +1 that has such numbers); 0, which is ``ZZ``, where it says none, and for
    parties that are no phone numbers.

    Args:
        codes: party codes, see `transforms.schema.RECORDS`.
    """
    regions = region_intervals().find(codes)
    asked = np.flatnonzero(regions == ASK)
    if len(asked):
        distinct, which = np.unique(codes[asked], return_inverse=True)
        regions[asked] = np.array([region_position(str(code)) for code in distinct.tolist()])[which]
    return regions.astype(np.uint16)


def region_names(regions: NDArray[np.uint16]) -> pl.Series:
    """The names (ISO 3166, ``001`` for no single country, ``ZZ`` for unknown) of positions in `REGIONS`."""
    return pl.Series(REGIONS, dtype=pl.String).gather(regions)
