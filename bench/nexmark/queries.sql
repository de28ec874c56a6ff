-- Nexmark's filter queries in DuckDB's dialect, as the derived streams of pipeline.yaml have them.

-- q0
SELECT auction, bidder, price, "at", extra FROM bids;

-- q1
SELECT auction, bidder, 0.908e0 * price AS dollars, "at", extra FROM bids;

-- q2
SELECT auction, price, "at" FROM bids WHERE auction % 123 = 0;

-- q14
SELECT auction, bidder, 0.908e0 * price AS dollars,
  CASE WHEN hour("at") BETWEEN 8 AND 18 THEN 'day' WHEN hour("at") <= 6 OR hour("at") >= 20 THEN 'night' ELSE 'other' END AS bid_time,
  "at", extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM bids WHERE 0.908e0 * price > 1000000 AND 0.908e0 * price < 50000000;

-- q21
SELECT auction, bidder, price, channel,
  CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
    ELSE regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id,
  "at"
FROM bids WHERE lower(channel) IN ('apple', 'google', 'facebook', 'baidu') OR regexp_matches(url, '(&|^)channel_id=([^&]*)');

-- q22
SELECT auction, bidder, price, channel,
  split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3, "at"
FROM bids;
