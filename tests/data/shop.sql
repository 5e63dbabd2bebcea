-- SPDX-License-Identifier: PostgreSQL
--
-- A small shop, about 5 MB: what quickstart.sh backs up, loses and gets back.
--
--     psql -X -v ON_ERROR_STOP=1 -d shop -f tests/data/shop.sql

\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;

CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail text NOT NULL UNIQUE,
    name text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE product (
    id serial PRIMARY KEY,
    title text NOT NULL CHECK (title <> ''),
    price numeric(10,2) NOT NULL CHECK (price > 0),
    stock int NOT NULL DEFAULT 0
);
CREATE TABLE purchase (
    id bigserial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customer,
    made_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid', 'sent'))
);
CREATE TABLE purchase_line (
    purchase_id bigint NOT NULL REFERENCES purchase ON DELETE CASCADE,
    product_id int NOT NULL REFERENCES product,
    pieces int NOT NULL CHECK (pieces > 0),
    price numeric(10,2) NOT NULL,
    PRIMARY KEY (purchase_id, product_id)
);
CREATE INDEX purchase_by_customer ON purchase (customer_id, made_at DESC);

INSERT INTO customer (mail, name, joined_at)
SELECT format('customer%s@example.com', n), (ARRAY['Inés', 'Jürgen', 'Kofi', 'Lea', '明'])[1 + n % 5] || ' ' || n,
       timestamptz '2022-01-01 00:00+00' + n * interval '1 hour'
FROM generate_series(1, 4000) n;
INSERT INTO product (title, price, stock)
SELECT format('%s no. %s', (ARRAY['Lamp', 'Chair', 'Kettle', 'Shelf'])[1 + n % 4], n), 1 + n % 300 + 0.99, n * 7 % 50
FROM generate_series(1, 600) n;
INSERT INTO purchase (customer_id, made_at, state)
SELECT 1 + n * 17 % 4000, timestamptz '2023-01-01 00:00+00' + n * interval '13 minutes', (ARRAY['open', 'paid', 'sent'])[1 + n % 3]
FROM generate_series(1, 40000) n;
INSERT INTO purchase_line
SELECT n, 1 + (n * 7 + k * 131) % 600, 1 + (n + k) % 4, 1 + (n + k) % 300 + 0.99
FROM generate_series(1, 40000) n, generate_series(1, 4) k;

CREATE VIEW turnover AS
    SELECT date_trunc('month', made_at, 'UTC') AS month, sum(pieces * price) AS amount
    FROM purchase JOIN purchase_line ON purchase_id = id GROUP BY 1;
CREATE FUNCTION take_from_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE product SET stock = stock - NEW.pieces WHERE id = NEW.product_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER stock AFTER INSERT ON purchase_line FOR EACH ROW EXECUTE FUNCTION take_from_stock();
COMMENT ON TABLE purchase IS 'one visit to the till';
ANALYZE;
