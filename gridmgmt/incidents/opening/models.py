"""Tables of the interface for programs: keys that may call it, and addresses that are told of steps."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Identity, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp


class ApiKey(Base):
    """A key that a program shows; only its hash is kept."""

    __tablename__ = "api_key"
    __table_args__ = (CheckConstraint("a_minute > 0", name="a_minute"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    a_minute: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    expires_on: Mapped[date | None]
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
    used_on: Mapped[date | None]


class Webhook(Base):
    """An address that is told of every step of the acts it wants ('{}' for all), in order.

    `after_step` is the last step told; the secret that signs what is sent is sealed.
    """

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    url: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes]
    secret: Mapped[bytes]
    acts: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    after_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    last_answer: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
