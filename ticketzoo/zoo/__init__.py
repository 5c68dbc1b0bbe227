"""The zoo of tickets: list, find, load, fetch and verify them."""

from ticketzoo.zoo.load import load_ticket as load_ticket
from ticketzoo.zoo.places import registries as registries
from ticketzoo.zoo.places import ticket_folder as ticket_folder
from ticketzoo.zoo.places import ticket_folders as ticket_folders
from ticketzoo.zoo.verify import Check as Check
from ticketzoo.zoo.verify import verify_ticket as verify_ticket
