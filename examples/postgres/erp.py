"""Waits for payments as an ERP would: PostgreSQL notifies it, and what waits is in the table. Free to copy.

A notification only wakes it. Those sent while it was away are lost, but their events are not: they are handled at the
next start. Each event is handled once, together with what you write in the same transaction.
"""

import sys

import psycopg

WAITING = "SELECT event_id, event FROM payment_events WHERE handled_at IS NULL ORDER BY position LIMIT 100 FOR UPDATE"

with psycopg.connect(autocommit=True) as database:
    database.execute("LISTEN payments")  # before the first look: what comes between the two wakes it
    while True:
        with database.transaction():
            waiting = database.execute(WAITING).fetchall()
            for event_id, event in waiting:
                print(event["merchant"], event["payment_id"], event["status"], event["fulfilment"])
                database.execute("UPDATE payment_events SET handled_at = now() WHERE event_id = %s", (event_id,))
        sys.stdout.flush()
        if not waiting:
            for _ in database.notifies(timeout=60, stop_after=1):
                pass
