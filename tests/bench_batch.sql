-- The batch tables as one DuckDB script, as a good engineer would write it; bench_batch.py fills in what has a dollar sign.
SET threads = $threads;

CREATE TEMP TABLE kinds AS
SELECT * FROM read_csv('$kinds', header = true,
    columns = {'position': 'UTINYINT', 'business_type': 'VARCHAR', 'tag_position': 'UTINYINT', 'tag': 'VARCHAR'});
CREATE TEMP TABLE listed AS
SELECT number, position AS type
FROM read_csv('$directory', header = true, all_varchar = true) JOIN kinds USING (business_type);
CREATE TEMP TABLE prefixes AS SELECT * FROM read_csv('$prefixes', header = true, all_varchar = true);

CREATE MACRO bare(number) AS translate(number, ' -./()', '');
CREATE MACRO e164(number) AS
    CASE WHEN starts_with(number, '+') AND try_cast(number AS BIGINT) IS NOT NULL THEN number  -- plain ones are quick
        WHEN starts_with(bare(number), '00') THEN '+' || substr(bare(number), 3)
        ELSE bare(number) END;

CREATE TEMP TABLE records AS
WITH parsed AS (
    SELECT id, e164(calling_number) AS caller, e164(called_number) AS called, start_time AS start,
        CAST(floor(coalesce(duration, 0) + 0.5) AS INTEGER) AS duration, upper(call_type) = 'SMS' AS message,
        upper(call_type) = 'VOICE' AND upper(call_result) = 'ANSWERED' AS answered, coalesce(charge, 0) AS charge
    FROM read_csv('$records', header = true, columns = {
        'id': 'VARCHAR', 'calling_number': 'VARCHAR', 'called_number': 'VARCHAR', 'start_time': 'TIMESTAMP',
        'duration': 'DOUBLE', 'call_type': 'VARCHAR', 'charge': 'DECIMAL(18,6)', 'call_result': 'VARCHAR'})
), once AS (
    SELECT DISTINCT ON (id, caller) * EXCLUDE (id) FROM parsed
)
SELECT once.*, coalesce(listed.type, $private) AS type, coalesce(prefixes.region, 'ZZ') AS region
FROM once LEFT JOIN listed ON called = number LEFT JOIN prefixes ON left(called, $width) = prefix;

CREATE TABLE duration_by_hour AS
SELECT hour(start) AS hour, $measures FROM records GROUP BY ALL;
CREATE TABLE business_types AS
SELECT business_type, tag, calls, answered, messages, duration_s
FROM (SELECT type AS position, $measures FROM records GROUP BY ALL) JOIN kinds USING (position);
CREATE TABLE regions AS
SELECT region, $measures FROM records GROUP BY ALL;
CREATE TABLE type_graph AS
SELECT a.business_type AS caller_type, b.business_type AS called_type, calls, answered, messages, duration_s
FROM (
    SELECT coalesce(listed.type, $private) AS caller, records.type AS called, $measures
    FROM records LEFT JOIN listed ON caller = number GROUP BY ALL
) JOIN kinds AS a ON caller = a.position JOIN kinds AS b ON called = b.position;

SET VARIABLE population = (
    SELECT list(coalesce(n, 0) ORDER BY hour)
    FROM (SELECT unnest(range(24)) AS hour) LEFT JOIN (SELECT hour, calls + messages AS n FROM duration_by_hour) USING (hour)
);
CREATE MACRO span(hours, h) AS hours[h + 1] + hours[(h + 1) % 24 + 1] + hours[(h + 2) % 24 + 1];
CREATE MACRO scores(hours) AS $scores;  -- written out: a lambda takes three times as long
CREATE MACRO best(counts) AS list_position(counts, list_max(counts)) - 1;

CREATE TEMP TABLE people AS
WITH placed AS (
    SELECT caller, message, answered, duration, charge, start, type, region, hour(start) AS hour,
        isodow(start) - 1 AS weekday, row_number() OVER (PARTITION BY caller ORDER BY start) AS place,
        count(*) OVER (PARTITION BY caller) AS total
    FROM records
)
SELECT caller, $measures, sum(charge) AS charge,
    count(*) FILTER (region != 'ZZ' AND region != home) AS international,
    min(start) AS first_seen, max(start) AS last_seen,
    $types AS types, $weekdays AS weekdays, $hours AS hours, $older AS older
FROM (SELECT placed.*, place <= total - total // 2 AS early, coalesce(prefixes.region, 'ZZ') AS home
      FROM placed LEFT JOIN prefixes ON left(caller, $width) = prefix)
GROUP BY caller;

CREATE TABLE subscribers AS
WITH counted AS (
    SELECT *, $tags AS tags, best(types) AS type, best(weekdays) AS best_weekday, best(hours) AS best_hour,
        best(scores(hours)) AS contact_from, best(scores(older)) AS tried
    FROM people
)
SELECT caller AS subscriber, calls, answered, messages, duration_s, CAST(charge AS DOUBLE) AS charge, international,
    first_seen, last_seen, ($names)[type + 1] AS business_type, types[type + 1] AS business_type_count,
    ($tag_names)[best(tags) + 1] AS tag, list_max(tags) AS tag_count,
    best_weekday, weekdays[best_weekday + 1] AS best_weekday_count, best_hour, hours[best_hour + 1] AS best_hour_count,
    contact_from, (contact_from + 3) % 24 AS contact_to,
    CASE WHEN calls + messages >= 8
        THEN (span(hours, tried) - span(older, tried)) / ((calls + messages) // 2) END AS contact_hit_rate
FROM counted;
