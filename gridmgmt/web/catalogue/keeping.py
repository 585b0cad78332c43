"""Keeps a catalogue's file in step with the words that the interface says."""

from io import BytesIO

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from gridmgmt.web.catalogue import LIVE, path
from gridmgmt.web.catalogue.extract import everything

# Kept whether or not the program says them: names out of code lists, dates.
BY_HAND = "by-hand"


def read(language: str) -> Catalog:
    """Return the catalogue of a language as its file has it; an empty one where there is none."""
    if not path(language).exists():
        return Catalog(locale=language)
    return read_po(BytesIO(path(language).read_bytes()), locale=language)


def merged(language: str, old: Catalog) -> Catalog:
    """Return what the interface says now with the translations of `old`, and what is kept by hand."""
    made = Catalog(locale=language, project="gridmgmt", version="1", copyright_holder="", fuzzy=False)
    made.header_comment = "# The English of the interface; docs/howto-language.md says how to work on it."
    made.creation_date = made.revision_date = old.creation_date
    for text, file, live in everything():
        known = old.get(text)
        made.add(text, known.string if known else "", locations=[(file, 0)], flags=[LIVE] if live else [])
    for message in old:
        if message.id and BY_HAND in message.flags:
            made.add(message.id, message.string, locations=message.locations, flags=message.flags)
    return made


def missing(found: Catalog) -> list[Message]:
    """Return the messages without a translation."""
    return [message for message in found if message.id and not message.string]


def obsolete(old: Catalog) -> list[str]:
    """Return what the interface no longer says."""
    said = {found.text for found in everything()}
    return [str(m.id) for m in old if m.id and m.id not in said and BY_HAND not in m.flags]


def write(language: str, found: Catalog) -> None:
    """Write the file of a language."""
    out = BytesIO()
    write_po(out, found, width=0, include_lineno=False, ignore_obsolete=True)
    path(language).write_bytes(out.getvalue())
