"""Matrix products in float32 and bfloat16 on this machine, as it is and held to fewer instructions.

numpy's BLAS multiplies float32, torch's oneDNN bfloat16. Both can be told to do without their
widest instructions, and so show what processors do that have none. Prints a table in Markdown; a
few seconds on an idle core.
"""

import json
import os
import subprocess
import sys

from active_rlhf.compute.products import Products

HELD = {
    "all instructions": {},
    "OpenBLAS with its kernels for AVX-512": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "AVX-512, no bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
}


def main() -> None:
    """Measure each in a process of its own."""
    print("| instructions | float32, GFLOP/s | bfloat16, GFLOP/s | `auto` takes |")
    print("|---|--:|--:|---|")
    for held, environment in HELD.items():
        text = subprocess.check_output(
            [sys.executable, "-m", "active_rlhf.compute.products"], env=os.environ | environment
        )
        found = Products(**json.loads(text))
        print(f"| {held} | {found.float32:.0f} | {found.bfloat16:.0f} | {found.faster} |")
    print(f"\n{found.processor}")


if __name__ == "__main__":
    main()
