INSERT INTO public.customer (name) SELECT 'customer ' || i FROM generate_series(1, 10000) i;
INSERT INTO public.orders (customer_id, amount) SELECT 1 + i % 10000, i % 100 FROM generate_series(1, 200000) i;
ANALYZE;
