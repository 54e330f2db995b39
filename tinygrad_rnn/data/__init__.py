"""Text, tokens and series as arrays, ready to train on; nothing here knows Tensors."""

from tinygrad_rnn.data.buckets import BucketBatches, PaddedBatch, pad
from tinygrad_rnn.data.corpus import Corpus, load_corpus
from tinygrad_rnn.data.pieces import TextPieces
from tinygrad_rnn.data.series import lagged, windows
from tinygrad_rnn.data.shared import Numbers, Ranks, SharedText
from tinygrad_rnn.data.splits import random_split, split
from tinygrad_rnn.data.streams import StreamBatches
from tinygrad_rnn.data.table import column_names, read_column, write_columns
from tinygrad_rnn.data.text import END_OF_LINE, decoded, embedded_text, read_text, read_words, stream_text
from tinygrad_rnn.data.vocabulary import UNKNOWN, Vocabulary

__all__ = [
    "END_OF_LINE",
    "UNKNOWN",
    "BucketBatches",
    "Corpus",
    "Numbers",
    "PaddedBatch",
    "Ranks",
    "SharedText",
    "StreamBatches",
    "TextPieces",
    "Vocabulary",
    "column_names",
    "decoded",
    "embedded_text",
    "lagged",
    "load_corpus",
    "pad",
    "random_split",
    "read_column",
    "read_text",
    "read_words",
    "split",
    "stream_text",
    "windows",
    "write_columns",
]
