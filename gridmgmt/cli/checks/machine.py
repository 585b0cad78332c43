"""The machine: fonts, memory, the home folder, the port."""

import os
import shlex
import socket
from collections.abc import Iterator
from stat import S_IMODE

from gridmgmt.cli.checks.finding import Finding, good
from gridmgmt.config import Settings
from gridmgmt.errors import SetupError
from gridmgmt.health import State

LEAST_MEMORY, ENOUGH_MEMORY = 2 << 30, 4 << 30


def fonts() -> Iterator[Finding]:
    """Find whether papers and pictures can show Chinese, and whether PDF can be written at all."""
    from gridmgmt.seasonal.export.fonts import font

    if font(24) is None:
        why = "pictures and PDF show boxes instead of Chinese"
        yield Finding(
            "fonts", State.BAD, "no font with Chinese characters", why, "apt-get install fonts-noto-cjk"
        )
    else:
        yield good("fonts", "a font with Chinese characters")
    try:
        import weasyprint  # noqa: F401
    except OSError:
        mend = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        yield Finding("fonts", State.BAD, "Pango is missing", "no paper can be written as PDF", mend)


def memory() -> Iterator[Finding]:
    """Find whether the machine has the memory that a city's analysis takes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    state = State.OK if total >= ENOUGH_MEMORY else State.WATCH if total >= LEAST_MEMORY else State.BAD
    mend = "" if state is State.OK else f"give the machine {ENOUGH_MEMORY >> 30} GB or more"
    why = "" if state is State.OK else "an import or analysis of a whole city is killed half-way"
    yield Finding("memory", state, f"{total / (1 << 30):.1f} GB of memory", why, mend)


def home(chosen: Settings) -> Iterator[Finding]:
    """Find whether the home folder is there, can be written, and is not everybody's."""
    folder = chosen.home
    quoted = shlex.quote(str(folder))
    if not folder.is_dir():
        why = "uploads, photos and keys have no place"
        yield Finding("home", State.BAD, f"{folder} is not there", why, f"mkdir -m 700 -p {quoted}")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "home", State.BAD, f"{folder} cannot be written", "uploads, photos and keys have no place",
            f"chown -R {os.environ.get('USER', 'gridmgmt')} {quoted}",
        )  # fmt: skip
        return
    mode = S_IMODE(folder.stat().st_mode)
    if mode & 0o006:
        # Whoever runs the private cluster as another user must still pass: x stays.
        yield Finding(
            "home", State.BAD if mode & 0o002 else State.WATCH, f"{folder}: mode {mode:04o}",
            "everybody on this machine can see what lies there" + (", and change it" if mode & 2 else ""),
            f"chmod go-rw {quoted}",
        )  # fmt: skip
    else:
        yield good("home", str(folder))


def port(host: str, number: int) -> Iterator[Finding]:
    """Find whether the web server can listen, or listens already."""
    from gridmgmt.cli.serve import check_port

    try:
        check_port(host, number)
        yield good("port", f"{host}:{number} is free")
    except SetupError:
        if _ours(host, number):
            yield good("port", f"gridmgmt answers on {host}:{number}")
        else:
            why = "the web server cannot begin there"
            mend = f"ss -ltnp 'sport = :{number}' says who; end it, or serve with another --port"
            yield Finding("port", State.BAD, f"somebody else listens on {host}:{number}", why, mend)


def _ours(host: str, number: int) -> bool:
    try:
        with socket.create_connection((host, number), timeout=3) as line:
            line.sendall(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            line.settimeout(3)
            answer = b""
            while piece := line.recv(4096):
                answer += piece
    except OSError:
        return False
    return b"Content-Security-Policy" in answer and b'"status":' in answer
