"""The papers that can be made: of what, from which template, and which facts the template may name."""

from dataclasses import dataclass
from enum import StrEnum

from gridmgmt.incidents.papers.models import PAPER_NAMES, PaperKind


class Of(StrEnum):
    """What a paper is of."""

    CASE = "case"
    MEETING = "meeting"


class Fact(StrEnum):
    """A name that a template may use; what it holds is said in `facts`."""

    PAPER = "paper"
    MATTER = "matter"
    PEOPLE = "people"
    CONTACTS = "contacts"
    HAND = "hand"
    HANDS = "hands"
    STEPS = "steps"
    VISITS = "visits"
    MEDIATION = "mediation"
    MEDIATIONS = "mediations"
    DELIBERATIONS = "deliberations"
    DOCUMENTS = "documents"
    MEETING = "meeting"


class Piece(StrEnum):
    """What may be missing for a paper."""

    SOURCE = "source"
    RECORD = "record"
    DOCUMENTS = "documents"
    RETURN_VISIT = "return_visit"
    HAND = "hand"
    AGREEMENT = "agreement"
    PARTIES = "parties"
    AGENDA = "agenda"
    REPORT = "report"


PIECE_NAMES = {
    Piece.SOURCE: "来源（渠道和诉求内容）", Piece.RECORD: "会议记录或调解记录",
    Piece.DOCUMENTS: "办理材料（附件）", Piece.RETURN_VISIT: "回访记录", Piece.HAND: "交办部门",
    Piece.AGREEMENT: "已达成的调解协议", Piece.PARTIES: "双方当事人的姓名", Piece.AGENDA: "议程中的诉求",
    Piece.REPORT: "会议情况（到会人数和通报内容）",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A paper: `facts` are all that its template is given, `needs` what must be there to issue it."""

    code: PaperKind
    of: Of
    facts: tuple[Fact, ...]
    needs: tuple[Piece, ...] = ()

    @property
    def name(self) -> str:
        return PAPER_NAMES[self.code]

    @property
    def template(self) -> str:
        """The file name of its template, packaged and in the city's own folder alike."""
        return f"{self.code.value}.html"


KINDS = {
    kind.code: kind
    for kind in (
        Kind(PaperKind.OPINION_SLIP, Of.CASE, (Fact.PAPER, Fact.MATTER, Fact.CONTACTS)),
        Kind(PaperKind.FEEDBACK, Of.CASE, (Fact.PAPER, Fact.MATTER, Fact.HAND), (Piece.HAND,)),
        Kind(
            PaperKind.CERTIFICATE,
            Of.CASE,
            (
                Fact.PAPER, Fact.MATTER, Fact.PEOPLE, Fact.HANDS, Fact.STEPS, Fact.VISITS, Fact.MEDIATIONS,
                Fact.DELIBERATIONS, Fact.DOCUMENTS,
            ),
            (Piece.SOURCE, Piece.RECORD, Piece.DOCUMENTS, Piece.RETURN_VISIT),
        ),
        Kind(
            PaperKind.AGREEMENT,
            Of.CASE,
            (Fact.PAPER, Fact.MATTER, Fact.CONTACTS, Fact.MEDIATION),
            (Piece.AGREEMENT, Piece.PARTIES),
        ),
        Kind(PaperKind.MEETING_NOTICE, Of.MEETING, (Fact.PAPER, Fact.MEETING), (Piece.AGENDA,)),
        Kind(
            PaperKind.MEETING_REPORT, Of.MEETING, (Fact.PAPER, Fact.MEETING), (Piece.AGENDA, Piece.REPORT)
        ),
    )
}  # fmt: skip
