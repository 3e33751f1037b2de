"""INI406 padding-row-overwritten."""

from collections.abc import Iterator

from initlint.changes import ZeroPaddingRow
from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity, unsafe
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class PaddingRowOverwritten(Rule):
    """An initialiser draws the whole table of an embedding, its padding row included.

    ## What it does

    Finds embeddings with a `padding_idx` whose row for it is left with other values than zero by an initialiser.

    ## Why it matters

    `nn.Embedding(n, d, padding_idx=0)` zeroes that row when it is made, and gives it no gradient
    ([nn.Embedding](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html)). Once drawn over, the row
    keeps its random values for good: every padding position adds the same noise to sums, means and attention.

    ## Example

        self.items = nn.Embedding(1000, 64, padding_idx=0)
        nn.init.normal_(self.items.weight, std=0.02)

    ## Use instead

        self.items = nn.Embedding(1000, 64, padding_idx=0)
        nn.init.normal_(self.items.weight, std=0.02)
        with torch.no_grad():
            self.items.weight[0].zero_()

    ## When it is right to do this

    Without a `padding_idx`. Where the model masks the padding positions everywhere, the row does no harm; zero it all
    the same, or leave `padding_idx` out.

    ## Fix safety

    Unsafe: after the initialiser the row of `padding_idx` is zeroed, in every embedding that has one. In a model that
    is trained already that would be another row than the one it was trained with.
    """

    code, name, severity = "INI406", "padding-row-overwritten", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Recommender(nn.Module):
                def __init__(self, args):
                    super().__init__()
                    self.items = nn.Embedding(args.items, args.width, padding_idx=0)
                    self.positions = nn.Embedding(args.length, args.width)
                    self.args = args
                    self.apply(self.init_weights)

                def init_weights(self, module):
                    if isinstance(module, (nn.Linear, nn.Embedding)):
                        module.weight.data.normal_(mean=0.0, std=self.args.initializer_range)  #~
            """,
            fixed="""
            class Recommender(nn.Module):
                def __init__(self, args):
                    super().__init__()
                    self.items = nn.Embedding(args.items, args.width, padding_idx=0)
                    self.positions = nn.Embedding(args.length, args.width)
                    self.args = args
                    self.apply(self.init_weights)

                def init_weights(self, module):
                    if isinstance(module, (nn.Linear, nn.Embedding)):
                        module.weight.data.normal_(mean=0.0, std=self.args.initializer_range)
                        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                            nn.init.zeros_(module.weight[module.padding_idx])
            """,
        ),
        Bad(
            """
            def Embedding(count, width, padding_idx):
                table = nn.Embedding(count, width, padding_idx=padding_idx)
                nn.init.uniform_(table.weight, -0.1, 0.1)  #~
                nn.init.zeros_(table.weight[1:2])
                return table

            class Encoder(nn.Module):
                def __init__(self, count=100):
                    super().__init__()
                    self.tokens = Embedding(count, 16, -1)
            """,
            fixed="""
            def Embedding(count, width, padding_idx):
                table = nn.Embedding(count, width, padding_idx=padding_idx)
                nn.init.uniform_(table.weight, -0.1, 0.1)
                if table.padding_idx is not None:
                    nn.init.zeros_(table.weight[table.padding_idx])
                nn.init.zeros_(table.weight[1:2])
                return table

            class Encoder(nn.Module):
                def __init__(self, count=100):
                    super().__init__()
                    self.tokens = Embedding(count, 16, -1)
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good("""
            class Recommender(nn.Module):
                def __init__(self, args, pad, table):
                    super().__init__()
                    self.items = nn.Embedding(args.items, args.width, padding_idx=0)
                    self.users = nn.Embedding(args.users, args.width, padding_idx=pad)
                    self.words = nn.Embedding(1000, args.width, padding_idx=-1)
                    self.flags = nn.Embedding(2, args.width, padding_idx=0)
                    self.given = nn.Embedding(1000, args.width, padding_idx=0)
                    self.kinds = nn.Embedding(args.kinds, args.width)
                    self.maybe = nn.Embedding(args.kinds, args.width, args.pad)
                    self.apply(self.init_weights)
                    nn.init.zeros_(self.words.weight[999])
                    self.words.weight.data[:10].fill_(1.0)
                    nn.init.zeros_(self.flags.weight)
                    self.given.weight.data.copy_(table)
                    self.flags.reset_parameters()

                def init_weights(self, module):
                    if isinstance(module, nn.Embedding):
                        nn.init.normal_(module.weight, std=0.02)
                        if module.padding_idx is not None:
                            module.weight.data[module.padding_idx].zero_()
            """),
        Good("""
            class Tagger(nn.Module):
                def __init__(self, args, count=100):
                    super().__init__()
                    self.maybe = nn.Embedding(count, 16, padding_idx=args.pad_token_id)
                    nn.init.normal_(self.maybe.weight)
                    self.tokens = nn.Embedding(count, 16, padding_idx=0)
                    self.tokens.weight.data[1:].normal_(std=0.02)
                    self.tags = nn.Embedding(count, 16, padding_idx=0)
                    nn.init.normal_(self.tags.weight)
                    self.tags.weight.data[0] = 0
                    self.marks = nn.Embedding(count, 16, padding_idx=0)
                    nn.init.normal_(self.marks.weight)
                    self.marks._fill_padding_idx_with_zero()
            """),
        Good(
            """
            class Tagger(nn.Module):
                def __init__(self, count=100):
                    super().__init__()
                    self.plain = nn.Embedding(count, 16)
                    self.tokens = nn.Embedding(count, 16, padding_idx=0)
                    self.tokens.weight.data[1:].normal_(std=0.02)
                    self.tags = nn.Embedding(count, 16, padding_idx=0)
                    nn.init.normal_(self.tags.weight)
                    self.tags.weight.data[0] = 0
                    self.given = nn.Embedding.from_pretrained(torch.arange(32.0).view(2, 16), padding_idx=1)
                    for table in (self.plain, self.tags):
                        nn.init.uniform_(table.weight, -0.1, 0.1)
                        if table.padding_idx is not None:
                            nn.init.zeros_(table.weight[table.padding_idx])
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        write = parameter.padding_write
        if absent(write) or write is None:
            return
        law = write.distribution
        if write.is_deliberate and (law.is_random or (law.is_constant and not law.is_zero)):
            yield self.at(
                write.location,
                f"{write.short} draws over the padding row of {parameter.name}, which gets no gradient and stays so",
                help="zero the row of padding_idx again after the initialiser",
                fix=unsafe(ZeroPaddingRow(write.location)),
                parameters=(parameter,),
                layer=parameter.layer,
            )
