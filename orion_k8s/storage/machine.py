"""Which start of which machine this is: a monotonic clock means nothing beyond it."""

from __future__ import annotations

import platform
import subprocess
import sys
import uuid
from functools import lru_cache
from pathlib import Path

LINUX = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return an id that is the same for all processes of one machine until it starts anew.

    Linux and macOS tell one. Elsewhere the name and the network address of the machine stand in:
    they don't change when it restarts, so a lease of before the restart is over only when the new
    monotonic clock has passed it (`requeue_lost` cuts it to its length).
    """
    if LINUX.exists():
        return LINUX.read_text().strip()
    if sys.platform == "darwin":
        found = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.strip()
    return f"{platform.node()}-{uuid.getnode():x}"
