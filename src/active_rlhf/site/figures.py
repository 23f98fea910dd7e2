"""Every figure of the study, with its caption, its files and where its numbers are."""

from collections.abc import Mapping, Sequence

from active_rlhf.files import folder_name
from active_rlhf.site.frame import Site, figure
from active_rlhf.site.titles import FIGURES, named


def write_figures(site: Site, environments: Sequence[str], captions: Mapping[str, str]) -> None:
    """Write the page. captions: by a figure's name, in Markdown."""
    places = [
        ("/".join(filter(None, (variant, folder_name(env)))), env, variant)
        for variant in dict.fromkeys(["", *site.variants])
        for env in ("", *environments)
    ]
    sections = []
    for folder, env, variant in places:
        found = [
            one
            for name, (title, statistic) in FIGURES.items()
            for path in sorted((site.root / "figures" / folder).glob(f"{name}*.png"))
            if named(path.stem) == name
            for one in [
                figure(
                    site.root,
                    f"{folder}/{path.stem}".lstrip("/"),
                    f"{title}{_endpoint(path.stem, name)}",
                    captions.get(name, ""),
                    source=f"statistics/{statistic}.csv" if statistic else "",
                )
            ]
            if one
        ]
        if found:
            about = ", ".join(filter(None, (env or "all environments", variant)))
            sections.append({"about": about, "figures": found})
    site.write("site/figures.html", "figures.html.jinja", sections=sections)


def _endpoint(stem: str, name: str) -> str:
    ending = stem.removeprefix(name).strip("_").replace("_", " ")
    return f" by {ending}" if ending else ""
