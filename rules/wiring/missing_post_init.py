"""INI407 missing-post-init."""

from collections.abc import Iterator

from initlint.changes import CallAtEnd
from initlint.facts import ClassFacts
from initlint.findings import Finding, Severity, unsafe
from initlint.rule import SOURCE, Bad, Good, Rule


class MissingPostInit(Rule):
    """A class derived from transformers' PreTrainedModel never calls post_init().

    ## What it does

    Finds classes derived from `PreTrainedModel` that make layers in an `__init__` of their own, and in whose
    construction nothing calls `post_init()` or `init_weights()`, or initialises in any other way.

    ## Why it matters

    transformers applies `_init_weights` from `post_init()`, and nowhere else when a model is built from its
    configuration: without the call every layer keeps torch's default, `initializer_range` says nothing, weights are not
    tied, and recent versions fail to load checkpoints into the class. See
    [PreTrainedModel](https://huggingface.co/docs/transformers/main_classes/model) and its
    [guide to custom models](https://huggingface.co/docs/transformers/custom_models).

    ## Example

        class Tagger(BertPreTrainedModel):
            def __init__(self, config):
                super().__init__(config)
                self.bert = BertModel(config)
                self.head = nn.Linear(config.hidden_size, config.num_labels)

    ## Use instead

        class Tagger(BertPreTrainedModel):
            def __init__(self, config):
                super().__init__(config)
                self.bert = BertModel(config)
                self.head = nn.Linear(config.hidden_size, config.num_labels)
                self.post_init()

    ## When it is right to do this

    In a base that others derive from, which end their own construction with the call; where the class initialises by
    other means, or holds models that are already pretrained and must not be drawn again; where a decorator wraps
    `__init__`, which may do anything, and builds models on empty memory more often than not.

    ## Fix safety

    Unsafe: `__init__` ends with `self.post_init()`. That draws the model's weights from another distribution, which is
    its purpose, and those of a part that was loaded before as well.
    """

    code, name, severity = "INI407", "missing-post-init", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            from transformers import BertModel, BertPreTrainedModel

            class Tagger(BertPreTrainedModel):
                def __init__(self, config):  #~
                    super().__init__(config)
                    self.bert = BertModel(config)
                    self.head = nn.Linear(config.hidden_size, config.num_labels)

                def forward(self, x):
                    return self.head(self.bert(x)[0])
            """,
            fixed="""
            from transformers import BertModel, BertPreTrainedModel

            class Tagger(BertPreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.bert = BertModel(config)
                    self.head = nn.Linear(config.hidden_size, config.num_labels)
                    self.post_init()

                def forward(self, x):
                    return self.head(self.bert(x)[0])
            """,
        ),
        Bad(
            """
            from transformers import PretrainedConfig, PreTrainedModel

            class Block(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.fc = nn.Linear(config.hidden_size, config.hidden_size)

                def forward(self, x):
                    return x + self.fc(x)

            class NetPreTrainedModel(PreTrainedModel):
                config_class = PretrainedConfig

                def _init_weights(self, module):
                    if isinstance(module, nn.Linear):
                        nn.init.normal_(module.weight, std=self.config.initializer_range)

            class Net(NetPreTrainedModel):
                def __init__(self, config):  #~
                    super().__init__(config)
                    self.block = Block(config)

                def forward(self, x):
                    return self.block(x)
            """,
            fixed="""
            from transformers import PretrainedConfig, PreTrainedModel

            class Block(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.fc = nn.Linear(config.hidden_size, config.hidden_size)

                def forward(self, x):
                    return x + self.fc(x)

            class NetPreTrainedModel(PreTrainedModel):
                config_class = PretrainedConfig

                def _init_weights(self, module):
                    if isinstance(module, nn.Linear):
                        nn.init.normal_(module.weight, std=self.config.initializer_range)

            class Net(NetPreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.block = Block(config)
                    self.post_init()

                def forward(self, x):
                    return self.block(x)
            """,
        ),
    ]
    good = [
        Good("""
            from transformers import BertModel, BertPreTrainedModel

            class Tagger(BertPreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.bert = BertModel(config)
                    self.head = nn.Linear(config.hidden_size, config.num_labels)
                    self.post_init()

            class OldTagger(BertPreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.bert = BertModel(config)
                    self.head = nn.Linear(config.hidden_size, config.num_labels)
                    self.init_weights()
            """),
        Good("""
            from transformers import PreTrainedModel

            class NetPreTrainedModel(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.proj = nn.Linear(config.hidden_size, config.hidden_size)

            class Base(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.body = nn.Linear(config.hidden_size, config.hidden_size)

            class Net(Base):
                def __init__(self, config):
                    super().__init__(config)
                    self.head = nn.Linear(config.hidden_size, 2)
                    self.post_init()

            class Other(Net):
                def __init__(self, config):
                    super().__init__(config)
                    self.more = nn.Linear(2, 2)
            """),
        Good("""
            from transformers import AutoModel, PreTrainedModel

            class Own(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.fc = nn.Linear(config.hidden_size, 2)
                    self.apply(self._init_weights)

            class Wrapper(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.body = AutoModel.from_pretrained(config.name)
                    self.head = nn.Linear(config.hidden_size, 2)

            class Holder(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.model = build(config)
            """),
        Good("""
            from empty import on_empty_memory
            from transformers import PreTrainedModel

            class Encoder(PreTrainedModel):
                @on_empty_memory
                def __init__(self, config):
                    super().__init__(config)
                    self.body = nn.Linear(config.hidden_size, config.hidden_size)

                def forward(self, x):
                    return self.body(x)

            encoder = Encoder.from_pretrained("checkpoint")
            """),
        Good("""
            from transformers import BertModel, BertPreTrainedModel

            class Tagger(BertPreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.bert = BertModel(config)
                    self.head = nn.Linear(config.hidden_size, config.num_labels)
                    getattr(self, "post_init")()

                def forward(self, x):
                    return self.head(self.bert(x)[0])
            """),
    ]

    def check_klass(self, klass: ClassFacts) -> Iterator[Finding]:
        if not klass.finished:
            yield self.at(
                klass.constructor,
                f"{klass.name} is a PreTrainedModel, and nothing in its construction calls post_init(): "
                "_init_weights never runs, and its layers keep torch's default",
                help="end __init__ with self.post_init()",
                fix=unsafe(CallAtEnd(klass.constructor, "post_init")),
            )
