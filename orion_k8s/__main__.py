"""`python -m orion_k8s` is `orion-k8s`."""

from __future__ import annotations

import sys

from orion_k8s.cli import main

if __name__ == "__main__":
    sys.exit(main())
