"""No secret and nobody's number stands in the repository, and none goes through a command line.

Every pattern is tried on examples first, so that a scan that finds nothing is a scan that could have.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from gridmgmt.cli import cli
from gridmgmt.errors import InputError
from gridmgmt.privacy import numbers

ROOT = Path(__file__).parents[2]

# What a secret looks like; of a match the group `value` is what must not stand here.
PATTERNS = {
    "private key": r"(?P<value>-----BEGIN [A-Z ]*PRIVATE KEY-----)",
    "age key": r"(?P<value>AGE-SECRET-KEY-1[0-9A-Z]{20,})",
    "password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>]{1,64}:(?P<value>[^\s/@\"'<>{}$%]{1,100})@",
    "key of this program": r"\b(?P<value>(?:gm_[A-Za-z0-9_-]{40}|whsec_[A-Za-z0-9+/]{16,}=*))",
    "signed token": r"\b(?P<value>eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,})",
    "key of a cloud": r"\b(?P<value>(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_\w{30,}|xox[abpr]-[\w-]{10,})",
    "value given to a name": (
        r"(?i)\b[\w-]*(?:secret|token|passw(?:or)?d|api_?key|private_?key|密码|口令)[\w-]*[\"']?\]?\s*"
        r"(?::\s*\w+\s*)?[=:]\s*b?[\"']?(?P<value>(?=[\w+/-]*\d)(?=[\w+/-]*[A-Za-z])[A-Za-z0-9+/_-]{24,}=*)"
    ),
}
EXAMPLES = {
    "private key": "-----BEGIN " + "EC PRIVATE KEY-----",
    "age key": "AGE-SECRET-" + "KEY-1QQPQQZRS5XPGXQSZRPLT5TCR",
    "password in an address": "postgresql://grid:" + "hunter2@db.example/grid",
    "key of this program": "Authorization: Bearer gm" + "_" + "0123456789" * 4,
    "signed token": "eyJhbGciOiJI" + "UzI1NiJ9.eyJzdWIiOiIxMjM0NTY3.SflKxwRJSMeKKF2QT4fw",
    "key of a cloud": "AKI" + "AIOSFODNN7EXAMPLE",
    "value given to a name": 'SECRET_KEY = "' + "d41d8cd98f00b204e9800998ecf8427e" + '"',
}
# Words that pages and tests put where a password would stand.
WORDS = {"PASSWORD", "secret", "hidden-word", "hunter2", "p"}
PUBLISHED = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# File -> value -> why it may stand there. What is not used any more must go: see the test.
ALLOWED = {
    "deploy/check-nginx": {"Kept-for-one-check-only-7": "of a city that ends with the check that makes it"},
    "tests/db/test_webhooks.py": {
        PUBLISHED: "the published example of Standard Webhooks 1.0.0",
    },
}

IDENTITY = re.compile(
    r"(?<!\d)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![A-Za-z0-9_])"
)
INVENTED_IDENTITIES = {
    "11010519491231002X": "the example of GB 11643-1999, Appendix A",
    "11010519491231002x": "the same with a small letter",
    "379981198005010016": "of the invented county 379981, which nobody's number begins with",
}
TELEPHONE = re.compile(r"(?<![\d.])1[3-9]\d{9}(?![\d.])")
INVENTED_TELEPHONES = re.compile(
    r"154\d{8}"  # no network has numbers beginning with 154
    r"|13812345678|13812345679|13912345678|13913812345|13800001111"  # what forms show as an example
    r"|13800138000"  # the enquiry line of a network
)


@cache
def _committed() -> tuple[Path, ...]:
    """Return every file that is, or is about to be, in the repository."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout
    return tuple(ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file())


@cache
def _texts() -> dict[str, str]:
    """Return what can be read as text, by its path; locks hold hashes and nothing else."""
    found = {}
    for path in _committed():
        name = path.relative_to(ROOT).as_posix()
        data = path.read_bytes()
        if b"\0" not in data[:4096] and not name.endswith((".lock", "package-lock.json")):
            found[name] = data.decode("utf-8", "replace")
    return found


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_secret_would_be_seen(kind: str) -> None:
    assert re.search(PATTERNS[kind], EXAMPLES[kind])


def test_no_secret_stands_in_the_repository() -> None:
    assert len(_texts()) > 800
    found, used = [], set()
    for name, content in _texts().items():
        for kind, pattern in PATTERNS.items():
            for match in re.finditer(pattern, content):
                value = match["value"]
                if kind == "password in an address" and value in WORDS:
                    continue
                if value in ALLOWED.get(name, {}):
                    used.add((name, value))
                else:
                    found.append((name, content.count("\n", 0, match.start()) + 1, kind))
    assert found == []
    assert used == {(name, value) for name, values in ALLOWED.items() for value in values}, "no longer there"


def test_no_key_or_city_file_is_in_the_repository() -> None:
    kept = re.compile(
        r"(keyring.*\.json|session\.key|\.pem|\.p12|\.pfx|\.env|\.sqlite|\.dump|erasures\.log|\.age)$"
    )
    templates = {"deploy/systemd/gridmgmt.env"}  # names of settings; test_no_secret… reads it too
    names = {path.relative_to(ROOT).as_posix() for path in _committed()}
    assert {name for name in names if kept.search(name)} <= templates


def test_no_number_of_a_person_stands_in_the_repository() -> None:
    """A number that is right by its check digit may be somebody's; a wrong one is nobody's."""
    people = []
    for name, content in _texts().items():
        people += [
            (name, kind)
            for kind, pattern, invented in (
                ("identity", IDENTITY, _no_identity),
                ("telephone", TELEPHONE, INVENTED_TELEPHONES.fullmatch),
            )
            for value in pattern.findall(content)
            if not invented(value)
        ]
    assert people == []


def test_a_number_of_a_person_would_be_seen() -> None:
    somebody = next(
        number for last in "0123456789X" if not _no_identity(number := "3701021980010100" + "3" + last)
    )
    assert IDENTITY.findall(f"号码{somebody}。") == [somebody]
    mobile = "138" + "0013" + "9001"
    assert TELEPHONE.findall(f"电话{mobile}，") == [mobile]
    assert not INVENTED_TELEPHONES.fullmatch(mobile)


def _no_identity(value: str) -> bool:
    try:
        numbers.check_identity(value)
    except InputError:
        return True
    return value in INVENTED_IDENTITIES


# --- command lines


SECRET_NAME = re.compile(r"(?i)pass(word|phrase|wd)?|secret|token|credential|private|密码|口令")


def _commands(group: click.Command, name: str = "gridmgmt") -> Iterator[tuple[str, click.Command]]:
    yield name, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for word in group.list_commands(context):
            inner = group.get_command(context, word)
            assert inner is not None
            yield from _commands(inner, f"{name} {word}")


def test_no_option_of_the_command_line_takes_a_secret() -> None:
    """What stands in a command line, `ps` shows and the shell keeps: only a file may be named."""
    found, seen = [], 0
    for name, command in _commands(cli):
        for parameter in command.params:
            seen += 1
            words = " ".join([*parameter.opts, *parameter.secondary_opts, parameter.name or ""])
            flag = isinstance(parameter, click.Option) and parameter.is_flag
            if SECRET_NAME.search(words) and not flag and not isinstance(parameter.type, click.Path):
                found.append(f"{name} {parameter.opts}")
    assert seen > 100
    assert found == []


STARTS = {
    "run",
    "Popen",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "system",
    "popen",
    "execvp",
    "execv",
}
# Words that a command line of ours may be made of, beside literals: paths, numbers, names of programs.
SPOKEN = re.compile(
    r"(?i)secret|token|passw|(?<!no_)key\b|keyring|_url\b|\burl|identity\b|settings\.(?!home)|cookie"
)


def _started() -> Iterator[tuple[str, ast.Call]]:
    """Give every call that starts a program, in the package."""
    for name, content in _texts().items():
        if not name.startswith("gridmgmt/") or not re.search(
            r"\bsubprocess\b|\bos\.(?:system|popen|exec)", content
        ):
            continue
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if owner in ("subprocess", "os", "asyncio") and node.func.attr in STARTS:
                    yield f"{name}:{node.lineno}", node


def test_programs_are_started_without_a_shell_and_without_a_secret_in_their_arguments() -> None:
    started = list(_started())
    assert len(started) >= 6
    faults = []
    for where, call in started:
        shell = any(word.arg == "shell" for word in call.keywords)
        command = ast.unparse(call.args[0]) if call.args else ""
        if shell or ast.unparse(call.func).startswith("os.") or not command:
            faults.append((where, "a shell"))
        if isinstance(call.args[0], ast.Constant | ast.JoinedStr) or SPOKEN.search(command):
            faults.append((where, command))
    assert faults == []


# What turns data into code, or what is no cryptography, and where it stands all the same.
MAPS = dict.fromkeys(
    (
        f"gridmgmt/web/templates/{name}.html"
        for name in ("grid_map", "overview", "parts", "plan", "plan_compare", "plan_draw")
    ),
    "the map of `web.maps`, whose values are JSON: test_names_from_data_are_neither_markup_nor_template",
) | {"gridmgmt/web/catalogue/reading.py": "looks for the word in a template"}
DANGEROUS: dict[str, dict[str, str]] = {
    r"\b(?:eval|exec)\(": {},
    r"\bpickle\.loads?\(|\bmarshal\.|\bshelve\.|\byaml\.load\(|allow_pickle=True": {
        "gridmgmt/importing/pipes.py": "from a process that this one has just started, through its own pipe"
    },
    r"\brender_template_string\(|\bfrom_string\(|\|\s*safe\b": MAPS,
    r"\bhashlib\.(?:md5|sha1)\b|\"(?:md5|sha1)\"": {
        "gridmgmt/incidents/checks.py": "tells rows that changed from rows that did not"
    },
    r"^import random|\brandom\.(?:random|choice|randint|getrandbits)\(": {},
    r"verify\s*=\s*False|CERT_NONE|_create_unverified_context": {},
    r"\bmodes\.(?:ECB|CBC|CTR|CFB|OFB)\b|PKCS1v15": {},
    r"\blxml\.|\bminidom\b|\bxml\.sax\b": {},
}


def test_nothing_turns_data_into_code_or_is_weak_where_it_must_be_strong() -> None:
    found = []
    for name, content in _texts().items():
        if not name.startswith("gridmgmt/") or not name.endswith((".py", ".html")) or "/static/" in name:
            continue
        for pattern, allowed in DANGEROUS.items():
            for match in re.finditer(pattern, content, re.MULTILINE):
                if name not in allowed:
                    found.append((name, content.count("\n", 0, match.start()) + 1, match[0]))
    assert found == []
