"""Settings, read from the environment once asked for.

GRIDMGMT_HOME           folder of the private cluster and of every file the program keeps (default .gridmgmt)
GRIDMGMT_DATABASE_URL   a real PostgreSQL server; when absent the private cluster is started as needed
GRIDMGMT_SECRET_KEY     signs the sessions of the web; when absent one is made and kept in the home folder
GRIDMGMT_BASEMAP        a tile server ({z}/{x}/{y}), a folder of tiles, a .pmtiles file, or tianditu:vec_w:KEY
                        for 天地图 (`web/basemap.py`); default none, our own layers only
GRIDMGMT_CIPHER         what new keys for personal data seal with: aes-256-gcm (default) or sm4-gcm
GRIDMGMT_KEYRING        file of those keys (default keyring.json in the home folder)
GRIDMGMT_IDLE_MINUTES   after so long without a request a sign-in is over (default 60)
GRIDMGMT_SECOND_FACTOR  roles that must have a second factor, e.g. admin,auditor (default none)
GRIDMGMT_OIDC_DISCOVERY the identity provider's /.well-known/openid-configuration; default none
GRIDMGMT_OIDC_CLIENT_ID, GRIDMGMT_OIDC_CLIENT_SECRET or GRIDMGMT_OIDC_CLIENT_SECRET_FILE
                        what the provider gave this program; the file keeps the secret out of the environment
GRIDMGMT_OIDC_NAME      what the provider's button is called (default 统一身份认证)
"""

import os
import secrets
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gridmgmt.errors import InputError, SetupError

PACKAGE = Path(__file__).resolve().parent

# The level of every test and the seed of every run: one place, so that the command line, the demo and the
# web never disagree.
ALPHA = 0.05
SEED = 20260101
IDLE_MINUTES = 60
# Numbers that rest on fewer households are not shown outside the grid's own staff.
FEWEST_HOUSEHOLDS = 5


@dataclass(frozen=True)
class Oidc:
    """An identity provider, as `web.oidc` asks it; `discovery` is the address of its description."""

    discovery: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str = "统一身份认证"


@dataclass(frozen=True)
class Settings:
    """Where the program keeps things and which server it talks to."""

    home: Path
    database_url: str | None
    secret_key: str | None
    basemap: str | None
    cipher: str = "aes-256-gcm"
    keyring: Path | None = None
    idle_minutes: int = IDLE_MINUTES
    second_factor: frozenset[str] = frozenset()
    oidc: Oidc | None = None

    def session_key(self) -> str:
        """Return the key that signs web sessions; made once, kept in the home folder for its owner alone."""
        if self.secret_key:
            return self.secret_key
        path = self.home / "session.key"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(secrets.token_urlsafe(48))
        return path.read_text()

    def keyring_file(self) -> Path:
        """Return the path of the key ring; `privacy.keyring` makes and reads it."""
        return self.keyring or self.home / "keyring.json"


def settings() -> Settings:
    """Return the settings that the environment asks for now."""
    keyring = os.environ.get("GRIDMGMT_KEYRING")
    return Settings(
        home=Path(os.environ.get("GRIDMGMT_HOME") or ".gridmgmt").absolute(),
        database_url=os.environ.get("GRIDMGMT_DATABASE_URL") or None,
        secret_key=os.environ.get("GRIDMGMT_SECRET_KEY") or None,
        basemap=os.environ.get("GRIDMGMT_BASEMAP") or None,
        cipher=os.environ.get("GRIDMGMT_CIPHER") or "aes-256-gcm",
        keyring=Path(keyring).absolute() if keyring else None,
        idle_minutes=_minutes(os.environ.get("GRIDMGMT_IDLE_MINUTES") or str(IDLE_MINUTES)),
        second_factor=_words(os.environ.get("GRIDMGMT_SECOND_FACTOR") or ""),
        oidc=_oidc(),
    )


def _minutes(told: str) -> int:
    if not (told.isascii() and told.isdecimal() and 1 <= int(told) <= 24 * 60):
        raise InputError("GRIDMGMT_IDLE_MINUTES", told, "1 to 1440")
    return int(told)


def _words(told: str) -> frozenset[str]:
    return frozenset(word.strip() for word in told.split(",") if word.strip())


def _oidc() -> Oidc | None:
    """Return the identity provider that the environment names; SetupError when half of it is missing."""
    discovery = os.environ.get("GRIDMGMT_OIDC_DISCOVERY")
    if not discovery:
        return None
    client, secret = os.environ.get("GRIDMGMT_OIDC_CLIENT_ID"), _oidc_secret()
    if not (client and secret):
        raise SetupError("GRIDMGMT_OIDC_DISCOVERY is set: set GRIDMGMT_OIDC_CLIENT_ID and its secret as well")
    return Oidc(discovery, client, secret, os.environ.get("GRIDMGMT_OIDC_NAME") or Oidc.name)


def _oidc_secret() -> str | None:
    path = os.environ.get("GRIDMGMT_OIDC_CLIENT_SECRET_FILE")
    if not path:
        return os.environ.get("GRIDMGMT_OIDC_CLIENT_SECRET")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as why:
        raise SetupError(f"GRIDMGMT_OIDC_CLIENT_SECRET_FILE: {why.strerror}") from None


@cache
def sql_folder() -> Path:
    """Return the folder `sql/`: beside the package in a checkout, inside it in an installed wheel."""
    inside = PACKAGE / "sql"
    return inside if inside.is_dir() else PACKAGE.parent / "sql"
