"""Parameters by the factor of their learning rate."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(module: nn.Module) -> dict[float, list[nn.Parameter]]:
    """Return the parameters that train by the factor of their learning rate; those of factor 1 come first.

    A part of the module has a factor where it has an attribute `rate_factor`, a number above 0. It holds for all
    parameters in it but those of a part further in that has one as well.
    """
    factors: dict[nn.Parameter, float] = {}
    for part in module.modules():  # outer ones first
        factor: Any = getattr(part, "rate_factor", None)
        if factor is not None:
            factors |= dict.fromkeys(part.parameters(), float(factor))
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for parameter in module.parameters():
        if parameter.requires_grad:
            groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return {factor: parameters for factor, parameters in groups.items() if parameters}
