"""The explorer: the results of a run to look at and to try, in a browser or a notebook."""

from codeclens.explorer.live_network import LiveNetwork
from codeclens.explorer.notebook_widget import explore
from codeclens.explorer.run_folder import RunFolder
from codeclens.explorer.run_views import view
from codeclens.explorer.snapshot import report, snapshot

__all__ = ["LiveNetwork", "RunFolder", "explore", "report", "snapshot", "view"]


def __dir__() -> list[str]:
    return sorted(__all__)
