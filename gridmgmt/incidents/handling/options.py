"""What a filter or a form of matters may choose from, each code with its name."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gridmgmt.incidents import service
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.models import IncidentCase
from gridmgmt.incidents.models import Channel, Department
from gridmgmt.incidents.service import Categories


@dataclass(frozen=True)
class Options:
    """Codes and names: ways in, steps of the flows in force, departments, categories."""

    channels: dict[str, str]
    stages: dict[str, str]
    departments: list[str]
    categories: Categories

    def department(self, category: str) -> str | None:
        """Return the department that answers for a category, or for what stands above it."""
        own = self.categories.department(category)
        return own or self.categories.department(self.categories.top(category))

    def groups(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Return every 大类 as code and name with its 小类; one that has none stands for itself."""
        known = self.categories
        return [
            (top, known.name(top), [(code, known.name(code)) for code in sorted(known.below(top) - {top})])
            for top in known.tops()
        ]


def options(connection: Connection) -> Options:
    """Return everything that can be chosen."""
    channels = connection.execute(select(Channel.code, Channel.name).order_by(Channel.code))
    departments = connection.scalars(select(Department.name).order_by(Department.name))
    stages = {
        step.code: step.name
        for flow in flows.active(connection).values()
        for step in flow.steps
        if not step.final
    }
    return Options(
        {row.code: row.name for row in channels}, stages, list(departments), service.categories(connection)
    )  # fmt: skip


def id_of(connection: Connection, number: str) -> int | None:
    """Return the matter that has a reference number, None where none is seen."""
    return connection.scalar(select(IncidentCase.id).where(IncidentCase.number == number.strip()))
