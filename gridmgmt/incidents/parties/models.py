"""Tables of who a matter is about (sealed) and of what was attached to it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class PartyPart(StrEnum):
    """What somebody has to do with a matter."""

    COMPLAINANT = "complainant"
    RESPONDENT = "respondent"
    OTHER = "other"


PARTY_NAMES = {
    PartyPart.COMPLAINANT: "诉求人", PartyPart.RESPONDENT: "对方", PartyPart.OTHER: "其他有关人员"
}  # fmt: skip


class AttachmentKind(StrEnum):
    """What an attached file is."""

    PHOTO = "photo"
    DOCUMENT = "document"


class IncidentParty(Base):
    """Somebody of a matter; name and telephone are sealed under the salt, without which nothing opens."""

    __tablename__ = "incident_party"
    __table_args__ = (one_of("part", PartyPart),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"), index=True)
    part: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes | None]
    name: Mapped[bytes | None]
    phone: Mapped[bytes | None]
    phone_index: Mapped[UUID | None] = mapped_column(index=True)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    erased_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IncidentAttachment(Base):
    """A file attached to a matter, known by what is in it; pictures are kept without where and when."""

    __tablename__ = "incident_attachment"
    __table_args__ = (one_of("kind", AttachmentKind), UniqueConstraint("case_id", "sha256"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"))
    sha256: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    bytes: Mapped[int]
    added_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    added_by: Mapped[str] = mapped_column(Text)
