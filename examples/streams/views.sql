-- Each event once: a repeat has the same payment and sequence.
CREATE VIEW payment_events AS
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY `message_key`, `sequence` ORDER BY `read_at`) AS `nth`
  FROM payments_status
)
WHERE `nth` = 1;

-- What the warehouse may do now. A payment that was forgotten has no row.
CREATE VIEW fulfilment AS
SELECT `merchant`, `order_id`, `payment_id`, `fulfilment`, `sequence`
FROM payments_latest;

-- Money by merchant, in the currency's minor unit: pence, cents.
CREATE VIEW takings AS
SELECT `merchant`, `paid`.`currency` AS `currency`, COUNT(*) AS `payments`, SUM(`paid`.`value`) AS `paid`
FROM payments_latest
WHERE `paid`.`value` IS NOT NULL
GROUP BY `merchant`, `paid`.`currency`;

-- A gap would say that records are missing.
CREATE VIEW gaps AS
SELECT `message_key`, MAX(`sequence`) AS `newest`, COUNT(*) AS `events`
FROM payment_events
GROUP BY `message_key`
HAVING COUNT(*) < MAX(`sequence`);
