"""A chart as a notebook shows it: a picture in the page, without a script and without anything from elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from router_model.charts.output import to_html, to_png, to_svg

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart that a notebook shows as SVG.

    Attributes
    ----------
    chart : Altair's chart, to change what is drawn
    """

    chart: "alt.LayerChart"

    def __repr__(self) -> str:
        return f"<Drawing: {self.chart.to_dict().get('description', 'a chart')}>"

    def _repr_svg_(self) -> str:
        # fonts differ between pages: words that are wider than they were drawn would be cut at the edge
        return to_svg(self.chart).replace("<svg ", '<svg style="overflow: visible" ', 1)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file.

        Parameters
        ----------
        path : its suffix tells the format: ``.svg``, ``.png`` or ``.html``

        Raises
        ------
        ValueError
            If the suffix is another one.
        """
        target = Path(path)
        match target.suffix.lower():
            case ".svg":
                target.write_text(to_svg(self.chart), encoding="utf-8")
            case ".html":
                target.write_text(to_html(self.chart), encoding="utf-8")
            case ".png":
                target.write_bytes(to_png(self.chart))
            case other:
                raise ValueError(f"{target}: got the suffix {other!r}, expected .svg, .png or .html")
