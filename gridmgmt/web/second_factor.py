"""The second factor: codes of an authenticator app that change every 30 seconds (TOTP, RFC 6238).

The secret stands sealed in the account's row. A code is good for the step before and after its own, because
clocks differ, and serves once: a step that was used, or an earlier one, is refused. Recovery codes
(`privacy.accounts`) stand in for a telephone that is lost.
"""

import hmac
import re
import time

import pyotp
import segno
from markupsafe import Markup

from gridmgmt.db import accounts, passwords
from gridmgmt.db.accounts import Factor
from gridmgmt.errors import InputError
from gridmgmt.privacy.accounts import use_recovery
from gridmgmt.privacy.cipher import new_salts, seal, unseal
from gridmgmt.privacy.factors import FIELD
from gridmgmt.web.databases import databases, ring

SECONDS = 30
STEPS_APART = 1
_CODE = re.compile(r"[0-9]{6}")
_LETTERS = re.compile(r"[a-z0-9]")
# How a second factor was proved.
CODE, RECOVERY = "code", "recovery code"
# What is typed in: a recovery code with spaces or signs between its groups.
LONGEST = 32


def prepared() -> Factor:
    """Return a new factor with a random secret of 160 bits, sealed; it counts once it is stored."""
    salt = new_salts(1)[0]
    return Factor(seal(ring(), salt, FIELD, pyotp.random_base32()), salt, None)


def secret(factor: Factor) -> str:
    """Return the secret in base 32, for its owner's eyes."""
    return unseal(ring(), factor.salt, FIELD, factor.sealed)


def picture(factor: Factor, username: str, city: str) -> Markup:
    """Return the QR code that an authenticator app scans, as SVG to stand in a page."""
    address = pyotp.TOTP(secret(factor)).provisioning_uri(name=username, issuer_name=f"{city}网格治理")
    drawn = segno.make(address, error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="code-picture", lineclass=None
    )
    return Markup(drawn)  # segno draws paths: no text of the address stands in it


def confirmed(factor: Factor, code: str) -> Factor:
    """Return the factor with the step that a code used; InputError when the code is not of this secret."""
    step = _step(factor, code)
    if step is None:
        raise InputError("code", "a wrong code", "the six digits that the app shows now")
    return Factor(factor.sealed, factor.salt, step)


def proved(username: str, told: str) -> str | None:
    """Return `CODE` or `RECOVERY` when this is an account's present code, or one of its recovery codes, else
    None; it is used up by asking.
    """
    engine = databases().accounts
    typed = "".join(_LETTERS.findall(told.lower()))
    if len(typed) == passwords.GENERATED_LETTERS:
        return RECOVERY if use_recovery(engine, username, passwords.grouped(typed)) else None
    factor = accounts.factor(engine, username)
    step = _step(factor, told) if factor else None
    return CODE if step is not None and accounts.use_step(engine, username, step) else None


def _step(factor: Factor, code: str) -> int | None:
    """Return the time step near now whose code this is and that was not used, or None."""
    told = re.sub(r"\s", "", code)
    if not _CODE.fullmatch(told):
        return None
    known, now = pyotp.TOTP(secret(factor)), int(time.time()) // SECONDS
    near = range(now - STEPS_APART, now + STEPS_APART + 1)
    fitting = [step for step in near if hmac.compare_digest(known.generate_otp(step), told)]
    return next((step for step in fitting if factor.step is None or step > factor.step), None)
