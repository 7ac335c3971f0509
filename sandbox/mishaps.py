"""What goes wrong in the demo's day: outages, killed workers, rubbish, forgeries and replays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from paynotify.sandbox.attacker import Attack, Attacker, replayed, resplit
from paynotify.sandbox.system import Sandbox

TRUST_PAYMENTS: Final = "trustpayments"


@dataclass(slots=True)
class DayProgress:
    """What was done so far in the day, and what the topics must show in the end."""

    payments: int = 0
    planned: int = 0
    attacks: int = 0
    happening: str = "the day begins"
    #: the states that ``payments.overdue`` must have for each overdue order in the end
    overdue: dict[str, list[str]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


class Mishaps:
    """Makes things go wrong, one after the other, until ``stopped`` is set."""

    def __init__(
        self, sandbox: Sandbox, progress: DayProgress, stopped: threading.Event, *, seconds: float, seed: int
    ) -> None:
        self._sandbox, self._progress, self._stopped, self._seconds = sandbox, progress, stopped, seconds
        self._attacker = Attacker(sandbox.ingest_address, seed)
        self._merchants = {provider: names[0] for provider, names in sandbox.plan.merchants.items()}
        self._sites = {
            one.name: one.merchant["site_reference"] for one in sandbox.accounts if one.provider == TRUST_PAYMENTS
        }
        self._poi_ids = {one.name: one.merchant["poi_id"] for one in sandbox.accounts if one.provider == "omnikassa"}

    def at_shares(self) -> Mapping[float, Callable[[], None]]:
        """Each mishap, by the share of the day after which it happens."""
        return {
            0.10: self._rubbish,
            0.25: self._outage,
            0.35: self._forgeries,
            0.45: self._kill_worker,
            0.60: self._restart_worker,
            0.70: self._bad_responses,
            0.80: self._replays,
            0.90: self._forgeries,
            1.00: self._rubbish,
        }

    def close(self) -> None:
        """Close the attacker's connections."""
        self._attacker.close()

    def _outage(self) -> None:
        self._progress.happening = "Trust Payments returns 503 for a while"
        self._sandbox.providers[TRUST_PAYMENTS].fault("unavailable", for_seconds=self._seconds * 0.15)

    def _bad_responses(self) -> None:
        self._progress.happening = "HTML from Nevogate, 429 from OmniKassa, dropped connections from Trust Payments"
        self._sandbox.providers["nevogate"].fault("html", for_seconds=2, share=0.5)
        self._sandbox.providers["omnikassa"].fault("too_many", for_seconds=2)
        self._sandbox.providers[TRUST_PAYMENTS].fault("drop", for_seconds=2, share=0.5)

    def _kill_worker(self) -> None:
        self._progress.happening = "a worker is killed (SIGKILL)"
        # the bank returns each page only once: a page on its way to the killed worker would be lost
        self._sandbox.providers["omnikassa"].notify(paused=True)
        self._stopped.wait(0.5)
        self._sandbox.workers[0].kill()
        self._sandbox.providers["omnikassa"].notify(paused=False)

    def _restart_worker(self) -> None:
        self._progress.happening = "the killed worker is started again"
        self._sandbox.start_worker(0)

    def _rubbish(self) -> None:
        self._progress.happening = "malformed calls arrive, and calls for unknown merchants"
        self._attack(*self._attacker.malformed(self._merchants))

    def _forgeries(self) -> None:
        self._progress.happening = "forged signatures, and a hash re-split by an attacker"
        sent = self._sandbox.providers[TRUST_PAYMENTS].sent()
        declines = [one for one in sent if "errorcode=70000" in one["body"]][-3:]
        merchant = self._merchants[TRUST_PAYMENTS]
        for one in sent[-5:]:
            target = (merchant, self._sites[merchant], one["about"])
            self._attack(self._attacker.forged_form(*target), self._attacker.unsigned_form(*target))
        for one in declines:
            self._attack(*resplit(one))
        webshop = self._merchants["omnikassa"]
        self._attack(
            *(self._attacker.forged_ping(webshop, self._poi_ids[webshop]) for _ in range(3)),
            *(self._attacker.invented_transaction(self._merchants["nevogate"]) for _ in range(3)),
        )

    def _replays(self) -> None:
        self._progress.happening = "recorded calls are replayed"
        pings = self._sandbox.providers["omnikassa"].sent()
        self._attack(
            *(replayed(one) for one in (*pings[:3], *pings[-1:], *self._sandbox.providers[TRUST_PAYMENTS].sent()[-5:]))
        )
        nevogate = self._sandbox.providers["nevogate"]
        for one in nevogate.sent()[-3:]:
            nevogate.change(one["about"], foreign_calls=1)
            self._attack(replayed(one))

    def _attack(self, *attacks: Attack) -> None:
        for attack in attacks:
            status = self._attacker.send(attack)
            self._progress.attacks += 1
            if status not in (attack.status, 0):
                self._progress.surprises.append(
                    f"{attack.kind}: the ingress returned {status}, expected {attack.status}"
                )
