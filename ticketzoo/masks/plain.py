"""The model inside the wrappers that are put around it, and its parameters by the names they have there."""

from torch import nn


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
    named = plain_model(model).named_parameters(remove_duplicate=False)
    return {name.replace("_orig_mod.", ""): parameter for name, parameter in named}
