"""The same ticket with its masks encoded anew."""

from dataclasses import replace

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.encoding import check_asked
from ticketzoo.ticket.stored import Stored, StoredReplicate


def encoded_as(config: TicketConfig, stored: Stored, encoding: str) -> tuple[TicketConfig, Stored]:
    """Return a ticket whose masks are encoded as a writer does that is asked for `bits` or `range`.

    Masks, weights, documents and digests stay; of ticket.json the number of the format changes where the masks need
    it. The files that the ticket was read from are left out.

    Raises:
        TicketError: an unknown encoding, or a damaged ticket.
    """
    check_asked(encoding)
    replicates = {seed: _encoded_as(one, encoding) for seed, one in stored.replicates.items()}
    at_least = max(one.levels.first_format for one in replicates.values())
    return config.in_its_format(at_least), replace(stored, replicates=replicates, files=None)


def _encoded_as(replicate: StoredReplicate, encoding: str) -> StoredReplicate:
    levels = replicate.levels.encoded_as(encoding)
    return StoredReplicate(lambda: levels, replicate.read_rewind, replicate.read_values)
