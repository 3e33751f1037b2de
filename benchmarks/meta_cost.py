"""What ``--meta`` costs: decoders of 70 billion parameters, built and audited without a weight.

    python benchmarks/meta_cost.py

Each is audited in a process of its own; seconds and peak memory are of the whole process, torch's import included.
Llama is there where transformers is installed.
"""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
import time
from pathlib import Path

SECONDS, GIGABYTES = 30.0, 2.0
EXAMPLE = Path(__file__).parent.parent / "examples/sound/decoder_70b.py"

LLAMA = """
from transformers import LlamaConfig, LlamaForCausalLM
def build():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=128_256, hidden_size=8192, intermediate_size=28_672, num_hidden_layers=80,
        num_attention_heads=64, num_key_value_heads=8, rope_theta=500_000.0,
    ))
"""


def decoder() -> object:
    specification = importlib.util.spec_from_file_location("decoder_70b", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["decoder_70b"] = module
    specification.loader.exec_module(module)
    return module.decoder_70b


def llama() -> object:
    scope: dict[str, object] = {}
    exec(LLAMA, scope)
    return scope["build"]


def audited(name: str) -> int:
    """Audit one model in this process and print what it took."""
    began = time.perf_counter()
    import initlint

    report = initlint.audit({"decoder": decoder, "llama": llama}[name](), meta=True)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    gigabytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30
    model = report.models[0]
    told = sum(row.forward_std is not None for row in model.layers)
    print(
        f"{name}: {(model.parameters or 0) / 1e9:.1f} billion parameters, {seconds:.1f} s (limit {SECONDS:g}; "
        f"{used.ru_utime + used.ru_stime:.1f} s of processor time), peak {gigabytes:.2f} GB (limit {GIGABYTES:g}), "
        f"{len(report.findings)} findings, a figure for {told} of {len(model.layers)} layers"
    )
    for line in (*report.failures, *report.notes):
        print(f"  {line}")
    return int(seconds > SECONDS or gigabytes > GIGABYTES or bool(report.findings))


def main() -> int:
    if len(sys.argv) > 1:
        return audited(sys.argv[1])
    names = ["decoder", "llama"] if importlib.util.find_spec("transformers") else ["decoder"]
    return max(subprocess.run([sys.executable, __file__, name], check=False).returncode for name in names)


if __name__ == "__main__":
    sys.exit(main())
