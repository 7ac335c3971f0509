"""Counters of the ingress as a scrape sees them."""

import threading

from prometheus_client import CollectorRegistry, Counter, generate_latest

from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.tallied_counter import Tallies


def test_scrape_sees_every_increment_so_far_and_each_once() -> None:
    registry, tallies = CollectorRegistry(), Tallies()
    registry.register(tallies)
    tally = tallies.of(Counter("calls", "Calls", registry=registry))
    assert registry.get_sample_value("calls_total") == 0
    tally.inc()
    tally.inc()
    assert registry.get_sample_value("calls_total") == 2
    assert registry.get_sample_value("calls_total") == 2
    tally.inc()
    assert registry.get_sample_value("calls_total") == 3


def test_scrapes_that_overlap_count_nothing_twice() -> None:
    registry, tallies = CollectorRegistry(), Tallies()
    registry.register(tallies)
    tally = tallies.of(Counter("calls", "Calls", registry=registry))

    def scrape() -> None:
        for _ in range(200):
            generate_latest(registry)

    scrapers = [threading.Thread(target=scrape) for _ in range(4)]
    for scraper in scrapers:
        scraper.start()
    for _ in range(10_000):
        tally.inc()
    for scraper in scrapers:
        scraper.join()
    assert registry.get_sample_value("calls_total") == 10_000


def test_time_of_the_last_stored_notification_is_zero_until_there_is_one() -> None:
    meters = IngestMetrics(("trustpayments",), ("stored",))
    name, labels = "paynotify_last_notification_timestamp_seconds", {"provider": "trustpayments"}
    assert meters.registry.get_sample_value(name, labels) == 0
    meters.last_stored["trustpayments"] = 1_780_000_000.5
    assert meters.registry.get_sample_value(name, labels) == 1_780_000_000.5
