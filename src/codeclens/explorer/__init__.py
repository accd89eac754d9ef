"""The explorer: the results of a run to look at and to try, in a browser or a notebook."""

from codeclens.explorer.live_network import LiveNetwork
from codeclens.explorer.run_folder import RunFolder
from codeclens.explorer.run_views import view

__all__ = ["LiveNetwork", "RunFolder", "view"]
