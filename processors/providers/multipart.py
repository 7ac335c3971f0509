"""The fields of a ``multipart/form-data`` body, as `processors.providers.form` has those of a form.

The standard library's parser builds a message tree: it follows parts within parts and keeps no limit on either, which
is too much work for a call that anybody can make. A field of a provider's call is one name and one short value.
"""

from __future__ import annotations

import re
from typing import Final

from paynotify.processors.providers.form import Fields

_MAX_PARTS: Final = 200
_MAX_HEAD_BYTES: Final = 1000
_BOUNDARY: Final = re.compile(rb"--[^\r\n]{1,70}(?=\r\n)")
_NAME: Final = re.compile(
    rb'content-disposition:[ \t]*form-data;[^\r\n]{0,500}?\bname="([^"\r\n]{1,200})"', re.IGNORECASE
)


def multipart_fields(body: bytes) -> Fields:
    """The ``(name, value)`` pairs in wire order; none of a body that does not begin with a part.

    The boundary is the body's first line, which senders never precede with anything: the header that names it may be
    missing or cut.
    """
    found = _BOUNDARY.match(body)
    if found is None:
        return []
    pairs = []
    for part in body[found.end() :].split(b"\r\n" + found[0], _MAX_PARTS)[:_MAX_PARTS]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head[:_MAX_HEAD_BYTES]) if blank else None
        if name is not None:
            pairs.append((name[1], value))
    return pairs
