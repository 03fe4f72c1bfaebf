"""Real servers for tests and demonstrations: a Kafka broker, a Pub/Sub emulator, a Flink cluster.

`make servers` fetches and builds their programs (`fetch.py`) into a cache outside the project; the other
modules start them as processes of their own on free ports.
"""
