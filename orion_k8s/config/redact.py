"""Taking secrets out of what people get to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|authMechanismProp", re.I)
# Up to the last "@": a password may hold an "@" or a "/" that should have been quoted.
_USER_INFO = re.compile(r"(\w[\w+.-]*://)([^\s:/@?]*):([^\s]*)@")
_QUERY = re.compile(r"([?&;])([^\s=&?]+)=([^\s&]*)")


def redact(value: Any) -> Any:
    """Return the value with every password in it replaced by `***`.

    Passwords are those of URLs, also among their options, and the values of keys that sound like
    one.
    """
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _SECRET_NAME.search(str(key)) and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


def _redact_text(text: str) -> str:
    text = _USER_INFO.sub(rf"\1\2:{HIDDEN}@", text)
    return _QUERY.sub(
        lambda match: (
            f"{match[1]}{match[2]}={HIDDEN if _SECRET_NAME.search(match[2]) else match[3]}"
        ),
        text,
    )
