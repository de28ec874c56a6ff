-- Nexmark's window queries in DuckDB's dialect. Windows are named by the milliseconds at which they
-- start or end; a window holds its start, and not its end, but for query 7, which says BETWEEN.

-- q5
WITH counted AS (
  SELECT auction, (epoch_ms("at") // 2000 + step) * 2000 AS ends, count(*) AS bids
  FROM bids, unnest([1, 2, 3, 4, 5]) steps(step) GROUP BY ALL
)
SELECT auction, bids, ends FROM counted QUALIFY bids = max(bids) OVER (PARTITION BY ends);

-- q7
WITH highest AS (SELECT (epoch_ms("at") // 10000 + 1) * 10000 AS ends, max(price) AS price FROM bids GROUP BY ALL)
SELECT bids.auction, bids.price, bids.bidder, bids."at", bids.extra, ends
FROM bids JOIN highest USING (price) WHERE epoch_ms(bids."at") BETWEEN ends - 10000 AND ends;

-- q8
WITH opened AS (
  SELECT seller, epoch_ms("at") // 10000 AS span, min("at") AS first_at FROM auctions GROUP BY ALL
)
SELECT id, name, span * 10000 AS starts, greatest(persons."at", first_at) AS joined_at
FROM persons JOIN opened ON seller = id AND span = epoch_ms(persons."at") // 10000;

-- q11
WITH gaps AS (
  SELECT bidder, epoch_ms("at") AS ms,
    coalesce(ms - lag(ms) OVER (PARTITION BY bidder ORDER BY ms) > 10000, true) AS begins
  FROM bids
), sessions AS (
  SELECT bidder, ms, sum(begins::INTEGER) OVER (PARTITION BY bidder ORDER BY ms) AS session FROM gaps
)
SELECT bidder, count(*) AS bids, min(ms) AS starts, max(ms) + 10000 AS ends FROM sessions GROUP BY bidder, session;

-- q12
SELECT bidder, count(*) AS bids, epoch_ms("at") // 10000 * 10000 AS starts FROM bids GROUP BY ALL;
