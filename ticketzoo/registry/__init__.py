"""Where tickets live: references, and the registry in a folder."""

from ticketzoo.registry.folder import default_registry as default_registry
from ticketzoo.registry.folder import ticket_folder as ticket_folder
from ticketzoo.registry.folder import ticket_folders as ticket_folders
