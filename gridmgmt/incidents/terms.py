"""The words of a matter that tables, pages and files share: ledger, level, status; with their Chinese."""

from enum import StrEnum


class Ledger(StrEnum):
    """三本账: the three ledgers of a matter."""

    SUGGESTION = "suggestion"
    DEMAND = "demand"
    COMPLAINT = "complaint"


LEDGER_NAMES = {Ledger.SUGGESTION: "意见建议", Ledger.DEMAND: "利益诉求", Ledger.COMPLAINT: "投诉举报"}


class Tier(StrEnum):
    """三级: where a matter is handled and settled."""

    VILLAGE = "village"
    TOWN = "town"
    CITY = "city"


TIER_NAMES = {Tier.VILLAGE: "村社区", Tier.TOWN: "镇街", Tier.CITY: "市级"}


class Status(StrEnum):
    """Open311's two states; the local step has a column of its own."""

    OPEN = "open"
    CLOSED = "closed"


STATUS_NAMES = {Status.OPEN: "办理中", Status.CLOSED: "已办结"}
