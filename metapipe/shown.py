"""Records that show themselves in a notebook."""

from __future__ import annotations


class Shown:
    """Its `_repr_html_` is a table, with a picture where there is one."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """HTML, escaped; made above, where tables and pictures are."""
        import metapipe

        html: str = metapipe.as_html(self)
        return html
