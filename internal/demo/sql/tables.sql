-- The shop, as both sides have it. Everything here exists in 9.2: so no jsonb, no identity columns.
CREATE TYPE order_status AS ENUM ('new', 'paid', 'shipped', 'returned');

CREATE TABLE customers (
    id      serial PRIMARY KEY,
    email   text NOT NULL UNIQUE,
    name    varchar(80) NOT NULL,
    tags    text[],
    balance numeric(12, 2) NOT NULL DEFAULT 0,
    last_ip inet,
    joined  timestamptz NOT NULL
);

CREATE TABLE categories (
    id     serial PRIMARY KEY,
    parent int,
    name   text NOT NULL
);

CREATE TABLE products (
    sku        text PRIMARY KEY,
    shelf      smallint NOT NULL,
    category   int,
    name       text NOT NULL,
    price      numeric(10, 2) NOT NULL,
    weight     double precision,
    attributes json,
    picture    bytea
);

CREATE TABLE stock (
    warehouse smallint,
    sku       text,
    quantity  int NOT NULL,
    PRIMARY KEY (warehouse, sku)
);

-- Written by a trigger on stock.
CREATE TABLE stock_moves (
    id        bigserial PRIMARY KEY,
    warehouse smallint NOT NULL,
    sku       text NOT NULL,
    change    int NOT NULL,
    moved     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE orders (
    id       bigserial PRIMARY KEY,
    customer int NOT NULL,
    status   order_status NOT NULL,
    invoice  bigint,
    note     text,
    placed   timestamptz NOT NULL
);

CREATE TABLE "Order Items" (
    "Order"    bigint,
    line       smallint,
    sku        text NOT NULL,
    "Quantity" int NOT NULL,
    price      numeric(10, 2) NOT NULL,
    PRIMARY KEY ("Order", line)
);

-- The parent holds rows of its own; each child has its own primary key, as inheritance wants.
CREATE TABLE payments (
    id     bigserial PRIMARY KEY,
    "order" bigint NOT NULL,
    amount numeric(12, 2) NOT NULL,
    paid   timestamptz NOT NULL
);
CREATE TABLE payments_card (card char(16) NOT NULL, PRIMARY KEY (id)) INHERITS (payments);
CREATE TABLE payments_transfer (iban text NOT NULL, cleared date, PRIMARY KEY (id)) INHERITS (payments);

-- No key, and equal rows.
CREATE TABLE clicks (
    visitor int,
    path    text,
    seconds double precision,
    clicked timestamptz
);

CREATE TABLE seats (
    id    int PRIMARY KEY,
    place int NOT NULL UNIQUE
);

CREATE TABLE carts (
    id     serial PRIMARY KEY,
    opened timestamptz NOT NULL
);
CREATE TABLE cart_items (
    cart     int,
    sku      text,
    quantity int NOT NULL,
    PRIMARY KEY (cart, sku)
);

CREATE TABLE "we""ird" (
    "Key" text PRIMARY KEY,
    "va""lue" text
);

CREATE SEQUENCE invoices START 1000 INCREMENT 10;
