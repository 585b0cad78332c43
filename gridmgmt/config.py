"""Settings, read from the environment once asked for.

GRIDMGMT_HOME           folder of the private cluster and of every file the program keeps (default .gridmgmt)
GRIDMGMT_DATABASE_URL   a real PostgreSQL server; when absent the private cluster is started as needed
GRIDMGMT_SECRET_KEY     signs the sessions of the web; when absent one is made and kept in the home folder
GRIDMGMT_BASEMAP        address pattern of a tile server ({z}/{x}/{y}); default none, our own layers only
GRIDMGMT_CIPHER         what new keys for personal data seal with: aes-256-gcm (default) or sm4-gcm
GRIDMGMT_KEYRING        file of those keys (default keyring.json in the home folder)
"""

import os
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

# The level of every test and the seed of every run: one place, so that the command line, the demo and the
# web never disagree.
ALPHA = 0.05
SEED = 20260101
# Numbers that rest on fewer households are not shown outside the grid's own staff.
FEWEST_HOUSEHOLDS = 5


@dataclass(frozen=True)
class Settings:
    """Where the program keeps things and which server it talks to."""

    home: Path
    database_url: str | None
    secret_key: str | None
    basemap: str | None
    cipher: str = "aes-256-gcm"
    keyring: Path | None = None

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
    )


@cache
def sql_folder() -> Path:
    """Return the folder `sql/`: beside the package in a checkout, inside it in an installed wheel."""
    inside = PACKAGE / "sql"
    return inside if inside.is_dir() else PACKAGE.parent / "sql"
