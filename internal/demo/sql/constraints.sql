-- Secondary indexes, foreign keys and the shop's own trigger, on both sides.
CREATE INDEX customers_name ON customers (lower(name));
CREATE INDEX products_category ON products (category);
CREATE INDEX orders_customer ON orders (customer);
CREATE INDEX orders_open ON orders (placed) WHERE status = 'new';
CREATE INDEX "Order Items by sku" ON "Order Items" (sku);
CREATE INDEX stock_sku ON stock (sku);
CREATE INDEX payments_order ON payments ("order");
CREATE INDEX payments_card_order ON payments_card ("order");
CREATE INDEX payments_transfer_order ON payments_transfer ("order");
CREATE INDEX categories_parent ON categories (parent);
CREATE INDEX clicks_visitor ON clicks (visitor);

ALTER TABLE categories ADD FOREIGN KEY (parent) REFERENCES categories ON DELETE CASCADE;
ALTER TABLE products ADD FOREIGN KEY (category) REFERENCES categories;
ALTER TABLE stock ADD FOREIGN KEY (sku) REFERENCES products ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE;
ALTER TABLE "Order Items" ADD FOREIGN KEY ("Order") REFERENCES orders ON DELETE CASCADE;
ALTER TABLE "Order Items" ADD FOREIGN KEY (sku) REFERENCES products ON UPDATE CASCADE;
ALTER TABLE payments ADD FOREIGN KEY ("order") REFERENCES orders ON DELETE CASCADE;
ALTER TABLE payments_card ADD FOREIGN KEY ("order") REFERENCES orders ON DELETE CASCADE;
ALTER TABLE payments_transfer ADD FOREIGN KEY ("order") REFERENCES orders ON DELETE CASCADE;
ALTER TABLE cart_items ADD FOREIGN KEY (cart) REFERENCES carts ON DELETE CASCADE;

CREATE FUNCTION log_stock_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.stock_moves (warehouse, sku, change) VALUES (NEW.warehouse, NEW.sku, NEW.quantity - OLD.quantity);
    RETURN NULL;
END $$;
CREATE TRIGGER log_stock_move AFTER UPDATE OF quantity ON stock
    FOR EACH ROW EXECUTE PROCEDURE log_stock_move();
