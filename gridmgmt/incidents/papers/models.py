"""Table of the papers that were issued."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class PaperKind(StrEnum):
    """The papers of a matter and of a meeting."""

    OPINION_SLIP = "opinion_slip"
    FEEDBACK = "feedback"
    CERTIFICATE = "certificate"
    AGREEMENT = "agreement"
    MEETING_NOTICE = "meeting_notice"
    MEETING_REPORT = "meeting_report"


PAPER_NAMES = {
    PaperKind.OPINION_SLIP: "民意报告单", PaperKind.FEEDBACK: "诉求问题反馈表",
    PaperKind.CERTIFICATE: "民事办理书", PaperKind.AGREEMENT: "人民调解协议书",
    PaperKind.MEETING_NOTICE: "民心沟通会通知", PaperKind.MEETING_REPORT: "民心沟通会通报",
}  # fmt: skip


class MatterPaper(Base):
    """A paper that was issued, under a number of its own; the paper itself is made anew when asked for."""

    __tablename__ = "matter_paper"
    __table_args__ = (
        one_of("kind", PaperKind),
        CheckConstraint("num_nonnulls(case_id, meeting_id) = 1", name="of"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    number: Mapped[str] = mapped_column(Text, unique=True)
    area: Mapped[str] = mapped_column(Text)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("incident_case.id"), index=True)
    meeting_id: Mapped[int | None] = mapped_column(ForeignKey("matter_meeting.id"), index=True)
    issued_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    issued_by: Mapped[str] = mapped_column(Text)
