"""The front door: options, the graph, the runs and the commands."""
