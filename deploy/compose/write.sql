-- psql repeats the statements of one \watch: an order and what it costs its customer.
WITH placed AS (
    INSERT INTO public.orders (customer_id, amount)
    SELECT 1 + floor(random() * 10000)::integer, round((random() * 100)::numeric, 2) RETURNING customer_id, amount)
UPDATE public.customer c SET balance = balance - p.amount FROM placed p WHERE c.id = p.customer_id
\watch 0.1
