"""The front door: options, the graph, the runs and the commands."""

import gc

gc.set_threshold(50_000, 20, 20)  # garbage in cycles is rare here: to look for it takes a tenth of the start
