"""The generated parts of the chart are what the code says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labkeeper_api.catalog import Catalog, builtin_catalog

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "labkeeper"


def test_nothing_has_drifted() -> None:
    done = subprocess.run(
        [sys.executable, "charts/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_drifted_file_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "charts"
    subprocess.run(["cp", "-r", str(ROOT / "charts"), str(copy)], check=True)
    crd = copy / "labkeeper" / "crds" / "labkeeper.dev_labpools.yaml"
    crd.write_text(crd.read_text().replace("maxItems: 64", "maxItems: 65"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(copy / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "labpools.yaml has drifted" in done.stderr


def test_the_catalog_file_is_what_the_operator_reads() -> None:
    text = (CHART / "files" / "catalog.json").read_text(encoding="utf-8")
    assert Catalog.model_validate_json(text) == builtin_catalog()
    assert json.loads(text)["version"] == 1


@pytest.mark.parametrize("path", sorted((CHART / "crds").iterdir()), ids=lambda path: path.stem)
def test_each_crd_has_what_people_use(path: Path) -> None:
    crd = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = crd["spec"]["names"]
    version = crd["spec"]["versions"][0]
    assert names["categories"] == ["lab"]
    assert names["shortNames"][0] in ("lwf", "lrun", "lpool", "ldev", "lact")
    assert version["subresources"] == {"status": {}}
    assert any(column["name"] == "Age" for column in version["additionalPrinterColumns"])
