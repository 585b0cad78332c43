"""What is installed on a city's machine: it agrees with the program, and its own tools accept it."""

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from gridmgmt.cli import configuration
from gridmgmt.config import VARIABLES
from gridmgmt.web import LARGEST_REQUEST, admin, telling

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRETS = {each.name for each in VARIABLES if each.secret}
# Of 10, 0 is closed: what systemd counts against a unit, a tenth more is too much.
MOST_EXPOSED = 1.5


def lines(path: Path, key: str) -> list[str]:
    """Return what a unit says under a key, which may come more than once."""
    return [line.partition("=")[2] for line in path.read_text().splitlines() if line.startswith(f"{key}=")]


def test_the_page_of_settings_is_what_the_table_says() -> None:
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.page()


def test_the_settings_that_are_installed_are_settings_of_the_program() -> None:
    text = (DEPLOY / "systemd" / "gridmgmt.env").read_text()
    set_there = set(re.findall(r"^(GRIDMGMT_\w+)=", text, re.MULTILINE))
    assert set_there <= {each.name for each in VARIABLES} - SECRETS


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_gets_every_secret_as_a_file_and_none_in_its_environment(unit: Path) -> None:
    given = dict(each.split(":") for each in lines(unit, "LoadCredential"))
    assert given == {name: f"/etc/gridmgmt/secrets/{name}" for name in SECRETS}
    assert set(lines(unit, "Environment")) == {f"{name}_FILE=%d/{name}" for name in SECRETS}
    made = re.findall(r"^    secret (\w+)", (DEPLOY / "install.sh").read_text(), re.MULTILINE)
    assert set(made) == SECRETS


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_knows_every_line_and_finds_little_exposed(unit: Path, tmp_path: Path) -> None:
    for path in (DEPLOY / "systemd").glob("gridmgmt*.[st]*"):
        here = path.read_text().replace("/opt/gridmgmt/current/venv/bin/gridmgmt", sys.executable)
        (tmp_path / path.name).write_text(here)
    known = ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / unit.name)]
    checked = subprocess.run(known, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    asked = ["systemd-analyze", "security", "--offline=true", str(tmp_path / unit.name)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert level is not None, said
    assert float(level[1]) < MOST_EXPOSED


def test_the_target_wants_every_service() -> None:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "systemd" / "gridmgmt.target")
    assert set(parser["Unit"]["Wants"].split()) == {unit.name for unit in UNITS}


def test_nginx_lets_as_much_in_as_the_program_takes() -> None:
    text = (DEPLOY / "nginx" / "gridmgmt.conf").read_text()
    sizes = {int(each) << 20 for each in re.findall(r"client_max_body_size (\d+)m;", text)}
    assert sizes == {LARGEST_REQUEST, telling.LARGEST_FORM, admin.LARGEST_UPLOAD}


@pytest.mark.skipif(
    not (shutil.which("nginx", path="/usr/sbin:/usr/bin") and shutil.which("openssl")),
    reason="nginx or openssl is not installed: apt-get install nginx-light openssl",
)
def test_nginx_before_the_program_lets_in_hides_and_logs_what_it_should() -> None:
    done = subprocess.run(
        [sys.executable, DEPLOY / "check-nginx", "8840"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= 20


def test_the_database_script_makes_every_role_that_the_policies_name() -> None:
    named = set()
    for path in (ROOT / "sql").rglob("*.sql"):
        named |= set(re.findall(r"CREATE ROLE gridmgmt_(\w+)", path.read_text()))
    made = re.search(r"^for role in (.*); do$", (DEPLOY / "database.sh").read_text(), re.MULTILINE)
    assert made is not None
    assert set(made[1].split()) == named


def test_containers_get_secrets_as_files_and_wait_for_what_they_need() -> None:
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in told["services"].items():
        environment = service.get("environment", {})
        assert not [key for key in environment if key in SECRETS or key == "POSTGRES_PASSWORD"], name
        wanted = {each["source"] if isinstance(each, dict) else each for each in service.get("secrets", ())}
        assert wanted <= set(told["secrets"]), name
        for needed in service.get("depends_on", {}):
            assert needed in told["services"], name
    assert all("ports" not in service for name, service in told["services"].items() if name != "nginx")


@pytest.mark.parametrize("name", ["bundle", "install.sh", "database.sh", "gridmgmt", "prove-offline"])
def test_the_scripts_are_shell_that_can_be_read_and_run(name: str) -> None:
    path = DEPLOY / name
    shell = path.read_text().splitlines()[0].rpartition("/")[2].split()[-1]
    assert subprocess.run([shell, "-n", path], check=False).returncode == 0
    assert path.stat().st_mode & 0o111
