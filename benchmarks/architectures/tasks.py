"""What the architectures are trained on: small synthetic tasks that a sound network learns in a few hundred steps.

Each has structure that needs the body of the network: clusters that no hyperplane parts, shifted patterns, contexts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

__all__ = ["TASKS", "Task"]

Sample = tuple[tuple[Tensor, ...], Tensor]


@dataclass(frozen=True)
class Task:
    """``sample(count, generator)`` draws inputs and a target; ``loss`` is what is minimised, ``score`` what is judged.

    Lower is better for both. ``score`` is the loss where it is not given.
    """

    sample: Callable[[int, Generator], Sample]
    loss: Callable[[Any, Tensor], Tensor]
    score: Callable[[Any, Tensor], Tensor] | None = None


@functools.cache
def _fixed(name: str, *shape: int) -> Tensor:
    """A tensor that belongs to a task, N(0, 1), the same in every run."""
    return torch.randn(*shape, generator=Generator().manual_seed(sum(name.encode()) * 1009 + len(shape)))


def _classes(output: Any, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


def _pixels(output: Any, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target)


def _squares(output: Any, target: Tensor) -> Tensor:
    return F.mse_loss(output, target)


def _clusters(count: int, g: Generator) -> Sample:
    """Ten classes of four clusters each in six dimensions, seen through 32 features."""
    which = torch.randint(40, (count,), generator=g)
    latent = 2 * _fixed("centres", 40, 6)[which] + 0.4 * torch.randn(count, 6, generator=g)
    return (latent @ _fixed("features", 6, 32) / 6**0.5 / 2,), which % 10


def _images(channels: int, count: int, g: Generator) -> Sample:
    """Sixteen low-frequency patterns of ten classes, shifted at random, in noise."""
    which = torch.randint(16, (count,), generator=g)
    patterns = F.interpolate(_fixed("patterns", 16, 3, 5, 5)[:, :channels], size=(16, 16), mode="bicubic")
    shifts = torch.randint(5, (count, 2), generator=g).tolist()
    shifted = [torch.roll(patterns[w], tuple(s), (1, 2)) for w, s in zip(which.tolist(), shifts, strict=True)]
    return (torch.stack(shifted) + 0.5 * torch.randn(count, channels, 16, 16, generator=g),), which % 10


def _segments(count: int, g: Generator) -> Sample:
    """Where a smooth field is high, low or between, seen in noise."""
    field = F.interpolate(torch.randn(count, 1, 5, 5, generator=g), size=(16, 16), mode="bicubic")
    target = (field[:, 0] > 0.4).long() + (field[:, 0] > -0.4).long()
    return (field + 0.5 * torch.randn(count, 1, 16, 16, generator=g),), target


def _restored(count: int, g: Generator) -> Sample:
    """A smooth image to be had back from itself in noise."""
    field = F.interpolate(torch.randn(count, 1, 5, 5, generator=g), size=(16, 16), mode="bicubic")
    return (field + 0.5 * torch.randn(count, 1, 16, 16, generator=g),), field


def _chain(styles: Tensor, length: int, g: Generator) -> Tensor:
    """Token sequences in which the style of each says which token follows which, nine times out of ten."""
    following = _fixed("following", 4, 64).argsort(dim=1)
    following = torch.where(following == 0, following.roll(1, 1), following)
    tokens = [torch.randint(1, 64, styles.shape, generator=g)]
    for _ in range(length):
        noise = torch.rand(styles.shape, generator=g) < 0.1
        other = torch.randint(1, 64, styles.shape, generator=g)
        tokens.append(torch.where(noise, other, following[styles, tokens[-1]]))
    return torch.stack(tokens, dim=1)


def _language(count: int, g: Generator) -> Sample:
    tokens = _chain(torch.randint(2, (count,), generator=g), 16, g)
    return (tokens[:, :-1],), tokens[:, 1:]


def _translation(count: int, g: Generator) -> Sample:
    """A source whose words tell the style in which the target goes on."""
    styles = torch.randint(4, (count,), generator=g)
    source = 1 + (styles[:, None] * 16 + torch.randint(20, (count, 8), generator=g)) % 63
    tokens = _chain(styles, 12, g)
    return (source, tokens[:, :-1]), tokens[:, 1:]


def _topics(count: int, g: Generator) -> Sample:
    """Eight topics: which chain the words follow, and with which words it starts."""
    label = torch.randint(8, (count,), generator=g)
    tokens = _chain(label % 4, 15, g)
    marks = 1 + (label[:, None] // 4 * 30 + torch.randint(34, (count, 3), generator=g)) % 63
    tokens[:, :3] = marks
    return (tokens,), label


def _signals(count: int, g: Generator) -> Sample:
    """Series of four channels; the class is the frequency and the channel that carries it."""
    label = torch.randint(8, (count,), generator=g)
    time = torch.arange(24) / 24
    phase = torch.rand(count, 1, generator=g)
    wave = torch.sin(6.283 * ((1 + label[:, None] // 4 * 2) * time + phase))
    series = 0.5 * torch.randn(count, 24, 4, generator=g)
    series[torch.arange(count), :, label % 4] += wave
    return (series,), label


def _graphs(count: int, g: Generator) -> Sample:
    """Nodes of random graphs, each to be told what its neighbours' features add up to."""
    links = (torch.rand(count, 10, 10, generator=g) < 0.15).float()
    links = ((links + links.transpose(1, 2)) > 0).float()
    links = links * (1 - torch.eye(10)) + torch.eye(10)
    nodes = torch.randn(count, 10, 8, generator=g)
    votes = (links / links.sum(2, keepdim=True)) @ torch.tanh(nodes @ _fixed("votes", 8, 4))
    return (nodes, links), votes.argmax(dim=2)


def _points(count: int, g: Generator) -> Sample:
    """Clouds of points around four centres; the class is the shape that the centres make."""
    label = torch.randint(8, (count,), generator=g)
    centres = _fixed("shapes", 8, 4, 3)[label]
    which = torch.randint(4, (count, 24), generator=g)
    points = torch.gather(centres, 1, which[:, :, None].expand(-1, -1, 3))
    return (points + 0.3 * torch.randn(count, 24, 3, generator=g),), label


def _wave(count: int, g: Generator) -> Sample:
    """A function of two coordinates with detail in it."""
    at = 2 * torch.rand(count, 2, generator=g) - 1
    angles = at @ _fixed("waves", 2, 4) * 3
    return (at,), torch.sin(angles) @ _fixed("heights", 4, 1)


def _product(count: int, g: Generator) -> Sample:
    """A smooth function of 16 features."""
    x = torch.randn(count, 16, generator=g)
    hidden = torch.tanh(x @ _fixed("teacher", 16, 12) / 2)
    return (x,), hidden @ _fixed("sums", 12, 2) / 2


def _manifold(count: int, g: Generator) -> Sample:
    """Points on a curved surface of four dimensions in 32, to be given back."""
    latent = torch.randn(count, 4, generator=g)
    x = torch.tanh(latent @ _fixed("surface", 4, 24)) @ _fixed("room", 24, 32) / 24**0.5
    return (x,), x


def _with_divergence(output: Any, target: Tensor) -> Tensor:
    """Of a variational autoencoder that returns (reconstruction, mean, log-variance)."""
    shown, mean, log_variance = output
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()
    return F.mse_loss(shown, target) + 0.01 * divergence


def _shown(output: Any, target: Tensor) -> Tensor:
    return F.mse_loss(output[0], target)


def _noised(count: int, g: Generator) -> Sample:
    """Data in noise of a strength that is told, from which the noise is to be had."""
    (x,), _ = _manifold(count, g)
    time = torch.rand(count, 1, generator=g)
    noise = torch.randn(count, 32, generator=g)
    return (torch.sqrt(1 - time) * x + torch.sqrt(time) * noise, time), noise


def _rated(count: int, g: Generator) -> Sample:
    """Ratings that users give to items: the product of what each likes and is, which are of few kinds."""
    users, items = torch.randint(64, (count,), generator=g), torch.randint(64, (count,), generator=g)
    likes, has = _fixed("likes", 8, 3)[users % 8], _fixed("has", 8, 3)[items % 8]
    return (users, items), (likes * has).sum(1, keepdim=True)


def _contest(count: int, g: Generator) -> Sample:
    """Noise for a generator and real points for the discriminator that it is up against."""
    latent = torch.randn(count, 8, generator=g)
    real = torch.tanh(torch.randn(count, 2, generator=g)) @ _fixed("real", 2, 8) + 1
    return (latent, real), real


def _adversarial(output: Any, target: Tensor) -> Tensor:
    """(verdict on what was made, verdict on what is real, what was made); the generator's gradient comes reversed.

    Matched moments keep the two from running away from each other, and are what is scored.
    """
    made, real, _ = output
    return F.softplus(made).mean() + F.softplus(-real).mean() + _likeness(output, target)


def _likeness(output: Any, target: Tensor) -> Tensor:
    """How far mean and covariance of what was made are from those of what is real."""
    made = output[2]
    return (made.mean(0) - target.mean(0)).square().mean() + (torch.cov(made.T) - torch.cov(target.T)).square().mean()


def _views(count: int, g: Generator) -> Sample:
    """Two views of each of several things, every one different; which left goes with which right."""
    latent = torch.randn(count, 4, generator=g)
    left = torch.tanh(latent @ _fixed("left", 4, 12)) @ _fixed("left eye", 12, 24) / 12**0.5
    right = torch.tanh(latent @ _fixed("right", 4, 12)) @ _fixed("right eye", 12, 16) / 12**0.5
    noise = 0.1 * torch.randn(count, 40, generator=g)
    return (left + noise[:, :24], right + noise[:, 24:]), torch.arange(count)


def _contrast(output: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy both ways of a table of likenesses."""
    return (F.cross_entropy(output, target) + F.cross_entropy(output.T, target)) / 2


def _fusion(count: int, g: Generator) -> Sample:
    """Two inputs of which only products tell anything."""
    a, b = torch.randn(count, 12, generator=g), torch.randn(count, 12, generator=g)
    products = torch.tanh(a @ _fixed("asked", 12, 3) / 3) * torch.tanh(b @ _fixed("shown", 12, 3) / 3)
    return (a, b), 2 * products @ _fixed("answers", 3, 2)


def _forked(count: int, g: Generator) -> Sample:
    """A smooth function and one of two offsets to it."""
    x = torch.randn(count, 8, generator=g)
    value = torch.tanh(x @ _fixed("fork", 8, 6) / 2) @ _fixed("tines", 6, 1)
    offset = torch.randint(2, (count, 1), generator=g).float() - 0.5
    return (x,), value + offset + 0.1 * torch.randn(count, 1, generator=g)


def _likelihood(output: Any, target: Tensor) -> Tensor:
    """Negative, of the target under a mixture (log-shares, means, log-widths)."""
    shares, means, widths = output
    each = -0.5 * ((target - means) / widths.exp()) ** 2 - widths
    return -torch.logsumexp(shares + each, dim=1).mean()


def _mean_error(output: Any, target: Tensor) -> Tensor:
    """Of the mixture's mean."""
    shares, means, _ = output
    return F.mse_loss((shares.exp() * means).sum(1, keepdim=True), target)


def _policy(output: Any, target: Tensor) -> Tensor:
    """(logits of actions, value): the right action, and a value that hangs on it."""
    actions, value = output
    return F.cross_entropy(actions, target) + 0.5 * F.mse_loss(value, target.float().cos())


def _action(output: Any, target: Tensor) -> Tensor:
    return F.cross_entropy(output[0], target)


TASKS = {
    "clusters": Task(_clusters, _classes),
    "images": Task(functools.partial(_images, 3), _classes),
    "grey images": Task(functools.partial(_images, 1), _classes),
    "segments": Task(_segments, _pixels),
    "restored": Task(_restored, _squares),
    "language": Task(_language, _classes),
    "translation": Task(_translation, _classes),
    "topics": Task(_topics, _classes),
    "signals": Task(_signals, _classes),
    "graphs": Task(_graphs, _classes),
    "points": Task(_points, _classes),
    "wave": Task(_wave, _squares),
    "product": Task(_product, _squares),
    "manifold": Task(_manifold, _squares),
    "variational": Task(_manifold, _with_divergence, _shown),
    "noise": Task(_noised, _squares),
    "ratings": Task(_rated, _squares),
    "views": Task(_views, _contrast),
    "fusion": Task(_fusion, _squares),
    "forked": Task(_forked, _likelihood, _mean_error),
    "policy": Task(_clusters, _policy, _action),
    "contest": Task(_contest, _adversarial, _likeness),
}
