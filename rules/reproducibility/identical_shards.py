"""INI605 identical-shards."""

from collections.abc import Iterator
from typing import Any

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, Bad, Good, Rule


class IdenticalShards(Rule):
    """Ranks drew the same numbers for different parts of one tensor, or different ones for the same part.

    ## What it does

    Where a parameter lies in pieces over the processes of a run (FSDP2, tensor parallel), compares the pieces bit by
    bit: different parts of a random tensor that are identical, and replicas of one part that differ. Needs
    `initlint.audit(module, batch)` on every rank.

    ## Why it matters

    A model that is too large for one process is initialised after it is sharded. Then each rank draws for its own
    piece: from equal seeds every rank gets the same rows, and units start out as copies of each other; from different
    seeds replicas part, and each trains another model ([DTensor random
    ops](https://docs.pytorch.org/docs/stable/distributed.tensor.html) keep count of this on GPUs, not on CPUs, and
    not for `to_local()`).

    ## Example

        fully_shard(model)
        model.to_empty(device="cpu")
        torch.manual_seed(0)                 # on every rank
        nn.init.normal_(model.fc.weight, std=0.02)

    ## Use instead

        torch.manual_seed(torch.distributed.get_rank())   # without replicas; with them: the rank among the pieces
        nn.init.normal_(model.fc.weight, std=0.02)

    ## When it is right to do this

    For constants, which are not judged, and for a table that is one block over and over: ignore the parameter by name.

    ## Fix safety

    No fix: seeds are set elsewhere.
    """

    code, name, severity = "INI605", "identical-shards", Severity.ERROR
    needs = (PARAMETERS,)
    bad = [
        Bad(
            """
            from torch.distributed.fsdp import fully_shard

            def build():
                with torch.device("meta"):
                    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
                fully_shard(net)
                net.to_empty(device="cpu")
                torch.manual_seed(0)
                for m in net:
                    if isinstance(m, nn.Linear):
                        nn.init.normal_(m.weight, std=0.2)  #~
                        nn.init.zeros_(m.bias)
                return net, torch.randn(8, 16)
            """,
            by=("ranks",),
        ),
        Bad(
            """
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            def build():
                with torch.device("meta"):
                    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
                fully_shard(net, mesh=init_device_mesh("cpu", (2, 1), mesh_dim_names=("copy", "part")))
                net.to_empty(device="cpu")
                torch.manual_seed(torch.distributed.get_rank())
                for m in net:
                    if isinstance(m, nn.Linear):
                        nn.init.normal_(m.weight, std=0.2)  #~
                        nn.init.zeros_(m.bias)
                return net, torch.randn(8, 16)
            """,
            by=("ranks",),
        ),
    ]
    good = [
        Good(
            """
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            def build():
                with torch.device("meta"):
                    net = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 4))
                fully_shard(net[0])
                fully_shard(net, mesh=init_device_mesh("cpu", (2, 1), mesh_dim_names=("copy", "part")))
                net.to_empty(device="cpu")
                torch.manual_seed(torch.distributed.get_rank())
                nn.init.normal_(net[0].weight, std=0.2)
                torch.manual_seed(2)
                nn.init.normal_(net[3].weight, std=0.2)
                nn.init.ones_(net[1].weight)
                for m in (net[0], net[1], net[3]):
                    nn.init.zeros_(m.bias)
                return net, torch.randn(8, 16)
            """,
            by=("ranks",),
        ),
        Good(
            """
            from torch.distributed.fsdp import fully_shard

            def build():
                net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
                for m in net:
                    if isinstance(m, nn.Linear):
                        nn.init.normal_(m.weight, std=0.2)
                fully_shard(net)
                return net, torch.randn(8, 16)
            """,
            by=("ranks",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        sharding = parameter.sharding
        if absent(sharding) or sharding is None:
            return
        if not absent(sharding.strays):
            yield self._of(
                parameter,
                sharding.strays,
                "are to hold the same values, and theirs differ: each drew for itself",
                "give replicas equal seeds, or broadcast the values of one of them",
            )
        elif not absent(sharding.twins) and parameter.distribution.is_random and parameter.statistics.row_spread > 0:
            yield self._of(
                parameter,
                sharding.twins,
                "hold different parts of it, which are bit-identical: each drew from the same seed",
                "seed each rank that holds another part differently, or initialise before sharding",
            )

    def _of(self, parameter: Parameter, ranks: Any, what: str, help: str) -> Finding:
        one, other = ranks
        message = f"{parameter.name}: ranks {one} and {other} {what}"
        return self.at(parameter, message, help=help, evidence={"ranks": [one, other]})
