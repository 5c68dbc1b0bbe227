"""Finding tickets: the methods, and the way from a recipe to a packaged ticket."""

from ticketzoo.finding import at_init as at_init
from ticketzoo.finding import bernoulli as bernoulli
from ticketzoo.finding import biprop as biprop
from ticketzoo.finding import criterion_supermask as criterion_supermask
from ticketzoo.finding import early_bird as early_bird
from ticketzoo.finding import imp as imp
from ticketzoo.finding import lota as lota
from ticketzoo.finding import mask_training as mask_training
from ticketzoo.finding import one_shot as one_shot
from ticketzoo.finding import post_training as post_training
from ticketzoo.finding import supermask as supermask
from ticketzoo.finding.package import find_and_package as find_and_package
from ticketzoo.finding.package import plan_find as plan_find
from ticketzoo.finding.recipe import FindRecipe as FindRecipe
from ticketzoo.finding.run import find_tickets as find_tickets
