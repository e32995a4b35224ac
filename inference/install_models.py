"""`python -m inference.install_models MODEL_DIR`: convert and check the models a platform needs; idempotent."""

from __future__ import annotations

import sys
from pathlib import Path

from foundation.errors import PopreelError
from inference.content.install import install


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m inference.install_models MODEL_DIR", file=sys.stderr)
        return 2
    try:
        installed = install(Path(arguments[0]))
    except PopreelError as err:
        print(f"{err.title}: {err.detail}", file=sys.stderr)
        return 1
    print(f"{installed} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
