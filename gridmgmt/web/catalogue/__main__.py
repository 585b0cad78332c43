"""`python -m gridmgmt.web.catalogue extract | check`: keep the catalogues in step with the interface."""

import argparse
import sys

from gridmgmt.web.catalogue import LANGUAGES
from gridmgmt.web.catalogue.keeping import merged, missing, obsolete, read, write


def main() -> int:
    """Return 0, or 1 when `check` found words without a translation or translations without words."""
    parser = argparse.ArgumentParser(prog="python -m gridmgmt.web.catalogue", description=__doc__)
    parser.add_argument("act", choices=("extract", "check"))
    act = parser.parse_args().act
    return max([_extract(language) if act == "extract" else _check(language) for language in LANGUAGES])


def _extract(language: str) -> int:
    old = read(language)
    gone = obsolete(old)
    write(language, new := merged(language, old))
    print(f"{language}: {len(new)} texts, {len(missing(new))} without a translation, {len(gone)} gone")
    return 0


def _check(language: str) -> int:
    old = read(language)
    lacking, gone = missing(merged(language, old)), obsolete(old)
    for message in lacking:
        print(f"{language}: missing  {message.id}   ({message.locations[0][0]})")
    for text in gone:
        print(f"{language}: obsolete {text}")
    return 1 if lacking or gone else 0


if __name__ == "__main__":
    sys.exit(main())
