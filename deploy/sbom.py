"""Writes the bundle's bills of materials (CycloneDX 1.6, JSON), one a source.

`python deploy/sbom.py CHECKOUT BUNDLE` writes BUNDLE/sbom/{python,debian,browser}.cdx.json. Python's comes
from the lock by cyclonedx-py, the others from the packages that the bundle really holds.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def main(checkout: Path, bundle: Path) -> None:
    """Write the three bills of a bundle; exits with what is wrong when one is not what its schema wants."""
    folder = bundle / "sbom"
    folder.mkdir(exist_ok=True)
    python = folder / "python.cdx.json"
    subprocess.run(
        [Path(sys.executable).parent / "cyclonedx-py", "requirements", "--output-reproducible",
         "--pyproject", checkout / "pyproject.toml", "--sv", "1.6", "--of", "JSON", "-o", python,
         bundle / "requirements.txt"],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    write(folder / "debian.cdx.json", debian(bundle / "debian" / "Packages"))
    write(folder / "browser.cdx.json", browser(checkout / "package-lock.json"))
    for path in sorted(folder.iterdir()):
        wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text())
        if wrong:
            sys.exit(f"{path.name}: {wrong}")
        print(f"{path.name}: {len(json.loads(path.read_text())['components'])} components", file=sys.stderr)


def write(path: Path, components: Iterable[Component]) -> None:
    """Write one bill."""
    path.write_text(JsonV1Dot6(Bom(components=components)).output_as_string(indent=2))


def debian(index: Path) -> Iterator[Component]:
    """Give the packages that an index of Debian's form lists."""
    for stanza in index.read_text().strip().split("\n\n"):
        says = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        about = {"arch": says["Architecture"], "distro": "debian-12"}
        yield component(
            PackageURL("deb", "debian", says["Package"], says["Version"], about), sha256=says["SHA256"]
        )


def browser(lock: Path) -> Iterator[Component]:
    """Give the packages of npm whose files pages load, with what they stand on; not those of tests."""
    for path, says in json.loads(lock.read_text())["packages"].items():
        if path and not says.get("dev"):
            namespace, _, name = path.removeprefix("node_modules/").rpartition("/")
            yield component(PackageURL("npm", namespace or None, name, says["version"]))


def component(purl: PackageURL, sha256: str | None = None) -> Component:
    """Return a library as a bill names it."""
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []
    return Component(
        name=purl.name, group=purl.namespace, version=purl.version, type=ComponentType.LIBRARY, purl=purl,
        bom_ref=purl.to_string(), hashes=hashes,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
