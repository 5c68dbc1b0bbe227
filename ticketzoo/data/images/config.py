from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from ticketzoo.data.images.label_noise import LabelNoise
from ticketzoo.data.kept_classes import of_classes
from ticketzoo.data.stored import Share, StoredDataset
from ticketzoo.recipe import Config
from ticketzoo.recipe.local import last_part


class FoldConfig(Config):
    """The section `part`: one of several equal parts of the training split, each with the same share of every class.

    Attributes:
        fold: number of the part, from 0.
        of: number of parts. They are disjoint and together the split, whatever else the recipe says.
    """

    fold: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=2, le=1000)]

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "FoldConfig":
        if self.fold >= self.of:
            raise ValueError(f"fold {self.fold} of {self.of} is none: folds count from 0, so give 0 to {self.of - 1}")
        return self


class ImageDataset(StoredDataset):
    """The `dataset:` section of a recipe: which images, and how they are split.

    Attributes:
        path: Hub id of the data set, a folder of images, or "digits" (scikit-learn's, which need no download).
        image_column: name of the column of images; by default the only one there is.
        label_column: name of the column of labels; by default the only one there is.
        test_split: name of the split to test on; by default "test", else "validation", else a stratified fifth of
            train.
        validation: number of examples (1000) or fraction (0.1) of the training split that is held out for validation;
            0: none.
        classes: labels to keep, relabelled 0, 1, .. in the order given; of classes with words for names, their places
            among the names. By default all.
        part: a fold of the training split, such as `{fold: 0, of: 2}`, which is used in its place: validation and
            examples are drawn from it. By default the whole split.
        examples: number of training examples to use, as many of each class; by default all. More contain the fewer.
        label_noise: wrong labels of training images, such as `{kind: redraw, fraction: 0.2}`, drawn from split_seed;
            those of images that are validated and tested on stay as they are. By default none.
        image_size: side in pixels of the square that every image is resized to (bilinear); needed when sizes differ.
        resize: pixels that the shorter side is resized to, before the central image_size is cut out; by default images
            are squashed to the square.
        channels: number of color channels, 1 (grey) or 3 (RGB); by default what the images have.
        blur: factor by which every image, of all splits, loses resolution: it is averaged to a side so much smaller and
            drawn at its own size again; by default images are as they are.
        in_memory: true decodes everything once and keeps it, false decodes each batch anew; by default up to 2 GB of
            pixels are kept, and more are decoded once to a file in the cache where they take at most half of the free
            disk. Training images that are randomly cropped from their own size are decoded again in any case.
        on_error: how to treat images that cannot be read: "error" stops, "skip" leaves them out, counts them and
            names them on standard error.
        workers: number of processes that decode images; by default that of the processors, at most 16; not written down
            with a run.
    """

    image_column: str | None = None
    label_column: str | None = None
    validation: Share = 0.1
    classes: tuple[int, ...] | None = None
    part: FoldConfig | None = Field(default=None, exclude_if=lambda part: part is None)
    label_noise: LabelNoise | None = Field(default=None, exclude_if=lambda noise: noise is None)
    image_size: Annotated[int, Field(ge=1)] | None = None
    resize: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] | None = None
    blur: Annotated[int | None, Field(ge=2, le=1024, exclude_if=lambda blur: blur is None)] = None
    in_memory: bool | None = None
    on_error: Literal["error", "skip"] = "error"
    workers: Annotated[int | None, Field(ge=0, le=256, exclude=True)] = None
    _known: tuple[str, ...] | None = PrivateAttr(default=None)

    def measuring(self, known: Sequence[str]) -> "ImageDataset":
        """Return the section for a network that knows these classes: data need no split to train on."""
        section = self.model_copy()
        section._known = tuple(known)
        return section

    @property
    def known(self) -> tuple[str, ...] | None:
        """Names of the classes of a network that is measured and not trained; None where one is trained."""
        return self._known

    @property
    def is_users(self) -> bool:
        """True for a folder of the user's own, no copy of a Hub data set."""
        return self.path != "digits" and super().is_users

    @property
    def short_name(self) -> str:
        """The last part of the path, with classes, fold, blur and noise: `digits-0-4`, `digits-redraw-0.2`."""
        name = last_part(self.path).replace("_", "-").lower()
        name = name if self.classes is None else of_classes(name, self.classes)
        name = name if self.part is None else f"{name}-fold-{self.part.fold}-of-{self.part.of}"
        name = name if self.blur is None else f"{name}-blur-{self.blur}"
        noise = self.label_noise
        return name if noise is None else f"{name}-{noise.kind}-{noise.fraction:g}"

    @field_validator("classes")
    @classmethod
    def _each_class_once(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("name each class once")
        return classes

    @model_validator(mode="after")
    def _centre_fits(self) -> "ImageDataset":
        if self.resize is not None and (self.image_size is None or self.image_size > self.resize):
            raise ValueError("resize needs an image_size, at most as large, to cut out of the resized image")
        return self
