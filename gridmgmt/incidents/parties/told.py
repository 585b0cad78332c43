"""Somebody of a matter, as told at intake."""

from dataclasses import dataclass, field

from gridmgmt.incidents.parties.models import PartyPart


@dataclass(frozen=True)
class PartyTold:
    """Who somebody is: what they have to do with the matter, name, telephone; shown in no `repr`."""

    part: PartyPart
    name: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
