"""Put the compiled extension modules into the wheel, or build the wheel without it where it cannot be compiled."""

import os
import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags


class NativeHook(BuildHookInterface):
    """Compiles the folders ``native`` for wheels and editable installs."""

    def dependencies(self) -> list[str]:
        """Ask for ziglang's C compiler where the system has none, or where ``CC`` names it.

        With ``CC=false`` the package is installed without the modules, on a machine that has no compiler and no index.
        """
        compiler = self._script()["system_compiler"]()
        return ["ziglang"] if os.name != "nt" and (not compiler or "ziglang" in compiler) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the hook's signature
        """Compile the modules; the wheel is for this platform then, and for every Python from 3.11 on."""
        script = self._script()
        try:
            modules: list[Path] = script["compile_native"]()
        except script["CompileError"] as exc:
            self.app.display_warning(f"router-model decides without its extension modules, by numpy: {exc}")
            return
        platform = next(one for one in platform_tags() if not one.startswith(("manylinux", "musllinux")))
        build_data["artifacts"] += [f"/{module.relative_to(self.root).as_posix()}" for module in modules]
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"

    def _script(self) -> dict[str, Any]:
        return runpy.run_path(str(Path(self.root) / "scripts" / "compile_native.py"))
