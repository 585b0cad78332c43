"""Files that a page hands out."""

from urllib.parse import quote

from flask import Response
from werkzeug.http import dump_options_header

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def attachment(content: bytes | str, name: str, mimetype: str, plain: str = "") -> Response:
    """Return a file under a name that may be Chinese; `plain` is its name for programs that know ASCII only.

    No cache keeps it: what somebody may see is decided each time.
    """
    answer = Response(content, mimetype=mimetype)
    answer.headers["Cache-Control"] = "no-store"
    ending = name.rpartition(".")[2]
    short = plain or (name if name.isascii() else f"file.{ending}")
    said = {"filename": short, "filename*": f"UTF-8''{quote(name, safe='')}"}
    answer.headers["Content-Disposition"] = dump_options_header("attachment", said)
    return answer
