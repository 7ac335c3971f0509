-- The tables of the example consumer. Run it as often as you like:  psql -f examples/postgres/schema.sql
\set ON_ERROR_STOP on
BEGIN;

-- Where each consumer is. Kafka stores no offset: it would be another transaction than the one of the events.
CREATE TABLE IF NOT EXISTS consumer_offsets (
    consumer text, topic text, partition integer,
    next_offset bigint,             -- null: nothing was read yet
    owner uuid NOT NULL,            -- whom Kafka gave the partition last; nobody else may write
    PRIMARY KEY (consumer, topic, partition)
);

-- Every event, once. `position` is the order for one payment; `handled_at` is the ERP's (erp.py).
CREATE TABLE IF NOT EXISTS payment_events (
    event_id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    merchant text NOT NULL, payment_id text NOT NULL, sequence bigint NOT NULL,
    event jsonb NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    handled_at timestamptz
);
CREATE INDEX IF NOT EXISTS payment_events_of_payment ON payment_events (merchant, payment_id, sequence);
CREATE INDEX IF NOT EXISTS payment_events_waiting ON payment_events (position) WHERE handled_at IS NULL;

-- The newest event of each payment.
CREATE TABLE IF NOT EXISTS payments (
    merchant text, payment_id text, sequence bigint NOT NULL, order_id text,
    status text NOT NULL, fulfilment text NOT NULL, observed_at timestamptz NOT NULL,
    event jsonb NOT NULL,
    PRIMARY KEY (merchant, payment_id)
);
CREATE INDEX IF NOT EXISTS payments_of_order ON payments (merchant, order_id);

-- What the ERP booked, in the currency's minor unit: 1050 GBP is 10.50. A negative value is a reversal.
CREATE TABLE IF NOT EXISTS bookings (
    event_id uuid REFERENCES payment_events, kind text CHECK (kind IN ('paid', 'refunded', 'charged_back')),
    merchant text NOT NULL, payment_id text NOT NULL, value bigint NOT NULL, currency text,
    PRIMARY KEY (event_id, kind, currency)
);
CREATE INDEX IF NOT EXISTS bookings_of_payment ON bookings (merchant, payment_id);

-- What left the warehouse: once for each order, or payment with goods of its own, and at most once for each payment.
CREATE TABLE IF NOT EXISTS shipments (
    merchant text, goods_of text CHECK (goods_of IN ('order', 'payment')), id text,
    payment_id text NOT NULL, released_by uuid NOT NULL REFERENCES payment_events,
    recalled_by uuid REFERENCES payment_events,
    PRIMARY KEY (merchant, goods_of, id), UNIQUE (merchant, payment_id)
);

-- A payment's events must count from 1 without gaps. A row here needs a person: an event was skipped.
CREATE TABLE IF NOT EXISTS payment_gaps (
    event_id uuid PRIMARY KEY REFERENCES payment_events,
    merchant text NOT NULL, payment_id text NOT NULL, expected bigint NOT NULL, found bigint NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);

-- An amount in its currency's major unit, by the digits of ISO 4217 (amendment 177).
CREATE OR REPLACE FUNCTION in_decimals(value bigint, currency text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT round(value / 10::numeric ^ digits, digits) FROM (SELECT CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND',
                          'VUV', 'XAF', 'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        WHEN currency IN ('CLF', 'UYW') THEN 4
        ELSE 2 END) AS iso_4217 (digits)
$$;

CREATE OR REPLACE FUNCTION in_decimals(money jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT in_decimals((money ->> 'value')::bigint, money ->> 'currency')
$$;

CREATE OR REPLACE VIEW payments_in_decimals AS
SELECT merchant, payment_id, order_id, sequence, status, fulfilment, observed_at,
       in_decimals(event -> 'amount') AS amount, event -> 'amount' ->> 'currency' AS currency,
       in_decimals(event -> 'paid') AS paid, event -> 'paid' ->> 'currency' AS paid_currency,
       in_decimals(event -> 'refunded') AS refunded, event -> 'refunded' ->> 'currency' AS refunded_currency,
       in_decimals(event -> 'charged_back') AS charged_back,
       event -> 'charged_back' ->> 'currency' AS charged_back_currency
FROM payments;

CREATE OR REPLACE VIEW bookings_in_decimals AS
SELECT event_id, merchant, payment_id, kind, in_decimals(value, currency) AS amount, currency FROM bookings;

COMMIT;
