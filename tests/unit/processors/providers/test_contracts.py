"""A provider's contract is light: it imports the contract's packages only, so the ingress loads no worker code."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from paynotify.schemas.providers import provider_packages


@pytest.mark.parametrize("package", provider_packages())
def test_contract_imports_only_schemas(package: str) -> None:
    found = find_spec(f"{package}.contract")
    assert found is not None
    assert found.origin is not None
    modules = {
        name
        for node in ast.walk(ast.parse(Path(found.origin).read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    roots = {
        ".".join(name.split(".")[:2]) if name.startswith("paynotify.") else name.partition(".")[0] for name in modules
    }
    assert roots <= {"__future__", "paynotify.schemas", "msgspec", *sys.stdlib_module_names}


def test_ingress_loads_contracts_and_no_worker_code() -> None:
    code = (
        "import sys, paynotify.ingest.server; from paynotify.schemas.providers import provider_contracts;"
        "provider_contracts(); of_workers = ('paynotify.processors.', 'faust', 'httpx');"
        "print(' '.join(name for name in sys.modules if name.startswith(of_workers)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    allowed = {
        "paynotify.processors.providers",
        *provider_packages(),
        *(f"{one}.contract" for one in provider_packages()),
    }
    assert loaded <= allowed
