"""`python -m tickstockpl`, the same as the command `tickstockpl`."""

from tickstockpl.cli import main

if __name__ == "__main__":
    main()
