from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from ticketzoo.recipe import Config, Steps

Fraction = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Config):
    """The optimiser, in PyTorch's terms; each name takes only its own keys.

    Attributes:
        name: name of the optimizer: SGD, Adam, AdamW or RMSprop of PyTorch.
        lr: learning rate, which the schedule multiplies.
        weight_decay: factor of the weight decay of all parameters; adamw decouples it from the gradient.
        momentum: fraction of the last update that sgd keeps; 0 is plain SGD.
        nesterov: true takes Nesterov's momentum in sgd.
        betas: decay rates of the running means of gradient and squared gradient in adam and adamw.
        alpha: decay rate of the running mean of the squared gradient in rmsprop.
        eps: small number that adam, adamw and rmsprop add to the denominator.
    """

    name: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    lr: PositiveFloat = 0.1
    weight_decay: NonNegativeFloat = 0.0
    momentum: Fraction = 0.0
    nesterov: bool = False
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    alpha: Fraction = 0.99
    eps: PositiveFloat = 1e-8

    @model_validator(mode="after")
    def _keys_belong_to_name(self) -> "OptimizerConfig":
        own = {"sgd": {"momentum", "nesterov"}, "rmsprop": {"alpha", "eps"}}.get(self.name, {"betas", "eps"})
        foreign = {"momentum", "nesterov", "betas", "alpha", "eps"} - own
        if given := sorted(foreign & self.model_fields_set):
            changed = [key for key in given if getattr(self, key) != type(self).model_fields[key].default]
            if changed:
                raise ValueError(f"{self.name} has no {', '.join(changed)}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class ScheduleConfig(Config):
    """Learning rate over the whole training: `warmup` rises linearly from 0, then `name` rules.

    `constant`; `step`: times `gamma` at each of `milestones`; `cosine` and `linear`: from 1 after the warm-up down to 0
    at the end of training, so that the last update's rate is just above 0.

    Attributes:
        name: rule of the learning rate after the warm-up: constant, step, cosine or linear.
        warmup: length of the linear warm-up from 0; none by default.
        milestones: points of training at which `step` multiplies the rate, lengths from the start.
        gamma: factor of the learning rate at each milestone of `step`.
    """

    name: Literal["constant", "step", "cosine", "linear"] = "constant"
    warmup: Steps = Steps(0, "it")
    milestones: tuple[Steps, ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _milestones_belong_to_step(self) -> "ScheduleConfig":
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("milestones go with the schedule 'step', and it needs at least one")
        if self.name != "step" and self.gamma != type(self).model_fields["gamma"].default:
            raise ValueError("gamma goes with the schedule 'step'")
        return self


class TrainingConfig(Config):
    """The settings of a training, whatever the task.

    Attributes:
        steps: length of every training, in iterations or epochs.
        batch_size: number of examples in an update, of all processes together.
        optimizer: method by which weights are updated, with learning rate and weight decay.
        schedule: course of the learning rate over the training, with its warm-up.
        evaluate_every: length of training between two looks at the validation split.
        clip_norm: largest norm of the gradient, to which longer ones are scaled down; by default none.
        precision: number format of computations: fp32; bf16 computes in bfloat16 where autocast does; weights and
            optimiser stay fp32. auto: bf16 on a GPU that computes in it, else fp32, as most processors do not.
        channels_last: true keeps convolutions' weights and images channel by channel, which GPUs are faster at.
        compile: true runs the model through torch.compile, which takes a minute or so at the beginning of each
            training.
        capture: auto does each update on a CUDA GPU as one CUDA graph, which small models are several times faster by,
            where task and model allow it; a line of the log says why where they do not. off never does. The numbers
            are the same but for rounding.
        sync_batchnorm: true makes BatchNorm, where several processes share batches, normalise over all of a batch, not
            over each one's share; the numbers are then those of one process. No difference in one process.
    """

    steps: Steps = Steps(20, "ep")
    batch_size: PositiveInt = 128
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    capture: Literal["auto", "off"] = "auto"
    sync_batchnorm: bool = False
    clip_norm: PositiveFloat | None = None
    evaluate_every: Steps = Steps(1, "ep")

    @model_validator(mode="after")
    def _lengths_are_positive(self) -> "TrainingConfig":
        for key in ("steps", "evaluate_every"):
            if getattr(self, key).count <= 0:
                raise ValueError(f"{key} must be longer than 0")
        return self

    def times(self, number: float) -> "TrainingConfig":
        """Return the settings of a training `number` times as long; its schedule is stretched but for the warm-up."""
        milestones = tuple(step.times(number) for step in self.schedule.milestones)
        schedule = self.schedule.model_copy(update={"milestones": milestones})
        return self.model_copy(update={"steps": self.steps.times(number), "schedule": schedule})
