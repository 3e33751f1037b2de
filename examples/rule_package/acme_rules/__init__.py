"""Acme's rules for initlint: a configuration names this package in ``plugins``."""

from acme_rules.wide_embedding import WideEmbedding

__all__ = ["WideEmbedding"]
