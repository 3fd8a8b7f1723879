"""`python -m tickstockpl`, and what the command `tickstockpl` starts."""

import gc

from tickstockpl import cli

YOUNG_OBJECTS = 20_000
"""So many are made between two looks for garbage; at Python's 700 a seventh of a start went to what is imported."""


def main() -> None:
    """The command, as a process of its own: what it has imported is not looked through again, nor on the way out."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        cli.main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
