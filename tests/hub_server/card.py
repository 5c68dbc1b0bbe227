"""The metadata of a model card: what the Hub refuses in it, and the tags it makes of it.

The rules are those of the public specification (`modelcard.md` and the table of licenses in the Hub's documentation);
messages are worded like the Hub's. Fields that neither mentions are accepted, as the Hub accepts them.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

FRONT_MATTER = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")  # as in the client
MISSING = "empty or missing yaml metadata in repo card"
INVALID = "The YAML metadata of your README.md is invalid."
REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")

_LICENSES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m "
    "afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 "
    "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl "
    "gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr "
    "mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr "
    "deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 "
    "grok2-community gemma unknown other"
)
LICENSES = _LICENSES.split()


class _StrictLoader(yaml.SafeLoader):
    """YAML as the Hub reads it: a key given twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(map(str, keys))):
            raise yaml.constructor.ConstructorError(None, None, "duplicated mapping key", node.start_mark)
        return super().construct_mapping(node, deep)


def validate(readme: str) -> tuple[list[str], list[str]]:
    """The errors for which the Hub refuses the card, and its warnings."""
    block = FRONT_MATTER.search(readme)
    if block is None:
        return [], [MISSING]
    try:
        metadata = yaml.load(block[2], _StrictLoader)
    except yaml.YAMLError as error:
        return [f"Invalid YAML in README.md: {' '.join(str(error).split())}"], []
    if isinstance(metadata, list):
        return ['"value" must be of type object'], []
    if not isinstance(metadata, dict):
        return [INVALID], []
    return list(_errors(metadata)), []


def metadata_of(readme: str) -> dict[str, Any]:
    """The card's metadata in JSON's own types, empty if there is none that is valid."""
    block = FRONT_MATTER.search(readme)
    if block is None or validate(readme)[0]:
        return {}
    text = json.dumps(yaml.load(block[2], _StrictLoader), default=str)
    loaded: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return loaded


def tags_of(metadata: Mapping[str, Any], readme: str, paths: Iterable[str]) -> list[str]:
    """The tags a repository is found by: its card's, those made of other fields, and those its files show."""
    tags = [metadata.get("library_name")]
    tags += ["safetensors"] if any(path.endswith(".safetensors") for path in paths) else []
    tags += [*_listed(metadata, "tags"), metadata.get("pipeline_tag"), *_listed(metadata, "language")]
    tags += [f"dataset:{dataset}" for dataset in _listed(metadata, "datasets")]
    tags += [f"arxiv:{paper}" for paper in ARXIV.findall(readme)]
    relation = metadata.get("base_model_relation", "finetune")
    for base in _listed(metadata, "base_model"):
        tags += [f"base_model:{base}", f"base_model:{relation}:{base}"]
    tags += [f"license:{license}" for license in _listed(metadata, "license")]
    tags += ["model-index"] if metadata.get("model-index") else []
    return list(dict.fromkeys(tag for tag in [*tags, "region:us"] if tag))


def _listed(metadata: Mapping[str, Any], name: str) -> list[str]:
    value = metadata.get(name)
    return value if isinstance(value, list) else [] if value is None else [value]


def _errors(metadata: dict[str, Any]) -> Iterable[str]:
    for name in ("library_name", "pipeline_tag", "license_name"):
        if name in metadata and not isinstance(metadata[name], str):
            yield f'"{name}" must be a string'
    for name in ("tags", "widget"):
        if name in metadata and not isinstance(metadata[name], list):
            yield f'"{name}" must be an array'
    for name in ("tags", "language"):
        for where, value in _items(metadata, name):
            if not isinstance(value, str):
                yield f'"{where}" must be a string'
    for where, value in _items(metadata, "license"):
        if value not in LICENSES:
            yield f'"{where}" must be one of [{", ".join(LICENSES)}]'
    yield from _ids(metadata, "datasets", "If possible, use a dataset id from https://hf.co/datasets.")
    yield from _ids(metadata, "base_model", "Use a model id from https://hf.co/models.")
    if "model-index" in metadata:
        yield from _model_index(metadata["model-index"])


def _items(metadata: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    """A field's values with their names in messages: `name`, or `name[0]`, `name[1]`, ... of a list."""
    value = metadata.get(name)
    if isinstance(value, list):
        yield from ((f"{name}[{i}]", item) for i, item in enumerate(value))
    elif name in metadata:
        yield name, value


def _ids(metadata: Mapping[str, Any], name: str, advice: str) -> Iterable[str]:
    for where, value in _items(metadata, name):
        if not isinstance(value, str):
            yield f'"{where}" must be a string'
        elif not REPO_ID.fullmatch(value):
            yield f'"{where}" with value "{value}" is not valid. {advice}'


def _model_index(models: Any) -> Iterable[str]:
    for where, model in _objects(models, "model-index"):
        yield from _fields(model, where, {"name": _is_string})
        for at, result in _objects(model.get("results"), f"{where}.results"):
            yield from _fields(result, at, {"task": _is_object, "dataset": _is_object}, {"source": _is_object})
            task, dataset = result.get("task"), result.get("dataset")
            if isinstance(task, dict):
                yield from _fields(task, f"{at}.task", {"type": _is_string}, {"name": _is_string})
            if isinstance(dataset, dict):
                optional = dict.fromkeys(("config", "split", "revision"), _is_string)
                yield from _fields(dataset, f"{at}.dataset", dict.fromkeys(("type", "name"), _is_string), optional)
            for which, metric in _objects(result.get("metrics"), f"{at}.metrics"):
                optional = dict.fromkeys(("name", "config"), _is_string)
                yield from _fields(metric, which, {"type": _is_string, "value": lambda _: None}, optional)
            if not isinstance(result.get("metrics"), list):
                yield _array_error(result, at, "metrics")
        if not isinstance(model.get("results"), list):
            yield _array_error(model, where, "results")
    if not isinstance(models, list):
        yield '"model-index" must be an array'


def _objects(value: Any, where: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for i, item in enumerate(value if isinstance(value, list) else []):
        yield f"{where}[{i}]", item if isinstance(item, dict) else {}


def _array_error(parent: Mapping[str, Any], where: str, name: str) -> str:
    return f'"{where}.{name}" {"must be an array" if name in parent else "is required"}'


def _is_string(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _is_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "must be of type object"


Check = Callable[[Any], str | None]


def _fields(
    value: Mapping[str, Any], where: str, required: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> Iterable[str]:
    for name, check in {**required, **(optional or {})}.items():
        if name not in value:
            if name in required:
                yield f'"{where}.{name}" is required'
        elif complaint := check(value[name]):
            yield f'"{where}.{name}" {complaint}'
