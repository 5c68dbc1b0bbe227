"""Digests of Python objects by their content: functions by their code and all that it refers to."""

import enum
import functools
import hashlib
import inspect
import logging
import re
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import nn

_INSTALLED = tuple(str(Path(sysconfig.get_path(key)).resolve()) for key in ("stdlib", "purelib", "platlib"))
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_VALUES = (type(None), bool, int, float, complex, str, bytes, PurePath, range, type(...), torch.dtype, torch.device)
_WRAPPERS = (types.FunctionType, staticmethod, classmethod, property)

_Seen = dict[int, tuple[Any, str]]
"""What was digested by its id, with itself, so that no other object gets the id meanwhile."""


def digest_of(*things: Any) -> str | None:
    """Return a digest of `things` that other content, code or settings would change; the same in every process.

    Functions count by their compiled code, defaults, closure, and the globals that they name; classes by their
    methods; objects by class and attributes; tensors by their elements; what is installed by its name.

    Returns:
        64 hex digits, or None where one of them holds what has no content to go by, such as a lock.
    """
    try:
        return _digest(things, {})
    except (TypeError, ValueError, RuntimeError):
        return None


def network_digest(model: nn.Module) -> str | None:
    """Return a digest of the classes of a network's modules, and of their settings; weights do not count."""
    modules = [(name, type(module), _settings(module)) for name, module in model.named_modules()]
    return digest_of(_ADDRESS.sub("", repr(model)), modules)


def _settings(module: nn.Module) -> dict[str, Any]:
    """Return the attributes of a module that are none of torch's own: no weights, no modules in it, no hooks."""
    return {key: value for key, value in vars(module).items() if not key.startswith("_")}


def _digest(thing: Any, seen: _Seen) -> str:
    if isinstance(thing, _VALUES):
        return hashlib.sha256(f"{type(thing).__name__} {thing!r}".encode()).hexdigest()
    if id(thing) not in seen:
        seen[id(thing)] = thing, "cycle"
        told = hashlib.sha256(type(thing).__qualname__.encode())
        for part in _parts(thing, seen):
            told.update(_digest(part, seen).encode())
        seen[id(thing)] = thing, told.hexdigest()
    return seen[id(thing)][1]


def _parts(thing: Any, seen: _Seen) -> Iterable[Any]:
    """Return what `thing` consists of."""
    if isinstance(thing, torch.Tensor):
        return [str((thing.dtype, tuple(thing.shape))), _elements(thing)]
    if isinstance(thing, np.ndarray | np.generic) and thing.dtype != object:
        return [str((thing.dtype, thing.shape)), hashlib.sha256(thing.tobytes()).hexdigest()]
    if isinstance(thing, set | frozenset):
        return sorted(_digest(item, seen) for item in thing)
    if isinstance(thing, Mapping) and not hasattr(thing, "__dict__"):
        return [part for pair in thing.items() for part in pair]
    if isinstance(thing, list | tuple):
        return thing
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, types.CodeType):
        return [thing.co_code, thing.co_consts, thing.co_names, thing.co_varnames]
    if isinstance(thing, logging.Logger):
        return [thing.name]
    if isinstance(thing, enum.Enum):
        return [type(thing), thing.name]
    return _named(thing) or _made(thing)


def _named(thing: Any) -> list[Any]:
    """Return the name of a module, or of an installed function or class; nothing of others."""
    if isinstance(thing, types.ModuleType):
        return [thing.__name__]
    if isinstance(thing, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType):
        owner = getattr(thing, "__self__", None)
        return [thing.__qualname__, None if isinstance(owner, types.ModuleType) else owner]
    if isinstance(thing, type | types.FunctionType) and _is_installed(thing.__module__):
        closure = [_content(cell) for cell in getattr(thing, "__closure__", None) or ()]
        return [f"{thing.__module__}.{thing.__qualname__}", *closure]
    return []


def _made(thing: Any) -> list[Any]:
    if isinstance(thing, types.FunctionType):
        cells = [_content(cell) for cell in thing.__closure__ or ()]
        return [thing.__code__, thing.__defaults__, thing.__kwdefaults__, cells, _globals_of(thing)]
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget, thing.fset]
    if isinstance(thing, types.MemberDescriptorType | types.GetSetDescriptorType):
        return [thing.__qualname__]
    if isinstance(thing, type):
        own = {key: value for key, value in vars(thing).items() if key != "_abc_impl"}
        kept = {k: v for k, v in own.items() if isinstance(v, _WRAPPERS) or not k.startswith("__")}
        return [thing.__qualname__, thing.__bases__, kept]
    if hasattr(thing, "__dict__"):
        items = list(thing.items()) if isinstance(thing, Mapping) else []
        return [type(thing), vars(thing), items]
    raise TypeError(f"{type(thing).__name__} has no content to go by")


def _globals_of(function: types.FunctionType) -> dict[str, Any]:
    """Return the globals that a function's code names; of a module of the user's own, what is named of it."""
    names = _names_in(function.__code__)
    found = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    of_modules = {
        f"{alias}.{name}": vars(module)[name]
        for alias, module in found.items()
        if inspect.ismodule(module) and not _is_installed(module.__name__)
        for name in sorted(names)
        if name in vars(module)
    }
    return found | of_modules


def _names_in(code: types.CodeType) -> set[str]:
    inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was not given a value yet
        return "empty"


def _elements(tensor: torch.Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(plain.numpy().tobytes()).hexdigest()


@functools.cache
def _is_installed(name: str | None) -> bool:
    """Return whether a module is of the standard library, of an installed package, or of this one."""
    top = (name or "__main__").partition(".")[0]
    if top == "__main__":
        return False
    if top in sys.stdlib_module_names or top == "ticketzoo":
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is not None and str(Path(file).resolve()).startswith(_INSTALLED)
