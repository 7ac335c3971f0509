-- Decimals, and a guard for payments. Run it once the connectors have made their tables:
--   psql -f examples/connect/views.sql
\set ON_ERROR_STOP on
BEGIN;

-- After a crash Kafka Connect writes the last seconds again. Without this, payments would meanwhile show older events.
CREATE OR REPLACE FUNCTION keep_newer_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN NEW.sequence >= OLD.sequence THEN NEW ELSE OLD END;
END
$$;
CREATE OR REPLACE TRIGGER keep_newer BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION keep_newer_payment();

-- An amount in its currency's major unit, by the digits of ISO 4217 (amendment 177).
CREATE OR REPLACE FUNCTION in_decimals(value bigint, currency text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT round(value / 10::numeric ^ digits, digits) FROM (SELECT CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND',
                          'VUV', 'XAF', 'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        WHEN currency IN ('CLF', 'UYW') THEN 4
        ELSE 2 END) AS iso_4217 (digits)
$$;

CREATE OR REPLACE VIEW payments_in_decimals AS
SELECT merchant, payment_id, order_id, sequence, status, fulfilment, observed_at,
       in_decimals(amount_value, amount_currency) AS amount, amount_currency AS currency,
       in_decimals(paid_value, paid_currency) AS paid, paid_currency,
       in_decimals(refunded_value, refunded_currency) AS refunded, refunded_currency,
       in_decimals(charged_back_value, charged_back_currency) AS charged_back, charged_back_currency
FROM payments;

-- A payment's events count from 1 without gaps: a row here means that a record was skipped.
CREATE OR REPLACE VIEW payment_gaps AS
SELECT merchant, payment_id, max(sequence) AS newest, count(DISTINCT sequence) AS found
FROM payment_events GROUP BY merchant, payment_id HAVING max(sequence) <> count(DISTINCT sequence);

COMMIT;
