"""The token bucket behind every rate limit and quota, as pure functions of tokens and time.

A bucket holds at most ``burst`` tokens and earns ``rate_per_second``. Callers keep the two numbers themselves, since
some hold them in memory and some persist them. Times are seconds of whichever clock the caller uses; a clock that goes
back earns nothing and takes nothing away.
"""

from __future__ import annotations

#: Whether there was a token to take, and what the bucket holds afterwards, as of which time in seconds. Plain, because
#: the ingress takes one for each call.
Taken = tuple[bool, float, float]


def refill(tokens: float, at_seconds: float, now_seconds: float, rate_per_second: float, burst: float) -> float:
    """The tokens that a bucket which held ``tokens`` at ``at_seconds`` holds now."""
    if now_seconds > at_seconds:
        tokens += (now_seconds - at_seconds) * rate_per_second
    return tokens if tokens < burst else burst


def take(tokens: float, at_seconds: float, now_seconds: float, rate_per_second: float, burst: float) -> Taken:
    """Refill the bucket and take one token if it holds a whole one."""
    tokens = refill(tokens, at_seconds, now_seconds, rate_per_second, burst)
    newest_seconds = now_seconds if now_seconds > at_seconds else at_seconds
    return (True, tokens - 1.0, newest_seconds) if tokens >= 1.0 else (False, tokens, newest_seconds)
