"""Renew docs/patterns.md, its pictures, and the definitions that `tickstockpl patterns` shows.

    python scripts/patterns_page.py

Definitions are the doc comments of the kernel's sources, facts those of the kernel that is built, and each picture is a
detection by it. Run it after a pattern is new or has changed, and the kernel is built; what has not changed is written
as it was.
"""

import argparse
import sys
from pathlib import Path

import orjson

from tickstockpl.catalogue import DEFINITIONS, entries_with
from tickstockpl.dev.doc_comments import definitions
from tickstockpl.dev.examples import examples
from tickstockpl.dev.pattern_page import PICTURES, page

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=form).parse_args()
    try:
        defined = definitions(ROOT / "rust/kernel/src")
    except (LookupError, ValueError) as error:
        print(f"patterns_page.py: {error}", file=sys.stderr)
        return 2
    kept = ROOT / "python/tickstockpl" / DEFINITIONS
    kept.write_bytes(orjson.dumps(defined, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    entries = entries_with(defined)
    (ROOT / "docs/patterns.md").write_text(page(entries), encoding="utf-8")
    found = examples()
    folder = ROOT / "docs" / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for pattern_id, example in found.items():
        example.drawing.save(folder / f"{pattern_id}.svg")
    if missing := [entry.id for entry in entries if entry.id not in found]:
        print(
            f"patterns_page.py: there is no example of {', '.join(missing)}: let a market of "
            "python/tickstockpl/dev/example_bars.py hold one",
            file=sys.stderr,
        )
        return 1
    print(f"{len(found)} patterns in docs/patterns.md and docs/{PICTURES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
