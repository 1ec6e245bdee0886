INSERT INTO customers (email, name, joined)
SELECT 'new' || nextval('invoices') || '@example.org', 'O''Brien "' || @session::int || '"', clock_timestamp()
