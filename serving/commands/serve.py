"""``router-model serve``."""

from pathlib import Path
from typing import Any

import click

from router_model.serving.extra import needing_serve
from router_model.serving.lean_imports import import_lightgbm_alone

with needing_serve("'serve'"):
    from router_model.serving.commands.settings_options import read_settings, settings_options


@click.command("serve")
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@settings_options
def command(**options: Any) -> None:
    """Answer over HTTP which model to call, with the router in ARTIFACT.

    With --providers it also forwards calls: OpenAI's, Anthropic's and
    Google's SDKs may be pointed at it (docs/proxy.md), also without an
    ARTIFACT.

    ARTIFACT is a router's folder, or a file or link that names one. Every
    option can be set by the variable behind it, too; the option wins.
    """
    settings = read_settings(**options)
    import_lightgbm_alone()  # before the router's modules do
    with needing_serve("'serve'"):
        from router_model.serving.preflight import about  # noqa: PLC0415
        from router_model.serving.server import in_url, listen, serve  # noqa: PLC0415  (--help stays fast)

    with listen(settings.host, settings.port) as sock:  # first: what is in use is said before the router is loaded
        lines = about(settings)
        address = in_url(settings.host, sock.getsockname()[1])
        click.echo(f"listening on http://{address}")
        for line in lines:
            click.echo(line.replace("{address}", address))
        serve(settings, sock)
    click.echo("stopped; what was under way was answered, and the log is flushed")
