-- The questions of `bench serving` over the tables of minutes, as one who has only those would write them.
CREATE FUNCTION top_of(starts timestamptz, ends timestamptz)
RETURNS TABLE (product_id text, views bigint, purchases bigint, revenue numeric) LANGUAGE sql STABLE AS $$
  SELECT product_id, sum(views)::bigint, sum(purchases)::bigint, sum(revenue) FROM product_minutes
  WHERE minute >= starts AND minute < ends AND NOT bot GROUP BY 1 ORDER BY 4 DESC, 1 LIMIT 10
$$;
CREATE FUNCTION revenue_of(starts timestamptz, ends timestamptz)
RETURNS TABLE (window_start timestamptz, category text, count bigint, total numeric) LANGUAGE sql STABLE AS $$
  SELECT date_bin('5 minutes', minute, 'epoch'), category, sum(purchases)::bigint, sum(revenue) FROM category_minutes
  WHERE minute >= starts AND minute < ends AND NOT bot GROUP BY 1, 2 HAVING sum(purchases) > 0 ORDER BY 1, 2
$$;
CREATE FUNCTION sales_of(starts timestamptz, ends timestamptz)
RETURNS TABLE (window_start timestamptz, revenue numeric, purchases bigint, units bigint) LANGUAGE sql STABLE AS $$
  SELECT date_bin('1 hour', minute, 'epoch'), sum(revenue), sum(purchases)::bigint, sum(units)::bigint FROM site_minutes
  WHERE minute >= starts AND minute < ends AND NOT bot GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION sessions_of(starts timestamptz, ends timestamptz) RETURNS SETOF sessions LANGUAGE sql STABLE AS $$
  SELECT * FROM sessions WHERE started_at >= starts AND started_at < ends AND NOT bot
  ORDER BY started_at DESC, session_id DESC
$$;
