"""Put the compiled extension module into the wheel, or build the wheel without it where it cannot be compiled."""

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeHook(BuildHookInterface):
    """Compiles ``router_model/prediction/compiled/native`` for wheels and editable installs."""

    def dependencies(self) -> list[str]:
        """Ask for ziglang's C compiler where the system has none."""
        return [] if self._script()["system_compiler"]() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the hook's signature
        """Compile the module; the wheel is for this platform then, and for every Python from 3.11 on."""
        script = self._script()
        try:
            module: Path = script["compile_native"]()
        except script["CompileError"] as exc:
            self.app.display_warning(f"router-model decides without its extension module, by numpy: {exc}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"].append(f"/{module.relative_to(self.root).as_posix()}")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"

    def _script(self) -> dict[str, Any]:
        return runpy.run_path(str(Path(self.root) / "scripts" / "compile_native.py"))
