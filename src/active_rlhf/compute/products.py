"""How fast this machine multiplies matrices in each precision, and so which one a run uses.

`python -m active_rlhf.compute.products` measures it and prints it as JSON.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from active_rlhf.compute.compilation import cache_folder
from active_rlhf.compute.precision import DTYPES, multiply
from active_rlhf.errors import InputError
from active_rlhf.files import atomic

FILE = "precision.json"
ROWS, UNITS = 3200, 256  # a minibatch of 32 pairs of 50 steps, through a layer of the thesis's
# How variables begin that choose the instructions of numpy's and torch's linear algebra.
TOLD = ("OPENBLAS_CORETYPE", "ONEDNN_", "DNNL_", "MKL_ENABLE_INSTRUCTIONS")
ATTEMPTS, PATIENCE = 10, 0.2  # of each precision; seconds
INSTRUCTIONS = {
    "amx-bf16": "AMX",
    "avx512bf16": "AVX-512 with bfloat16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}


@dataclass(frozen=True)
class Products:
    """Speed of matrix products on one core, in GFLOP/s, and the processor it was measured on."""

    float32: float
    bfloat16: float
    processor: str

    @property
    def faster(self) -> str:
        """The precision that multiplies faster; float32 if they are equal."""
        return "bfloat16" if self.bfloat16 > self.float32 else "float32"

    def __str__(self) -> str:
        return (
            f"{self.bfloat16:.0f} GFLOP/s in bfloat16 and {self.float32:.0f} in float32, "
            f"one core of {self.processor}"
        )


def measured() -> Products:
    """This machine's speeds, measured once in a separate process and kept with the kernels.

    Once for each version of the libraries that multiply, and for what the environment tells them.
    """
    told = {key: value for key, value in os.environ.items() if key.startswith(TOLD)}
    used = {name: version(name) for name in ("numpy", "torch")} | told
    known_by = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:16]
    try:
        kept = cache_folder() / f"{known_by}-{FILE}"
    except OSError:  # nowhere to keep them
        return _measured_apart()
    try:
        return Products(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        products = _measured_apart()
        _write(products, kept)
        return products


def decided(folder: Path) -> Products:
    """The speeds that decided for the study or run in `folder` when it began, on any machine; else
    this machine's, which `decide` records. Raises InputError if the file is damaged."""
    file = folder / FILE
    try:
        return Products(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return measured()
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: damaged; delete it, and it is measured again") from error


def decide(folder: Path, products: Products) -> None:
    """Record the speeds that decide for a study or run, unless there is a record."""
    if not (folder / FILE).exists():
        _write(products, folder / FILE)


def _write(products: Products, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(asdict(products)) + "\n", encoding="utf-8")


def _measured_apart() -> Products:
    """In a separate process, so that planning a study does not load torch."""
    command = [sys.executable, "-m", "active_rlhf.compute.products"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Products(**json.loads(done.stdout))


def measure() -> Products:
    """Multiply on one thread in both precisions, in turns, and take the best time of each."""
    work = {name: _products(name) for name in DTYPES}
    best = {name: float("inf") for name in work}
    spent = dict.fromkeys(work, 0.0)
    with threadpool_limits(1):
        for multiplied in work.values():
            multiplied()  # so that the libraries generate code for these shapes
        for _ in range(ATTEMPTS):
            for name in (name for name in work if spent[name] < PATIENCE):
                start = time.process_time()
                work[name]()
                seconds = time.process_time() - start
                spent[name] += seconds
                best[name] = min(best[name], seconds)
    operations = 2 * 2 * ROWS * UNITS * UNITS
    speeds = {name: round(operations / seconds / 1e9, 1) for name, seconds in best.items()}
    return Products(**speeds, processor=f"{processor()} ({instructions()})")


def _products(precision: str) -> Callable[[], None]:
    """The products of a layer: rows with weights, and rows with gradients."""
    generator = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        values = generator.standard_normal(shape, np.float32)
        if precision == "float32":
            return values
        return (values.view(np.uint32) >> 16).astype(np.uint16)

    rows, weights, ahead = array(ROWS, UNITS), array(UNITS, UNITS), array(ROWS, UNITS)
    gradients = array(UNITS, UNITS)

    def multiplied() -> None:
        multiply(rows, weights, ahead)
        multiply(rows.T, ahead, gradients)

    return multiplied


def processor() -> str:
    """The processor's name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()


def instructions() -> str:
    """The widest instructions for matrix products that the processor has."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return next((said for name, said in INSTRUCTIONS.items() if features.get(name)), "no AVX2")


if __name__ == "__main__":
    print(json.dumps(asdict(measure())))
