CREATE TABLE public.customer (
    id      serial PRIMARY KEY,
    name    text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0
);
CREATE TABLE public.orders (
    id          bigserial PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES public.customer,
    amount      numeric(12,2) NOT NULL,
    placed_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer_id ON public.orders (customer_id);
