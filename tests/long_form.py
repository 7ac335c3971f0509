"""Whether each numbered step is asked for (`make crash`), and not only the telling ones."""

from __future__ import annotations

import os
from typing import Final

LONG: Final = bool(os.environ.get("PAYNOTIFY_LONG"))
