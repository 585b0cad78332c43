"""Hands the seasonal list out as a file: XLSX for the office, DOCX for the meeting, ICS for calendars.

Pure functions of data read beforehand; nothing here asks a database. Every item stands in exactly one place
of a file: in the list, or in what is beyond the capacity of its area.
"""

from collections.abc import Callable

from gridmgmt.seasonal.export.book import workbook
from gridmgmt.seasonal.export.document import document
from gridmgmt.seasonal.export.feed import feed
from gridmgmt.seasonal.export.handout import Form, Handout, file_name, printable

__all__ = ["Form", "Handout", "export", "file_name"]

_WRITERS: dict[Form, Callable[[Handout], bytes]] = {
    Form.XLSX: workbook,
    Form.DOCX: document,
    Form.ICS: feed,
}


def export(form: Form, handout: Handout) -> bytes:
    """Return a list as the bytes of a file of a form; an empty list gives a file that says so.

    >>> export(Form.ICS, handout).startswith(b"BEGIN:VCALENDAR")  # doctest: +SKIP
    True
    """
    return _WRITERS[form](printable(handout))
