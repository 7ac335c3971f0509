"""One finding of ``paynotify doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: its subject, verdict and description, and what to do."""

    about: str
    verdict: Literal["ok", "warning", "error", "skipped"]
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.about}: {self.what}" + (f". {self.remedy}" if self.remedy else "")
