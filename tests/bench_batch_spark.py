"""The batch tables as one PySpark script, as `bench_batch.sql` makes them with DuckDB.

python tests/bench_batch_spark.py RECORDS DIRECTORY PREFIXES KINDS OUTPUT WIDTH THREADS
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

MEASURES = """count_if(NOT message) AS calls, count_if(answered) AS answered, count_if(message) AS messages,
    coalesce(sum(IF(answered, duration, 0)), 0) AS duration_s"""
RECORD = """id STRING, calling_number STRING, called_number STRING, start_time TIMESTAMP, duration DOUBLE,
    call_type STRING, charge DECIMAL(18,6), call_result STRING"""
E164 = "IF(startswith({0}, '00'), '+' || substr({0}, 3), {0})"


def main(
    records: str, directory: str, prefixes: str, kinds: str, output: str, width: str, threads: str
) -> None:
    """Reads, cleans, counts, writes Parquet files, one folder a table."""
    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", 4 * int(threads))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    with Path(kinds).open() as file:
        rows = list(csv.DictReader(file))
    read_views(spark, records, directory, prefixes, kinds)
    clean(spark, width, private=len(rows) - 1)
    for name, frame in group_tables(spark).items():
        frame.coalesce(1).write.parquet(f"{output}/{name}")
    population = {
        r["hour"]: r["n"]
        for r in spark.sql("SELECT hour, count(*) AS n FROM records GROUP BY hour").collect()
    }
    people(spark, [r["tag_position"] for r in rows])
    subscribers(spark, rows, [population.get(h, 0) for h in range(24)]).write.parquet(f"{output}/subscribers")
    spark.stop()


def read_views(spark: SparkSession, records: str, directory: str, prefixes: str, kinds: str) -> None:
    """The inputs as views."""
    spark.read.csv(records, header=True, schema=RECORD).createOrReplaceTempView("read")
    spark.read.csv(prefixes, header=True).createOrReplaceTempView("prefixes")
    spark.read.csv(directory, header=True).createOrReplaceTempView("directory")
    kind = "position INT, business_type STRING, tag_position INT, tag STRING"
    spark.read.csv(kinds, header=True, schema=kind).createOrReplaceTempView("kinds")
    spark.sql(
        "SELECT number, position AS type FROM directory JOIN kinds USING (business_type)"
    ).createOrReplaceTempView("listed")


def clean(spark: SparkSession, width: str, private: int) -> None:
    """The view ``records``: distinct, with types and regions of both numbers, kept in memory."""
    bare = [f"translate({n}, ' -./()', '')" for n in ("calling_number", "called_number")]
    spark.sql(f"""SELECT id, {E164.format(bare[0])} AS caller, {E164.format(bare[1])} AS called, start_time AS start,
        CAST(floor(coalesce(duration, 0) + 0.5) AS INT) AS duration, upper(call_type) = 'SMS' AS message,
        upper(call_type) = 'VOICE' AND upper(call_result) = 'ANSWERED' AS answered, coalesce(charge, 0) AS charge
        FROM read""").dropDuplicates(["id", "caller"]).createOrReplaceTempView("once")
    cleaned = spark.sql(f"""SELECT /*+ BROADCAST(a, b, p, q) */ caller, start, duration, message, answered, charge,
        hour(start) AS hour, weekday(start) AS weekday, coalesce(a.type, {private}) AS type,
        coalesce(b.type, {private}) AS caller_type, coalesce(p.region, 'ZZ') AS region, coalesce(q.region, 'ZZ') AS home
        FROM once LEFT JOIN listed a ON called = a.number LEFT JOIN listed b ON caller = b.number
        LEFT JOIN prefixes p ON left(called, {width}) = p.prefix
        LEFT JOIN prefixes q ON left(caller, {width}) = q.prefix""")
    cleaned.persist().createOrReplaceTempView("records")


def group_tables(spark: SparkSession) -> dict[str, DataFrame]:
    """T1, T2, T3 and the type graph."""
    columns = "calls, answered, messages, duration_s"
    return {
        "duration_by_hour": spark.sql(f"SELECT hour, {MEASURES} FROM records GROUP BY hour"),
        "business_types": spark.sql(f"""SELECT business_type, tag, {columns} FROM
            (SELECT type AS position, {MEASURES} FROM records GROUP BY type) JOIN kinds USING (position)"""),
        "regions": spark.sql(f"SELECT region, {MEASURES} FROM records GROUP BY region"),
        "type_graph": spark.sql(f"""SELECT a.business_type AS caller_type, b.business_type AS called_type, {columns}
            FROM (SELECT caller_type, type, {MEASURES} FROM records GROUP BY caller_type, type)
            JOIN kinds a ON caller_type = a.position JOIN kinds b ON type = b.position"""),
    }


def counts(expression: str, size: int, also: str = "true") -> str:
    """An array of how often an expression has each value."""
    return "array(" + ", ".join(f"count_if({expression} = {k} AND {also})" for k in range(size)) + ")"


def people(spark: SparkSession, tag_of: list[str]) -> None:
    """The view ``people``: counts per subscriber."""
    spark.sql("""SELECT *, row_number() OVER (PARTITION BY caller ORDER BY start) AS place,
        count(*) OVER (PARTITION BY caller) AS total FROM records""").createOrReplaceTempView("placed")
    older = counts("hour", 24, "place <= total - total DIV 2")
    spark.sql(f"""SELECT caller, {MEASURES}, sum(charge) AS charge,
        count_if(region != 'ZZ' AND region != home) AS international, min(start) AS first_seen, max(start) AS last_seen,
        {counts("type", len(tag_of))} AS types, {counts("weekday", 7)} AS weekdays, {counts("hour", 24)} AS hours,
        {older} AS older FROM placed GROUP BY caller""").createOrReplaceTempView("people")


def subscribers(spark: SparkSession, kinds: list[dict[str, str]], population: list[int]) -> DataFrame:
    """The table of subscribers."""
    total = sum(population)
    shares = [100 * sum(population[(h + k) % 24] for k in range(3)) for h in range(24)]

    def best(array: str) -> str:
        return f"(array_position({array}, array_max({array})) - 1)"

    def span(array: str, hour: str) -> str:
        return "(" + " + ".join(f"{array}[CAST(({hour} + {k}) % 24 AS INT)]" for k in range(3)) + ")"

    def scores(array: str) -> str:
        return "array(" + ", ".join(f"{span(array, str(h))} * {total} + {shares[h]}" for h in range(24)) + ")"

    tags = sorted({(int(k["tag_position"]), k["tag"]) for k in kinds})
    sums = [
        " + ".join(f"types[{i}]" for i, k in enumerate(kinds) if int(k["tag_position"]) == tag)
        for tag, _ in tags
    ]
    names, tag_names = (
        "array(" + ", ".join(f"'{n}'" for n in words) + ")"
        for words in ([k["business_type"] for k in kinds], [n for _, n in tags])
    )
    spark.sql(f"""SELECT *, array({", ".join(sums)}) AS tags, {scores("hours")} AS whole, {scores("older")} AS half
        FROM people""").createOrReplaceTempView("scored")
    spark.sql(f"""SELECT *, {best("whole")} AS contact_from, {best("half")} AS tried, {best("types")} AS type,
        {best("weekdays")} AS best_weekday, {best("hours")} AS best_hour FROM scored""").createOrReplaceTempView(
        "picked"
    )
    return spark.sql(f"""SELECT caller AS subscriber, calls, answered, messages, duration_s,
        CAST(charge AS DOUBLE) AS charge, international, first_seen, last_seen,
        {names}[CAST(type AS INT)] AS business_type, array_max(types) AS business_type_count,
        {tag_names}[CAST({best("tags")} AS INT)] AS tag, array_max(tags) AS tag_count,
        best_weekday, array_max(weekdays) AS best_weekday_count, best_hour, array_max(hours) AS best_hour_count,
        contact_from, (contact_from + 3) % 24 AS contact_to,
        IF(calls + messages >= 8, ({span("hours", "tried")} - {span("older", "tried")})
            / ((calls + messages) DIV 2), NULL) AS contact_hit_rate FROM picked""")


if __name__ == "__main__":
    main(*sys.argv[1:])
