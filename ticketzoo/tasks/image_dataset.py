from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ticketzoo.recipe import Config


class ImageDataset(Config):
    """The `dataset:` section of a recipe: which images, and how they are split.

    path: "digits" (scikit-learn's, embedded), a Hub id, or a folder that `datasets.load_dataset` reads.
    mirror: a folder that holds a copy of `path` and is read in its place; left out of what is written down of a run.
    name, revision: the Hub data set's configuration and commit.
    image_column, label_column: found from the features when there is just one of each.
    train_split: the split to train on. test_split: default "test", else "validation", else a stratified fifth of train.
    validation: examples (int) or fraction (float) held out of the training split; 0: none.
    classes: keep these labels only, relabelled 0, 1, .. in the order given.
    examples: a class-balanced subset of so many training examples, taken after the validation split.
    split_seed: draws validation and examples, and the test split where there is none.
    image_size: resize every image to a square of so many pixels (bilinear); needed when sizes differ.
    resize: resize the shorter side to so many pixels, then cut out the central image_size; default: squash to a square.
    channels: 1 or 3; default what the images have.
    in_memory: decode everything once and keep it, or in each batch anew; default: keep up to 2 GB of pixels.
        Training images that are randomly cropped from their own size are decoded anew all the same.
    on_error: "skip" leaves images out that cannot be read, counts them and names them on standard error.
    workers: processes that decode images; default the processors, at most 16; left out of what is written of a run.
    """

    path: Annotated[str, Field(min_length=1)]
    mirror: Annotated[str | None, Field(exclude=True)] = None
    name: str | None = None
    revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    train_split: str = "train"
    test_split: str | None = None
    validation: int | float = 0.1
    classes: tuple[int, ...] | None = None
    examples: Annotated[int, Field(ge=1)] | None = None
    split_seed: int = 0
    image_size: Annotated[int, Field(ge=1)] | None = None
    resize: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] | None = None
    in_memory: bool | None = None
    on_error: Literal["error", "skip"] = "error"
    workers: Annotated[int | None, Field(ge=0, le=256, exclude=True)] = None

    @field_validator("validation")
    @classmethod
    def _count_or_fraction(cls, validation: int | float) -> int | float:
        if not (0 <= validation < 1 or (isinstance(validation, int) and validation > 0)):
            raise ValueError("a number of examples such as 5000, or a fraction from 0 to below 1")
        return validation

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
