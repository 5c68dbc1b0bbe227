from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ticketzoo.data.stored import Share, StoredDataset


class ImageDataset(StoredDataset):
    """The `dataset:` section of a recipe: which images, and how they are split.

    Attributes:
        path: also "digits" (scikit-learn's, embedded).
        image_column, label_column: found from the features when there is just one of each.
        test_split: default "test", else "validation", else a stratified fifth of train.
        validation: examples (int) or fraction (float) held out of the training split; 0: none.
        classes: keep these labels only, relabelled 0, 1, .. in the order given; of classes with words for names, their
            places among the names.
        examples: the subset is class-balanced.
        image_size: resize every image to a square of so many pixels (bilinear); needed when sizes differ.
        resize: resize the shorter side to so many pixels, then cut out the central image_size; default: squash to a
            square.
        channels: 1 or 3; default what the images have.
        in_memory: decode everything once and keep it, or in each batch again; default: keep up to 2 GB of pixels.
            Training images that are randomly cropped from their own size are decoded again in any case.
        on_error: "skip" leaves images out that cannot be read, counts them and names them on standard error.
        workers: processes that decode images; default the processors, at most 16; left out of what is written of a
            run.
    """

    image_column: str | None = None
    label_column: str | None = None
    validation: Share = 0.1
    classes: tuple[int, ...] | None = None
    image_size: Annotated[int, Field(ge=1)] | None = None
    resize: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] | None = None
    in_memory: bool | None = None
    on_error: Literal["error", "skip"] = "error"
    workers: Annotated[int | None, Field(ge=0, le=256, exclude=True)] = None

    @property
    def is_users(self) -> bool:
        """True for a folder of the user's own, no copy of a Hub data set."""
        return self.path != "digits" and super().is_users

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
