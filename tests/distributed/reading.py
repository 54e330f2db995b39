"""What each rank reads of a text and keeps in memory: `python -m tests.distributed.reading FILE BATCH`.

Rank 0 prints, as JSON, for each rank: the bytes read, counted where the file is opened; the most bytes that were in
memory while the batches were made, and those that they keep, by tracemalloc; the checksum of the tracks of all ranks.
"""

import json
import sys
import tracemalloc
from typing import IO, Any

from tinygrad_rnn.data import SharedText, StreamBatches, TextPieces, pieces
from tinygrad_rnn.distributed import world


class Counted:
    """A file that counts the bytes that it gives."""

    total = 0

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, count: int) -> bytes:
        """Counted, and passed on."""
        data = self.file.read(count)
        Counted.total += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def main(path: str, batch: str) -> None:
    """Make the batches as `train` does."""
    opened = pieces.open_regular
    pieces.open_regular = lambda where: Counted(opened(where))  # type: ignore[return-value, assignment]
    with world() as here:
        here.collect(None)  # MPI and its buffers are there
        tracemalloc.start()
        text = SharedText(TextPieces(path), ranks=here)
        batches = StreamBatches(text.numbers(text.vocabulary()), batch=int(batch), time=20, ranks=here)
        kept, peak = tracemalloc.get_traced_memory()
        found = here.collect({"read": Counted.total, "peak": peak, "kept": kept, **batches.state_dict()})
        if here.leads:
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
