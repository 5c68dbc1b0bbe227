"""The model inside the wrappers that are put around it, and its parameters by the names they have there."""

from torch import nn

_WRAPPED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""Attributes under which wrappers of torch keep the module that they are put around."""


def plain_model(model: nn.Module) -> nn.Module:
    """Return the model inside what `torch.compile`, DataParallel and DistributedDataParallel put around it."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            return model


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter by its name in the plain model; tied parameters appear under each of their names."""
    plain = plain_model(model)
    return {plain_name(name, plain): value for name, value in plain.named_parameters(remove_duplicate=False)}


def plain_name(name: str, model: nn.Module) -> str:
    """Return the name that a tensor of `model` has without the wrappers around its layers."""
    kept: list[str] = []
    module: nn.Module | None = model
    for part in name.split("."):
        if module is None or not is_wrapped(module, part):
            kept.append(part)
        module = None if module is None else module._modules.get(part)
    return ".".join(kept)


def is_wrapped(module: nn.Module, child: str) -> bool:
    """Tell whether `module` is a wrapper around its child of that name: of torch, or an adapter of peft."""
    return child in _WRAPPED or (child == "base_layer" and is_adapter(module))


def is_adapter(module: nn.Module) -> bool:
    """Tell whether a module is one of peft's layers, whose own parameters are added to those of a layer inside."""
    return hasattr(module, "adapter_layer_names") and "base_layer" in module._modules
