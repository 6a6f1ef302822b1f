"""The `salm-duplex` command, under a module name that user files are unlikely to have.

A `pipeline.py` in a user's folder would shadow our package if PYTHONPATH names that folder, as
`ray job submit --working-dir` does. So our packages are loaded from next to this file before anything imports them.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PACKAGES = ("manifests", "stages", "salm_duplex_model", "pipeline")


def load_packages() -> None:
    """Put our own packages into `sys.modules`, whatever else `sys.path` has under their names; submodules follow."""
    for name in PACKAGES:
        folder = Path(__file__).with_name(name)
        spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("salm-duplex")
    raise AttributeError(f"module 'salm_duplex' has no attribute '{name}'")


def main() -> None:
    load_packages()
    from pipeline.cli import main as run

    run()


if __name__ == "__main__":
    main()
