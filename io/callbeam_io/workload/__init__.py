"""The workload generator: call detail records of people with habits, from settings alone.

``Workload(WorkloadSettings(people=500)).records()`` gives a period in order of time, ``slice_of(start, end)``
any stretch of it, the same whenever it is asked for; `write_workload` makes files, `compare` judges a run by
the truth.
"""

from callbeam_io.workload.formats import FORMATS, render
from callbeam_io.workload.settings import WorkloadSettings, settings_from
from callbeam_io.workload.truth import compare, read_truth
from callbeam_io.workload.workload import Workload
from callbeam_io.workload.writing import ORDERS, Written, beside, write_workload

__all__ = [
    "FORMATS",
    "ORDERS",
    "Workload",
    "WorkloadSettings",
    "Written",
    "beside",
    "compare",
    "read_truth",
    "render",
    "settings_from",
    "write_workload",
]
