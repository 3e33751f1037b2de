"""INI001 unused-suppression."""

from collections.abc import Iterator

from initlint.facts import Suppression
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class UnusedSuppression(Rule):
    """A comment silences a rule that has nothing to say there.

    ## What it does

    Finds codes in `# initlint: ignore[...]` and `# noqa: ...` that silenced no finding, and codes of initlint that no
    rule has. Asked is only after rules that were selected and whose every kind of evidence was gathered in this run: a
    rule that also looks at built models is not judged by a run that only reads. A bare `# noqa` or `# initlint:
    ignore` and the codes of other tools are left alone.

    ## Why it matters

    A suppression outlives what it was written for, and then hides the next defect on its line; a misspelt code never
    hid anything. ESLint reports the like with `--report-unused-disable-directives`
    ([ESLint](https://eslint.org/docs/latest/use/configure/rules#report-unused-eslint-disable-comments)), Ruff as RUF100
    ([Ruff](https://docs.astral.sh/ruff/rules/unused-noqa/)). Ruff itself takes our codes for its own: with
    `lint.external = ["INI"]` it leaves them in place.

    ## Example

        nn.init.normal_(self.fc.weight, std=0.02)  # noqa: INI501

    ## Use instead

        nn.init.normal_(self.fc.weight, std=0.02)

    ## When it is right to do this

    Where another version of initlint, or another selection of rules, still finds something there.

    ## Fix safety

    Safe: what goes is a code in a comment, or the comment where it held no other.
    """

    code, name, severity = "INI001", "unused-suppression", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            def init_weights(m):
                nn.init.normal_(m.weight, std=0.02)  # initlint: ignore[INI501] #~
                nn.init.xavier_uniform(m.weight)  # noqa: INI503, INI501 #~
                nn.init.zeros_(m.bias)
            """),
        Bad("""
            def init_weights(m):
                nn.init.xavier_uniform(m.weight)  # noqa: INI999, E501 #~
                nn.init.normal_(  # noqa: INI503 #~
                    m.weight,
                    std=0.02,
                )
            """),
    ]
    good = [
        Good("""
            def init_weights(m):
                nn.init.xavier_uniform(m.weight)  # noqa: INI503
                nn.init.normal_(  # initlint: ignore[INI501]
                    m.weight,
                    0.02,
                )
            """),
        Good("""
            def init_weights(m):
                nn.init.zeros_(m.bias)  # noqa
                nn.init.zeros_(m.bias)  # noqa: E501, S101
                nn.init.zeros_(m.bias)  # initlint: ignore
                nn.init.zeros_(m.bias)  # noqa: INI101
                nn.init.zeros_(m.bias)  # noqa: INI001
                print("# noqa: INI501")
            """),
    ]

    def check_suppression(self, suppression: Suppression) -> Iterator[Finding]:
        idle = [f"{code} finds nothing here" for code in suppression.idle]
        missing = [f"no rule is called {code}" for code in suppression.missing]
        if idle or missing:
            codes = ", ".join((*suppression.idle, *suppression.missing))
            yield self.at(
                suppression,
                f"the comment silences nothing by {codes}: {', '.join((*idle, *missing))}",
                help=f"take {codes} out of the comment",
            )
