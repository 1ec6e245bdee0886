-- keyed
SELECT t.ctid IS NOT NULL, coalesce(t."line", d.k1), coalesce(t."Code", d.k2), t."note" FROM (SELECT DISTINCT k1, k2 FROM (SELECT k1, k2::public.citext AS k2 FROM ONLY "pgibex_main".delta_7_1 WHERE txid >= 10 AND NOT pg_catalog.txid_visible_in_snapshot(txid, '10:15:10,12') UNION ALL SELECT k1, k2::public.citext AS k2 FROM ONLY "pgibex_main".delta_7_2 WHERE txid >= 10 AND NOT pg_catalog.txid_visible_in_snapshot(txid, '10:15:10,12')) a) d LEFT JOIN ONLY "public"."Order ""Items""" t ON t."line" OPERATOR(pg_catalog.=) d.k1 AND t."Code" OPERATOR(public.=) d.k2

-- images
SELECT (image).c1, (image).c2, (image).c3 FROM ONLY "pgibex_main".delta_7_1 WHERE sign = -1 AND txid >= 10 AND NOT pg_catalog.txid_visible_in_snapshot(txid, '10:15:10,12') UNION ALL SELECT (image).c1, (image).c2, (image).c3 FROM ONLY "pgibex_main".delta_7_2 WHERE sign = -1 AND txid >= 10 AND NOT pg_catalog.txid_visible_in_snapshot(txid, '10:15:10,12')

-- whole
SELECT "at", "what", "where" FROM ONLY "public"."log"

-- whole, without a column
SELECT ''::text FROM ONLY "public"."log"
