"""Settings, read from the environment once asked for; `VARIABLES` lists them all (docs/configuration.md)."""

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
class Variable:
    """One variable of the environment; a secret one may stand in the file that NAME_FILE names instead."""

    name: str
    says: str
    default: str = ""
    secret: bool = False


VARIABLES = (
    Variable(
        "GRIDMGMT_HOME", "folder of the private cluster and of every file the program keeps", ".gridmgmt"
    ),
    Variable(
        "GRIDMGMT_DATABASE_URL",
        "a real PostgreSQL server, with sslmode=verify-full on another machine; when absent the private "
        "cluster is started as needed",
        secret=True,
    ),
    Variable(
        "GRIDMGMT_SECRET_KEY",
        "signs the sessions of the web; when absent one is made and kept in the home folder",
        secret=True,
    ),
    Variable(
        "GRIDMGMT_BASEMAP",
        "a tile server ({z}/{x}/{y}), a folder of tiles, a .pmtiles file, or tianditu:vec_w:KEY for 天地图; "
        "default none, our own layers only",
    ),
    Variable(
        "GRIDMGMT_CIPHER", "what new keys for personal data seal with: aes-256-gcm or sm4-gcm", "aes-256-gcm"
    ),
    Variable("GRIDMGMT_KEYRING", "file of those keys", "keyring.json in the home folder"),
    Variable("GRIDMGMT_BACKUPS", "folder of backups and of the archived log", "backups in the home folder"),
    Variable(
        "GRIDMGMT_BACKUP_RECIPIENT",
        "public key (age1…) that backups are encrypted for; without it no backup is made. "
        "The private key is kept elsewhere and is needed to restore alone",
    ),
    Variable("GRIDMGMT_IDLE_MINUTES", "after so long without a request a sign-in is over, 1 to 1440", "60"),
    Variable(
        "GRIDMGMT_SECOND_FACTOR", "roles that must have a second factor, e.g. admin,security,auditor"
    ),
    Variable(
        "GRIDMGMT_PROXIES",
        "web servers before this one whose forwarded address and scheme are believed, 0 to 4; "
        "limits and logs then count the caller and not the proxy",
        "0",
    ),
    Variable("GRIDMGMT_LOG", "how log lines are written: plain or json", "plain"),
    Variable("GRIDMGMT_SLOW_MS", "a statement or request that takes longer is logged, milliseconds", "1000"),
    Variable(
        "GRIDMGMT_METRICS_TOKEN", "who sends it as a bearer token may read /metrics; without it nobody may",
        secret=True,
    ),
    Variable(
        "GRIDMGMT_OIDC_DISCOVERY", "the identity provider's /.well-known/openid-configuration; default none"
    ),
    Variable("GRIDMGMT_OIDC_CLIENT_ID", "what the provider calls this program"),
    Variable("GRIDMGMT_OIDC_CLIENT_SECRET", "what the provider gave it", secret=True),
    Variable("GRIDMGMT_OIDC_NAME", "what the provider's button is called", "统一身份认证"),
)  # fmt: skip
_BY_NAME = {each.name: each for each in VARIABLES}


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
    backups: Path | None = None
    backup_recipient: str | None = None
    proxies: int = 0
    log: str = "plain"
    slow_ms: int = 1000
    metrics_token: str | None = field(default=None, repr=False)

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

    def backup_folder(self) -> Path:
        """Return the folder of backups and of the archived log; `db.backup` makes it."""
        return self.backups or self.home / "backups"


def settings() -> Settings:
    """Return the settings that the environment asks for now.

    InputError names the variable that is not what is allowed, SetupError the file that cannot be read.
    """
    return Settings(
        home=Path(_told("GRIDMGMT_HOME")).absolute(),
        database_url=value("GRIDMGMT_DATABASE_URL"),
        secret_key=value("GRIDMGMT_SECRET_KEY"),
        basemap=value("GRIDMGMT_BASEMAP"),
        cipher=_told("GRIDMGMT_CIPHER"),
        keyring=_path("GRIDMGMT_KEYRING"),
        backups=_path("GRIDMGMT_BACKUPS"),
        backup_recipient=value("GRIDMGMT_BACKUP_RECIPIENT"),
        idle_minutes=_number("GRIDMGMT_IDLE_MINUTES", 1, 24 * 60),
        second_factor=_words(_told("GRIDMGMT_SECOND_FACTOR")),
        proxies=_number("GRIDMGMT_PROXIES", 0, 4),
        log=_choice("GRIDMGMT_LOG", ("plain", "json")),
        slow_ms=_number("GRIDMGMT_SLOW_MS", 1, 600_000),
        metrics_token=value("GRIDMGMT_METRICS_TOKEN"),
        oidc=_oidc(),
    )


def value(name: str) -> str | None:
    """Return what the environment says of a variable, None where it says nothing.

    A secret may stand in the file that NAME_FILE names: the environment of a process is easier to read than
    a file. SetupError when that file cannot be read.
    """
    told = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE") if _BY_NAME[name].secret else None
    if told or not path:
        return told or None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as why:
        raise SetupError(f"{name}_FILE: {why.strerror}") from None


def _told(name: str) -> str:
    return value(name) or _BY_NAME[name].default


def _path(name: str) -> Path | None:
    told = value(name)
    return Path(told).absolute() if told else None


def _number(name: str, least: int, most: int) -> int:
    told = _told(name)
    if not (told.isascii() and told.isdecimal() and least <= int(told) <= most):
        raise InputError(name, told, f"{least} to {most}")
    return int(told)


def _choice(name: str, allowed: tuple[str, ...]) -> str:
    told = _told(name)
    if told not in allowed:
        raise InputError(name, told, " or ".join(allowed))
    return told


def _words(told: str) -> frozenset[str]:
    return frozenset(word.strip() for word in told.split(",") if word.strip())


def _oidc() -> Oidc | None:
    """Return the identity provider that the environment names; SetupError when half of it is missing."""
    discovery = value("GRIDMGMT_OIDC_DISCOVERY")
    if not discovery:
        return None
    client, secret = value("GRIDMGMT_OIDC_CLIENT_ID"), value("GRIDMGMT_OIDC_CLIENT_SECRET")
    if not (client and secret):
        raise SetupError("GRIDMGMT_OIDC_DISCOVERY is set: set GRIDMGMT_OIDC_CLIENT_ID and its secret as well")
    return Oidc(discovery, client, secret, _told("GRIDMGMT_OIDC_NAME"))


@cache
def sql_folder() -> Path:
    """Return the folder `sql/`: beside the package in a checkout, inside it in an installed wheel."""
    inside = PACKAGE / "sql"
    return inside if inside.is_dir() else PACKAGE.parent / "sql"
