"""Ties a database to the key ring that sealed its first value."""

import hmac

from sqlalchemy import Connection, text

from gridmgmt.errors import SetupError
from gridmgmt.privacy.keyring import KeyRing

_WORDS = b"gridmgmt key ring"


def bind(connection: Connection, ring: KeyRing) -> None:
    """Note the ring in a database that knows none yet, or make sure that it is the one noted.

    Raises SetupError when it is another: old values would stay closed, and whoever is imported again would
    not be recognised. Commits nothing; as the owner of the tables.
    """
    mark = hmac.digest(ring.index_key, _WORDS, "sha256")
    connection.execute(
        text("INSERT INTO key_ring (mark) VALUES (:mark) ON CONFLICT DO NOTHING"), {"mark": mark}
    )
    if bytes(connection.execute(text("SELECT mark FROM key_ring")).scalar_one()) != mark:
        raise SetupError(
            f"{ring.path} is not the key ring of this database: put back the file that belongs to it, from "
            "its backup; without it sealed values cannot be read"
        )
