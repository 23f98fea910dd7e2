"""The package as a user installs it: a wheel, and nothing beside what it declares to need."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from run_files import assert_same_results
from tiny_study import AUTO, ONE_FIGURE, TINY

from active_rlhf.run.training import train
from active_rlhf.study.settings import Spec

ROOT = Path(__file__).parents[1]
# Trains the spec of a file; fails if that compiles anything.
WARM = """
import json, sys
from active_rlhf.compute.compilation import Kernel
from active_rlhf.run.training import train
from active_rlhf.study.settings import Spec
train(Spec(**json.load(open(sys.argv[1]))), sys.argv[2])
hits = 0
for name, module in list(sys.modules.items()):
    if name.startswith("active_rlhf."):
        for kernel in vars(module).values():
            if isinstance(kernel, Kernel):
                stats = kernel.dispatcher.stats
                assert not stats.cache_misses, (name, kernel.__name__, stats)
                hits += stats.cache_hits.total()
assert hits > 15
"""


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """What installing these would bring, found among what is installed here, without extras
    that nobody asked for. Fails if something is missing, or not of the version asked for."""
    found: dict[str, Distribution] = {}
    seen, left = set(), [Requirement(text) for text in requirements]
    while left:
        wanted = left.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                brought = distribution(name)
                found[brought.name] = brought
                assert wanted.specifier.contains(brought.version, prereleases=True), wanted
                further = map(Requirement, brought.requires or [])
                left += [r for r in further if not r.marker or r.marker.evaluate({"extra": extra})]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with an environment `env` that holds the wheel and the closure of what it needs.

    Files of libraries are links to those here, as copying or downloading them would take minutes.
    """
    folder = tmp_path_factory.mktemp("installed")
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = ["pyproject.toml", "README.md", "LICENSE", "src"]
    listed = subprocess.run(
        [*tracked, *files], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    build = ["wheel", *alone, "--no-build-isolation", "--wheel-dir", ".", "./source"]
    subprocess.run([*pip, *build], cwd=folder, check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    needed = [
        line for line in re.findall(r"^Requires-Dist: (.*)$", text, re.M) if "extra ==" not in line
    ]

    venv.create(folder / "env")
    python = folder / "env/bin/python"
    [site] = (folder / "env").glob("lib/*/site-packages")
    wanted = closure(needed)
    others = {
        file.parts[0]
        for other in distributions()
        if other.name not in wanted
        for file in other.files or ()
    }
    for library in wanted.values():
        for file in library.files or ():
            # The whole folder of a library, unless one that is not wanted has files in it too.
            part = (
                file if file.parts[0] in others else file.parents[-2] if file.parent.name else file
            )
            if ".." not in file.parts and not (site / part).exists():
                (site / part).parent.mkdir(parents=True, exist_ok=True)
                (site / part).symlink_to(library.locate_file(part))
    subprocess.run([*pip, "--python", str(python), "install", *alone, str(wheel)], check=True)
    return folder


def run(folder: Path, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [folder / "env/bin" / program, *arguments],
        cwd=folder,
        env={"HOME": str(folder), "LANG": "C.UTF-8", "PATH": f"{folder}/env/bin:/usr/bin:/bin"}
        # For which processor linear algebra is done, on which its last bits depend.
        | {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_without_extras_the_package_trains_and_analyses_a_study(installed, tmp_path):
    """Its runs share compiled code, which is made before the first of them: where nothing had been
    compiled, a run has the results that it has here, and the next one compiles nothing."""
    code = (
        "import active_rlhf, importlib.util as u; print(active_rlhf.__file__); print([n for n in "
        "('imageio_ffmpeg', 'playwright', 'pytest', 'sklearn', 'wandb') if u.find_spec(n)])"
    )
    there, extras = run(installed, "python", "-c", code).splitlines()
    assert there.startswith(str(installed / "env")) and extras == "[]"
    run(installed, "active-rlhf", "new", "picker", "mine")
    assert "FAIL" not in run(installed, "active-rlhf", "check", "mine.py")
    selectors = {"mine": {"base": "random", "picker": "mine"}, "hybrid": {}}
    study = TINY | {"seeds": [1], "selectors": selectors}
    study |= {"parts": ["mine.py"], "tracking": "tensorboard"} | AUTO | ONE_FIGURE
    (installed / "study.yaml").write_text(yaml.safe_dump(study))
    workflow = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/local")]
    given = ["--cores", "2", "--configfile", "study.yaml"]
    run(installed, "python", "-m", "snakemake", *workflow, *given)
    assert (installed / "results/tiny/provenance.json").exists()
    run(installed, "active-rlhf", "verify", "results/tiny")
    mine = "results/tiny/runs/Hopper-v5/mine/1"
    run(installed, "active-rlhf", "queries", mine, "--out", "queries.html")

    cold = installed / "results/tiny/runs/Hopper-v5/hybrid/1"
    spec = json.loads((cold / "run.json").read_text())["spec"]
    (installed / "spec.json").write_text(json.dumps(spec))
    run(installed, "python", "-c", WARM, "spec.json", "warm")
    train(Spec(**spec), tmp_path)
    for again in (installed / "warm", tmp_path):
        assert_same_results(again, cold)
