"""Second factors when the key ring changes: their secrets are sealed like fields of people."""

from sqlalchemy import Engine, text

from gridmgmt.privacy.cipher import key_id, seal, unseal
from gridmgmt.privacy.keyring import KeyRing

FIELD = "totp_secret"


def reseal(engine: Engine, ring: KeyRing) -> int:
    """Seal every second factor anew that is not under the ring's active key, and return how many those were.

    One transaction: there are as many as people who sign in with one. TamperedError when one does not open.
    """
    with engine.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT username, totp_sealed, totp_salt FROM account"
                " WHERE totp_sealed IS NOT NULL ORDER BY username FOR UPDATE"
            )
        ).all()
        old = [row for row in rows if key_id(bytes(row.totp_sealed)) != ring.active]
        for row in old:
            salt = bytes(row.totp_salt)
            sealed = seal(ring, salt, FIELD, unseal(ring, salt, FIELD, bytes(row.totp_sealed)))
            connection.execute(
                text("UPDATE account SET totp_sealed = :sealed WHERE username = :name"),
                {"sealed": sealed, "name": row.username},
            )
    return len(old)
