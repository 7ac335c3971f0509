"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    about: str
    verdict: Literal["ok", "warning", "error", "skipped"]
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.about}: {self.what}" + (f". {self.remedy}" if self.remedy else "")
