"""The flows that come with the program, for a city to use as they are or to take as a pattern."""

from pathlib import Path

from gridmgmt.incidents.flows.flow import Flow
from gridmgmt.incidents.flows.reading import read

FOLDER = Path(__file__).with_name("files")


def flows() -> tuple[Flow, ...]:
    """Return every packaged flow, by code; FlowError when a file of the installation was spoilt."""
    found = [read(path.read_text(encoding="utf-8"), path.name) for path in FOLDER.glob("*.toml")]
    return tuple(sorted(found, key=lambda flow: flow.code))
