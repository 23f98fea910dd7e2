"""Behaviour to watch: final policies side by side, and the pairs that a run asked about."""

from collections.abc import Mapping
from dataclasses import dataclass

from active_rlhf.files import folder_name
from active_rlhf.films.page import Clip, write_films, write_queries
from active_rlhf.films.recorded import Recorded
from active_rlhf.films.studio import NoFilm
from active_rlhf.results.page import write_page
from active_rlhf.site.frame import Site

SHOWN = 8  # policies side by side
STEPS = 500  # of a policy's episode


@dataclass(frozen=True)
class Shown:
    """A run to show of a method: what tables call the method, its seed, and whether it asks."""

    name: str
    seed: int
    asks: bool

    def queries(self, environment: str, method: str) -> str:
        """The page of its queries, below site/behaviour/."""
        return f"{folder_name(environment)}/{method}/{self.seed}.html"


def write_environment(site: Site, environment: str, methods: Mapping[str, Shown]) -> None:
    """Write the films of one environment: site/behaviour/<environment>.html, and a page of queries
    for each method that asks, <method>/<seed>.html in a folder of that name.

    Where a task cannot be filmed, the page says why, and there are no queries.
    """
    root = site.root
    place = root / "site" / "behaviour"
    page = place / f"{folder_name(environment)}.html"

    def recorded(method: str) -> Recorded:
        run = methods[method]
        return Recorded(root / "runs" / folder_name(environment) / method / str(run.seed))

    try:
        clips = []
        for method in list(methods)[:SHOWN]:
            run = methods[method]
            film, returned = recorded(method).policy_film(0, STEPS)
            facts = {
                "seed": str(run.seed),
                "steps": str(len(film)),
                "true return": f"{returned:.1f}",
            }
            clips.append(Clip(film, run.name, facts))
        more = len(methods) - len(clips)
        title = f"Final policies on {environment}" + (
            f" ({more} more methods are not shown)" if more else ""
        )
        write_films(clips, " · ".join(filter(None, (title, site.banner))), page)
        for method, run in methods.items():
            if run.asks:
                write_queries(recorded(method), place / run.queries(environment, method))
    except NoFilm as why:
        write_page(str(why), page)


def write_behaviour(site: Site, environments: Mapping[str, Mapping[str, Shown]]) -> None:
    """Write the page that leads to the films of `environments`."""
    shown = []
    for environment, methods in environments.items():
        pages = {
            run.name: f"site/behaviour/{run.queries(environment, method)}"
            for method, run in methods.items()
        }
        shown.append(
            {
                "environment": environment,
                "films": f"site/behaviour/{folder_name(environment)}.html",
                "queries": [(n, page) for n, page in pages.items() if (site.root / page).exists()],
            }
        )
    site.write("site/behaviour.html", "behaviour.html.jinja", shown=shown)
